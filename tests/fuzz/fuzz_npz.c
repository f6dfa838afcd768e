/* Any bytes as a .npz file: what is accepted of it has all its elements, and its rows can be read. */
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/io/npz.h"

enum { MOST = 4096, LONGEST_NAME = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ek_npy *array)
{
	static float rows[MOST];
	uint64_t count, bytes;

	if (!ek_shape_size(&count, &bytes, array->type, array->dimensions, array->shape))
		abort();
	for (uint64_t i = 0; i < bytes; i++)
		(void)((const volatile uint8_t *)array->data)[i];
	if (array->dimensions == 2 && ek_dtype_is_float(array->type) && count <= MOST)
		ek_npy_rows_f32(rows, array, 0, array->shape[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The bytes themselves instead of a map, so that a read past their end is seen. */
	struct ek_npz npz = { .map = { .data = data, .size = size } };
	const int rc = ek_npz_parse(&npz, "fuzz");

	for (size_t i = 0; rc == 0 && i < npz.zip.count; i++) {
		const struct ek_zip_entry *e = &npz.zip.entries[i];
		char name[LONGEST_NAME];
		struct ek_npy array;

		if (e->name_size < 4 || e->name_size - 4 >= sizeof name)
			continue;
		(void)snprintf(name, sizeof name, "%.*s", (int)e->name_size - 4, e->name);
		if (ek_npz_array(&array, &npz, name) == 0)
			check(&array);
	}
	npz.map = (struct ek_map){ 0 };
	ek_npz_close(&npz);
	return 0;
}
