#include "analysis/cluster/near.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/near_internal.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "train/nn/matmul.h"

enum { TILE = EK_NEAR_TILE, COLUMNS = EK_NEAR_COLUMNS };

static uint32_t root(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

static void join(struct ek_near_search *s, uint32_t a, uint32_t b, uint32_t mask)
{
	for (size_t e = 0; e < s->out->eps_count; e++) {
		uint32_t *parent = s->out->component + e * s->out->n, x, y;

		if ((mask >> e & 1) == 0)
			continue;
		x = root(parent, a);
		y = root(parent, b);
		parent[x > y ? x : y] = x > y ? y : x;
	}
}

double ek_near_cosine(const float *a, const float *b, double norm2_a, double norm2_b, size_t d)
{
	const double norms = sqrt(norm2_a * norm2_b);

	return norms > 0 ? fmin(ek_vector_dot(a, b, d) / norms, 1) : 0;
}

uint32_t ek_near_note(struct ek_near_search *s, int worker, uint64_t place, uint64_t earlier, double value)
{
	const uint32_t i = s->order[earlier], j = s->order[place];
	struct ek_near *out = s->out;
	uint32_t mask = 0;

	if (s->near_only && !(value > s->least))
		return 0;
	if (value > s->best[j] || (value >= s->best[j] && earlier < s->place[j])) {
		s->best[j] = value;
		s->place[j] = (uint32_t)earlier;
		out->partner[j] = i;
	}
	if (!(value > s->least))
		return 0;
	for (size_t e = 0; e < out->eps_count; e++)
		if (value > 1 - out->eps[e].eps) {
			float *weakest = &out->weakest[e * out->n + j];

			mask |= UINT32_C(1) << e;
			s->workers[worker].pairs[e]++;
			*weakest = fminf(*weakest, (float)value);
		}
	if (mask == 0)
		return 0;
	(void)pthread_mutex_lock(&s->lock);
	join(s, i, j, mask);
	(void)pthread_mutex_unlock(&s->lock);
	return mask;
}

/* The row at `place` and column `c` of the block. */
static void take_pair(struct ek_near_search *s, int worker, uint64_t place, uint64_t c, double value)
{
	const uint32_t mask = ek_near_note(s, worker, place, s->first + c, value);

	if (place < s->first + s->count)
		s->hits[(place - s->first) * COLUMNS + c] = mask; /* whether the column is kept is not known yet */
	else
		s->out->kept[s->order[place]] &= ~(mask & s->out->kept[s->order[s->first + c]]);
}

/* How many columns of the block come before a place. */
static size_t columns_before(const struct ek_near_search *s, uint64_t place)
{
	return (size_t)(place - s->first < s->count ? place - s->first : s->count);
}

/* One row against the columns before it. */
static void scan(struct ek_near_search *s, int worker, const float *row, const float *products, uint64_t place)
{
	const uint32_t j = s->order[place];
	const size_t count = columns_before(s, place);
	const double norm2 = ek_vector_dot(row, row, s->d);
	const float most = ek_vector_largest(products, count);
	const double best = s->near_only ? s->least : fmax(s->best[j], (double)most - s->doubt);
	const float from = (float)(fmin(best, s->least) - s->doubt);

	if (count == 0 || most < from)
		return;
	for (size_t c = 0; c < count; c++)
		if (products[c] >= from)
			take_pair(s, worker, place, c,
			          ek_near_cosine(row, s->columns + c * s->d, norm2, s->norms2[c], s->d));
}

/* The pairs that the screen leaves, by their cosines; what take_pair is for. */
static void take_left(struct ek_near_search *s, int worker, uint64_t start, size_t left)
{
	const struct ek_near_worker *w = &s->workers[worker];
	size_t last = SIZE_MAX;
	double norm2 = 0;

	for (size_t p = 0; p < left; p++) {
		const size_t i = w->left[p].row, c = w->left[p].column;

		if (i != last) {
			ek_rows_read(w->rows, s->rows, s->order[start + i]);
			norm2 = ek_vector_dot(w->rows, w->rows, s->d);
			last = i;
		}
		take_pair(s, worker, start + i, c,
		          ek_near_cosine(w->rows, s->columns + c * s->d, norm2, s->norms2[c], s->d));
	}
}

static int scan_tile(void *context, uint64_t piece, int worker)
{
	struct ek_near_search *s = context;
	struct ek_near_worker *w = &s->workers[worker];
	const uint64_t start = s->first + piece * TILE;
	const size_t count = s->segment_end - start < TILE ? (size_t)(s->segment_end - start) : TILE;
	size_t left = EK_NEAR_LEFT + 1;
	int rc;

	if (s->screened)
		EK_TRY(ek_near_screen_tile(&left, s, start, count, worker));
	if (left <= EK_NEAR_LEFT) {
		take_left(s, worker, start, left);
		goto done;
	}
	for (size_t i = 0; i < count; i++)
		ek_rows_read(w->rows + i * s->d, s->rows, s->order[start + i]);
	EK_TRY(ek_nn_matmul_run(s->plan, w->products, w->rows, s->packed, w->matmul));
	for (size_t i = 0; i < count; i++)
		scan(s, worker, w->rows + i * s->d, w->products + i * COLUMNS, start + i);
done:
	ek_progress_add(count);
	EK_TRY(ek_check_interrupt());
out:
	return rc;
}

/* Decide, in order, which rows of the block greedy keeps. */
static void settle(struct ek_near_search *s)
{
	for (uint64_t r = 0; r < s->count; r++) {
		uint32_t *kept = &s->out->kept[s->order[s->first + r]];

		for (uint64_t c = 0; c < r; c++)
			*kept &= ~(s->hits[r * COLUMNS + c] & s->out->kept[s->order[s->first + c]]);
	}
}

struct shifted {
	struct ek_near_search *search;
	uint64_t by;
};

static int scan_shifted(void *context, uint64_t piece, int worker)
{
	const struct shifted *shifted = context;

	return scan_tile(shifted->search, piece + shifted->by, worker);
}

/* All pairs of some rows, a block of columns after the other: first its own rows, then all later ones. */
static int search_rows(struct ek_near_search *s, uint64_t start, uint64_t end)
{
	int rc = 0;

	s->segment_end = end;
	EK_TRY(ek_near_screen_rows(s, start, end));
	for (s->first = start; s->first < end; s->first += s->count) {
		const uint64_t own = COLUMNS / TILE;
		struct shifted later = { s, own };
		uint64_t tiles;

		s->count = end - s->first < COLUMNS ? end - s->first : COLUMNS;
		for (uint64_t c = 0; c < s->count; c++) {
			float *column = s->columns + c * s->d;

			ek_rows_read(column, s->rows, s->order[s->first + c]);
			s->norms2[c] = ek_vector_dot(column, column, s->d);
		}
		EK_TRY(ek_nn_matmul_pack(s->plan, s->packed, s->columns, s->workers[0].matmul));
		if (s->screened)
			EK_TRY(ek_near_screen_columns(s));
		memset(s->hits, 0, COLUMNS * COLUMNS * sizeof *s->hits);
		tiles = (end - s->first + TILE - 1) / TILE;
		s->work = (double)TILE * COLUMNS * (double)s->d;
		EK_TRY(ek_pieces(tiles < own ? tiles : own, scan_tile, s,
		                 s->work * (double)(tiles < own ? tiles : own)));
		settle(s);
		if (tiles > own)
			EK_TRY(ek_pieces(tiles - own, scan_shifted, &later, s->work * (double)(tiles - own)));
	}
out:
	return rc;
}

/* The same with a device: the pairs of the first half, between the halves, of the second half, so that greedy has
 * decided on whatever is earlier. */
static int search_halves(struct ek_near_search *s, uint64_t start, uint64_t end)
{
	const uint64_t middle = start + (end - start) / 2;
	int rc;

	if (!ek_near_is_worth_device(s, start, end))
		return search_rows(s, start, end);
	EK_TRY(search_halves(s, start, middle));
	EK_TRY(ek_near_across(s, start, middle, end));
	EK_TRY(search_halves(s, middle, end));
out:
	return rc;
}

static int search_segment(struct ek_near_search *s, uint64_t start, uint64_t end)
{
	int units = 0, rc;

	if (ek_near_is_worth_device(s, start, end))
		EK_TRY(ek_near_measure(&units, s, start, end));
	EK_TRY(units ? search_halves(s, start, end) : search_rows(s, start, end));
out:
	return rc;
}

static int init(struct ek_near_search *s)
{
	struct ek_near *out = s->out;
	const double units = ((double)s->d + 8) * 0x1p-24;
	int rc;

	s->doubt = 1.01 * units / (1 - units) + 1e-6;
	s->least = 1;
	for (size_t e = 0; e < out->eps_count; e++)
		s->least = fmin(s->least, 1 - out->eps[e].eps);
	EK_TRY(ek_alloc(&out->similarity, out->n, sizeof *out->similarity));
	EK_TRY(ek_alloc(&out->partner, out->n, sizeof *out->partner));
	EK_TRY(ek_alloc(&out->component, out->n * out->eps_count, sizeof *out->component));
	EK_TRY(ek_alloc(&out->weakest, out->n * out->eps_count, sizeof *out->weakest));
	EK_TRY(ek_alloc(&s->best, out->n, sizeof *s->best));
	EK_TRY(ek_alloc(&s->place, out->n, sizeof *s->place));
	EK_TRY(ek_alloc(&out->kept, out->n, sizeof *out->kept));
	EK_TRY(ek_alloc(&s->counted, out->n, sizeof *s->counted));
	for (uint64_t i = 0; i < out->n; i++) {
		s->best[i] = -2; /* below every cosine */
		out->kept[i] = UINT32_MAX;
		out->partner[i] = -1;
	}
	for (uint64_t i = 0; i < out->n * out->eps_count; i++) {
		out->component[i] = (uint32_t)(i % out->n);
		out->weakest[i] = 2;
	}
	EK_TRY(ek_nn_matmul_new(&s->plan, TILE, COLUMNS, s->d, EK_NN_FLOAT32));
	EK_TRY(ek_alloc_aligned(&s->columns, COLUMNS * s->d, sizeof *s->columns));
	memset(s->columns, 0, COLUMNS * s->d * sizeof *s->columns);
	EK_TRY(ek_alloc(&s->norms2, COLUMNS, sizeof *s->norms2));
	EK_TRY(ek_alloc_aligned(&s->packed, 1, ek_nn_matmul_packed_size(s->plan)));
	EK_TRY(ek_alloc(&s->hits, COLUMNS * COLUMNS, sizeof *s->hits));
	EK_TRY(ek_alloc(&s->workers, (size_t)s->worker_count, sizeof *s->workers));
	for (int i = 0; i < s->worker_count; i++) {
		struct ek_near_worker *w = &s->workers[i];

		EK_TRY(ek_alloc_aligned(&w->rows, TILE * s->d, sizeof *w->rows));
		memset(w->rows, 0, TILE * s->d * sizeof *w->rows);
		EK_TRY(ek_alloc_aligned(&w->products, TILE * COLUMNS, sizeof *w->products));
		EK_TRY(ek_alloc_aligned(&w->matmul, 1, ek_nn_matmul_scratch_size(s->plan)));
	}
out:
	return rc;
}

static void release(struct ek_near_search *s)
{
	for (int i = 0; s->workers != NULL && i < s->worker_count; i++) {
		free(s->workers[i].rows);
		free(s->workers[i].products);
		free(s->workers[i].matmul);
		free(s->workers[i].left);
	}
	ek_near_screen_free(s);
	free(s->workers);
	ek_nn_matmul_free(s->plan);
	free(s->best);
	free(s->place);
	free(s->units2);
	free(s->counted);
	free(s->columns);
	free(s->norms2);
	free(s->packed);
	free(s->hits);
	(void)pthread_mutex_destroy(&s->lock);
}

static void count_all(struct ek_near_search *s)
{
	struct ek_near *out = s->out;

	for (uint64_t i = 0; i < out->n; i++)
		out->similarity[i] = out->partner[i] < 0 ? -1 : (float)s->best[i];
	for (size_t e = 0; e < out->eps_count; e++) {
		struct ek_near_eps *eps = &out->eps[e];
		uint32_t *component = out->component + e * out->n;

		for (int i = 0; i < s->worker_count; i++)
			eps->pairs += s->workers[i].pairs[e];
		for (uint32_t i = 0; i < out->n; i++) {
			component[i] = root(component, i);
			eps->one_pass_removed += out->partner[i] >= 0 && s->best[i] > 1 - eps->eps;
			eps->greedy_removed += (out->kept[i] >> e & 1) == 0;
			eps->component_removed += component[i] != i;
		}
		memset(s->counted, 0, out->n);
		for (uint32_t i = 0; i < out->n; i++)
			if (component[i] != i && !s->counted[component[i]]) {
				eps->groups++;
				s->counted[component[i]] = 1;
			}
	}
}

/* Rows that one pass of pairs compares: for progress. */
static uint64_t row_visits(const struct ek_near_search *s, uint64_t start, uint64_t end)
{
	const uint64_t middle = start + (end - start) / 2;
	uint64_t visits = 0;

	if (ek_near_is_worth_device(s, start, end))
		return row_visits(s, start, middle) + (end - middle) + row_visits(s, middle, end);
	for (uint64_t first = start; first < end; first += COLUMNS)
		visits += end - first;
	return visits;
}

int ek_near_find(struct ek_near *out, const struct ek_rows *rows, const uint32_t *order, const uint64_t *segments,
                 size_t segment_count, const double *eps, size_t eps_count, int near_only)
{
	struct ek_near_search s = { .out = out,
		                    .rows = rows,
		                    .order = order,
		                    .d = rows->dimensions,
		                    .near_only = near_only,
		                    .worker_count = ek_threads(),
		                    .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t visits = 0;
	int rc;

	*out = (struct ek_near){ .n = rows->count, .eps_count = eps_count };
	if (eps_count < 1 || eps_count > EK_NEAR_MOST_EPS)
		return ek_fail(EK_EUSAGE, "%zu values of eps: expected 1 to %d", eps_count, EK_NEAR_MOST_EPS);
	for (size_t e = 0; e < eps_count; e++) {
		if (!(eps[e] > 0 && eps[e] < 2))
			return ek_fail(EK_EUSAGE, "eps must be above 0 and below 2, not %g", eps[e]);
		out->eps[e].eps = eps[e];
	}
	for (size_t g = 0; g < segment_count; g++)
		visits += row_visits(&s, segments[g], segments[g + 1]);
	ek_progress_begin("comparing images", "comparisons", visits);
	EK_TRY(init(&s));
	for (size_t g = 0; g < segment_count; g++)
		EK_TRY(search_segment(&s, segments[g], segments[g + 1]));
	count_all(&s);
out:
	ek_progress_end();
	release(&s);
	return rc;
}

void ek_near_release(struct ek_near *near)
{
	free(near->similarity);
	free(near->partner);
	free(near->component);
	free(near->weakest);
	free(near->kept);
	*near = (struct ek_near){ 0 };
}
