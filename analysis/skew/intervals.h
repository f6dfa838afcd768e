/*
 * How sure are we? 95 % intervals: Wilson's for a share, the bootstrap's for what is not biased in a sample. For what
 * is biased there are inversion.h and exact.h.
 *
 * The bootstrap draws images with replacement. Only the counts of the cells (units, or cells of a table) matter, so
 * a resample is one multinomial draw, made of one binomial draw per cell: its cost does not depend on the number of
 * images. Random numbers are counter-based, so results do not depend on the number of threads.
 */
#ifndef EK_SKEW_INTERVALS_H
#define EK_SKEW_INTERVALS_H

#include <stddef.h>
#include <stdint.h>

struct ek_interval {
	double low, high;
};

/* A measure of a sample and what it says of where the sample is from. */
struct ek_estimate {
	double value;     /* of the sample */
	double corrected; /* for the bias that the measure has in samples; NaN: it is not corrected */
	struct ek_interval interval;
};

/* Wilson's score interval (1927) for the share count/n at 95 %; [0, 1] for n = 0. count ≤ n. */
struct ek_interval ek_wilson(uint64_t count, uint64_t n);

/* A sequence of random numbers: consecutive indices of one stream (rebalance/base/random.h). */
struct ek_sequence {
	uint64_t seed, stream, index;
};

/*
 * A draw from the binomial distribution of n trials with probability p, 0 ≤ p ≤ 1, n < 2^53; exact up to the rounding
 * of double. Below 10 expected successes by inversion, else by transformed rejection (BTRS; Hörmann 1993, "The
 * generation of binomial random variates"): about 1.2 to 3 numbers of the sequence per draw, for any n.
 */
uint64_t ek_binomial(struct ek_sequence *random, uint64_t n, double p);

/* out: [k] a draw of sum(counts) images over k cells with shares counts[i]/sum. The sum is below 2^53. */
void ek_multinomial(uint64_t *out, struct ek_sequence *random, const uint64_t *counts, size_t k);

/* What is computed from the counts of a resample. */
struct ek_statistics {
	/* values: [count] out, finite; counts: [k] in. Called from several threads. Returns 0 or a negative code. */
	int (*measure)(double *values, const uint64_t *counts, size_t k, const void *context);
	const void *context;
	size_t count;                     /* of values, ≥ 1 */
	const struct ek_interval *ranges; /* [count] where each value can lie, or NULL: anywhere */
};

struct ek_bootstrap {
	uint32_t resamples; /* ≥ 1 */
	uint64_t seed;
	const char *name; /* of the thing measured: two names give independent draws */
};
#define EK_BOOTSTRAP_DEFAULT                                                                                           \
	{                                                                                                              \
		.resamples = 1000, .seed = 0, .name = ""                                                               \
	}

/*
 * Percentile intervals, corrected for bias: the 2.5th and the 97.5th percentile of each value over the resamples, both
 * moved by twice the bias, which is the mean over the resamples less the value of the data (Efron and Tibshirani 1993,
 * chapters 10 and 13).
 *
 * Not for a truth at or near the edge of the measure's range, which percentiles rarely hold, moved or not. An interval
 * is cut to the range of its measure and always holds the value of the data.
 *
 * intervals: [statistics->count], out
 * counts:    [k] of the data; at least one is not 0
 *
 * Reports one unit of progress per resample. Returns 0, EK_EUSAGE, EK_EDATA if all counts are 0, EK_ENOMEM,
 * EK_EINTERRUPTED, or what `measure` returned.
 */
int ek_bootstrap_intervals(struct ek_interval *intervals, const struct ek_statistics *statistics,
                           const uint64_t *counts, size_t k, const struct ek_bootstrap *bootstrap);

/* The percentiles below and above which `tail` of `values` lie (count ≥ 1, no NaN), which are sorted in place; between
 * two values linearly, as numpy.percentile. */
struct ek_interval ek_percentiles(double *values, size_t count, double tail);

#endif
