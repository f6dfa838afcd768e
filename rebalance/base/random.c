#include "rebalance/base/random.h"

#include <math.h>

void ek_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];

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

uint64_t ek_random_stream(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != 0; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return hash;
}

static void block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
	const uint32_t counter[4] = { (uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
		                      (uint32_t)(stream >> 32) };
	const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };

	ek_philox(out, counter, key);
}

uint64_t ek_random_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
	uint32_t r[4];

	block(r, seed, stream, index);
	return (uint64_t)r[1] << 32 | r[0];
}

double ek_random_double(uint64_t seed, uint64_t stream, uint64_t index)
{
	return (double)(ek_random_u64(seed, stream, index) >> 11) * 0x1p-53;
}

uint64_t ek_random_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint64_t)((wide)ek_random_u64(seed, stream, index) * n >> 64);
}

double ek_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
	static const double two_pi = 6.28318530717958647692;
	uint32_t r[4];
	double u, v;

	block(r, seed, stream, index);
	u = ((double)(((uint64_t)r[1] << 32 | r[0]) >> 11) + 1) * 0x1p-53; /* in (0, 1] */
	v = (double)(((uint64_t)r[3] << 32 | r[2]) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(two_pi * v);
}
