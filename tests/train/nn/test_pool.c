#include <stdlib.h>

#include "rebalance/base/memory.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const struct {
	const char *name;
	int channels, height, width;
	struct ek_nn_pool pool;
} cases[] = {
	{ "max", 5, 7, 11, { .kind = EK_NN_POOL_MAX, .kernel = { 3, 3 }, .stride = { 2, 2 } } },
	{ "max padded", 13, 5, 7, { .kind = EK_NN_POOL_MAX, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } } },
	{ "average", 7, 11, 5, { .kind = EK_NN_POOL_AVERAGE, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } } },
	{ "average exclusive",
	  11,
	  5,
	  13,
	  { .kind = EK_NN_POOL_AVERAGE_EXCLUSIVE, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } } },
	{ "odd window",
	  5,
	  13,
	  7,
	  { .kind = EK_NN_POOL_AVERAGE_EXCLUSIVE, .kernel = { 5, 2 }, .stride = { 3, 1 }, .pad = { 2, 0, 0, 1 } } },
	{ "inception max", 64, 35, 35, { .kind = EK_NN_POOL_MAX, .kernel = { 3, 3 }, .stride = { 2, 2 } } },
	{ "inception average",
	  192,
	  17,
	  17,
	  { .kind = EK_NN_POOL_AVERAGE_EXCLUSIVE, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 } } },
};

/* As it is, and behind a 1 x 1 identity convolution, so that pooling sees the layout and type of convolutions. */
static void one_case(size_t index, enum ek_nn_precision precision, int behind)
{
	const struct ek_nn_shape in = { .channels = cases[index].channels,
		                        .height = cases[index].height,
		                        .width = cases[index].width };
	const size_t size = (size_t)(in.channels * in.height * in.width), channels = (size_t)in.channels;
	float *x, *identity, *got, *want;
	struct ek_nn_graph *g;
	struct ek_nn_shape shape;
	size_t out_size;
	int value;

	assert_ok(ek_alloc(&x, 2 * size, sizeof *x));
	assert_ok(ek_alloc(&identity, channels * channels, sizeof *identity));
	ref_fill(x, 2 * size, 1);
	if (precision == EK_NN_BF16)
		ref_round_bf16(x, 2 * size);
	for (size_t i = 0; i < channels; i++)
		identity[i * channels + i] = 1;
	assert_ok(ek_nn_graph_new(&g, precision, 2));
	value = ek_nn_image(g,
	                    &(struct ek_nn_image){ .channels = in.channels, .height = in.height, .width = in.width });
	if (behind)
		value = ek_nn_conv(
			g, value,
			&(struct ek_nn_conv){ .out_channels = in.channels, .kernel = { 1, 1 }, .weight = identity });
	value = ek_nn_pool(g, value, &cases[index].pool);
	assert_ok(value);
	shape = ek_nn_graph_shape(g, value);
	out_size = (size_t)(shape.channels * shape.height * shape.width);
	got = ref_run(g, value, x, size);
	assert_ok(ek_alloc(&want, 2 * out_size, sizeof *want));
	for (size_t i = 0; i < 2; i++)
		ref_pool(want + i * out_size, x + i * size, in, &cases[index].pool);
	/* At most 10 values below 5 are summed in float32 and divided: 12 · 50 · 2^-24 is far above; bf16 rounds the
	 * result by 2^-9 of it. */
	ref_compare(cases[index].name, got, want, 2 * out_size, 12 * 50 * 0x1p-24,
	            precision == EK_NN_BF16 ? 0x1p-8 : 0);
	free(x);
	free(identity);
	free(got);
	free(want);
}

static void pooling_equals_the_reference(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int behind = 0; behind < 2; behind++) {
			print_message("%s\n", cases[i].name);
			one_case(i, EK_NN_F32, behind);
			if (ek_nn_cpu_has_bf16())
				one_case(i, EK_NN_BF16, behind);
		}
}

static void the_global_average_equals_the_reference(void **state)
{
	const struct ek_nn_shape shapes[] = { { .channels = 13, .height = 5, .width = 7 },
		                              { .channels = 1280, .height = 3, .width = 3 } };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (enum ek_nn_precision precision = EK_NN_F32;
		     precision <= (ek_nn_cpu_has_bf16() ? EK_NN_BF16 : EK_NN_F32); precision++) {
			const struct ek_nn_shape in = shapes[i];
			const size_t size = (size_t)(in.channels * in.height * in.width);
			float *x = ref_poisoned(2 * size), *want = ref_poisoned(2 * (size_t)in.channels), *got;
			struct ek_nn_graph *g;
			int value;

			ref_fill(x, 2 * size, 1);
			assert_ok(ek_nn_graph_new(&g, precision, 2));
			value = ek_nn_image(g, &(struct ek_nn_image){ .channels = in.channels,
			                                              .height = in.height,
			                                              .width = in.width });
			got = ref_run(g, ek_nn_global_average(g, value), x, size);
			ref_global_average(want, x, in);
			ref_global_average(want + in.channels, x + size, in);
			/* Up to 35 float32 additions of values below 5. */
			ref_compare("global average", got, want, 2 * (size_t)in.channels, 35 * 5 * 0x1p-24, 0);
			free(x);
			free(want);
			free(got);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pooling_equals_the_reference),
		cmocka_unit_test(the_global_average_equals_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
