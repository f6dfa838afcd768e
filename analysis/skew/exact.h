/*
 * Intervals of what is decided by single shares of a multinomial sample: the least of them, the greatest, and how many
 * lie below a bound. Such measures have no normal law, and the sample's are biased by the choice of the extreme; the
 * intervals here are built of exact binomial limits (Clopper and Pearson 1934) and hold the truth at least as often as
 * they say, for any shares and any number of images.
 *
 * The least share: whichever unit truly has it, its own lower limit at level a is right, and the least of all lower
 * limits is not above it; so no correction for the number of units is needed below. Above, all upper limits have to be
 * right, each at a / k (Bonferroni). The greatest is the mirror image.
 */
#ifndef EK_SKEW_EXACT_H
#define EK_SKEW_EXACT_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/intervals.h"

/* The chance of at most `count` successes in n trials of probability p. count <= n, 0 <= p <= 1. */
double ek_binomial_at_most(uint64_t count, uint64_t n, double p);

/* One-sided limits of a share of which `count` of n were seen: above the lower, and below the upper, it lies with
 * probability 1 - alpha at least, 0 < alpha < 1. 0 for none, 1 for all. n >= 1. */
double ek_share_above(uint64_t count, uint64_t n, double alpha);
double ek_share_below(uint64_t count, uint64_t n, double alpha);

/* A multinomial sample. */
struct ek_sample {
	const uint64_t *counts; /* [k] */
	const double *parts;    /* [k] shares are told as multiples of these, units with 0 are left out; NULL: all 1 */
	size_t k;
	uint64_t n; /* the sum of counts, >= 1 */
};

/* The least and the greatest of share / part. Each end is passed with probability alpha at most. Only of units that
 * have an image if `seen`. At least one unit must be left. */
struct ek_interval ek_least_share(const struct ek_sample *sample, int seen, double alpha);
struct ek_interval ek_greatest_share(const struct ek_sample *sample, double alpha);

/*
 * How many units have a share below fraction * part (95 %), and how much they have together.
 *
 * A unit surely lies below, or may, by its own limits (Bonferroni). And of those that do, each is seen below with a
 * chance of about a half or more, of those that do not, with about a half or less: from how many are seen the binomial
 * distribution tells how many there can be.
 */
struct ek_below {
	struct ek_interval count;
	struct ek_interval share; /* 0 ... 1 */
};
struct ek_below ek_shares_below(const struct ek_sample *sample, double fraction);

#endif
