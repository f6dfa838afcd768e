#include "tests/train/nn/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/random.h"
#include "tests/support/support.h"

enum { GUARD = 64 };

double ref_activate(enum ek_nn_activation activation, double x)
{
	switch (activation) {
	case EK_NN_RELU:
		return x > 0 ? x : 0;
	case EK_NN_RELU6:
		return x > 6 ? 6 : x > 0 ? x : 0;
	case EK_NN_GELU_ERF:
		return 0.5 * x * (1 + erf(x / sqrt(2)));
	case EK_NN_GELU_TANH:
		return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
	case EK_NN_QUICK_GELU:
		return x / (1 + exp(-1.702 * x));
	case EK_NN_SILU:
		return x / (1 + exp(-x));
	default:
		return x;
	}
}

void ref_matmul(double *out, const float *a, const float *b, size_t m, size_t n, size_t k)
{
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++) {
			double sum = 0;

			for (size_t l = 0; l < k; l++)
				sum += (double)a[i * k + l] * (double)b[j * k + l];
			out[i * n + j] = sum;
		}
}

static int at_least_one(int x)
{
	return x > 0 ? x : 1;
}

static int out_size(int size, int low, int high, int kernel, int stride)
{
	return (size + low + high - kernel) / at_least_one(stride) + 1;
}

/* One output of a convolution, before norm and bias. */
static double window_sum(const float *x, struct ek_nn_shape in, const struct ek_nn_conv *c, int o, int row, int column)
{
	const int groups = at_least_one(c->groups), depth = in.channels / groups;
	const int first = o / (c->out_channels / groups) * depth;
	const int top = row * at_least_one(c->stride[0]) - c->pad[0];
	const int left = column * at_least_one(c->stride[1]) - c->pad[2];
	double sum = 0;

	for (int i = 0; i < depth; i++)
		for (int ky = 0; ky < c->kernel[0]; ky++)
			for (int kx = 0; kx < c->kernel[1]; kx++) {
				const int y = top + ky, z = left + kx;
				const int w = ((o * depth + i) * c->kernel[0] + ky) * c->kernel[1] + kx;

				if (y >= 0 && y < in.height && z >= 0 && z < in.width)
					sum += (double)x[((first + i) * in.height + y) * in.width + z] *
					       (double)c->weight[w];
			}
	return sum;
}

void ref_conv(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_conv *c, const float *residual)
{
	const int height = out_size(in.height, c->pad[0], c->pad[1], c->kernel[0], c->stride[0]);
	const int width = out_size(in.width, c->pad[2], c->pad[3], c->kernel[1], c->stride[1]);

	for (int o = 0; o < c->out_channels; o++)
		for (int row = 0; row < height; row++)
			for (int column = 0; column < width; column++) {
				const int place = (o * height + row) * width + column;
				double y = window_sum(x, in, c, o, row, column);

				if (c->bias != NULL)
					y += (double)c->bias[o];
				if (c->norm.mean != NULL)
					y = (y - (double)c->norm.mean[o]) /
					            sqrt((double)c->norm.variance[o] + c->norm.epsilon) *
					            (c->norm.gamma != NULL ? (double)c->norm.gamma[o] : 1) +
					    (c->norm.beta != NULL ? (double)c->norm.beta[o] : 0);
				if (residual != NULL)
					y += (double)residual[place];
				out[place] = (float)ref_activate(c->activation, y);
			}
}

static float pool_one(const float *x, struct ek_nn_shape in, const struct ek_nn_pool *p, int row, int column)
{
	const int top = row * at_least_one(p->stride[0]) - p->pad[0];
	const int left = column * at_least_one(p->stride[1]) - p->pad[2];
	double sum = 0, largest = -HUGE_VAL;
	int inside = 0;

	for (int y = top; y < top + p->kernel[0]; y++)
		for (int z = left; z < left + p->kernel[1]; z++)
			if (y >= 0 && y < in.height && z >= 0 && z < in.width) {
				const double value = (double)x[y * in.width + z];

				sum += value;
				largest = value > largest ? value : largest;
				inside++;
			}
	if (p->kind == EK_NN_POOL_MAX)
		return (float)largest;
	return (float)(sum / (p->kind == EK_NN_POOL_AVERAGE ? p->kernel[0] * p->kernel[1] : inside));
}

void ref_pool(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_pool *p)
{
	const int height = out_size(in.height, p->pad[0], p->pad[1], p->kernel[0], p->stride[0]);
	const int width = out_size(in.width, p->pad[2], p->pad[3], p->kernel[1], p->stride[1]);

	for (int c = 0; c < in.channels; c++)
		for (int row = 0; row < height; row++)
			for (int column = 0; column < width; column++)
				*out++ = pool_one(x + (size_t)(c * in.height * in.width), in, p, row, column);
}

void ref_global_average(float *out, const float *x, struct ek_nn_shape in)
{
	const int area = in.height * in.width;

	for (int c = 0; c < in.channels; c++) {
		double sum = 0;

		for (int i = 0; i < area; i++)
			sum += (double)x[c * area + i];
		out[c] = (float)(sum / area);
	}
}

void ref_linear(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_linear *l, const float *residual)
{
	const int parts = l->weight[2] != NULL ? 3 : l->weight[1] != NULL ? 2 : 1, each = l->out_features / parts;

	for (int t = 0; t < in.tokens; t++)
		for (int o = 0; o < l->out_features; o++) {
			const float *w = l->weight[o / each] + (ptrdiff_t)(o % each) * in.features;
			const float *bias = l->bias[o / each];
			double y = bias != NULL ? (double)bias[o % each] : 0;

			for (int i = 0; i < in.features; i++)
				y += (double)x[t * in.features + i] * (double)w[i];
			y *= l->scale != NULL ? (double)l->scale[o] : 1;
			y += residual != NULL ? (double)residual[t * l->out_features + o] : 0;
			out[t * l->out_features + o] = (float)ref_activate(l->activation, y);
		}
}

void ref_layer_norm(float *out, const float *x, struct ek_nn_shape in, const struct ek_nn_layer_norm *norm)
{
	for (int t = 0; t < in.tokens; t++, x += in.features, out += in.features) {
		double mean = 0, variance = 0;

		for (int i = 0; i < in.features; i++)
			mean += (double)x[i] / in.features;
		for (int i = 0; i < in.features; i++)
			variance += ((double)x[i] - mean) * ((double)x[i] - mean) / in.features;
		for (int i = 0; i < in.features; i++)
			out[i] = (float)(((double)x[i] - mean) / sqrt(variance + norm->epsilon) *
			                         (norm->gamma != NULL ? (double)norm->gamma[i] : 1) +
			                 (norm->beta != NULL ? (double)norm->beta[i] : 0));
	}
}

void ref_attention(float *out, const float *qkv, struct ek_nn_shape in, int heads)
{
	const int width = in.features / 3, d = width / heads;
	double *p = malloc((size_t)in.tokens * sizeof *p);

	for (int h = 0; h < heads && p != NULL; h++)
		for (int i = 0; i < in.tokens; i++) {
			const float *q = qkv + (ptrdiff_t)i * in.features + (ptrdiff_t)h * d;
			double largest = -HUGE_VAL, sum = 0;

			for (int j = 0; j < in.tokens; j++) {
				const float *k = qkv + (ptrdiff_t)j * in.features + width + (ptrdiff_t)h * d;

				p[j] = 0;
				for (int l = 0; l < d; l++)
					p[j] += (double)q[l] * (double)k[l] / sqrt(d);
				largest = p[j] > largest ? p[j] : largest;
			}
			for (int j = 0; j < in.tokens; j++)
				sum += p[j] = exp(p[j] - largest);
			for (int l = 0; l < d; l++) {
				double y = 0;

				for (int j = 0; j < in.tokens; j++)
					y += p[j] / sum * (double)qkv[j * in.features + 2 * width + h * d + l];
				out[i * width + h * d + l] = (float)y;
			}
		}
	free(p);
}

void ref_patches(float *out, const float *x, struct ek_nn_shape in, int side)
{
	for (int row = 0; row < in.height / side; row++)
		for (int column = 0; column < in.width / side; column++)
			for (int c = 0; c < in.channels; c++)
				for (int y = 0; y < side; y++)
					for (int z = 0; z < side; z++)
						*out++ = x[(c * in.height + row * side + y) * in.width + column * side +
						           z];
}

void ref_round_bf16(float *x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ek_bf16 rounded;

		ek_bf16_from_float(&rounded, &x[i], 1);
		ek_bf16_to_float(&x[i], &rounded, 1);
	}
}

void ref_fill(float *x, size_t count, uint64_t stream)
{
	for (size_t i = 0; i < count; i++)
		x[i] = (float)ek_random_normal(7, stream, i);
}

static const uint32_t guard_bits = 0x7fc0beefU, poison_bits = 0x7fc00001U;

float *ref_poisoned(size_t count)
{
	float *x = malloc((count + GUARD) * sizeof *x);

	for (size_t i = 0; x != NULL && i < count + GUARD; i++)
		memcpy(&x[i], i < count ? &poison_bits : &guard_bits, sizeof *x);
	return x;
}

int ref_is_whole(const float *x, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (isnan(x[i]))
			return 0;
	for (size_t i = count; i < count + GUARD; i++)
		if (memcmp(&x[i], &guard_bits, sizeof *x) != 0)
			return 0;
	return 1;
}

double ref_bound(const float *x, size_t count, const float *w, size_t outputs, size_t per_output)
{
	double largest = 0, sum_most = 0;

	for (size_t i = 0; i < count; i++)
		largest = fmax(largest, fabs((double)x[i]));
	for (size_t o = 0; o < outputs; o++) {
		double sum = 0;

		for (size_t i = 0; i < per_output; i++)
			sum += fabs((double)w[o * per_output + i]);
		sum_most = fmax(sum_most, sum);
	}
	return largest * sum_most;
}

float *ref_run(struct ek_nn_graph *g, int value, const float *input, size_t input_size)
{
	struct ek_nn_state *state;
	float *both, *again, *second_twice = malloc(2 * input_size * sizeof *input);
	size_t size;

	assert_ok(value);
	assert_ok(ek_nn_graph_finish(g, value));
	assert_ok(ek_nn_state_new(&state, g));
	size = ek_nn_graph_output_size(g);
	both = ref_poisoned(2 * size);
	again = ref_poisoned(2 * size);
	assert_non_null(second_twice);
	memcpy(second_twice, input + input_size, input_size * sizeof *input);
	memcpy(second_twice + input_size, input + input_size, input_size * sizeof *input);
	assert_ok(ek_nn_run(g, state, input, 2, both));
	assert_ok(ek_nn_run(g, state, second_twice, 2, again));
	assert_true(ref_is_whole(both, 2 * size));
	assert_memory_equal(both + size, again + size, size * sizeof *both);
	free(again);
	again = ref_poisoned(size);
	assert_ok(ek_nn_run(g, state, input, 1, again));
	assert_true(ref_is_whole(again, size));
	assert_memory_equal(both, again, size * sizeof *both);
	free(again);
	free(second_twice);
	ek_nn_state_free(state);
	ek_nn_graph_free(g);
	return both;
}

void ref_compare(const char *name, const float *got, const float *want, size_t count, double absolute, double relative)
{
	for (size_t i = 0; i < count; i++) {
		const double difference = fabs((double)got[i] - (double)want[i]);

		if (!(difference <= absolute + relative * fabs((double)want[i])))
			fail_msg("%s: value %zu is %.9g, not %.9g (allowed %g and %g of it)", name, i, (double)got[i],
			         (double)want[i], absolute, relative);
	}
}

struct ek_nn_graph *ref_token_graph(int *tokens, enum ek_nn_precision precision, int t, int f)
{
	struct ek_nn_graph *g;

	assert_ok(ek_nn_graph_new(&g, precision, 2));
	*tokens = ek_nn_image(g, &(struct ek_nn_image){ .channels = f, .height = t, .width = 1 });
	*tokens = ek_nn_patches(g, *tokens, 1);
	assert_ok(*tokens);
	return g;
}

float *ref_token_input(const float *tokens, int t, int f)
{
	float *input = malloc(2 * (size_t)t * (size_t)f * sizeof *input);

	assert_non_null(input);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < t; j++)
			for (int k = 0; k < f; k++)
				input[(i * f + k) * t + j] = tokens[(i * t + j) * f + k];
	return input;
}
