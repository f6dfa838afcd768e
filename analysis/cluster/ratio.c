#include "analysis/cluster/ratio.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/blas.h"
#include "analysis/cluster/pieces.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { LANDMARKS = 512, FEWEST = 10, PIECE = 256 };
static const double penalty = 10, width = 0.6, jitter = 1e-6;

static uint64_t count_reference(const uint32_t *group, uint64_t images)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < images; i++)
		count += group[i] == 0;
	return count;
}

void ek_ratio_balance(double *weight, const uint32_t *group, uint64_t images)
{
	const uint64_t reference = count_reference(group, images);

	for (uint64_t i = 0; i < images; i++)
		weight[i] = (double)images / 2 / (double)(group[i] == 0 ? reference : images - reference);
}

/* The kernel's features: of a row, the inverse Cholesky factor of the landmarks' kernel times its kernel with each. */
struct features {
	const struct ek_probe_rows *rows;
	size_t k, m;       /* components; landmarks */
	double *landmarks; /* [m, k] of unit length */
	double *factor;    /* [m, m] */
	/* Of the rows that are mapped: */
	const float *x; /* [n, views, stride] */
	size_t views;
	uint64_t n;
	float *out;   /* [n, m] */
	double *room; /* [threads, PIECE, k + 2 m] */
};

/* The mean of a row's views, to unit length. */
static void unit_row(double *out, const struct features *f, const float *x)
{
	double squares = 0;

	for (size_t j = 0; j < f->k; j++) {
		out[j] = 0;
		for (size_t v = 0; v < f->views; v++)
			out[j] += (double)x[v * f->rows->stride + j];
		squares += out[j] * out[j];
	}
	for (size_t j = 0; j < f->k; j++)
		out[j] /= fmax(sqrt(squares), 1e-30);
}

/* Cosines [count] become the kernel. */
static void bend(double *cosine, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cosine[i] = exp((cosine[i] - 1) / width);
}

static int map_piece(void *context, uint64_t piece, int worker)
{
	const struct features *f = context;
	const uint64_t first = piece * PIECE, count = f->n - first < PIECE ? f->n - first : PIECE;
	double *unit = f->room + (size_t)worker * PIECE * (f->k + 2 * f->m);
	double *kernel = unit + PIECE * f->k, *features = kernel + PIECE * f->m;

	for (uint64_t i = 0; i < count; i++)
		unit_row(unit + i * f->k, f, f->x + (first + i) * f->views * f->rows->stride);
	ek_blas_multiply(kernel, unit, count, f->k, f->landmarks, f->m);
	bend(kernel, count * f->m);
	ek_blas_multiply(features, kernel, count, f->m, f->factor, f->m);
	for (size_t i = 0; i < count * f->m; i++)
		f->out[first * f->m + i] = (float)features[i];
	return ek_check_interrupt();
}

static int map_rows(float **out, struct features *f, const float *x, size_t views, uint64_t n)
{
	int before, rc;

	EK_TRY(ek_alloc(out, n * f->m, sizeof **out));
	f->out = *out;
	f->x = x;
	f->views = views;
	f->n = n;
	before = ek_blas_alone();
	rc = ek_pieces((n + PIECE - 1) / PIECE, map_piece, f, (double)n * (double)(f->m * (f->k + f->m)));
	ek_blas_together(before);
out:
	return rc;
}

/* Landmarks are the rows that are told apart, or as many of them, evenly spaced. */
static int prepare_features(struct features *f, const struct ek_probe_rows *rows)
{
	int rc;

	f->rows = rows;
	f->views = rows->views;
	f->k = rows->stride < EK_RATIO_COMPONENTS ? rows->stride : EK_RATIO_COMPONENTS;
	f->m = rows->images < LANDMARKS ? (size_t)rows->images : LANDMARKS;
	EK_TRY(ek_alloc(&f->landmarks, f->m * f->k, sizeof *f->landmarks));
	EK_TRY(ek_alloc(&f->factor, f->m * f->m, sizeof *f->factor));
	EK_TRY(ek_alloc(&f->room, (size_t)ek_threads() * PIECE * (f->k + 2 * f->m), sizeof *f->room));
	for (size_t l = 0; l < f->m; l++)
		unit_row(f->landmarks + l * f->k, f, rows->x + l * rows->images / f->m * rows->views * rows->stride);
	ek_blas_multiply(f->factor, f->landmarks, f->m, f->k, f->landmarks, f->m);
	bend(f->factor, f->m * f->m);
	for (size_t l = 0; l < f->m; l++)
		f->factor[l * f->m + l] += jitter;
	EK_TRY(ek_blas_whiten(f->factor, f->m, NULL));
out:
	return rc;
}

static void release_features(struct features *f)
{
	free(f->landmarks);
	free(f->factor);
	free(f->room);
}

/* q [n, 2] of rows and images in the kernel's features. */
static int tell_apart(float *q, const struct ek_probe_rows *rows, const uint64_t *ids, const float *x, uint64_t n,
                      uint64_t seed)
{
	struct features f = { 0 };
	struct ek_probe_rows mapped = *rows;
	float *learned = NULL, *all = NULL;
	int rc;

	EK_TRY(prepare_features(&f, rows));
	EK_TRY(map_rows(&learned, &f, rows->x, rows->views, rows->images));
	EK_TRY(map_rows(&all, &f, x, 1, n));
	mapped.x = learned;
	mapped.stride = f.m;
	mapped.views = 1;
	EK_TRY(ek_probe_cross(q, &mapped, ids, &(struct ek_probe_choice){ .c = penalty, .k = f.m, .views = 1 }, 1, all,
	                      n, f.m, seed));
out:
	release_features(&f);
	free(learned);
	free(all);
	return rc;
}

int ek_ratio(double *w, const struct ek_probe_rows *rows, const uint64_t *ids, const float *x, uint64_t n,
             uint64_t seed)
{
	const uint64_t reference = count_reference(rows->group, rows->images);
	float *q = NULL;
	int rc;

	if (reference < FEWEST || rows->images - reference < FEWEST)
		return ek_fail(EK_EDATA,
		               "%llu reference images and %llu of the run are too few to tell them apart: %d "
		               "at least",
		               (unsigned long long)reference, (unsigned long long)(rows->images - reference), FEWEST);
	EK_TRY(ek_alloc(&q, 2 * n, sizeof *q));
	EK_TRY(tell_apart(q, rows, ids, x, n, seed));
	for (uint64_t i = 0; i < n; i++) {
		const double ratio = (double)q[2 * i] / fmax((double)q[2 * i + 1], 1e-30);

		w[i] = fmin(fmax(ratio, 1 / EK_RATIO_MOST), EK_RATIO_MOST);
	}
out:
	free(q);
	return rc;
}
