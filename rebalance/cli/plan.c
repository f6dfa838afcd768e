/* What prune, balance and weights have in common: options, the seed, and the table of what a subset does to whom. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/summary.h"
#include "rebalance/cli/terminal.h"
#include "rebalance/base/text.h"
#include "rebalance/cli/command.h"

enum { ROWS_SHOWN = 12 };

/* A unit's name: a text, or the number of a cluster. */
static const char *name_of(char out[32], const cJSON *item)
{
	if (cJSON_IsString(item))
		return item->valuestring;
	(void)snprintf(out, 32, "%.0f", cJSON_IsNumber(item) ? item->valuedouble : 0);
	return out;
}

/* names: what each row mostly is, or NULL. */
static void print_rows(const char *title, const char *key, const cJSON *rows, const cJSON *names)
{
	const cJSON *mostly = names != NULL ? names->child : NULL;
	const cJSON *row;
	int shown = 0;

	(void)printf("\n  %-24s %12s %12s   %s\n", title, "before", "after", "removed (95 % interval)");
	cJSON_ArrayForEach(row, rows)
	{
		const cJSON *interval = ek_json_member(row, "ci95");
		char name[32], before[32], after[32], rate[32], low[32], high[32], line[256], is[256];

		if (shown++ == ROWS_SHOWN) {
			(void)printf("  ... %d more\n", cJSON_GetArraySize(rows) - ROWS_SHOWN);
			break;
		}
		ek_one_line(line, sizeof line, name_of(name, ek_json_member(row, key)));
		(void)printf("  %-24s %12s %12s", line, ek_text_count(before, ek_whole(ek_json_number(row, "before"))),
		             ek_text_count(after, ek_whole(ek_json_number(row, "after"))));
		if (cJSON_GetArraySize(interval) == 2)
			(void)printf("   %s (%s to %s)", ek_text_percent(rate, ek_json_number(row, "removal_rate")),
			             ek_text_percent(low, cJSON_GetArrayItem(interval, 0)->valuedouble),
			             ek_text_percent(high, cJSON_GetArrayItem(interval, 1)->valuedouble));
		(void)printf("%s\n", ek_text_mostly(is, mostly, "   mostly ", ""));
		mostly = mostly != NULL ? mostly->next : NULL;
	}
}

/* "3 (mostly frog)", "cat" */
static void print_one(const cJSON *item, const cJSON *names)
{
	char name[32], is[256] = "";

	if (cJSON_IsNumber(item))
		(void)ek_text_mostly(is, cJSON_GetArrayItem(names, item->valueint), " (mostly ", ")");
	(void)printf("%s%s", name_of(name, item), is);
}

/* names: what each cluster mostly is, or NULL. */
static void print_impact(const cJSON *impact, const cJSON *names)
{
	if (!cJSON_IsObject(impact))
		return;
	if (ek_json_number(impact, "value") == 1) {
		(void)printf("  disparate impact 1: all are kept alike\n");
		return;
	}
	(void)printf("  disparate impact %.2f: ", ek_json_number(impact, "value"));
	print_one(ek_json_member(impact, "lowest"), names);
	(void)printf(" is kept least, ");
	print_one(ek_json_member(impact, "highest"), names);
	(void)printf(" most%s\n",
	             cJSON_IsTrue(ek_json_member(impact, "four_fifths")) ? "" : " (below 0.8, the four-fifths rule)");
}

static void print_skew(const cJSON *before, const cJSON *after)
{
	static const struct {
		const char *label, *name;
	} measures[] = { { "Gini", "gini" }, { "effective clusters", "d1" }, { "imbalance", "imbalance_ratio" } };

	(void)printf("\n  %-24s %12s %12s\n", "skew of the clusters", "before", "after");
	for (size_t m = 0; m < sizeof measures / sizeof *measures; m++) {
		const int inside = measures[m].name[0] == 'd';

		(void)printf(
			"  %-24s %12.3g %12.3g\n", measures[m].label,
			ek_json_number(inside ? ek_json_member(before, "effective_clusters") : before,
		                       measures[m].name),
			ek_json_number(inside ? ek_json_member(after, "effective_clusters") : after, measures[m].name));
	}
}

/* What each rule would remove. */
static void print_near_duplicates(const cJSON *json)
{
	const cJSON *row;

	if (!cJSON_IsObject(json))
		return;
	(void)printf("\n  %-24s %12s %12s %12s\n", "near-duplicates by eps", "one-pass", "greedy", "components");
	cJSON_ArrayForEach(row, ek_json_member(json, "eps"))
	{
		char one_pass[32], greedy[32], components[32];

		(void)printf("  %-24g %12s %12s %12s\n", ek_json_number(row, "eps"),
		             ek_text_count(one_pass, ek_whole(ek_json_number(row, "one_pass_removed"))),
		             ek_text_count(greedy, ek_whole(ek_json_number(row, "greedy_removed"))),
		             ek_text_count(components, ek_whole(ek_json_number(row, "component_removed"))));
	}
}

void ek_plan_print_units(const cJSON *json, double images, const char *what_becomes)
{
	const uint64_t unscored = ek_whole(ek_json_number(json, "without_score"));
	const uint64_t without = ek_whole(ek_json_number(json, "without_value")) - unscored;
	const cJSON *told = ek_json_member(json, "told"); /* of weights of single images: what they are told of */
	char a[32], b[32], by[64];

	ek_one_line(by, sizeof by, name_of(a, ek_json_member(cJSON_IsObject(told) ? told : json, "by")));
	if (without > 0)
		(void)printf("%s of %s images %s no value of %s and %s %s\n", ek_text_count(a, without),
		             ek_text_count(b, (uint64_t)images), without == 1 ? "has" : "have", by,
		             without == 1 ? "is" : "are", what_becomes);
	if (unscored > 0)
		(void)printf("%s of %s images %s no score and %s %s\n", ek_text_count(a, unscored),
		             ek_text_count(b, (uint64_t)images), unscored == 1 ? "has" : "have",
		             unscored == 1 ? "is" : "are", what_becomes);
	if (cJSON_IsTrue(ek_json_member(json, "changes_little")))
		(void)printf("the shares of %s change next to nothing: by %s in all\n", by,
		             ek_text_percent(a, ek_json_number(json, "moved")));
}

static void print_subset(const cJSON *json, const char *run, const char *name, const cJSON *cluster_names,
                         const cJSON *group_names)
{
	const double before = ek_json_number(json, "images_before"), after = ek_json_number(json, "images_after");
	const cJSON *attribute, *item, *group = ek_json_member(json, "per_group");
	char a[32], b[32], c[32];

	(void)printf("%s%s of %s image%s (%s)%s", ek_bold(), ek_text_count(a, (uint64_t)after),
	             ek_text_count(b, (uint64_t)before), ek_text_s((uint64_t)before),
	             ek_text_percent(c, before > 0 ? after / before : 0), ek_plain());
	if (ek_json_number(json, "largest_repeat") > 1)
		(void)printf(", %s of them different, one at most %.0f times",
		             ek_text_count(a, ek_whole(ek_json_number(json, "distinct_after"))),
		             ek_json_number(json, "largest_repeat"));
	if (strstr(name_of(a, ek_json_member(json, "by")), "group") != NULL)
		(void)printf(", by %s", name_of(a, ek_json_member(json, "by")));
	(void)printf("\n");
	ek_plan_print_units(json, before, "left out");
	print_near_duplicates(ek_json_member(json, "near_duplicates"));
	if (group != NULL) {
		print_rows("group", "value", ek_json_member(group, "values"), group_names);
		print_impact(ek_json_member(group, "disparate_impact"), NULL);
	}
	if (ek_json_member(json, "per_cluster") != NULL) {
		print_rows("cluster", "cluster", ek_json_member(json, "per_cluster"), cluster_names);
		print_impact(ek_json_member(json, "disparate_impact"), cluster_names);
		print_skew(ek_json_member(json, "skew_before"), ek_json_member(json, "skew_after"));
	}
	cJSON_ArrayForEach(attribute, ek_json_object(ek_json_member(json, "per_attribute")))
	{
		print_rows(attribute->string, "value", ek_json_member(attribute, "values"), NULL);
		print_impact(ek_json_member(attribute, "disparate_impact"), NULL);
	}
	(void)printf("\nsubset: %s/subsets/%s\n", run, name);
	cJSON_ArrayForEach(item, ek_json_member(json, "baselines"))(void)
		printf("baseline: %s/subsets/%s\n", run, cJSON_IsString(item) ? item->valuestring : "");
}

int ek_plan_print(const struct ek_invocation *i, const struct ek_run *run, const char *name, int made)
{
	static const char document[] = "subsets/*/subset.json";
	cJSON *json = NULL, *names = NULL, *groups = NULL;
	char *step = NULL;
	int rc;

	if (!made)
		ek_info("the subset %s is current", name);
	EK_TRY(ek_format(&step, "subset %s", name));
	EK_TRY(ek_do_recipe(&i->settings.recipe, run, step));
	if (i->settings.common.json) {
		rc = ek_summary_print_file(run, document, name);
		goto out;
	}
	EK_TRY(ek_document_load(&json, run, document, name));
	EK_TRY(ek_document_cluster_names(&names, run));
	EK_TRY(ek_document_group_names(&groups, run));
	print_subset(json, ek_run_path(run), name, names, groups);
out:
	cJSON_Delete(groups);
	free(step);
	cJSON_Delete(names);
	cJSON_Delete(json);
	return rc;
}
