/* Replays fuzz inputs (files, or directories of files) through a target, so that every corpus is an ordinary test. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, capacity = 0;

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	for (;;) {
		size_t got;

		if (size == capacity) {
			capacity = capacity * 2 + 4096;
			if ((data = realloc(data, capacity)) == NULL)
				exit(1);
		}
		if ((got = fread(data + size, 1, capacity - size, f)) == 0)
			break;
		size += got;
	}
	(void)fclose(f);
	/* An exact-size copy, so that a read past the end is seen. */
	data = realloc(data, size > 0 ? size : 1);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	size_t replayed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		const struct dirent *entry;

		if (directory == NULL) {
			replayed += replay_file(argv[i]);
			continue;
		}
		while ((entry = readdir(directory)) != NULL) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			replayed += replay_file(path);
		}
		(void)closedir(directory);
	}
	printf("%zu inputs replayed\n", replayed);
	return replayed > 0 ? 0 : 1;
}
