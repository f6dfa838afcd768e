#include "tests/support/support.h"

#include "analysis/skew/inequality.h"
#include "analysis/skew/intervals.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

static void wilson_equals_scipy(void **state)
{
	cJSON *golden = ek_golden("skew");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "wilson"))
	{
		size_t two;
		double *want = ek_golden_doubles(one, "want", &two);
		const struct ek_interval got = ek_wilson((uint64_t)cJSON_GetObjectItem(one, "count")->valuedouble,
		                                         (uint64_t)cJSON_GetObjectItem(one, "n")->valuedouble);

		/* A handful of double operations; SciPy's z has the same 16 digits. */
		assert_close(got.low, want[0], 1e-15);
		assert_close(got.high, want[1], 1e-15);
		free(want);
		done++;
	}
	assert_int_equal(done, 9);
	cJSON_Delete(golden);
	assert_true(ek_wilson(0, 0).low == 0 && ek_wilson(0, 0).high == 1);
	assert_true(ek_wilson(0, 9).low == 0 && ek_wilson(9, 9).high == 1);
}

static void percentiles_equal_numpy(void **state)
{
	cJSON *golden = ek_golden("skew");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "percentile"))
	{
		size_t count, two;
		double *values = ek_golden_doubles(one, "values", &count), *want = ek_golden_doubles(one, "want", &two);
		const struct ek_interval got = ek_percentiles(values, count, 0.025);

		assert_close(got.low, want[0], 1e-15);
		assert_close(got.high, want[1], 1e-15);
		free(values);
		free(want);
		done++;
	}
	assert_int_equal(done, 4);
	cJSON_Delete(golden);
}

static double log_probability(double n, double p, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p);
}

/*
 * Pearson's chi-square of the draws against the exact probabilities, values pooled until at least 50 draws are
 * expected. With f degrees of freedom and x = 23, Laurent and Massart (2000) bound the chance of a statistic outside
 * f - 2 sqrt(f x) … f + 2 sqrt(f x) + 2 x by 2 exp(-x) = 2e-10.
 */
static void check_against_pmf(const double *seen, double first, size_t width, double n, double p, double draws)
{
	const double x = 23;
	double statistic = 0, expected = 0, observed = 0, covered = 0, seen_all = 0;
	int cells = 0;

	for (size_t i = 0; i < width; i++) {
		const double k = first + (double)i;

		expected += k >= 0 && k <= n ? draws * exp(log_probability(n, p, k)) : 0;
		observed += seen[i];
		if (expected >= 50) {
			statistic += (observed - expected) * (observed - expected) / expected;
			covered += expected;
			seen_all += observed;
			expected = observed = 0;
			cells++;
		}
	}
	/* What is left, on both sides of the window too. */
	expected = draws - covered;
	observed = draws - seen_all;
	if (expected > 1) {
		statistic += (observed - expected) * (observed - expected) / expected;
		cells++;
	}
	print_message("n %g p %g: chi-square %.1f on %d cells\n", n, p, statistic, cells);
	assert_true(cells >= 2);
	assert_true(statistic <= cells - 1 + 2 * sqrt((cells - 1) * x) + 2 * x);
	assert_true(statistic >= cells - 1 - 2 * sqrt((cells - 1) * x));
}

static void binomial_draws_follow_the_exact_distribution(void **state)
{
	enum { DRAWS = 200000 };
	static const struct {
		uint64_t n;
		double p;
	} cases[] = {
		{ 1, 0.3 },       { 7, 0.5 },          { 20, 0.49 },        { 20, 0.5 },      { 20, 0.51 },
		{ 40, 0.25 },     { 1000, 0.009 },     { 1000, 0.011 },     { 1000, 0.9995 }, { 5000, 0.4 },
		{ 100000, 1e-5 }, { 100000000, 9e-8 }, { 100000000, 2e-7 }, { 100000, 0.9 },  { 1000000, 0.3 },
	};

	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		const double n = (double)cases[c].n, p = cases[c].p, sd = sqrt(n * p * (1 - p)),
			     first = floor(n * p - 8 * sd - 10);
		const size_t width = (size_t)(16 * sd + 20);
		double *seen = calloc(width, sizeof *seen);

		assert_non_null(seen);
		for (uint64_t i = 0; i < DRAWS; i++) {
			struct ek_sequence random = { .seed = i, .stream = c };
			const double k = (double)ek_binomial(&random, cases[c].n, p);

			assert_true(k >= 0 && k <= n);
			if (k >= first && k < first + (double)width)
				seen[(size_t)(k - first)]++;
		}
		check_against_pmf(seen, first, width, n, p, DRAWS);
		free(seen);
	}
}

static void certain_outcomes_use_no_random_numbers(void **state)
{
	struct ek_sequence random = { 0 };

	assert_int_equal(ek_binomial(&random, 0, 0.5), 0);
	assert_int_equal(ek_binomial(&random, 9, 0), 0);
	assert_int_equal(ek_binomial(&random, 9, 1), 9);
	assert_int_equal(random.index, 0);
}

/* Means within 6 standard errors; the covariance of two cells is -n p q, its standard error below n sqrt(p q / draws)
 * times 1.1, and the cells' sum is fixed. */
static void multinomial_draws_have_the_right_moments(void **state)
{
	enum { DRAWS = 20000, K = 5 };
	static const uint64_t counts[K] = { 300, 0, 50, 649, 1 };
	double sum[K] = { 0 }, product = 0;

	for (uint64_t i = 0; i < DRAWS; i++) {
		struct ek_sequence random = { .seed = 1, .stream = 2, .index = i << 32 };
		uint64_t got[K], total = 0;

		ek_multinomial(got, &random, counts, K);
		for (size_t c = 0; c < K; c++) {
			total += got[c];
			sum[c] += (double)got[c];
		}
		assert_int_equal(total, 1000);
		assert_int_equal(got[1], 0);
		product += ((double)got[0] - 300) * ((double)got[3] - 649);
	}
	for (size_t c = 0; c < K; c++) {
		const double p = (double)counts[c] / 1000;

		assert_true(fabs(sum[c] / DRAWS - 1000 * p) <= 6 * sqrt(1000 * p * (1 - p) / DRAWS));
	}
	assert_true(fabs(product / DRAWS + 1000 * 0.3 * 0.649) <= 6 * 1.1 * 1000 * sqrt(0.3 * 0.649 / DRAWS));
}

static int measure_all(double *values, const uint64_t *counts, size_t k, const void *context)
{
	struct ek_inequality got;
	const int rc = ek_inequality_measure(&got, counts, k);

	if (rc == 0)
		memcpy(values, got.value, sizeof got.value);
	return rc;
}

static const struct ek_statistics inequality = { .measure = measure_all, .count = EK_INEQUALITY_MEASURES };

enum { TRIALS = 400, RESAMPLES = 400 };

/* Data of known shares, drawn over and over: how often does each interval hold the truth? */
static void count_hits(double held[EK_INEQUALITY_MEASURES], const uint64_t *truth, size_t k, uint64_t n)
{
	struct ek_inequality want;
	uint64_t *data = calloc(k, sizeof *data);

	assert_non_null(data);
	assert_ok(ek_inequality_measure(&want, truth, k));
	memset(held, 0, EK_INEQUALITY_MEASURES * sizeof *held);
	for (uint64_t t = 0; t < TRIALS; t++) {
		struct ek_sequence random = { .seed = 99, .stream = 5, .index = t << 32 };
		const struct ek_bootstrap b = { .resamples = RESAMPLES, .seed = t, .name = "coverage" };
		struct ek_interval got[EK_INEQUALITY_MEASURES];
		uint64_t left = n, left_of_truth = 0;

		for (size_t i = 0; i < k; i++)
			left_of_truth += truth[i];
		for (size_t i = 0; i < k; i++) {
			data[i] = ek_binomial(&random, left, (double)truth[i] / (double)left_of_truth);
			left -= data[i];
			left_of_truth -= truth[i];
		}
		assert_ok(ek_bootstrap_intervals(got, &inequality, data, k, &b));
		for (int m = 0; m < EK_INEQUALITY_MEASURES; m++)
			held[m] += (want.value[m] >= got[m].low && want.value[m] <= got[m].high) / (double)TRIALS;
	}
	free(data);
}

/*
 * With B resamples the interval reaches from order statistic h = 1 + 0.025 (B - 1) to B + 1 - h, which holds a draw of
 * the same law with chance (B + 1 - 2h) / (B + 1) = 0.945 for B = 400. 400 trials give a standard error of 0.0109; 5
 * of them are allowed. At 4,000 images per unit and more the bias of the measures is below 0.1 of their spread, which
 * moves the coverage by less than 0.002.
 */
static const double promised = 0.945, allowed = 5 * 0.0109 + 0.002;

static void intervals_hold_the_truth_as_often_as_they_say(void **state)
{
	enum { K = 12 };
	static const enum ek_inequality_measure checked[] = {
		EK_GINI, EK_NORMALISED_ENTROPY, EK_KL_TO_UNIFORM, EK_HILL_1, EK_HILL_2, EK_HILL_INFINITY,
		EK_CV,   EK_IMBALANCE_RATIO,    EK_TOP_SHARE
	};
	double held[EK_INEQUALITY_MEASURES];
	uint64_t truth[K], n = 0;

	for (size_t i = 0; i < K; i++)
		n += truth[i] = (uint64_t)(200000 * pow(0.7, (double)i));
	count_hits(held, truth, K, n);
	for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
		print_message("%s: %.3f\n", ek_inequality_names[checked[i]], held[checked[i]]);
		assert_true(fabs(held[checked[i]] - promised) <= allowed);
	}
}

/*
 * 24 units within 10 % of each other and 15,000 images: half of the Gini is bias, and plain percentiles hold the truth
 * in 25 % of the samples. The correction leaves the error of a bias that is itself estimated, of second order: 0.02.
 * Holding it more often than promised comes from keeping the value inside.
 */
static void intervals_of_nearly_equal_units_are_corrected_for_bias(void **state)
{
	enum { K = 24, N = 15000 };
	static const enum ek_inequality_measure checked[] = { EK_GINI, EK_NORMALISED_ENTROPY, EK_KL_TO_UNIFORM, EK_CV,
		                                              EK_HILL_2 };
	double held[EK_INEQUALITY_MEASURES];
	uint64_t truth[K];

	for (size_t i = 0; i < K; i++)
		truth[i] = 10000 - 80 * i;
	count_hits(held, truth, K, N);
	for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
		print_message("%s: %.3f\n", ek_inequality_names[checked[i]], held[checked[i]]);
		assert_true(held[checked[i]] >= promised - allowed - 0.02);
	}
}

static void intervals_stay_in_range_and_hold_the_value(void **state)
{
	static const uint64_t equal[4] = { 3, 3, 3, 3 };
	struct ek_interval got[EK_INEQUALITY_MEASURES], ranges[EK_INEQUALITY_MEASURES];
	const struct ek_bootstrap b = EK_BOOTSTRAP_DEFAULT;
	struct ek_statistics ranged = inequality;

	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++)
		ranges[m] = (struct ek_interval){ 0, 1e9 };
	ranged.ranges = ranges;
	assert_ok(ek_bootstrap_intervals(got, &ranged, equal, 4, &b));
	assert_true(got[EK_GINI].low == 0 && got[EK_GINI].high == 0);
	assert_true(got[EK_NORMALISED_ENTROPY].low <= 1 && got[EK_NORMALISED_ENTROPY].high > 1);
	ranges[EK_NORMALISED_ENTROPY].high = 1;
	assert_ok(ek_bootstrap_intervals(got, &ranged, equal, 4, &b));
	assert_true(got[EK_NORMALISED_ENTROPY].low <= 1 && got[EK_NORMALISED_ENTROPY].high == 1);
}

static void intervals_are_the_same_for_any_number_of_threads(void **state)
{
	static const uint64_t sizes[] = { 100000000, 3, 0, 70000, 12, 5000 };
	static const int threads[] = { 1, 2, 7, 16 };
	struct ek_interval first[EK_INEQUALITY_MEASURES], got[EK_INEQUALITY_MEASURES], other[EK_INEQUALITY_MEASURES];
	struct ek_bootstrap b = EK_BOOTSTRAP_DEFAULT;

	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		ek_threads_set(threads[i]);
		assert_ok(ek_bootstrap_intervals(i == 0 ? first : got, &inequality, sizes, 6, &b));
		if (i > 0)
			assert_memory_equal(first, got, sizeof got);
	}
	ek_threads_set(0);
	b.name = "another";
	assert_ok(ek_bootstrap_intervals(other, &inequality, sizes, 6, &b));
	assert_memory_not_equal(first, other, sizeof other);
	b = (struct ek_bootstrap)EK_BOOTSTRAP_DEFAULT;
	b.seed = 1;
	assert_ok(ek_bootstrap_intervals(other, &inequality, sizes, 6, &b));
	assert_memory_not_equal(first, other, sizeof other);
}

enum { NOTED = 100 };
struct notes {
	uint64_t first[NOTED + 1];
	size_t count;
};

static int note_first(double *values, const uint64_t *counts, size_t k, const void *context)
{
	struct notes *const *notes = context;

	if ((*notes)->count <= NOTED)
		(*notes)->first[(*notes)->count++] = counts[0];
	values[0] = (double)counts[0];
	return 0;
}

/* Of 100 draws with a standard deviation of 50 million, two are equal with a chance of 100^2 / 2 / 1.8e8 = 3e-5. */
static void each_resample_is_a_draw_of_its_own(void **state)
{
	static const uint64_t sizes[2] = { (uint64_t)5e15, (uint64_t)3.9e15 };
	const struct ek_bootstrap b = { .resamples = NOTED, .seed = 0, .name = "noted" };
	struct notes notes = { .count = 0 }, *where = &notes;
	const struct ek_statistics noting = { .measure = note_first, .context = &where, .count = 1 };
	struct ek_interval got;

	ek_threads_set(1);
	assert_ok(ek_bootstrap_intervals(&got, &noting, sizes, 2, &b));
	ek_threads_set(0);
	/* The first is the data itself. */
	assert_int_equal(notes.count, NOTED + 1);
	assert_true(notes.first[0] == sizes[0]);
	for (size_t i = 1; i <= NOTED; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(notes.first[i] != notes.first[j]);
}

static int refuse(double *values, const uint64_t *counts, size_t k, const void *context)
{
	return ek_fail(EK_EDATA, "refused %zu", k);
}

static void nonsense_is_refused_and_errors_are_passed_on(void **state)
{
	static const struct ek_statistics refusing = { .measure = refuse, .count = 1 };
	static const uint64_t sizes[2] = { 1, 2 }, none[2] = { 0 };
	struct ek_bootstrap b = EK_BOOTSTRAP_DEFAULT;
	struct ek_interval got[EK_INEQUALITY_MEASURES];

	assert_fails(ek_bootstrap_intervals(got, &refusing, sizes, 2, &b), EK_EDATA, "refused 2");
	assert_fails(ek_bootstrap_intervals(got, &inequality, none, 2, &b), EK_EDATA, "no images");
	b.resamples = 0;
	assert_fails(ek_bootstrap_intervals(got, &inequality, sizes, 2, &b), EK_EUSAGE, "resample");
}

EK_TEST_MAIN(cmocka_unit_test(wilson_equals_scipy), cmocka_unit_test(percentiles_equal_numpy),
             cmocka_unit_test(binomial_draws_follow_the_exact_distribution),
             cmocka_unit_test(certain_outcomes_use_no_random_numbers),
             cmocka_unit_test(multinomial_draws_have_the_right_moments),
             cmocka_unit_test(intervals_hold_the_truth_as_often_as_they_say),
             cmocka_unit_test(intervals_of_nearly_equal_units_are_corrected_for_bias),
             cmocka_unit_test(intervals_stay_in_range_and_hold_the_value),
             cmocka_unit_test(intervals_are_the_same_for_any_number_of_threads),
             cmocka_unit_test(each_resample_is_a_draw_of_its_own),
             cmocka_unit_test(nonsense_is_refused_and_errors_are_passed_on))
