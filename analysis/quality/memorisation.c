#include "analysis/quality/memorisation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/neighbours.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { NEAR = EK_MEMORISATION_NEAR };

void ek_closeness_release(struct ek_closeness *c)
{
	free(c->index);
	free(c->distance);
	free(c->own);
	free(c->copied);
	*c = (struct ek_closeness){ 0 };
}

/* The training rows that are nearest to some row, ascending, as a view; place: [training] where each is in it. */
static int list_nearest(struct ek_rows *view, uint64_t **ids, uint64_t *place, const struct ek_rows *training,
                        const struct ek_closeness *c)
{
	uint64_t found = 0;
	int rc;

	EK_TRY(ek_alloc(ids, training->count, sizeof **ids));
	for (uint64_t i = 0; i < c->count; i++)
		place[c->index[i * c->k]] = 1;
	for (uint64_t i = 0; i < training->count; i++)
		if (place[i] != 0) {
			place[i] = found;
			(*ids)[found++] = training->ids != NULL ? training->ids[i] : i;
		}
	*view = *training;
	view->ids = *ids;
	view->count = found;
out:
	return rc;
}

/* A training row is its own nearest at 0, before or after its duplicates: the next distances are those of others. */
static int flag(struct ek_closeness *c, const struct ek_rows *training)
{
	const size_t k = training->count <= NEAR ? (size_t)training->count : NEAR + 1;
	uint64_t *place = NULL, *ids = NULL;
	double *others = NULL;
	struct ek_rows view;
	int rc;

	EK_TRY(ek_alloc(&place, training->count, sizeof *place));
	EK_TRY(list_nearest(&view, &ids, place, training, c));
	EK_TRY(ek_alloc(&others, view.count * k, sizeof *others));
	EK_TRY(ek_neighbours(NULL, others, &view, training, k, 0));
	for (uint64_t i = 0; i < c->count; i++) {
		const double *other = others + place[c->index[i * c->k]] * k, distance = c->distance[i * c->k];

		c->own[i] = other[1];
		c->copied[i] = distance == 0 || distance < other[k - 1] / 2;
	}
out:
	free(place);
	free(ids);
	free(others);
	return rc;
}

int ek_closeness_measure(struct ek_closeness *out, const struct ek_rows *rows, const struct ek_rows *training, size_t k)
{
	int rc;

	*out = (struct ek_closeness){ .count = rows->count, .k = k < training->count ? k : (size_t)training->count };
	if (training->count < 2)
		return ek_fail(EK_EDATA, "%llu training images: at least 2 are needed to tell what is near to them",
		               (unsigned long long)training->count);
	EK_TRY(ek_alloc(&out->index, out->count, out->k * sizeof *out->index));
	EK_TRY(ek_alloc(&out->distance, out->count, out->k * sizeof *out->distance));
	EK_TRY(ek_alloc(&out->own, out->count, sizeof *out->own));
	EK_TRY(ek_alloc(&out->copied, out->count, sizeof *out->copied));
	EK_TRY(ek_neighbours(out->index, out->distance, rows, training, out->k, 0));
	EK_TRY(flag(out, training));
out:
	return rc;
}

static int summarise(double *mean, double *median, const double *values, uint64_t n)
{
	double *sorted = NULL, sum = 0;
	int rc;

	EK_TRY(ek_alloc(&sorted, n, sizeof *sorted));
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, ek_compare_doubles);
	for (uint64_t i = 0; i < n; i++)
		sum += values[i];
	*mean = sum / (double)n;
	*median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
out:
	free(sorted);
	return rc;
}

static int judge_held_out(struct ek_memorisation *out, const struct ek_rows *held_out, const struct ek_rows *training)
{
	struct ek_closeness c;
	uint64_t copied = 0;
	int rc;

	EK_TRY(ek_closeness_measure(&c, held_out, training, 1));
	EK_TRY(summarise(&out->held_out_mean, &out->held_out_median, c.distance, held_out->count));
	for (uint64_t i = 0; i < held_out->count; i++)
		copied += c.copied[i];
	out->held_out_copied = (double)copied / (double)held_out->count;
	out->ratio = out->median / out->held_out_median;
out:
	ek_closeness_release(&c);
	return rc;
}

static int take(struct ek_memorisation *out, const struct ek_closeness *c)
{
	uint64_t authentic = 0, copied = 0;
	int rc;

	EK_TRY(ek_alloc(&out->nearest, c->count, sizeof *out->nearest));
	EK_TRY(ek_alloc(&out->distance, c->count, sizeof *out->distance));
	EK_TRY(ek_alloc(&out->own, c->count, sizeof *out->own));
	EK_TRY(ek_alloc(&out->copied, c->count, sizeof *out->copied));
	for (uint64_t i = 0; i < c->count; i++) {
		out->nearest[i] = c->index[i * c->k];
		out->distance[i] = c->distance[i * c->k];
		out->own[i] = c->own[i];
		out->copied[i] = c->copied[i];
		authentic += out->own[i] < out->distance[i];
		copied += out->copied[i];
	}
	out->authentic = (double)authentic / (double)c->count;
	out->copied_share = (double)copied / (double)c->count;
	EK_TRY(summarise(&out->mean, &out->median, out->distance, c->count));
out:
	return rc;
}

int ek_memorisation_of(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                       const struct ek_closeness *closeness, const struct ek_rows *held_out, uint64_t seed)
{
	const double none = (double)NAN;
	int rc;

	*out = (struct ek_memorisation){ .generated = generated->count,
		                         .held_out = held_out != NULL ? held_out->count : 0,
		                         .held_out_mean = none,
		                         .held_out_median = none,
		                         .held_out_copied = none,
		                         .ratio = none,
		                         .c_t = none };
	EK_TRY(take(out, closeness));
	if (held_out != NULL) {
		EK_TRY(judge_held_out(out, held_out, training));
		EK_TRY(ek_c_t(&out->c_t, training, generated, held_out, seed));
	}
out:
	return rc;
}

int ek_memorisation(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                    const struct ek_rows *held_out, uint64_t seed)
{
	struct ek_closeness c;
	int rc;

	*out = (struct ek_memorisation){ 0 };
	EK_TRY(ek_closeness_measure(&c, generated, training, 1));
	EK_TRY(ek_memorisation_of(out, training, generated, &c, held_out, seed));
out:
	ek_closeness_release(&c);
	return rc;
}

void ek_memorisation_release(struct ek_memorisation *m)
{
	free(m->nearest);
	free(m->distance);
	free(m->own);
	free(m->copied);
	*m = (struct ek_memorisation){ 0 };
}
