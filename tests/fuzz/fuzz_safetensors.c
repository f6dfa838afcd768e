/* Any bytes as a safetensors file: every tensor of an accepted one lies in it. */
#include <stdlib.h>

#include "rebalance/io/safetensors.h"

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The bytes themselves instead of a map, so that a read past their end is seen. */
	struct ek_tensor_file file = { .map = { .data = data, .size = size } };
	static float out[MOST];

	if (ek_format(&file.path, "fuzz") < 0)
		return 0;
	if (ek_safetensors_read(&file) == 0)
		for (size_t i = 0; i < file.count; i++) {
			const struct ek_tensor *t = &file.tensors[i];
			const uint8_t *start = t->data;

			if (start < data || t->count * ek_dtype_size(t->type) > (size_t)(data + size - start))
				abort();
			if (t->count <= MOST)
				(void)ek_tensor_to_f32(out, t);
		}
	file.map = (struct ek_map){ 0 };
	ek_tensor_file_close(&file);
	return 0;
}
