/* Of evaluation: by cluster, and who is missing. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/evaluation_internal.h"
#include "analysis/quality/fairness.h"
#include "analysis/quality/kernel.h"
#include "analysis/skew/exact.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* What is known of the clusters; arrays [clusters]. */
struct table {
	double *coverage;
	uint64_t *reference; /* images */
	double *training;    /* shares */
	double *weights;     /* `reference` as numbers */
	uint64_t *cells;     /* [2 clusters] of the reference: not covered, covered */
	struct ek_fairness fairness;
	struct ek_disparity coverage_of;
};

static int open_table(struct table *t, const struct ek_evaluation *e)
{
	const uint32_t k = e->in->clusters;
	double total = 0;
	int rc;

	*t = (struct table){ 0 };
	EK_TRY(ek_alloc(&t->coverage, k, sizeof *t->coverage));
	EK_TRY(ek_alloc(&t->reference, k, sizeof *t->reference));
	EK_TRY(ek_alloc(&t->training, k, sizeof *t->training));
	EK_TRY(ek_alloc(&t->weights, k, sizeof *t->weights));
	EK_TRY(ek_alloc(&t->cells, k, 2 * sizeof *t->cells));
	for (uint32_t c = 0; c < k; c++)
		total += (double)e->in->training_counts[c];
	for (uint32_t c = 0; c < k; c++)
		t->training[c] = (double)e->in->training_counts[c] / total;
	if (e->fidelity.real > 0 && !(e->no_balls & EK_NO_REAL_BALLS)) {
		ek_evaluation_coverage(t->coverage, t->reference, e, &e->fidelity);
		for (uint64_t i = 0; i < e->fidelity.real; i++)
			t->cells[2 * e->in->reference_cluster[i] + e->fidelity.covered[i]]++;
	} else {
		for (uint64_t i = 0; i < e->in->reference.count; i++)
			t->reference[e->in->reference_cluster[i]]++;
		for (uint32_t c = 0; c < k; c++)
			t->coverage[c] = (double)NAN;
	}
	for (uint32_t c = 0; c < k; c++)
		t->weights[c] = (double)t->reference[c];
	EK_TRY(ek_fairness_measure(&t->fairness, e->in->target, t->training, e->counts, k));
	(void)ek_disparity(&t->coverage_of, t->coverage, t->weights, k);
out:
	return rc;
}

static void close_table(struct table *t)
{
	free(t->coverage);
	free(t->reference);
	free(t->training);
	free(t->weights);
	free(t->cells);
}

/* --- a cluster --- */

static int add_precision(cJSON *row, cJSON *reasons, const struct ek_evaluation *e, int32_t c)
{
	uint64_t precise = 0;

	if (e->fidelity.real == 0 || (e->no_balls & EK_NO_REAL_BALLS))
		return ek_evaluation_none(row, reasons, "precision", "as of all images");
	if (e->counts[c] == 0)
		return ek_evaluation_none(row, reasons, "precision", "it has no generated image");
	for (uint64_t j = 0; j < e->in->generated.count; j++)
		precise += e->in->generated_cluster[j] == c && e->fidelity.balls[j] > 0;
	return ek_json_add_double(row, "precision", (double)precise / (double)e->counts[c]);
}

static int add_coverage(cJSON *row, cJSON *reasons, const struct ek_evaluation *e, const struct table *t, int32_t c)
{
	if (!isnan(t->coverage[c]))
		return ek_json_add_double(row, "coverage", t->coverage[c]);
	return ek_evaluation_none(row, reasons, "coverage", "%s",
	                          e->in->reference.count > 0 && t->reference[c] == 0 ? "it has no reference image"
	                                                                             : "as of all images");
}

static int add_kernel(cJSON *row, cJSON *reasons, const struct ek_evaluation *e, const struct table *t, int32_t c)
{
	const struct ek_evaluation_input *in = e->in;
	const struct ek_kid_options options = { .subsets = e->o->subsets,
		                                .subset_size = e->o->subset_size,
		                                .seed = e->o->seed };
	uint64_t *real_ids = NULL, *ids = NULL;
	struct ek_rows real, generated;
	struct ek_kid kid;
	cJSON *object;
	int rc;

	if (t->reference[c] < EK_EVALUATION_KERNEL_LEAST || e->counts[c] < EK_EVALUATION_KERNEL_LEAST)
		return ek_evaluation_none(row, reasons, "kid",
		                          "it has %" PRIu64 " generated images and %" PRIu64
		                          " of the reference, %d of each are wanted",
		                          e->counts[c], t->reference[c], EK_EVALUATION_KERNEL_LEAST);
	EK_TRY(ek_evaluation_members(&real, &real_ids, &in->reference, in->reference_cluster, c));
	EK_TRY(ek_evaluation_members(&generated, &ids, &in->generated, in->generated_cluster, c));
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

static int add_memory(cJSON *row, cJSON *reasons, const struct ek_evaluation *e, int32_t c)
{
	const struct ek_memorisation *m = &e->memory;
	uint64_t count = 0, copies = 0;
	double *values = NULL;
	int rc;

	if (m->generated == 0 || e->counts[c] == 0) {
		const char *why = m->generated == 0 ? "as of all images" : "it has no generated image";

		EK_TRY(ek_evaluation_none(row, reasons, "nearest_train", "%s", why));
		EK_TRY(m->generated == 0 ? ek_evaluation_none(row, reasons, "copies", "%s", why)
		                         : ek_json_add_u64(row, "copies", 0));
		goto out;
	}
	EK_TRY(ek_alloc(&values, e->counts[c], sizeof *values));
	for (uint64_t j = 0; j < m->generated; j++)
		if (e->in->generated_cluster[j] == c) {
			values[count++] = m->distance[j];
			copies += m->copied[j];
		}
	EK_TRY(ek_evaluation_number(row, "nearest_train", ek_evaluation_median(values, count)));
	EK_TRY(ek_json_add_u64(row, "copies", copies));
out:
	free(values);
	return rc;
}

/* Of those that were made for the cluster, how many lie in it? */
static int add_asked(cJSON *row, cJSON *reasons, const struct ek_evaluation *e, int32_t c)
{
	uint64_t asked = 0, in_own = 0;
	int rc;

	if (e->in->asked == NULL) {
		EK_TRY(ek_evaluation_none(row, reasons, "asked", "nothing was made for a cluster"));
		EK_TRY(ek_evaluation_none(row, reasons, "in_own", "nothing was made for a cluster"));
		goto out;
	}
	for (uint64_t j = 0; j < e->in->generated.count; j++) {
		asked += e->in->asked[j] == c;
		in_own += e->in->asked[j] == c && e->in->generated_cluster[j] == c;
	}
	EK_TRY(ek_json_add_u64(row, "asked", asked));
	EK_TRY(asked > 0 ? ek_json_add_double(row, "in_own", (double)in_own / (double)asked)
	                 : ek_evaluation_none(row, reasons, "in_own", "none was made for it"));
out:
	return rc;
}

static int add_row(cJSON *list, const struct ek_evaluation *e, const struct table *t, int32_t c)
{
	const double target = e->in->target[c], share = (double)e->counts[c] / (double)e->in->generated.count;
	const struct ek_interval interval = ek_wilson(e->counts[c], e->in->generated.count);
	cJSON *row, *reasons = cJSON_CreateObject(), *bounds;
	int rc;

	EK_TRY(ek_json_add_object(&row, list, NULL));
	EK_TRY(ek_json_add_u64(row, "cluster", (uint64_t)c));
	EK_TRY(ek_json_add_double(row, "target_share", target));
	EK_TRY(ek_json_add_double(row, "training_share", t->training[c]));
	EK_TRY(ek_json_add_u64(row, "training_images", e->in->training_counts[c]));
	EK_TRY(ek_json_add_u64(row, "reference_images", t->reference[c]));
	EK_TRY(ek_json_add_u64(row, "generated_images", e->counts[c]));
	EK_TRY(ek_json_add_double(row, "generated_share", share));
	EK_TRY(ek_json_add_array(&bounds, row, "ci95"));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.low));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.high));
	EK_TRY(target > 0 ? ek_json_add_double(row, "ratio", share / target)
	                  : ek_evaluation_none(row, reasons, "ratio", "it is not wanted: its target share is 0"));
	EK_TRY(add_coverage(row, reasons, e, t, c));
	EK_TRY(add_precision(row, reasons, e, c));
	EK_TRY(add_kernel(row, reasons, e, t, c));
	EK_TRY(add_memory(row, reasons, e, c));
	EK_TRY(add_asked(row, reasons, e, c));
	EK_TRY(ek_json_add_item(row, "reasons", cJSON_Duplicate(reasons, 1)));
out:
	cJSON_Delete(reasons);
	return rc;
}

/* --- all clusters --- */

int ek_evaluation_in_tail(const struct ek_evaluation *e, uint32_t cluster)
{
	uint64_t all = 0;

	for (uint32_t c = 0; c < e->in->clusters; c++)
		all += e->in->training_counts[c];
	return ek_in_tail(e->in->training_counts[cluster], all, e->in->clusters);
}

/* The small clusters together. */
struct tail {
	uint64_t clusters, generated, precise, asked, in_own;
	uint64_t reference, covered;
	double target, training;
};

static void count_tail(struct tail *tail, const struct ek_evaluation *e, const struct table *t, uint32_t c)
{
	const struct ek_evaluation_input *in = e->in;
	const int32_t cluster = (int32_t)c;

	tail->clusters++;
	tail->generated += e->counts[c];
	tail->reference += t->reference[c];
	tail->covered += t->cells[2 * (size_t)c + 1];
	tail->target += in->target[c];
	tail->training += t->training[c];
	for (uint64_t j = 0; j < in->generated.count; j++) {
		tail->precise +=
			e->fidelity.real > 0 && in->generated_cluster[j] == cluster && e->fidelity.balls[j] > 0;
		if (in->asked != NULL && in->asked[j] == cluster) {
			tail->asked++;
			tail->in_own += in->generated_cluster[j] == cluster;
		}
	}
}

static int add_tail_measures(cJSON *object, struct ek_evaluation *e, const struct tail *tail)
{
	const uint64_t m = e->in->generated.count;
	const int balls = e->fidelity.real > 0 && !(e->no_balls & EK_NO_REAL_BALLS);
	int rc;

	EK_TRY(ek_json_add_u64(object, "reference_images", tail->reference));
	EK_TRY(ek_json_add_double(object, "target_share", tail->target));
	EK_TRY(ek_json_add_double(object, "training_share", tail->training));
	EK_TRY(ek_measure_add(object, "generated_share", (double)tail->generated / (double)m,
	                      ek_wilson(tail->generated, m)));
	if (balls && tail->reference > 0)
		EK_TRY(ek_measure_add(object, "coverage", (double)tail->covered / (double)tail->reference,
		                      ek_wilson(tail->covered, tail->reference)));
	else
		EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "coverage", NAN,
		                             balls ? "no small cluster has a reference image" : "as coverage"));
	EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "precision",
	                             balls ? (double)tail->precise / (double)tail->generated : (double)NAN,
	                             balls ? "no small cluster has a generated image" : "as precision"));
	EK_TRY(ek_evaluation_grouped(object, e->reasons, "tail", "in_own", (double)tail->in_own / (double)tail->asked,
	                             e->in->asked == NULL ? "nothing was made for a cluster"
	                                                  : "none was made for a small cluster"));
out:
	return rc;
}

/* With many clusters the worst single one is mostly chance: the small ones together say more. */
static int add_tail(struct ek_evaluation *e, const struct table *t)
{
	struct tail tail = { 0 };
	cJSON *object, *list;
	int rc;

	EK_TRY(ek_json_add_object(&object, e->json, "tail"));
	EK_TRY(ek_json_add_array(&list, object, "clusters"));
	for (uint32_t c = 0; c < e->in->clusters; c++) {
		if (!ek_evaluation_in_tail(e, c))
			continue;
		EK_TRY(ek_json_add_u64(list, NULL, c));
		count_tail(&tail, e, t, c);
	}
	if (tail.clusters > 0)
		EK_TRY(add_tail_measures(object, e, &tail));
out:
	return rc;
}

/* The mean of shares of clusters, each of its own images: the distances of the ends of Wilson's intervals, squared and
 * added (Zou and Donner 2008, "Construction of confidence limits about effect measures"). */
static struct ek_interval macro_interval(double macro, const uint64_t *cells, size_t clusters)
{
	double below = 0, above = 0, count = 0;

	for (size_t c = 0; c < clusters; c++) {
		const uint64_t covered = cells[2 * c + 1], all = cells[2 * c] + covered;
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
static struct ek_interval worst_interval(const uint64_t *cells, size_t clusters)
{
	const double alpha = 0.05 / 2;
	struct ek_interval out = { 1, 1 };
	double count = 0;

	for (size_t c = 0; c < clusters; c++)
		count += cells[2 * c] + cells[2 * c + 1] > 0;
	for (size_t c = 0; c < clusters; c++) {
		const uint64_t covered = cells[2 * c + 1], all = cells[2 * c] + covered;

		if (all == 0)
			continue;
		out.low = fmin(out.low, ek_share_above(covered, all, alpha));
		out.high = fmin(out.high, ek_share_below(covered, all, alpha / count));
	}
	return out;
}

static int add_coverages(struct ek_evaluation *e, const struct table *t)
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
	                      macro_interval(t->coverage_of.macro, t->cells, clusters)));
	EK_TRY(ek_measure_add(e->json, "coverage_worst", t->coverage_of.lowest, worst_interval(t->cells, clusters)));
out:
	return rc;
}

/* Fewer than are wanted, by more than chance; else the least covered. */
static int add_worst(struct ek_evaluation *e, const struct table *t)
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

static int add_fairness(struct ek_evaluation *e, const struct table *t)
{
	const struct ek_bootstrap bootstrap = { .resamples = e->o->resamples,
		                                .seed = e->o->seed,
		                                .name = "generated clusters" };
	struct ek_estimate estimates[EK_FAIRNESS_MEASURES];
	cJSON *object;
	int rc;

	EK_TRY(ek_fairness_estimate(estimates, e->in->target, t->training, e->counts, e->in->clusters, &bootstrap));
	for (int m = EK_MASS_COVERAGE; m <= EK_HIT_COVERAGE; m++)
		EK_TRY(ek_estimate_add(e->json, ek_fairness_names[m], &estimates[m]));
	EK_TRY(add_coverages(e, t));
	EK_TRY(add_worst(e, t));
	EK_TRY(ek_json_add_object(&object, e->json, "fairness"));
	for (int m = EK_HIT_COVERAGE + 1; m < EK_FAIRNESS_MEASURES; m++)
		EK_TRY(isfinite(estimates[m].value) ? ek_estimate_add(object, ek_fairness_names[m], &estimates[m])
		                                    : ek_evaluation_none(object, e->reasons, ek_fairness_names[m], "%s",
		                                                         why_no_fairness(m)));
	EK_TRY(isfinite(t->coverage_of.gap)
	               ? ek_json_add_double(object, "representation_disparity", t->coverage_of.gap)
	               : ek_evaluation_none(object, e->reasons, "representation_disparity", "as coverage"));
out:
	return rc;
}

int ek_evaluate_clusters(struct ek_evaluation *e)
{
	struct table t;
	cJSON *list;
	int rc;

	EK_TRY(open_table(&t, e));
	EK_TRY(ek_json_add_array(&list, e->json, "per_cluster"));
	ek_progress_whole_begin("measuring clusters", "clusters", e->in->clusters);
	for (uint32_t c = 0; c < e->in->clusters && rc == 0; c++) {
		rc = add_row(list, e, &t, (int32_t)c);
		ek_progress_whole_add(1);
	}
	ek_progress_whole_end();
	EK_TRY(rc);
	EK_TRY(add_fairness(e, &t));
	EK_TRY(add_tail(e, &t));
out:
	close_table(&t);
	return rc;
}
