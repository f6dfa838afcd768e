#include "analysis/cluster/screen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/bf16.h"
#include "train/nn/matmul.h"

enum {
	MOST_COLUMNS = 256, /* centroids in one product: a block and a tile fit in the cache together */
	STEP = 32,
	PLANS = MOST_COLUMNS / STEP,
	GROUP = 256 /* centroids whose smallest s is looked at together */
};

struct scratch {
	ek_bf16 *rows;   /* [TILE, d] */
	ek_bf16 *block;  /* [columns, d] centroids on their way to be packed; NULL until then */
	float *products; /* [TILE, MOST_COLUMNS] */
	void *matmul;
	size_t matmul_room;
};

struct product_screen {
	size_t d, k, columns, block_count, packed_size;
	struct ek_nn_matmul *plans[PLANS]; /* TILE rows by STEP, 2 STEP, … centroids; made when needed */
	struct ek_nn_matmul *plan;         /* the one of `columns` */
	unsigned char *packed;             /* [blocks, packed_size] */
	float *norms2;                     /* [blocks, columns]; infinity in what was filled up */
	size_t packed_room, norms_room;
	struct scratch *workers;
	int worker_count;
};

double ek_screen_limit(const struct ek_screen_bound *b, double best)
{
	const double reach = fmin(b->reach, sqrt(fmax(best + b->eps, 0)) + b->error) + b->error;

	return (reach * reach + b->eps) * (1 + 1e-6);
}

static void destroy(void *screen)
{
	struct product_screen *s = screen;

	if (s == NULL)
		return;
	for (size_t i = 0; i < PLANS; i++)
		ek_nn_matmul_free(s->plans[i]);
	for (int i = 0; i < s->worker_count; i++) {
		free(s->workers[i].rows);
		free(s->workers[i].block);
		free(s->workers[i].products);
		free(s->workers[i].matmul);
	}
	free(s->workers);
	free(s->packed);
	free(s->norms2);
	free(s);
}

static int create(void **out, size_t d, int workers)
{
	struct product_screen *s = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->d = d;
	EK_TRY(ek_alloc(&s->workers, (size_t)workers, sizeof *s->workers));
	s->worker_count = workers;
	for (int i = 0; i < workers; i++) {
		EK_TRY(ek_alloc_aligned(&s->workers[i].rows, EK_SCREEN_TILE * d, sizeof *s->workers[i].rows));
		EK_TRY(ek_alloc_aligned(&s->workers[i].products, EK_SCREEN_TILE * MOST_COLUMNS, sizeof(float)));
		memset(s->workers[i].rows, 0, EK_SCREEN_TILE * d * sizeof *s->workers[i].rows);
	}
	*out = s;
	s = NULL;
out:
	destroy(s);
	return rc;
}

/* Making a plan takes milliseconds: all are kept. */
static int plan_for(struct product_screen *s, size_t columns)
{
	struct ek_nn_matmul **plan = &s->plans[columns / STEP - 1];
	size_t room;
	int rc = 0;

	if (*plan == NULL)
		EK_TRY(ek_nn_matmul_new(plan, EK_SCREEN_TILE, columns, s->d, EK_NN_BFLOAT16));
	s->plan = *plan;
	room = ek_nn_matmul_scratch_size(s->plan);
	for (int i = 0; i < s->worker_count; i++) {
		struct scratch *w = &s->workers[i];

		if (w->matmul != NULL && w->matmul_room >= room)
			continue;
		free(w->matmul);
		EK_TRY(ek_alloc_aligned(&w->matmul, 1, room));
		w->matmul_room = room;
	}
	s->packed_size = (ek_nn_matmul_packed_size(s->plan) + 63) / 64 * 64;
	s->columns = columns;
out:
	return rc;
}

static int reserve(struct product_screen *s, size_t k)
{
	int rc = 0;

	s->k = k;
	s->block_count = (k + s->columns - 1) / s->columns;
	if (s->packed_room < s->block_count * s->packed_size) {
		free(s->packed);
		s->packed_room = 0;
		EK_TRY(ek_alloc_aligned(&s->packed, s->block_count, s->packed_size));
		s->packed_room = s->block_count * s->packed_size;
	}
	if (s->norms_room < s->block_count * s->columns) {
		free(s->norms2);
		s->norms_room = 0;
		EK_TRY(ek_alloc_aligned(&s->norms2, s->block_count * s->columns, sizeof *s->norms2));
		s->norms_room = s->block_count * s->columns;
	}
out:
	return rc;
}

struct setting {
	struct product_screen *screen;
	const float *centroids;
	double *norms2, *errors2; /* [blocks] the largest */
};

static int pack_block(void *context, uint64_t b, int worker)
{
	const struct setting *job = context;
	const struct product_screen *s = job->screen;
	struct scratch *w = &s->workers[worker];
	int rc = 0;

	if (w->block == NULL)
		EK_TRY(ek_alloc_aligned(&w->block, MOST_COLUMNS * s->d, sizeof *w->block));
	for (size_t j = 0; j < s->columns; j++) {
		const size_t index = b * s->columns + j;
		const float *centroid = job->centroids + index * s->d;
		ek_bf16 *to = w->block + j * s->d;
		double norm2, error2;

		if (index >= s->k) {
			memset(to, 0, s->d * sizeof *to);
			s->norms2[index] = INFINITY;
			continue;
		}
		ek_bf16_from_float(to, centroid, s->d);
		ek_vector_rounding(&norm2, &error2, centroid, to, s->d);
		s->norms2[index] = (float)norm2;
		job->norms2[b] = fmax(job->norms2[b], norm2);
		job->errors2[b] = fmax(job->errors2[b], error2);
	}
	EK_TRY(ek_nn_matmul_pack(s->plan, s->packed + b * s->packed_size, w->block, w->matmul));
out:
	return rc;
}

static int set(void *screen, double *most_norm, double *most_error, const float *centroids, size_t k)
{
	struct product_screen *s = screen;
	const size_t rounded = (k + STEP - 1) / STEP * STEP;
	struct setting job = { .screen = s, .centroids = centroids };
	int rc;

	*most_norm = *most_error = 0;
	EK_TRY(plan_for(s, rounded < MOST_COLUMNS ? rounded : MOST_COLUMNS));
	EK_TRY(reserve(s, k));
	EK_TRY(ek_alloc(&job.norms2, s->block_count, sizeof *job.norms2));
	EK_TRY(ek_alloc(&job.errors2, s->block_count, sizeof *job.errors2));
	EK_TRY(ek_pieces(s->block_count, pack_block, &job, 30 * (double)k * (double)s->d));
	for (size_t b = 0; b < s->block_count; b++) {
		*most_norm = fmax(*most_norm, sqrt(job.norms2[b]));
		*most_error = fmax(*most_error, sqrt(job.errors2[b]));
	}
out:
	free(job.norms2);
	free(job.errors2);
	return rc;
}

static void take(void *screen, double *norm, double *error, size_t i, const float *row, int worker)
{
	const struct product_screen *s = screen;
	ek_bf16 *to = s->workers[worker].rows + i * s->d;

	ek_bf16_from_float(to, row, s->d);
	ek_vector_rounding(norm, error, row, to, s->d);
	*norm = sqrt(*norm);
	*error = sqrt(*error);
}

static void *tile(void *screen, size_t *row_size, int worker)
{
	const struct product_screen *s = screen;

	*row_size = s->d * sizeof *s->workers[worker].rows;
	return s->workers[worker].rows;
}

/* Drop candidates that have fallen out of the limit; if none has, give up. */
static void make_room(struct ek_screened *out, double limit)
{
	int32_t kept = 0;

	for (int32_t j = 0; j < out->count; j++)
		if ((double)out->s[j] <= limit) {
			out->s[kept] = out->s[j];
			out->index[kept++] = out->index[j];
		}
	out->count = kept < EK_CANDIDATES ? kept : -1;
}

static void collect(struct ek_screened *out, const float *s, size_t count, size_t first, double limit)
{
	const float most = (float)(limit * (1 + 0x1p-23));

	for (size_t j = 0; j < count && out->count >= 0; j++) {
		if (!(s[j] <= most))
			continue;
		if (out->count == EK_CANDIDATES)
			make_room(out, limit);
		if (out->count < 0)
			return;
		out->index[out->count] = (int32_t)(first + j);
		out->s[out->count++] = s[j];
	}
}

/* One row against one block of centroids; `products` become s. */
static void screen_row(const struct product_screen *screen, struct ek_screened *out,
                       const struct ek_screen_bound *bound, float *products, size_t block)
{
	const size_t first = block * screen->columns;
	const float norm2 = (float)(bound->norm * bound->norm);

	for (size_t g = 0; g < screen->columns; g += GROUP) {
		const size_t count = screen->columns - g < GROUP ? screen->columns - g : GROUP;
		float best, second;
		double limit;

		ek_vector_screen(products + g, screen->norms2 + first + g, norm2, count, &best, &second);
		if (best < out->best) {
			out->second = fminf(out->best, second);
			out->best = best;
		} else {
			out->second = fminf(out->second, best);
		}
		limit = ek_screen_limit(bound, (double)out->best);
		if ((double)best <= limit)
			collect(out, products + g, count, first + g, limit);
	}
	if (bound->own >= 0 && (size_t)bound->own >= first && (size_t)bound->own < first + screen->columns)
		out->own = products[(size_t)bound->own - first];
}

static int run(void *screen, struct ek_screened *out, const struct ek_screen_bound *bounds, const void *rows,
               size_t count, int worker)
{
	struct product_screen *s = screen;
	struct scratch *scratch = &s->workers[worker];
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		out[i] = (struct ek_screened){
			.best = INFINITY, .second = INFINITY, .own = INFINITY, .limit = INFINITY
		};
	for (size_t b = 0; b < s->block_count; b++) {
		EK_TRY(ek_nn_matmul_run(s->plan, scratch->products, rows, s->packed + b * s->packed_size,
		                        scratch->matmul));
		for (size_t i = 0; i < count; i++)
			screen_row(s, &out[i], &bounds[i], scratch->products + i * s->columns, b);
	}
out:
	return rc;
}

const struct ek_screen_methods ek_screen_product = { create, destroy, set, take, tile, run };
