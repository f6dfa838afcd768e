/*
 * Plans of an open run: subsets, weights, and a subset laid out for a trainer. Each brings the steps up to date that it
 * is made from (steps.h), then makes its files unless they are there and current. `steps` may be NULL: as the last
 * time. Options as the user says them; what they mean is in rebalance/plan.
 */
#ifndef EK_PIPELINE_PLANS_H
#define EK_PIPELINE_PLANS_H

#include "rebalance/pipeline/steps.h"
#include "rebalance/plan/balance.h"
#include "rebalance/plan/export.h"
#include "rebalance/plan/prune.h"
#include "rebalance/plan/rule.h"
#include "rebalance/plan/subset.h"
#include "rebalance/plan/weights.h"

struct ek_do_prune_options {
	struct ek_prune_options plan; /* but for `keep` */
	const char *keep;             /* as ek_keep_parse takes it, or NULL */
	int force;
};
#define EK_DO_PRUNE_DEFAULT                                                                                            \
	{                                                                                                              \
		.keep = NULL                                                                                           \
	}

struct ek_do_balance_options {
	struct ek_balance_options plan; /* but for `smallest`; by NULL: see ek_do_plan_by */
	const char *to;                 /* "smallest", or NULL */
	int force;
};
#define EK_DO_BALANCE_DEFAULT                                                                                          \
	{                                                                                                              \
		.plan = {.rule = "furthest", .max_repeat = 1 }                                                         \
	}

struct ek_do_weights_options {
	struct ek_weights_options plan; /* by NULL: see ek_do_plan_by */
	const char *reference;          /* a data set with the shares that are wanted, or NULL */
	int force;
};

struct ek_do_export_options {
	struct ek_export_options plan; /* but for the size of a shard */
	const char *shard_size;        /* "500MB", "10000images" */
};
#define EK_DO_EXPORT_DEFAULT                                                                                           \
	{                                                                                                              \
		.shard_size = "1GB"                                                                                    \
	}

/*
 * Where nobody says what balance and weights are by (`by` NULL), they go by the groups of the run, where it has any
 * (ek_units_best), which is told, else by the clusters. Groups that are asked for, or may be taken, are brought up to
 * date first. What that came to, for a recipe: of weights clusters, and what a scheme says itself, stay NULL.
 */
int ek_do_plan_by(const char **by, const struct ek_run *run);
int ek_do_weights_by(struct ek_weights_options *plan, const struct ek_run *run);

/* `*made`: 0: it was there and current. Scores that are kept by are brought up to date first (score.h). EK_EUSAGE: also
 * without a name, a method, or how much. As ek_prune. */
int ek_do_prune(int *made, struct ek_run *run, struct ek_steps_options *steps,
                const struct ek_do_prune_options *options);
/* As ek_balance. */
int ek_do_balance(int *made, struct ek_run *run, struct ek_steps_options *steps,
                  const struct ek_do_balance_options *options);
/* As ek_weights_run. */
int ek_do_weights(struct ek_run *run, struct ek_steps_options *steps, const struct ek_do_weights_options *options);
/* As ek_export. */
int ek_do_export(struct ek_export_result *result, struct ek_run *run, const struct ek_do_export_options *options);

#endif
