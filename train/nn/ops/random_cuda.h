/* The random numbers of base/random.h on the GPU: the same integers. Internal to train/nn. */
#ifndef EK_NN_OPS_RANDOM_CUDA_H
#define EK_NN_OPS_RANDOM_CUDA_H

#include "rebalance/base/philox.h"

/* ek_random_normal */
static __device__ inline double ek_cuda_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	const double two_pi = 6.28318530717958647692;
	uint32_t r[4];
	double u, v;

	ek_philox_at(r, seed, stream, index);
	u = ((double)(((uint64_t)r[1] << 32 | r[0]) >> 11) + 1) * 0x1p-53;
	v = (double)(((uint64_t)r[3] << 32 | r[2]) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(two_pi * v);
}

/* ek_random_below */
static __device__ inline uint64_t ek_cuda_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
	uint32_t r[4];

	ek_philox_at(r, seed, stream, index);
	return __umul64hi((uint64_t)r[1] << 32 | r[0], n);
}

#endif
