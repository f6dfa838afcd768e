/* balance: a balanced subset. */
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/plan_options.h"

static int check_to(const char *text)
{
	return strcmp(text, "smallest") == 0 ? 0 : ek_fail(EK_EUSAGE, "'to' is \"%s\", not smallest", text);
}

static const struct ek_option rows[] = {
	{ .name = "to",
	  EK_STRING(struct ek_do_balance_options, to, "smallest"),
	  .check = check_to,
	  .forgets = "total target normalise max-repeat",
	  .recorded = 1,
	  .help = "cut all to the size of the smallest" },
	{ .name = "total",
	  EK_INTEGER(struct ek_do_balance_options, plan.total, "N", 1, 0x1p48),
	  .forgets = "to min-cluster",
	  .recorded = 1,
	  .zero = "none",
	  .help = "so many images in all, repeats counted" },
	{ .name = "target",
	  EK_PATH(struct ek_do_balance_options, plan.target, "FILE"),
	  .forgets = "to min-cluster",
	  .recorded = 1,
	  .help = "shares to reach: a CSV file of lines unit,share; without --total of as many images as can "
	          "have them exactly" },
	{ .name = "by",
	  EK_STRING(struct ek_do_balance_options, plan.by, "WHAT"),
	  .recorded = 1,
	  .help = "what is balanced: group, cluster, label, an ATTRIBUTE or a combination (gender*race); unless told "
	          "otherwise group where there are groups, else cluster; images that have none are left out" },
	{ .name = "rule",
	  EK_STRING(struct ek_do_balance_options, plan.rule, "RULE"),
	  .check = ek_rule_check,
	  .recorded = 1,
	  .choices = ek_rules,
	  .choice_size = sizeof *ek_rules,
	  .help = "which images of each go first" },
	{ .name = "max-repeat",
	  EK_INTEGER(struct ek_do_balance_options, plan.max_repeat, "R", 1, 1000000),
	  .recorded = 1,
	  .help = "an image may be there so often" },
	{ .name = "min-cluster",
	  EK_INTEGER(struct ek_do_balance_options, plan.min_size, "N", 0, 0x1p48),
	  .recorded = 1,
	  .help = "smaller ones are left whole and do not set the size of --to smallest" },
	EK_PLAN_NORMALISE_ROW(struct ek_do_balance_options, "target"),
	EK_PLAN_NAME_ROW(struct ek_do_balance_options, EK_SUBSETS),
	EK_PLAN_LISTS_ROW(struct ek_do_balance_options),
	{ .name = NULL },
};
static const struct ek_do_balance_options defaults = EK_DO_BALANCE_DEFAULT;
const struct ek_own ek_balance_own = EK_OWN(defaults, rows);

static int balance(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_balance_options *o = i->settings.own;
	int made, rc;

	o->plan.seed = (uint64_t)i->settings.common.seed;
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_balance(&made, run, &i->settings.steps, o));
	EK_TRY(ek_do_plan_by(&o->plan.by, run)); /* for a recipe */
	EK_TRY(ek_plan_print(i, run, o->plan.name, made));
out:
	return rc;
}

int ek_cmd_balance(struct ek_invocation *i)
{
	const struct ek_do_balance_options *o = i->settings.own;

	if (o->plan.name == NULL)
		return ek_fail(EK_EUSAGE, "balance needs a --name for the subset; see evenkeel help balance");
	return ek_command_on_run(i, EK_RUN_WRITE, balance);
}
