/* Any bytes as a file of groups: rows that can be used, or EK_EDATA. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/utf8.h"
#include "rebalance/pipeline/group_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ek_group_words *w)
{
	size_t prompts = 0;

	if (w->groups == 0 || w->groups > EK_GROUP_WORDS_MOST || w->groups + (uint32_t)w->none < 2)
		abort();
	for (uint32_t g = 0; g < w->groups + (uint32_t)w->none; g++) {
		const struct ek_group_word *row = &w->rows[g];

		if (*row->name == 0 || row->count == 0 ||
		    (strcmp(row->name, EK_GROUP_WORDS_NONE) == 0) != (g == w->groups))
			abort();
		for (size_t i = 0; i < row->count; i++)
			if (ek_utf8_valid_prefix(row->prompts[i], strlen(row->prompts[i])) < strlen(row->prompts[i]))
				abort();
		prompts += row->count;
	}
	if (prompts != w->prompts)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("words", 0);
	struct ek_group_words words;
	char path[64];
	int rc;

	if (fd < 0 || ek_write_all(fd, data, size, "words") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = ek_group_words_load(&words, path);
	if (rc == 0)
		check(&words);
	else if (rc != EK_EDATA)
		abort();
	ek_group_words_release(&words);
	(void)close(fd);
	return 0;
}
