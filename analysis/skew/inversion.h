/*
 * Intervals by test inversion, for measures of shares that are biased in a sample: a sample of equal shares looks
 * skewed, and percentiles of resamples, which look more skewed still, do not hold the truth; no shift mends that where
 * the truth is at the edge of what a measure can be.
 *
 * Instead, ask of shares p whether the measure of a sample of theirs would come out as the one that was seen: those for
 * which it lies between the 2nd and the 98th percentile of simulated samples are kept, and the interval reaches
 * from the least to the greatest of their measures. It holds the truth near an edge and at it, where its end is the
 * edge itself. The shares that are asked lie on a path from the edge through what was seen (hybrid resampling: Chuang
 *and Lai 2000, "Hybrid resampling methods for confidence intervals", Statistica Sinica 10):
 *
 *	tilted  p_i ~ edge_i exp(at * direction_i), where direction_i = ln(seen_i / edge_i) and seen_i is smoothed by
 *	        half an image a cell: at 0 the edge, at 1 what was seen, beyond it more skewed still
 *	shrunk  what was seen, each cell moved towards the edge by `at` of its standard errors and not beyond: few cells
 *	        that differ by much instead of many that differ a little
 *	levelled the greatest cells cut to one level: the more are alike, the more one of them stands out by chance
 *
 * Samples of the last two look more skewed, so they reach further to the edge: the end of the interval on that side is
 * the furthest of the three paths.
 *
 * The corrected value is the measure of the tilted shares whose samples have the measure that was seen as their median.
 *
 * What is estimated is the measure of the expected counts n p. Random numbers are counter-based and percentiles do not
 * depend on order, so results do not depend on the number of threads.
 */
#ifndef EK_SKEW_INVERSION_H
#define EK_SKEW_INVERSION_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/intervals.h"

/* What is computed from counts that need not be whole. */
struct ek_share_measures {
	/* values: [count] out, finite; counts: [k] in, may be changed. Called from several threads. 0 or a negative
	 * code. */
	int (*measure)(double *values, double *counts, size_t k, const void *context);
	/* The same of expected counts, where that is another formula; NULL: it is the same. */
	int (*expected)(double *values, double *counts, size_t k, const void *context);
	const void *context;
	size_t count; /* of values, >= 1 */
	/* [k] shares, sum 1, at which the measures are at the end of their range; cells with 0 that have images lie off
	 * the edge. */
	const double *edge;
};

/*
 * estimates: [measures->count] out
 * counts:    [k] of the data; at least one is not 0
 *
 * bootstrap->resamples is how many samples are drawn for four of the thirty shares that are asked; of more than
 * 4,096 cells 32 for each, and the percentiles are Student's. Reports bootstrap->resamples units of progress. Returns
 * 0, EK_EUSAGE, EK_EDATA if all counts are 0, EK_ENOMEM, EK_EINTERRUPTED, or what `measure` returned.
 */
int ek_invert(struct ek_estimate *estimates, const struct ek_share_measures *measures, const uint64_t *counts, size_t k,
              const struct ek_bootstrap *bootstrap);

#endif
