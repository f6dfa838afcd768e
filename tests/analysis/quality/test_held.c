#include "tests/analysis/quality/held.h"

#include "tests/support/support.h"

enum { RUNS = 120 };

/*
 * Intervals of 95 % are to hold the truth in 93 % of samples at least, those of extremes in more. Of 120 samples the
 * share that hold it has a standard error of at most sqrt(0.93 0.07 / 120) = 0.0233; four of them are allowed for each
 * of a hundred numbers. tests/analysis/quality/study_intervals, which is slow, looks more closely.
 */
static const double least = 0.93 - 4 * 0.0233;

static void check(enum ek_held_shape shape, uint64_t images, int as_data)
{
	const struct ek_held_case c = {
		.shape = shape, .k = 12, .images = images, .as_data = as_data, .runs = RUNS, .resamples = 600
	};
	struct ek_held held[EK_HELD_MEASURES];

	ek_held_run(held, &c);
	for (int m = 0; m < EK_HELD_MEASURES; m++) {
		if (!held[m].has)
			continue;
		print_message("%s, %d images: %s: %.3f\n", ek_held_shapes[shape], (int)images, ek_held_name(m),
		              held[m].held);
		assert_true(held[m].held >= least);
		/* Not by being endless: the truth is within four times what is beyond chance for a normal law. */
		if (m < EK_HELD_MEASURES - 1 && held[m].normal > 0 && held[m].unbounded == 0)
			assert_true(held[m].width <= 4 * held[m].normal);
	}
}

static void intervals_of_equal_shares_hold_the_truth(void **state)
{
	check(EK_HELD_EQUAL, 1500, 0);
}

static void intervals_of_mildly_skewed_shares_hold_the_truth(void **state)
{
	check(EK_HELD_MILD, 3000, 1);
}

static void intervals_of_strongly_skewed_shares_hold_the_truth(void **state)
{
	check(EK_HELD_STRONG, 500, 0);
}

static int measure(double *values, const uint64_t *counts, size_t k, const void *context)
{
	struct ek_inequality got;
	const int rc = ek_inequality_measure(&got, counts, k);

	if (rc == 0)
		memcpy(values, got.value, sizeof got.value);
	return rc;
}

/* The control: percentiles that are moved by the bias, and kept in range, do not pass the test above. */
static void percentiles_of_equal_shares_do_not(void **state)
{
	enum { K = 12, IMAGES = 1500 };
	struct ek_interval ranges[EK_INEQUALITY_MEASURES];
	const struct ek_statistics statistics = { .measure = measure,
		                                  .count = EK_INEQUALITY_MEASURES,
		                                  .ranges = ranges };
	double held = 0;

	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++)
		ranges[m] = (struct ek_interval){ 0, (double)INFINITY };
	for (uint64_t run = 0; run < RUNS; run++) {
		const struct ek_bootstrap b = { .resamples = 200, .seed = run, .name = "control" };
		struct ek_sequence random = { .seed = 20, .stream = 3, .index = run << 32 };
		struct ek_interval got[EK_INEQUALITY_MEASURES];
		uint64_t counts[K], even[K];

		for (size_t i = 0; i < K; i++)
			even[i] = IMAGES / K;
		ek_multinomial(counts, &random, even, K);
		assert_ok(ek_bootstrap_intervals(got, &statistics, counts, K, &b));
		held += (got[EK_GINI].low <= 0) / (double)RUNS;
	}
	print_message("percentiles: gini: %.3f\n", held);
	assert_true(held < least);
}

EK_TEST_MAIN(cmocka_unit_test(intervals_of_equal_shares_hold_the_truth),
             cmocka_unit_test(intervals_of_mildly_skewed_shares_hold_the_truth),
             cmocka_unit_test(intervals_of_strongly_skewed_shares_hold_the_truth),
             cmocka_unit_test(percentiles_of_equal_shares_do_not))
