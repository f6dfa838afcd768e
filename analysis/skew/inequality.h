/*
 * How unequal are the sizes of K units (clusters, groups, the values of an attribute)?
 *
 * All measures take the sizes of all units, empty ones included, and ignore their order. Sums are taken in double in
 * ascending order of size, so a result depends neither on the order of the units nor on the number of threads.
 * p_k is the share of unit k, n the sum of the sizes, u = 1/K.
 */
#ifndef EK_SKEW_INEQUALITY_H
#define EK_SKEW_INEQUALITY_H

#include <stddef.h>
#include <stdint.h>

enum ek_inequality_measure {
	EK_GINI,               /* sum_i (2i - K - 1) n_(i) / (K n), n_(i) ascending: 0 = equal, (K-1)/K = all in one */
	EK_GINI_NORMALISED,    /* Gini K/(K-1): 0 … 1 */
	EK_NORMALISED_ENTROPY, /* H / ln K with H = -sum p ln p: 1 = equal, 0 = all in one; 1 if K is 1 */
	EK_KL_TO_UNIFORM,      /* ln K - H, nats; the Theil index of the sizes */
	EK_HILL_0,             /* effective number of units (Hill 1973): non-empty ones, */
	EK_HILL_1,             /* exp H, */
	EK_HILL_2,             /* 1 / sum p^2 (FAISS's imbalance factor is K over this), */
	EK_HILL_INFINITY,      /* 1 / max p */
	EK_IMBALANCE_RATIO,    /* largest / smallest non-empty size, ≥ 1 */
	EK_TOP_SHARE,          /* share of the ek_top_units(K) largest units */
	EK_CV,                 /* standard deviation (divisor K) / mean of the sizes */
	EK_CHI_SQUARE,         /* n sum (p - u)^2 / u; significant for any large n: */
	EK_EFFECT_SIZE,        /* Cohen's w = sqrt(sum (p - u)^2 / u) tells how much; equals EK_CV */
	EK_TAIL_COUNT,         /* units with p < u/2, empty ones included */
	EK_TAIL_SHARE,         /* share of the images that are in them */
	EK_INEQUALITY_MEASURES
};

struct ek_inequality {
	double value[EK_INEQUALITY_MEASURES];
};

/* The names of the measures in files: "gini" … "d0", "d1", "d2", "dinf" … */
extern const char *const ek_inequality_names[EK_INEQUALITY_MEASURES];

/*
 * Measure the inequality of `sizes`.
 *
 * sizes: [k] images per unit, their sum below 2^53, in
 * k:     number of units, 1 … 2^31
 *
 * Returns 0, EK_EDATA if all units are empty, or EK_ENOMEM; `*out` is then unchanged.
 */
int ek_inequality_measure(struct ek_inequality *out, const uint64_t *sizes, size_t k);

/* The same of sizes that need not be whole, as those that are expected: [k] >= 0, sorted in place. */
int ek_inequality_expected(struct ek_inequality *out, double *sizes, size_t k);

/* A tenth of k units, rounded down, at least 1. */
size_t ek_top_units(size_t k);

/* Is a unit of `size` among k units of together n images in the tail, p < u/2? */
int ek_in_tail(uint64_t size, uint64_t n, size_t k);

/* Datalab's rule for class imbalance: is the smallest share below 0.1 u? */
int ek_datalab_flag(const uint64_t *sizes, size_t k);

#endif
