#include "tests/support/support.h"

#include "analysis/skew/prediction.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

enum { N = 2000, LABELS = 120, DRAWS = 400 };

/* Worthless predictions leave the sample's share and Student's interval, here of 20 in 50: 0.4 ± t(49) · 0.0699854,
 * with t = 2.0095752 by SciPy. */
static void worthless_predictions_change_nothing(void **state)
{
	double f[50];
	uint8_t y[50];
	struct ek_prediction found;

	for (size_t i = 0; i < 50; i++) {
		f[i] = 0.3;
		y[i] = i < 20;
	}
	ek_prediction_share(&found, f, y, 50, 0.3, 0, 100000);
	assert_close(found.share, 0.4, 1e-12);
	assert_close(found.interval.low, 0.4 - 2.0095752 * 0.0699854, 1e-5);
	assert_close(found.interval.high, 0.4 + 2.0095752 * 0.0699854, 1e-5);
}

/* Predictions that are the labels tell the share of all, not that of the sample. */
static void perfect_predictions_tell_all(void **state)
{
	double f[50];
	uint8_t y[50];
	struct ek_prediction found;

	for (size_t i = 0; i < 50; i++)
		f[i] = y[i] = i < 20;
	ek_prediction_share(&found, f, y, 50, 0.25, 0.25 * 0.75, 1000000);
	assert_close(found.share, 0.25, 1e-3);
	assert_true(found.interval.low > 0.24 && found.interval.high < 0.26);
}

static void few_are_told_by_wilson(void **state)
{
	double f[50] = { 0 };
	uint8_t y[50] = { 1, 1, 1 };
	const struct ek_interval want = ek_wilson(3, 50);
	struct ek_prediction found;

	ek_prediction_share(&found, f, y, 50, 0.2, 0.01, 1000);
	assert_true(found.share == 0.06 && found.interval.low == want.low && found.interval.high == want.high);
}

static double width(struct ek_interval interval)
{
	return interval.high - interval.low;
}

/* So many labels that fall alike make the interval half as wide. */
static void more_labels_halve_an_interval(void **state)
{
	static double f[400];
	static uint8_t y[400];
	struct ek_prediction found, more;

	for (size_t i = 0; i < 400; i++) {
		y[i] = i % 5 == 0;
		f[i] = (y[i] ? 0.6 : 0.2) + 0.1 * (double)(i % 3);
	}
	ek_prediction_share(&found, f, y, 60, 0.38, 0.04, 1000000);
	assert_true(found.halved > 200 && found.halved < 400);
	ek_prediction_share(&more, f, y, found.halved, 0.38, 0.04, 1000000);
	assert_close(width(more.interval), width(found.interval) / 2, 0.05 * width(found.interval));
	/* Wilson's: 2 of 60. */
	for (size_t i = 0; i < 60; i++)
		y[i] = i < 2;
	ek_prediction_share(&found, f, y, 60, 0.38, 0.04, 1000000);
	assert_true(width(ek_wilson((found.halved + 15) / 30, found.halved)) <= width(found.interval) / 2);
	assert_true(width(ek_wilson((found.halved + 14) / 30, found.halved - 1)) > width(found.interval) / 2);
	/* Of 100 images, all of them. */
	ek_prediction_share(&found, f, y, 60, 0.38, 0.04, 70);
	assert_int_equal(found.halved, 70);
}

/* Over repeated draws of the labelled images from a population whose share is known: it lies in at least 93 % of the
 * intervals, and they are shorter than those of the same labels alone. */
static void intervals_hold_the_truth(void **state)
{
	static const double shares[] = { 0.3, 0.1, 0.06 };
	static double f[N], drawn[LABELS];
	static uint8_t y[N], labels[LABELS];

	for (size_t s = 0; s < 3; s++) {
		double mean = 0, squares = 0, truth = 0, width = 0, alone = 0;
		int held = 0;

		for (uint64_t i = 0; i < N; i++) {
			y[i] = ek_random_double(1, s, i) < shares[s];
			f[i] = fmin(fmax((y[i] ? 0.7 : 0.15) + 0.12 * ek_random_normal(2, s, i), 0), 1);
			mean += f[i] / N;
			squares += f[i] * f[i] / N;
			truth += (double)y[i] / N;
		}
		for (uint64_t draw = 0; draw < DRAWS; draw++) {
			struct ek_prediction found;
			struct ek_interval wilson;
			uint64_t yes = 0;

			for (uint64_t i = 0; i < LABELS; i++) {
				const uint64_t id = ek_random_below(3, s, draw * LABELS + i, N);

				drawn[i] = f[id];
				labels[i] = y[id];
				yes += y[id];
			}
			ek_prediction_share(&found, drawn, labels, LABELS, mean, squares - mean * mean, N);
			wilson = ek_wilson(yes, LABELS);
			held += found.interval.low <= truth && truth <= found.interval.high;
			width += found.interval.high - found.interval.low;
			alone += wilson.high - wilson.low;
		}
		print_message("share %.3f: %.1f %% of %d intervals hold it; %.3f as long as without predictions\n",
		              truth, 100.0 * held / DRAWS, DRAWS, width / alone);
		assert_true(held >= 0.93 * DRAWS);
		assert_true(width < 0.8 * alone);
	}
}

EK_TEST_MAIN(cmocka_unit_test(worthless_predictions_change_nothing), cmocka_unit_test(perfect_predictions_tell_all),
             cmocka_unit_test(few_are_told_by_wilson), cmocka_unit_test(more_labels_halve_an_interval),
             cmocka_unit_test(intervals_hold_the_truth))
