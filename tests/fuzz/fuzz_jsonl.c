/* Any bytes as JSON lines: what is read prints and reads back, and skipping counts as reading does. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_all(struct ek_jsonl *jsonl)
{
	uint64_t count = 0;
	cJSON *object;

	while (ek_jsonl_next(jsonl, &object) == 1) {
		char *text = cJSON_PrintUnformatted(object);

		if (text == NULL || !cJSON_IsObject(object))
			abort();
		cJSON_free(text);
		cJSON_Delete(object);
		count++;
	}
	if (object != NULL)
		abort();
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("jsonl", 0);
	struct ek_jsonl jsonl;
	uint64_t count;
	char path[64];

	if (fd < 0 || ek_write_all(fd, data, size, "jsonl") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ek_jsonl_open(&jsonl, path) < 0)
		abort();
	count = read_all(&jsonl);
	ek_jsonl_seek(&jsonl, 0, 1);
	if (ek_jsonl_skip(&jsonl, count) < 0)
		abort();
	ek_jsonl_close(&jsonl);
	(void)close(fd);
	return 0;
}
