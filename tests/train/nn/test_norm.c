#include <stdlib.h>

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const struct {
	int tokens, features;
	double shift;
} cases[] = { { 5, 7, 0 }, { 7, 13, 100 }, { 11, 16, 0 }, { 13, 33, -5 }, { 50, 384, 3 }, { 3, 1024, 0 } };

static void one_case(size_t index, enum ek_nn_precision precision, int constants)
{
	const struct ek_nn_shape in = { .tokens = cases[index].tokens, .features = cases[index].features };
	const size_t features = (size_t)in.features, size = (size_t)in.tokens * features;
	float *x = ref_poisoned(2 * size), *gamma = ref_poisoned(features), *beta = ref_poisoned(features);
	float *want = ref_poisoned(2 * size), *input, *got;
	const struct ek_nn_layer_norm norm = { constants ? gamma : NULL, constants ? beta : NULL, 1e-6 };
	struct ek_nn_graph *g;
	int tokens;

	ref_fill(x, 2 * size, 1);
	ref_fill(gamma, features, 2);
	ref_fill(beta, features, 3);
	for (size_t i = 0; i < 2 * size; i++)
		x[i] += (float)cases[index].shift;
	if (precision == EK_NN_BF16)
		ref_round_bf16(x, 2 * size);
	g = ref_token_graph(&tokens, precision, in.tokens, in.features);
	input = ref_token_input(x, in.tokens, in.features);
	got = ref_run(g, ek_nn_layer_norm(g, tokens, &norm), input, size);
	ref_layer_norm(want, x, in, &norm);
	ref_layer_norm(want + size, x + size, in, &norm);
	/* The mean errs by at most (features / 16 + 4) · 2^-24 · (|shift| + 5), seen through 1 / deviation < 4 (of 7
	 * normal values, with this seed) and gamma < 4; the rest is a few roundings of results below 5 · 4. */
	ref_compare("layer norm", got, want, 2 * size,
	            ((double)features / 16 + 8) * 0x1p-24 * (fabs(cases[index].shift) + 5) * 16 + 100 * 0x1p-24, 0);
	free(x);
	free(gamma);
	free(beta);
	free(want);
	free(input);
	free(got);
}

static void layer_norm_equals_the_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int constants = 0; constants < 2; constants++) {
			print_message("%d x %d\n", cases[i].tokens, cases[i].features);
			one_case(i, EK_NN_F32, constants);
			if (ek_nn_cpu_has_bf16())
				one_case(i, EK_NN_BF16, constants);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layer_norm_equals_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
