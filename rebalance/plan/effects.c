#include "rebalance/io/run_files.h"
#include "rebalance/plan/effects.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/skew/inequality.h"
#include "analysis/skew/intervals.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"

enum { IMAGES_PER_PIECE = 1 << 18 };

/* Images of each unit: before, after with repeats, and how many different ones are left. */
struct tally {
	uint64_t *before, *after, *left; /* [k], one block from `before` on */
	size_t k;
};

static int tally_new(struct tally *t, size_t k)
{
	int rc;

	*t = (struct tally){ .k = k };
	EK_TRY(ek_alloc(&t->before, 3 * k, sizeof *t->before));
	t->after = t->before + k;
	t->left = t->after + k;
out:
	return rc;
}

struct counting {
	const int32_t *unit;             /* [n] < 0: not counted */
	const struct ek_units *clusters; /* whose unit it is, or NULL */
	const struct ek_selection *selection;
	struct tally *tallies; /* [threads] */
};

static int count_piece(void *context, uint64_t piece, int worker)
{
	const struct counting *c = context;
	const struct ek_selection *s = c->selection;
	const uint64_t begin = piece * IMAGES_PER_PIECE;
	const uint64_t end = begin + IMAGES_PER_PIECE < s->n ? begin + IMAGES_PER_PIECE : s->n;
	const struct tally *t = &c->tallies[worker];

	for (uint64_t i = begin; i < end; i++)
		if (c->unit[i] >= 0 && s->units.unit[i] != EK_UNIT_HELD_OUT) {
			const uint64_t copies = ek_selection_copies(s, i);

			t->before[c->unit[i]]++;
			t->after[c->unit[i]] += copies;
			t->left[c->unit[i]] += copies > 0;
		}
	ek_units_forget(&s->units, begin, end);
	if (c->clusters != NULL)
		ek_units_forget(c->clusters, begin, end);
	return ek_check_interrupt();
}

/* Whole numbers, so the sum is the same for any threads. */
static int count(struct tally *t, const int32_t *unit, const struct ek_units *clusters, const struct ek_selection *s)
{
	struct counting c = { unit, clusters, s, NULL };
	int rc;

	EK_TRY(ek_alloc(&c.tallies, (size_t)ek_threads(), sizeof *c.tallies));
	for (int w = 0; w < ek_threads(); w++)
		EK_TRY(tally_new(&c.tallies[w], t->k));
	EK_TRY(ek_parallel((s->n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE, count_piece, &c));
	for (int w = 0; w < ek_threads(); w++)
		for (size_t i = 0; i < 3 * t->k; i++)
			t->before[i] += c.tallies[w].before[i];
out:
	for (int w = 0; c.tallies != NULL && w < ek_threads(); w++)
		free(c.tallies[w].before);
	free(c.tallies);
	return rc;
}

/* The measures alone: a plan is no sample, so its skew has no interval. */
static int add_skew(cJSON *json, const char *name, const uint64_t *sizes, size_t k)
{
	struct ek_inequality measured;
	cJSON *skew, *effective, *to;
	uint64_t n = 0;
	int rc;

	for (size_t i = 0; i < k; i++)
		n += sizes[i];
	if (n == 0)
		return ek_json_add_none(json, name, "no image is left");
	EK_TRY(ek_inequality_measure(&measured, sizes, k));
	EK_TRY(ek_json_add_object(&skew, json, name));
	EK_TRY(ek_json_add_object(&effective, skew, "effective_clusters"));
	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++) {
		to = m >= EK_HILL_0 && m <= EK_HILL_INFINITY ? effective : skew;
		EK_TRY(ek_json_add_double(to, ek_inequality_names[m], measured.value[m]));
	}
out:
	return rc;
}

static int add_row(cJSON *row, const struct tally *t, size_t i)
{
	const uint64_t before = t->before[i], removed = before - t->left[i];
	int rc;

	EK_TRY(ek_json_add_u64(row, "before", before));
	EK_TRY(ek_json_add_u64(row, "after", t->after[i]));
	if (before == 0) {
		EK_TRY(ek_json_add_none(row, "removal_rate", "there was no image"));
	} else {
		const struct ek_interval interval = ek_wilson(removed, before);
		cJSON *list;

		EK_TRY(ek_json_add_double(row, "removal_rate", (double)removed / (double)before));
		EK_TRY(ek_json_add_array(&list, row, "ci95"));
		EK_TRY(ek_json_add_double(list, NULL, interval.low));
		EK_TRY(ek_json_add_double(list, NULL, interval.high));
	}
out:
	return rc;
}

/* {"value", "lowest", "highest", "four_fifths"}: names of units if `names`, else numbers. */
static int add_disparate_impact(cJSON *json, const struct tally *t, char *const *names)
{
	size_t low = t->k, high = t->k;
	cJSON *impact;
	double ratio;
	int rc;

	for (size_t i = 0; i < t->k; i++) {
		const double rate = t->before[i] > 0 ? (double)t->after[i] / (double)t->before[i] : -1;

		if (rate < 0)
			continue;
		if (low == t->k || rate < (double)t->after[low] / (double)t->before[low])
			low = i;
		if (high == t->k || rate > (double)t->after[high] / (double)t->before[high])
			high = i;
	}
	if (low == t->k || t->after[high] == 0)
		return ek_json_add_none(json, "disparate_impact", "nothing is kept of any");
	ratio = ((double)t->after[low] / (double)t->before[low]) / ((double)t->after[high] / (double)t->before[high]);
	EK_TRY(ek_json_add_object(&impact, json, "disparate_impact"));
	EK_TRY(ek_json_add_double(impact, "value", ratio));
	EK_TRY(names != NULL ? ek_json_add_string(impact, "lowest", names[low])
	                     : ek_json_add_u64(impact, "lowest", low));
	EK_TRY(names != NULL ? ek_json_add_string(impact, "highest", names[high])
	                     : ek_json_add_u64(impact, "highest", high));
	EK_TRY(ek_json_add_bool(impact, "four_fifths", ratio >= 0.8));
out:
	return rc;
}

static int add_clusters(cJSON *json, const struct ek_units *clusters, const struct ek_selection *s)
{
	struct tally t = { 0 };
	cJSON *list, *row;
	int rc;

	EK_TRY(tally_new(&t, clusters->k));
	EK_TRY(count(&t, clusters->unit, clusters, s));
	EK_TRY(add_skew(json, "skew_before", t.before, t.k));
	EK_TRY(add_skew(json, "skew_after", t.after, t.k));
	EK_TRY(add_disparate_impact(json, &t, NULL));
	EK_TRY(ek_json_add_array(&list, json, "per_cluster"));
	for (size_t i = 0; i < t.k; i++) {
		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_u64(row, "cluster", i));
		EK_TRY(add_row(row, &t, i));
	}
out:
	free(t.before);
	return rc;
}

/* What has names: the values of an attribute, or groups. */
static int add_named(cJSON *json, const char *name, const int32_t *unit, char *const *names, size_t k,
                     const struct ek_selection *s)
{
	struct tally t = { 0 };
	cJSON *attribute, *list, *row;
	int rc;

	EK_TRY(tally_new(&t, k));
	EK_TRY(count(&t, unit, NULL, s));
	EK_TRY(ek_json_add_object(&attribute, json, name));
	EK_TRY(ek_json_add_array(&list, attribute, "values"));
	for (size_t i = 0; i < t.k; i++) {
		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_string(row, "value", names[i]));
		EK_TRY(add_row(row, &t, i));
	}
	EK_TRY(add_disparate_impact(attribute, &t, names));
	EK_TRY(add_skew(attribute, "skew_before", t.before, t.k));
	EK_TRY(add_skew(attribute, "skew_after", t.after, t.k));
out:
	free(t.before);
	return rc;
}

int ek_effects_open(struct ek_effects *effects, const struct ek_run *run)
{
	const char *best;
	int rc;

	*effects = (struct ek_effects){ 0 };
	EK_TRY(ek_run_has(run, "clusters/assignment.npy"));
	if (rc > 0)
		EK_TRY(ek_units_load(&effects->clusters, run, "cluster"));
	EK_TRY(ek_run_has(run, "images.jsonl"));
	if (rc > 0)
		EK_TRY(ek_columns_load(&effects->columns, run));
	EK_TRY(ek_units_best(&best, run));
	if (strcmp(best, "group") == 0)
		EK_TRY(ek_units_load(&effects->groups, run, best));
	rc = 0;
out:
	return rc;
}

void ek_effects_release(struct ek_effects *effects)
{
	ek_units_release(&effects->clusters);
	ek_units_release(&effects->groups);
	ek_columns_release(&effects->columns);
}

int ek_effects_add(cJSON *json, const struct ek_effects *effects, const struct ek_selection *s)
{
	const struct ek_units *groups = &effects->groups;
	cJSON *attributes;
	int rc = 0;

	if (effects->clusters.k > 0)
		EK_TRY(add_clusters(json, &effects->clusters, s));
	if (groups->k > 0)
		EK_TRY(add_named(json, "per_group", groups->unit, groups->names, groups->k, s));
	EK_TRY(ek_json_add_object(&attributes, json, "per_attribute"));
	for (size_t i = 0; i < effects->columns.count; i++) {
		const struct ek_column *c = &effects->columns.items[i];

		EK_TRY(add_named(attributes, c->name, c->codes, c->values, c->value_count, s));
	}
out:
	return rc;
}
