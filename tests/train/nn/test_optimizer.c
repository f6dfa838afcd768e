#include "train/nn/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/threads.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

static const cJSON *member(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	assert_non_null(item);
	return item;
}

static float *by_formula(const char *case_name, const char *array, size_t count)
{
	float *x = ref_poisoned(count);
	char name[64];

	(void)snprintf(name, sizeof name, "%s %s", case_name, array);
	ek_random_units(x, name, count);
	return x;
}

static void add(struct ek_params *params, const char *name, int rows, int columns)
{
	assert_ok(ek_params_add(params, name, columns > 0 ? 2 : 1, (const int64_t[]){ rows, columns },
	                        (struct ek_init){ EK_INIT_NORMAL, 1 }));
}

/*
 * got against the golden array of this name. Both sides round to float32; PyTorch's largest deviation from float64,
 * f32_max, is one draw of what twenty steps of such rounding come to, ours another: 4 of them, and one rounding of the
 * golden number itself.
 */
static void check(const cJSON *c, const float *golden, const char *array, const float *got, size_t count)
{
	const cJSON *entry;

	cJSON_ArrayForEach(entry, member(c, "outputs"))
	{
		if (strcmp(member(entry, "array")->valuestring, array) != 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			const double want = (double)golden[(size_t)member(entry, "at")->valuedouble + i];
			const double allowed = 4 * member(entry, "f32_max")->valuedouble + 0x1p-24 * fabs(want);

			if (!(fabs((double)got[i] - want) <= allowed))
				fail_msg("%s %zu: %.9g, PyTorch has %.9g (allowed %g)", array, i, (double)got[i], want,
				         allowed);
		}
		return;
	}
	fail_msg("no golden %s", array);
}

enum { A = 77, B = 13, FROZEN = 5, ALL = A + FROZEN + B, LANES = 3 };

/* Parameters a and b with a frozen one between them. */
static struct ek_params three(void)
{
	struct ek_params params = { 0 };

	add(&params, "a", 7, 11);
	add(&params, "between", FROZEN, 0);
	add(&params, "b", B, 0);
	params.items[1].frozen = 1;
	return params;
}

static void curve(const cJSON *c, const float *golden)
{
	const char *name = member(c, "name")->valuestring;
	const int steps = (int)member(c, "steps")->valuedouble;
	struct ek_params params = three();
	struct ek_optimizer *o;
	float *a = by_formula(name, "a", A), *b = by_formula(name, "b", B);
	float *target_a = by_formula(name, "a target", A), *target_b = by_formula(name, "b target", B);
	float values[ALL], average[ALL], gradient[ALL] = { 0 }, *lanes[1] = { gradient }, norms[32];
	const struct ek_adamw adamw = { .rate = member(c, "lr")->valuedouble,
		                        .beta1 = 0.9,
		                        .beta2 = 0.999,
		                        .epsilon = member(c, "eps")->valuedouble,
		                        .decay = member(c, "weight_decay")->valuedouble,
		                        .average = member(c, "ema")->valuedouble,
		                        .clip = member(c, "clip")->valuedouble };

	assert_true(steps > 0 && steps <= 32);
	assert_ok(ek_optimizer_new(&o, &params));
	memset(values, 0, sizeof values);
	memcpy(values, a, A * sizeof *a);
	memcpy(values + A + FROZEN, b, B * sizeof *b);
	memcpy(average, values, sizeof values);
	for (int s = 0; s < steps; s++) {
		double norm;

		for (int i = 0; i < A; i++)
			gradient[i] = (values[i] - target_a[i]) * (s % 2 ? 1 / 16.0F : 1);
		for (int i = 0; i < B; i++)
			gradient[A + FROZEN + i] = (values[A + FROZEN + i] - target_b[i]) * (s % 2 ? 1 / 16.0F : 1);
		assert_ok(ek_optimizer_step(o, &adamw, lanes, 1, (uint64_t)s + 1, values, average, &norm));
		norms[s] = (float)norm;
		for (int i = 0; i < ALL; i++)
			assert_true(gradient[i] == 0);
	}
	check(c, golden, "norms", norms, (size_t)steps);
	check(c, golden, "a", values, A);
	check(c, golden, "b", values + A + FROZEN, B);
	check(c, golden, "a ema", average, A);
	check(c, golden, "b ema", average + A + FROZEN, B);
	check(c, golden, "a m", ek_optimizer_moments(o, 0), A);
	check(c, golden, "b m", ek_optimizer_moments(o, 0) + A + FROZEN, B);
	check(c, golden, "a v", ek_optimizer_moments(o, 1), A);
	check(c, golden, "b v", ek_optimizer_moments(o, 1) + A + FROZEN, B);
	for (int i = A; i < A + FROZEN; i++)
		assert_true(values[i] == 0 && average[i] == 0);
	free(a);
	free(b);
	free(target_a);
	free(target_b);
	ek_optimizer_free(o);
	ek_params_release(&params);
}

static void twenty_steps_are_pytorchs(void **state)
{
	cJSON *file = ek_golden("train_ops");
	const size_t count = (size_t)member(file, "numbers")->valuedouble;
	float *golden = ref_poisoned(count);
	FILE *binary = fopen("tests/golden/train_ops.bin", "rb");
	const cJSON *c;
	int curves = 0;

	(void)state;
	assert_non_null(binary);
	assert_int_equal(fread(golden, sizeof *golden, count, binary), count);
	(void)fclose(binary);
	cJSON_ArrayForEach(c, member(file, "cases"))
	{
		if (strcmp(member(c, "op")->valuestring, "adamw") != 0)
			continue;
		curve(c, golden);
		curves++;
	}
	assert_int_equal(curves, 3);
	free(golden);
	cJSON_Delete(file);
}

static const struct ek_adamw usual = {
	.rate = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1, .average = 0.99, .clip = 1
};

/* A table of this many numbers, more than one piece of the optimizer's, a frozen parameter in the middle. */
enum { LARGE = 3 * 65536 + 113 };

struct run {
	struct ek_params params;
	struct ek_optimizer *o;
	float *lanes[LANES], *values, *average;
};

static void run_start(struct run *r)
{
	*r = (struct run){ 0 };
	add(&r->params, "first", 65536 + 7, 0);
	add(&r->params, "frozen", 11, 0);
	add(&r->params, "last", LARGE - 65536 - 7 - 11, 0);
	r->params.items[1].frozen = 1;
	assert_ok(ek_optimizer_new(&r->o, &r->params));
	for (int i = 0; i < LANES; i++) {
		r->lanes[i] = ref_poisoned(LARGE);
		ref_fill(r->lanes[i], LARGE, (uint64_t)i);
		memset(r->lanes[i] + r->params.items[1].offset, 0, 11 * sizeof(float));
	}
	r->values = ref_poisoned(LARGE);
	r->average = ref_poisoned(LARGE);
	ref_fill(r->values, LARGE, 10);
	ref_fill(r->average, LARGE, 11);
}

static void run_end(struct run *r)
{
	for (int i = 0; i < LANES; i++)
		free(r->lanes[i]);
	free(r->values);
	free(r->average);
	ek_optimizer_free(r->o);
	ek_params_release(&r->params);
}

static void lanes_are_added_in_order_whatever_the_threads(void **state)
{
	struct run one, more;
	double norm_one, norm_more, sum = 0;

	(void)state;
	run_start(&one);
	for (size_t i = 0; i < LARGE; i++) {
		const float g = (one.lanes[0][i] + one.lanes[1][i]) + one.lanes[2][i];

		sum += (double)g * (double)g;
	}
	ek_threads_set(1);
	assert_ok(ek_optimizer_step(one.o, &usual, one.lanes, LANES, 1, one.values, one.average, &norm_one));
	/* sums of some 2 · 10^5 squares in double */
	assert_close(norm_one, sqrt(sum), 2e5 * 0x1p-53);
	for (int threads = 2; threads <= 7; threads += 5) {
		run_start(&more);
		ek_threads_set(threads);
		assert_ok(
			ek_optimizer_step(more.o, &usual, more.lanes, LANES, 1, more.values, more.average, &norm_more));
		assert_memory_equal(&norm_one, &norm_more, sizeof norm_one);
		assert_memory_equal(one.values, more.values, LARGE * sizeof(float));
		assert_memory_equal(one.average, more.average, LARGE * sizeof(float));
		for (int i = 0; i < 2; i++)
			assert_memory_equal(ek_optimizer_moments(one.o, i), ek_optimizer_moments(more.o, i),
			                    LARGE * sizeof(float));
		run_end(&more);
	}
	ek_threads_set(0);
	for (int i = 0; i < LANES; i++)
		for (size_t j = 0; j < LARGE; j++)
			assert_true(one.lanes[i][j] == 0);
	/* The first moment is a tenth of the sum of the lanes, clipped; its first number shows the order. */
	run_start(&more);
	{
		const float g = (more.lanes[0][0] + more.lanes[1][0]) + more.lanes[2][0];
		const float want = g * (float)(1 / (norm_one + 1e-6)) * (float)(1 - 0.9);

		assert_true(ek_optimizer_moments(one.o, 0)[0] == want);
	}
	run_end(&more);
	run_end(&one);
}

static void frozen_parameters_are_left_alone(void **state)
{
	struct run r, before;
	const size_t first = 65536 + 7;
	double norm;

	(void)state;
	run_start(&r);
	run_start(&before);
	assert_ok(ek_optimizer_step(r.o, &usual, r.lanes, LANES, 1, r.values, NULL, &norm));
	assert_memory_equal(r.values + first, before.values + first, 11 * sizeof(float));
	assert_memory_equal(r.average, before.average, LARGE * sizeof(float)); /* NULL was given */
	for (size_t i = 0; i < LARGE; i++) {
		const int frozen = i >= first && i < first + 11;

		assert_true((r.values[i] == before.values[i]) == frozen);
		assert_true((ek_optimizer_moments(r.o, 1)[i] == 0) == frozen);
	}
	assert_true(ref_is_whole(r.values, LARGE));
	run_end(&r);
	run_end(&before);
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
	const float bad[] = { NAN, INFINITY, -INFINITY };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct run r, before;
		double norm;

		run_start(&r);
		run_start(&before);
		r.lanes[i][LARGE - 1 - 65536 * i] = bad[i];
		assert_fails(ek_optimizer_step(r.o, &usual, r.lanes, LANES, 7, r.values, r.average, &norm), EK_EDATA,
		             "step 7: the gradient is not finite");
		assert_true(!isfinite(norm));
		assert_memory_equal(r.values, before.values, LARGE * sizeof(float));
		assert_memory_equal(r.average, before.average, LARGE * sizeof(float));
		for (size_t j = 0; j < LARGE; j++)
			assert_true(ek_optimizer_moments(r.o, 0)[j] == 0 && ek_optimizer_moments(r.o, 1)[j] == 0 &&
			            r.lanes[0][j] == 0 && r.lanes[1][j] == 0 && r.lanes[2][j] == 0);
		run_end(&r);
		run_end(&before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twenty_steps_are_pytorchs),
		cmocka_unit_test(lanes_are_added_in_order_whatever_the_threads),
		cmocka_unit_test(frozen_parameters_are_left_alone),
		cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
