/*
 * The plans of a run, as the report needs them: RUN/subsets/NAME/subset.json with decision.npy, and
 * RUN/weights/NAME/weights.json (docs/files.md), in the order of their names. Internal to reports/.
 */
#ifndef EK_REPORTS_PLANS_H
#define EK_REPORTS_PLANS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/run.h"

/* What a plan does to one cluster or one value. */
struct ek_plan_unit {
	const char *value;         /* of the attribute; NULL: a cluster. Belongs to the document */
	double before, after;      /* images; after with repeats */
	double removed, low, high; /* share of the images removed, with its interval; NaN: there were none */
};

struct ek_subset_plan {
	char *name;
	cJSON *json;
	int is_baseline;               /* of another one, which shows it */
	struct ek_plan_unit *clusters; /* [k], or NULL: it counts other clusters than the run has now */
	/* Some images of each cluster by lot: [k, 2, each], kept before removed; NULL: no pictures. */
	size_t each;
	uint64_t *ids;
	uint8_t *counts; /* [k, 2] */
};

struct ek_weights_plan {
	char *name;
	cJSON *json;
};

struct ek_plans {
	struct ek_subset_plan *subsets;
	struct ek_weights_plan *weights;
	size_t subset_count, weights_count;
	size_t k; /* clusters of the run */
};

/* A plan whose document is damaged is not there, but in `left_out` (ek_leave_out). Release in any case. */
int ek_plans_load(struct ek_plans *plans, struct ek_buffer *left_out, const struct ek_run *run, size_t k);
void ek_plans_release(struct ek_plans *plans);

/* Draw up to `each` (1 … 32) kept and removed images of every cluster of `plan`, by a hash of their ids. A decision.npy
 * that is not of these images leaves the plan without pictures; so does a damaged one, which is then in `left_out`
 * (ek_leave_out). assignment: [n]. */
int ek_plans_draw(struct ek_subset_plan *plan, struct ek_buffer *left_out, const struct ek_run *run,
                  const int32_t *assignment, uint64_t n, size_t k, size_t each);
const uint64_t *ek_plans_drawn(const struct ek_subset_plan *plan, size_t cluster, int removed, size_t *count);

/* A row of "per_cluster" or of the "values" of an attribute. */
struct ek_plan_unit ek_plan_unit_of(const cJSON *row);
/* The plan called `name`, or NULL. */
const struct ek_subset_plan *ek_plans_find(const struct ek_plans *plans, const char *name);

/* What a method of prune or a rule of balance keeps, to end "kept are ..."; NULL: not known, or by scores. */
const char *ek_plan_method_words(const char *method);

#endif
