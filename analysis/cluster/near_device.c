/*
 * Halves of a segment against each other by rows on a device (rows_device.h).
 *
 * Rows of a squared norm within 1 ± e have squared distances D^2 with |D^2 / 2 - (1 - cosine)| <= 2 e + e^2: for their
 * norms a and b, D^2 = (a - b)^2 + 2 a b (1 - cosine), and (a - b)^2 <= e^2. So all pairs that count at an eps, and all
 * partners that may be the best, are among those within a distance of a little more. D^2 is in float64, so that it says
 * a cosine but for its last digits, and few must be measured.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "analysis/cluster/near_internal.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/rows_device.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* Of squared distances: more than twice what two of them may be off, e = EK_NEAR_UNIT. */
static const double doubt2 = 1e-5;

enum { LEAST_ROWS = 4096, PIECE = 256 };

int ek_near_is_worth_device(const struct ek_near_search *s, uint64_t start, uint64_t end)
{
	return end - start > LEAST_ROWS && ek_rows_worth_device((end - start) / 2, (end - start) / 2, s->d);
}

struct norms {
	struct ek_near_search *s;
	uint64_t start, end;
	atomic_int others; /* rows that are not of unit length */
};

static int measure_piece(void *context, uint64_t piece, int worker)
{
	struct norms *n = context;
	struct ek_near_search *s = n->s;
	const uint64_t first = n->start + piece * PIECE, end = first + PIECE < n->end ? first + PIECE : n->end;

	for (uint64_t i = first; i < end; i++) {
		const float *row = ek_rows_at(s->rows, s->order[i], s->workers[worker].rows);

		s->units2[i] = ek_vector_dot(row, row, s->d);
		if (!ek_near_is_unit(s->units2[i]))
			atomic_fetch_add(&n->others, 1);
	}
	return 0;
}

int ek_near_measure(int *units, struct ek_near_search *s, uint64_t start, uint64_t end)
{
	struct norms n = { .s = s, .start = start, .end = end };
	int rc;

	if (s->units2 == NULL)
		EK_TRY(ek_alloc(&s->units2, s->out->n, sizeof *s->units2));
	EK_TRY(ek_pieces((end - start + PIECE - 1) / PIECE, measure_piece, &n, (double)(end - start) * (double)s->d));
	*units = atomic_load(&n.others) == 0;
out:
	return rc;
}

struct across {
	struct ek_near_search *s;
	uint64_t start, middle; /* places of the earlier rows, and of the later ones, in the order */
	uint64_t *ids;          /* [rows] of both, in this order */
	double *reach;          /* [later rows] squared: of the nearest, then of all that are looked for */
};

static int take_nearest(void *context, uint64_t row, const uint32_t *index, const double *distance2, size_t count,
                        int worker)
{
	const struct across *a = context;

	(void)index;
	(void)worker;
	for (size_t i = 0; i < count; i++)
		a->reach[row] = fmin(a->reach[row], distance2[i]);
	return 0;
}

static int take_pairs(void *context, uint64_t row, const uint32_t *index, const double *distance2, size_t count,
                      int worker)
{
	const struct across *a = context;
	struct ek_near_search *s = a->s;
	const uint64_t place = a->middle + row;
	const uint32_t j = s->order[place];
	float *room = s->workers[worker].rows;
	uint32_t gone = 0;

	for (size_t c = 0; c < count; c++) {
		const uint64_t earlier = a->start + index[c];
		const double norms2 = s->units2[place] * s->units2[earlier];
		double value = (s->units2[place] + s->units2[earlier] - distance2[c]) / (2 * sqrt(norms2));
		uint32_t mask;

		if (!ek_near_note(&mask, s, worker, place, earlier, value - s->rest, value + s->rest)) {
			value = ek_near_cosine(ek_rows_at(s->rows, j, room),
			                       ek_rows_at(s->rows, s->order[earlier], room + s->d), s->units2[place],
			                       s->units2[earlier], s->d);
			(void)ek_near_note(&mask, s, worker, place, earlier, value, value);
		}
		gone |= mask & s->out->kept[s->order[earlier]];
	}
	s->out->kept[j] &= ~gone; /* once: other threads have the rows beside it */
	return 0;
}

/* The nearest of each of the later rows, if asked for; then all within the largest eps, or as near by the doubt. */
static int search(struct across *a, struct ek_nn_rows *later, uint64_t later_count, struct ek_nn_rows *earlier,
                  uint64_t earlier_count)
{
	const double widest = 2 * (1 - a->s->least) + doubt2;
	double *none = NULL;
	int rc;

	EK_TRY(ek_alloc(&none, earlier_count, sizeof *none));
	EK_TRY(ek_alloc(&a->reach, later_count, sizeof *a->reach));
	for (uint64_t i = 0; i < later_count; i++)
		a->reach[i] = a->s->near_only ? 0 : (double)INFINITY;
	if (!a->s->near_only)
		EK_TRY(ek_nn_rows_neighbours(later, earlier, 1, 0, take_nearest, a));
	for (uint64_t i = 0; i < later_count; i++)
		a->reach[i] = fmax(a->reach[i] + doubt2, widest);
	EK_TRY(ek_nn_rows_within(later, earlier,
	                         &(struct ek_nn_rows_balls){ .reach = a->reach, .ball = none, .weight = none },
	                         take_pairs, a));
out:
	free(none);
	return rc;
}

/* A point near the mean of the rows. */
static int find_centre(float **centre, const struct ek_rows *rows)
{
	double *mean = NULL;
	int rc;

	EK_TRY(ek_alloc(centre, rows->dimensions, sizeof **centre));
	EK_TRY(ek_alloc(&mean, rows->dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, rows));
	for (size_t i = 0; i < rows->dimensions; i++)
		(*centre)[i] = (float)mean[i];
out:
	free(mean);
	return rc;
}

int ek_near_across(struct ek_near_search *s, uint64_t start, uint64_t middle, uint64_t end)
{
	struct across a = { .s = s, .start = start, .middle = middle };
	struct ek_rows all = *s->rows, earlier = *s->rows, later = *s->rows;
	struct ek_nn_rows *earlier_there = NULL, *later_there = NULL;
	float *centre = NULL;
	int rc;

	EK_TRY(ek_alloc(&a.ids, end - start, sizeof *a.ids));
	for (uint64_t i = start; i < end; i++)
		a.ids[i - start] = s->rows->ids != NULL ? s->rows->ids[s->order[i]] : s->order[i];
	all.ids = earlier.ids = a.ids;
	later.ids = a.ids + (middle - start);
	all.count = end - start;
	earlier.count = middle - start;
	later.count = end - middle;
	EK_TRY(find_centre(&centre, &all));
	EK_TRY(ek_rows_to_device(&earlier_there, &earlier, centre));
	EK_TRY(ek_rows_to_device(&later_there, &later, centre));
	EK_TRY(search(&a, later_there, later.count, earlier_there, earlier.count));
	ek_progress_add(end - middle);
out:
	ek_nn_rows_free(earlier_there);
	ek_nn_rows_free(later_there);
	free(centre);
	free(a.ids);
	free(a.reach);
	return rc;
}
