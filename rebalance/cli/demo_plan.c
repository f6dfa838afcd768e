#include "rebalance/cli/demo_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/document.h"
#include "rebalance/pipeline/plans.h"
#include "rebalance/pipeline/recovery.h"

#define SUBSET "balanced"
#define WEIGHTS "inverse"
#define BLEND "without-labels"
#define FAIR "ten-labels"

int ek_demo_plan(struct ek_run *run, uint64_t seed, int force)
{
	struct ek_do_balance_options balance = EK_DO_BALANCE_DEFAULT;
	/* Before anybody labels anything, and so also where a run of before has labels. */
	const struct ek_do_weights_options weights = {
		.plan = { .name = WEIGHTS, .scheme = "inverse", .by = "cluster" }, .force = force
	};
	cJSON *audit = NULL;
	int made, rc;

	EK_TRY(ek_document_load(&audit, run, "audit.json", NULL));
	balance.plan.name = SUBSET;
	balance.plan.by = "cluster";
	balance.plan.rule = "random";
	balance.plan.seed = seed;
	balance.force = force;
	/* Half of the images: enough to even out by leaving out, without repeating any. */
	balance.plan.total = ek_whole(ek_json_number(audit, "images")) / 2;
	EK_TRY(ek_do_balance(&made, run, NULL, &balance));
	EK_TRY(ek_do_weights(run, NULL, &weights));
out:
	cJSON_Delete(audit);
	return rc;
}

int ek_demo_mend(struct ek_run *run, int force)
{
	const struct ek_do_weights_options blend = { .plan = { .name = BLEND, .scheme = "blend" }, .force = force };
	const struct ek_do_weights_options fair = { .plan = { .name = FAIR, .scheme = "inverse", .by = "group" },
		                                    .force = force };
	int rc;

	EK_TRY(ek_do_weights(run, NULL, &blend));
	EK_TRY(ek_do_weights(run, NULL, &fair));
out:
	return rc;
}

/* How much of the hidden skew each way of weighing mends. */
static int print_recovery(const struct ek_run *run, const char *attribute)
{
	static const struct {
		const char *name, *says;
	} ways[] = { { WEIGHTS, "every cluster alike" },
		     { BLEND, "without labels: each image by how rare its like is" },
		     { FAIR, "ten labels a class, as a person gives them in minutes" } };
	cJSON *weights = NULL;
	char share[32];
	int rc = 0;

	(void)printf("\nHow much of the classes' skew is mended (0 = nothing, 1 = as much as the labels of all images "
	             "would):\n");
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		double recovery;

		cJSON_Delete(weights);
		weights = NULL;
		EK_TRY(ek_balance_recovery(&recovery, run, ways[i].name, attribute));
		EK_TRY(ek_document_load(&weights, run, "weights/*/weights.json", ways[i].name));
		(void)printf("  %-16s %5.2f   %s; an effective sample of %s\n", ways[i].name, recovery, ways[i].says,
		             ek_text_percent(share, ek_json_number(weights, "effective_share")));
	}
out:
	cJSON_Delete(weights);
	return rc;
}

static double sum(const cJSON *numbers)
{
	const cJSON *item;
	double total = 0;

	cJSON_ArrayForEach(item, numbers) total += cJSON_IsNumber(item) ? item->valuedouble : 0;
	return total;
}

/* The place of the rarest value of the attribute. */
static int rarest_of(const cJSON *attribute)
{
	const cJSON *counts = ek_json_member(attribute, "counts"), *item;
	double least = INFINITY;
	int rarest = 0, at = 0;

	cJSON_ArrayForEach(item, counts)
	{
		if (item->valuedouble < least) {
			least = item->valuedouble;
			rarest = at;
		}
		at++;
	}
	return rarest;
}

/* Shares of the images in the tail clusters, before and after. */
static void tail_shares(double *before, double *after, const cJSON *audit, const cJSON *subset)
{
	const cJSON *tail = ek_json_member(ek_json_member(audit, "skew"), "tail_clusters"), *cluster;
	const cJSON *rows = ek_json_member(subset, "per_cluster");

	*before = *after = 0;
	cJSON_ArrayForEach(cluster, tail)
	{
		const cJSON *row = cJSON_GetArrayItem(rows, cluster->valueint);

		*before += ek_json_number(row, "before") / fmax(1, ek_json_number(subset, "images_before"));
		*after += ek_json_number(row, "after") / fmax(1, ek_json_number(subset, "images_after"));
	}
}

static void print_subset(const cJSON *audit, const cJSON *subset, const char *attribute)
{
	const cJSON *known = ek_json_member(ek_json_member(audit, "attributes"), attribute);
	const cJSON *told = ek_json_member(ek_json_member(subset, "per_attribute"), attribute);
	const int rarest = rarest_of(known);
	const cJSON *name = cJSON_GetArrayItem(ek_json_member(known, "values"), rarest);
	const cJSON *values = ek_json_member(told, "values"), *value = NULL, *item;
	char a[32], b[32], c[32], d[32];
	double before, after;

	tail_shares(&before, &after, audit, subset);
	(void)printf(
		"\nBalanced subset (%s of %s images): the %d small clusters had %s of the images and have %s; Gini "
		"%.2f, now %.2f.\n",
		ek_text_count(a, ek_whole(ek_json_number(subset, "images_after"))),
		ek_text_count(b, ek_whole(ek_json_number(subset, "images_before"))),
		cJSON_GetArraySize(ek_json_member(ek_json_member(audit, "skew"), "tail_clusters")),
		ek_text_percent(c, before), ek_text_percent(d, after),
		ek_json_number(ek_json_member(subset, "skew_before"), "gini"),
		ek_json_number(ek_json_member(subset, "skew_after"), "gini"));
	cJSON_ArrayForEach(item, values) if (cJSON_Compare(ek_json_member(item, "value"), name, 1)) value = item;
	if (value != NULL)
		(void)printf(
			"The hidden classes, which it did not see: %s, the rarest, had %s of the images and has %s; "
			"evenness of all %.2f, now %.2f (1 = equal).\n",
			name->valuestring,
			ek_text_percent(a, ek_json_number(value, "before") /
		                                   fmax(1, ek_json_number(subset, "images_before"))),
			ek_text_percent(b, ek_json_number(value, "after") /
		                                   fmax(1, ek_json_number(subset, "images_after"))),
			ek_json_number(ek_json_member(told, "skew_before"), "normalised_entropy"),
			ek_json_number(ek_json_member(told, "skew_after"), "normalised_entropy"));
}

/* Share of the visits of value `at`, from its images in each cluster. */
static double visits_share(const cJSON *attribute, const cJSON *weights, int at)
{
	const cJSON *row = ek_json_member(attribute, "by_cluster"), *visit = ek_json_member(weights, "visits");
	double shown = 0, all = 0;

	row = row != NULL ? row->child : NULL;
	visit = visit != NULL ? visit->child : NULL;
	for (; row != NULL && visit != NULL; row = row->next, visit = visit->next) {
		const cJSON *count = cJSON_GetArrayItem(row, at);

		shown += (cJSON_IsNumber(count) ? count->valuedouble : 0) * visit->valuedouble;
		all += sum(row) * visit->valuedouble;
	}
	return all > 0 ? shown / all : 0;
}

static void print_weights(const cJSON *audit, const cJSON *weights, const char *attribute)
{
	const cJSON *known = ek_json_member(ek_json_member(audit, "attributes"), attribute);
	const cJSON *largest = ek_json_member(weights, "largest_repeat");
	const int rarest = rarest_of(known);
	const cJSON *name = cJSON_GetArrayItem(ek_json_member(known, "values"), rarest);
	char a[32], b[32], c[32];

	(void)printf(
		"Sampler (all images, every cluster shown equally often): an image of the smallest cluster is shown "
		"%.1f times an epoch; the effective sample is %s of the images.\n",
		ek_json_number(largest, "visits"), ek_text_percent(a, ek_json_number(weights, "effective_share")));
	if (cJSON_IsString(name))
		(void)printf(
			"With it, %s goes from %s to %s of what is shown.\n", name->valuestring,
			ek_text_percent(b, ek_json_number(cJSON_GetArrayItem(ek_json_member(known, "shares"), rarest),
		                                          "value")),
			ek_text_percent(c, visits_share(known, weights, rarest)));
}

int ek_demo_plan_print(const struct ek_run *run, const char *attribute)
{
	cJSON *audit = NULL, *subset = NULL, *weights = NULL;
	int rc;

	EK_TRY(ek_document_load(&audit, run, "audit.json", NULL));
	EK_TRY(ek_document_load(&subset, run, "subsets/*/subset.json", SUBSET));
	EK_TRY(ek_document_load(&weights, run, "weights/*/weights.json", WEIGHTS));
	print_subset(audit, subset, attribute);
	print_weights(audit, weights, attribute);
	EK_TRY(print_recovery(run, attribute));
	(void)printf("All are in %s/report.html, chapter Plan.\n", ek_run_path(run));
out:
	cJSON_Delete(audit);
	cJSON_Delete(subset);
	cJSON_Delete(weights);
	return rc;
}
