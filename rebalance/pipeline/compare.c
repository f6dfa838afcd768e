#include "rebalance/pipeline/compare.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/about.h"
#include "rebalance/pipeline/compare_files.h"

static int add_runs(struct ek_comparison *c, const char *const *runs, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		struct ek_run *run = NULL;

		for (size_t j = 0; j < i; j++)
			if (strcmp(runs[i], runs[j]) == 0)
				return ek_fail(EK_EUSAGE, "%s is named twice", runs[i]);
		EK_TRY(ek_run_open(&run, runs[i], EK_RUN_READ));
		rc = ek_comparison_add(c, run, NULL);
		ek_run_close(run);
		EK_TRY(rc);
	}
	if (c->count == 0)
		rc = ek_fail(EK_EUSAGE, "%s has no evaluations yet: evenkeel evaluate makes them", runs[0]);
out:
	return rc;
}

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
			rc = ek_fail(EK_EUSAGE, "'name': there is no evaluation %s", name);
			goto out;
		}
	}
out:
	free(copy);
	return rc;
}

int ek_do_compare(struct ek_compared_runs *out, const char *const *runs, size_t count,
                  const struct ek_compare_options *options)
{
	struct ek_comparison *c = &out->comparison;
	int rc;

	*out = (struct ek_compared_runs){ 0 };
	if (count == 0)
		return ek_fail(EK_EUSAGE, "a comparison needs a run");
	if (options->csv != NULL)
		EK_TRY(ek_about_check_output(options->csv));
	EK_TRY(add_runs(c, runs, count));
	EK_TRY(ek_comparison_finish(c, options->baseline));
	EK_TRY(ek_alloc(&out->shown, c->count, 1));
	EK_TRY(choose(out->shown, c, options->names));
	if (options->csv != NULL)
		EK_TRY(ek_compare_write_csv(c, out->shown, options->csv));
out:
	return rc;
}

void ek_compared_runs_release(struct ek_compared_runs *compared)
{
	free(compared->shown);
	ek_comparison_release(&compared->comparison);
	*compared = (struct ek_compared_runs){ 0 };
}

int ek_compared_runs_json(cJSON **out, const struct ek_compared_runs *compared)
{
	return ek_compare_json(out, &compared->comparison, compared->shown);
}

int ek_compare_add(struct ek_comparison *comparison, struct ek_run *run, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, "evaluations/*.json", name));
	EK_TRY(ek_comparison_add_file(comparison, run, path));
out:
	free(path);
	return rc;
}
