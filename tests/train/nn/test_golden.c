/* Values of PyTorch (tests/golden/make_nn.py), in float32: the twin in reference.c could share a mistake. */
#include <stdlib.h>

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

/* Both sides sum at most 45 products of values below 20 in float32, in different orders. */
#define TOLERANCE (100 * 20 * 0x1p-24)

static float *floats(const cJSON *c, const char *name, size_t *count)
{
	double *values = ek_golden_doubles(c, name, count);
	float *out = malloc((*count + 1) * sizeof *out);

	assert_non_null(out);
	for (size_t i = 0; i < *count; i++)
		out[i] = (float)values[i];
	free(values);
	return out;
}

static int whole(const cJSON *c, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c, name);

	assert_true(cJSON_IsNumber(item));
	return item->valueint;
}

static void pair(int *out, const cJSON *c, const char *name, int count)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(c, name);

	assert_int_equal(cJSON_GetArraySize(array), count);
	for (int i = 0; i < count; i++)
		out[i] = cJSON_GetArrayItem(array, i)->valueint;
}

/* Runs the graph on the case's x as it is and compares with its y; frees g. */
static void check_images(const cJSON *c, struct ek_nn_graph *g, int value)
{
	size_t x_count, y_count;
	float *x = floats(c, "x", &x_count), *y = floats(c, "y", &y_count), *got;

	assert_ok(value);
	got = ref_run(g, value, x, x_count / 2);
	ref_compare("golden", got, y, y_count, TOLERANCE, 0);
	free(x);
	free(y);
	free(got);
}

static void check_tokens(const cJSON *c, struct ek_nn_graph *g, int value)
{
	const int t = whole(c, "tokens"), f = whole(c, "features");
	size_t x_count, y_count;
	float *x = floats(c, "x", &x_count), *y = floats(c, "y", &y_count), *input = ref_token_input(x, t, f), *got;

	assert_int_equal(x_count, 2 * t * f);
	got = ref_run(g, value, input, x_count / 2);
	ref_compare("golden", got, y, y_count, TOLERANCE, 0);
	free(x);
	free(y);
	free(input);
	free(got);
}

static void convolutions(void **state)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(*state, "conv"))
	{
		size_t count;
		float *weight = floats(c, "weight", &count), *mean = floats(c, "mean", &count);
		float *variance = floats(c, "variance", &count), *gamma = floats(c, "gamma", &count);
		float *beta = floats(c, "beta", &count);
		struct ek_nn_conv conv = { .out_channels = whole(c, "out"),
			                   .groups = whole(c, "groups"),
			                   .weight = weight,
			                   .norm = { gamma, beta, mean, variance, 1e-3 },
			                   .activation = whole(c, "relu6") ? EK_NN_RELU6 : EK_NN_LINEAR };
		struct ek_nn_graph *g;
		int size[2], value;

		pair(size, c, "size", 2);
		pair(conv.kernel, c, "kernel", 2);
		pair(conv.stride, c, "stride", 2);
		pair(conv.pad, c, "pad", 4);
		assert_ok(ek_nn_graph_new(&g, EK_NN_F32, 2));
		value = ek_nn_image(g, &(struct ek_nn_image){
					       .channels = whole(c, "channels"), .height = size[0], .width = size[1] });
		check_images(c, g, ek_nn_conv(g, value, &conv));
		free(weight);
		free(mean);
		free(variance);
		free(gamma);
		free(beta);
	}
}

static void pooling(void **state)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(*state, "pool"))
	{
		struct ek_nn_pool pool = { .kind = (enum ek_nn_pool_kind)whole(c, "kind") };
		struct ek_nn_graph *g;
		int size[2], pad[2], value;

		pair(size, c, "size", 2);
		pair(pool.kernel, c, "kernel", 2);
		pair(pool.stride, c, "stride", 2);
		pair(pad, c, "pad", 2);
		for (int i = 0; i < 4; i++)
			pool.pad[i] = pad[i / 2];
		assert_ok(ek_nn_graph_new(&g, EK_NN_F32, 2));
		value = ek_nn_image(g, &(struct ek_nn_image){ .channels = 3, .height = size[0], .width = size[1] });
		check_images(c, g, ek_nn_pool(g, value, &pool));
	}
}

static void attention(void **state)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(*state, "attention"))
	{
		struct ek_nn_graph *g;
		int tokens;

		g = ref_token_graph(&tokens, EK_NN_F32, whole(c, "tokens"), whole(c, "features"));
		check_tokens(c, g, ek_nn_attention(g, tokens, whole(c, "heads")));
	}
}

static void layer_norm(void **state)
{
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(*state, "layer_norm"))
	{
		size_t count;
		float *gamma = floats(c, "gamma", &count), *beta = floats(c, "beta", &count);
		const struct ek_nn_layer_norm norm = { gamma, beta, 1e-6 };
		struct ek_nn_graph *g;
		int tokens;

		g = ref_token_graph(&tokens, EK_NN_F32, whole(c, "tokens"), whole(c, "features"));
		check_tokens(c, g, ek_nn_layer_norm(g, tokens, &norm));
		free(gamma);
		free(beta);
	}
}

/* Each activation behind a linear layer of weight 1, and the twin's as well. */
static void activations(void **state)
{
	const cJSON *c = cJSON_GetObjectItemCaseSensitive(*state, "activation"), *wanted;
	const float one = 1;
	size_t count;
	float *x = floats(c, "x", &count);
	int kind = 0;

	cJSON_ArrayForEach(wanted, cJSON_GetObjectItemCaseSensitive(c, "y"))
	{
		float *twice = malloc(2 * count * sizeof *twice), *got;
		struct ek_nn_graph *g;
		int tokens;

		assert_non_null(twice);
		for (size_t i = 0; i < 2 * count; i++)
			twice[i] = x[i % count];
		g = ref_token_graph(&tokens, EK_NN_F32, (int)count, 1);
		got = ref_run(g,
		              ek_nn_linear(g, tokens,
		                           &(struct ek_nn_linear){ .out_features = 1,
		                                                   .weight = { &one },
		                                                   .activation = (enum ek_nn_activation)kind }),
		              twice, count);
		for (size_t i = 0; i < count; i++) {
			const double want = cJSON_GetArrayItem(wanted, (int)i)->valuedouble;

			print_message("activation %d of %g\n", kind, (double)x[i]);
			/* oneDNN's own accuracy of these functions: 1e-6 of values below 8 */
			assert_true(fabs((double)got[i] - want) <= 8e-6);
			assert_true(fabs(ref_activate((enum ek_nn_activation)kind, (double)x[i]) - want) <= 4e-6);
		}
		free(twice);
		free(got);
		kind++;
	}
	assert_int_equal(kind, EK_NN_ACTIVATION_COUNT);
	free(x);
}

static int load(void **state)
{
	*state = ek_golden("nn");
	return 0;
}

static int unload(void **state)
{
	cJSON_Delete(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(convolutions), cmocka_unit_test(pooling),     cmocka_unit_test(attention),
		cmocka_unit_test(layer_norm),   cmocka_unit_test(activations),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
