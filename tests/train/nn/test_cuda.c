/* The table of cases on a GPU against the twin: every operator, forward and backward, in float32 and bfloat16; and the
 * store beside the CPU's. Skipped where no GPU can be used. Arguments: only cases whose names have one of them; before
 * them "--once" runs every kernel of a case, and compares nothing: enough for a sanitizer, under which all takes long.
 */

#include "rebalance/base/error.h"
#include "tests/support/support.h"
#include "tests/train/nn/net_images.h"
#include "tests/train/nn/net_trial.h"
#include "tests/train/nn/net_twin.h"
#include "tests/train/nn/on_device.h"
#include "tests/train/nn/reference.h"
#include "train/nn/net_internal.h"

static int has_layers(const struct net_case *c)
{
	struct net_subject s;
	int rc = 1;

	net_subject_new(&s, c, EK_NN_F32, 0, NET_TWIN_BATCH);
	for (int i = 0; i < s.net->op_count && rc; i++)
		if (s.net->device->codes[s.net->ops[i].kind]->forward == NULL) {
			print_message("%s: the GPU lacks the layer %s\n", c->name,
			              ek_net_operators[s.net->ops[i].kind].name);
			rc = 0;
		}
	net_subject_free(&s);
	return rc;
}

/* Images that are equal have equal results, wherever their rows lie in products of a hundred thousand. */
static void equal_images_are_equal(const struct net_case *c)
{
	enum { BATCH = 75 };
	struct net_trial t;
	struct ek_net_state *s;
	float *got, *at;

	net_trial_new(&t, c, EK_NN_BF16, EK_NET_TRAIN, 0, BATCH);
	for (size_t image = 1; image < BATCH; image++) {
		const size_t inputs = ek_net_elements(t.s.net, t.s.inputs[0]);
		const size_t outputs = ek_net_elements(t.s.net, t.s.outputs[0]);

		memcpy(t.inputs[0] + image * inputs, t.inputs[0], inputs * sizeof *t.inputs[0]);
		memcpy(t.given[0] + image * outputs, t.given[0], outputs * sizeof *t.given[0]);
	}
	assert_ok(ek_net_state_new(&s, t.s.net));
	at = got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	for (int which = 0; which < 2; which++) {
		const size_t count = ek_net_elements(t.s.net, which == 0 ? t.s.outputs[0] : t.s.inputs[0]);

		assert_true(at[0] == at[0]);
		for (size_t image = 1; image < BATCH; image++)
			if (memcmp(at + image * count, at, count * sizeof *at) != 0)
				fail_msg("%s: image %zu differs from the first", c->name, image);
		at += BATCH * count;
	}
	free(got);
	ek_net_state_free(s);
	net_trial_free(&t);
}

static void the_case_is_the_twins(void **state)
{
	const struct net_case *c = *state;

	if (!has_layers(c))
		skip();
	net_twin_run(c, EK_NN_F32, 0);
	net_twin_run(c, EK_NN_BF16, 0);
	net_twin_run(c, EK_NN_BF16, 1);
	if (c->flags & NET_CASE_ROWS)
		equal_images_are_equal(c);
	for (int together = 1; together <= 2; together++) {
		net_images_run(c, EK_NN_F32, 0, together);
		net_images_run(c, EK_NN_BF16, together == 1, together);
	}
}

static void run_once(const struct net_case *c, enum ek_nn_precision precision, int low, enum ek_net_mode mode)
{
	struct net_trial t;
	struct ek_net_state *s;
	float *got;

	net_trial_new(&t, c, precision, mode, low, NET_TWIN_BATCH);
	assert_ok(ek_net_state_new(&s, t.s.net));
	got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	for (size_t i = 0; i < (mode == EK_NET_FORWARD ? t.outputs : t.count); i++)
		if (isnan(got[i]))
			fail_msg("%s: result %zu is no number", c->name, i);
	free(got);
	ek_net_state_free(s);
	net_trial_free(&t);
}

static void the_case_runs(void **state)
{
	const struct net_case *c = *state;
	double measures[2 * NET_IMAGES];

	if (!has_layers(c))
		skip();
	for (int type = 0; type < 3; type++) {
		const enum ek_nn_precision precision = type == 0 ? EK_NN_F32 : EK_NN_BF16;

		run_once(c, precision, type == 2, EK_NET_TRAIN);
		run_once(c, precision, type == 2, EK_NET_FORWARD);
	}
	for (int together = 1; together <= 2; together++) {
		(void)net_images_of(c, EK_NN_F32, together, measures);
		(void)net_images_of(c, EK_NN_BF16, together, measures);
	}
}

/* Three steps of a store; gradients from a stream of numbers. Returns values and average, to be freed. */
static float *steps_on(const struct ek_device *device, struct ek_params *params, double norms[3])
{
	const struct ek_adamw adamw = {
		.rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.01, .average = 0.9, .clip = 1
	};
	float *x = ref_poisoned(params->size), *out = ref_poisoned(2 * params->size);
	struct ek_store *store;

	ek_device_set(device);
	assert_ok(ek_store_new(&store, params));
	ref_fill(x, params->size, 1);
	ek_store_write(store, EK_VALUES, 0, params->size, x);
	for (uint64_t step = 1; step <= 3; step++) {
		ref_fill(x, params->size, 10 + step);
		ek_store_write(store, EK_GRADIENTS, 0, params->size, x);
		assert_ok(ek_store_step(store, &adamw, step, &norms[step - 1]));
	}
	ek_store_read(store, EK_VALUES, 0, params->size, out);
	ek_store_read(store, EK_AVERAGE, 0, params->size, out + params->size);
	ek_store_free(store);
	free(x);
	return out;
}

static void the_store_is_the_cpus(void **state)
{
	const struct ek_device *gpu = ek_device();
	struct ek_params params = { 0 };
	double norms[2][3], again[3];
	float *want, *got, *second;

	for (int i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), 0 };

		assert_true(ek_params_add(&params, name, 2, (const int64_t[]){ 431, 307 },
		                          (struct ek_init){ i == 1 ? EK_INIT_POSITIONS : EK_INIT_CONSTANT, 0 }) >= 0);
	}
	params.items[1].frozen = 1;
	want = steps_on(NULL, &params, norms[0]);
	got = steps_on(gpu, &params, norms[1]);
	second = steps_on(gpu, &params, again);
	assert_memory_equal(got, second, 2 * params.size * sizeof *got);
	assert_memory_equal(norms[1], again, sizeof again);
	for (int i = 0; i < 3; i++) /* sums of squares of float32 in double: 2^-53 for each of 2^19 at most */
		assert_true(fabs(norms[0][i] / norms[1][i] - 1) <= 0x1p-34);
	for (size_t i = 0; i < 2 * params.size; i++) /* some ten roundings a step, of numbers up to 1 */
		if (!(fabs((double)want[i] - (double)got[i]) <= 32 * 0x1p-24))
			fail_msg("number %zu is %.9g on the GPU, %.9g on the CPU", i, (double)got[i], (double)want[i]);
	free(want);
	free(got);
	free(second);
	ek_params_release(&params);
}

/* The case's result for a token and a feature, from its scores; sizes: the shares' sum of what is added up. */
static double attended(const float *qkv, size_t features, const double *scores, int tokens, size_t feature,
                       double *sizes)
{
	double all = 0, result = 0;

	*sizes = 0;
	for (int k = 0; k < tokens; k++) {
		const double value = (double)qkv[((size_t)k * 3 + 2) * features + feature];

		all += scores[k];
		result += scores[k] * value;
		*sizes += scores[k] * fabs(value);
	}
	*sizes /= all;
	return result / all;
}

/* Shares of the case's scores, of which the largest is 1. */
static void take_shares(double *shares, const float *qkv, size_t features, const int *n, int token, int head)
{
	const int tokens = n[0] * n[1], width = n[3];
	const float *query = qkv + (size_t)token * 3 * features + (size_t)head * (size_t)width;
	double largest = -HUGE_VAL;

	for (int k = 0; k < tokens; k++) {
		const float *key = qkv + ((size_t)k * 3 + 1) * features + (size_t)head * (size_t)width;

		shares[k] = 0;
		for (int i = 0; i < width; i++)
			shares[k] += (double)query[i] * (double)key[i] / sqrt(width);
		largest = fmax(largest, shares[k]);
	}
	for (int k = 0; k < tokens; k++)
		shares[k] = exp(shares[k] - largest);
}

/* Numbers 32 times as large: for most rows a key outside the first 64 is e^70 and more times as good as those. */
static void sharp_attention_is_right(void **state)
{
	const struct net_case *c = *state;
	const int tokens = c->n[0] * c->n[1], width = c->n[3];
	const size_t features = (size_t)c->n[2] * (size_t)width;
	double *shares = calloc((size_t)tokens, sizeof *shares);
	struct net_trial t;
	struct ek_net_state *s;
	float *got;

	assert_non_null(shares);
	net_trial_new(&t, c, EK_NN_BF16, EK_NET_FORWARD, 1, 1);
	for (size_t i = 0; i < ek_net_elements(t.s.net, t.s.inputs[0]); i++)
		t.inputs[0][i] *= 32;
	assert_ok(ek_net_state_new(&s, t.s.net));
	got = ref_poisoned(t.count);
	net_trial_run(&t, s, got);
	for (int token = 0; token < tokens; token++)
		for (size_t i = 0; i < features; i++) {
			double sizes, want;

			if (i % (size_t)width == 0)
				take_shares(shares, t.inputs[0], features, c->n, token, (int)(i / (size_t)width));
			want = attended(t.inputs[0], features, shares, tokens, i, &sizes);
			if (!(fabs((double)got[(size_t)token * features + i] - want) <= 0x1p-7 * sizes))
				fail_msg("token %d, feature %zu: %.9g, not %.9g", token, i,
				         (double)got[(size_t)token * features + i], want);
		}
	free(got);
	free(shares);
	ek_net_state_free(s);
	net_trial_free(&t);
}

static int is_wanted(const struct net_case *c, char **names)
{
	if (c->flags & NET_CASE_CPU)
		return 0;
	for (char **name = names; *name != NULL; name++)
		if (strstr(c->name, *name) != NULL)
			return 1;
	return *names == NULL;
}

int main(int argc, char **argv)
{
	const int once = argc > 1 && strcmp(argv[1], "--once") == 0;
	struct CMUnitTest *tests = calloc(2 * (size_t)net_case_count + 1, sizeof *tests);
	const int left = on_gpu();
	size_t count = 0;

	if (left != 0) {
		free(tests);
		return left;
	}
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(the_store_is_the_cpus);
	for (int i = 0; i < net_case_count; i++) {
		if (!is_wanted(&net_cases[i], argv + 1 + once))
			continue;
		if (strncmp(net_cases[i].name, "attention, 256 ", 15) == 0)
			tests[count++] = (struct CMUnitTest){ .name = "of sharp attention",
				                              .test_func = sharp_attention_is_right,
				                              .initial_state = (void *)(uintptr_t)&net_cases[i] };
		tests[count++] = (struct CMUnitTest){ .name = net_cases[i].name,
			                              .test_func = once ? the_case_runs : the_case_is_the_twins,
			                              .initial_state = (void *)(uintptr_t)&net_cases[i] };
	}
	return _cmocka_run_group_tests("on a GPU", tests, count, NULL, NULL);
}
