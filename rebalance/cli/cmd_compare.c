/* `evenkeel compare RUN…`: all evaluations side by side. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/compare.h"
#include "rebalance/cli/output.h"
#include "rebalance/pipeline/compare_files.h"

struct wish {
	const char *csv, *baseline, *names;
};

static const struct ek_option rows[] = {
	{ .name = "baseline",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, baseline),
	  .argument = "NAME",
	  .help = "the evaluation to tell differences from; if not given, that of the model of all images as they "
	          "come" },
	{ .name = "name",
	  .kind = EK_KIND_STRING,
	  EK_FIELD(struct wish, names),
	  .argument = "NAME,NAME,...",
	  .help = "only these evaluations; * stands for anything, as in sweep-*" },
	{ .name = "csv",
	  .kind = EK_KIND_PATH,
	  EK_FIELD(struct wish, csv),
	  .argument = "FILE",
	  .help = "write every measure, its interval, deviation and difference to a file, one line an evaluation" },
	{ .name = NULL },
};

static const struct wish defaults;
const struct ek_own ek_compare_own = EK_OWN(defaults, rows);

/* Rows that one of the names fits; each name must fit one. */
static int choose(uint8_t *shown, const struct ek_comparison *c, const char *names)
{
	char *copy = NULL, *rest;
	int rc;

	EK_TRY(ek_copy_string(&copy, names != NULL ? names : "*"));
	rest = copy;
	for (char *name = strtok_r(rest, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
		size_t fit = 0;

		for (size_t i = 0; i < c->count; i++)
			if (fnmatch(name, c->rows[i].name, 0) == 0) {
				shown[i] = 1;
				fit++;
			}
		if (fit == 0) {
			rc = ek_fail(EK_EUSAGE, "--name: there is no evaluation %s", name);
			goto out;
		}
	}
out:
	free(copy);
	return rc;
}

static int load(struct ek_comparison *c, const struct ek_arguments *arguments)
{
	int rc = 0;

	for (int i = 0; i < arguments->count; i++) {
		struct ek_run *run = NULL;

		for (int j = 0; j < i; j++)
			if (strcmp(arguments->positional[i], arguments->positional[j]) == 0)
				return ek_fail(EK_EUSAGE, "%s is named twice", arguments->positional[i]);
		EK_TRY(ek_run_open(&run, arguments->positional[i], EK_RUN_READ));
		rc = ek_comparison_add(c, run, NULL);
		ek_run_close(run);
		EK_TRY(rc);
	}
	if (c->count == 0)
		rc = ek_fail(EK_EUSAGE, "%s has no evaluations yet: evenkeel evaluate makes them",
		             arguments->positional[0]);
out:
	return rc;
}

static int print_json(const struct ek_comparison *c, const uint8_t *shown)
{
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_compare_json(&json, c, shown));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_cmd_compare(struct ek_invocation *i)
{
	const struct wish *wanted = i->settings.own;
	struct ek_comparison c = { 0 };
	uint8_t *shown = NULL;
	int rc;

	if (i->arguments.count < 1)
		return ek_fail(EK_EUSAGE, "compare needs a run directory; see evenkeel help compare");
	EK_TRY(load(&c, &i->arguments));
	EK_TRY(ek_comparison_finish(&c, wanted->baseline));
	EK_TRY(ek_alloc(&shown, c.count, 1));
	EK_TRY(choose(shown, &c, wanted->names));
	if (wanted->csv != NULL)
		EK_TRY(ek_compare_write_csv(&c, shown, wanted->csv));
	if (!i->settings.common.silent)
		EK_TRY(i->settings.common.json ? print_json(&c, shown) : ek_compare_print(&c, shown));
out:
	free(shown);
	ek_comparison_release(&c);
	return rc;
}
