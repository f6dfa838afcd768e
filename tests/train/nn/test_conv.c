#include <stdlib.h>

#include "rebalance/base/memory.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const struct {
	const char *name;
	int channels, height, width;
	struct ek_nn_conv conv;
	int norm, residual;
} cases[] = {
	{ "1x1", 5, 7, 11, { .out_channels = 13, .kernel = { 1, 1 } }, 0, 0 },
	{ "3x3",
	  7,
	  11,
	  13,
	  { .out_channels = 5, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 }, .activation = EK_NN_RELU },
	  1,
	  0 },
	{ "wide kernel", 7, 13, 5, { .out_channels = 11, .kernel = { 1, 7 }, .pad = { 0, 0, 3, 3 } }, 1, 0 },
	{ "tall kernel", 11, 13, 5, { .out_channels = 7, .kernel = { 7, 1 }, .pad = { 3, 3, 0, 0 } }, 1, 0 },
	{ "grouped", 12, 11, 7, { .out_channels = 9, .kernel = { 3, 3 }, .groups = 3, .stride = { 2, 1 } }, 0, 0 },
	{ "depthwise 5x5 odd",
	  13,
	  11,
	  13,
	  { .out_channels = 13,
	    .kernel = { 5, 5 },
	    .groups = 13,
	    .stride = { 2, 2 },
	    .pad = { 1, 2, 2, 1 },
	    .activation = EK_NN_RELU6 },
	  1,
	  0 },
	{ "residual, all activations: relu",
	  13,
	  5,
	  7,
	  { .out_channels = 13, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 }, .activation = EK_NN_RELU },
	  1,
	  1 },
	{ "silu", 5, 7, 5, { .out_channels = 16, .kernel = { 1, 1 }, .activation = EK_NN_SILU }, 0, 0 },
	{ "lite0 stem",
	  3,
	  48,
	  48,
	  { .out_channels = 32,
	    .kernel = { 3, 3 },
	    .stride = { 2, 2 },
	    .pad = { 0, 1, 0, 1 },
	    .activation = EK_NN_RELU6 },
	  1,
	  0 },
	{ "lite0 depthwise stride 2",
	  96,
	  24,
	  24,
	  { .out_channels = 96,
	    .kernel = { 3, 3 },
	    .groups = 96,
	    .stride = { 2, 2 },
	    .pad = { 0, 1, 0, 1 },
	    .activation = EK_NN_RELU6 },
	  1,
	  0 },
	{ "lite0 depthwise 5x5",
	  240,
	  6,
	  6,
	  { .out_channels = 240, .kernel = { 5, 5 }, .groups = 240, .pad = { 2, 2, 2, 2 }, .activation = EK_NN_RELU6 },
	  1,
	  0 },
	{ "lite0 projection with residual", 144, 12, 12, { .out_channels = 144, .kernel = { 1, 1 } }, 1, 1 },
	{ "inception",
	  64,
	  17,
	  17,
	  { .out_channels = 96, .kernel = { 3, 3 }, .stride = { 2, 2 }, .activation = EK_NN_RELU },
	  1,
	  0 },
	{ "kept in float32",
	  24,
	  13,
	  11,
	  { .out_channels = 24,
	    .kernel = { 3, 3 },
	    .groups = 24,
	    .pad = { 1, 1, 1, 1 },
	    .activation = EK_NN_RELU6,
	    .float32 = 1 },
	  1,
	  0 },
	{ "kept in float32 with residual", 16, 7, 5, { .out_channels = 16, .kernel = { 1, 1 }, .float32 = 1 }, 1, 1 },
	{ "patches of a ViT", 3, 28, 28, { .out_channels = 48, .kernel = { 14, 14 }, .stride = { 14, 14 } }, 0, 0 },
};

static float *filled(size_t count, uint64_t stream, double scale, double shift)
{
	float *x;

	assert_ok(ek_alloc(&x, count, sizeof *x));
	ref_fill(x, count, stream);
	for (size_t i = 0; i < count; i++)
		x[i] = (float)(shift + scale * (double)x[i]);
	return x;
}

static void one_case(size_t index, enum ek_nn_precision precision)
{
	const int bf16 = precision == EK_NN_BF16, rounded = bf16 && !cases[index].conv.float32;
	struct ek_nn_conv conv = cases[index].conv;
	const struct ek_nn_shape in = { .channels = cases[index].channels,
		                        .height = cases[index].height,
		                        .width = cases[index].width };
	const size_t outputs = (size_t)conv.out_channels;
	const size_t per_output =
		(size_t)(in.channels / (conv.groups > 0 ? conv.groups : 1) * conv.kernel[0] * conv.kernel[1]);
	const size_t size = (size_t)(in.channels * in.height * in.width);
	float *x = filled(2 * size, 1, 1, 0),
	      *weight = filled(outputs * per_output, 2, 1 / sqrt((double)per_output), 0);
	float *bias = filled(outputs, 3, 0.5, 0), *gamma = filled(outputs, 4, 0.1, 1),
	      *beta = filled(outputs, 5, 0.5, 0);
	float *mean = filled(outputs, 6, 0.2, 0), *variance = filled(outputs, 7, 0.05, 1), *got, *want;
	double bound;
	struct ek_nn_graph *g;
	int value;
	size_t out_size;

	if (bf16) {
		ref_round_bf16(x, 2 * size);
		ref_round_bf16(weight, outputs * per_output);
	}
	conv.weight = weight;
	conv.bias = bias;
	if (cases[index].norm)
		conv.norm = (struct ek_nn_batch_norm){ gamma, beta, mean, variance, 1e-3 };
	assert_ok(ek_nn_graph_new(&g, precision, 2));
	value = ek_nn_image(g,
	                    &(struct ek_nn_image){ .channels = in.channels, .height = in.height, .width = in.width });
	conv.residual = cases[index].residual ? value : 0;
	value = ek_nn_conv(g, value, &conv);
	assert_ok(value);
	out_size = (size_t)ek_nn_graph_shape(g, value).channels * (size_t)ek_nn_graph_shape(g, value).height *
	           (size_t)ek_nn_graph_shape(g, value).width;
	got = ref_run(g, value, x, size);
	assert_ok(ek_alloc(&want, 2 * out_size, sizeof *want));
	for (size_t i = 0; i < 2; i++)
		ref_conv(want + i * out_size, x + i * size, in, &conv, cases[index].residual ? x + i * size : NULL);
	/* Sums of per_output products in float32, each addition within 2^-24 of a partial sum below the bound;
	 * batch norm scales by gamma / sqrt(variance) < 2 and rounds once more. Activations do not steepen by more
	 * than 1.13 and are computed to 2^-20. In bf16 the result is rounded by 2^-9 of it, and so is each
	 * weight when a batch norm is folded into it (in a depthwise filter by up to 2^-8: it takes over what another
	 * lost), and the residual's sum is not rounded in between. */
	bound = 2 * (ref_bound(x, 2 * size, weight, outputs, per_output) + 8);
	ref_compare(
		cases[index].name, got, want, 2 * out_size,
		bound * ((double)(per_output + 8) * 0x1p-24 + 0x1p-20 + (rounded && cases[index].norm ? 0x1p-8 : 0)),
		rounded ? 0x1p-8 : 0);
	free(got);
	free(want);
	free(x);
	free(weight);
	free(bias);
	free(gamma);
	free(beta);
	free(mean);
	free(variance);
}

static void convolutions_equal_the_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		print_message("%s\n", cases[i].name);
		one_case(i, EK_NN_F32);
		if (ek_nn_cpu_has_bf16())
			one_case(i, EK_NN_BF16);
	}
}

/* An input that is its mean everywhere, and filters whose weights nearly cancel: rounding them to bf16 by up to 2^-9 of
 * 1 each would change the results by about sqrt(per_output / 3) 2^-10 = 0.006 times the input's size. */
static void the_bias_makes_up_for_rounded_weights(void **state)
{
	enum { GROUPS = 2, CHANNELS = 32, OUTPUTS = 8, KERNEL = 3, SIDE = 5 };
	enum {
		INPUTS = CHANNELS / GROUPS,
		WINDOW = KERNEL * KERNEL,
		PER_OUTPUT = INPUTS * WINDOW,
		PIXELS = SIDE * SIDE
	};
	struct ek_nn_conv conv = {
		.out_channels = OUTPUTS, .kernel = { KERNEL, KERNEL }, .groups = GROUPS, .activation = EK_NN_LINEAR
	};
	const struct ek_nn_shape in = { .channels = CHANNELS, .height = SIDE, .width = SIDE };
	const size_t size = (size_t)CHANNELS * PIXELS, out_size = (size_t)OUTPUTS * (SIDE - 2) * (SIDE - 2);
	float *x = filled(2 * size, 0, 0, 0), *mean = filled(CHANNELS, 1, 1, 0), *want = filled(2 * out_size, 0, 0, 0);
	float *weight = filled((size_t)OUTPUTS * PER_OUTPUT, 2, 1, 0), *got;
	struct ek_nn_graph *g;

	(void)state;
	if (!ek_nn_cpu_has_bf16())
		skip();
	ref_round_bf16(mean, CHANNELS);
	for (size_t i = 0; i < 2 * size; i++)
		x[i] = mean[i / PIXELS % CHANNELS];
	for (size_t o = 0; o < OUTPUTS; o++) {
		const float *m = mean + o / (OUTPUTS / GROUPS) * INPUTS;
		float *w = weight + o * PER_OUTPUT;
		double sum = 0, squares = 0;

		for (size_t i = 0; i < PER_OUTPUT; i++) {
			sum += (double)w[i] * (double)m[i / WINDOW];
			squares += (double)m[i / WINDOW] * (double)m[i / WINDOW];
		}
		for (size_t i = 0; i < PER_OUTPUT; i++)
			w[i] = (float)((double)w[i] - sum / squares * (double)m[i / WINDOW]);
	}
	conv.weight = weight;
	conv.input_mean = mean;
	assert_ok(ek_nn_graph_new(&g, EK_NN_BF16, 2));
	got = ref_run(
		g, ek_nn_conv(g, ek_nn_image(g, &(struct ek_nn_image){ CHANNELS, SIDE, SIDE, 0, NULL, NULL }), &conv),
		x, size);
	for (size_t i = 0; i < 2; i++)
		ref_conv(want + i * out_size, x + i * size, in, &conv, NULL);
	/* PER_OUTPUT products below 2, added in float32 where partial sums stay below 2 PER_OUTPUT. */
	ref_compare("corrected", got, want, 2 * out_size, 2.0 * PER_OUTPUT * PER_OUTPUT * 0x1p-24, 0x1p-8);
	free(got);
	free(want);
	free(x);
	free(mean);
	free(weight);
}

static void nonsense_is_refused(void **state)
{
	const float w[16] = { 0 };
	struct ek_nn_graph *g;
	int x, y;

	(void)state;
	assert_ok(ek_nn_graph_new(&g, EK_NN_F32, 1));
	x = ek_nn_image(g, &(struct ek_nn_image){ .channels = 4, .height = 3, .width = 3 });
	y = ek_nn_conv(g, x, &(struct ek_nn_conv){ .out_channels = 4, .kernel = { 5, 1 }, .weight = w });
	assert_fails(y, EK_EUSAGE, "does not fit an image of 3 x 3");
	assert_fails(ek_nn_conv(g, y, &(struct ek_nn_conv){ 0 }), EK_EUSAGE, "does not fit");
	assert_fails(ek_nn_conv(g, x, &(struct ek_nn_conv){ .out_channels = 4, .kernel = { 1, 1 } }), EK_EUSAGE,
	             "weights");
	assert_fails(
		ek_nn_conv(g, x,
	                   &(struct ek_nn_conv){ .out_channels = 4, .kernel = { 1, 1 }, .groups = 3, .weight = w }),
		EK_EUSAGE, "3 groups");
	assert_fails(
		ek_nn_conv(g, x,
	                   &(struct ek_nn_conv){ .out_channels = 2, .kernel = { 1, 1 }, .weight = w, .residual = x }),
		EK_EUSAGE, "residual");
	assert_fails(ek_nn_conv(g, 99, &(struct ek_nn_conv){ 0 }), EK_EUSAGE, "99");
	ek_nn_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convolutions_equal_the_reference),
		cmocka_unit_test(the_bias_makes_up_for_rounded_weights),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
