/* Of evaluation: what neighbours tell, of images and of copies. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/evaluation_writers.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* Are all rows the same one? */
static int are_alike(int *alike, const struct ek_rows *rows)
{
	const size_t size = rows->dimensions * sizeof(float);
	float *first = NULL, *room = NULL;
	int rc;

	*alike = 1;
	EK_TRY(ek_alloc_aligned(&first, rows->dimensions, sizeof *first));
	EK_TRY(ek_alloc_aligned(&room, rows->dimensions, sizeof *room));
	ek_rows_read(first, rows, 0);
	for (uint64_t i = 1; i < rows->count && *alike; i++)
		*alike = memcmp(first, ek_rows_at(rows, i, room), size) == 0;
out:
	free(first);
	free(room);
	return rc;
}

/* A share of rows, with Wilson's interval. */
static int add_share(struct ek_evaluating *e, const char *name, uint64_t yes, uint64_t all)
{
	return ek_measure_add(e->json, name, (double)yes / (double)all, ek_wilson(yes, all));
}

/* The density of the data, and of resamples of the generated rows: cells are numbers of balls. */
static int add_density(struct ek_evaluating *e)
{
	const struct ek_fidelity *f = &e->fidelity;
	struct ek_interval interval;
	uint64_t *counts = NULL;
	double *scores = NULL;
	size_t most = 0;
	int rc;

	for (uint64_t j = 0; j < f->generated; j++)
		most = f->balls[j] > most ? f->balls[j] : most;
	EK_TRY(ek_alloc(&counts, most + 1, sizeof *counts));
	EK_TRY(ek_alloc(&scores, most + 1, sizeof *scores));
	for (size_t b = 0; b <= most; b++)
		scores[b] = (double)b / (double)f->k;
	for (uint64_t j = 0; j < f->generated; j++)
		counts[f->balls[j]]++;
	EK_TRY(ek_evaluation_mean_interval(&interval, scores, counts, most + 1, INFINITY, e, "density"));
	EK_TRY(ek_measure_add(e->json, "density", f->density, interval));
out:
	free(counts);
	free(scores);
	return rc;
}

static int add_realism(struct ek_evaluating *e)
{
	const struct ek_fidelity *f = &e->fidelity;
	double *values = NULL, median;
	int rc;

	EK_TRY(ek_alloc(&values, f->generated, sizeof *values));
	memcpy(values, f->realism, f->generated * sizeof *values);
	median = ek_evaluation_median(values, f->generated);
	EK_TRY(isfinite(median)
	               ? ek_json_add_double(e->json, "realism", median)
	               : ek_evaluation_none(e->json, e->reasons, "realism", "%s",
	                                    isnan(median) ? "all balls of the reference are of one size"
	                                                  : "half of the generated images equal one of the reference"));
out:
	free(values);
	return rc;
}

/* What the balls of the real rows tell. */
static int add_of_real_balls(struct ek_evaluating *e)
{
	static const char *const names[] = { "precision", "density", "coverage", "realism" };
	static const char why[] = "the images of the reference are all the same one: their balls have no size";
	const struct ek_fidelity *f = &e->fidelity;
	uint64_t precise = 0, covered = 0;
	int rc = 0;

	if (e->no_balls & EK_NO_REAL_BALLS) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			EK_TRY(ek_evaluation_none(e->json, e->reasons, names[i], "%s", why));
		goto out;
	}
	for (uint64_t j = 0; j < f->generated; j++)
		precise += f->balls[j] > 0;
	for (uint64_t i = 0; i < f->real; i++)
		covered += f->covered[i];
	EK_TRY(add_share(e, "precision", precise, f->generated));
	EK_TRY(add_density(e));
	EK_TRY(add_share(e, "coverage", covered, f->real));
	EK_TRY(add_realism(e));
out:
	return rc;
}

static int add_recall(struct ek_evaluating *e)
{
	uint64_t recalled = 0;

	if (e->no_balls & EK_NO_GENERATED_BALLS)
		return ek_evaluation_none(e->json, e->reasons, "recall",
		                          "the generated images are all the same one: their balls have no size");
	for (uint64_t i = 0; i < e->fidelity.real; i++)
		recalled += e->fidelity.recalled[i];
	return add_share(e, "recall", recalled, e->fidelity.real);
}

int ek_evaluation_measure_fidelity(struct ek_evaluating *e)
{
	const struct ek_evaluation_input *in = e->in;
	int alike, rc;

	if (in->reference.count <= e->o->k || in->generated.count <= e->o->k)
		return 0;
	EK_TRY(ek_fidelity(&e->fidelity, &in->reference, &in->generated, e->o->k, e->o->closed));
	EK_TRY(are_alike(&alike, &in->reference));
	e->no_balls |= alike ? EK_NO_REAL_BALLS : 0;
	EK_TRY(are_alike(&alike, &in->generated));
	e->no_balls |= alike ? EK_NO_GENERATED_BALLS : 0;
out:
	return rc;
}

int ek_evaluation_write_fidelity(struct ek_evaluating *e)
{
	static const char *const names[] = { "precision",         "recall", "density", "coverage",
		                             "coverage_expected", "realism" };
	const struct ek_evaluation_input *in = e->in;
	int rc = 0;

	if (e->fidelity.real == 0) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			EK_TRY(in->reference.count == 0
			               ? ek_evaluation_none(e->json, e->reasons, names[i], "%s", in->no_reference)
			               : ek_evaluation_none(e->json, e->reasons, names[i],
			                                    "%" PRIu64 " generated images and %" PRIu64
			                                    " of the reference, more than k = %zu of each are needed",
			                                    in->generated.count, in->reference.count, e->o->k));
		goto out;
	}
	EK_TRY(add_of_real_balls(e));
	EK_TRY(add_recall(e));
	EK_TRY(ek_evaluation_number(e->json, "coverage_expected", e->fidelity.coverage_expected));
out:
	return rc;
}

/* --- memorisation --- */

static int add_pair(cJSON *parent, const char *name, double mean, double median)
{
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, name));
	EK_TRY(ek_evaluation_number(object, "mean", mean));
	EK_TRY(ek_evaluation_number(object, "median", median));
out:
	return rc;
}

struct copy {
	double distance;
	uint64_t index;
};

static int by_distance(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return x->distance != y->distance ? (x->distance > y->distance) - (x->distance < y->distance)
	                                  : (x->index > y->index) - (x->index < y->index);
}

static int add_copy(cJSON *list, const struct ek_evaluating *e, uint64_t index)
{
	const struct ek_evaluation_input *in = e->in;
	const struct ek_memorisation *m = &e->memory;
	const struct ek_evaluation_set *set = in->sets;
	const uint64_t row = m->nearest[index];
	cJSON *object;
	int rc;

	while (index - set->first >= set->count)
		set++;
	EK_TRY(ek_json_add_object(&object, list, NULL));
	EK_TRY(set->name != NULL ? ek_json_add_string(object, "sample", set->name)
	                         : ek_json_add_null(object, "sample"));
	EK_TRY(ek_json_add_u64(object, "index", index - set->first));
	EK_TRY(ek_json_add_u64(object, "image", in->training.ids != NULL ? in->training.ids[row] : row));
	EK_TRY(ek_evaluation_number(object, "distance", m->distance[index]));
	EK_TRY(ek_evaluation_number(object, "own", m->own[index]));
out:
	return rc;
}

static int add_copies(cJSON *parent, const struct ek_evaluating *e)
{
	const struct ek_memorisation *m = &e->memory;
	struct copy *copies = NULL;
	uint64_t count = 0;
	cJSON *list;
	int rc;

	EK_TRY(ek_alloc(&copies, m->generated, sizeof *copies));
	for (uint64_t i = 0; i < m->generated; i++)
		if (m->copied[i])
			copies[count++] = (struct copy){ m->distance[i], i };
	qsort(copies, count, sizeof *copies, by_distance);
	EK_TRY(ek_measure_add(parent, "copies_share", (double)count / (double)m->generated,
	                      ek_wilson(count, m->generated)));
	EK_TRY(ek_json_add_array(&list, parent, "copies"));
	for (uint64_t i = 0; i < count && i < EK_EVALUATION_COPIES_MOST; i++)
		EK_TRY(add_copy(list, e, copies[i].index));
out:
	free(copies);
	return rc;
}

/* How many held-out images the same rule would call copies: real data has near-duplicates. */
static int add_held_out_copies(cJSON *parent, const struct ek_memorisation *m)
{
	const double copies = round(m->held_out_copied * (double)m->held_out);

	return ek_measure_add(parent, "held_out_copies_share", m->held_out_copied,
	                      ek_wilson((uint64_t)copies, m->held_out));
}

/* The cluster that most of the copies are in. */
static int add_worst(cJSON *parent, struct ek_evaluating *e)
{
	const struct ek_evaluation_tally *t = e->tally;
	uint32_t worst = 0;
	cJSON *object;
	int rc;

	for (uint32_t c = 1; c < e->in->clusters; c++)
		worst = t[c].copies > t[worst].copies ? c : worst;
	if (t[worst].copies == 0)
		return ek_evaluation_grouped(parent, e->reasons, "memorisation", "worst_cluster", NAN,
		                             "no image is flagged as a copy");
	EK_TRY(ek_json_add_object(&object, parent, "worst_cluster"));
	EK_TRY(ek_json_add_u64(object, "cluster", worst));
	EK_TRY(ek_json_add_u64(object, "copies", t[worst].copies));
	EK_TRY(ek_evaluation_number(object, "share", (double)t[worst].copies / (double)t[worst].generated));
out:
	return rc;
}

static int add_against_held_out(cJSON *parent, struct ek_evaluating *e)
{
	static const char why[] = "no real images were kept out of the training (the audit held none out)";
	const struct ek_memorisation *m = &e->memory;
	int rc;

	if (e->in->held_out.count == 0) {
		EK_TRY(ek_evaluation_none(parent, e->reasons, "held_out", "%s", why));
		EK_TRY(ek_evaluation_none(parent, e->reasons, "ratio", "%s", why));
		EK_TRY(ek_evaluation_none(parent, e->reasons, "c_t", "%s", why));
		EK_TRY(ek_evaluation_none(parent, e->reasons, "held_out_copies_share", "%s", why));
		goto out;
	}
	EK_TRY(add_pair(parent, "held_out", m->held_out_mean, m->held_out_median));
	EK_TRY(isfinite(m->ratio) ? ek_json_add_double(parent, "ratio", m->ratio)
	                          : ek_evaluation_none(parent, e->reasons, "ratio",
	                                               "half of the held-out images equal a training image"));
	EK_TRY(isfinite(m->c_t)
	               ? ek_json_add_double(parent, "c_t", m->c_t)
	               : ek_evaluation_none(parent, e->reasons, "c_t", "no cell has more than 20 generated images"));
	EK_TRY(add_held_out_copies(parent, m));
out:
	return rc;
}

int ek_evaluation_measure_memory(struct ek_evaluating *e)
{
	const struct ek_evaluation_input *in = e->in;
	const struct ek_rows *held_out = in->held_out.count > 0 ? &in->held_out : NULL;

	if (in->training.count < 2)
		return 0;
	return in->closeness != NULL ? ek_memorisation_of(&e->memory, &in->training, &in->generated, in->closeness,
	                                                  held_out, e->o->seed)
	                             : ek_memorisation(&e->memory, &in->training, &in->generated, held_out, e->o->seed);
}

int ek_evaluation_write_memory(struct ek_evaluating *e)
{
	const struct ek_evaluation_input *in = e->in;
	cJSON *object;
	int rc;

	if (in->training.count < 2)
		return ek_evaluation_none(e->json, e->reasons, "memorisation", "%s",
		                          in->training.count == 0 ? in->no_training : "there is one training image");
	EK_TRY(ek_json_add_object(&object, e->json, "memorisation"));
	EK_TRY(ek_json_add_u64(object, "training_images", in->training.count));
	EK_TRY(add_pair(object, "nearest_train", e->memory.mean, e->memory.median));
	EK_TRY(add_against_held_out(object, e));
	EK_TRY(ek_evaluation_number(object, "authentic_percent", 100 * e->memory.authentic));
	EK_TRY(add_copies(object, e));
	EK_TRY(add_worst(object, e));
out:
	return rc;
}
