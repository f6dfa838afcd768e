#include "analysis/quality/pairs.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* Of the calling thread's OpenMP teams. Declared here because omp.h is there only for some compilers. */
void omp_set_num_threads(int count);
int omp_get_max_threads(void);

enum { LOAD = 64 }; /* rows of a block that a piece loads */

/* Squares from here on could overflow in float32. */
static const double LARGEST = 1e30;

static size_t filled(size_t count)
{
	return (count + EK_PAIRS_LANES - 1) / EK_PAIRS_LANES * EK_PAIRS_LANES;
}

static int tile_init(struct ek_tile *tile, uint64_t count, size_t most, size_t d)
{
	int rc;

	tile->capacity = count < most ? (size_t)count : most;
	EK_TRY(ek_alloc(&tile->row, tile->capacity, sizeof *tile->row));
	EK_TRY(ek_alloc_aligned(&tile->room, tile->capacity * d, sizeof *tile->room));
	EK_TRY(ek_alloc_aligned(&tile->moved, tile->capacity * d, sizeof *tile->moved));
	EK_TRY(ek_alloc_aligned(&tile->low, filled(tile->capacity), sizeof *tile->low));
	EK_TRY(ek_alloc_aligned(&tile->doubt, filled(tile->capacity), sizeof *tile->doubt));
out:
	return rc;
}

static void tile_release(struct ek_tile *tile)
{
	free(tile->row);
	free(tile->room);
	free(tile->moved);
	free(tile->low);
	free(tile->doubt);
}

/* The mean of both sets. */
static int find_centre(struct ek_pairs *p)
{
	const double n = (double)p->rows->count, m = (double)p->columns->count;
	double *mean = NULL, *other = NULL;
	int rc;

	EK_TRY(ek_alloc(&mean, p->d, sizeof *mean));
	EK_TRY(ek_alloc(&other, p->d, sizeof *other));
	EK_TRY(ek_alloc(&p->centre, p->d, sizeof *p->centre));
	EK_TRY(ek_rows_mean(mean, p->columns));
	if (p->rows != p->columns)
		EK_TRY(ek_rows_mean(other, p->rows));
	for (size_t j = 0; j < p->d; j++)
		p->centre[j] =
			(float)(p->rows == p->columns ? mean[j] : mean[j] * (m / (n + m)) + other[j] * (n / (n + m)));
out:
	free(mean);
	free(other);
	return rc;
}

int ek_pairs_init(struct ek_pairs *p, const struct ek_rows *rows, const struct ek_rows *columns)
{
	const double units = ((double)rows->dimensions + 16) * 0x1p-24;
	int rc;

	*p = (struct ek_pairs){ .rows = rows, .columns = columns, .d = rows->dimensions, .slots = ek_threads() };
	if (rows->dimensions != columns->dimensions)
		return ek_fail(EK_EDATA, "embeddings of %zu and of %zu dimensions cannot be compared", rows->dimensions,
		               columns->dimensions);
	if (units >= 0.5)
		return ek_fail(EK_ENOTSUP, "%zu dimensions are more than can be compared", rows->dimensions);
	p->g = units / (1 - units);
	p->tiny = 2 * (double)p->d * (double)FLT_MIN;
	EK_TRY(find_centre(p));
	EK_TRY(tile_init(&p->block, columns->count, EK_PAIRS_COLUMNS, p->d));
	EK_TRY(ek_alloc(&p->tiles, (size_t)p->slots, sizeof *p->tiles));
	EK_TRY(ek_alloc(&p->products, (size_t)p->slots, sizeof *p->products));
	for (int i = 0; i < p->slots; i++) {
		EK_TRY(tile_init(&p->tiles[i], rows->count, EK_PAIRS_ROWS, p->d));
		EK_TRY(ek_alloc_aligned(&p->products[i], p->tiles[i].capacity * filled(p->block.capacity),
		                        sizeof(float)));
	}
out:
	return rc;
}

void ek_pairs_release(struct ek_pairs *p)
{
	for (int i = 0; p->tiles != NULL && i < p->slots; i++)
		tile_release(&p->tiles[i]);
	for (int i = 0; p->products != NULL && i < p->slots; i++)
		free(p->products[i]);
	tile_release(&p->block);
	free(p->tiles);
	free(p->products);
	free(p->centre);
}

static void load(const struct ek_pairs *p, struct ek_tile *tile, const struct ek_rows *rows, size_t i)
{
	const float *row = ek_rows_at(rows, tile->first + i, tile->room + i * p->d);
	float *moved = tile->moved + i * p->d;
	double h;

	for (size_t j = 0; j < p->d; j++)
		moved[j] = row[j] - p->centre[j];
	h = ek_vector_dot(moved, moved, p->d);
	tile->row[i] = row;
	tile->low[i] = (float)((1 - p->g) * h - p->tiny);
	tile->doubt[i] = (float)(2 * (p->g * h + p->tiny));
	if (!(h < LARGEST)) {
		memset(moved, 0, p->d * sizeof *moved);
		tile->low[i] = -INFINITY;
		tile->doubt[i] = INFINITY;
	}
}

static void place(struct ek_tile *tile, uint64_t first, uint64_t count)
{
	tile->first = first;
	tile->count = count - first < tile->capacity ? (size_t)(count - first) : tile->capacity;
	tile->size = filled(tile->count);
	for (size_t i = tile->count; i < tile->size; i++)
		tile->low[i] = tile->doubt[i] = NAN;
}

static int load_piece(void *context, uint64_t piece, int worker)
{
	struct ek_pairs *p = context;
	const size_t end = (piece + 1) * LOAD < p->block.count ? (size_t)(piece + 1) * LOAD : p->block.count;

	(void)worker;
	for (size_t i = (size_t)piece * LOAD; i < end; i++)
		load(p, &p->block, p->columns, i);
	return 0;
}

int ek_pairs_block(struct ek_pairs *p, uint64_t first)
{
	place(&p->block, first, p->columns->count);
	return ek_pieces((p->block.count + LOAD - 1) / LOAD, load_piece, p, 10 * (double)p->block.count * (double)p->d);
}

void ek_pairs_tile(struct ek_pairs *p, int slot, uint64_t first)
{
	place(&p->tiles[slot], first, p->rows->count);
	for (size_t i = 0; i < p->tiles[slot].count; i++)
		load(p, &p->tiles[slot], p->rows, i);
}

int ek_pairs_alone(void)
{
	const int before = omp_get_max_threads();

	omp_set_num_threads(1);
	return before;
}

void ek_pairs_together(int before)
{
	omp_set_num_threads(before);
}

void ek_pairs_multiply(struct ek_pairs *p, int slot, size_t from)
{
	const struct ek_tile *tile = &p->tiles[slot];
	const int d = (int)p->d, before = ek_pairs_alone();

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)tile->count, (int)(p->block.count - from), d, 1,
	            tile->moved, d, p->block.moved + from * p->d, d, 0, p->products[slot] + from, (int)p->block.size);
	ek_pairs_together(before);
}

double ek_pairs_measure(const struct ek_pairs *p, const struct ek_tile *a, size_t i, const struct ek_tile *b, size_t j)
{
	return ek_vector_distance2(a->row[i], b->row[j], p->d);
}

float ek_pairs_above(double x)
{
	return nextafterf((float)x, INFINITY);
}

float ek_pairs_below(double x)
{
	return nextafterf((float)x, -INFINITY);
}
