/* Any bytes as a tar that is a data set: the same images the second time, each once, and an end. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The number of images, or a negative code. */
static int64_t walk(struct ek_dataset *dataset)
{
	struct ek_dataset_item item = { 0 };
	int64_t count = 0;
	int rc;

	while ((rc = ek_dataset_next(dataset, &item)) == 1) {
		if (item.source == NULL || item.name.data == NULL ||
		    (item.problem == NULL && item.bytes.size > item.size))
			abort();
		count++;
	}
	ek_dataset_item_release(&item);
	return rc < 0 ? rc : count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	const char *paths = path;
	struct ek_dataset *dataset;
	int64_t count;
	int fd;

	(void)snprintf(path, sizeof path, "/tmp/evenkeel-fuzz-%d.tar", (int)getpid());
	(void)unlink(path);
	if (ek_open_writable(&fd, path, O_WRONLY | O_CREAT | O_EXCL) < 0 || ek_write_all(fd, data, size, path) < 0)
		abort();
	(void)close(fd);
	if (ek_dataset_open(&dataset, &paths, 1, NULL, NULL) == 0) {
		count = walk(dataset);
		if (count >= 0 && ek_dataset_again(dataset)) {
			if (walk(dataset) != count || ek_dataset_again(dataset))
				abort();
		}
		if (count >= 0 && ek_dataset_finish(dataset) < 0)
			abort();
	}
	ek_dataset_close(dataset);
	(void)unlink(path);
	return 0;
}
