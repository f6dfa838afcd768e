/* Any bytes as a table of attributes (CSV, JSON lines or CelebA's list): every row of a table that opens is found by
 * its name with the same attributes, and then none is unused. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rebalance/base/file.h"
#include "rebalance/io/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find_all(struct ek_attributes *attributes, struct ek_table *table)
{
	uint64_t rows = 0, unused, line;
	cJSON *read, *found;
	char *name;

	while (ek_table_next(table, &read) == 1) {
		rows++;
		if (ek_attributes_find(attributes, table->name.data, &found) < 0 || found == NULL ||
		    !cJSON_Compare(read, found, 1))
			abort();
		cJSON_Delete(read);
		cJSON_Delete(found);
	}
	if (rows != ek_attributes_rows(attributes) || ek_attributes_unused(attributes, &unused, &line, &name) < 0 ||
	    unused != 0)
		abort();
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("metadata", 0);
	struct ek_attributes *attributes;
	struct ek_table table;
	char path[64];

	if (fd < 0 || ek_write_all(fd, data, size, "metadata") < 0)
		abort();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (ek_attributes_open(&attributes, path, NULL) == 0) {
		if (ek_table_open(&table, path, NULL) < 0)
			abort();
		find_all(attributes, &table);
		ek_table_close(&table);
	}
	ek_attributes_close(attributes);
	(void)close(fd);
	return 0;
}
