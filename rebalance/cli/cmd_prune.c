/* prune: a pruned subset. */
#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/plan_options.h"

static const struct ek_choice orders[] = { { "none", "for methods without a score" },
	                                   { "high", "keep the highest" },
	                                   { "low", "keep the lowest" },
	                                   { "middle", "keep the middle" },
	                                   { NULL, NULL } };
static const struct ek_choice roundings[] = { { "exact", "the total is exact: largest remainders" },
	                                      { "floor", "every unit rounded down, as the paper's code does" },
	                                      { NULL, NULL } };

static const struct ek_choice rules[] = { { "one-pass", "those with such an earlier image" },
	                                  { "greedy", "those with such an earlier image that stays" },
	                                  { "components", "all but the first of those that pairs connect" },
	                                  { NULL, NULL } };

static int check_keep(const char *text)
{
	struct ek_keep keep;

	return ek_keep_parse(&keep, text);
}

static const struct ek_option rows[] = {
	{ .name = "method",
	  EK_STRING(struct ek_do_prune_options, plan.method, "M"),
	  .check = ek_prune_check_method,
	  .forgets = "eps rule dedup order scores",
	  .recorded = 1,
	  .choices = ek_prune_methods,
	  .choice_size = sizeof *ek_prune_methods,
	  .help = "which images are kept" },
	{ .name = "keep",
	  EK_STRING(struct ek_do_prune_options, keep, "F"),
	  .check = check_keep,
	  .forgets = "eps rule",
	  .recorded = 1,
	  .help = "how much: a fraction up to 1, or a count of images above 1" },
	{ .name = "eps",
	  EK_NUMBER(struct ek_do_prune_options, plan.eps, "E", 1e-6, 1),
	  .forgets = "keep",
	  .recorded = 1,
	  .zero = "none",
	  .help = "for --method semdedup, instead of --keep: two images are near-duplicates if their cosine is "
	          "above 1 - E" },
	{ .name = "rule",
	  EK_CHOICE(struct ek_do_prune_options, plan.rule, "RULE", rules),
	  .recorded = 1,
	  .help = "for --eps: which images of near-duplicate pairs go" },
	{ .name = "dedup",
	  EK_NUMBER(struct ek_do_prune_options, plan.dedup, "F", 1e-6, 1),
	  .recorded = 1,
	  .zero = "auto",
	  .help = "for --method d4: the fraction of all images that is left when near-duplicates are removed, "
	          "from which --keep, of all too, is taken; auto: 0.75, as in its paper" },
	{ .name = "by",
	  EK_STRING(struct ek_do_prune_options, plan.by, "WHAT"),
	  .recorded = 1,
	  .help = "keep the same fraction of each cluster, label, value of an ATTRIBUTE or combination "
	          "(gender*race), or of \"all\" together; clusters unless the method is random, k-centre, "
	          "herding or score" },
	{ .name = "order",
	  EK_CHOICE(struct ek_do_prune_options, plan.order, "END", orders),
	  .recorded = 1,
	  .help = "which end of the scores is kept" },
	{ .name = "scores",
	  EK_PATH(struct ek_do_prune_options, plan.scores, "FILE.npy"),
	  .recorded = 1,
	  .help = "a number for each image, for --method score" },
	{ .name = "rounding",
	  EK_CHOICE(struct ek_do_prune_options, plan.rounding, "HOW", roundings),
	  .recorded = 1,
	  .help = "how counts become whole" },
	EK_PLAN_NAME_ROW(struct ek_do_prune_options, EK_SUBSETS),
	EK_PLAN_LISTS_ROW(struct ek_do_prune_options),
	{ .name = NULL },
};
static const struct ek_do_prune_options defaults = EK_DO_PRUNE_DEFAULT;
const struct ek_own ek_prune_own = EK_OWN(defaults, rows);

static int prune(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_prune_options *o = i->settings.own;
	int made, rc;

	o->plan.seed = (uint64_t)i->settings.common.seed;
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_prune(&made, run, &i->settings.steps, o));
	EK_TRY(ek_plan_print(i, run, o->plan.name, made));
out:
	return rc;
}

int ek_cmd_prune(struct ek_invocation *i)
{
	const struct ek_do_prune_options *o = i->settings.own;

	if (o->plan.method == NULL || o->plan.name == NULL || (o->keep == NULL && !(o->plan.eps > 0)))
		return ek_fail(EK_EUSAGE, "prune needs --method, --keep (or, for semdedup, --eps) and --name; see "
		                          "evenkeel help prune");
	return ek_command_on_run(i, EK_RUN_WRITE, prune);
}
