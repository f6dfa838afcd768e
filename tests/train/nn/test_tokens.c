#include <stdlib.h>

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

enum { T = 7, F = 13 };

static float *tokens_new(void)
{
	float *x = ref_poisoned(2 * T * F);

	ref_fill(x, 2 * T * F, 1);
	ref_round_bf16(x, 2 * T * F); /* exact in both precisions, so that moves are, too */
	return x;
}

static enum ek_nn_precision last_precision(void)
{
	return ek_nn_cpu_has_bf16() ? EK_NN_BF16 : EK_NN_F32;
}

static void patches_are_the_reference_exactly(void **state)
{
	const struct {
		int channels, height, width, side;
	} cases[] = { { 3, 10, 15, 5 }, { 1, 7, 7, 7 }, { 3, 28, 42, 14 }, { 5, 3, 4, 1 } };

	(void)state;
	for (enum ek_nn_precision precision = EK_NN_F32; precision <= last_precision(); precision++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct ek_nn_shape in = { .channels = cases[i].channels,
				                        .height = cases[i].height,
				                        .width = cases[i].width };
			const size_t size = (size_t)(in.channels * in.height * in.width);
			float *x = ref_poisoned(2 * size), *want = ref_poisoned(2 * size), *got;
			struct ek_nn_graph *g;
			int value;

			ref_fill(x, 2 * size, 1);
			ref_round_bf16(x, 2 * size);
			assert_ok(ek_nn_graph_new(&g, precision, 2));
			value = ek_nn_image(g, &(struct ek_nn_image){ .channels = in.channels,
			                                              .height = in.height,
			                                              .width = in.width });
			value = ek_nn_patches(g, value, cases[i].side);
			assert_ok(value);
			assert_int_equal(ek_nn_graph_shape(g, value).features,
			                 in.channels * cases[i].side * cases[i].side);
			got = ref_run(g, value, x, size);
			ref_patches(want, x, in, cases[i].side);
			ref_patches(want + size, x + size, in, cases[i].side);
			assert_memory_equal(got, want, 2 * size * sizeof *got);
			free(x);
			free(want);
			free(got);
		}
}

static void sequences_start_with_the_prefix_and_add_positions(void **state)
{
	float prefix[2 * F], positions[T * F], *x = tokens_new(), *input = ref_token_input(x, T, F);

	(void)state;
	ref_fill(prefix, 2 * F, 2);
	ref_fill(positions, T * F, 3);
	for (enum ek_nn_precision precision = EK_NN_F32; precision <= last_precision(); precision++)
		for (int count = 0; count <= 2; count++)
			for (int with = 0; with < 2; with++) {
				const size_t size = (size_t)(count + T) * F;
				const struct ek_nn_sequence sequence = { count, prefix, with ? positions : NULL };
				struct ek_nn_graph *g;
				float *got;
				int tokens;

				g = ref_token_graph(&tokens, precision, T, F);
				got = ref_run(g, ek_nn_sequence(g, tokens, &sequence), input, T * F);
				for (size_t i = 0; i < 2 * size; i++) {
					const size_t image = i / size, place = i % size, first = (size_t)count * F;
					const float want = place < first
					                           ? prefix[place]
					                           : x[image * T * F + place - first] +
					                                     (with ? positions[place - first] : 0);

					assert_memory_equal(&got[i], &want, sizeof want);
				}
				free(got);
			}
	free(x);
	free(input);
}

static void tokens_are_taken_and_averaged(void **state)
{
	float *x = tokens_new(), *input = ref_token_input(x, T, F);

	(void)state;
	for (enum ek_nn_precision precision = EK_NN_F32; precision <= last_precision(); precision++)
		for (int first = 0; first < T; first += 3)
			for (int count = 1; count <= T - first; count++) {
				struct ek_nn_graph *g;
				float *taken, *mean;
				int tokens;

				g = ref_token_graph(&tokens, precision, T, F);
				taken = ref_run(g, ek_nn_take_tokens(g, tokens, first, count), input, T * F);
				g = ref_token_graph(&tokens, precision, T, F);
				mean = ref_run(g, ek_nn_mean_tokens(g, tokens, first, count), input, T * F);
				for (int i = 0; i < 2; i++)
					assert_memory_equal(taken + i * count * F, x + (i * T + first) * F,
					                    (size_t)count * F * sizeof *x);
				for (int i = 0; i < 2 * F; i++) {
					double sum = 0;

					for (int t = first; t < first + count; t++)
						sum += (double)x[(i / F * T + t) * F + i % F];
					/* up to 7 values below 5, summed in float32 */
					assert_close(mean[i], sum / count, 7 * 5 * 0x1p-24);
				}
				free(taken);
				free(mean);
			}
	free(x);
	free(input);
}

static void ranges_outside_are_refused(void **state)
{
	struct ek_nn_graph *g;
	int tokens;

	(void)state;
	g = ref_token_graph(&tokens, EK_NN_F32, T, F);
	assert_fails(ek_nn_take_tokens(g, tokens, 3, T - 2), EK_EUSAGE, "5 tokens from 3 on, of 7");
	assert_fails(ek_nn_mean_tokens(g, tokens, -1, 2), EK_EUSAGE, "from -1");
	assert_fails(ek_nn_take_tokens(g, tokens, 0, 0), EK_EUSAGE, "0 tokens");
	assert_fails(ek_nn_patches(g, tokens, 1), EK_EUSAGE, "wants an image");
	assert_fails(ek_nn_sequence(g, tokens, &(struct ek_nn_sequence){ .prefix_count = 1 }), EK_EUSAGE, "1 tokens");
	ek_nn_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patches_are_the_reference_exactly),
		cmocka_unit_test(sequences_start_with_the_prefix_and_add_positions),
		cmocka_unit_test(tokens_are_taken_and_averaged),
		cmocka_unit_test(ranges_outside_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
