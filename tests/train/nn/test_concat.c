#include <stdlib.h>

#include "rebalance/base/memory.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

enum { SIDE = 5, AREA = SIDE * SIDE };

static enum ek_nn_precision last_precision(void)
{
	return ek_nn_cpu_has_bf16() ? EK_NN_BF16 : EK_NN_F32;
}

/* Identity convolutions of `channels[i]` of the 32 input channels each, joined: exact in both precisions. */
static void images_are_joined_over_channels(void **state)
{
	static const int channels[][3] = { { 5, 7, 11 }, { 16, 32, 16 }, { 13, 16, 32 } };
	float *x = ref_poisoned(2 * 32 * AREA), *identity;

	(void)state;
	ref_fill(x, 2 * 32 * AREA, 1);
	ref_round_bf16(x, 2 * 32 * AREA);
	assert_ok(ek_alloc(&identity, 32 * 32, sizeof *identity));
	for (int i = 0; i < 32; i++)
		identity[i * 32 + i] = 1;
	for (enum ek_nn_precision precision = EK_NN_F32; precision <= last_precision(); precision++)
		for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
			const size_t total = (size_t)(channels[i][0] + channels[i][1] + channels[i][2]);
			struct ek_nn_graph *g;
			int image, parts[3];
			float *got;
			size_t place = 0;

			assert_ok(ek_nn_graph_new(&g, precision, 2));
			image = ek_nn_image(g, &(struct ek_nn_image){ .channels = 32, .height = SIDE, .width = SIDE });
			for (int p = 0; p < 3; p++)
				parts[p] = ek_nn_conv(g, image,
				                      &(struct ek_nn_conv){ .out_channels = channels[i][p],
				                                            .kernel = { 1, 1 },
				                                            .weight = identity });
			got = ref_run(g, ek_nn_concat(g, parts, 3), x, 32 * AREA);
			for (int image_index = 0; image_index < 2; image_index++)
				for (int p = 0; p < 3; p++) {
					const size_t size = (size_t)channels[i][p] * AREA;

					assert_memory_equal(got + place, x + image_index * 32 * AREA, size * sizeof *x);
					place += size;
				}
			assert_int_equal(place, 2 * total * AREA);
			free(got);
		}
	free(x);
	free(identity);
}

static void tokens_are_joined_over_features(void **state)
{
	enum { T = 5, F = 7 };
	float *x = ref_poisoned(2 * T * F), *input;

	(void)state;
	ref_fill(x, 2 * T * F, 1);
	ref_round_bf16(x, 2 * T * F);
	input = ref_token_input(x, T, F);
	for (enum ek_nn_precision precision = EK_NN_F32; precision <= last_precision(); precision++) {
		struct ek_nn_graph *g;
		int tokens, pair[2];
		float *got;

		g = ref_token_graph(&tokens, precision, T, F);
		pair[0] = ek_nn_take_tokens(g, tokens, 1, 2);
		pair[1] = ek_nn_take_tokens(g, tokens, 3, 2);
		got = ref_run(g, ek_nn_concat(g, pair, 2), input, T * F);
		for (int i = 0; i < 2; i++)
			for (int t = 0; t < 2; t++)
				for (int half = 0; half < 2; half++)
					assert_memory_equal(got + ((i * 2 + t) * 2 + half) * F,
					                    x + (i * T + 1 + 2 * half + t) * F, F * sizeof *x);
		free(got);
	}
	free(x);
	free(input);
}

static void values_that_do_not_fit_are_refused(void **state)
{
	struct ek_nn_graph *g;
	int values[2];

	(void)state;
	g = ref_token_graph(&values[0], EK_NN_F32, 5, 7);
	values[1] = ek_nn_take_tokens(g, values[0], 0, 1);
	assert_fails(ek_nn_concat(g, values, 2), EK_EUSAGE, "value 2");
	assert_fails(ek_nn_concat(g, values, 0), EK_EUSAGE, "0 values");
	assert_fails(ek_nn_concat(g, values, 17), EK_EUSAGE, "17 values");
	ek_nn_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_joined_over_channels),
		cmocka_unit_test(tokens_are_joined_over_features),
		cmocka_unit_test(values_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
