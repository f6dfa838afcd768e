#include "tests/support/support.h"

#include <stdlib.h>

#include "analysis/skew/prediction.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

enum { N = 2000, LABELS = 120, DRAWS = 400 };

/* Worthless predictions leave the sample's share and Student's interval, here of 20 in 50: 0.4 ± t(49) · 0.0699854,
 * with t = 2.0095752 by SciPy. */
static void worthless_predictions_change_nothing(void **state)
{
	double f[50], share;
	uint8_t y[50];
	struct ek_interval ends;

	(void)state;
	for (size_t i = 0; i < 50; i++) {
		f[i] = 0.3;
		y[i] = i < 20;
	}
	ek_prediction_share(&share, &ends, f, y, 50, 0.3, 0, 100000);
	assert_close(share, 0.4, 1e-12);
	assert_close(ends.low, 0.4 - 2.0095752 * 0.0699854, 1e-5);
	assert_close(ends.high, 0.4 + 2.0095752 * 0.0699854, 1e-5);
}

/* Predictions that are the labels tell the share of all, not that of the sample. */
static void perfect_predictions_tell_all(void **state)
{
	double f[50], share;
	uint8_t y[50];
	struct ek_interval ends;

	(void)state;
	for (size_t i = 0; i < 50; i++)
		f[i] = y[i] = i < 20;
	ek_prediction_share(&share, &ends, f, y, 50, 0.25, 0.25 * 0.75, 1000000);
	assert_close(share, 0.25, 1e-3);
	assert_true(ends.low > 0.24 && ends.high < 0.26);
}

static void few_are_told_by_wilson(void **state)
{
	double f[50] = { 0 }, share;
	uint8_t y[50] = { 1, 1, 1 };
	const struct ek_interval want = ek_wilson(3, 50);
	struct ek_interval ends;

	(void)state;
	ek_prediction_share(&share, &ends, f, y, 50, 0.2, 0.01, 1000);
	assert_true(share == 0.06 && ends.low == want.low && ends.high == want.high);
}

/* Over repeated draws of the labelled images from a population whose share is known: it lies in at least 93 % of the
 * intervals, and they are shorter than those of the same labels alone. */
static void intervals_hold_the_truth(void **state)
{
	static const double shares[] = { 0.3, 0.1, 0.06 };
	static double f[N], drawn[LABELS];
	static uint8_t y[N], labels[LABELS];

	(void)state;
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
			struct ek_interval ends, wilson;
			uint64_t yes = 0;
			double share;

			for (uint64_t i = 0; i < LABELS; i++) {
				const uint64_t id = ek_random_below(3, s, draw * LABELS + i, N);

				drawn[i] = f[id];
				labels[i] = y[id];
				yes += y[id];
			}
			ek_prediction_share(&share, &ends, drawn, labels, LABELS, mean, squares - mean * mean, N);
			wilson = ek_wilson(yes, LABELS);
			held += ends.low <= truth && truth <= ends.high;
			width += ends.high - ends.low;
			alone += wilson.high - wilson.low;
		}
		print_message("share %.3f: %.1f %% of %d intervals hold it; %.3f as long as without predictions\n",
		              truth, 100.0 * held / DRAWS, DRAWS, width / alone);
		assert_true(held >= 0.93 * DRAWS);
		assert_true(width < 0.8 * alone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worthless_predictions_change_nothing),
		cmocka_unit_test(perfect_predictions_tell_all),
		cmocka_unit_test(few_are_told_by_wilson),
		cmocka_unit_test(intervals_hold_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
