#include "rebalance/plan/greedy.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"

enum { IMAGES_PER_PIECE = 1024, IMAGES_TIMED = 4096, SECONDS_TOLD = 60 };

struct best {
	double distance2;
	uint64_t at; /* UINT64_MAX: all are taken */
};

/* The choice within one unit; `largest` images at most. */
struct greedy {
	struct ek_rows rows; /* of the unit at hand */
	size_t d;
	double *nearest2;     /* [largest] to all that were taken */
	uint8_t *taken;       /* [largest] */
	struct best *bests;   /* [pieces] */
	float *room;          /* [threads, d] */
	double *sum;          /* [d] of those taken */
	const double *mean;   /* [d] of the unit */
	float *target, *last; /* [d] */
	int furthest;         /* 1: from what was taken; 0: nearest to the target */
};

static int find_piece(void *context, uint64_t piece, int worker)
{
	const struct greedy *g = context;
	const uint64_t first = piece * IMAGES_PER_PIECE;
	const uint64_t end = first + IMAGES_PER_PIECE < g->rows.count ? first + IMAGES_PER_PIECE : g->rows.count;
	struct best best = { .at = UINT64_MAX };

	for (uint64_t i = first; i < end; i++) {
		double distance2;

		if (g->taken[i])
			continue;
		distance2 =
			ek_vector_distance2(ek_rows_at(&g->rows, i, g->room + (size_t)worker * g->d), g->target, g->d);
		if (g->furthest)
			distance2 = g->nearest2[i] = fmin(g->nearest2[i], distance2);
		if (best.at == UINT64_MAX || (g->furthest ? distance2 > best.distance2 : distance2 < best.distance2))
			best = (struct best){ distance2, i };
	}
	g->bests[piece] = best;
	return 0;
}

/* The lowest of equals: pieces are in the order of ids. */
static int find(uint64_t *at, struct greedy *g)
{
	const uint64_t pieces = (g->rows.count + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE;
	struct best best = { .at = UINT64_MAX };
	int rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_pieces(pieces, find_piece, g, 2 * (double)g->rows.count * (double)g->d));
	for (uint64_t p = 0; p < pieces; p++) {
		const struct best *b = &g->bests[p];

		if (b->at != UINT64_MAX && (best.at == UINT64_MAX || (g->furthest ? b->distance2 > best.distance2
		                                                                  : b->distance2 < best.distance2)))
			best = *b;
	}
	*at = best.at;
out:
	return rc;
}

/* The first `quota` of the unit, and their places as keys. */
static int take(uint32_t *keys, struct greedy *g, uint64_t quota, int k_centre)
{
	uint64_t at;
	int rc = 0;

	memset(g->sum, 0, g->d * sizeof *g->sum);
	memset(g->taken, 0, g->rows.count);
	for (uint64_t i = 0; i < g->rows.count; i++)
		g->nearest2[i] = INFINITY;
	for (uint64_t i = 0; i < quota; i++) {
		g->furthest = k_centre && i > 0;
		for (size_t j = 0; j < g->d; j++)
			g->target[j] = g->furthest ? g->last[j] : (float)((double)(i + 1) * g->mean[j] - g->sum[j]);
		EK_TRY(find(&at, g));
		g->taken[at] = 1;
		keys[g->rows.ids[at]] = (uint32_t)i;
		ek_rows_read(g->last, &g->rows, at);
		ek_vector_add(g->sum, g->last, g->d);
		ek_progress_add(1);
	}
out:
	return rc;
}

static int init(struct greedy *g, const struct ek_rows *rows, uint64_t largest)
{
	int rc;

	g->rows = *rows;
	g->d = rows->dimensions;
	EK_TRY(ek_alloc(&g->nearest2, largest, sizeof *g->nearest2));
	EK_TRY(ek_alloc(&g->taken, largest, sizeof *g->taken));
	EK_TRY(ek_alloc(&g->bests, largest / IMAGES_PER_PIECE + 1, sizeof *g->bests));
	EK_TRY(ek_alloc(&g->room, (size_t)ek_threads() * g->d, sizeof *g->room));
	EK_TRY(ek_alloc(&g->sum, g->d, sizeof *g->sum));
	EK_TRY(ek_alloc(&g->target, g->d, sizeof *g->target));
	EK_TRY(ek_alloc(&g->last, g->d, sizeof *g->last));
out:
	return rc;
}

static void release(struct greedy *g)
{
	free(g->nearest2);
	free(g->taken);
	free(g->bests);
	free(g->room);
	free(g->sum);
	free(g->target);
	free(g->last);
}

/* All units: large ones one by one, each pass over one on all threads; small ones side by side. */
struct choosing {
	struct ek_rows rows; /* all images */
	uint32_t *keys;
	const uint64_t *quota, *start; /* [k], [k + 1] */
	uint64_t *ids;                 /* unit after unit, rising */
	double *means;                 /* [k, d] */
	struct greedy *small;          /* [threads] made when needed */
	uint64_t largest_small;
	uint32_t k;
	int k_centre;
};

static uint64_t size_of(const struct choosing *c, uint64_t unit)
{
	return c->start[unit + 1] - c->start[unit];
}

static double work_of_pass(const struct choosing *c, uint64_t unit)
{
	return 2 * (double)size_of(c, unit) * (double)c->rows.dimensions;
}

/* A pass is too short for threads: ek_pieces would use none. */
static int is_small(const struct choosing *c, uint64_t unit)
{
	return work_of_pass(c, unit) < EK_PIECES_WORK;
}

static int choose_unit(struct choosing *c, struct greedy *g, uint64_t unit)
{
	g->rows.ids = c->ids + c->start[unit];
	g->rows.count = size_of(c, unit);
	g->mean = c->means + unit * g->d;
	return take(c->keys, g, c->quota[unit], c->k_centre);
}

static int choose_small(void *context, uint64_t unit, int worker)
{
	struct choosing *c = context;
	struct greedy *g = &c->small[worker];
	int rc = 0;

	if (c->quota[unit] == 0 || !is_small(c, unit))
		return 0;
	if (g->d == 0)
		EK_TRY(init(g, &c->rows, c->largest_small));
	EK_TRY(choose_unit(c, g, unit));
out:
	return rc;
}

static int choose_large(struct choosing *c)
{
	struct greedy g = { .d = 0 };
	uint64_t largest = 0;
	int rc = 0;

	for (uint32_t u = 0; u < c->k; u++)
		if (!is_small(c, u) && size_of(c, u) > largest)
			largest = size_of(c, u);
	if (largest > 0)
		EK_TRY(init(&g, &c->rows, largest));
	for (uint32_t u = 0; u < c->k; u++)
		if (!is_small(c, u) && c->quota[u] > 0)
			EK_TRY(choose_unit(c, &g, u));
out:
	release(&g);
	return rc;
}

/* Tell what takes long before it starts, by the time of some distances on this thread. */
static int tell_cost(const struct choosing *c)
{
	const uint64_t timed = c->rows.count < IMAGES_TIMED ? c->rows.count : IMAGES_TIMED;
	const uint64_t step = c->rows.count / timed; /* from all over the file: in no cache */
	const double start = ek_clock();
	float *room = NULL;
	double work = 0, seconds, sum = 0;
	uint64_t total = 0;
	int rc;

	EK_TRY(ek_alloc(&room, 2 * c->rows.dimensions, sizeof *room));
	ek_rows_read(room, &c->rows, 0);
	for (uint64_t i = 0; i < timed; i++)
		sum += ek_vector_distance2(ek_rows_at(&c->rows, i * step, room + c->rows.dimensions), room,
		                           c->rows.dimensions);
	seconds = ek_clock() - start;
	for (uint32_t u = 0; u < c->k; u++) {
		work += (double)size_of(c, u) * (double)c->quota[u];
		total += c->quota[u];
	}
	seconds *= work / (double)timed / ek_threads();
	/* The sum is asked for, so that the distances are not left out. */
	if (seconds > SECONDS_TOLD && sum >= 0)
		ek_warn("choosing %" PRIu64 " images one after the other looks at %.3g distances: about %.3g hours%s",
		        total, work, seconds / 3600,
		        c->k == 1 ? "; within clusters ('by' cluster) it is less by about their number" : "");
out:
	free(room);
	return rc;
}

static int choose(struct choosing *c)
{
	uint64_t total = 0;
	int rc = 0;

	for (uint32_t u = 0; u < c->k; u++) {
		struct ek_rows rows = c->rows;

		total += c->quota[u];
		rows.ids = c->ids + c->start[u];
		rows.count = size_of(c, u);
		if (is_small(c, u) && rows.count > c->largest_small)
			c->largest_small = rows.count;
		if (c->quota[u] > 0)
			EK_TRY(ek_rows_mean(c->means + u * rows.dimensions, &rows));
	}
	EK_TRY(tell_cost(c));
	ek_progress_begin("choosing", "images", total);
	if ((rc = choose_large(c)) == 0)
		rc = ek_parallel(c->k, choose_small, c);
	ek_progress_end();
out:
	return rc;
}

/* Images that are not taken come after those that are, by id. */
static int greedy(uint32_t *keys, const uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                  int k_centre)
{
	struct choosing c = { .keys = keys, .quota = quota, .k = units->k, .k_centre = k_centre };
	enum ek_normalise normalise;
	struct ek_npy array = { 0 };
	struct ek_order order = { 0 };
	int rc;

	EK_TRY(ek_cluster_normalise(&normalise, run));
	EK_TRY(ek_cluster_rows(&c.rows, &array, run, "embeddings.npy", normalise));
	if (c.rows.count != units->n) {
		rc = ek_fail(EK_EDATA, "there are %" PRIu64 " embeddings and %" PRIu64 " images", c.rows.count,
		             units->n);
		goto out;
	}
	for (uint64_t i = 0; i < units->n; i++)
		keys[i] = UINT32_MAX;
	/* All keys are equal: the images of each unit by id. */
	EK_TRY(ek_order_make(&order, units, keys));
	c.start = order.start;
	EK_TRY(ek_alloc(&c.ids, units->total, sizeof *c.ids));
	for (uint64_t i = 0; i < units->total; i++)
		c.ids[i] = order.ids[i];
	EK_TRY(ek_alloc(&c.means, (size_t)units->k * c.rows.dimensions, sizeof *c.means));
	EK_TRY(ek_alloc(&c.small, (size_t)ek_threads(), sizeof *c.small));
	EK_TRY(choose(&c));
out:
	for (int t = 0; c.small != NULL && t < ek_threads(); t++)
		release(&c.small[t]);
	free(c.small);
	free(c.means);
	free(c.ids);
	ek_order_release(&order);
	ek_npy_close(&array);
	return rc;
}

int ek_greedy_k_centre(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                       const struct ek_embedded_options *options)
{
	(void)options;
	return greedy(keys, quota, run, units, 1);
}

int ek_greedy_herding(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                      const struct ek_embedded_options *options)
{
	(void)options;
	return greedy(keys, quota, run, units, 0);
}
