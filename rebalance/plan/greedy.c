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

enum { IMAGES_PER_PIECE = 1024 };

struct best {
	double distance2;
	uint64_t at; /* UINT64_MAX: all are taken */
};

struct greedy {
	struct ek_rows rows; /* of the unit at hand */
	size_t d;
	double *nearest2;     /* [count] to all that were taken */
	uint8_t *taken;       /* [count] */
	struct best *bests;   /* [pieces] */
	float *room;          /* [threads, d] */
	double *mean, *sum;   /* [d] of the unit, and of those taken */
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
	int rc;

	EK_TRY(ek_rows_mean(g->mean, &g->rows));
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

static int init(struct greedy *g, const struct ek_units *units)
{
	int rc;

	g->d = g->rows.dimensions;
	EK_TRY(ek_alloc(&g->nearest2, units->n, sizeof *g->nearest2));
	EK_TRY(ek_alloc(&g->taken, units->n, sizeof *g->taken));
	EK_TRY(ek_alloc(&g->bests, units->n / IMAGES_PER_PIECE + 1, sizeof *g->bests));
	EK_TRY(ek_alloc(&g->room, (size_t)ek_threads() * g->d, sizeof *g->room));
	EK_TRY(ek_alloc(&g->mean, g->d, sizeof *g->mean));
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
	free(g->mean);
	free(g->sum);
	free(g->target);
	free(g->last);
}

/* Images that are not taken come after those that are, by id. */
static int greedy(uint32_t *keys, const uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                  int k_centre)
{
	struct ek_npy array = { 0 };
	struct greedy g = { .furthest = 0 };
	struct ek_order order = { 0 };
	uint64_t *ids = NULL, total = 0;
	int rc;

	EK_TRY(ek_cluster_rows(&g.rows, &array, run, "embeddings.npy", EK_NORMALISE_AUTO));
	if (g.rows.count != units->n) {
		rc = ek_fail(EK_EDATA, "there are %" PRIu64 " embeddings and %" PRIu64 " images", g.rows.count,
		             units->n);
		goto out;
	}
	EK_TRY(init(&g, units));
	for (uint64_t i = 0; i < units->n; i++)
		keys[i] = UINT32_MAX;
	/* All keys are equal: the images of each unit by id. */
	EK_TRY(ek_order_make(&order, units, keys));
	EK_TRY(ek_alloc(&ids, units->total, sizeof *ids));
	for (uint64_t i = 0; i < units->total; i++)
		ids[i] = order.ids[i];
	for (uint32_t u = 0; u < units->k; u++)
		total += quota[u];
	ek_progress_begin("choosing", "images", total);
	for (uint32_t u = 0; u < units->k && rc == 0; u++) {
		g.rows.ids = ids + order.start[u];
		g.rows.count = units->sizes[u];
		if (quota[u] > 0)
			rc = take(keys, &g, quota[u], k_centre);
	}
	ek_progress_end();
out:
	release(&g);
	ek_order_release(&order);
	ek_npy_close(&array);
	free(ids);
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
