#include "analysis/quality/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/rows_device.h"
#include "analysis/quality/pairs.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/text.h"

enum { SLICE = 64 }; /* columns that a piece looks at */

/* Of a thread. */
struct scratch {
	uint32_t *hits; /* [EK_PAIRS_COLUMNS] */
	float *column;  /* [EK_PAIRS_ROWS] */
	float *upper;   /* [k] ascending */
};

/* Of a tile: what its columns must look at. */
struct seen {
	int32_t *hit; /* [EK_PAIRS_COLUMNS] -1: some row may be among the nearest of this column */
	size_t after; /* columns before this one are rows of the tile itself, or searched already */
};

struct search {
	struct ek_pairs pairs;
	size_t k;
	int itself;
	double *distance2; /* [queries, k] of the nearest so far, ascending, the lower index first */
	uint32_t *index;   /* [queries, k] */
	float *limit;      /* [queries] the last of them, rounded up */
	float *none;       /* [EK_PAIRS_COLUMNS] -infinity */
	float *before;     /* [EK_PAIRS_COLUMNS] the block's limits before the batch, whose rows may be among them */
	struct scratch *scratch;
	struct seen *seen;
	int threads;
	uint64_t batch; /* the first tile of the batch under way */
	int batched;    /* how many */
};

static void offer(struct search *s, uint64_t query, double distance2, uint32_t index)
{
	double *best = s->distance2 + query * s->k;
	uint32_t *who = s->index + query * s->k;
	size_t at = s->k;

	while (at > 0 && (distance2 < best[at - 1] || (distance2 == best[at - 1] && index < who[at - 1])))
		at--;
	if (at == s->k)
		return;
	memmove(best + at + 1, best + at, (s->k - at - 1) * sizeof *best);
	memmove(who + at + 1, who + at, (s->k - at - 1) * sizeof *who);
	best[at] = distance2;
	who[at] = index;
	s->limit[query] = ek_pairs_above(best[s->k - 1]);
}

/* At least k of these have a squared distance of at most this. */
static float kth_upper(const struct search *s, struct scratch *c, const float *low, const float *doubt, float own_doubt,
                       size_t hits)
{
	for (size_t i = 0; i < s->k; i++)
		c->upper[i] = INFINITY;
	for (size_t i = 0; i < hits; i++) {
		const float upper = low[c->hits[i]] + (doubt[c->hits[i]] + own_doubt);
		size_t at = s->k;

		if (!(upper < c->upper[s->k - 1]))
			continue;
		while (at > 1 && upper < c->upper[at - 2])
			at--;
		memmove(c->upper + at, c->upper + at - 1, (s->k - at) * sizeof *c->upper);
		c->upper[at - 1] = upper;
	}
	return c->upper[s->k - 1];
}

/* Row i of a tile against the rows from `from` on of another, `low` of which are given. */
static void take(struct search *s, struct scratch *c, const struct ek_tile *own, size_t i, const struct ek_tile *other,
                 size_t from, const float *low)
{
	const uint64_t query = own->first + i;
	float most = s->limit[query];
	size_t hits = 0;

	for (size_t j = from; j < other->count; j++)
		if (low[j] <= most && !(s->itself && other->first + j == query))
			c->hits[hits++] = (uint32_t)j;
	if (hits > s->k)
		most = fminf(most, kth_upper(s, c, low, other->doubt, own->doubt[i], hits));
	for (size_t h = 0; h < hits; h++) {
		const uint32_t j = c->hits[h];

		if (low[j] <= fminf(most, s->limit[query]))
			offer(s, query, ek_pairs_measure(&s->pairs, own, i, other, j), (uint32_t)(other->first + j));
	}
}

/* The rows of a tile against the block. `limits`: of the columns, or NULL. */
static int scan(struct search *s, int slot, uint64_t first, const float *limits, struct scratch *c)
{
	struct ek_pairs *p = &s->pairs;
	const struct ek_tile *tile = &p->tiles[slot], *block = &p->block;
	struct seen *seen = &s->seen[slot];
	const size_t from = limits != NULL && first >= block->first ? (size_t)(first - block->first) : 0;
	size_t both; /* from here on the columns look, too */

	ek_pairs_tile(p, slot, first);
	ek_pairs_multiply(p, slot, from);
	seen->after = limits == NULL ? block->count : first >= block->first ? from + tile->count : 0;
	both = (seen->after + EK_PAIRS_LANES - 1) / EK_PAIRS_LANES * EK_PAIRS_LANES;
	memset(seen->hit, 0, block->size * sizeof *seen->hit);
	for (size_t i = 0; i < tile->count; i++) {
		float *row = p->products[slot] + i * block->size;
		const float own = tile->low[i], most = s->limit[first + i];
		int found = ek_pairs_within(row + from, block->low + from, own, most, s->none, seen->hit + from,
		                            both - from);

		if (both < block->size)
			found |= ek_pairs_within(row + both, block->low + both, own, most, limits + both,
			                         seen->hit + both, block->size - both);
		if (found)
			take(s, c, tile, i, block, from, row);
	}
	ek_progress_add(tile->count);
	return ek_check_interrupt();
}

static int scan_all(void *context, uint64_t piece, int worker)
{
	struct search *s = context;

	return scan(s, worker, piece * EK_PAIRS_ROWS, NULL, &s->scratch[worker]);
}

static int scan_batch(void *context, uint64_t piece, int worker)
{
	struct search *s = context;

	return scan(s, (int)piece, (s->batch + piece) * EK_PAIRS_ROWS, s->before, &s->scratch[worker]);
}

/* A slice of the block's columns against the tiles of the batch. */
static int scan_columns(void *context, uint64_t piece, int worker)
{
	struct search *s = context;
	struct scratch *c = &s->scratch[worker];
	const struct ek_tile *block = &s->pairs.block;
	const size_t end = (piece + 1) * SLICE < block->count ? (size_t)(piece + 1) * SLICE : block->count;

	for (int slot = 0; slot < s->batched; slot++) {
		const struct seen *seen = &s->seen[slot];
		const struct ek_tile *tile = &s->pairs.tiles[slot];

		for (size_t j = (size_t)piece * SLICE; j < end; j++) {
			if (j < seen->after || seen->hit[j] == 0)
				continue;
			for (size_t i = 0; i < tile->count; i++)
				c->column[i] = s->pairs.products[slot][i * block->size + j];
			take(s, c, block, j, tile, 0, c->column);
		}
	}
	return 0;
}

/* Every tile against the block; of the same set, only those up to the block's end, and the columns look at the rows,
 * too: in turn with the rows, so that nothing is written and read at once. */
static int search_block(struct search *s)
{
	const struct ek_pairs *p = &s->pairs;
	const uint64_t end = s->itself ? p->block.first + p->block.count : p->rows->count;
	const uint64_t tiles = (end + EK_PAIRS_ROWS - 1) / EK_PAIRS_ROWS;
	const double pairs = (double)p->block.count * (double)p->tiles[0].capacity, d = (double)p->d;
	int rc = 0;

	if (!s->itself)
		return ek_pieces(tiles, scan_all, s, pairs * (double)tiles * d);
	for (s->batch = 0; s->batch < tiles; s->batch += (uint64_t)s->batched) {
		s->batched = tiles - s->batch < (uint64_t)p->slots ? (int)(tiles - s->batch) : p->slots;
		memcpy(s->before, s->limit + p->block.first, p->block.count * sizeof *s->before);
		EK_TRY(ek_pieces((uint64_t)s->batched, scan_batch, s, pairs * s->batched * d));
		EK_TRY(ek_pieces((p->block.count + SLICE - 1) / SLICE, scan_columns, s, pairs * s->batched));
	}
out:
	return rc;
}

static int init(struct search *s, const struct ek_rows *queries, const struct ek_rows *set)
{
	int rc;

	EK_TRY(ek_pairs_init(&s->pairs, queries, set));
	EK_TRY(ek_alloc(&s->distance2, queries->count * s->k, sizeof *s->distance2));
	EK_TRY(ek_alloc(&s->index, queries->count * s->k, sizeof *s->index));
	EK_TRY(ek_alloc(&s->limit, queries->count, sizeof *s->limit));
	EK_TRY(ek_alloc(&s->none, EK_PAIRS_COLUMNS, sizeof *s->none));
	EK_TRY(ek_alloc(&s->before, EK_PAIRS_COLUMNS, sizeof *s->before));
	for (uint64_t i = 0; i < queries->count * s->k; i++) {
		s->distance2[i] = (double)INFINITY;
		s->index[i] = UINT32_MAX;
	}
	for (uint64_t i = 0; i < queries->count; i++)
		s->limit[i] = INFINITY;
	for (size_t j = 0; j < EK_PAIRS_COLUMNS; j++)
		s->none[j] = -INFINITY;
	EK_TRY(ek_alloc(&s->scratch, (size_t)s->threads, sizeof *s->scratch));
	EK_TRY(ek_alloc(&s->seen, (size_t)s->threads, sizeof *s->seen));
	for (int i = 0; i < s->threads; i++) {
		EK_TRY(ek_alloc(&s->scratch[i].hits, EK_PAIRS_COLUMNS, sizeof *s->scratch[i].hits));
		EK_TRY(ek_alloc(&s->scratch[i].column, EK_PAIRS_ROWS, sizeof *s->scratch[i].column));
		EK_TRY(ek_alloc(&s->scratch[i].upper, s->k, sizeof *s->scratch[i].upper));
		EK_TRY(ek_alloc(&s->seen[i].hit, EK_PAIRS_COLUMNS, sizeof *s->seen[i].hit));
	}
out:
	return rc;
}

static void release(struct search *s)
{
	for (int i = 0; s->scratch != NULL && i < s->threads; i++) {
		free(s->scratch[i].hits);
		free(s->scratch[i].column);
		free(s->scratch[i].upper);
	}
	for (int i = 0; s->seen != NULL && i < s->threads; i++)
		free(s->seen[i].hit);
	free(s->scratch);
	free(s->seen);
	free(s->distance2);
	free(s->index);
	free(s->limit);
	free(s->none);
	free(s->before);
	ek_pairs_release(&s->pairs);
}

/* Rows that are compared with a block, all blocks together: for progress. */
static uint64_t row_visits(const struct search *s, uint64_t queries, uint64_t set)
{
	uint64_t visits = 0;

	for (uint64_t first = 0; first < set; first += EK_PAIRS_COLUMNS) {
		const uint64_t end = set - first < EK_PAIRS_COLUMNS ? set : first + EK_PAIRS_COLUMNS;

		visits += s->itself ? end : queries;
	}
	return visits;
}

static int take_row(void *context, uint64_t row, const uint32_t *index, const double *distance2, size_t count,
                    int worker)
{
	struct search *s = context;

	(void)worker;
	for (size_t i = 0; i < count; i++)
		if (!(s->itself && index[i] == row))
			offer(s, row, distance2[i], index[i]);
	return 0;
}

static int search_on_device(struct search *s)
{
	const struct ek_rows *queries = s->pairs.rows, *set = s->pairs.columns;
	struct ek_nn_rows *rows = NULL, *columns = NULL;
	int rc;

	EK_TRY(ek_rows_to_device(&columns, set, s->pairs.centre));
	if (!s->itself)
		EK_TRY(ek_rows_to_device(&rows, queries, s->pairs.centre));
	EK_TRY(ek_nn_rows_neighbours(s->itself ? columns : rows, columns, s->k, s->itself, take_row, s));
out:
	ek_nn_rows_free(rows);
	ek_nn_rows_free(columns);
	return rc;
}

static int search_on_processor(struct search *s)
{
	int rc = 0;

	for (uint64_t first = 0; first < s->pairs.columns->count; first += EK_PAIRS_COLUMNS) {
		EK_TRY(ek_pairs_block(&s->pairs, first));
		EK_TRY(search_block(s));
	}
out:
	return rc;
}

int ek_neighbours(uint32_t *index, double *distance, const struct ek_rows *queries, const struct ek_rows *set, size_t k,
                  int itself)
{
	struct search s = { .k = k, .itself = itself, .threads = ek_threads() };
	int rc;

	if (k == 0)
		return ek_fail(EK_EUSAGE, "0 nearest neighbours: expected at least 1");
	if (set->count < k + (itself ? 1 : 0))
		return ek_fail(EK_EDATA, "%llu image%s too few for %zu nearest neighbour%s%s",
		               (unsigned long long)set->count, set->count == 1 ? " is" : "s are", k, ek_text_s(k),
		               itself ? " of each" : "");
	if (set->count >= UINT32_MAX)
		return ek_fail(EK_ENOTSUP, "%llu images are more than neighbours can be found among",
		               (unsigned long long)set->count);
	ek_progress_begin("finding nearest neighbours", "comparisons", row_visits(&s, queries->count, set->count));
	EK_TRY(init(&s, queries, set));
	if (ek_rows_worth_device(queries->count, set->count, set->dimensions))
		EK_TRY(search_on_device(&s));
	else
		EK_TRY(search_on_processor(&s));
	if (index != NULL)
		memcpy(index, s.index, queries->count * k * sizeof *index);
	for (uint64_t i = 0; distance != NULL && i < queries->count * k; i++)
		distance[i] = sqrt(s.distance2[i]);
out:
	ek_progress_end();
	release(&s);
	return rc;
}
