/* Compiled once per instruction set with EK_NN_VECTOR_TABLE naming the table it defines. */
#include "train/nn/vector.h"

#include <math.h>
#include <string.h>

enum { LANES = 16 };

typedef float floats __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));

extern const struct ek_nn_vector EK_NN_VECTOR_TABLE;

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

static void softmax(float *x, size_t count, float scale)
{
	const size_t whole = count - count % LANES, rest = count % LANES;
	floats top = all(-INFINITY), sum = all(0), v;
	float largest, inverse;

	for (size_t i = 0; i < whole; i += LANES)
		top = larger(load(x + i), top);
	if (rest > 0)
		top = larger(load_part(x + whole, rest, -INFINITY), top);
	largest = largest_of(top);
	for (size_t i = 0; i < whole; i += LANES) {
		v = exponential((load(x + i) - largest) * scale);
		sum += v;
		store(x + i, v);
	}
	if (rest > 0) {
		v = exponential((load_part(x + whole, rest, -INFINITY) - largest) * scale);
		sum += v;
		memcpy(x + whole, &v, rest * sizeof *x);
	}
	inverse = 1 / sum_of(sum);
	for (size_t i = 0; i < count; i++)
		x[i] *= inverse;
}

static void layer_norm(float *out, const float *x, size_t count, const float *gamma, const float *beta, float epsilon)
{
	const size_t whole = count - count % LANES, rest = count % LANES;
	floats sum = all(0), squares = all(0), d;
	float mean, inverse;

	for (size_t i = 0; i < whole; i += LANES)
		sum += load(x + i);
	if (rest > 0)
		sum += load_part(x + whole, rest, 0);
	mean = sum_of(sum) / (float)count;
	for (size_t i = 0; i < whole; i += LANES) {
		d = load(x + i) - mean;
		squares += d * d;
	}
	if (rest > 0) {
		d = load_part(x + whole, rest, mean) - mean;
		squares += d * d;
	}
	inverse = 1 / sqrtf(sum_of(squares) / (float)count + epsilon);
	for (size_t i = 0; i < count; i++)
		out[i] = (x[i] - mean) * inverse * gamma[i] + beta[i];
}

static void bf16_from_float(ek_bf16 *restrict out, const float *restrict x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t bits, rounded;

		memcpy(&bits, &x[i], sizeof bits);
		rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
		/* A NaN whose payload is in the lower half would round to infinity. */
		out[i] = (ek_bf16)((bits & 0x7fffffffU) > 0x7f800000U ? (bits >> 16) | 0x40U : rounded);
	}
}

static void bf16_to_float(float *restrict out, const ek_bf16 *restrict x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t bits = (uint32_t)x[i] << 16;

		memcpy(&out[i], &bits, sizeof bits);
	}
}

static void add(float *restrict out, const float *restrict x, const float *restrict y, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = x[i] + y[i];
}

static void accumulate(float *restrict x, const float *restrict y, size_t count)
{
	for (size_t i = 0; i < count; i++)
		x[i] += y[i];
}

static void scale_by(float *x, size_t count, float scale)
{
	for (size_t i = 0; i < count; i++)
		x[i] *= scale;
}

const struct ek_nn_vector EK_NN_VECTOR_TABLE = {
	.bf16_from_float = bf16_from_float,
	.bf16_to_float = bf16_to_float,
	.layer_norm = layer_norm,
	.softmax = softmax,
	.add = add,
	.accumulate = accumulate,
	.scale = scale_by,
};
