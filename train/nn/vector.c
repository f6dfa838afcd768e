#include "train/nn/vector.h"

extern const struct ek_nn_vector ek_nn_vector_base;

#ifdef EK_NN_X86
extern const struct ek_nn_vector ek_nn_vector_avx2, ek_nn_vector_avx512;

const struct ek_nn_vector *ek_nn_vector(void)
{
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
		return &ek_nn_vector_avx512;
	return __builtin_cpu_supports("avx2") ? &ek_nn_vector_avx2 : &ek_nn_vector_base;
}
#else
const struct ek_nn_vector *ek_nn_vector(void)
{
	return &ek_nn_vector_base;
}
#endif
