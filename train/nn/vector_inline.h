/* Sixteen floats at a time, for loops that are compiled once per instruction set. Internal to train/nn. */
#ifndef EK_NN_VECTOR_INLINE_H
#define EK_NN_VECTOR_INLINE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));

static inline floats all(float value)
{
	return (floats){ 0 } + value;
}

static inline floats load(const float *x)
{
	floats v;

	memcpy(&v, x, sizeof v);
	return v;
}

static inline floats load_part(const float *x, size_t count, float fill)
{
	floats v = all(fill);

	memcpy(&v, x, count * sizeof *x);
	return v;
}

static inline void store(float *out, floats v)
{
	memcpy(out, &v, sizeof v);
}

static inline floats choose(ints mask, floats yes, floats no)
{
	return (floats)((mask & (ints)yes) | (~mask & (ints)no));
}

static inline floats larger(floats a, floats b)
{
	return choose(a > b, a, b);
}

/* Lane i of the result is lane (i + by) mod 16. In registers: a vector whose address is taken would live in memory. */
#define TURN(i, by) (((i) + (by)) % LANES)
#define TURNS(by)                                                                                                      \
	TURN(0, by), TURN(1, by), TURN(2, by), TURN(3, by), TURN(4, by), TURN(5, by), TURN(6, by), TURN(7, by),        \
		TURN(8, by), TURN(9, by), TURN(10, by), TURN(11, by), TURN(12, by), TURN(13, by), TURN(14, by),        \
		TURN(15, by)
#ifdef __clang__
#define turned(v, by) __builtin_shufflevector(v, v, TURNS(by))
#else
#define turned(v, by) __builtin_shuffle(v, (ints){ TURNS(by) })
#endif

/* Lanes i and i + 8, then i + 4, i + 2, i + 1. */
static inline float sum_of(floats v)
{
	v += turned(v, 8);
	v += turned(v, 4);
	v += turned(v, 2);
	return v[0] + v[1];
}

static inline float largest_of(floats v)
{
	v = larger(v, turned(v, 8));
	v = larger(v, turned(v, 4));
	v = larger(v, turned(v, 2));
	return v[0] > v[1] ? v[0] : v[1];
}

/* e^x for x <= 0, 0 below -87: x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by its Taylor polynomial of
 * degree 7, whose rest is r^8 / 8! < 6e-9, a tenth of a unit in the last place. */
static inline floats exponential(floats x)
{
	const float magic = 12582912; /* 1.5 · 2^23: adding it rounds to an integer in the low bits */
	const floats shifted = x * 1.44269504F + magic;
	const floats n = shifted - magic;
	const floats r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
	const ints power = ((ints)shifted - (ints)all(magic) + 127) << 23;
	floats p = r * (1.0F / 5040) + 1.0F / 720;

	p = p * r + 1.0F / 120;
	p = p * r + 1.0F / 24;
	p = p * r + 1.0F / 6;
	p = p * r + 0.5F;
	p = p * r + 1.0F;
	p = p * r + 1.0F;
	return choose(x < all(-87), all(0), p * (floats)power);
}

#endif
