#include "analysis/quality/evaluation_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/diversity.h"
#include "analysis/quality/kernel.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { INFINITY_SIZES = 15, INFINITY_LEAST = 4, SPLITS = 10 };

int ek_evaluation_number(cJSON *parent, const char *name, double value)
{
	return isfinite(value) ? ek_json_add_double(parent, name, value) : ek_json_add_null(parent, name);
}

int ek_evaluation_none(cJSON *parent, cJSON *reasons, const char *name, const char *format, ...)
{
	char text[512];
	va_list args;
	int rc;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	EK_TRY(ek_json_add_null(parent, name));
	EK_TRY(ek_json_add_string(reasons, name, text));
out:
	return rc;
}

int ek_evaluation_grouped(cJSON *parent, cJSON *reasons, const char *group, const char *name, double value,
                          const char *why)
{
	char whole[80];
	int rc;

	EK_TRY(ek_evaluation_number(parent, name, value));
	(void)snprintf(whole, sizeof whole, "%s_%s", group, name);
	if (!isfinite(value))
		EK_TRY(ek_json_add_string(reasons, whole, why));
out:
	return rc;
}

static uint64_t id_of(const struct ek_rows *rows, uint64_t i)
{
	return rows->ids != NULL ? rows->ids[i] : i;
}

int ek_evaluation_slice(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, uint64_t first, uint64_t count)
{
	int rc;

	EK_TRY(ek_alloc(ids, count, sizeof **ids));
	for (uint64_t i = 0; i < count; i++)
		(*ids)[i] = id_of(rows, first + i);
	*out = *rows;
	out->ids = *ids;
	out->count = count;
out:
	return rc;
}

int ek_evaluation_members(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, const int32_t *cluster,
                          int32_t which)
{
	uint64_t count = 0;
	int rc;

	for (uint64_t i = 0; i < rows->count; i++)
		count += cluster[i] == which;
	EK_TRY(ek_alloc(ids, count, sizeof **ids));
	*out = *rows;
	out->ids = *ids;
	out->count = 0;
	for (uint64_t i = 0; i < rows->count; i++)
		if (cluster[i] == which)
			(*ids)[out->count++] = id_of(rows, i);
out:
	return rc;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double ek_evaluation_median(double *values, uint64_t count)
{
	if (count == 0)
		return (double)NAN;
	qsort(values, count, sizeof *values, by_value);
	/* Two infinities have no mean of their own. */
	return values[(count - 1) / 2] == values[count / 2] ? values[count / 2]
	                                                    : (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static int mean_of(double *values, const uint64_t *counts, size_t k, const void *context)
{
	const double *scores = context;
	double sum = 0, count = 0;

	for (size_t i = 0; i < k; i++) {
		sum += scores[i] * (double)counts[i];
		count += (double)counts[i];
	}
	values[0] = sum / count;
	return 0;
}

int ek_evaluation_mean_interval(struct ek_interval *out, const double *scores, const uint64_t *counts, size_t cells,
                                double most, const struct ek_evaluation *e, const char *name)
{
	const struct ek_interval range = { 0, most };
	const struct ek_statistics statistics = { .measure = mean_of, .context = scores, .count = 1, .ranges = &range };
	const struct ek_bootstrap bootstrap = { .resamples = e->o->resamples, .seed = e->o->seed, .name = name };

	return ek_bootstrap_intervals(out, &statistics, counts, cells, &bootstrap);
}

/* --- distributions --- */

/* What every measure against the rows of the reference needs; 1: told why it is missing. */
static int lacks_rows(struct ek_evaluation *e, const char *name, uint64_t least)
{
	const struct ek_evaluation_input *in = e->in;
	int rc;

	if (in->reference.count == 0)
		EK_TRY(ek_evaluation_none(e->json, e->reasons, name, "%s", in->no_reference));
	else if (in->reference.count < least || in->generated.count < least)
		EK_TRY(ek_evaluation_none(e->json, e->reasons, name,
		                          "%" PRIu64 " generated images and %" PRIu64
		                          " of the reference, at least %" PRIu64 " of each are needed",
		                          in->generated.count, in->reference.count, least));
	else
		return 0;
	rc = 1;
out:
	return rc;
}

static int to_statistics(struct ek_evaluation *e)
{
	struct ek_gaussian generated = { 0 };
	double distance;
	int rc;

	if (e->in->generated.count < 2)
		return ek_evaluation_none(e->json, e->reasons, "frechet_distance",
		                          "one generated image has no covariance");
	EK_TRY(ek_gaussian_of(&generated, &e->in->generated));
	EK_TRY(ek_frechet(&distance, e->in->statistics, &generated));
	EK_TRY(ek_evaluation_number(e->json, "frechet_distance", distance));
out:
	ek_gaussian_release(&generated);
	return rc;
}

static int evaluate_frechet(struct ek_evaluation *e)
{
	const struct ek_evaluation_input *in = e->in;
	struct ek_frechet_infinity infinity;
	double distance;
	int rc;

	if (in->statistics != NULL) {
		EK_TRY(to_statistics(e));
		EK_TRY(ek_evaluation_none(e->json, e->reasons, "frechet_infinity",
		                          "the reference is stored statistics"));
		goto out;
	}
	EK_TRY(lacks_rows(e, "frechet_distance", 2));
	if (rc == 0) {
		EK_TRY(ek_frechet_of_rows(&distance, &in->reference, &in->generated));
		EK_TRY(ek_evaluation_number(e->json, "frechet_distance", distance));
	}
	EK_TRY(lacks_rows(e, "frechet_infinity", INFINITY_LEAST));
	if (rc == 0) {
		EK_TRY(ek_frechet_infinity(&infinity, &in->reference, &in->generated, INFINITY_SIZES, e->o->seed));
		EK_TRY(ek_evaluation_number(e->json, "frechet_infinity", infinity.value));
	}
	rc = 0;
out:
	return rc;
}

static int add_kid(cJSON *parent, const struct ek_kid *kid)
{
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, "kid"));
	EK_TRY(ek_evaluation_number(object, "mean", kid->mean));
	EK_TRY(ek_evaluation_number(object, "std", kid->std));
	EK_TRY(ek_json_add_u64(object, "subsets", kid->subsets));
	EK_TRY(ek_json_add_u64(object, "subset_size", kid->subset_size));
out:
	return rc;
}

static int evaluate_kernel(struct ek_evaluation *e)
{
	const struct ek_kid_options options = { .subsets = e->o->subsets,
		                                .subset_size = e->o->subset_size,
		                                .seed = e->o->seed };
	struct ek_kid kid;
	int rc;

	EK_TRY(lacks_rows(e, "kid", 2));
	if (rc == 0) {
		EK_TRY(ek_kid(&kid, &e->in->reference, &e->in->generated, &options));
		EK_TRY(add_kid(e->json, &kid));
	}
	rc = 0;
out:
	return rc;
}

static int evaluate_inception(struct ek_evaluation *e)
{
	struct ek_inception_score score;
	cJSON *object;
	int rc;

	if (e->in->logits.count == 0)
		return ek_evaluation_none(e->json, e->reasons, "inception_score", "%s", e->in->no_logits);
	if (e->in->logits.count < SPLITS)
		return ek_evaluation_none(e->json, e->reasons, "inception_score",
		                          "%" PRIu64 " generated images, %d parts of at least one are needed",
		                          e->in->logits.count, SPLITS);
	EK_TRY(ek_inception_score(&score, &e->in->logits, SPLITS, e->o->seed));
	EK_TRY(ek_json_add_object(&object, e->json, "inception_score"));
	EK_TRY(ek_evaluation_number(object, "mean", score.mean));
	EK_TRY(ek_evaluation_number(object, "std", score.std));
	EK_TRY(ek_json_add_u64(object, "splits", score.splits));
out:
	return rc;
}

static int evaluate_vendi(struct ek_evaluation *e)
{
	cJSON *orders;
	char name[32];
	double score;
	int rc;

	EK_TRY(ek_vendi(&score, &e->in->generated, NULL, 1));
	EK_TRY(ek_evaluation_number(e->json, "vendi", score));
	EK_TRY(lacks_rows(e, "vendi_reference", 1));
	if (rc == 0) {
		EK_TRY(ek_vendi(&score, &e->in->reference, NULL, 1));
		EK_TRY(ek_evaluation_number(e->json, "vendi_reference", score));
	}
	rc = 0;
	if (e->o->order_count == 0)
		goto out;
	EK_TRY(ek_json_add_object(&orders, e->json, "vendi_orders"));
	for (size_t i = 0; i < e->o->order_count; i++) {
		EK_TRY(ek_vendi(&score, &e->in->generated, NULL, e->o->orders[i]));
		(void)snprintf(name, sizeof name, "%g", e->o->orders[i]);
		EK_TRY(ek_evaluation_number(orders, name, score));
	}
out:
	return rc;
}

int ek_evaluate_distribution(struct ek_evaluation *e)
{
	int rc;

	EK_TRY(evaluate_frechet(e));
	EK_TRY(evaluate_kernel(e));
	EK_TRY(evaluate_inception(e));
	EK_TRY(evaluate_vendi(e));
out:
	return rc;
}

/* --- all of it --- */

static int check_rows(const struct ek_rows *rows, const struct ek_evaluation_input *in, const char *what)
{
	char *why = NULL;
	double *mean = NULL;
	int rc;

	if (rows->count == 0)
		return 0;
	if (rows->dimensions != in->generated.dimensions)
		return ek_fail(EK_EDATA, "%s: embeddings of %zu dimensions, the generated images' have %zu", what,
		               rows->dimensions, in->generated.dimensions);
	EK_TRY(ek_alloc(&mean, rows->dimensions, sizeof *mean));
	rc = ek_rows_mean(mean, rows);
	if (rc == EK_EDATA && ek_copy_string(&why, ek_error_message()) == 0)
		rc = ek_fail(EK_EDATA, "%s: %s", what, why);
out:
	free(mean);
	free(why);
	return rc;
}

static int check(const struct ek_evaluation_input *in)
{
	int rc;

	if (in->generated.count == 0)
		return ek_fail(EK_EDATA, "there are no generated images");
	EK_TRY(check_rows(&in->generated, in, "the generated images"));
	EK_TRY(check_rows(&in->reference, in, "the reference"));
	EK_TRY(check_rows(&in->training, in, "the training images"));
	EK_TRY(check_rows(&in->held_out, in, "the held-out images"));
	if (in->statistics != NULL && in->statistics->d != in->generated.dimensions)
		rc = ek_fail(EK_EDATA, "the statistics have %zu dimensions, the generated images' embeddings %zu",
		             in->statistics->d, in->generated.dimensions);
out:
	return rc;
}

static int set_up(struct ek_evaluation *e)
{
	int rc;

	if ((e->reasons = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for an evaluation");
	EK_TRY(ek_alloc(&e->counts, e->in->clusters, sizeof *e->counts));
	for (uint64_t i = 0; i < e->in->generated.count; i++)
		e->counts[e->in->generated_cluster[i]]++;
	EK_TRY(ek_json_add_u64(e->json, "k", e->o->k));
	EK_TRY(ek_json_add_bool(e->json, "closed", e->o->closed));
out:
	return rc;
}

int ek_evaluate(cJSON *json, const struct ek_evaluation_input *input, const struct ek_evaluation_options *options)
{
	struct ek_evaluation e = { .in = input, .o = options, .json = json };
	cJSON *reasons;
	int rc;

	EK_TRY(check(input));
	EK_TRY(set_up(&e));
	EK_TRY(ek_evaluate_distribution(&e));
	EK_TRY(ek_evaluate_fidelity(&e));
	EK_TRY(ek_evaluate_memory(&e));
	EK_TRY(ek_evaluate_clusters(&e));
	EK_TRY(ek_evaluate_sets(&e));
	reasons = e.reasons;
	e.reasons = NULL;
	EK_TRY(ek_json_add_item(json, "reasons", reasons));
out:
	cJSON_Delete(e.reasons);
	ek_fidelity_release(&e.fidelity);
	ek_memorisation_release(&e.memory);
	free(e.counts);
	return rc;
}
