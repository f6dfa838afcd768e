/* `evenkeel weights RUN`: how often each image is to be shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/cli/recipe.h"
#include "rebalance/cli/summary.h"
#include "rebalance/cli/text.h"
#include "rebalance/plan/weights.h"

enum { UNITS_SHOWN = 12 };

static int check_scheme(const char *text)
{
	struct ek_scheme scheme;

	return ek_scheme_parse(&scheme, text);
}

void ek_weights_own_options(struct ek_settings *s)
{
	const struct ek_option options[] = {
		{ .name = "scheme",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.method,
		  .argument = "S",
		  .check = check_scheme,
		  .forgets = "normalise",
		  .recorded = 1,
		  .help = "inverse: every unit alike; sqrt: by the square root of its size; alpha=A: size to the power "
		          "1 - A; effective-number=B (Cui et al. 2019; auto: 1 - 1/images); repeat-factor=T (LVIS); "
		          "target=FILE.csv: shares of your own; reweigh=A,B: so that two attributes become independent "
		          "(Kamiran and Calders 2012)" },
		{ .name = "by",
		  .kind = EK_KIND_STRING,
		  .target = &s->plan.by,
		  .argument = "WHAT",
		  .recorded = 1,
		  .help = "the units: cluster, label, an attribute, or several joined by *; cluster unless told "
		          "otherwise; images that have none are never shown" },
		{ .name = "cap",
		  .kind = EK_KIND_NUMBER,
		  .target = &s->plan.cap,
		  .argument = "C",
		  .recorded = 1,
		  .zero = "none",
		  .low = 1,
		  .high = 1e15,
		  .help = "show no image more than C times as often as the mean; what is cut goes to the other units" },
		{ .name = NULL },
	};

	memset(&s->plan, 0, sizeof s->plan);
	ek_plan_options(s, options, EK_PLAN_SHARES);
}

/* Steps before that the units need; a run made by hand of clusters alone has none. */
static int bring_up_to_date(struct ek_invocation *i, struct ek_run *run, const struct ek_step *step)
{
	static const enum ek_step_id clusters[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };
	static const enum ek_step_id images[] = { EK_STEP_SCAN, EK_STEP_END };
	static const char assignment[] = "clusters/assignment.npy";
	const int by_cluster = strcmp(step->inputs[0], assignment) == 0;
	char *path = NULL;
	int rc, made_by_hand;

	EK_TRY(ek_run_file(&path, run, by_cluster ? assignment : "images.jsonl"));
	made_by_hand = ek_run_recorded(run, "scan") == NULL && ek_file_exists(path);
	i->settings.plan.seed = i->settings.common.seed;
	i->settings.plan.stepped = by_cluster && !made_by_hand;
	(void)ek_recipe_steps_seed(i);
	if (!made_by_hand)
		EK_TRY(ek_steps_run(run, &i->settings, &i->arguments, by_cluster ? clusters : images, 0));
out:
	free(path);
	return rc;
}

static double number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *word(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static void print_skew(const cJSON *json, const char *label, const char *name)
{
	(void)printf("  %-20s %.3g before, %.3g after\n", label,
	             number(cJSON_GetObjectItemCaseSensitive(json, "skew_before"), name),
	             number(cJSON_GetObjectItemCaseSensitive(json, "skew_after"), name));
}

static void print_units(const cJSON *json)
{
	const cJSON *size = cJSON_GetObjectItemCaseSensitive(json, "sizes")->child;
	const cJSON *visit = cJSON_GetObjectItemCaseSensitive(json, "visits")->child;
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "names");
	const cJSON *name = names != NULL ? names->child : NULL;
	const double images = number(json, "in_units");
	char count[32], before[32], after[32];

	(void)printf("\n  %12s %8s %8s %10s  %s\n", "images", "share", "after", "visits", word(json, "by"));
	for (int unit = 0; size != NULL && unit < UNITS_SHOWN; size = size->next, visit = visit->next, unit++) {
		(void)printf("  %12s %8s %8s %10.3g  ", ek_text_count(count, ek_whole(size->valuedouble)),
		             ek_text_percent(before, size->valuedouble / images),
		             ek_text_percent(after, size->valuedouble * visit->valuedouble / images),
		             visit->valuedouble);
		if (name != NULL) {
			(void)printf("%s\n", name->valuestring);
			name = name->next;
		} else {
			(void)printf("%d\n", unit);
		}
	}
	if (size != NULL)
		(void)printf("  ... and %.0f more, in groups.csv\n", number(json, "units") - UNITS_SHOWN);
}

static int print(const struct ek_run *run, const char *name)
{
	const cJSON *largest;
	cJSON *json = NULL;
	char *path = NULL, images[32], effective[32], share[32];
	int rc;

	EK_TRY(ek_format(&path, "%s/weights/%s/weights.json", ek_run_path(run), name));
	EK_TRY(ek_json_load(&json, path));
	largest = cJSON_GetObjectItemCaseSensitive(json, "largest_repeat");
	(void)printf("%s by %s over %s images in %.0f units\n", word(json, "scheme"), word(json, "by"),
	             ek_text_count(images, ek_whole(number(json, "in_units"))), number(json, "units"));
	ek_plan_print_units(json, number(json, "images") - number(json, "held_out"), "never shown");
	(void)printf("\n");
	(void)printf("  %-20s %s images (%s)\n", "effective sample",
	             ek_text_count(effective, ek_whole(number(json, "effective_sample_size"))),
	             ek_text_percent(share, number(json, "effective_share")));
	(void)printf("  %-20s %.3g visits an epoch: %s %s, %s images\n", "largest repeat", number(largest, "visits"),
	             word(json, "by"), word(largest, "name"),
	             ek_text_count(images, ek_whole(number(largest, "images"))));
	print_skew(json, "entropy (1 = even)", "normalised_entropy");
	print_skew(json, "effective units", "effective_units");
	print_units(json);
	(void)printf("\nweights: %s/weights/%s\n", ek_run_path(run), name);
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

static int check_arguments(const struct ek_invocation *i)
{
	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "weights takes one run directory, not %d words; see evenkeel help weights",
		               i->arguments.count);
	if (i->settings.plan.method == NULL || i->settings.plan.name == NULL)
		return ek_fail(EK_EUSAGE, "weights needs %s; see evenkeel help weights",
		               i->settings.plan.method == NULL ? "--scheme S" : "--name NAME");
	return 0;
}

/* A file of shares is known by its absolute name, as those of other options are. */
static int name_target(struct ek_invocation *i)
{
	static const char prefix[] = "target=";
	const size_t length = strlen(prefix);
	const char **scheme = &i->settings.plan.method, *path;
	char *whole = NULL;
	int rc;

	if (strncmp(*scheme, prefix, length) != 0)
		return 0;
	EK_TRY(ek_arguments_keep_path(&path, &i->arguments, *scheme + length));
	EK_TRY(ek_format(&whole, "%s%s", prefix, path));
	EK_TRY(ek_arguments_keep(scheme, &i->arguments, whole));
out:
	free(whole);
	return rc;
}

int ek_cmd_weights(struct ek_invocation *i)
{
	const struct ek_settings *s = &i->settings;
	struct ek_weights_options wanted;
	struct ek_weights *weights = NULL;
	struct ek_run *run = NULL;
	char *document = NULL;
	const char *reason;
	int current, rc;

	EK_TRY(check_arguments(i));
	EK_TRY(name_target(i));
	wanted = (struct ek_weights_options){ .name = s->plan.name,
		                              .scheme = s->plan.method,
		                              .by = s->plan.by,
		                              .cap = s->plan.cap,
		                              .normalise = s->plan.normalise };
	EK_TRY(ek_weights_prepare(&weights, &wanted));
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_WRITE));
	EK_TRY(bring_up_to_date(i, run, ek_weights_step(weights)));
	EK_TRY(ek_run_is_current(&current, &reason, run, ek_weights_step(weights)));
	if (!current && ek_run_recorded(run, ek_weights_step(weights)->name) != NULL)
		ek_info("weighting again: %s", reason);
	if (!current || s->common.force)
		EK_TRY(ek_weights_run(weights, run));
	EK_TRY(ek_recipe_write(i, run));
	EK_TRY(ek_format(&document, "weights/%s/weights.json", wanted.name));
	EK_TRY(s->common.json ? ek_summary_print_file(run, document) : print(run, wanted.name));
out:
	ek_weights_free(weights);
	ek_run_close(run);
	free(document);
	return rc;
}
