/* SemDeDup: which image of a pair goes, by three rules. */
#include <stdlib.h>

#include "analysis/cluster/duplicates.h"
#include "rebalance/base/error.h"
#include "rebalance/plan/embedded_internal.h"

const char *const ek_dedup_rule_names[] = { "one-pass", "greedy", "components", NULL };

/* The images that are in a unit, and the places of them unit by unit: for ek_near_find. */
static int arrange(struct ek_dedup *d, const struct ek_units *units)
{
	uint64_t *at = NULL, count = 0;
	int rc;

	EK_TRY(ek_alloc(&at, units->k, sizeof *at));
	for (uint32_t u = 0; u < units->k; u++) {
		at[u] = d->segments[u];
		d->segments[u + 1] = d->segments[u] + units->sizes[u];
	}
	for (uint64_t i = 0; i < units->n; i++)
		if (units->unit[i] >= 0) {
			d->order[at[units->unit[i]]++] = (uint32_t)count;
			d->ids[count++] = i;
		}
out:
	free(at);
	return rc;
}

static int report(const struct ek_dedup *d, const struct ek_embedded_options *options)
{
	cJSON *json;
	int rc;

	EK_TRY(ek_json_add_object(&json, options->report, "near_duplicates"));
	EK_TRY(ek_json_add_string(json, "rule", ek_dedup_rule_names[options->rule]));
	EK_TRY(ek_duplicates_add_counts(json, &d->near));
out:
	return rc;
}

/* Those that are always counted and the one asked for, rising; `*at` = its place. */
static size_t list_eps(double *eps, size_t *at, double asked)
{
	size_t count = 0;

	for (const double *e = ek_duplicates_eps; *e > 0; e++) {
		if (asked > 0 && asked < *e && (count == 0 || eps[count - 1] < asked))
			eps[count++] = asked;
		eps[count++] = *e;
	}
	if (asked > eps[count - 1])
		eps[count++] = asked;
	for (*at = 0; asked > 0 && eps[*at] < asked;)
		++*at;
	return count;
}

int ek_dedup_find(struct ek_dedup *d, const struct ek_run *run, const struct ek_units *units,
                  const struct ek_embedded_options *options)
{
	double eps[EK_NEAR_MOST_EPS], *mean = NULL;
	size_t count;
	int rc;

	*d = (struct ek_dedup){ 0 };
	count = list_eps(eps, &d->at, options->eps);
	EK_TRY(ek_embedded_rows(&d->rows, &d->array, run, units, EK_NORMALISE_UNIT));
	EK_TRY(ek_alloc(&d->ids, units->total, sizeof *d->ids));
	EK_TRY(ek_alloc(&d->order, units->total, sizeof *d->order));
	EK_TRY(ek_alloc(&d->segments, (size_t)units->k + 1, sizeof *d->segments));
	EK_TRY(ek_alloc(&d->similarity, units->n, sizeof *d->similarity));
	EK_TRY(arrange(d, units));
	d->rows.ids = d->ids;
	d->rows.count = units->total;
	/* It names the row with a number that is not finite. */
	EK_TRY(ek_alloc(&mean, d->rows.dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, &d->rows));
	EK_TRY(ek_near_find(&d->near, &d->rows, d->order, d->segments, units->k, eps, count, 0));
	for (uint64_t i = 0; i < units->total; i++)
		d->similarity[d->ids[i]] = d->near.similarity[i];
	EK_TRY(report(d, options));
out:
	free(mean);
	return rc;
}

void ek_dedup_release(struct ek_dedup *d)
{
	ek_near_release(&d->near);
	ek_npy_close(&d->array);
	free(d->ids);
	free(d->order);
	free(d->segments);
	free(d->similarity);
}

static int is_kept(const struct ek_dedup *d, uint64_t i, enum ek_dedup_rule rule)
{
	const struct ek_near *near = &d->near;

	switch (rule) {
	case EK_DEDUP_ONE_PASS:
		return near->weakest[d->at * near->n + i] > 1; /* no pair with an earlier one */
	case EK_DEDUP_GREEDY:
		return (near->kept[i] >> d->at & 1) != 0;
	case EK_DEDUP_COMPONENTS:
		return near->component[d->at * near->n + i] == i;
	}
	return 0;
}

int ek_embedded_semdedup(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                         const struct ek_embedded_options *options)
{
	struct ek_dedup d;
	uint8_t *kept = NULL;
	int rc;

	EK_TRY(ek_dedup_find(&d, run, units, options));
	EK_TRY(ek_embedded_keys(keys, d.similarity, 0, units));
	if (options->eps > 0) {
		EK_TRY(ek_alloc(&kept, units->n, sizeof *kept));
		for (uint64_t i = 0; i < units->total; i++)
			kept[d.ids[i]] = (uint8_t)is_kept(&d, i, options->rule);
		EK_TRY(ek_embedded_tiers(keys, quota, kept, 1, units));
	} else {
		EK_TRY(ek_embedded_divide(quota, keys, units, 0));
	}
out:
	ek_dedup_release(&d);
	free(kept);
	return rc;
}
