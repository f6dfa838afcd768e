/* `evenkeel weights RUN`: how often each image is to be shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/plan_options.h"
#include "rebalance/cli/summary.h"
#include "rebalance/base/text.h"

enum { UNITS_SHOWN = 12 };

static int check_scheme(const char *text)
{
	struct ek_scheme scheme;

	return ek_scheme_parse(&scheme, text);
}

static const struct ek_option rows[] = {
	{ .name = "scheme",
	  EK_STRING(struct ek_do_weights_options, plan.scheme, "S"),
	  .check = check_scheme,
	  .forgets = "normalise",
	  .recorded = 1,
	  .help = "inverse: every unit alike; sqrt: by the square root of its size; alpha=A: size to the power 1 - A; "
	          "effective-number=B (Cui et al. 2019; auto: 1 - 1/images); repeat-factor=T (LVIS); target=FILE.csv: "
	          "shares of your own; design: each image by how much it adds to the directions the data have "
	          "(D-optimal; Kiefer and Wolfowitz 1960); vendi: by how much it adds to the Vendi score; tree: by the "
	          "tree of clusters that it lies in (Altschul, Carroll, Lipman 1989); blend: tree and design together, "
	          "the best without labels; reweigh=A,B: so that two attributes become independent (Kamiran and "
	          "Calders 2012)" },
	{ .name = "by",
	  EK_STRING(struct ek_do_weights_options, plan.by, "WHAT"),
	  .recorded = 1,
	  .help = "the units: group (learned from labels, or found), cluster, label, an attribute, or several joined "
	          "by *; unless told otherwise group where there are groups, else cluster; images that have none are "
	          "never shown" },
	{ .name = "cap",
	  EK_NUMBER(struct ek_do_weights_options, plan.cap, "C", 1, 1e15),
	  .recorded = 1,
	  .zero = "none",
	  .help = "show no image more than C times as often as the mean; what is cut goes to the other units" },
	{ .name = "reference",
	  EK_STRING(struct ek_do_weights_options, reference, "DATASET"),
	  .recorded = 1,
	  .help = "instead of a scheme: images that come in the shares you want, ten of each kind or more, without "
	          "labels; each image is weighed by how much more often its like is among them" },
	{ .name = "ess",
	  EK_NUMBER(struct ek_do_weights_options, plan.worth, "E", 0.001, 1),
	  .recorded = 1,
	  .zero = "0.5",
	  .help = "how large the effective sample is to be at least, as a share of the images: the weights of design, "
	          "vendi, tree, blend, a reference "
	          "(0.5 unless told otherwise) and --by group (no limit unless told) are tempered to it" },
	EK_PLAN_NORMALISE_ROW(struct ek_do_weights_options, "scheme=target="),
	EK_PLAN_NAME_ROW(struct ek_do_weights_options, EK_WEIGHTS),
	{ .name = NULL },
};
static const struct ek_do_weights_options defaults;
const struct ek_own ek_weights_own = EK_OWN(defaults, rows);

static void print_skew(const cJSON *json, const char *label, const char *name)
{
	(void)printf("  %-20s %.3g before, %.3g after\n", label,
	             ek_json_number(cJSON_GetObjectItemCaseSensitive(json, "skew_before"), name),
	             ek_json_number(cJSON_GetObjectItemCaseSensitive(json, "skew_after"), name));
}

/* mostly: what each unit mostly is, or NULL. */
static void print_units(const cJSON *json, double images, const cJSON *mostly)
{
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(json, "sizes")->child;
	const cJSON *visit = cJSON_GetObjectItemCaseSensitive(json, "visits")->child;
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "names");
	const cJSON *name = names != NULL ? names->child : NULL;
	char count[32], before[32], after[32], is[256];

	(void)printf("\n  %12s %8s %8s %10s  %s\n", "images", "share", "after", "visits", ek_json_text(json, "by"));
	for (int unit = 0; size != NULL && unit < UNITS_SHOWN; size = size->next, visit = visit->next, unit++) {
		(void)printf("  %12s %8s %8s %10.3g  ", ek_text_count(count, ek_whole(size->valuedouble)),
		             ek_text_percent(before, size->valuedouble / images),
		             ek_text_percent(after, size->valuedouble * visit->valuedouble / images),
		             visit->valuedouble);
		if (name != NULL)
			(void)printf("%s", name->valuestring);
		else
			(void)printf("%d", unit);
		(void)printf("%s\n", ek_text_mostly(is, mostly, ", mostly ", ""));
		name = name != NULL ? name->next : NULL;
		mostly = mostly != NULL ? mostly->next : NULL;
	}
	if (size != NULL)
		(void)printf("  ... and %.0f more, in groups.csv\n", ek_json_number(json, "units") - UNITS_SHOWN);
}

static const char document[] = "weights/*/weights.json";

static int print(const struct ek_run *run, const char *name)
{
	const cJSON *largest, *told, *units;
	cJSON *json = NULL, *names = NULL;
	char images[32], effective[32], share[32];
	int rc;

	EK_TRY(ek_document_load(&json, run, document, name));
	largest = cJSON_GetObjectItemCaseSensitive(json, "largest_repeat");
	told = cJSON_GetObjectItemCaseSensitive(json, "told");
	/* By groups images are weighed one by one, but it is groups that are evened out. */
	units = told != NULL && strcmp(ek_json_text(json, "scheme"), "inverse") == 0 ? told : json;
	(void)ek_text_count(images, ek_whole(ek_json_number(json, "in_units")));
	if (told != NULL && units == json)
		(void)printf("%s over %s image%s, weighed one by one\n", ek_json_text(json, "scheme"), images,
		             ek_text_s(ek_whole(ek_json_number(json, "in_units"))));
	else
		(void)printf("%s by %s over %s image%s in %.0f unit%s\n", ek_json_text(json, "scheme"),
		             ek_json_text(units, "by"), images, ek_text_s(ek_whole(ek_json_number(json, "in_units"))),
		             ek_json_number(units, "units"), ek_text_s(ek_whole(ek_json_number(units, "units"))));
	ek_plan_print_units(json, ek_json_number(json, "images") - ek_json_number(json, "held_out"), "never shown");
	(void)printf("\n");
	(void)printf("  %-20s %s image%s (%s)\n", "effective sample",
	             ek_text_count(effective, ek_whole(ek_json_number(json, "effective_sample_size") + 0.5)),
	             ek_text_s(ek_whole(ek_json_number(json, "effective_sample_size") + 0.5)),
	             ek_text_percent(share, ek_json_number(json, "effective_share")));
	(void)printf("  %-20s %.3g visit%s an epoch: ", "largest repeat", ek_json_number(largest, "visits"),
	             ek_json_number(largest, "visits") == 1 ? "" : "s");
	if (told == NULL)
		(void)printf("%s %s, ", ek_json_text(json, "by"), ek_json_text(largest, "name"));
	(void)printf("%s image%s\n", ek_text_count(images, ek_whole(ek_json_number(largest, "images"))),
	             ek_text_s(ek_whole(ek_json_number(largest, "images"))));
	print_skew(json, "entropy (1 = even)", "normalised_entropy");
	print_skew(json, "effective units", "effective_units");
	told = told != NULL ? told : json;
	if (strcmp(ek_json_text(told, "by"), "cluster") == 0)
		EK_TRY(ek_document_cluster_names(&names, run));
	else if (strcmp(ek_json_text(told, "by"), "group") == 0)
		EK_TRY(ek_document_group_names(&names, run));
	print_units(told, ek_json_number(json, "in_units"), names != NULL ? names->child : NULL);
	(void)printf("\nweights: %s/weights/%s\n", ek_run_path(run), name);
out:
	cJSON_Delete(json);
	cJSON_Delete(names);
	return rc;
}

/* A file of shares is known by its absolute name, as those of other options are. */
static int name_target(struct ek_invocation *i)
{
	static const char prefix[] = "target=";
	struct ek_do_weights_options *o = i->settings.own;
	struct ek_strings *strings = &i->arguments.strings;
	const size_t length = strlen(prefix);
	const char *path;
	char *whole = NULL;
	int rc;

	if (strncmp(o->plan.scheme, prefix, length) != 0)
		return 0;
	EK_TRY(ek_strings_keep_path(&path, strings, o->plan.scheme + length));
	EK_TRY(ek_format(&whole, "%s%s", prefix, path));
	EK_TRY(ek_strings_keep(&o->plan.scheme, strings, whole));
out:
	free(whole);
	return rc;
}

static int weights(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_weights_options *o = i->settings.own;
	char *step = NULL;
	int rc;

	o->force = i->settings.steps.force;
	EK_TRY(ek_do_weights(run, &i->settings.steps, o));
	EK_TRY(ek_do_weights_by(&o->plan, run)); /* for a recipe */
	EK_TRY(ek_format(&step, "weights %s", o->plan.name));
	EK_TRY(ek_do_recipe(&i->settings.recipe, run, step));
	EK_TRY(i->settings.common.json ? ek_summary_print_file(run, document, o->plan.name) : print(run, o->plan.name));
out:
	free(step);
	return rc;
}

int ek_cmd_weights(struct ek_invocation *i)
{
	struct ek_do_weights_options *o = i->settings.own;
	int rc;

	if (o->reference != NULL && o->plan.scheme == NULL)
		o->plan.scheme = "reference";
	if (o->reference != NULL && strcmp(o->plan.scheme, "reference") != 0)
		return ek_fail(EK_EUSAGE, "--reference is a scheme of its own; leave out --scheme %s", o->plan.scheme);
	if (o->plan.scheme == NULL || o->plan.name == NULL)
		return ek_fail(EK_EUSAGE, "weights needs %s; see evenkeel help weights",
		               o->plan.scheme == NULL ? "--scheme S" : "--name NAME");
	EK_TRY(name_target(i));
	if (o->reference != NULL)
		EK_TRY(ek_strings_keep_path(&o->reference, &i->arguments.strings, o->reference));
	EK_TRY(ek_command_on_run(i, EK_RUN_WRITE, weights));
out:
	return rc;
}
