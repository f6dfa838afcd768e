/* Pairs of rows: neighbours, and what lies within balls. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/rows_cuda_internal.h"

enum {
	MOST_CANDIDATES = 4096, /* of a row */
	PIECE = 256             /* rows whose pairs a thread tells of */
};

/* Rows of a piece with the columns of a block. */
struct pairs {
	struct ek_nn_rows *rows, *columns;
	uint64_t from, count; /* rows, in their block */
	ek_nn_rows_take *take;
	void *context;
	uint32_t capacity;
	uint32_t *found;   /* [count] */
	uint64_t *offsets; /* [count + 1] */
	double *distance2;
	uint32_t *index;
	uint32_t *numbers; /* [columns of a block] theirs, for a row that has all */
};

static void pairs_release(struct pairs *p)
{
	free(p->found);
	free(p->offsets);
	free(p->distance2);
	free(p->index);
	free(p->numbers);
}

static int tell_piece(void *context, uint64_t piece, int worker)
{
	struct pairs *p = context;
	const uint64_t end = (piece + 1) * PIECE < p->count ? (piece + 1) * PIECE : p->count;
	int rc = 0;

	for (uint64_t i = piece * PIECE; i < end && rc == 0; i++)
		if (p->found[i] > 0 && p->found[i] <= p->capacity)
			rc = p->take(p->context, p->rows->at + p->from + i, p->index + p->offsets[i],
			             p->distance2 + p->offsets[i], p->found[i], worker);
	return rc;
}

/* Rows that are told of all columns of a block. */
struct whole {
	const struct pairs *p;
	const uint64_t *rows;
	const double *distance2; /* [rows, columns] */
	uint64_t columns;
};

static int tell_whole(void *context, uint64_t i, int worker)
{
	const struct whole *w = context;
	const struct pairs *p = w->p;

	return p->take(p->context, p->rows->at + p->from + w->rows[i], p->numbers, w->distance2 + i * w->columns,
	               w->columns, worker);
}

/* Rows with more than fit: all columns. */
static int tell_all(struct pairs *p)
{
	const uint64_t columns = ek_rows_count_at(p->columns, p->columns->at);
	const uint64_t fitting = ((uint64_t)64 << 20) / (columns * sizeof(double)), batch = fitting > 0 ? fitting : 1;
	double *distance2 = NULL;
	struct ek_rows_room room = { NULL, 0 };
	uint64_t *rows = NULL, found = 0;
	int rc;

	EK_TRY(ek_alloc(&rows, p->count, sizeof *rows));
	for (uint64_t i = 0; i < p->count; i++)
		if (p->found[i] > p->capacity)
			rows[found++] = i;
	if (found == 0)
		goto out;
	EK_TRY(ek_alloc(&distance2, batch * columns, sizeof *distance2));
	EK_TRY(ek_rows_reserve(&room, batch * columns * sizeof *distance2));
	for (uint64_t i = 0; i < found; i += batch) {
		const uint64_t some = found - i < batch ? found - i : batch;
		struct whole w = { p, rows + i, distance2, columns };

		EK_TRY(ek_check_interrupt());
		for (uint64_t j = 0; j < some; j++)
			ek_rows_measure_all((double *)room.memory + j * columns,
			                    p->rows->x + (p->from + rows[i + j]) * p->rows->d, p->columns->x, columns,
			                    p->rows->d, ek_cuda_stream());
		EK_TRY(ek_cuda_launched("measuring rows"));
		EK_TRY(ek_rows_download(distance2, room.memory, some * columns * sizeof *distance2));
		EK_TRY(ek_parallel(some, tell_whole, &w));
	}
out:
	ek_cuda_release(room.memory);
	free(rows);
	free(distance2);
	return rc;
}

/* The pairs that a screen has listed, measured and told. */
static int tell(struct pairs *p)
{
	struct ek_nn_rows *r = p->rows;
	uint64_t total = 0;
	int rc;

	EK_TRY(ek_rows_download(p->found, r->rooms[FOUND].memory, p->count * sizeof *p->found));
	for (uint64_t i = 0; i < p->count; i++) {
		p->offsets[i] = total;
		total += p->found[i] <= p->capacity ? p->found[i] : 0;
	}
	for (uint64_t j = 0; j < ek_rows_count_at(p->columns, p->columns->at); j++)
		p->numbers[j] = (uint32_t)(p->columns->at + j);
	EK_TRY(ek_rows_reserve(&r->rooms[OFFSETS], p->count * sizeof *p->offsets));
	EK_TRY(ek_rows_upload(r->rooms[OFFSETS].memory, p->offsets, p->count * sizeof *p->offsets));
	EK_TRY(ek_rows_reserve(&r->rooms[PAIR_DISTANCE2], (total + 1) * sizeof *p->distance2));
	EK_TRY(ek_rows_reserve(&r->rooms[PAIR_INDEX], (total + 1) * sizeof *p->index));
	EK_TRY(ek_resize(&p->distance2, total + 1, sizeof *p->distance2));
	EK_TRY(ek_resize(&p->index, total + 1, sizeof *p->index));
	ek_rows_measure(r->rooms[PAIR_DISTANCE2].memory, r->rooms[PAIR_INDEX].memory, r->x + p->from * r->d,
	                p->columns->x, r->rooms[TABLE].memory, r->rooms[FOUND].memory, r->rooms[OFFSETS].memory,
	                p->capacity, (uint32_t)p->columns->at, p->count, r->d, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("measuring rows"));
	EK_TRY(ek_rows_download(p->distance2, r->rooms[PAIR_DISTANCE2].memory, total * sizeof *p->distance2));
	EK_TRY(ek_rows_download(p->index, r->rooms[PAIR_INDEX].memory, total * sizeof *p->index));
	EK_TRY(ek_parallel((p->count + PIECE - 1) / PIECE, tell_piece, p));
	EK_TRY(tell_all(p));
out:
	return rc;
}

/* What is asked of pairs. */
struct question {
	size_t k; /* neighbours; 0: balls */
	int itself;
	const struct ek_nn_rows_balls *balls;
};

static uint64_t groups_of(const struct ek_nn_rows *columns)
{
	uint64_t groups = 0;

	for (uint64_t first = 0; first < columns->source.count; first += columns->block)
		groups += ek_rows_filled(ek_rows_count_at(columns, first), EK_ROWS_COLUMNS) / EK_ROWS_GROUP;
	return groups;
}

/* Squared radii as float32, a little more; filled up with 0. */
static int upload_squares(struct ek_rows_room *room, const double *values, uint64_t count, uint64_t to)
{
	float *out = NULL;
	int rc;

	EK_TRY(ek_alloc(&out, to, sizeof *out));
	for (uint64_t i = 0; i < count; i++)
		out[i] = values[i] > 0 ? (float)(values[i] * (1 + 1e-6)) : 0;
	EK_TRY(ek_rows_reserve(room, to * sizeof *out));
	EK_TRY(ek_rows_upload(room->memory, out, to * sizeof *out));
	EK_TRY(ek_cuda_wait());
out:
	free(out);
	return rc;
}

/* The screen of the piece against the block of columns that is at hand. */
static int ready_screen(struct ek_rows_screen *s, const struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const uint64_t columns = ek_rows_count_at(c, c->at);
	int rc = 0;

	*s = ek_rows_screen_of(r, p->from, p->count, &c->screened, columns);
	s->limit = r->rooms[LIMIT].memory;
	s->count = r->rooms[FOUND].memory;
	s->table = r->rooms[TABLE].memory;
	s->capacity = p->capacity;
	s->least = r->rooms[LEAST].memory;
	s->groups = (int)groups;
	if (q->itself)
		s->diagonal = (int64_t)(r->at + p->from) - (int64_t)c->at;
	if (q->k > 0)
		return 0;
	EK_TRY(upload_squares(&r->rooms[BALL], q->balls->ball + c->at, columns,
	                      ek_rows_filled(columns, EK_ROWS_COLUMNS)));
	EK_TRY(upload_squares(&r->rooms[WEIGHT], q->balls->weight + c->at, columns,
	                      ek_rows_filled(columns, EK_ROWS_COLUMNS)));
	s->ball = r->rooms[BALL].memory;
	s->weight = r->rooms[WEIGHT].memory;
	s->reach = r->rooms[REACH].memory;
	s->factor = r->rooms[FACTOR].memory;
out:
	return rc;
}

/* The limits of the piece, by one pass over all columns. */
static int find_limits(const struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const float *h = r->screened.h + p->from, *norm = r->screened.norm + p->from,
		    *error = r->screened.error + p->from;
	struct ek_rows_screen s;
	int group_first = 0, rc;

	for (uint64_t first = 0; first < c->source.count; first += c->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_rows_load(c, first));
		if (q->k == 0) /* by the columns so far */
			ek_rows_offsets(r->rooms[LIMIT].memory, r->rooms[HIGH].memory, h, norm, error, c->screened.most,
			                p->count, r->d, ek_cuda_stream());
		EK_TRY(ready_screen(&s, p, q, groups));
		s.group_first = group_first;
		s.limit = r->rooms[HIGH].memory;
		group_first += s.column_tiles * (EK_ROWS_COLUMNS / EK_ROWS_GROUP);
		EK_TRY(ek_rows_compare(&s, q->k > 0 ? EK_ROWS_LEAST : EK_ROWS_LEAST_RATIO));
	}
	if (q->k > 0) {
		ek_rows_limits(r->rooms[LIMIT].memory, r->rooms[LEAST].memory, (int)groups, q->k, norm, error,
		               c->screened.most, p->count, r->d, ek_cuda_stream());
	} else {
		ek_rows_offsets(r->rooms[LIMIT].memory, r->rooms[HIGH].memory, h, norm, error, c->screened.most,
		                p->count, r->d, ek_cuda_stream());
		ek_rows_factors(r->rooms[FACTOR].memory, r->rooms[LEAST].memory, (int)groups, p->count,
		                ek_cuda_stream());
	}
	EK_TRY(ek_cuda_launched("finding limits"));
out:
	return rc;
}

static int is_too_large(int *large, const struct ek_nn_rows *r, const struct ek_nn_rows *c)
{
	int overflow[2], rc;

	EK_TRY(ek_rows_download(&overflow[0], r->screened.overflow, sizeof *overflow));
	EK_TRY(ek_rows_download(&overflow[1], c->screened.overflow, sizeof *overflow));
	*large = overflow[0] || overflow[1];
out:
	return rc;
}

static int search_pairs(struct pairs *p, const struct question *q, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows, *c = p->columns;
	const uint64_t tiled = ek_rows_filled(p->count, EK_ROWS_TILE);
	struct ek_rows_screen s;
	int large, rc;

	if (q->k == 0)
		EK_TRY(upload_squares(&r->rooms[REACH], q->balls->reach + r->at + p->from, p->count, tiled));
	EK_TRY(find_limits(p, q, groups));
	for (uint64_t first = 0; first < c->source.count; first += c->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_rows_load(c, first));
		EK_TRY(ready_screen(&s, p, q, groups));
		EK_TRY(is_too_large(&large, r, c));
		/* All bits set: more than fit. */
		EK_TRY(ek_cuda_check(cudaMemsetAsync(r->rooms[FOUND].memory, large ? 0xff : 0, tiled * sizeof(uint32_t),
		                                     ek_cuda_stream()),
		                     "clearing memory"));
		if (!large)
			EK_TRY(ek_rows_compare(&s, q->k > 0 ? EK_ROWS_LIST : EK_ROWS_LIST_BALLS));
		EK_TRY(tell(p));
	}
out:
	return rc;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int reserve_pairs(struct pairs *p, uint64_t most, uint64_t groups)
{
	struct ek_nn_rows *r = p->rows;
	int rc;

	EK_TRY(ek_rows_reserve(&r->rooms[LIMIT], most * sizeof(float)));
	EK_TRY(ek_rows_reserve(&r->rooms[HIGH], most * sizeof(float)));
	EK_TRY(ek_rows_reserve(&r->rooms[FACTOR], most * sizeof(float)));
	EK_TRY(ek_rows_reserve(&r->rooms[FOUND], most * sizeof(uint32_t)));
	EK_TRY(ek_rows_reserve(&r->rooms[TABLE], most * p->capacity * sizeof(uint32_t)));
	EK_TRY(ek_rows_reserve(&r->rooms[LEAST], most * groups * sizeof(float)));
	EK_TRY(ek_alloc(&p->found, most, sizeof *p->found));
	EK_TRY(ek_alloc(&p->offsets, most, sizeof *p->offsets));
	EK_TRY(ek_alloc(&p->numbers, p->columns->block, sizeof *p->numbers));
out:
	return rc;
}

static int search_all(struct pairs *p, const struct question *q)
{
	struct ek_nn_rows *r = p->rows, *other = NULL;
	const uint64_t groups = groups_of(p->columns);
	uint64_t most =
		least_of(r->block, EK_ROWS_TABLE_BYTES / (groups * sizeof(float)) / EK_ROWS_TILE * EK_ROWS_TILE);
	int rc = 0;

	ek_cuda_enter();
	most = most > 0 ? most : EK_ROWS_TILE;
	p->capacity = (uint32_t)least_of(MOST_CANDIDATES, EK_ROWS_TABLE_BYTES / (most * sizeof(uint32_t)) + 1);
	if (p->columns == r && r->block < r->source.count) {
		struct ek_nn_rows_source source = r->source;
		float *centre = NULL;

		if ((rc = ek_alloc(&centre, r->d, sizeof *centre)) == 0)
			rc = ek_rows_download(centre, r->centre, r->d * sizeof *centre);
		source.centre = centre;
		rc = rc < 0 ? rc : ek_nn_rows_new(&other, &source);
		free(centre);
		EK_TRY(rc);
		p->columns = other;
	}
	EK_TRY(reserve_pairs(p, most, groups));
	for (uint64_t first = 0; first < r->source.count; first += r->block)
		for (p->from = 0; p->from < ek_rows_count_at(r, first); p->from += most) {
			EK_TRY(ek_rows_load(r, first));
			p->count = least_of(ek_rows_count_at(r, first) - p->from, most);
			EK_TRY(search_pairs(p, q, groups));
		}
out:
	ek_nn_rows_free(other);
	return rc;
}

int ek_nn_rows_neighbours(struct ek_nn_rows *queries, struct ek_nn_rows *set, size_t k, int itself,
                          ek_nn_rows_take *take, void *context)
{
	struct pairs p = { .rows = queries, .columns = set, .take = take, .context = context };
	const struct question q = { .k = k, .itself = itself };
	const int rc = search_all(&p, &q);

	pairs_release(&p);
	return rc;
}

int ek_nn_rows_within(struct ek_nn_rows *rows, struct ek_nn_rows *columns, const struct ek_nn_rows_balls *balls,
                      ek_nn_rows_take *take, void *context)
{
	struct pairs p = { .rows = rows, .columns = columns, .take = take, .context = context };
	const struct question q = { .balls = balls };
	const int rc = search_all(&p, &q);

	pairs_release(&p);
	return rc;
}
