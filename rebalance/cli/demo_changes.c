#include "rebalance/cli/demo_changes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/compare.h"

enum { NATURAL, EQUAL, MENDED, EVALUATIONS };
static const char *const names[EVALUATIONS] = { "natural", "natural-equal", "mended" };

static const char *certainty(const struct ek_compared *a, const struct ek_compared *b)
{
	return ek_difference_words[ek_comparison_verdict(a, b)];
}

static double share_of(const cJSON *group, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(group, name);

	return ek_json_number(cJSON_IsObject(item) ? item : group, cJSON_IsObject(item) ? "value" : name);
}

/* The groups that are less than half of an even share of the images: how many they are, and their share of what is
 * made. */
static double share_of_rare(int *count, const struct ek_comparison_row *row)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(row->json, "per_group"), *group;
	double made = 0;

	*count = 0;
	cJSON_ArrayForEach(group, list)
	{
		if (!(share_of(group, "training_share") < 0.5 / cJSON_GetArraySize(list)))
			continue;
		made += share_of(group, "generated_share");
		++*count;
	}
	return made;
}

/* The group that was covered least, and what became of it. */
static void print_least(const struct ek_comparison_row *natural, const struct ek_comparison_row *mended)
{
	const cJSON *worst = cJSON_GetObjectItemCaseSensitive(natural->json, "worst_group");
	const char *group = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(worst, "group"));
	struct ek_compared before, after, share;
	char a[32], b[32];

	if (group == NULL || !ek_comparison_group(&before, &share, natural, group) ||
	    !ek_comparison_group(&after, &share, mended, group))
		return;
	(void)printf("Covered least was %s, to %s: now %s, %s.\n", group, ek_text_percent(a, before.value),
	             ek_text_percent(b, after.value), certainty(&after, &before));
}

static void print_changes(const struct ek_comparison_row *rows)
{
	const struct ek_compared *all[EVALUATIONS], *fd[EVALUATIONS];
	double made[EVALUATIONS];
	char a[32], b[32], c[32], d[32], f[32], rarest[48] = "rarest group's";
	int rare = 0;

	for (int i = 0; i < EVALUATIONS; i++) {
		all[i] = &rows[i].values[EK_CMP_GROUP_COVERAGE];
		fd[i] = &rows[i].values[EK_CMP_FD];
		made[i] = share_of_rare(&rare, &rows[i]);
	}
	if (rare != 1)
		(void)snprintf(rarest, sizeof rarest, "%d rarest groups'", rare);
	(void)printf(
		"\nWhat ten labels a class changed: of %s photographs that no step had seen, as many of each class, "
		"what was generated covers %s, mean over the groups, with weights and samples evened out, and %s "
		"without, %s; the %s share of what is generated went from %s to %s, the Fréchet "
		"distance to all photographs from %.1f to %.1f, %s.\n",
		ek_text_count(a, rows[MENDED].reference_images), ek_text_percent(b, all[MENDED]->value),
		ek_text_percent(c, all[NATURAL]->value), certainty(all[MENDED], all[NATURAL]), rarest,
		ek_text_percent(d, made[NATURAL]), ek_text_percent(f, made[MENDED]), fd[NATURAL]->value,
		fd[MENDED]->value, certainty(fd[MENDED], fd[NATURAL]));
	print_least(&rows[NATURAL], &rows[MENDED]);
	(void)printf(
		"Asking the generator of the images as they come for as many of every group covers %s at a distance "
		"of %.1f; what training by the weights adds to that coverage is %s.\n",
		ek_text_percent(a, all[EQUAL]->value), fd[EQUAL]->value, certainty(all[MENDED], all[EQUAL]));
}

/* A difference is credited to the labels only where nothing else differs. */
static void print(const char *path, const struct ek_comparison_row *rows)
{
	const struct ek_comparison_row *natural = &rows[NATURAL], *mended = &rows[MENDED];
	double coverage = 0;
	char a[32], b[32];

	for (int i = 0; i < EVALUATIONS; i++)
		coverage += rows[i].values[EK_CMP_GROUP_COVERAGE].value;
	if (ek_comparison_unequal(natural, mended) || !ek_comparison_alike(natural, mended))
		(void)printf("\nWhat ten labels changed cannot be told: the two generators were trained for %s and %s "
		             "steps, or were not measured alike. evenkeel compare %s says what differs.\n",
		             ek_text_count(a, natural->steps > 0 ? (uint64_t)natural->steps : 0),
		             ek_text_count(b, mended->steps > 0 ? (uint64_t)mended->steps : 0), path);
	else if (!isfinite(coverage))
		(void)printf("\nWhat ten labels changed for the rare groups could not be measured: %s/evaluations say "
		             "why.\n",
		             path);
	else
		print_changes(rows);
}

int ek_demo_changes_print(const char *path)
{
	struct ek_comparison comparison = { 0 };
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, path, EK_RUN_READ));
	for (int i = 0; i < EVALUATIONS; i++)
		EK_TRY(ek_compare_add(&comparison, run, names[i]));
	print(path, comparison.rows);
out:
	ek_comparison_release(&comparison);
	ek_run_close(run);
	return rc;
}
