/*
 * Who is generated, and who is not: the shares of clusters among generated images against those that are wanted.
 *
 * t_k: target shares, q_k: generated shares, p_k: shares of the data that the clusters were frozen on. Clusters without
 * a target (t_k = 0) are wanted by nobody and count in none of the ratios and coverages. What has no value is NaN.
 */
#ifndef EK_QUALITY_FAIRNESS_H
#define EK_QUALITY_FAIRNESS_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/intervals.h"

enum ek_fairness_measure {
	EK_MASS_COVERAGE, /* share of clusters with q_k >= t_k / 2 */
	EK_HIT_COVERAGE,  /* share of clusters with at least one generated image; soon 1 */
	EK_DISCREPANCY,   /* L2 norm of q - t: the fairness discrepancy of Choi et al. 2020 with one-hot clusters in the
	                     place of a classifier's probabilities */
	EK_TOTAL_VARIATION,    /* 1/2 sum |q - t|: the share of images that would have to be of another cluster */
	EK_KL,                 /* sum t ln(t / q'), nats, q' = (count + 1/2) / (n + K/2) */
	EK_DISPARATE_IMPACT,   /* min rho / max rho, rho_k = q_k / t_k; below 0.8 by the four-fifths rule of thumb */
	EK_WORST_RATIO,        /* min rho */
	EK_DIFFERENCE,         /* max q - min q, fairlearn's demographic parity difference; NaN unless t is uniform */
	EK_BIAS_AMPLIFICATION, /* slope of ln q on ln p, clusters weighted by p: 1 copies the skew of the data, above 1
	                          amplifies it, 0 is balanced. q' of above for q where a cluster with p > 0 has no
	                          image. NaN: all clusters that are not empty are of one size */
	EK_FAIRNESS_MEASURES
};

/* Its name, of the table of measures (io/measures.h): "mass_coverage", … */
const char *ek_fairness_name(enum ek_fairness_measure measure);

struct ek_fairness {
	double value[EK_FAIRNESS_MEASURES];
	size_t worst; /* the cluster of min rho, the first of equals */
};

/*
 * target:    [k] >= 0, sum 1
 * training:  [k] >= 0, sum 1
 * generated: [k] images of each cluster
 *
 * Sums in index order. EK_EDATA: no generated image, or no target.
 */
int ek_fairness_measure(struct ek_fairness *out, const double *target, const double *training,
                        const uint64_t *generated, size_t k);

/* The same of numbers of images that need not be whole, as those that are expected. */
int ek_fairness_expected(struct ek_fairness *out, const double *target, const double *training, const double *generated,
                         size_t k);

/*
 * With 95 % intervals of what a sample of generated images says of the generator: by test inversion (skew/inversion.h),
 * and by exact limits (skew/exact.h) for what single clusters decide, which are the coverages, disparate_impact,
 * worst_ratio and difference; of bias_amplification by the normal law of logarithms. `value` is NaN where there is
 * none. The kl of a generator is that of the expected counts. Counts of clusters are not corrected. Reports
 * bootstrap->resamples units of progress. Errors of ek_fairness_measure and ek_invert.
 */
int ek_fairness_estimate(struct ek_estimate estimates[EK_FAIRNESS_MEASURES], const double *target,
                         const double *training, const uint64_t *generated, size_t k,
                         const struct ek_bootstrap *bootstrap);

/* High average, low minority (Hashimoto et al. 2018 call it representation disparity), of any value of clusters. */
struct ek_disparity {
	double overall; /* mean weighted by `weights` */
	double macro;   /* plain mean */
	double lowest, gap;
	size_t worst; /* its cluster, the first of equals; gap = lowest - overall, <= 0 */
};

/* values: [k], NaN: has none, is left out; weights: [k] >= 0. 1, or 0 if no cluster has a value and a weight: all NaN
 * then. */
int ek_disparity(struct ek_disparity *out, const double *values, const double *weights, size_t k);

#endif
