#include "train/nn/bf16.h"

#include "train/nn/onednn.h"
#include "train/nn/vector.h"

int ek_nn_cpu_has_bf16(void)
{
	return ek_dnn_has_bf16();
}

void ek_bf16_from_float(ek_bf16 *out, const float *x, size_t count)
{
	ek_nn_vector()->bf16_from_float(out, x, count);
}

void ek_bf16_to_float(float *out, const ek_bf16 *x, size_t count)
{
	ek_nn_vector()->bf16_to_float(out, x, count);
}
