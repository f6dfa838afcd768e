/* Compiled once per instruction set with EK_NN_VECTOR_TABLE naming the table it defines. */
#include "train/nn/vector.h"

#include <math.h>
#include <string.h>

#include "train/nn/vector_inline.h"

extern const struct ek_nn_vector EK_NN_VECTOR_TABLE;

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
	.softmax = softmax,
	.add = add,
	.accumulate = accumulate,
	.scale = scale_by,
};
