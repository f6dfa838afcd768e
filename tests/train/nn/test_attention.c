#include <stdlib.h>

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const struct {
	const char *name;
	int tokens, heads, width; /* of one head */
	double size;              /* of queries and keys */
} cases[] = {
	{ "one token", 1, 1, 5, 1 },           { "odd", 5, 3, 7, 1 },         { "odd and peaked", 13, 1, 11, 8 },
	{ "clip b/32 at 224", 50, 12, 64, 1 }, { "vit b/16", 197, 2, 64, 2 }, { "dinov2 at 224", 257, 6, 64, 1 },
	{ "dinov2 at 266", 362, 1, 64, 3 },
};

static void one_case(size_t index, enum ek_nn_precision precision)
{
	const int bf16 = precision == EK_NN_BF16;
	const int width = cases[index].heads * cases[index].width;
	const struct ek_nn_shape in = { .tokens = cases[index].tokens, .features = 3 * width };
	const size_t size = (size_t)in.tokens * (size_t)in.features, out_size = size / 3;
	float *x = ref_poisoned(2 * size), *want = ref_poisoned(2 * out_size), *input, *got;
	struct ek_nn_graph *g;
	double scores;
	int tokens;

	ref_fill(x, 2 * size, 1);
	for (size_t i = 0; i < 2 * size; i++)
		if (i % (size_t)in.features < 2 * (size_t)width)
			x[i] *= (float)cases[index].size;
	if (bf16)
		ref_round_bf16(x, 2 * size);
	g = ref_token_graph(&tokens, precision, in.tokens, in.features);
	input = ref_token_input(x, in.tokens, in.features);
	got = ref_run(g, ek_nn_attention(g, tokens, cases[index].heads), input, size);
	ref_attention(want, x, in, cases[index].heads);
	ref_attention(want + out_size, x + size, in, cases[index].heads);
	/* Scores are sums of `width` products, each below (5 size)^2, / sqrt(width): an absolute error of e in a
	 * score changes a share by at most 2e of it, and so the mean of values (below 5) by 10 e. Sums of shares:
	 * (tokens + 8) · 2^-24 · 5. In bf16 shares are rounded by 2^-9 of each (5 · 2^-9 in the mean at worst) and the
	 * result by 2^-9 of it. */
	scores = cases[index].width * 0x1p-24 * sqrt(cases[index].width) * 25 * cases[index].size * cases[index].size;
	ref_compare(cases[index].name, got, want, 2 * out_size,
	            10 * scores + 5 * (in.tokens + 8) * 0x1p-24 + (bf16 ? 5 * 0x1p-9 : 0), bf16 ? 0x1p-8 : 0);
	free(x);
	free(want);
	free(input);
	free(got);
}

static void attention_equals_the_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		print_message("%s\n", cases[i].name);
		one_case(i, EK_NN_F32);
		if (ek_nn_cpu_has_bf16())
			one_case(i, EK_NN_BF16);
	}
}

static void widths_that_do_not_divide_are_refused(void **state)
{
	struct ek_nn_graph *g;
	int tokens;

	(void)state;
	g = ref_token_graph(&tokens, EK_NN_F32, 5, 12);
	assert_fails(ek_nn_attention(g, tokens, 3), EK_EUSAGE, "3 heads over 12");
	assert_fails(ek_nn_attention(g, tokens, 0), EK_EUSAGE, "0 heads");
	ek_nn_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_equals_the_reference),
		cmocka_unit_test(widths_that_do_not_divide_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
