#include "rebalance/base/random.h"

#include <math.h>

#include "rebalance/base/philox.h"

static uint64_t joined(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

void ek_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
	ek_philox_at(out, joined(key[0], key[1]), joined(counter[2], counter[3]), joined(counter[0], counter[1]));
}

uint64_t ek_random_stream(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != 0; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return hash;
}

uint64_t ek_random_u64(uint64_t seed, uint64_t stream, uint64_t index)
{
	uint32_t r[4];

	ek_philox_at(r, seed, stream, index);
	return joined(r[0], r[1]);
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

	ek_philox_at(r, seed, stream, index);
	u = ((double)(joined(r[0], r[1]) >> 11) + 1) * 0x1p-53; /* in (0, 1] */
	v = (double)(joined(r[2], r[3]) >> 11) * 0x1p-53;
	return sqrt(-2 * log(u)) * cos(two_pi * v);
}
