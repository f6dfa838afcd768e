/* balance: a balanced subset. */
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/plan/balance.h"
#include "rebalance/plan/rule.h"

static int check_to(const char *text)
{
	return strcmp(text, "smallest") == 0 ? 0 : ek_fail(EK_EUSAGE, "--to is \"%s\", not smallest", text);
}

void ek_balance_options(struct ek_settings *s)
{
	const struct ek_option options[] = {
		{ .name = "to",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.to,
		  .argument = "smallest",
		  .check = check_to,
		  .forgets = "total target normalise max-repeat",
		  .recorded = 1,
		  .help = "cut all to the size of the smallest" },
		{ .name = "total",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->plan.total,
		  .argument = "N",
		  .forgets = "to min-cluster",
		  .recorded = 1,
		  .low = 1,
		  .high = 0x1p48,
		  .zero = "none",
		  .help = "so many images in all, repeats counted" },
		{ .name = "target",
		  .kind = EK_KIND_PATH,
		  .target = &s->plan.target,
		  .argument = "FILE",
		  .forgets = "to min-cluster",
		  .recorded = 1,
		  .help = "shares to reach: a CSV file of lines unit,share; without --total of as many images as can "
		          "have them exactly" },
		{ .name = "by",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.by,
		  .argument = "WHAT",
		  .recorded = 1,
		  .help = "what is balanced: cluster, label, an ATTRIBUTE or a combination (gender*race); "
		          "images that have none are left out" },
		{ .name = "rule",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.rule,
		  .argument = "RULE",
		  .check = ek_rule_check,
		  .recorded = 1,
		  .choices = s->plan.methods,
		  .help = "which images of each go first" },
		{ .name = "max-repeat",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->plan.max_repeat,
		  .argument = "R",
		  .recorded = 1,
		  .low = 1,
		  .high = 1000000,
		  .help = "an image may be there so often" },
		{ .name = "min-cluster",
		  .kind = EK_KIND_INTEGER,
		  .target = &s->plan.min_size,
		  .argument = "N",
		  .recorded = 1,
		  .low = 0,
		  .high = 0x1p48,
		  .help = "smaller ones are left whole and do not set the size of --to smallest" },
		{ .name = NULL },
	};
	int count = 0;

	memset(&s->plan, 0, sizeof s->plan);
	s->plan.by = "cluster";
	s->plan.rule = "furthest";
	s->plan.max_repeat = 1;
	for (const struct ek_rule *r = ek_rules; r->name != NULL && count + 1 < EK_METHODS_MAX; r++)
		s->plan.methods[count++] = (struct ek_choice){ r->name, r->help };
	ek_plan_options(s, options, EK_PLAN_SUBSET | EK_PLAN_SHARES);
}

static int balance(struct ek_invocation *i, struct ek_run *run)
{
	const struct ek_settings *s = &i->settings;
	const struct ek_balance_options o = { .name = s->plan.name,
		                              .by = s->plan.by,
		                              .rule = s->plan.rule,
		                              .smallest = s->plan.to != NULL,
		                              .target = s->plan.target,
		                              .normalise = s->plan.normalise,
		                              .total = (uint64_t)s->plan.total,
		                              .max_repeat = (uint64_t)s->plan.max_repeat,
		                              .min_size = (uint64_t)s->plan.min_size,
		                              .seed = (uint64_t)s->plan.seed,
		                              .lists = s->plan.lists };
	int made, rc;

	EK_TRY(ek_balance(&made, run, &o, s->common.force));
	EK_TRY(ek_plan_print(i, run, made));
out:
	return rc;
}

int ek_cmd_balance(struct ek_invocation *i)
{
	const struct ek_settings *s = &i->settings;

	if (s->plan.name == NULL)
		return ek_fail(EK_EUSAGE, "balance needs a --name for the subset; see evenkeel help balance");
	return ek_command_bring_up_to_date(i, ek_plan_before, balance);
}
