#include "analysis/cluster/nearest.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/rows_device.h"
#include "analysis/cluster/screen.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "train/nn/bf16.h"

enum {
	SLICE = 512, /* rows a piece of the refresh takes */
	TILE = EK_SCREEN_TILE
};

/* Fewer dimensions are not worth packing for. */
enum { LEAST_BFLOAT16 = 64 };

/* Bytes of rows as the screen takes them that are kept, at most. */
static const uint64_t most_kept = (uint64_t)1 << 30;

/* Squares beyond this could overflow in float32: such rows and centroids are measured in float64 alone. */
static const double LARGEST_NORM = 1e15;

struct worker {
	float *row, *hat; /* [d] a row, and moved */
	uint64_t changed;
	double largest; /* norm of the centroids that it moved */
	struct ek_screen_bound bounds[TILE];
	struct ek_screened screened[TILE];
};

struct list {
	uint32_t *rows;  /* [rows] ascending */
	uint32_t *found; /* [slices] how many of each slice */
	uint64_t count;
};

/* Rows as the screen takes them. */
struct kept {
	unsigned char *rows;  /* [rows, row_size], or NULL: too large */
	double *norm, *error; /* [rows]; the norm -1 while a row is not there */
};

struct ek_nearest {
	const struct ek_rows *rows;
	struct ek_nn_rows *device; /* NULL: the processor does it */
	size_t d;
	float *centre;         /* [d] what is taken off before screening */
	struct list near, far; /* rows to compare with the centroids that moved, and with all */
	struct worker *workers;
	int worker_count;
	const struct ek_screen_methods *methods; /* NULL: measure everything */
	void *screen;
	struct kept kept;
	float *hat; /* [k, d] moved centroids */
	size_t hat_size;
	uint32_t *numbers; /* [numbers_size] which centroids are compared with, ascending */
	int32_t *places;   /* [numbers_size] where a centroid is among them, or -1 */
	uint32_t numbers_size;

	/* the search under way */
	struct ek_nearest_state *state;
	const float *centroids;
	uint32_t k, first, compared;  /* compared: how many in `numbers` */
	double most_norm, most_error; /* over the centroids */
	double gamma;
	int usable; /* 0: measure everything */
	const struct list *active;
	int partial;                   /* 1: compare with the centroids that moved */
	double most_moved, next_moved; /* the two largest moves */
	uint32_t most_mover;
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

static void free_list(struct list *list)
{
	free(list->rows);
	free(list->found);
}

void ek_nearest_free(struct ek_nearest *f)
{
	if (f == NULL)
		return;
	ek_nn_rows_free(f->device);
	free_workers(f);
	if (f->methods != NULL)
		f->methods->destroy(f->screen);
	free(f->centre);
	free_list(&f->near);
	free_list(&f->far);
	free(f->kept.rows);
	free(f->kept.norm);
	free(f->kept.error);
	free(f->numbers);
	free(f->places);
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

static int list_init(struct list *list, const struct ek_rows *rows)
{
	int rc;

	EK_TRY(ek_alloc(&list->rows, rows->count, sizeof *list->rows));
	EK_TRY(ek_alloc(&list->found, slices_of(rows), sizeof *list->found));
out:
	return rc;
}

static int kept_init(struct ek_nearest *f)
{
	const uint64_t n = f->rows->count;
	struct kept *kept = &f->kept;
	size_t size;
	int rc = 0;

	(void)f->methods->tile(f->screen, &size, 0);
	if (size > most_kept / n)
		return 0;
	EK_TRY(ek_alloc(&kept->norm, n, sizeof *kept->norm));
	EK_TRY(ek_alloc(&kept->error, n, sizeof *kept->error));
	EK_TRY(ek_alloc_aligned(&kept->rows, n, size));
	for (uint64_t i = 0; i < n; i++)
		kept->norm[i] = -1;
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
	f->methods = methods_for(screen, f->d);
	units = ((double)f->d + 8) * 0x1p-24;
	f->gamma = units / (1 - units);
	EK_TRY(ek_alloc(&f->centre, f->d, sizeof *f->centre));
	for (size_t j = 0; j < f->d; j++)
		f->centre[j] = (float)mean[j];
	if (screen == EK_SCREEN_DEVICE) {
		EK_TRY(ek_rows_to_device(&f->device, rows, f->centre));
		goto done;
	}
	EK_TRY(list_init(&f->near, rows));
	EK_TRY(list_init(&f->far, rows));
	f->worker_count = ek_threads();
	EK_TRY(ek_alloc(&f->workers, (size_t)f->worker_count, sizeof *f->workers));
	for (int i = 0; i < f->worker_count; i++) {
		EK_TRY(ek_alloc_aligned(&f->workers[i].row, f->d, sizeof *f->workers[i].row));
		EK_TRY(ek_alloc_aligned(&f->workers[i].hat, f->d, sizeof *f->workers[i].hat));
	}
	if (f->methods != NULL) {
		EK_TRY(f->methods->create(&f->screen, f->d, f->worker_count));
		EK_TRY(kept_init(f));
	}
done:
	*out = f;
	f = NULL;
out:
	ek_nearest_free(f);
	return rc;
}

struct ek_nn_rows *ek_nearest_device(const struct ek_nearest *f)
{
	return f->device;
}

/* Number the centroids to compare with: all, or those that moved. */
static int choose_centroids(struct ek_nearest *f)
{
	int rc = 0;

	if (f->numbers_size < f->k) {
		EK_TRY(ek_resize(&f->numbers, f->k, sizeof *f->numbers));
		EK_TRY(ek_resize(&f->places, f->k, sizeof *f->places));
		f->numbers_size = f->k;
	}
	f->compared = 0;
	for (uint32_t j = 0; j < f->k; j++) {
		const int wanted = !f->partial || f->state->moves[j] > 0;

		f->places[j] = wanted ? (int32_t)f->compared : -1;
		if (wanted)
			f->numbers[f->compared++] = j;
	}
out:
	return rc;
}

static int move_centroid(void *context, uint64_t j, int worker)
{
	struct ek_nearest *f = context;
	float *hat = f->hat + j * f->d;
	double *largest = &f->workers[worker].largest;

	move_row(hat, f->centroids + f->numbers[j] * f->d, f->centre, f->d);
	*largest = fmax(*largest, sqrt(ek_vector_dot(hat, hat, f->d)));
	return 0;
}

static int set_centroids(struct ek_nearest *f)
{
	double largest = 0;
	size_t size;
	int rc;

	f->usable = 0;
	EK_TRY(choose_centroids(f));
	if (f->methods == NULL || f->compared == 0)
		return 0;
	size = (size_t)f->compared * f->d;
	if (f->hat_size < size) {
		free(f->hat);
		f->hat_size = 0;
		EK_TRY(ek_alloc_aligned(&f->hat, size, sizeof *f->hat));
		f->hat_size = size;
	}
	for (int i = 0; i < f->worker_count; i++)
		f->workers[i].largest = 0;
	EK_TRY(ek_pieces(f->compared, move_centroid, f, 10 * (double)size));
	for (int i = 0; i < f->worker_count; i++)
		largest = fmax(largest, f->workers[i].largest);
	f->usable = largest < LARGEST_NORM;
	if (f->usable) {
		EK_TRY(f->methods->set(f->screen, &f->most_norm, &f->most_error, f->hat, f->compared));
		f->most_error = error_of(f->most_norm, f->most_error, f->d);
	}
out:
	return rc;
}

/* Every other centroid came closer by at most the largest move among them. */
static void find_moves(struct ek_nearest *f)
{
	const double *moves = f->state->moves;
	uint32_t moved = 0;

	f->most_moved = f->next_moved = 0;
	f->most_mover = 0;
	for (uint32_t c = 0; moves != NULL && c < f->k; c++) {
		moved += moves[c] > 0;
		if (moves[c] > f->most_moved) {
			f->next_moved = f->most_moved;
			f->most_moved = moves[c];
			f->most_mover = c;
		} else if (moves[c] > f->next_moved) {
			f->next_moved = moves[c];
		}
	}
	f->partial = moves != NULL && moved <= f->k / 4 * 3;
}

static float round_down(double lower)
{
	return nextafterf((float)fmin(fmax(lower, 0), (double)FLT_MAX), 0);
}

/* Measure row i's own centroid anew; the list of those who must look at it, or NULL. */
static struct list *place_row(struct ek_nearest *f, uint64_t i, int worker)
{
	const struct ek_nearest_state *s = f->state;
	const int64_t own = (int64_t)s->assignment[i] - f->first;
	double before, move, lower;

	if (s->assignment[i] < 0 || own < 0 || own >= f->k)
		return &f->far;
	before = s->distance2[i];
	if (s->moves == NULL || s->moves[own] > 0)
		s->distance2[i] = ek_vector_distance2(ek_rows_at(f->rows, i, f->workers[worker].row),
		                                      f->centroids + (size_t)own * f->d, f->d);
	if (s->moves == NULL || s->lower == NULL)
		return &f->far;
	move = own == f->most_mover ? f->next_moved : f->most_moved;
	lower = (double)s->lower[i] - move * (1 + 1e-9);
	if (sqrt(s->distance2[i]) * (1 + 1e-9) < lower * (1 - 1e-9)) {
		s->lower[i] = round_down(lower);
		return NULL;
	}
	return f->partial && s->distance2[i] <= before ? &f->near : &f->far;
}

/* Measure the rows' own centroids anew and note which rows must be looked at. */
static int refresh(void *context, uint64_t slice, int worker)
{
	struct ek_nearest *f = context;
	const uint64_t start = slice * SLICE;
	const uint64_t end = start + SLICE < f->rows->count ? start + SLICE : f->rows->count;

	f->near.found[slice] = f->far.found[slice] = 0;
	for (uint64_t i = start; i < end; i++) {
		struct list *list = place_row(f, i, worker);

		if (list != NULL)
			list->rows[start + list->found[slice]++] = (uint32_t)i;
	}
	return ek_check_interrupt();
}

static void compact(struct list *list, uint64_t slices)
{
	list->count = 0;
	for (uint64_t slice = 0; slice < slices; slice++) {
		memmove(list->rows + list->count, list->rows + slice * SLICE, list->found[slice] * sizeof *list->rows);
		list->count += list->found[slice];
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

/* Every centroid compared with; `lower` becomes the exact second distance. */
static struct best measure_all(const struct ek_nearest *f, const float *row, struct best best, double *lower)
{
	double second = (double)INFINITY;

	for (uint32_t j = 0; j < f->compared; j++) {
		const int32_t index = (int32_t)(f->first + f->numbers[j]);
		const double distance2 = ek_vector_distance2(row, f->centroids + f->numbers[j] * f->d, f->d);
		const struct best before = best;

		offer(&best, index, distance2);
		if (best.index != before.index)
			second = fmin(second, before.distance2);
		else if (best.index != index)
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
		                         .own = own >= 0 && local >= 0 && local < f->k ? f->places[local] : -1 };
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
		const uint32_t number = f->numbers[c->index[j]];
		const int32_t index = (int32_t)(f->first + number), before = best.index;

		if ((double)c->s[j] > limit)
			continue;
		if (index != before)
			offer(&best, index, ek_vector_distance2(row, f->centroids + number * f->d, f->d));
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
	if (f->partial) { /* those that did not move are as far as they were */
		lower = fmin(lower, (double)s->lower[i]);
		if (best.index != before)
			lower = fmin(lower, sqrt(s->distance2[i]) * (1 - 1e-9));
	}
	worker->changed += best.index != before;
	s->assignment[i] = best.index;
	s->distance2[i] = best.distance2;
	if (s->lower != NULL)
		s->lower[i] = round_down(lower);
}

/* Put row i of the data into place `at` of the screen's tile. */
static void take_row(struct ek_nearest *f, double *norm, double *error, size_t at, uint32_t i, int worker)
{
	struct worker *w = &f->workers[worker];
	struct kept *kept = &f->kept;
	size_t size;
	unsigned char *tile = f->methods->tile(f->screen, &size, worker), *to = tile + at * size, *place = NULL;

	if (kept->rows != NULL)
		place = kept->rows + i * size;
	if (place != NULL && kept->norm[i] >= 0) {
		memcpy(to, place, size);
		*norm = kept->norm[i];
		*error = kept->error[i];
		return;
	}
	move_row(w->hat, ek_rows_at(f->rows, i, w->row), f->centre, f->d);
	f->methods->take(f->screen, norm, error, at, w->hat, worker);
	if (place != NULL) {
		memcpy(place, to, size);
		kept->norm[i] = *norm;
		kept->error[i] = *error;
	}
}

/* The rows of a full tile where they are kept, if they lie there one behind the other; else NULL. */
static const unsigned char *kept_tile(const struct ek_nearest *f, const uint32_t *active, size_t count, int worker)
{
	size_t size;

	if (f->kept.rows == NULL || count < TILE || active[TILE - 1] - active[0] != TILE - 1)
		return NULL;
	for (size_t i = 0; i < TILE; i++)
		if (f->kept.norm[active[i]] < 0)
			return NULL;
	(void)f->methods->tile(f->screen, &size, worker);
	return f->kept.rows + active[0] * size;
}

static int screen_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	struct worker *w = &f->workers[worker];
	const uint32_t *active = f->active->rows + piece * TILE;
	const uint64_t rest = f->active->count - piece * TILE;
	const size_t count = rest < TILE ? (size_t)rest : TILE;
	const void *rows = kept_tile(f, active, count, worker);
	size_t size;
	int rc;

	for (size_t i = 0; i < count; i++) {
		double norm = f->kept.norm != NULL ? f->kept.norm[active[i]] : 0;
		double rounding = f->kept.error != NULL ? f->kept.error[active[i]] : 0;

		if (rows == NULL)
			take_row(f, &norm, &rounding, i, active[i], worker);
		w->bounds[i] = bound_of(f, norm, rounding, active[i]);
	}
	if (rows == NULL)
		rows = f->methods->tile(f->screen, &size, worker);
	EK_TRY(f->methods->run(f->screen, w->screened, w->bounds, rows, count, worker));
	for (size_t i = 0; i < count; i++)
		resolve(f, active[i], ek_rows_at(f->rows, active[i], w->row), &w->bounds[i], &w->screened[i], w);
	EK_TRY(ek_check_interrupt());
out:
	return rc;
}

static int measure_piece(void *context, uint64_t piece, int worker)
{
	struct ek_nearest *f = context;
	const struct list *active = f->active;
	const uint64_t end = (piece + 1) * TILE < active->count ? (piece + 1) * TILE : active->count;

	for (uint64_t i = piece * TILE; i < end; i++)
		resolve(f, active->rows[i], ek_rows_at(f->rows, active->rows[i], f->workers[worker].row), NULL, NULL,
		        &f->workers[worker]);
	return ek_check_interrupt();
}

static int look_at(struct ek_nearest *f, const struct list *list, int partial)
{
	int rc = 0;

	if (list->count == 0)
		return 0;
	f->active = list;
	f->partial = partial;
	EK_TRY(set_centroids(f));
	if (f->compared > 0)
		EK_TRY(ek_pieces((list->count + TILE - 1) / TILE, f->usable ? screen_piece : measure_piece, f,
		                 (double)list->count * (double)f->d * (double)f->compared));
out:
	return rc;
}

int ek_nearest_search(struct ek_nearest *f, struct ek_nearest_state *state, const float *centroids, uint32_t k,
                      uint32_t first, uint64_t *changed)
{
	uint64_t count = 0;
	int rc;

	if (f->device != NULL)
		return ek_nn_rows_nearest(f->device, state->assignment, state->distance2, centroids, k, first, changed);
	f->state = state;
	f->centroids = centroids;
	f->k = k;
	f->first = first;
	find_moves(f);
	for (int i = 0; i < f->worker_count; i++)
		f->workers[i].changed = 0;
	EK_TRY(ek_pieces(slices_of(f->rows), refresh, f, 10 * (double)f->rows->count * (double)f->d));
	compact(&f->near, slices_of(f->rows));
	compact(&f->far, slices_of(f->rows));
	EK_TRY(look_at(f, &f->near, 1));
	EK_TRY(look_at(f, &f->far, 0));
	for (int i = 0; i < f->worker_count; i++)
		count += f->workers[i].changed;
	if (changed != NULL)
		*changed = count;
out:
	return rc;
}
