#include "analysis/quality/memorisation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/neighbours.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { NEAR = EK_MEMORISATION_NEAR };

/* Rows and what they are near to; arrays [count]. */
struct closeness {
	uint32_t *nearest;
	double *distance, *own;
	uint8_t *copied;
};

static int closeness_init(struct closeness *c, uint64_t count)
{
	int rc;

	EK_TRY(ek_alloc(&c->nearest, count, sizeof *c->nearest));
	EK_TRY(ek_alloc(&c->distance, count, sizeof *c->distance));
	EK_TRY(ek_alloc(&c->own, count, sizeof *c->own));
	EK_TRY(ek_alloc(&c->copied, count, sizeof *c->copied));
out:
	return rc;
}

static void closeness_release(struct closeness *c)
{
	free(c->nearest);
	free(c->distance);
	free(c->own);
	free(c->copied);
}

/* The training rows that are nearest to some row, ascending, as a view; place: [training] where each is in it. */
static int list_nearest(struct ek_rows *view, uint64_t **ids, uint64_t *place, const struct ek_rows *training,
                        const uint32_t *nearest, uint64_t count)
{
	uint64_t found = 0;
	int rc;

	EK_TRY(ek_alloc(ids, training->count, sizeof **ids));
	for (uint64_t i = 0; i < count; i++)
		place[nearest[i]] = 1;
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
static int measure(struct closeness *c, const struct ek_rows *rows, const struct ek_rows *training)
{
	const size_t k = training->count <= NEAR ? (size_t)training->count : NEAR + 1;
	uint64_t *place = NULL, *ids = NULL;
	double *others = NULL;
	struct ek_rows view;
	int rc;

	EK_TRY(ek_neighbours(c->nearest, c->distance, rows, training, 1, 0));
	EK_TRY(ek_alloc(&place, training->count, sizeof *place));
	EK_TRY(list_nearest(&view, &ids, place, training, c->nearest, rows->count));
	EK_TRY(ek_alloc(&others, view.count * k, sizeof *others));
	EK_TRY(ek_neighbours(NULL, others, &view, training, k, 0));
	for (uint64_t i = 0; i < rows->count; i++) {
		const double *other = others + place[c->nearest[i]] * k;

		c->own[i] = other[1];
		c->copied[i] = c->distance[i] == 0 || c->distance[i] < other[k - 1] / 2;
	}
out:
	free(place);
	free(ids);
	free(others);
	return rc;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int summarise(double *mean, double *median, const double *values, uint64_t n)
{
	double *sorted = NULL, sum = 0;
	int rc;

	EK_TRY(ek_alloc(&sorted, n, sizeof *sorted));
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, ascending);
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
	struct closeness c = { .nearest = NULL };
	uint64_t copied = 0;
	int rc;

	EK_TRY(closeness_init(&c, held_out->count));
	EK_TRY(measure(&c, held_out, training));
	EK_TRY(summarise(&out->held_out_mean, &out->held_out_median, c.distance, held_out->count));
	for (uint64_t i = 0; i < held_out->count; i++)
		copied += c.copied[i];
	out->held_out_copied = (double)copied / (double)held_out->count;
	out->ratio = out->median / out->held_out_median;
out:
	closeness_release(&c);
	return rc;
}

int ek_memorisation(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                    const struct ek_rows *held_out, uint64_t seed)
{
	const double none = (double)NAN;
	struct closeness c = { .nearest = NULL };
	uint64_t authentic = 0, copied = 0;
	int rc;

	*out = (struct ek_memorisation){ .generated = generated->count,
		                         .held_out = held_out != NULL ? held_out->count : 0,
		                         .held_out_mean = none,
		                         .held_out_median = none,
		                         .held_out_copied = none,
		                         .ratio = none,
		                         .c_t = none };
	if (training->count < 2)
		return ek_fail(EK_EDATA, "%llu training images: at least 2 are needed to tell what is near to them",
		               (unsigned long long)training->count);
	EK_TRY(closeness_init(&c, generated->count));
	EK_TRY(measure(&c, generated, training));
	EK_TRY(summarise(&out->mean, &out->median, c.distance, generated->count));
	for (uint64_t i = 0; i < generated->count; i++) {
		authentic += c.own[i] < c.distance[i];
		copied += c.copied[i];
	}
	out->authentic = (double)authentic / (double)generated->count;
	out->copied_share = (double)copied / (double)generated->count;
	if (held_out != NULL) {
		EK_TRY(judge_held_out(out, held_out, training));
		EK_TRY(ek_c_t(&out->c_t, training, generated, held_out, seed));
	}
out:
	out->nearest = c.nearest;
	out->distance = c.distance;
	out->own = c.own;
	out->copied = c.copied;
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
