/*
 * Most pairs of a large segment are excluded by few numbers a row: its coordinates y along AXES principal components of
 * a sample, and the length r of what is left of it, both of the row less the sample's mean. With orthonormal axes
 *
 *     D'^2 = |y - y'|^2 + (r - r')^2 <= D^2,   D^2 <= 2 eps (1 + ...) for rows of unit length (near_device.c),
 *
 * so that a pair of a cosine above 1 - eps has D'^2 / 2 <= eps and a little. -D'^2 / 2 is the product of the rows
 * (y, r, -(|y|^2 + r^2) / 2, 1) and (y', r', 1, -(|y'|^2 + r'^2) / 2).
 *
 * What that may be off: rows of float32 about a mean of norm 1 at most are shorter than 2, so coordinates are off by
 * 2^-23 and D' by less than 1e-6; a float32 sum of WIDTH + 2 products, 8 in all, is off by 34 · 2^-24 · 8 < 2e-5; norms
 * off by 1e-6 are 2e-6. `doubt` is more than all of it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/blas.h"
#include "analysis/cluster/near_internal.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/nn/matmul.h"

enum {
	WIDTH = 32,
	AXES = WIDTH - 3,
	LEAST_ROWS = 16384, /* fewer are not worth finding axes for */
	SAMPLE = 2048,
	GROUP = 64 /* columns that are looked through together */
};

static const double doubt = 1e-4;

struct ek_near_screen {
	double *mean, *axes; /* [d], [AXES, d] */
	float *few;          /* [rows, WIDTH] of the segment, and COLUMNS rows of zeros */
	float *columns;      /* [COLUMNS, WIDTH] */
	uint64_t start;      /* of the segment in the order */
	struct ek_nn_matmul *plan;
	void *packed;
};

static int screen_new(struct ek_near_search *s)
{
	struct ek_near_screen *f;
	int rc;

	EK_TRY(ek_alloc(&s->screen, 1, sizeof *s->screen));
	f = s->screen;
	EK_TRY(ek_alloc(&f->mean, s->d, sizeof *f->mean));
	EK_TRY(ek_alloc(&f->axes, AXES * s->d, sizeof *f->axes));
	EK_TRY(ek_alloc_aligned(&f->columns, EK_NEAR_COLUMNS * WIDTH, sizeof *f->columns));
	EK_TRY(ek_nn_matmul_new(&f->plan, EK_NEAR_TILE, EK_NEAR_COLUMNS, WIDTH, EK_NN_FLOAT32));
	EK_TRY(ek_alloc_aligned(&f->packed, 1, ek_nn_matmul_packed_size(f->plan)));
	for (int i = 0; i < s->worker_count; i++) {
		struct ek_near_worker *w = &s->workers[i];

		EK_TRY(ek_alloc(&w->left, EK_NEAR_LEFT, sizeof *w->left));
		free(w->matmul);
		w->matmul = NULL;
		EK_TRY(ek_alloc_aligned(&w->matmul, 1,
		                        ek_nn_matmul_scratch_size(f->plan) + ek_nn_matmul_scratch_size(s->plan)));
	}
out:
	return rc;
}

void ek_near_screen_free(struct ek_near_search *s)
{
	struct ek_near_screen *f = s->screen;

	if (f == NULL)
		return;
	free(f->mean);
	free(f->axes);
	free(f->few);
	free(f->columns);
	ek_nn_matmul_free(f->plan);
	free(f->packed);
	free(f);
}

/* Mean and axes of a sample of the rows. */
static int find_axes(struct ek_near_search *s, uint64_t start, uint64_t end)
{
	struct ek_near_screen *f = s->screen;
	const size_t d = s->d;
	double *x = NULL, *covariance = NULL, *values = NULL;
	uint64_t *ids = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, SAMPLE * d, sizeof *x));
	EK_TRY(ek_alloc(&covariance, d * d, sizeof *covariance));
	EK_TRY(ek_alloc(&values, AXES, sizeof *values));
	EK_TRY(ek_alloc(&ids, SAMPLE, sizeof *ids));
	ek_rows_sample(ids, SAMPLE, end - start, 0, ek_random_stream("near-duplicates"));
	memset(f->mean, 0, d * sizeof *f->mean);
	for (size_t i = 0; i < SAMPLE; i++) {
		float *row = s->workers[0].rows;

		ek_rows_read(row, s->rows, s->order[start + ids[i]]);
		for (size_t j = 0; j < d; j++) {
			x[i * d + j] = (double)row[j];
			f->mean[j] += (double)row[j] / SAMPLE;
		}
	}
	for (size_t i = 0; i < SAMPLE; i++)
		for (size_t j = 0; j < d; j++)
			x[i * d + j] -= f->mean[j];
	EK_TRY(ek_blas_add_gram(covariance, x, SAMPLE, d));
	EK_TRY(ek_blas_eigen(values, f->axes, AXES, covariance, NULL, d));
out:
	free(x);
	free(covariance);
	free(values);
	free(ids);
	return rc;
}

struct shortening {
	struct ek_near_search *s;
	uint64_t start, end;
};

static int shorten_piece(void *context, uint64_t piece, int worker)
{
	const struct shortening *job = context;
	const struct ek_near_search *s = job->s;
	const struct ek_near_screen *f = s->screen;
	const uint64_t first = job->start + piece * EK_NEAR_TILE;
	const size_t count = job->end - first < EK_NEAR_TILE ? (size_t)(job->end - first) : EK_NEAR_TILE;
	double *x = NULL, *y = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, count * s->d, sizeof *x));
	EK_TRY(ek_alloc(&y, count * AXES, sizeof *y));
	for (size_t i = 0; i < count; i++) {
		const float *row = ek_rows_at(s->rows, s->order[first + i], s->workers[worker].rows);

		for (size_t j = 0; j < s->d; j++)
			x[i * s->d + j] = (double)row[j] - f->mean[j];
	}
	ek_blas_multiply(y, x, count, s->d, f->axes, AXES);
	for (size_t i = 0; i < count; i++) {
		float *few = f->few + (first - job->start + i) * WIDTH;
		double all = 0, along = 0;

		for (size_t j = 0; j < s->d; j++)
			all += x[i * s->d + j] * x[i * s->d + j];
		for (size_t c = 0; c < AXES; c++) {
			few[c] = (float)y[i * AXES + c];
			along += y[i * AXES + c] * y[i * AXES + c];
		}
		few[AXES] = (float)sqrt(fmax(all - along, 0));
		few[AXES + 1] = (float)(-fmax(all, along) / 2);
		few[AXES + 2] = 1;
	}
out:
	free(x);
	free(y);
	return rc;
}

int ek_near_screen_rows(struct ek_near_search *s, uint64_t start, uint64_t end)
{
	const uint64_t count = end - start;
	struct shortening job = { s, start, end };
	int rc = 0, before;

	s->screened = s->near_only && s->d >= 2 * WIDTH && count >= LEAST_ROWS;
	if (!s->screened)
		return 0;
	if (s->screen == NULL)
		EK_TRY(screen_new(s));
	free(s->screen->few);
	s->screen->few = NULL;
	EK_TRY(ek_alloc_aligned(&s->screen->few, (count + EK_NEAR_COLUMNS) * WIDTH, sizeof *s->screen->few));
	memset(s->screen->few + count * WIDTH, 0, EK_NEAR_COLUMNS * WIDTH * sizeof *s->screen->few);
	s->screen->start = start;
	EK_TRY(find_axes(s, start, end));
	before = ek_blas_alone();
	rc = ek_pieces((count + EK_NEAR_TILE - 1) / EK_NEAR_TILE, shorten_piece, &job,
	               (double)count * (double)s->d * AXES);
	ek_blas_together(before);
out:
	return rc;
}

int ek_near_screen_columns(struct ek_near_search *s)
{
	struct ek_near_screen *f = s->screen;

	memcpy(f->columns, f->few + (s->first - f->start) * WIDTH, EK_NEAR_COLUMNS * WIDTH * sizeof *f->columns);
	for (size_t c = 0; c < EK_NEAR_COLUMNS; c++) {
		float *few = f->columns + c * WIDTH;
		const float norm = few[AXES + 1];

		few[AXES + 1] = few[AXES + 2];
		few[AXES + 2] = norm;
	}
	return ek_nn_matmul_pack(f->plan, f->packed, f->columns, s->workers[0].matmul);
}

int ek_near_screen_tile(size_t *left, struct ek_near_search *s, uint64_t place, size_t count, int worker)
{
	const struct ek_near_screen *f = s->screen;
	struct ek_near_worker *w = &s->workers[worker];
	const float from = (float)(s->least - 1 - doubt);
	int rc;

	*left = 0;
	EK_TRY(ek_nn_matmul_run(f->plan, w->products, f->few + (place - f->start) * WIDTH, f->packed, w->matmul));
	for (size_t i = 0; i < count; i++) {
		const uint64_t before = place + i - s->first;
		const size_t columns = before < s->count ? (size_t)before : (size_t)s->count;
		const float *products = w->products + i * EK_NEAR_COLUMNS;

		for (size_t g = 0; g < columns; g += GROUP) {
			const size_t end = g + GROUP < columns ? g + GROUP : columns;

			if (ek_vector_largest(products + g, end - g) < from)
				continue;
			for (size_t c = g; c < end; c++) {
				if (products[c] < from)
					continue;
				if (*left == EK_NEAR_LEFT) {
					*left = EK_NEAR_LEFT + 1;
					return 0;
				}
				w->left[*left].row = (uint16_t)i;
				w->left[(*left)++].column = (uint16_t)c;
			}
		}
	}
out:
	return rc;
}
