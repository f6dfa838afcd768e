#include "rebalance/pipeline/plans.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/reference.h"
#include "rebalance/pipeline/score.h"

static int steps_before(struct ek_run *run, struct ek_steps_options *steps, int clusters)
{
	struct ek_steps_options recorded;
	int rc;

	if (steps != NULL)
		return ek_steps_before(run, steps, clusters);
	ek_steps_options_init(&recorded);
	rc = ek_steps_before(run, &recorded, clusters);
	ek_steps_options_release(&recorded);
	return rc;
}

static int components_before(struct ek_run *run, struct ek_steps_options *steps)
{
	struct ek_steps_options recorded;
	int rc;

	if (steps != NULL)
		return ek_steps_components(run, steps);
	ek_steps_options_init(&recorded);
	rc = ek_steps_components(run, &recorded);
	ek_steps_options_release(&recorded);
	return rc;
}

static int groups_before(struct ek_run *run, struct ek_steps_options *steps)
{
	struct ek_steps_options recorded;
	int rc;

	if (steps != NULL)
		return ek_steps_groups(run, steps);
	ek_steps_options_init(&recorded);
	rc = ek_steps_groups(run, &recorded);
	ek_steps_options_release(&recorded);
	return rc;
}

static int tell_groups(const struct ek_run *run)
{
	struct ek_groups groups;
	char right[32];
	int rc;

	EK_TRY(ek_groups_load(&groups, run));
	if (groups.labelled > 0 && groups.accuracy >= 0)
		ek_info("by the %u groups that %" PRIu64
		        " labels taught (%s of those left out are told right); 'by' cluster "
		        "takes the clusters",
		        groups.count, groups.labelled, ek_text_percent(right, groups.accuracy));
	else if (groups.labelled > 0)
		ek_info("by the %u groups that %" PRIu64 " labels taught; 'by' cluster takes the clusters",
		        groups.count, groups.labelled);
	else
		ek_info("by the %u groups that were found%s; 'by' cluster takes the clusters", groups.count,
		        groups.named ? " by words" : " without labels");
out:
	ek_groups_release(&groups);
	return rc;
}

/* What a plan is by, with its groups brought up to date and told of. */
static int choose_by(const char **by, struct ek_run *run, struct ek_steps_options *steps)
{
	int rc = 0;

	if (*by == NULL || strstr(*by, "group") != NULL)
		EK_TRY(groups_before(run, steps));
	if (*by != NULL)
		goto out;
	EK_TRY(ek_units_best(by, run));
	if (strcmp(*by, "group") == 0)
		EK_TRY(tell_groups(run));
out:
	return rc;
}

int ek_do_plan_by(const char **by, const struct ek_run *run)
{
	return *by != NULL ? 0 : ek_units_best(by, run);
}

int ek_do_prune(int *made, struct ek_run *run, struct ek_steps_options *steps, const struct ek_do_prune_options *o)
{
	struct ek_prune_options plan = o->plan;
	int rc;

	*made = 0;
	if (plan.method == NULL || plan.name == NULL || (o->keep == NULL && !(plan.eps > 0)))
		return ek_fail(EK_EUSAGE, "a pruned subset needs a method, a name, and how much to keep (or, for "
		                          "semdedup, eps)");
	if (o->keep != NULL)
		EK_TRY(ek_keep_parse(&plan.keep, o->keep));
	EK_TRY(ek_prune_check(&plan));
	EK_TRY(steps_before(run, steps, 1));
	if (plan.by != NULL)
		EK_TRY(choose_by(&plan.by, run, steps));
	if (strcmp(plan.method, "leverage") == 0)
		EK_TRY(components_before(run, steps));
	if (strncmp(plan.method, "score:", 6) == 0)
		EK_TRY(ek_do_score_before(run, steps, plan.method + 6));
	EK_TRY(ek_prune(made, run, &plan, o->force));
out:
	return rc;
}

int ek_do_balance(int *made, struct ek_run *run, struct ek_steps_options *steps, const struct ek_do_balance_options *o)
{
	struct ek_balance_options plan = o->plan;
	int rc;

	*made = 0;
	if (plan.name == NULL)
		return ek_fail(EK_EUSAGE, "a balanced subset needs a name");
	plan.smallest = o->to != NULL;
	EK_TRY(steps_before(run, steps, 1));
	EK_TRY(choose_by(&plan.by, run, steps));
	EK_TRY(ek_balance(made, run, &plan, o->force));
out:
	return rc;
}

static int says_itself(const struct ek_weights_options *plan)
{
	static const char reweigh[] = "reweigh=";

	return plan->scheme != NULL && strncmp(plan->scheme, reweigh, sizeof reweigh - 1) == 0;
}

/* Clusters are what weights are by anyway. */
static void take_groups(struct ek_weights_options *plan, const char *by)
{
	if (by != NULL && strcmp(by, "group") == 0)
		plan->by = by;
}

int ek_do_weights_by(struct ek_weights_options *plan, const struct ek_run *run)
{
	const char *by = plan->by;
	int rc = 0;

	if (!says_itself(plan))
		EK_TRY(ek_do_plan_by(&by, run));
	take_groups(plan, by);
out:
	return rc;
}

/* What weights are by must be there before a reference is embedded for them. */
static int check_units(const struct ek_run *run, const char *by)
{
	struct ek_units units = { 0 };
	int rc = 0;

	if (by != NULL)
		rc = ek_units_load(&units, run, by);
	ek_units_release(&units);
	return rc;
}

int ek_do_weights(struct ek_run *run, struct ek_steps_options *steps, const struct ek_do_weights_options *o)
{
	struct ek_reference reference = { 0 };
	struct ek_weights_options plan = o->plan;
	struct ek_weights *weights = NULL;
	const char *by;
	int made, from_clusters, rc;

	if (o->reference != NULL) {
		EK_TRY(steps_before(run, steps, 1));
		EK_TRY(check_units(run, plan.by));
		EK_TRY(ek_reference_open(&reference, run, o->reference, steps != NULL ? (uint64_t)steps->seed : 0));
		plan.weigh = ek_reference_weigh;
		plan.context = &reference;
		plan.made_from = reference.array;
	}
	by = plan.by;
	if (!says_itself(&plan))
		EK_TRY(choose_by(&by, run, steps));
	take_groups(&plan, by);
	EK_TRY(ek_weights_prepare(&weights, &plan));
	from_clusters = strcmp(ek_weights_step(weights)->inputs[0], "clusters/assignment.npy") == 0;
	EK_TRY(steps_before(run, steps, from_clusters));
	if (ek_weights_need_components(weights))
		EK_TRY(components_before(run, steps));
	EK_TRY(ek_weights_run(&made, weights, run, o->force));
out:
	ek_weights_free(weights);
	ek_reference_release(&reference);
	return rc;
}

/* "500MB", "10000images". */
static int parse_shard_size(struct ek_export_options *o, const char *text)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} units[] = { { "", 1 },           { "B", 1 },           { "kB", 1000 },
		      { "MB", 1000000 },   { "GB", 1000000000 }, { "KiB", 1u << 10 },
		      { "MiB", 1u << 20 }, { "GiB", 1u << 30 } };
	const size_t digits = strspn(text, "0123456789");
	const uint64_t number = digits > 0 && digits <= 9 ? strtoull(text, NULL, 10) : 0;
	const char *unit = text + digits;

	if (number > 0 && strcmp(unit, "images") == 0) {
		o->shard_images = number;
		o->shard_bytes = UINT64_MAX;
		return 0;
	}
	for (size_t i = 0; number > 0 && i < sizeof units / sizeof *units; i++)
		if (strcmp(unit, units[i].name) == 0) {
			o->shard_bytes = number * units[i].factor;
			return 0;
		}
	return ek_fail(EK_EUSAGE, "'shard-size' is \"%s\", not a size as 500MB or a number as 10000images", text);
}

int ek_do_export(struct ek_export_result *result, struct ek_run *run, const struct ek_do_export_options *o)
{
	struct ek_export_options plan = o->plan;
	int rc;

	*result = (struct ek_export_result){ 0 };
	if (plan.subset == NULL || plan.output == NULL)
		return ek_fail(EK_EUSAGE, "an export needs a subset and a directory");
	EK_TRY(parse_shard_size(&plan, o->shard_size));
	EK_TRY(ek_export(result, run, &plan));
out:
	return rc;
}
