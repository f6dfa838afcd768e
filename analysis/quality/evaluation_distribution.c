/* Of evaluation: distances of distributions, the Inception score, Vendi's. */
#include <inttypes.h>
#include <stdio.h>

#include "analysis/quality/diversity.h"
#include "analysis/quality/evaluation_writers.h"
#include "analysis/quality/kernel.h"
#include "rebalance/base/error.h"

enum { INFINITY_SIZES = 15, INFINITY_LEAST = 4, SPLITS = 10 };

/* What every measure against the rows of the reference needs; 1: told why it is missing. */
static int lacks_rows(struct ek_evaluating *e, const char *name, uint64_t least)
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

static int to_statistics(struct ek_evaluating *e)
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

static int evaluate_frechet(struct ek_evaluating *e)
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

static int evaluate_kernel(struct ek_evaluating *e)
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

static int evaluate_inception(struct ek_evaluating *e)
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

static int evaluate_vendi(struct ek_evaluating *e)
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

int ek_evaluation_write_distribution(struct ek_evaluating *e)
{
	int rc;

	EK_TRY(evaluate_frechet(e));
	EK_TRY(evaluate_kernel(e));
	EK_TRY(evaluate_inception(e));
	EK_TRY(evaluate_vendi(e));
out:
	return rc;
}
