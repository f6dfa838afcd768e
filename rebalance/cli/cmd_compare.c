/* `evenkeel compare RUN…`: all evaluations side by side. */
#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/compare.h"
#include "rebalance/cli/output.h"

static const struct ek_option rows[] = {
	{ .name = "baseline",
	  EK_STRING(struct ek_compare_options, baseline, "NAME"),
	  .help = "the evaluation to tell differences from; if not given, that of the model of all images as they "
	          "come" },
	{ .name = "name",
	  EK_STRING(struct ek_compare_options, names, "NAME,NAME,..."),
	  .help = "only these evaluations; * stands for anything, as in sweep-*" },
	{ .name = "csv",
	  EK_PATH(struct ek_compare_options, csv, "FILE"),
	  .help = "write every measure, its interval, deviation and difference to a file, one line an evaluation" },
	{ .name = NULL },
};

static const struct ek_compare_options defaults;
const struct ek_own ek_compare_own = EK_OWN(defaults, rows);

int ek_cmd_compare(struct ek_invocation *i)
{
	const struct ek_arguments *a = &i->arguments;
	struct ek_compared_runs compared = { 0 };
	cJSON *json = NULL;
	int rc;

	if (a->count < 1)
		return ek_fail(EK_EUSAGE, "compare needs a run directory; see evenkeel help compare");
	EK_TRY(ek_do_compare(&compared, a->positional, (size_t)a->count, i->settings.own));
	if (i->settings.common.silent)
		goto out;
	if (i->settings.common.json) {
		EK_TRY(ek_compared_runs_json(&json, &compared));
		EK_TRY(ek_print_json(json));
	} else {
		EK_TRY(ek_compare_print(&compared.comparison, compared.shown));
	}
out:
	cJSON_Delete(json);
	ek_compared_runs_release(&compared);
	return rc;
}
