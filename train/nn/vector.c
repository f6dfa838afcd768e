#include "train/nn/vector.h"

#include "train/nn/net_kernels.h"

extern const struct ek_nn_vector ek_nn_vector_base;
extern const struct ek_net_kernels ek_net_kernels_base;

#ifdef EK_NN_X86
extern const struct ek_nn_vector ek_nn_vector_avx2, ek_nn_vector_avx512;
extern const struct ek_net_kernels ek_net_kernels_avx2, ek_net_kernels_avx512;

static int has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

#define CHOOSE(table) (has_avx512() ? &table##_avx512 : __builtin_cpu_supports("avx2") ? &table##_avx2 : &table##_base)
#else
#define CHOOSE(table) (&table##_base)
#endif

const struct ek_nn_vector *ek_nn_vector(void)
{
	return CHOOSE(ek_nn_vector);
}

const struct ek_net_kernels *ek_net_kernels(void)
{
	return CHOOSE(ek_net_kernels);
}
