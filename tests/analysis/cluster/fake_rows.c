#include "tests/analysis/cluster/fake_rows.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"

static int there;
static atomic_uint_fast64_t measured;

struct ek_nn_rows {
	uint64_t count;
	size_t d;
	float *x; /* [count, d] */
};

int ek_nn_rows_there(void)
{
	return there;
}

void ek_nn_rows_choose(int now)
{
	there = now;
}

uint64_t fake_rows_measured(void)
{
	return atomic_load(&measured);
}

int ek_nn_rows_new(struct ek_nn_rows **out, const struct ek_nn_rows_source *source)
{
	struct ek_nn_rows *r = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&r, 1, sizeof *r));
	*out = r;
	r->count = source->count;
	r->d = source->dimensions;
	EK_TRY(ek_alloc(&r->x, source->count * source->dimensions, sizeof *r->x));
	EK_TRY(source->read(source->context, r->x, 0, source->count));
out:
	return rc;
}

void ek_nn_rows_free(struct ek_nn_rows *rows)
{
	if (rows != NULL)
		free(rows->x);
	free(rows);
}

struct search {
	const struct ek_nn_rows *rows, *columns;
	const struct ek_nn_rows_balls *balls; /* NULL: the nearest */
	ek_nn_rows_take *take;
	void *context;
};

/* The farthest that row i is to be told of. */
static double reach_of(const struct search *s, const double *distance2, uint64_t i)
{
	double nearest = (double)INFINITY;

	if (s->balls != NULL)
		return s->balls->reach[i];
	for (uint64_t j = 0; j < s->columns->count; j++)
		nearest = fmin(nearest, distance2[j]);
	return nearest;
}

static int search_row(void *context, uint64_t i, int worker)
{
	const struct search *s = context;
	const uint64_t n = s->columns->count;
	double *all = NULL, *told = NULL;
	uint32_t *index = NULL;
	size_t count = 0;
	double reach;
	int rc;

	EK_TRY(ek_alloc(&all, n, sizeof *all));
	EK_TRY(ek_alloc(&told, n, sizeof *told));
	EK_TRY(ek_alloc(&index, n, sizeof *index));
	for (uint64_t j = 0; j < n; j++)
		all[j] = ek_vector_distance2(s->rows->x + i * s->rows->d, s->columns->x + j * s->rows->d, s->rows->d);
	atomic_fetch_add(&measured, n);
	reach = reach_of(s, all, i);
	for (uint64_t j = n; j-- > 0;)
		if (all[j] <= reach || j % 997 == i % 997) {
			index[count] = (uint32_t)j;
			told[count++] = all[j];
		}
	EK_TRY(s->take(s->context, i, index, told, count / 2, worker));
	EK_TRY(s->take(s->context, i, index + count / 2, told + count / 2, count - count / 2, worker));
out:
	free(all);
	free(told);
	free(index);
	return rc;
}

int ek_nn_rows_neighbours(struct ek_nn_rows *queries, struct ek_nn_rows *set, size_t k, int itself,
                          ek_nn_rows_take *take, void *context)
{
	struct search s = { .rows = queries, .columns = set, .take = take, .context = context };

	if (k != 1 || itself)
		return ek_fail(EK_ENOTSUP, "the fake finds the one nearest row of another set");
	return ek_parallel(queries->count, search_row, &s);
}

int ek_nn_rows_within(struct ek_nn_rows *rows, struct ek_nn_rows *columns, const struct ek_nn_rows_balls *balls,
                      ek_nn_rows_take *take, void *context)
{
	struct search s = { .rows = rows, .columns = columns, .balls = balls, .take = take, .context = context };

	return ek_parallel(rows->count, search_row, &s);
}
