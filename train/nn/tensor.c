#include "train/nn/tensor.h"

size_t ek_nn_type_size(enum ek_nn_type type)
{
	return type == EK_NN_BFLOAT16 ? sizeof(ek_bf16) : sizeof(float);
}
