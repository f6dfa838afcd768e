/* Scores by the embeddings alone: of a linear probe that learns, and the distance to the centroid of the class. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/probe_scores.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/score_classes.h"

static const struct {
	const char *method;
	enum ek_probe_score which;
} probes[] = { { "probe-el2n", EK_PROBE_EL2N },
	       { "probe-grand", EK_PROBE_GRAND },
	       { "probe-forgetting", EK_PROBE_FORGETTING },
	       { "probe-margin", EK_PROBE_MARGIN },
	       { "probe-aum", EK_PROBE_AUM } };

int ek_score_probe_prepare(struct ek_scoring *s)
{
	const struct ek_do_score_options *o = s->options;
	struct ek_score_classes *classes = NULL;
	int rc;

	EK_TRY(ek_alloc(&classes, 1, sizeof *classes));
	s->own = classes;
	EK_TRY(ek_score_classes_prepare(classes, s));
	if (s->method->takes & EK_SCORE_TAKES_PROBES) {
		EK_TRY(ek_json_add_u64(s->json, "epochs", (uint64_t)o->epochs));
		EK_TRY(ek_json_add_double(s->json, "rate", o->rate));
		EK_TRY(ek_json_add_u64(s->json, "seed", (uint64_t)o->seed));
	}
	if (s->method->takes & EK_SCORE_TAKES_SEEDS)
		EK_TRY(ek_json_add_u64(s->json, "seeds", (uint64_t)o->seeds));
	if (s->method->takes & EK_SCORE_TAKES_EARLY)
		EK_TRY(ek_json_add_u64(s->json, "early", (uint64_t)o->early));
out:
	return rc;
}

void ek_score_probe_release(struct ek_scoring *s)
{
	if (s->own != NULL)
		ek_score_classes_release(s->own);
	free(s->own);
}

/* values: [classes->rows.count] to the images they are of. */
static void spread(float *to, const float *values, const struct ek_score_classes *classes)
{
	for (uint64_t i = 0; i < classes->rows.count; i++)
		to[classes->ids[i]] = values[i];
}

static int announce(const struct ek_scoring *s, const struct ek_score_classes *c)
{
	char rows[32], classes[32], bytes[32];

	ek_info("a probe of %s classes by %s on %s images: %s of memory", ek_text_count(classes, c->count), c->by,
	        ek_text_count(rows, c->rows.count),
	        ek_text_bytes(bytes, c->rows.count * ((uint64_t)s->options->seeds + 3) * sizeof(float)));
	return 0;
}

int ek_score_probe_make(struct ek_scoring *s)
{
	const struct ek_do_score_options *o = s->options;
	const struct ek_probe_score_options options = { .seeds = (uint32_t)o->seeds,
		                                        .epochs = (uint32_t)o->epochs,
		                                        .early = (uint32_t)o->early,
		                                        .rate = o->rate,
		                                        .seed = (uint64_t)o->seed };
	struct ek_score_classes *classes = s->own;
	struct ek_softmax_data data = { 0 };
	float *score = NULL, *error = NULL;
	double accuracy;
	size_t which = 0;
	int rc;

	while (strcmp(probes[which].method, s->method->name) != 0)
		which++;
	EK_TRY(ek_score_classes_load(classes, s, 0));
	EK_TRY(ek_alloc(&score, classes->rows.count, sizeof *score));
	EK_TRY(ek_alloc(&error, classes->rows.count, sizeof *error));
	EK_TRY(announce(s, classes));
	EK_TRY(ek_softmax_data_of(&data, &classes->rows, classes->label, classes->count));
	EK_TRY(ek_probe_scores(score, error, &accuracy, probes[which].which, &data, &options));
	spread(s->score, score, classes);
	spread(s->error, error, classes);
	EK_TRY(ek_json_add_string(s->report, "by", classes->by));
	EK_TRY(ek_json_add_u64(s->report, "classes", classes->count));
	EK_TRY(ek_json_add_double(s->report, "accuracy", accuracy));
out:
	ek_softmax_data_release(&data);
	free(score);
	free(error);
	return rc;
}

/* mean: [classes, d] of the rows of each class. */
static int find_centroids(double *mean, const struct ek_score_classes *c, float *room)
{
	const size_t d = c->rows.dimensions;
	uint64_t *sizes = NULL;
	int rc;

	EK_TRY(ek_alloc(&sizes, c->count, sizeof *sizes));
	for (uint64_t i = 0; i < c->rows.count; i++) {
		const float *row = ek_rows_at(&c->rows, i, room);
		double *to = mean + c->label[i] * d;

		sizes[c->label[i]]++;
		for (size_t j = 0; j < d; j++)
			to[j] += (double)row[j];
		if (i % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	for (uint32_t k = 0; k < c->count; k++)
		for (size_t j = 0; sizes[k] > 0 && j < d; j++)
			mean[k * d + j] /= (double)sizes[k];
out:
	free(sizes);
	return rc;
}

int ek_score_distance_make(struct ek_scoring *s)
{
	struct ek_score_classes *c = s->own;
	const size_t d = c->rows.dimensions;
	double *mean = NULL;
	float *room = NULL;
	int rc;

	EK_TRY(ek_score_classes_load(c, s, 0));
	EK_TRY(ek_alloc(&mean, c->count * d, sizeof *mean));
	EK_TRY(ek_alloc(&room, d, sizeof *room));
	EK_TRY(find_centroids(mean, c, room));
	for (uint64_t i = 0; i < c->rows.count; i++) {
		const float *row = ek_rows_at(&c->rows, i, room);
		const double *from = mean + c->label[i] * d;
		double sum = 0;

		for (size_t j = 0; j < d; j++)
			sum += ((double)row[j] - from[j]) * ((double)row[j] - from[j]);
		s->score[c->ids[i]] = (float)sqrt(sum);
		if (i % 4096 == 0)
			EK_TRY(ek_check_interrupt());
	}
	EK_TRY(ek_json_add_string(s->report, "by", c->by));
	EK_TRY(ek_json_add_u64(s->report, "classes", c->count));
out:
	free(mean);
	free(room);
	return rc;
}
