/* Any bytes as CSV: every record has a field, and reads the same again from its own offset. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t hash_record(const struct ek_csv *csv)
{
	uint64_t hash = csv->count;

	if (csv->count == 0)
		abort();
	for (size_t i = 0; i < csv->count; i++)
		hash = hash * 31 + ek_hash64(ek_csv_field(csv, i), strlen(ek_csv_field(csv, i)));
	return hash;
}

static void read_twice(struct ek_csv *csv)
{
	enum { KEPT = 64 };
	uint64_t offsets[KEPT], lines[KEPT], hashes[KEPT];
	size_t count = 0;
	uint64_t line = 0;

	while (ek_csv_next(csv) == 1) {
		if (csv->line <= line)
			abort();
		line = csv->line;
		if (count < KEPT) {
			offsets[count] = csv->offset;
			lines[count] = csv->line;
			hashes[count] = hash_record(csv);
			count++;
		}
	}
	while (count-- > 0) {
		ek_csv_seek(csv, offsets[count], lines[count]);
		if (ek_csv_next(csv) != 1 || hash_record(csv) != hashes[count] || csv->line != lines[count])
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("csv", 0);
	struct ek_csv csv;
	char path[64];

	if (fd < 0 || ek_write_all(fd, data, size, "csv") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ek_csv_open(&csv, path) < 0)
		abort();
	read_twice(&csv);
	ek_csv_close(&csv);
	(void)close(fd);
	return 0;
}
