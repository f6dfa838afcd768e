/*
 * One label or attribute against the units that were found without it (clusters): how skewed are its own values, how
 * well do the units follow it, and which of its values live in the small units.
 */
#ifndef EK_SKEW_ATTRIBUTES_H
#define EK_SKEW_ATTRIBUTES_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/agreement.h"
#include "analysis/skew/skew.h"

/* A division of n images into k units. */
struct ek_partition {
	const int32_t *unit;   /* [n] 0 … k-1 */
	const uint64_t *sizes; /* [k] */
	uint64_t n;
	size_t k;
};

/* An attribute as category codes. */
struct ek_categories {
	const int32_t *codes; /* [n] 0 … count-1, or -1: no value */
	size_t count;         /* ≥ 1 */
};

/* A value that is more frequent in the tail units (ek_in_tail) than images are on the whole. */
struct ek_tail_value {
	size_t value;
	double tail_share;           /* of this value's images, the share in tail units */
	struct ek_interval interval; /* its Wilson interval; above the share of all images: not by chance */
	double ratio;                /* tail_share over the share of all images in tail units, > 1 */
};

struct ek_attribute {
	uint64_t *counts;              /* [count] images with each value, owned */
	uint64_t *by_unit;             /* [k, count] images of each unit and value, owned */
	uint64_t missing;              /* images without a value */
	struct ek_skew skew;           /* of `counts` */
	struct ek_agreement agreement; /* of units (rows) and values, over the images that have a value */
	/* By test inversion from independence (inversion.h). */
	struct ek_estimate agreement_estimates[EK_AGREEMENT_MEASURES];
	struct ek_tail_value *tail_values; /* [tail_value_count] by falling ratio, owned */
	size_t tail_value_count;
	double tail_share; /* of all images, the share in tail units */
};

/*
 * Measure one attribute. `bootstrap->name` names it.
 *
 * Returns 0, EK_EDATA if no image has a value or there are 2^32 images or more, EK_ENOMEM, EK_EINTERRUPTED.
 * Release `*out` in any case.
 */
int ek_attribute_measure(struct ek_attribute *out, const struct ek_partition *partition,
                         const struct ek_categories *categories, const struct ek_bootstrap *bootstrap);
void ek_attribute_release(struct ek_attribute *attribute);

#endif
