/* Any bytes as an IDX file: no more items than it claims, none after the end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/idx.h"

enum { LIMIT = 4096, MOST_ITEMS = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_items(struct ek_idx *idx)
{
	const struct ek_idx_info *info = ek_idx_info(idx);
	uint8_t item[LIMIT];
	uint64_t items = 0;

	if (info->item_size > LIMIT)
		abort();
	while (items < MOST_ITEMS && ek_idx_next(idx, item) == 1)
		items++;
	if (items > info->count || ek_idx_done(idx) != items)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("idx", 0);
	struct ek_idx *idx;
	char path[64];

	if (fd < 0 || ek_write_all(fd, data, size, "idx") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ek_idx_open(&idx, path, LIMIT) == 0)
		read_items(idx);
	ek_idx_close(idx);
	(void)close(fd);
	return 0;
}
