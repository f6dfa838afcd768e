/* Values of PyTorch (tests/golden/make_nn.py), in float32: the twin could share a mistake. (train_ops.json has those of
 * all others.) */

#include "tests/support/support.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net.h"

enum { BATCH = 2, CHANNELS = 3 };

/* Both sides sum at most 9 values below 20 in float32, in different orders. */
#define TOLERANCE (10 * 20 * 0x1p-24)

static void ints(int *out, const cJSON *c, const char *name, int count)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(c, name);

	assert_int_equal(cJSON_GetArraySize(array), count);
	for (int i = 0; i < count; i++)
		out[i] = cJSON_GetArrayItem(array, i)->valueint;
}

/* Number i of a case's array [2, channels, area] as it lies in the net, channels last. */
static size_t in_order(size_t i, size_t area)
{
	return (i / area / CHANNELS * area + i % area) * CHANNELS + i / area % CHANNELS;
}

static void check(struct ek_net *net, int image, int value, const cJSON *c)
{
	size_t x_count, y_count;
	double *x = ek_golden_doubles(c, "x", &x_count), *y = ek_golden_doubles(c, "y", &y_count);
	struct ek_net_state *s;
	const float *got;

	assert_ok(ek_net_output(net, value));
	assert_ok(ek_net_finish(net, EK_NET_FORWARD));
	assert_ok(ek_net_state_new(&s, net));
	assert_int_equal(x_count, BATCH * ek_net_elements(net, image));
	assert_int_equal(y_count, BATCH * ek_net_elements(net, value));
	for (size_t i = 0; i < x_count; i++)
		((float *)ek_net_stage(s, image))[in_order(i, x_count / BATCH / CHANNELS)] = (float)x[i];
	assert_ok(ek_net_forward(s));
	got = ek_net_view(s, value);
	for (size_t i = 0; i < y_count; i++) {
		print_message("result %zu\n", i);
		assert_true(fabs((double)got[in_order(i, y_count / BATCH / CHANNELS)] - y[i]) <= TOLERANCE);
	}
	free(x);
	free(y);
	ek_net_state_free(s);
}

static void pooling(void **state)
{
	const struct ek_params none = { 0 };
	const cJSON *c;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(*state, "pool"))
	{
		struct ek_net_pool pool = {
			.kind = (enum ek_net_pool_kind)cJSON_GetObjectItemCaseSensitive(c, "kind")->valueint
		};
		struct ek_net *net;
		int size[2], pad[2], image;

		ints(size, c, "size", 2);
		ints(pool.kernel, c, "kernel", 2);
		ints(pool.stride, c, "stride", 2);
		ints(pad, c, "pad", 2);
		for (int i = 0; i < 4; i++)
			pool.pad[i] = pad[i / 2];
		assert_ok(ek_net_new(&net, &none, EK_NN_F32, BATCH));
		assert_ok(image = ek_net_input(net, (struct ek_net_shape){ size[0], size[1], CHANNELS }));
		check(net, image, ek_net_pool(net, image, &pool), c);
		ek_net_free(net);
	}
}

/* kind of x, by the activation behind a product that gives x: one layer forward alone, which oneDNN computes. */
static void activate(float *out, const float *x, int count, enum ek_nn_activation kind)
{
	struct ek_params params = { 0 };
	struct ek_net *net;
	struct ek_net_state *s;
	const float one = 1;
	int in, y;

	assert_ok(ek_params_add(&params, "one", 2, (const int64_t[]){ 1, 1 }, (struct ek_init){ 0 }));
	assert_ok(ek_net_new(&net, &params, EK_NN_F32, 1));
	assert_ok(in = ek_net_input(net, (struct ek_net_shape){ 1, count, 1 }));
	assert_ok(y = ek_net_linear(net, in, &(struct ek_net_linear){ .weight = 0, .bias = -1, .outputs = 1 }));
	assert_ok(y = ek_net_activation(net, y, kind));
	assert_ok(ek_net_output(net, y));
	assert_ok(ek_net_finish(net, EK_NET_FORWARD));
	assert_ok(ek_net_load(net, &one));
	assert_ok(ek_net_state_new(&s, net));
	memcpy(ek_net_stage(s, in), x, (size_t)count * sizeof *x);
	assert_ok(ek_net_forward(s));
	memcpy(out, ek_net_view(s, y), (size_t)count * sizeof *out);
	ek_net_state_free(s);
	ek_net_free(net);
	ek_params_release(&params);
}

static void activations(void **state)
{
	const cJSON *c = cJSON_GetObjectItemCaseSensitive(*state, "activation"), *wanted;
	size_t count;
	double *given = ek_golden_doubles(c, "x", &count);
	float *x = ref_poisoned(count), *got = ref_poisoned(count);
	int kind = 0;

	for (size_t i = 0; i < count; i++)
		x[i] = (float)given[i];
	cJSON_ArrayForEach(wanted, cJSON_GetObjectItemCaseSensitive(c, "y"))
	{
		activate(got, x, (int)count, (enum ek_nn_activation)kind);
		for (size_t i = 0; i < count; i++) {
			const double want = cJSON_GetArrayItem(wanted, (int)i)->valuedouble;

			print_message("activation %d of %g\n", kind, (double)x[i]);
			/* oneDNN's own accuracy of these functions: 1e-6 of values below 8 */
			assert_true(fabs((double)got[i] - want) <= 8e-6);
			assert_true(fabs(ref_activate((enum ek_nn_activation)kind, (double)x[i]) - want) <= 4e-6);
		}
		kind++;
	}
	assert_int_equal(kind, EK_NN_ACTIVATION_COUNT);
	free(given);
	free(x);
	free(got);
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
		cmocka_unit_test(pooling),
		cmocka_unit_test(activations),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
