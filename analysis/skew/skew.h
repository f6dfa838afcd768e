/*
 * The skew of any division of the images into units (clusters, groups, the values of an attribute): every measure of
 * inequality.h with its interval, and how it is written in files.
 */
#ifndef EK_SKEW_SKEW_H
#define EK_SKEW_SKEW_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/inequality.h"
#include "analysis/skew/intervals.h"
#include "rebalance/base/json.h"

struct ek_skew {
	struct ek_inequality measured;
	/* By test inversion (inversion.h); d0, dinf, imbalance_ratio, tail_count and tail_share by exact limits
	 * (exact.h), and so the upper end of top_share. INFINITY: no bound, as of the imbalance ratio where a unit has
	 * no image. Counts of units are not corrected, nor is the imbalance ratio where a unit has fewer than 5 images.
	 */
	struct ek_estimate estimates[EK_INEQUALITY_MEASURES];
};

/*
 * sizes: [k] images per unit, empty ones included
 *
 * `bootstrap->name` names the units. Errors as ek_inequality_measure and ek_invert.
 */
int ek_skew_measure(struct ek_skew *out, const uint64_t *sizes, size_t k, const struct ek_bootstrap *bootstrap);

/* Add {"gini": {"value", "corrected", "ci95"}, …, "effective_clusters": {"d0" …}, "top_clusters", "datalab_flag",
 * "tail_clusters": [units]} as `name` (docs/files.md, audit.json; the keys are the same for all units). EK_ENOMEM. */
int ek_skew_add(cJSON *parent, const char *name, const struct ek_skew *skew, const uint64_t *sizes, size_t k);

/* Add {"value": value, "ci95": [low, high]} as `name`, or to an array with name NULL. EK_ENOMEM. */
int ek_measure_add(cJSON *parent, const char *name, double value, struct ek_interval interval);
/* The same with "corrected", where it is; an end that is no number is null: there is no bound. */
int ek_estimate_add(cJSON *parent, const char *name, const struct ek_estimate *estimate);

/* Add an array of the share of each count in `n`, with Wilson intervals. EK_ENOMEM. */
int ek_shares_add(cJSON *parent, const char *name, const uint64_t *counts, size_t k, uint64_t n);

/* Add an array of numbers. EK_ENOMEM. */
int ek_counts_add(cJSON *parent, const char *name, const uint64_t *counts, size_t k);

#endif
