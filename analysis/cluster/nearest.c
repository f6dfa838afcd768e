#include "analysis/cluster/nearest.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/screen.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "train/nn/tensor.h"

enum {
	SLICE = 512, /* rows a piece of the refresh takes */
	TILE = EK_SCREEN_TILE
};

/* Fewer dimensions are not worth packing for. */
enum { LEAST_BFLOAT16 = 64 };

/* Squares beyond this could overflow in float32: such rows and centroids are measured in float64 alone. */
static const double LARGEST_NORM = 1e15;

struct worker {
	float *row, *hat; /* [d] a row, and moved */
	uint64_t changed;
	struct ek_screen_bound bounds[TILE];
	struct ek_screened screened[TILE];
};

struct ek_nearest {
	const struct ek_rows *rows;
	size_t d;
	float *centre;          /* [d] what is taken off before screening */
	uint32_t *active;       /* [rows] rows to look at, ascending */
	uint32_t *slice_active; /* [slices] how many of each slice */
	struct worker *workers;
	int worker_count;
	const struct ek_screen_methods *methods; /* NULL: measure everything */
	void *screen;
	float *hat; /* [k, d] moved centroids */
	size_t hat_size;

	/* the search under way */
	struct ek_nearest_state *state;
	const float *centroids;
	uint32_t k, first;
	double most_norm, most_error; /* over the centroids */
	double gamma;
	int usable; /* 0: measure everything */
	uint64_t active_count;
};

/* out = fl(x - centre) */
static void move_row(float *out, const float *x, const float *centre, size_t d)
{
	for (size_t j = 0; j < d; j++)
		out[j] = x[j] - centre[j];
}

/* A bound on the norm of what moving and the screen's rounding took; `norm` is what is left. */
static double error_of(double norm, double rounding, size_t d)
{
	return rounding + (norm + rounding) * 0x1p-23 + (double)d * FLT_MIN;
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
	if (f->methods != NULL)
		f->methods->destroy(f->screen);
	free(f->centre);
	free(f->active);
	free(f->slice_active);
	free(f->hat);
	free(f);
}

static uint64_t slices_of(const struct ek_rows *rows)
{
	return (rows->count + SLICE - 1) / SLICE;
}

static const struct ek_screen_methods *methods_for(enum ek_screen screen, size_t d)
{
	if (screen == EK_SCREEN_AUTO)
		screen = ek_nn_cpu_has_bf16() && d >= LEAST_BFLOAT16 ? EK_SCREEN_BFLOAT16 : EK_SCREEN_FAISS;
	return screen == EK_SCREEN_FAISS ? &ek_screen_faiss : screen == EK_SCREEN_BFLOAT16 ? &ek_screen_product : NULL;
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
	f->methods = methods_for(screen, f->d);
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
	if (f->methods != NULL)
		EK_TRY(f->methods->create(&f->screen, f->d, f->worker_count));
	*out = f;
	f = NULL;
out:
	ek_nearest_free(f);
	return rc;
}

static int set_centroids(struct ek_nearest *f, const float *centroids, uint32_t k, uint32_t first)
{
	const size_t size = (size_t)k * f->d;
	double largest = 0;
	int rc = 0;

	f->centroids = centroids;
	f->k = k;
	f->first = first;
	f->usable = 0;
	if (f->methods == NULL)
		return 0;
	if (f->hat_size < size) {
		free(f->hat);
		f->hat_size = 0;
		EK_TRY(ek_alloc_aligned(&f->hat, size, sizeof *f->hat));
		f->hat_size = size;
	}
	for (uint32_t j = 0; j < k; j++) {
		float *hat = f->hat + j * f->d;

		move_row(hat, centroids + j * f->d, f->centre, f->d);
		largest = fmax(largest, sqrt(ek_vector_dot(hat, hat, f->d)));
	}
	f->usable = largest < LARGEST_NORM;
	if (f->usable) {
		EK_TRY(f->methods->set(f->screen, &f->most_norm, &f->most_error, f->hat, k));
		f->most_error = error_of(f->most_norm, f->most_error, f->d);
	}
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
	uint32_t active = 0;

	for (uint64_t i = start; i < end; i++) {
		const int64_t own = (int64_t)s->assignment[i] - f->first;

		if (s->assignment[i] >= 0 && own >= 0 && own < f->k) {
			if (s->moves == NULL || s->moves[own] > 0)
				s->distance2[i] = ek_vector_distance2(ek_rows_at(f->rows, i, f->workers[worker].row),
				                                      f->centroids + (size_t)own * f->d, f->d);
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
static struct ek_screen_bound bound_of(const struct ek_nearest *f, double norm, double rounding, uint64_t row)
{
	const double span = norm + f->most_norm;
	const int64_t own = f->state->assignment[row], local = own - f->first;

	return (struct ek_screen_bound){ .norm = norm,
		                         .error = error_of(norm, rounding, f->d) + f->most_error,
		                         .eps = f->gamma * span * span + FLT_MIN * (double)f->d * (1 + span),
		                         .reach = sqrt(f->state->distance2[row]),
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

static int screen_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	struct worker *w = &f->workers[worker];
	const uint32_t *active = f->active + piece * TILE;
	const uint64_t rest = f->active_count - piece * TILE;
	const size_t count = rest < TILE ? (size_t)rest : TILE;
	int rc;

	for (size_t i = 0; i < count; i++) {
		double norm, rounding;

		move_row(w->hat, ek_rows_at(f->rows, active[i], w->row), f->centre, f->d);
		f->methods->take(f->screen, &norm, &rounding, i, w->hat, worker);
		w->bounds[i] = bound_of(f, norm, rounding, active[i]);
	}
	EK_TRY(f->methods->run(f->screen, w->screened, w->bounds, count, worker));
	for (size_t i = 0; i < count; i++)
		resolve(f, active[i], ek_rows_at(f->rows, active[i], w->row), &w->bounds[i], &w->screened[i], w);
	EK_TRY(ek_check_interrupt());
out:
	return rc;
}

static int measure_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	const uint64_t end = (piece + 1) * TILE < f->active_count ? (piece + 1) * TILE : f->active_count;

	for (uint64_t i = piece * TILE; i < end; i++)
		resolve(f, f->active[i], ek_rows_at(f->rows, f->active[i], f->workers[worker].row), NULL, NULL,
		        &f->workers[worker]);
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
	EK_TRY(ek_pieces(slices_of(f->rows), refresh, f, 10 * (double)f->rows->count * (double)f->d));
	compact(f);
	EK_TRY(ek_pieces((f->active_count + TILE - 1) / TILE, f->usable ? screen_piece : measure_piece, f,
	                 (double)f->active_count * (double)f->d * (double)k));
	for (int i = 0; i < f->worker_count; i++)
		count += f->workers[i].changed;
	if (changed != NULL)
		*changed = count;
out:
	return rc;
}
