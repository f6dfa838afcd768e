/* prune: a pruned subset. */
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/plan/prune.h"

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

void ek_prune_options(struct ek_settings *s)
{
	const struct ek_option options[] = {
		{ .name = "method",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.method,
		  .argument = "M",
		  .check = ek_prune_check_method,
		  .forgets = "eps rule dedup order scores",
		  .recorded = 1,
		  .choices = s->plan.methods,
		  .help = "which images are kept" },
		{ .name = "keep",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.keep,
		  .argument = "F",
		  .check = check_keep,
		  .forgets = "eps rule",
		  .recorded = 1,
		  .help = "how much: a fraction up to 1, or a count of images above 1" },
		{ .name = "eps",
		  .kind = EK_KIND_NUMBER,
		  .target = &s->plan.eps,
		  .argument = "E",
		  .forgets = "keep",
		  .recorded = 1,
		  .low = 1e-6,
		  .high = 1,
		  .zero = "none",
		  .help = "for --method semdedup, instead of --keep: two images are near-duplicates if their cosine is "
		          "above 1 - E" },
		{ .name = "rule",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->plan.dedup_rule,
		  .argument = "RULE",
		  .recorded = 1,
		  .choices = rules,
		  .help = "for --eps: which images of near-duplicate pairs go" },
		{ .name = "dedup",
		  .kind = EK_KIND_NUMBER,
		  .target = &s->plan.dedup,
		  .argument = "F",
		  .recorded = 1,
		  .low = 1e-6,
		  .high = 1,
		  .zero = "auto",
		  .help = "for --method d4: the fraction of all images that is left when near-duplicates are removed, "
		          "from which --keep, of all too, is taken; auto: 0.75, as in its paper" },
		{ .name = "by",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.by,
		  .argument = "WHAT",
		  .recorded = 1,
		  .help = "keep the same fraction of each cluster, label, value of an ATTRIBUTE or combination "
		          "(gender*race), or of \"all\" together; clusters unless the method is random, k-centre, "
		          "herding or score" },
		{ .name = "order",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->plan.order,
		  .argument = "END",
		  .recorded = 1,
		  .choices = orders,
		  .help = "which end of the scores is kept" },
		{ .name = "scores",
		  .kind = EK_KIND_PATH,
		  .target = &s->plan.scores,
		  .argument = "FILE.npy",
		  .recorded = 1,
		  .help = "a number for each image, for --method score" },
		{ .name = "rounding",
		  .kind = EK_KIND_CHOICE,
		  .target = &s->plan.rounding,
		  .argument = "HOW",
		  .recorded = 1,
		  .choices = roundings,
		  .help = "how counts become whole" },
		{ .name = NULL },
	};
	int count = 0;

	memset(&s->plan, 0, sizeof s->plan);
	for (const struct ek_prune_method *m = ek_prune_methods; m->name != NULL && count + 1 < EK_METHODS_MAX; m++)
		s->plan.methods[count++] = (struct ek_choice){ m->name, m->help };
	ek_plan_options(s, options, EK_PLAN_SUBSET);
}

static int prune(struct ek_invocation *i, struct ek_run *run)
{
	static const enum ek_prune_order order_of[] = { EK_PRUNE_NO_ORDER, EK_PRUNE_HIGH, EK_PRUNE_LOW,
		                                        EK_PRUNE_MIDDLE };
	const struct ek_settings *s = &i->settings;
	struct ek_prune_options o = { .name = s->plan.name,
		                      .method = s->plan.method,
		                      .by = s->plan.by,
		                      .scores = s->plan.scores,
		                      .order = order_of[s->plan.order],
		                      .rule = (enum ek_dedup_rule)s->plan.dedup_rule,
		                      .eps = s->plan.eps,
		                      .dedup = s->plan.dedup,
		                      .rounding = (enum ek_prune_rounding)s->plan.rounding,
		                      .seed = (uint64_t)s->plan.seed,
		                      .lists = s->plan.lists };
	int made, rc;

	if (s->plan.keep != NULL)
		EK_TRY(ek_keep_parse(&o.keep, s->plan.keep));
	EK_TRY(ek_prune(&made, run, &o, s->common.force));
	EK_TRY(ek_plan_print(i, run, made));
out:
	return rc;
}

int ek_cmd_prune(struct ek_invocation *i)
{
	const struct ek_settings *s = &i->settings;

	if (s->plan.method == NULL || s->plan.name == NULL || (s->plan.keep == NULL && !(s->plan.eps > 0)))
		return ek_fail(EK_EUSAGE, "prune needs --method, --keep (or, for semdedup, --eps) and --name; see "
		                          "evenkeel help prune");
	return ek_command_bring_up_to_date(i, ek_plan_before, prune);
}
