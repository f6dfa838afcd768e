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

static inline float sum_of(floats v)
{
	for (int half = LANES / 2; half > 0; half /= 2)
		for (int i = 0; i < half; i++)
			v[i] += v[i + half];
	return v[0];
}

static inline float largest_of(floats v)
{
	float largest = v[0];

	for (int i = 1; i < LANES; i++)
		largest = v[i] > largest ? v[i] : largest;
	return largest;
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
