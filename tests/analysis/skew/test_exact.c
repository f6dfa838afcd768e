#include "tests/support/support.h"

#include "analysis/skew/exact.h"

static void limits_equal_scipy(void **state)
{
	cJSON *golden = ek_golden("skew");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "exact"))
	{
		const uint64_t count = (uint64_t)cJSON_GetObjectItem(one, "count")->valuedouble,
			       n = (uint64_t)cJSON_GetObjectItem(one, "n")->valuedouble;
		const double alpha = cJSON_GetObjectItem(one, "alpha")->valuedouble;
		size_t three;
		double *want = ek_golden_doubles(one, "want", &three);

		/* ln gamma of 1e8 is 1.7e9, its rounding 2e-7 of the probability, of which a limit's relative change is
		 * less. */
		assert_close(ek_share_above(count, n, alpha), want[0], 1e-6 * want[0]);
		assert_close(ek_share_below(count, n, alpha), want[1], 1e-6 * want[1]);
		assert_close(ek_binomial_at_most(count, n, want[1] / 3), want[2], 1e-6);
		free(want);
		done++;
	}
	assert_int_equal(done, 27);
	cJSON_Delete(golden);
}

/* How likely is each count of the first of two units? */
static double chance(uint64_t x, uint64_t n, double p)
{
	return ek_binomial_at_most(x, n, p) - (x > 0 ? ek_binomial_at_most(x - 1, n, p) : 0);
}

struct missed {
	double least_low, least_high, greatest_low, greatest_high, count, share;
};

/* Over all samples of two units: no sampling, so no chance. */
static struct missed miss(uint64_t n, double p, double fraction)
{
	const double least = fmin(p, 1 - p), greatest = 1 - least, bound = fraction,
		     count = (p < bound) + (1 - p < bound), share = (p < bound ? p : 0) + (1 - p < bound ? 1 - p : 0),
		     bit = 1e-12;
	struct missed m = { 0 };

	for (uint64_t x = 0; x <= n; x++) {
		const uint64_t counts[2] = { x, n - x };
		const struct ek_sample sample = { .counts = counts, .k = 2, .n = n };
		const struct ek_interval l = ek_least_share(&sample, 0, 0.025), g = ek_greatest_share(&sample, 0.025);
		const struct ek_below below = ek_shares_below(&sample, fraction);
		const double w = chance(x, n, p);

		assert_true(l.low <= l.high && g.low <= g.high);
		assert_true(below.count.low <= below.count.high && below.share.low <= below.share.high + bit);
		m.least_low += l.low > least + bit ? w : 0;
		m.least_high += l.high < least - bit ? w : 0;
		m.greatest_low += g.low > greatest + bit ? w : 0;
		m.greatest_high += g.high < greatest - bit ? w : 0;
		m.count += below.count.low > count || below.count.high < count ? w : 0;
		m.share += below.share.low > share + bit || below.share.high < share - bit ? w : 0;
	}
	return m;
}

static void the_truth_is_missed_no_more_often_than_said(void **state)
{
	static const uint64_t sizes[] = { 1, 7, 30, 200 };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (double p = 0.005; p <= 0.5; p += 0.045) {
			const struct missed m = miss(sizes[i], p, 0.25);

			assert_true(m.least_low <= 0.025 && m.least_high <= 0.025);
			assert_true(m.greatest_low <= 0.025 && m.greatest_high <= 0.025);
			assert_true(m.count <= 0.05 && m.share <= 0.05);
		}
}

static void parts_and_units_that_are_not_seen_are_minded(void **state)
{
	static const uint64_t counts[4] = { 50, 30, 0, 20 };
	static const double parts[4] = { 0.5, 0.25, 0, 0.25 };
	struct ek_sample sample = { .counts = counts, .k = 4, .n = 100 };

	assert_close(ek_least_share(&sample, 0, 0.025).low, 0, 0);
	assert_close(ek_least_share(&sample, 1, 0.025).low, ek_share_above(20, 100, 0.025), 1e-15);
	assert_close(ek_least_share(&sample, 1, 0.03).high, ek_share_below(20, 100, 0.01), 1e-15);
	assert_close(ek_greatest_share(&sample, 0.04).low, ek_share_above(50, 100, 0.01), 1e-15);
	/* Of what is wanted: 1, 1.2, nobody, 0.8. */
	sample.parts = parts;
	assert_close(ek_least_share(&sample, 0, 0.025).low, ek_share_above(20, 100, 0.025) / 0.25, 1e-15);
	assert_close(ek_greatest_share(&sample, 0.025).high, ek_share_below(30, 100, 0.025) / 0.25, 1e-15);
}

static void a_single_unit_has_all(void **state)
{
	static const uint64_t counts[1] = { 3 };
	static const double parts[1] = { 1 };
	struct ek_sample sample = { .counts = counts, .k = 1, .n = 3 };

	for (int i = 0; i < 2; i++) {
		assert_close(ek_least_share(&sample, 1, 0.025).low, 1, 0);
		assert_close(ek_least_share(&sample, 1, 0.025).high, 1, 0);
		assert_close(ek_greatest_share(&sample, 0.025).low, 1, 0);
		assert_close(ek_greatest_share(&sample, 0.025).high, 1, 0);
		sample.parts = parts;
	}
}

EK_TEST_MAIN(cmocka_unit_test(limits_equal_scipy), cmocka_unit_test(the_truth_is_missed_no_more_often_than_said),
             cmocka_unit_test(parts_and_units_that_are_not_seen_are_minded), cmocka_unit_test(a_single_unit_has_all))
