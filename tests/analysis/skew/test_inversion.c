#include "tests/support/support.h"

#include "analysis/skew/inequality.h"
#include "analysis/skew/inversion.h"
#include "rebalance/base/threads.h"

static int measure_skew(double *values, double *counts, size_t k, const void *context)
{
	struct ek_inequality got;
	const int rc = ek_inequality_expected(&got, counts, k);

	if (rc == 0)
		memcpy(values, got.value, sizeof got.value);
	return rc;
}

enum { K = 6 };
static const double even[K] = { 1 / 6.0, 1 / 6.0, 1 / 6.0, 1 / 6.0, 1 / 6.0, 1 / 6.0 };
static const struct ek_share_measures skew = { .measure = measure_skew, .count = EK_INEQUALITY_MEASURES, .edge = even };
static const struct ek_bootstrap defaults = EK_BOOTSTRAP_DEFAULT;

static void invert(struct ek_estimate out[EK_INEQUALITY_MEASURES], const uint64_t counts[K])
{
	assert_ok(ek_invert(out, &skew, counts, K, &defaults));
}

static void the_edge_is_reached_where_chance_explains_what_was_seen(void **state)
{
	static const uint64_t alike[K] = { 100, 100, 100, 100, 100, 100 }, chance[K] = { 110, 92, 105, 95, 103, 95 },
			      skewed[K] = { 300, 100, 80, 60, 40, 20 };
	struct ek_estimate e[EK_INEQUALITY_MEASURES];

	invert(e, alike);
	assert_close(e[EK_GINI].value, 0, 0);
	assert_close(e[EK_GINI].interval.low, 0, 1e-12);
	assert_close(e[EK_GINI].corrected, 0, 1e-12);
	invert(e, chance);
	assert_close(e[EK_GINI].interval.low, 0, 1e-12);
	assert_close(e[EK_CV].interval.low, 0, 1e-12);
	assert_close(e[EK_HILL_1].interval.high, K, 1e-12);
	assert_close(e[EK_NORMALISED_ENTROPY].interval.high, 1, 1e-12);
	assert_true(e[EK_GINI].interval.high > 0.02 && e[EK_GINI].interval.high < 0.1);
	assert_true(e[EK_GINI].corrected < e[EK_GINI].value);
	assert_true(e[EK_HILL_1].corrected > e[EK_HILL_1].value);
	invert(e, skewed);
	assert_true(e[EK_GINI].interval.low > 0.3 && e[EK_GINI].interval.high < 0.5);
	assert_true(e[EK_GINI].interval.low < e[EK_GINI].value && e[EK_GINI].interval.high > e[EK_GINI].value);
}

/* Far from the edge and of many images, as an interval of the normal law: that of the share p of one of two units is
 * p -+ 1.96 sqrt(p (1 - p) / n), and Gini of two is |p - 1/2|. Percentiles of 250 samples have a standard error of
 * 0.17 deviations; they are meant to be those beyond which 1.75 % lie, 2.11 deviations, not 1.96. */
static void far_from_the_edge_it_is_the_normal_interval(void **state)
{
	static const double half[2] = { 0.5, 0.5 };
	static const uint64_t counts[2] = { 80000, 20000 };
	const struct ek_share_measures two = { .measure = measure_skew, .count = EK_INEQUALITY_MEASURES, .edge = half };
	const double deviation = sqrt(0.8 * 0.2 / 100000);
	struct ek_estimate e[EK_INEQUALITY_MEASURES];

	assert_ok(ek_invert(e, &two, counts, 2, &defaults));
	assert_close(e[EK_GINI].corrected, 0.3, 0.5 * deviation);
	assert_close(e[EK_GINI].interval.low, 0.3 - 2.11 * deviation, 0.7 * deviation);
	assert_close(e[EK_GINI].interval.high, 0.3 + 2.11 * deviation, 0.7 * deviation);
}

static void the_other_end_of_a_range_is_held(void **state)
{
	static const uint64_t one[K] = { 0, 0, 500, 0, 0, 0 };
	struct ek_estimate e[EK_INEQUALITY_MEASURES];

	invert(e, one);
	assert_close(e[EK_GINI_NORMALISED].interval.high, 1, 1e-12);
	assert_close(e[EK_HILL_1].interval.low, 1, 1e-12);
	assert_true(e[EK_HILL_1].interval.high > 1 && e[EK_HILL_1].interval.high < 1.2);
}

/* A cell that the edge does not know, seen or not. */
static void cells_off_the_edge_are_measured(void **state)
{
	static const double edge[K] = { 0.25, 0.25, 0.25, 0.25, 0, 0 };
	static const uint64_t counts[K] = { 90, 110, 95, 105, 40, 0 };
	const struct ek_share_measures off = { .measure = measure_skew, .count = EK_INEQUALITY_MEASURES, .edge = edge };
	struct ek_estimate e[EK_INEQUALITY_MEASURES];

	assert_ok(ek_invert(e, &off, counts, K, &defaults));
	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++)
		assert_true(e[m].interval.low <= e[m].corrected && e[m].corrected <= e[m].interval.high);
}

static void bytes_do_not_depend_on_threads(void **state)
{
	static const uint64_t counts[K] = { 100000000, 3, 0, 70000, 12, 5000 };
	static const int threads[] = { 1, 2, 7 };
	struct ek_estimate first[EK_INEQUALITY_MEASURES], got[EK_INEQUALITY_MEASURES];
	struct ek_bootstrap other = defaults;

	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		ek_threads_set(threads[i]);
		invert(i == 0 ? first : got, counts);
		if (i > 0)
			assert_memory_equal(first, got, sizeof got);
	}
	ek_threads_set(0);
	other.name = "another";
	assert_ok(ek_invert(got, &skew, counts, K, &other));
	assert_memory_not_equal(first, got, sizeof got);
}

/* More than 4,096 cells: a few samples and Student's law. */
static void many_cells_are_measured_too(void **state)
{
	enum { MANY = 5000 };
	static double edge[MANY];
	static uint64_t counts[MANY];
	const struct ek_share_measures many = { .measure = measure_skew,
		                                .count = EK_INEQUALITY_MEASURES,
		                                .edge = edge };
	struct ek_estimate e[EK_INEQUALITY_MEASURES];

	for (size_t i = 0; i < MANY; i++) {
		struct ek_sequence random = { .seed = 4, .stream = i };

		edge[i] = 1.0 / MANY;
		counts[i] = ek_binomial(&random, 100000, 1e-4); /* ten each, by chance alone */
	}
	assert_ok(ek_invert(e, &many, counts, MANY, &defaults));
	assert_true(e[EK_GINI].value > 0.15);
	assert_close(e[EK_GINI].interval.low, 0, 1e-12);
	assert_true(e[EK_GINI].interval.high < 0.08);
}

static int refuse(double *values, double *counts, size_t k, const void *context)
{
	return ek_fail(EK_EDATA, "refused %zu", k);
}

static void nonsense_is_refused_and_errors_are_passed_on(void **state)
{
	static const uint64_t none[K] = { 0 }, some[K] = { 1 };
	const struct ek_share_measures refusing = { .measure = refuse, .count = 1, .edge = even };
	struct ek_estimate e[EK_INEQUALITY_MEASURES];
	struct ek_bootstrap b = defaults;

	assert_fails(ek_invert(e, &refusing, some, K, &b), EK_EDATA, "refused 6");
	assert_fails(ek_invert(e, &skew, none, K, &b), EK_EDATA, "no images");
	b.resamples = 0;
	assert_fails(ek_invert(e, &skew, some, K, &b), EK_EUSAGE, "resample");
}

EK_TEST_MAIN(cmocka_unit_test(the_edge_is_reached_where_chance_explains_what_was_seen),
             cmocka_unit_test(far_from_the_edge_it_is_the_normal_interval),
             cmocka_unit_test(the_other_end_of_a_range_is_held), cmocka_unit_test(cells_off_the_edge_are_measured),
             cmocka_unit_test(bytes_do_not_depend_on_threads), cmocka_unit_test(many_cells_are_measured_too),
             cmocka_unit_test(nonsense_is_refused_and_errors_are_passed_on))
