/*
 * What a plan does to whom: how many images of every cluster and of every attribute value it removes, with Wilson's 95
 * % intervals; the disparate-impact ratio, smallest kept share / largest kept share (the four-fifths rule is a hint,
 * not a verdict); the skew before and after. Held-out images are not counted.
 */
#ifndef EK_PLAN_EFFECTS_H
#define EK_PLAN_EFFECTS_H

#include "rebalance/io/images.h"
#include "rebalance/plan/select.h"

/* What effects are counted by, loaded once for any number of plans. */
struct ek_effects {
	struct ek_units clusters;  /* k 0: the run has none */
	struct ek_units groups;    /* the likeliest of each image; k 0: the run has fewer than two */
	struct ek_columns columns; /* none: the run has no images.jsonl */
};

/* EK_EDATA, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED. Release in any case. */
int ek_effects_open(struct ek_effects *effects, const struct ek_run *run);
void ek_effects_release(struct ek_effects *effects);

/* The files that effects are counted by, where they are there: for the inputs of a subset. */
#define EK_EFFECTS_INPUTS                                                                                              \
	"clusters/assignment.npy", "images.jsonl", "ranges.json", "clusters/membership.npy", "clusters/groups.json"
enum { EK_EFFECTS_INPUT_COUNT = 5 };

/* Add "skew_before", "skew_after", "per_cluster", "per_group", where there are groups, "per_attribute" and
 * "disparate_impact" (docs/files.md). */
int ek_effects_add(cJSON *json, const struct ek_effects *effects, const struct ek_selection *selection);

#endif
