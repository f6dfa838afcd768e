/* Any bytes as a data set in one file that is no tar: a zip, .npz, .npy, IDX, Parquet, list or table, by what it starts
 * with. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/dataset.h"
#include "tests/fuzz/only.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *ending(const uint8_t *data, size_t size)
{
	if (size >= 2 && memcmp(data, "PK", 2) == 0)
		return memmem(data, size, ".npy", 4) != NULL ? ".npz" : ".zip";
	if (size >= 6 && memcmp(data, "\x93NUMPY", 6) == 0)
		return ".npy";
	if (size >= 4 && memcmp(data, "PAR1", 4) == 0)
		return ".parquet";
	if (size > 1 && (data[0] == '{' || data[0] == '['))
		return ".jsonl";
	return memchr(data, '\t', size) != NULL                                     ? ".tsv"
	       : memchr(data, ',', size) != NULL || memchr(data, ';', size) != NULL ? ".csv"
	                                                                            : ".txt";
}

static void walk(struct ek_dataset *dataset)
{
	struct ek_dataset_item item = { 0 };

	while (ek_dataset_next(dataset, &item) == 1) {
		if (item.name.data == NULL || (item.problem == NULL && item.bytes.size > item.size) ||
		    (item.bare != EK_IMAGE_UNKNOWN &&
		     item.size != (uint64_t)item.bare_width * item.bare_height * ek_image_bare_pixel(item.bare)))
			abort();
	}
	ek_dataset_item_release(&item);
	(void)ek_dataset_finish(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	const char *paths = path;
	struct ek_dataset *dataset;
	int fd;

	if (!ek_fuzz_wants(ending(data, size)))
		return 0;
	(void)snprintf(path, sizeof path, "/tmp/evenkeel-fuzz-%d%s", (int)getpid(), ending(data, size));
	(void)unlink(path);
	if (ek_open_writable(&fd, path, O_WRONLY | O_CREAT | O_EXCL) < 0 || ek_write_all(fd, data, size, path) < 0)
		abort();
	(void)close(fd);
	if (ek_dataset_open(&dataset, &paths, 1, NULL, NULL) == 0)
		walk(dataset);
	ek_dataset_close(dataset);
	(void)unlink(path);
	return 0;
}
