/* The random numbers of base/random.h on the GPU: the same integers. Internal to train/nn. */
#ifndef EK_NN_OPS_RANDOM_CUDA_H
#define EK_NN_OPS_RANDOM_CUDA_H

#include <stdint.h>

static __device__ inline void ek_cuda_philox(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
	uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)stream,
		 c3 = (uint32_t)(stream >> 32);
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

	for (int round = 0; round < 10; round++) {
		const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

/* ek_random_normal */
static __device__ inline double ek_cuda_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	const double two_pi = 6.28318530717958647692;
	uint32_t r[4];
	double u, v;

	ek_cuda_philox(r, seed, stream, index);
	u = ((double)(((uint64_t)r[1] << 32 | r[0]) >> 11) + 1) * 0x1p-53;
	v = (double)(((uint64_t)r[3] << 32 | r[2]) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(two_pi * v);
}

/* ek_random_below */
static __device__ inline uint64_t ek_cuda_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
	uint32_t r[4];

	ek_cuda_philox(r, seed, stream, index);
	return __umul64hi((uint64_t)r[1] << 32 | r[0], n);
}

#endif
