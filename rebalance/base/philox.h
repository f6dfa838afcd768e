/* The block function of base/random.h, one source for the processor and GPUs. */
#ifndef EK_BASE_PHILOX_H
#define EK_BASE_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define EK_PHILOX_INLINE static __device__ inline
#else
#define EK_PHILOX_INLINE static inline
#endif

/* Philox4x32-10 of the counter (index, stream) and the key seed. */
EK_PHILOX_INLINE void ek_philox_at(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
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

#endif
