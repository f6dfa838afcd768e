/* score: a number for each image, that prune can keep by. */
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/text.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/summary.h"
#include "rebalance/pipeline/score.h"

enum { LABELS_SHOWN = 24 };

const struct ek_own ek_score_own = EK_OWN(ek_do_score_default, ek_score_rows);

static void print_quantiles(const cJSON *json, const char *name, const char *title)
{
	static const char *const names[] = { "min", "p05", "median", "p95", "max" };
	const cJSON *all = ek_json_member(json, name);

	if (!cJSON_IsObject(all))
		return;
	(void)printf("  %-16s", title);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)printf(" %12.4g", ek_json_number(all, names[i]));
	(void)printf("\n");
}

static void print_label_errors(const cJSON *errors)
{
	const cJSON *label;
	char count[32], share[32], plain[256];
	int shown = 0;

	if (!cJSON_IsObject(errors))
		return;
	(void)printf("\n%s label%s likely wrong: %s of all\n",
	             ek_text_count(count, ek_whole(ek_json_number(errors, "found"))),
	             ek_json_number(errors, "found") == 1 ? " is" : "s are",
	             ek_text_percent(share, ek_json_number(errors, "share")));
	(void)printf("look before you change one: where the probe is right of few, many are images that it cannot tell "
	             "apart\n");
	(void)printf("\n  %-24s %10s %14s   %s\n", "label", "images", "likely wrong", "mostly");
	cJSON_ArrayForEach(label, ek_json_member(errors, "labels"))
	{
		const double images = ek_json_number(label, "images"), wrong = ek_json_number(label, "errors");
		const cJSON *mostly = ek_json_member(label, "mostly");
		char other[256];

		if (shown++ == LABELS_SHOWN) {
			(void)printf("  ... %d more\n",
			             cJSON_GetArraySize(ek_json_member(errors, "labels")) - LABELS_SHOWN);
			break;
		}
		(void)printf("  %-24s %10.0f %6.0f (%s)",
		             ek_text_plain(plain, ek_json_member(label, "label")->valuestring), images, wrong,
		             ek_text_percent(share, wrong / images));
		if (cJSON_IsString(mostly))
			(void)printf("   %s (%.0f)", ek_text_plain(other, mostly->valuestring),
			             ek_json_number(label, "mostly_images"));
		(void)printf("\n");
	}
}

/* Where there are images people can look at them. */
static int print_table(const struct ek_run *run, const char *name, int found)
{
	const char *path = ek_run_path(run);
	char *images = NULL;
	int rc;

	EK_TRY(ek_run_file(&images, run, "images.jsonl"));
	(void)printf("table:  %s/scores/%s.csv\n", path, name);
	if (found && ek_file_exists(images))
		(void)printf("look:   evenkeel review %s --labels %s\n", path, name);
out:
	free(images);
	return rc;
}

static int print(const struct ek_invocation *i, const struct ek_run *run, const char *name)
{
	const char *path = ek_run_path(run);
	char a[32], b[32], by[256];
	cJSON *json = NULL;
	int rc;

	if (i->settings.common.json)
		return ek_summary_print_file(run, "scores/*.json", name);
	EK_TRY(ek_document_load(&json, run, "scores/*.json", name));
	(void)printf("%s of %s image%s scored by %s: %s is %s\n",
	             ek_text_count(a, ek_whole(ek_json_number(json, "scored"))),
	             ek_text_count(b, ek_whole(ek_json_number(json, "images"))),
	             ek_text_s(ek_whole(ek_json_number(json, "images"))), ek_json_member(json, "method")->valuestring,
	             ek_json_member(json, "hard")->valuestring,
	             ek_json_member(json, "label_errors") != NULL ? "doubtful" : "hard");
	if (cJSON_IsString(ek_json_member(json, "by")))
		(void)printf("classes: %.0f by %s", ek_json_number(json, "classes"),
		             ek_text_plain(by, ek_json_member(json, "by")->valuestring));
	if (cJSON_IsNumber(ek_json_member(json, "accuracy")))
		(void)printf(", the probe tells %s of them right",
		             ek_text_percent(a, ek_json_number(json, "accuracy")));
	(void)printf("%s\n  %-16s %12s %12s %12s %12s %12s\n", cJSON_IsString(ek_json_member(json, "by")) ? "\n" : "",
	             "", "least", "5 %", "median", "95 %", "most");
	print_quantiles(json, "quantiles", "score");
	print_quantiles(json, "standard_error", "standard error");
	print_label_errors(ek_json_member(json, "label_errors"));
	(void)printf("\nscores: %s/scores/%s.npy\n", path, name);
	if (cJSON_IsObject(ek_json_member(json, "label_errors")))
		EK_TRY(print_table(run, name, ek_json_number(ek_json_member(json, "label_errors"), "found") > 0));
out:
	cJSON_Delete(json);
	return rc;
}

static int score(struct ek_invocation *i, struct ek_run *run)
{
	struct ek_do_score_options *o = i->settings.own;
	int made, rc;

	o->seed = i->settings.common.seed;
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_score(&made, run, &i->settings.steps, o));
	EK_TRY(print(i, run, o->name));
out:
	return rc;
}

int ek_cmd_score(struct ek_invocation *i)
{
	const struct ek_do_score_options *o = i->settings.own;

	if (o->method == NULL || o->name == NULL)
		return ek_fail(EK_EUSAGE, "score needs %s; see evenkeel help score",
		               o->method == NULL ? "--method M" : "--name NAME");
	return ek_command_on_run(i, EK_RUN_WRITE, score);
}
