#include "train/nn/store_internal.h"

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"
#include "tests/train/nn/reference.h"

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

	cJSON_ArrayForEach(entry, ek_golden_member(c, "outputs"))
	{
		if (strcmp(ek_golden_member(entry, "array")->valuestring, array) != 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			const double want = (double)golden[(size_t)ek_golden_member(entry, "at")->valuedouble + i];
			const double allowed =
				4 * ek_golden_member(entry, "f32_max")->valuedouble + 0x1p-24 * fabs(want);

			if (!(fabs((double)got[i] - want) <= allowed))
				fail_msg("%s %zu: %.9g, PyTorch has %.9g (allowed %g)", array, i, (double)got[i], want,
				         allowed);
		}
		return;
	}
	fail_msg("no golden %s", array);
}

enum { A = 77, B = 13, FROZEN = 5, ALL = A + FROZEN + B };

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
	const char *name = ek_golden_member(c, "name")->valuestring;
	const int steps = (int)ek_golden_member(c, "steps")->valuedouble;
	struct ek_params params = three();
	struct ek_store *s;
	float *a = by_formula(name, "a", A), *b = by_formula(name, "b", B);
	float *target_a = by_formula(name, "a target", A), *target_b = by_formula(name, "b target", B);
	float *values, *average, *gradient, norms[32];
	const struct ek_adamw adamw = { .rate = ek_golden_member(c, "lr")->valuedouble,
		                        .beta1 = 0.9,
		                        .beta2 = 0.999,
		                        .epsilon = ek_golden_member(c, "eps")->valuedouble,
		                        .decay = ek_golden_member(c, "weight_decay")->valuedouble,
		                        .average = ek_golden_member(c, "ema")->valuedouble,
		                        .clip = ek_golden_member(c, "clip")->valuedouble };

	assert_true(steps > 0 && steps <= 32);
	assert_ok(ek_store_new(&s, &params));
	values = ek_store_data(s, EK_VALUES);
	average = ek_store_data(s, EK_AVERAGE);
	gradient = ek_store_data(s, EK_GRADIENTS);
	for (int i = 0; i < 2; i++) {
		ek_store_write(s, i == 0 ? EK_VALUES : EK_AVERAGE, 0, A, a);
		ek_store_write(s, i == 0 ? EK_VALUES : EK_AVERAGE, A + FROZEN, B, b);
	}
	for (int step = 0; step < steps; step++) {
		double norm;

		for (int i = 0; i < A; i++)
			gradient[i] = (values[i] - target_a[i]) * (step % 2 ? 1 / 16.0F : 1);
		for (int i = 0; i < B; i++)
			gradient[A + FROZEN + i] = (values[A + FROZEN + i] - target_b[i]) * (step % 2 ? 1 / 16.0F : 1);
		assert_ok(ek_store_step(s, &adamw, (uint64_t)step + 1, &norm));
		norms[step] = (float)norm;
		for (int i = 0; i < ALL; i++)
			assert_true(gradient[i] == 0);
	}
	check(c, golden, "norms", norms, (size_t)steps);
	check(c, golden, "a", values, A);
	check(c, golden, "b", values + A + FROZEN, B);
	check(c, golden, "a ema", average, A);
	check(c, golden, "b ema", average + A + FROZEN, B);
	check(c, golden, "a m", ek_store_data(s, EK_FIRST), A);
	check(c, golden, "b m", ek_store_data(s, EK_FIRST) + A + FROZEN, B);
	check(c, golden, "a v", ek_store_data(s, EK_SECOND), A);
	check(c, golden, "b v", ek_store_data(s, EK_SECOND) + A + FROZEN, B);
	for (int i = A; i < A + FROZEN; i++)
		assert_true(values[i] == 0 && average[i] == 0);
	free(a);
	free(b);
	free(target_a);
	free(target_b);
	ek_store_free(s);
	ek_params_release(&params);
}

static void twenty_steps_are_pytorchs(void **state)
{
	cJSON *file = ek_golden("train_ops");
	const size_t count = (size_t)ek_golden_member(file, "numbers")->valuedouble;
	float *golden = ref_poisoned(count);
	FILE *binary = fopen("tests/golden/train_ops.bin", "rb");
	const cJSON *c;
	int curves = 0;

	assert_non_null(binary);
	assert_int_equal(fread(golden, sizeof *golden, count, binary), count);
	(void)fclose(binary);
	cJSON_ArrayForEach(c, ek_golden_member(file, "cases"))
	{
		if (strcmp(ek_golden_member(c, "op")->valuestring, "adamw") != 0)
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

/* A table of this many numbers, more than one piece of a step's, a frozen parameter in the middle. */
enum { LARGE = 3 * 65536 + 113, FIRST = 65536 + 7, HELD = 11, SLICES = 9 };

struct run {
	struct ek_params params;
	struct ek_store *store;
};

static float *family(const struct run *r, enum ek_family family)
{
	return ek_store_data(r->store, family);
}

static void run_start(struct run *r)
{
	*r = (struct run){ 0 };
	add(&r->params, "first", FIRST, 0);
	add(&r->params, "frozen", HELD, 0);
	add(&r->params, "last", LARGE - FIRST - HELD, 0);
	r->params.items[1].frozen = 1;
	assert_ok(ek_store_new(&r->store, &r->params));
	ref_fill(family(r, EK_VALUES), LARGE, 10);
	ref_fill(family(r, EK_AVERAGE), LARGE, 11);
	ref_fill(family(r, EK_GRADIENTS), LARGE, 12);
	memset(family(r, EK_GRADIENTS) + FIRST, 0, HELD * sizeof(float));
}

static void run_end(struct run *r)
{
	ek_store_free(r->store);
	ek_params_release(&r->params);
}

static void a_step_is_the_same_whatever_the_threads(void **state)
{
	struct run one, more;
	double norm_one, norm_more, sum = 0;
	float want;

	run_start(&one);
	for (size_t i = 0; i < LARGE; i++)
		sum += (double)family(&one, EK_GRADIENTS)[i] * (double)family(&one, EK_GRADIENTS)[i];
	/* The first moment is a tenth of the gradient, clipped. */
	want = family(&one, EK_GRADIENTS)[0] * (float)(1 / (sqrt(sum) + 1e-6)) * (float)(1 - 0.9);
	ek_threads_set(1);
	assert_ok(ek_store_step(one.store, &usual, 1, &norm_one));
	/* sums of some 2 · 10^5 squares in double */
	assert_close(norm_one, sqrt(sum), 2e5 * 0x1p-53);
	assert_close(family(&one, EK_FIRST)[0], want, fabs((double)want) * 0x1p-22);
	for (int threads = 2; threads <= 7; threads += 5) {
		run_start(&more);
		ek_threads_set(threads);
		assert_ok(ek_store_step(more.store, &usual, 1, &norm_more));
		assert_memory_equal(&norm_one, &norm_more, sizeof norm_one);
		for (int f = 0; f < EK_FAMILIES; f++)
			assert_memory_equal(family(&one, (enum ek_family)f), family(&more, (enum ek_family)f),
			                    LARGE * sizeof(float));
		run_end(&more);
	}
	ek_threads_set(0);
	for (size_t j = 0; j < LARGE; j++)
		assert_true(family(&one, EK_GRADIENTS)[j] == 0);
	run_end(&one);
}

static int take_turn(void *context, uint64_t i, int worker)
{
	const struct run *r = context;
	float *x = ref_poisoned(FIRST);
	int rc;

	ref_fill(x, FIRST, 20 + i);
	EK_TRY(ek_store_wait(r->store, 0, i));
	ek_store_add(r->store, 0, FIRST, x);
	ek_store_pass(r->store, 0);
out:
	free(x);
	return rc;
}

static void slices_are_added_in_order_whatever_the_threads(void **state)
{
	float *sum = ref_poisoned(FIRST), *x = ref_poisoned(FIRST);
	struct run r;

	memset(sum, 0, FIRST * sizeof *sum);
	for (uint64_t i = 0; i < SLICES; i++) {
		ref_fill(x, FIRST, 20 + i);
		for (size_t j = 0; j < FIRST; j++)
			sum[j] += x[j];
	}
	run_start(&r);
	for (int threads = 1; threads <= 7; threads += 3) {
		ek_store_clear_gradients(r.store);
		ek_threads_set(threads);
		assert_ok(ek_parallel(SLICES, take_turn, &r));
		assert_memory_equal(family(&r, EK_GRADIENTS), sum, FIRST * sizeof *sum);
		for (size_t j = FIRST; j < LARGE; j++)
			assert_true(family(&r, EK_GRADIENTS)[j] == 0);
	}
	ek_threads_set(0);
	run_end(&r);
	free(sum);
	free(x);
}

/* The third of the slices fails; those behind it do not wait for ever, and what failed is told. */
static int fail_third(void *context, uint64_t i, int worker)
{
	const struct run *r = context;

	const int rc = i == 2 ? ek_fail(EK_EIO, "the third") : take_turn(context, i, worker);

	return rc < 0 && ek_store_give_up(r->store) ? rc : 0;
}

static void a_slice_that_fails_holds_nobody_up(void **state)
{
	struct run r;

	run_start(&r);
	for (int threads = 1; threads <= 7; threads += 3) {
		ek_threads_set(threads);
		ek_store_clear_gradients(r.store);
		assert_fails(ek_parallel(SLICES, fail_third, &r), EK_EIO, "the third");
	}
	ek_threads_set(0);
	ek_store_clear_gradients(r.store);
	assert_ok(take_turn(&r, 0, 0));
	run_end(&r);
}

static void frozen_parameters_are_left_alone(void **state)
{
	struct run r, before;
	double norm;

	run_start(&r);
	run_start(&before);
	assert_ok(ek_store_step(r.store, &usual, 1, &norm));
	for (size_t i = 0; i < LARGE; i++) {
		const int frozen = i >= FIRST && i < FIRST + HELD;

		assert_true((family(&r, EK_VALUES)[i] == family(&before, EK_VALUES)[i]) == frozen);
		assert_true(!frozen || family(&r, EK_AVERAGE)[i] == family(&before, EK_AVERAGE)[i]);
		assert_true((family(&r, EK_SECOND)[i] == 0) == frozen);
	}
	run_end(&r);
	run_end(&before);
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
	const float bad[] = { NAN, INFINITY, -INFINITY };

	for (int i = 0; i < 3; i++) {
		struct run r, before;
		double norm;

		run_start(&r);
		run_start(&before);
		family(&r, EK_GRADIENTS)[LARGE - 1 - 65536 * i] = bad[i];
		assert_fails(ek_store_step(r.store, &usual, 7, &norm), EK_EDATA, "step 7: the gradient is not finite");
		assert_true(!isfinite(norm));
		memset(family(&before, EK_GRADIENTS), 0, LARGE * sizeof(float));
		for (int f = 0; f < EK_FAMILIES; f++)
			assert_memory_equal(family(&r, (enum ek_family)f), family(&before, (enum ek_family)f),
			                    LARGE * sizeof(float));
		run_end(&r);
		run_end(&before);
	}
}

EK_TEST_MAIN(cmocka_unit_test(twenty_steps_are_pytorchs), cmocka_unit_test(a_step_is_the_same_whatever_the_threads),
             cmocka_unit_test(slices_are_added_in_order_whatever_the_threads),
             cmocka_unit_test(a_slice_that_fails_holds_nobody_up), cmocka_unit_test(frozen_parameters_are_left_alone),
             cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing))
