/* Any bytes as a .npy file: what is accepted has all its elements, and its rows can be read. */
#include <stdlib.h>

#include "rebalance/io/npy.h"

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The bytes themselves instead of a map, so that a read past their end is seen. */
	struct ek_npy array = { .map = { .data = data, .size = size } };
	static float rows[MOST];
	uint64_t count, bytes;

	if (ek_npy_parse(&array, "fuzz") < 0)
		return 0;
	if (!ek_shape_size(&count, &bytes, array.type, array.dimensions, array.shape) ||
	    (const uint8_t *)array.data + bytes != data + size)
		abort();
	if (array.dimensions == 2 && ek_dtype_is_float(array.type) && count <= MOST)
		ek_npy_rows_f32(rows, &array, 0, array.shape[0]);
	return 0;
}
