#include <stdlib.h>

#include "rebalance/base/memory.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const struct {
	const char *name;
	int tokens, in, out, parts;
	int scale, residual;
	enum ek_nn_activation activation;
} cases[] = {
	{ "one output", 5, 7, 1, 1, 0, 0, EK_NN_LINEAR },
	{ "relu", 7, 11, 13, 1, 0, 0, EK_NN_RELU },
	{ "relu6", 11, 13, 5, 1, 0, 0, EK_NN_RELU6 },
	{ "gelu erf", 13, 5, 11, 1, 0, 0, EK_NN_GELU_ERF },
	{ "gelu tanh", 13, 5, 11, 1, 0, 0, EK_NN_GELU_TANH },
	{ "quick gelu", 13, 5, 11, 1, 0, 0, EK_NN_QUICK_GELU },
	{ "silu", 13, 5, 11, 1, 0, 0, EK_NN_SILU },
	{ "two parts", 5, 13, 14, 2, 0, 0, EK_NN_LINEAR },
	{ "three parts, scaled, on a residual", 11, 15, 15, 3, 1, 1, EK_NN_LINEAR },
	{ "vit queries, keys and values", 50, 384, 1152, 3, 0, 0, EK_NN_LINEAR },
	{ "vit projection", 50, 384, 384, 1, 1, 1, EK_NN_LINEAR },
	{ "vit hidden", 65, 384, 1536, 1, 0, 0, EK_NN_GELU_ERF },
};

static void one_case(size_t index, enum ek_nn_precision precision)
{
	const struct ek_nn_shape in = { .tokens = cases[index].tokens, .features = cases[index].in };
	const size_t inputs = (size_t)in.features, outputs = (size_t)cases[index].out,
		     size = (size_t)in.tokens * inputs;
	const size_t each = outputs / (size_t)cases[index].parts, out_size = (size_t)in.tokens * outputs;
	struct ek_nn_linear linear = { .out_features = cases[index].out, .activation = cases[index].activation };
	float *x = ref_poisoned(2 * size), *weight = ref_poisoned(outputs * inputs), *bias = ref_poisoned(outputs);
	float *scale = ref_poisoned(outputs), *want = ref_poisoned(2 * out_size), *input, *got;
	struct ek_nn_graph *g;
	double bound;
	int tokens, value;

	ref_fill(x, 2 * size, 1);
	ref_fill(weight, outputs * inputs, 2);
	ref_fill(bias, outputs, 3);
	for (size_t i = 0; i < outputs * inputs; i++)
		weight[i] /= sqrtf((float)inputs);
	for (size_t i = 0; i < outputs; i++) /* powers of two, so that scaled weights are exact in bf16 */
		scale[i] = i % 2 == 0 ? 0.5F : -2;
	if (precision == EK_NN_BF16) {
		ref_round_bf16(x, 2 * size);
		ref_round_bf16(weight, outputs * inputs);
	}
	for (int i = 0; i < cases[index].parts; i++) {
		linear.weight[i] = weight + (size_t)i * each * inputs;
		linear.bias[i] = i == 1 ? NULL : bias + (size_t)i * each;
	}
	linear.scale = cases[index].scale ? scale : NULL;
	g = ref_token_graph(&tokens, precision, in.tokens, in.features);
	linear.residual = cases[index].residual ? tokens : 0;
	value = ek_nn_linear(g, tokens, &linear);
	input = ref_token_input(x, in.tokens, in.features);
	got = ref_run(g, value, input, size);
	for (size_t i = 0; i < 2; i++)
		ref_linear(want + i * out_size, x + i * size, in, &linear, cases[index].residual ? x + i * size : NULL);
	/* As for convolutions: float32 sums below the bound, times at most 2, plus bias and residual below 10, and
	 * activations to 2^-20. The output is float32 in both precisions, so bf16 rounds nothing more. */
	bound = 2 * ref_bound(x, 2 * size, weight, outputs, inputs) + 10;
	ref_compare(cases[index].name, got, want, 2 * out_size, bound * ((double)(inputs + 8) * 0x1p-24 + 0x1p-20), 0);
	free(x);
	free(weight);
	free(bias);
	free(scale);
	free(want);
	free(input);
	free(got);
}

static void linear_layers_equal_the_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		print_message("%s\n", cases[i].name);
		one_case(i, EK_NN_F32);
		if (ek_nn_cpu_has_bf16())
			one_case(i, EK_NN_BF16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_layers_equal_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
