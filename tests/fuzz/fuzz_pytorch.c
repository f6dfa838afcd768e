/* Any bytes as a PyTorch checkpoint (a zip file if they start as one, else the stream form): every element of every
 * tensor of an accepted one lies in it. */
#include <stdlib.h>

#include "rebalance/io/pytorch.h"

enum { MOST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ek_tensor *t, const uint8_t *end)
{
	static float out[MOST];
	uint64_t last = 0;

	if (t->count == 0)
		return;
	for (int i = 0; i < t->dimensions; i++)
		last += (t->shape[i] - 1) * t->strides[i];
	if (last >= (size_t)(end - (const uint8_t *)t->data) / ek_dtype_size(t->type))
		abort();
	if (t->count <= MOST)
		(void)ek_tensor_to_f32(out, t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The bytes themselves instead of a map, so that a read past their end is seen. */
	struct ek_tensor_file file = { .map = { .data = data, .size = size } };
	int rc;

	if (ek_format(&file.path, "fuzz") < 0)
		return 0;
	rc = size > 0 && data[0] == 'P' ? ek_pytorch_zip_read(&file) : ek_pytorch_stream_read(&file);
	for (size_t i = 0; rc == 0 && i < file.count; i++)
		check(&file.tensors[i], data + size);
	file.map = (struct ek_map){ 0 };
	ek_tensor_file_close(&file);
	return 0;
}
