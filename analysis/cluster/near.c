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

/* Components are joined by all threads at once: only a root is given a parent, which is lower. */
static uint32_t root(_Atomic uint32_t *parent, uint32_t i)
{
	uint32_t up, above;

	while ((up = atomic_load_explicit(&parent[i], memory_order_relaxed)) != i) {
		above = atomic_load_explicit(&parent[up], memory_order_relaxed);
		if (above == up)
			return up;
		atomic_store_explicit(&parent[i], above, memory_order_relaxed);
		i = above;
	}
	return i;
}

/* 0: they were of one component. */
static int unite(_Atomic uint32_t *parent, uint32_t a, uint32_t b)
{
	for (;;) {
		uint32_t high, low;

		a = root(parent, a);
		b = root(parent, b);
		if (a == b)
			return 0;
		high = a > b ? a : b;
		low = a > b ? b : a;
		if (atomic_compare_exchange_strong(&parent[high], &high, low))
			return 1;
	}
}

void ek_near_join(struct ek_near_search *s, uint32_t a, uint32_t b, int level)
{
	/* Whoever joins at a level joins at all later ones. */
	while (level < s->levels && unite(s->parent + (size_t)level * s->out->n, a, b))
		level++;
}

double ek_near_cosine(const float *a, const float *b, double norm2_a, double norm2_b, size_t d)
{
	const double norms = sqrt(norm2_a * norm2_b);

	return norms > 0 ? fmin(ek_vector_dot(a, b, d) / norms, 1) : 0;
}

/* Is a pair of cosines up to `high` without a say in which row is the most alike? */
static int is_no_partner(const struct ek_near_search *s, uint32_t j, uint64_t earlier, double high)
{
	if (s->near_only && !(high > s->least))
		return 1;
	return high < s->best[j] || (s->best[j] >= 1 && s->place[j] <= earlier);
}

int ek_near_note(uint32_t *mask, struct ek_near_search *s, int worker, uint64_t place, uint64_t earlier, double low,
                 double high)
{
	const uint32_t i = s->order[earlier], j = s->order[place];
	struct ek_near *out = s->out;
	const int exact = low >= high;
	int level = 0;

	*mask = 0;
	if (!exact && !is_no_partner(s, j, earlier, high))
		return 0;
	while (level < s->levels && !(low > s->above[level]))
		level++;
	if (!exact && level > 0 && high > s->above[level - 1])
		return 0;
	for (int l = level; l < s->levels && !exact; l++)
		if ((float)low < out->weakest[(size_t)s->eps_at[l] * out->n + j])
			return 0;
	if (exact && !is_no_partner(s, j, earlier, high) && (high > s->best[j] || earlier < s->place[j])) {
		s->best[j] = high;
		s->place[j] = (uint32_t)earlier;
		out->partner[j] = i;
	}
	if (level == s->levels)
		return 1;
	for (int l = level; l < s->levels && exact; l++) {
		float *weakest = &out->weakest[(size_t)s->eps_at[l] * out->n + j];

		*weakest = fminf(*weakest, (float)low);
	}
	s->workers[worker].pairs[level]++;
	*mask = s->masks[level];
	ek_near_join(s, i, j, level);
	return 1;
}

void ek_near_take(struct ek_near_search *s, int worker, uint64_t place, uint64_t c, double value)
{
	uint32_t mask;

	(void)ek_near_note(&mask, s, worker, place, s->first + c, value, value);
	if (place < s->first + s->count)
		s->hits[(place - s->first) * COLUMNS + c] = mask; /* whether the column is kept is not known yet */
	else
		s->out->kept[s->order[place]] &= ~(mask & s->out->kept[s->order[s->first + c]]);
}

/* The pairs that the screen leaves, by their cosines. */
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
		ek_near_take(s, worker, start + i, c,
		             ek_near_cosine(w->rows, s->columns + c * s->d, norm2, s->norms2[c], s->d));
	}
}

static void subtract(float *hat, const float *row, const float *centre, size_t d)
{
	for (size_t j = 0; j < d; j++)
		hat[j] = row[j] - centre[j];
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
	for (size_t i = 0; i < count; i++) {
		ek_rows_read(w->rows + i * s->d, s->rows, s->order[start + i]);
		subtract(w->hats + i * s->d, w->rows + i * s->d, s->centre, s->d);
	}
	EK_TRY(ek_nn_matmul_run(s->plan, w->products, w->hats, s->packed, w->matmul));
	for (size_t i = 0; i < count; i++)
		ek_near_scan(s, worker, i, start + i);
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
			*kept &= ~(s->hits[r * COLUMNS + c] & s->column_kept[c]);
		s->column_kept[r] = *kept;
	}
}

/* A point near the mean of the block's columns. */
static void find_centre(struct ek_near_search *s)
{
	enum { SOME = 32 };
	float *row = s->workers[0].rows;

	memset(s->centre, 0, s->d * sizeof *s->centre);
	for (uint64_t k = 0; k < SOME; k++) {
		ek_rows_read(row, s->rows, s->order[s->first + k * s->count / SOME]);
		if (!ek_near_is_unit(ek_vector_dot(row, row, s->d)))
			continue;
		for (size_t j = 0; j < s->d; j++)
			s->centre[j] += row[j] / SOME;
	}
}

static int read_columns(void *context, uint64_t piece, int worker)
{
	struct ek_near_search *s = context;
	const uint64_t end = (piece + 1) * TILE < s->count ? (piece + 1) * TILE : s->count;

	(void)worker;
	for (uint64_t c = piece * TILE; c < end; c++) {
		float *column = s->columns + c * s->d, *hat = s->hats + c * s->d;
		double hat2;

		ek_rows_read(column, s->rows, s->order[s->first + c]);
		s->norms2[c] = ek_vector_dot(column, column, s->d);
		if (!ek_near_is_unit(s->norms2[c])) {
			memset(hat, 0, s->d * sizeof *hat);
			s->radii[c] = 0;
			s->screen2[c] = INFINITY;
			continue;
		}
		subtract(hat, column, s->centre, s->d);
		hat2 = ek_vector_dot(hat, hat, s->d);
		s->radii[c] = sqrt(hat2);
		s->screen2[c] = (float)hat2;
	}
	return 0;
}

/* The block of columns from s->first on. */
static int take_columns(struct ek_near_search *s)
{
	int rc;

	find_centre(s);
	EK_TRY(ek_pieces((s->count + TILE - 1) / TILE, read_columns, s, 40 * (double)s->count * (double)s->d));
	s->largest = 0;
	s->odd = 0;
	for (uint64_t c = 0; c < s->count; c++) {
		s->largest = fmax(s->largest, s->radii[c]);
		s->odd |= isinf(s->screen2[c]);
		for (int l = 0; l < s->levels; l++)
			s->labels[(size_t)l * COLUMNS + c] =
				root(s->parent + (size_t)l * s->out->n, s->order[s->first + c]);
	}
	EK_TRY(ek_nn_matmul_pack(s->plan, s->packed, s->hats, s->workers[0].matmul));
	if (s->screened)
		EK_TRY(ek_near_screen_columns(s));
	memset(s->hits, 0, COLUMNS * COLUMNS * sizeof *s->hits);
out:
	return rc;
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
		EK_TRY(take_columns(s));
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

/* The levels of the eps; no row is in a component, and none has a partner. */
static int init_results(struct ek_near_search *s)
{
	struct ek_near *out = s->out;
	int rc;

	s->levels = (int)out->eps_count;
	for (int e = 0; e < s->levels; e++) {
		int l = e;

		for (; l > 0 && out->eps[s->eps_at[l - 1]].eps > out->eps[e].eps; l--)
			s->eps_at[l] = s->eps_at[l - 1];
		s->eps_at[l] = e;
	}
	for (int l = s->levels - 1; l >= 0; l--) {
		s->above[l] = 1 - out->eps[s->eps_at[l]].eps;
		s->masks[l] = UINT32_C(1) << s->eps_at[l] | (l + 1 < s->levels ? s->masks[l + 1] : 0);
	}
	s->least = s->above[s->levels - 1];
	EK_TRY(ek_alloc(&out->similarity, out->n, sizeof *out->similarity));
	EK_TRY(ek_alloc(&out->partner, out->n, sizeof *out->partner));
	EK_TRY(ek_alloc(&out->component, out->n * out->eps_count, sizeof *out->component));
	EK_TRY(ek_alloc(&out->weakest, out->n * out->eps_count, sizeof *out->weakest));
	EK_TRY(ek_alloc(&out->kept, out->n, sizeof *out->kept));
	EK_TRY(ek_alloc(&s->best, out->n, sizeof *s->best));
	EK_TRY(ek_alloc(&s->place, out->n, sizeof *s->place));
	EK_TRY(ek_alloc(&s->parent, out->n * out->eps_count, sizeof *s->parent));
	EK_TRY(ek_alloc(&s->counted, out->n, sizeof *s->counted));
	for (uint64_t i = 0; i < out->n; i++) {
		s->best[i] = -2; /* below every cosine */
		out->kept[i] = UINT32_MAX;
		out->partner[i] = -1;
	}
	for (uint64_t i = 0; i < out->n * out->eps_count; i++) {
		atomic_init(&s->parent[i], (uint32_t)(i % out->n));
		out->weakest[i] = 2;
	}
out:
	return rc;
}

static int init(struct ek_near_search *s)
{
	int rc;

	ek_near_aim(s);
	EK_TRY(init_results(s));
	EK_TRY(ek_nn_matmul_new(&s->plan, TILE, COLUMNS, s->d, EK_NN_FLOAT32));
	EK_TRY(ek_alloc_aligned(&s->columns, COLUMNS * s->d, sizeof *s->columns));
	EK_TRY(ek_alloc_aligned(&s->hats, COLUMNS * s->d, sizeof *s->hats));
	memset(s->hats, 0, COLUMNS * s->d * sizeof *s->hats);
	EK_TRY(ek_alloc(&s->centre, s->d, sizeof *s->centre));
	EK_TRY(ek_alloc(&s->norms2, COLUMNS, sizeof *s->norms2));
	EK_TRY(ek_alloc(&s->labels, (size_t)s->levels * COLUMNS, sizeof *s->labels));
	EK_TRY(ek_alloc(&s->column_kept, COLUMNS, sizeof *s->column_kept));
	EK_TRY(ek_alloc(&s->radii, COLUMNS, sizeof *s->radii));
	EK_TRY(ek_alloc(&s->screen2, COLUMNS, sizeof *s->screen2));
	EK_TRY(ek_alloc_aligned(&s->packed, 1, ek_nn_matmul_packed_size(s->plan)));
	EK_TRY(ek_alloc(&s->hits, COLUMNS * COLUMNS, sizeof *s->hits));
	EK_TRY(ek_alloc(&s->workers, (size_t)s->worker_count, sizeof *s->workers));
	for (int i = 0; i < s->worker_count; i++) {
		struct ek_near_worker *w = &s->workers[i];

		EK_TRY(ek_alloc_aligned(&w->rows, TILE * s->d, sizeof *w->rows));
		EK_TRY(ek_alloc_aligned(&w->hats, TILE * s->d, sizeof *w->hats));
		memset(w->hats, 0, TILE * s->d * sizeof *w->hats);
		EK_TRY(ek_alloc_aligned(&w->products, TILE * COLUMNS, sizeof *w->products));
		EK_TRY(ek_alloc(&w->codes, COLUMNS, sizeof *w->codes));
		EK_TRY(ek_alloc_aligned(&w->matmul, 1, ek_nn_matmul_scratch_size(s->plan)));
	}
out:
	return rc;
}

static void release(struct ek_near_search *s)
{
	for (int i = 0; s->workers != NULL && i < s->worker_count; i++) {
		free(s->workers[i].rows);
		free(s->workers[i].hats);
		free(s->workers[i].products);
		free(s->workers[i].codes);
		free(s->workers[i].matmul);
		free(s->workers[i].left);
	}
	ek_near_screen_free(s);
	free(s->workers);
	ek_nn_matmul_free(s->plan);
	free(s->best);
	free(s->place);
	free(s->parent);
	free(s->units2);
	free(s->counted);
	free(s->columns);
	free(s->hats);
	free(s->centre);
	free(s->norms2);
	free(s->labels);
	free(s->column_kept);
	free(s->radii);
	free(s->screen2);
	free(s->packed);
	free(s->hits);
}

static void count_all(struct ek_near_search *s)
{
	struct ek_near *out = s->out;
	uint64_t pairs = 0;

	for (uint64_t i = 0; i < out->n; i++)
		out->similarity[i] = out->partner[i] < 0 ? -1 : (float)s->best[i];
	for (int l = 0; l < s->levels; l++) {
		const int e = s->eps_at[l];
		struct ek_near_eps *eps = &out->eps[e];
		uint32_t *component = out->component + (size_t)e * out->n;

		for (int i = 0; i < s->worker_count; i++)
			pairs += s->workers[i].pairs[l];
		eps->pairs = pairs;
		for (uint32_t i = 0; i < out->n; i++) {
			component[i] = root(s->parent + (size_t)l * out->n, i);
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
		                    .worker_count = ek_threads() };
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
