/* Of evaluation: by cluster, and who is missing. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/evaluation_writers.h"
#include "analysis/quality/fairness.h"
#include "analysis/quality/kernel.h"
#include "analysis/skew/exact.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* What is known of all clusters together, and the coverage of each, NaN where it has no image of the reference. */
struct table {
	double *coverage; /* [clusters] */
	struct ek_fairness fairness;
	struct ek_disparity coverage_of;
};

static int open_table(struct table *t, const struct ek_evaluating *e)
{
	const uint32_t k = e->in->clusters;
	int rc;

	*t = (struct table){ 0 };
	EK_TRY(ek_alloc(&t->coverage, k, sizeof *t->coverage));
	if (e->fidelity.real > 0 && !(e->no_balls & EK_NO_REAL_BALLS))
		ek_evaluation_coverage(t->coverage, e, &e->fidelity);
	else
		for (uint32_t c = 0; c < k; c++)
			t->coverage[c] = (double)NAN;
	EK_TRY(ek_fairness_measure(&t->fairness, e->in->target, e->training, e->counts, k));
	(void)ek_disparity(&t->coverage_of, t->coverage, e->weights, k);
out:
	return rc;
}

/* --- a cluster --- */

static int add_precision(cJSON *row, cJSON *reasons, const struct ek_evaluating *e, const struct ek_evaluation_tally *n)
{
	if (e->fidelity.real == 0 || (e->no_balls & EK_NO_REAL_BALLS))
		return ek_evaluation_none(row, reasons, "precision", "as of all images");
	if (n->generated == 0)
		return ek_evaluation_none(row, reasons, "precision", "it has no generated image");
	return ek_json_add_double(row, "precision", (double)n->precise / (double)n->generated);
}

static int add_coverage(cJSON *row, cJSON *reasons, const struct ek_evaluating *e, double coverage, uint64_t images)
{
	if (!isnan(coverage))
		return ek_json_add_double(row, "coverage", coverage);
	return ek_evaluation_none(row, reasons, "coverage", "%s",
	                          e->in->reference.count > 0 && images == 0 ? "it has no reference image"
	                                                                    : "as of all images");
}

static int add_kernel(cJSON *row, cJSON *reasons, const struct ek_evaluating *e, uint32_t c)
{
	const struct ek_evaluation_input *in = e->in;
	const struct ek_evaluation_tally *n = &e->tally[c];
	const struct ek_kid_options options = { .subsets = e->o->subsets,
		                                .subset_size = e->o->subset_size,
		                                .seed = e->o->seed };
	uint64_t *real_ids = NULL, *ids = NULL;
	struct ek_rows real, generated;
	struct ek_kid kid;
	cJSON *object;
	int rc;

	if (n->reference < EK_EVALUATION_KERNEL_LEAST || n->generated < EK_EVALUATION_KERNEL_LEAST)
		return ek_evaluation_none(row, reasons, "kid",
		                          "it has %" PRIu64 " generated images and %" PRIu64
		                          " of the reference, %d of each are wanted",
		                          n->generated, n->reference, EK_EVALUATION_KERNEL_LEAST);
	EK_TRY(ek_evaluation_members(&real, &real_ids, &in->reference, &e->reference, c));
	EK_TRY(ek_evaluation_members(&generated, &ids, &in->generated, &e->generated, c));
	EK_TRY(ek_kid(&kid, &real, &generated, &options));
	EK_TRY(ek_json_add_object(&object, row, "kid"));
	EK_TRY(ek_evaluation_number(object, "mean", kid.mean));
	EK_TRY(ek_evaluation_number(object, "std", kid.std));
	EK_TRY(ek_json_add_u64(object, "subset_size", kid.subset_size));
out:
	free(real_ids);
	free(ids);
	return rc;
}

static int add_memory(cJSON *row, cJSON *reasons, const struct ek_evaluating *e, uint32_t c)
{
	const uint64_t count = e->tally[c].generated, *rows = e->generated.rows + e->generated.first[c];
	double *values = NULL;
	int rc;

	if (e->memory.generated == 0 || count == 0) {
		const char *why = e->memory.generated == 0 ? "as of all images" : "it has no generated image";

		EK_TRY(ek_evaluation_none(row, reasons, "nearest_train", "%s", why));
		EK_TRY(e->memory.generated == 0 ? ek_evaluation_none(row, reasons, "copies", "%s", why)
		                                : ek_json_add_u64(row, "copies", 0));
		goto out;
	}
	EK_TRY(ek_alloc(&values, count, sizeof *values));
	for (uint64_t i = 0; i < count; i++)
		values[i] = e->memory.distance[rows[i]];
	EK_TRY(ek_evaluation_number(row, "nearest_train", ek_evaluation_median(values, count)));
	EK_TRY(ek_json_add_u64(row, "copies", e->tally[c].copies));
out:
	free(values);
	return rc;
}

/* Of those that were made for the cluster, how many lie in it? */
static int add_asked(cJSON *row, cJSON *reasons, const struct ek_evaluating *e, const struct ek_evaluation_tally *n)
{
	int rc;

	if (e->in->asked == NULL) {
		EK_TRY(ek_evaluation_none(row, reasons, "asked", "nothing was made for a cluster"));
		EK_TRY(ek_evaluation_none(row, reasons, "in_own", "nothing was made for a cluster"));
		goto out;
	}
	EK_TRY(ek_json_add_u64(row, "asked", n->asked));
	EK_TRY(n->asked > 0 ? ek_json_add_double(row, "in_own", (double)n->in_own / (double)n->asked)
	                    : ek_evaluation_none(row, reasons, "in_own", "none was made for it"));
out:
	return rc;
}

static int add_row(cJSON *list, const struct ek_evaluating *e, const struct table *t, uint32_t c)
{
	const struct ek_evaluation_tally *n = &e->tally[c];
	const double target = e->in->target[c], share = (double)n->generated / (double)e->in->generated.count;
	const struct ek_interval interval = ek_wilson(n->generated, e->in->generated.count);
	cJSON *row, *reasons = cJSON_CreateObject(), *bounds;
	int rc;

	EK_TRY(ek_json_add_object(&row, list, NULL));
	EK_TRY(ek_json_add_u64(row, "cluster", c));
	EK_TRY(ek_json_add_double(row, "target_share", target));
	EK_TRY(ek_json_add_double(row, "training_share", e->training[c]));
	EK_TRY(ek_json_add_u64(row, "training_images", e->in->training_counts[c]));
	EK_TRY(ek_json_add_u64(row, "reference_images", n->reference));
	EK_TRY(ek_json_add_u64(row, "generated_images", n->generated));
	EK_TRY(ek_json_add_double(row, "generated_share", share));
	EK_TRY(ek_json_add_array(&bounds, row, "ci95"));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.low));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.high));
	EK_TRY(target > 0 ? ek_json_add_double(row, "ratio", share / target)
	                  : ek_evaluation_none(row, reasons, "ratio", "it is not wanted: its target share is 0"));
	EK_TRY(add_coverage(row, reasons, e, t->coverage[c], n->reference));
	EK_TRY(add_precision(row, reasons, e, n));
	EK_TRY(add_kernel(row, reasons, e, c));
	EK_TRY(add_memory(row, reasons, e, c));
	EK_TRY(add_asked(row, reasons, e, n));
	EK_TRY(ek_json_add_item(row, "reasons", cJSON_Duplicate(reasons, 1)));
out:
	cJSON_Delete(reasons);
	return rc;
}

/* --- all clusters --- */

/* The small clusters together. */
struct tail {
	struct ek_evaluation_tally n;
	double target, training;
};

static void add_to_tail(struct tail *tail, const struct ek_evaluating *e, uint32_t c)
{
	const struct ek_evaluation_tally *n = &e->tally[c];

	tail->n.reference += n->reference;
	tail->n.covered += n->covered;
	tail->n.generated += n->generated;
	tail->n.precise += n->precise;
	tail->n.asked += n->asked;
	tail->n.in_own += n->in_own;
	tail->target += e->in->target[c];
	tail->training += e->training[c];
}

static int add_tail_measures(cJSON *object, struct ek_evaluating *e, const struct tail *tail)
{
	const struct ek_evaluation_tally *n = &tail->n;
	const uint64_t m = e->in->generated.count;
	const int balls = e->fidelity.real > 0 && !(e->no_balls & EK_NO_REAL_BALLS);
	int rc;

	EK_TRY(ek_json_add_u64(object, "reference_images", n->reference));
	EK_TRY(ek_json_add_double(object, "target_share", tail->target));
	EK_TRY(ek_json_add_double(object, "training_share", tail->training));
	EK_TRY(ek_measure_add(object, "generated_share", (double)n->generated / (double)m, ek_wilson(n->generated, m)));
	if (balls && n->reference > 0)
		EK_TRY(ek_measure_add(object, "coverage", (double)n->covered / (double)n->reference,
		                      ek_wilson(n->covered, n->reference)));
	else
		EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "coverage", NAN,
		                             balls ? "no small cluster has a reference image" : "as coverage"));
	EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "precision",
	                             balls ? (double)n->precise / (double)n->generated : (double)NAN,
	                             balls ? "no small cluster has a generated image" : "as precision"));
	EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "in_own", (double)n->in_own / (double)n->asked,
	                             e->in->asked == NULL ? "nothing was made for a cluster"
	                                                  : "none was made for a small cluster"));
out:
	return rc;
}

/* With many clusters the worst single one is mostly chance: the small ones together say more. */
static int add_tail(struct ek_evaluating *e)
{
	struct tail tail = { 0 };
	cJSON *object, *list;
	int rc;

	EK_TRY(ek_json_add_object(&object, e->json, "tail"));
	EK_TRY(ek_json_add_array(&list, object, "clusters"));
	for (uint32_t c = 0; c < e->in->clusters; c++) {
		if (!e->tally[c].in_tail)
			continue;
		EK_TRY(ek_json_add_u64(list, NULL, c));
		add_to_tail(&tail, e, c);
	}
	if (cJSON_GetArraySize(list) > 0)
		EK_TRY(add_tail_measures(object, e, &tail));
out:
	return rc;
}

/* The mean of shares of clusters, each of its own images: the distances of the ends of Wilson's intervals, squared and
 * added (Zou and Donner 2008, "Construction of confidence limits about effect measures"). */
static struct ek_interval macro_interval(double macro, const struct ek_evaluation_tally *n, size_t clusters)
{
	double below = 0, above = 0, count = 0;

	for (size_t c = 0; c < clusters; c++) {
		const uint64_t covered = n[c].covered, all = n[c].reference;
		const struct ek_interval one = ek_wilson(covered, all);
		const double share = (double)covered / (double)all;

		if (all == 0)
			continue;
		below += (share - one.low) * (share - one.low);
		above += (one.high - share) * (one.high - share);
		count++;
	}
	return (struct ek_interval){ fmax(macro - sqrt(below) / count, 0), fmin(macro + sqrt(above) / count, 1) };
}

/* The least of shares, as skew/exact.h explains. */
static struct ek_interval worst_interval(const struct ek_evaluation_tally *n, size_t clusters)
{
	const double alpha = 0.05 / 2;
	struct ek_interval out = { 1, 1 };
	double count = 0;

	for (size_t c = 0; c < clusters; c++)
		count += n[c].reference > 0;
	for (size_t c = 0; c < clusters; c++) {
		const uint64_t covered = n[c].covered, all = n[c].reference;

		if (all == 0)
			continue;
		out.low = fmin(out.low, ek_share_above(covered, all, alpha));
		out.high = fmin(out.high, ek_share_below(covered, all, alpha / count));
	}
	return out;
}

static int add_coverages(struct ek_evaluating *e, const struct table *t)
{
	const size_t clusters = e->in->clusters;
	int rc;

	if (isnan(t->coverage_of.lowest)) {
		const char *why = e->in->reference.count == 0 ? e->in->no_reference : "as coverage";

		EK_TRY(ek_evaluation_none(e->json, e->reasons, "coverage_macro", "%s", why));
		EK_TRY(ek_evaluation_none(e->json, e->reasons, "coverage_worst", "%s", why));
		goto out;
	}
	EK_TRY(ek_measure_add(e->json, "coverage_macro", t->coverage_of.macro,
	                      macro_interval(t->coverage_of.macro, e->tally, clusters)));
	EK_TRY(ek_measure_add(e->json, "coverage_worst", t->coverage_of.lowest, worst_interval(e->tally, clusters)));
out:
	return rc;
}

/* Fewer than are wanted, by more than chance; else the least covered. */
static int add_worst(struct ek_evaluating *e, const struct table *t)
{
	const size_t scarce = t->fairness.worst;
	const int is_scarce = ek_wilson(e->counts[scarce], e->in->generated.count).high < e->in->target[scarce];
	const int by_ratio = is_scarce || isnan(t->coverage_of.lowest);
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, e->json, "worst_cluster"));
	EK_TRY(ek_json_add_u64(object, "cluster", by_ratio ? scarce : t->coverage_of.worst));
	EK_TRY(ek_json_add_string(object, "by", by_ratio ? "ratio" : "coverage"));
	EK_TRY(ek_json_add_double(object, "value",
	                          by_ratio ? t->fairness.value[EK_WORST_RATIO] : t->coverage_of.lowest));
out:
	return rc;
}

static const char *why_no_fairness(int measure)
{
	return measure == EK_DIFFERENCE           ? "the target is not uniform"
	       : measure == EK_BIAS_AMPLIFICATION ? "the clusters of the data are all of one size: no skew to amplify"
	                                          : "all generated images are in clusters that are not wanted";
}

static int add_fairness(struct ek_evaluating *e, const struct table *t)
{
	const struct ek_bootstrap bootstrap = { .resamples = e->o->resamples,
		                                .seed = e->o->seed,
		                                .name = "generated clusters" };
	struct ek_estimate estimates[EK_FAIRNESS_MEASURES];
	cJSON *object;
	int rc;

	EK_TRY(ek_fairness_estimate(estimates, e->in->target, e->training, e->counts, e->in->clusters, &bootstrap));
	for (int m = EK_MASS_COVERAGE; m <= EK_HIT_COVERAGE; m++)
		EK_TRY(ek_estimate_add(e->json, ek_fairness_name(m), &estimates[m]));
	EK_TRY(add_coverages(e, t));
	EK_TRY(add_worst(e, t));
	EK_TRY(ek_json_add_object(&object, e->json, "fairness"));
	for (int m = EK_HIT_COVERAGE + 1; m < EK_FAIRNESS_MEASURES; m++)
		EK_TRY(isfinite(estimates[m].value)
		               ? ek_estimate_add(object, ek_fairness_name(m), &estimates[m])
		               : ek_evaluation_none(object, e->reasons, ek_fairness_name(m), "%s", why_no_fairness(m)));
	EK_TRY(isfinite(t->coverage_of.gap)
	               ? ek_json_add_double(object, "representation_disparity", t->coverage_of.gap)
	               : ek_evaluation_none(object, e->reasons, "representation_disparity", "as coverage"));
out:
	return rc;
}

int ek_evaluation_write_clusters(struct ek_evaluating *e)
{
	struct table t;
	cJSON *list;
	int rc;

	EK_TRY(open_table(&t, e));
	EK_TRY(ek_json_add_array(&list, e->json, "per_cluster"));
	ek_progress_whole_begin("measuring clusters", "clusters", e->in->clusters);
	for (uint32_t c = 0; c < e->in->clusters && rc == 0; c++) {
		rc = add_row(list, e, &t, c);
		ek_progress_whole_add(1);
	}
	ek_progress_whole_end();
	EK_TRY(rc);
	EK_TRY(add_fairness(e, &t));
	EK_TRY(add_tail(e));
out:
	free(t.coverage);
	return rc;
}
