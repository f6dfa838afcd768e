#include "analysis/cluster/nearest.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/screen.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"

enum {
	SLICE = 512,  /* rows a piece of the refresh takes */
	BLOCK = 4096, /* rows FAISS takes at once */
	TILE = EK_SCREEN_TILE
};

/* Fewer dimensions are not worth packing for. */
enum { LEAST_BFLOAT16 = 64 };

/* Squares beyond this could overflow in float32: such rows and centroids are measured in float64 alone. */
static const double LARGEST_NORM = 1e15;

/* A row as the screen sees it. */
struct moved {
	double norm, error; /* |x^|, e_x */
};

struct worker {
	float *row, *hat; /* [d] a row, and moved */
	uint64_t changed;
	struct ek_screen_bound bounds[TILE];
	struct ek_screened screened[TILE];
};

struct ek_nearest {
	const struct ek_rows *rows;
	enum ek_screen screen;
	size_t d;
	float *centre;          /* [d] what is taken off before screening */
	uint32_t *active;       /* [rows] rows to look at, ascending */
	uint32_t *slice_active; /* [slices] how many of each slice */
	struct worker *workers;
	int worker_count;

	struct ek_screen_product *product;
	ek_bf16 *hat16; /* [k, d] */
	double *norms2; /* [k] */

	struct ek_screen_faiss *faiss;
	float *block;                 /* [BLOCK, d] moved rows */
	struct moved *moved;          /* [BLOCK] */
	struct ek_screened *screened; /* [BLOCK] */

	/* the search under way */
	struct ek_nearest_state *state;
	const float *centroids;
	uint32_t k, first;
	float *hat; /* [k, d] moved centroids */
	size_t hat_size;
	double most_norm, most_error; /* over the centroids */
	double gamma;
	int usable; /* 0: measure everything */
	uint64_t active_count, block_start, block_count;
};

/* out = fl(x - centre); the norm of it and a bound on the norm of what rounding took. */
static struct moved move_row(float *out, const float *x, const float *centre, size_t d)
{
	struct moved m;

	for (size_t j = 0; j < d; j++)
		out[j] = x[j] - centre[j];
	m.norm = sqrt(ek_vector_dot(out, out, d));
	m.error = m.norm * 0x1p-23 + (double)d * FLT_MIN;
	return m;
}

static void free_workers(struct ek_nearest *f)
{
	for (int i = 0; f->workers != NULL && i < f->worker_count; i++) {
		free(f->workers[i].row);
		free(f->workers[i].hat);
	}
	free(f->workers);
}

void ek_nearest_free(struct ek_nearest *f)
{
	if (f == NULL)
		return;
	free_workers(f);
	ek_screen_faiss_free(f->faiss);
	ek_screen_product_free(f->product);
	free(f->hat16);
	free(f->norms2);
	free(f->centre);
	free(f->active);
	free(f->slice_active);
	free(f->block);
	free(f->moved);
	free(f->screened);
	free(f->hat);
	free(f);
}

static uint64_t slices_of(const struct ek_rows *rows)
{
	return (rows->count + SLICE - 1) / SLICE;
}

static int new_faiss(struct ek_nearest *f)
{
	const size_t most = f->rows->count < BLOCK ? (size_t)f->rows->count : BLOCK;
	int rc;

	EK_TRY(ek_alloc_aligned(&f->block, most * f->d, sizeof *f->block));
	EK_TRY(ek_alloc(&f->moved, most, sizeof *f->moved));
	EK_TRY(ek_alloc(&f->screened, most, sizeof *f->screened));
	EK_TRY(ek_screen_faiss_new(&f->faiss, f->d, most));
out:
	return rc;
}

int ek_nearest_new(struct ek_nearest **out, const struct ek_rows *rows, const double *mean, enum ek_screen screen)
{
	struct ek_nearest *f = NULL;
	double units;
	int rc;

	*out = NULL;
	if (rows->count > INT32_MAX)
		return ek_fail(EK_ENOTSUP, "%llu images are more than clusters can be found for (2147483647)",
		               (unsigned long long)rows->count);
	EK_TRY(ek_alloc(&f, 1, sizeof *f));
	f->rows = rows;
	f->d = rows->dimensions;
	f->screen = screen;
	if (screen == EK_SCREEN_AUTO)
		f->screen = ek_nn_cpu_has_bf16() && f->d >= LEAST_BFLOAT16 ? EK_SCREEN_BFLOAT16 : EK_SCREEN_FAISS;
	units = ((double)f->d + 8) * 0x1p-24;
	f->gamma = units / (1 - units);
	EK_TRY(ek_alloc(&f->centre, f->d, sizeof *f->centre));
	for (size_t j = 0; j < f->d; j++)
		f->centre[j] = (float)mean[j];
	EK_TRY(ek_alloc(&f->active, rows->count, sizeof *f->active));
	EK_TRY(ek_alloc(&f->slice_active, slices_of(rows), sizeof *f->slice_active));
	f->worker_count = ek_threads();
	EK_TRY(ek_alloc(&f->workers, (size_t)f->worker_count, sizeof *f->workers));
	for (int i = 0; i < f->worker_count; i++) {
		EK_TRY(ek_alloc_aligned(&f->workers[i].row, f->d, sizeof *f->workers[i].row));
		EK_TRY(ek_alloc_aligned(&f->workers[i].hat, f->d, sizeof *f->workers[i].hat));
	}
	if (f->screen == EK_SCREEN_FAISS)
		EK_TRY(new_faiss(f));
	if (f->screen == EK_SCREEN_BFLOAT16)
		EK_TRY(ek_screen_product_new(&f->product, f->d, f->worker_count));
	*out = f;
	f = NULL;
out:
	ek_nearest_free(f);
	return rc;
}

/* As move_row, on to bfloat16. `hat` is scratch [d]. */
static struct moved move_row16(ek_bf16 *out, float *hat, const float *x, const float *centre, size_t d)
{
	struct moved m = move_row(hat, x, centre, d);
	double norm2 = 0, error2 = 0;

	ek_bf16_from_float(out, hat, d);
	ek_vector_rounding(&norm2, &error2, hat, out, d);
	m.norm = sqrt(norm2);
	m.error += sqrt(error2);
	return m;
}

static int reserve_hats(struct ek_nearest *f, uint32_t k)
{
	const size_t size = (size_t)k * f->d;
	int rc = 0;

	if (f->hat_size >= size)
		return 0;
	free(f->hat);
	free(f->hat16);
	free(f->norms2);
	f->hat = NULL;
	f->hat16 = NULL;
	f->norms2 = NULL;
	f->hat_size = 0;
	if (f->screen == EK_SCREEN_BFLOAT16) {
		EK_TRY(ek_alloc_aligned(&f->hat16, size, sizeof *f->hat16));
		EK_TRY(ek_alloc(&f->norms2, k, sizeof *f->norms2));
	} else {
		EK_TRY(ek_alloc_aligned(&f->hat, size, sizeof *f->hat));
	}
	f->hat_size = size;
out:
	return rc;
}

static int set_centroids(struct ek_nearest *f, const float *centroids, uint32_t k, uint32_t first)
{
	int rc = 0;

	f->centroids = centroids;
	f->k = k;
	f->first = first;
	f->most_norm = f->most_error = 0;
	f->usable = 0;
	if (f->screen == EK_SCREEN_NONE)
		return 0;
	EK_TRY(reserve_hats(f, k));
	for (uint32_t j = 0; j < k; j++) {
		const float *c = centroids + j * f->d;
		struct moved m;

		if (f->screen == EK_SCREEN_BFLOAT16) {
			m = move_row16(f->hat16 + j * f->d, f->workers[0].hat, c, f->centre, f->d);
			f->norms2[j] = m.norm * m.norm;
		} else {
			m = move_row(f->hat + j * f->d, c, f->centre, f->d);
		}
		f->most_norm = fmax(f->most_norm, m.norm);
		f->most_error = fmax(f->most_error, m.error);
	}
	f->usable = f->most_norm < LARGEST_NORM;
	if (f->usable && f->screen == EK_SCREEN_BFLOAT16)
		EK_TRY(ek_screen_product_set(f->product, f->hat16, f->norms2, k));
	else if (f->usable)
		EK_TRY(ek_screen_faiss_set(f->faiss, f->hat, k));
out:
	return rc;
}

/* Measure the rows' own centroids anew and note which rows must be looked at. */
static int refresh(void *context, uint64_t slice, int worker)
{
	struct ek_nearest *f = context;
	const struct ek_nearest_state *s = f->state;
	const uint64_t start = slice * SLICE;
	const uint64_t end = start + SLICE < f->rows->count ? start + SLICE : f->rows->count;
	float *row = f->workers[worker].row;
	uint32_t active = 0;

	for (uint64_t i = start; i < end; i++) {
		const int64_t own = (int64_t)s->assignment[i] - f->first;

		if (s->assignment[i] >= 0 && own >= 0 && own < f->k) {
			ek_rows_read(row, f->rows, i);
			s->distance2[i] = ek_vector_distance2(row, f->centroids + (size_t)own * f->d, f->d);
			if (s->lower != NULL && sqrt(s->distance2[i]) * (1 + 1e-9) < (double)s->lower[i])
				continue;
		}
		f->active[start + active++] = (uint32_t)i;
	}
	f->slice_active[slice] = active;
	return ek_check_interrupt();
}

static void compact(struct ek_nearest *f)
{
	f->active_count = 0;
	for (uint64_t slice = 0; slice < slices_of(f->rows); slice++) {
		memmove(f->active + f->active_count, f->active + slice * SLICE,
		        f->slice_active[slice] * sizeof *f->active);
		f->active_count += f->slice_active[slice];
	}
}

struct best {
	int32_t index; /* global number */
	double distance2;
};

static void offer(struct best *best, int32_t index, double distance2)
{
	if (distance2 < best->distance2 || (distance2 == best->distance2 && index < best->index))
		*best = (struct best){ index, distance2 };
}

/* Every centroid; `lower` becomes the exact second distance. */
static struct best measure_all(const struct ek_nearest *f, const float *row, struct best best, double *lower)
{
	double second = (double)INFINITY;

	for (uint32_t j = 0; j < f->k; j++) {
		const double distance2 = ek_vector_distance2(row, f->centroids + j * f->d, f->d);
		const struct best before = best;

		offer(&best, (int32_t)(f->first + j), distance2);
		if (best.index != before.index)
			second = fmin(second, before.distance2);
		else if (best.index != (int32_t)(f->first + j))
			second = fmin(second, distance2);
	}
	*lower = sqrt(second) * (1 - 1e-9);
	return best;
}

/* What nearest.h calls E, eps and U, for a row. */
static struct ek_screen_bound bound_of(const struct ek_nearest *f, const struct moved *m, int32_t own, double distance2)
{
	const double span = m->norm + f->most_norm;
	const int64_t local = (int64_t)own - f->first;

	return (struct ek_screen_bound){ .norm = m->norm,
		                         .error = m->error + f->most_error,
		                         .eps = f->gamma * span * span + FLT_MIN * (double)f->d * (1 + span),
		                         .reach = sqrt(distance2),
		                         .own = own >= 0 && local >= 0 && local < f->k ? (int32_t)local : -1 };
}

/* Of the candidates inside the limit, the nearest. */
static struct best measure_candidates(const struct ek_nearest *f, const float *row, const struct ek_screen_bound *bound,
                                      const struct ek_screened *c, struct best best, double *lower)
{
	const double limit = ek_screen_limit(bound, (double)c->best);
	float winner = c->own;

	if (c->count < 0 || (double)c->limit <= limit)
		return measure_all(f, row, best, lower);
	for (int32_t j = 0; j < c->count; j++) {
		const int32_t index = c->index[j] + (int32_t)f->first, before = best.index;

		if ((double)c->s[j] > limit)
			continue;
		if (index != before)
			offer(&best, index, ek_vector_distance2(row, f->centroids + (size_t)c->index[j] * f->d, f->d));
		if (best.index == index)
			winner = c->s[j];
	}
	/* All others have s of at least the second smallest, or of the smallest if the winner has a larger one. */
	*lower = sqrt(fmax((double)(winner <= c->best ? c->second : c->best) - bound->eps, 0)) - bound->error;
	return best;
}

/* `bound` and `screened` NULL: there was no screen. */
static void resolve(struct ek_nearest *f, uint64_t i, const float *row, const struct ek_screen_bound *bound,
                    const struct ek_screened *screened, struct worker *worker)
{
	const struct ek_nearest_state *s = f->state;
	const int32_t before = s->assignment[i];
	struct best best = { before, s->distance2[i] };
	double lower = 0;

	if (screened == NULL || !(bound->norm < LARGEST_NORM))
		best = measure_all(f, row, best, &lower);
	else
		best = measure_candidates(f, row, bound, screened, best, &lower);
	worker->changed += best.index != before;
	s->assignment[i] = best.index;
	s->distance2[i] = best.distance2;
	if (s->lower != NULL)
		s->lower[i] = nextafterf((float)fmin(fmax(lower, 0), (double)FLT_MAX), 0);
}

static int move_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	const uint64_t end = (piece + 1) * TILE < f->block_count ? (piece + 1) * TILE : f->block_count;

	for (uint64_t i = piece * TILE; i < end; i++) {
		ek_rows_read(f->workers[worker].row, f->rows, f->active[f->block_start + i]);
		f->moved[i] = move_row(f->block + i * f->d, f->workers[worker].row, f->centre, f->d);
	}
	return ek_check_interrupt();
}

static int resolve_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	const uint64_t end = (piece + 1) * TILE < f->block_count ? (piece + 1) * TILE : f->block_count;

	for (uint64_t i = piece * TILE; i < end; i++) {
		const uint64_t row = f->active[f->block_start + i];
		const struct ek_screen_bound bound =
			bound_of(f, &f->moved[i], f->state->assignment[row], f->state->distance2[row]);

		ek_rows_read(f->workers[worker].row, f->rows, row);
		resolve(f, row, f->workers[worker].row, &bound, &f->screened[i], &f->workers[worker]);
	}
	return 0;
}

static int search_faiss(struct ek_nearest *f)
{
	int rc = 0;

	for (f->block_start = 0; f->block_start < f->active_count; f->block_start += f->block_count) {
		const uint64_t rest = f->active_count - f->block_start;
		uint64_t pieces;

		f->block_count = rest < BLOCK ? rest : BLOCK;
		pieces = (f->block_count + TILE - 1) / TILE;
		EK_TRY(ek_parallel(pieces, move_piece, f));
		EK_TRY(ek_screen_faiss_run(f->faiss, f->screened, f->block, (size_t)f->block_count));
		EK_TRY(ek_parallel(pieces, resolve_piece, f));
	}
out:
	return rc;
}

static int product_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	struct worker *w = &f->workers[worker];
	const uint32_t *active = f->active + piece * TILE;
	const uint64_t rest = f->active_count - piece * TILE;
	const size_t count = rest < TILE ? (size_t)rest : TILE;
	ek_bf16 *rows = ek_screen_product_rows(f->product, worker);
	int rc;

	for (size_t i = 0; i < count; i++) {
		struct moved m;

		ek_rows_read(w->row, f->rows, active[i]);
		m = move_row16(rows + i * f->d, w->hat, w->row, f->centre, f->d);
		w->bounds[i] = bound_of(f, &m, f->state->assignment[active[i]], f->state->distance2[active[i]]);
	}
	EK_TRY(ek_screen_product_run(f->product, w->screened, w->bounds, count, worker));
	for (size_t i = 0; i < count; i++) {
		ek_rows_read(w->row, f->rows, active[i]);
		resolve(f, active[i], w->row, &w->bounds[i], &w->screened[i], w);
	}
	EK_TRY(ek_check_interrupt());
out:
	return rc;
}

static int measure_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	const uint64_t end = (piece + 1) * TILE < f->active_count ? (piece + 1) * TILE : f->active_count;

	for (uint64_t i = piece * TILE; i < end; i++) {
		ek_rows_read(f->workers[worker].row, f->rows, f->active[i]);
		resolve(f, f->active[i], f->workers[worker].row, NULL, NULL, &f->workers[worker]);
	}
	return ek_check_interrupt();
}

int ek_nearest_search(struct ek_nearest *f, struct ek_nearest_state *state, const float *centroids, uint32_t k,
                      uint32_t first, uint64_t *changed)
{
	uint64_t count = 0;
	int rc;

	f->state = state;
	EK_TRY(set_centroids(f, centroids, k, first));
	for (int i = 0; i < f->worker_count; i++)
		f->workers[i].changed = 0;
	EK_TRY(ek_parallel(slices_of(f->rows), refresh, f));
	compact(f);
	if (f->usable && f->screen == EK_SCREEN_FAISS)
		EK_TRY(search_faiss(f));
	else
		EK_TRY(ek_parallel((f->active_count + TILE - 1) / TILE, f->usable ? product_piece : measure_piece, f));
	for (int i = 0; i < f->worker_count; i++)
		count += f->workers[i].changed;
	if (changed != NULL)
		*changed = count;
out:
	return rc;
}
