/*
 * Roots: a covariance is F'F for many F, and tr((S1 S2)^(1/2)) is the sum of the singular values of F1 F2'. F is the
 * centred rows where they are few, else the Cholesky factor, else, where that does not exist, eigenvectors by roots of
 * eigenvalues.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/quality/block.h"
#include "analysis/quality/gaussian.h"
#include "analysis/quality/lapack.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/nn/moments.h"

/* The distance's relative error that its eigenvalues may cause. */
#define TOLERANCE 1e-6

enum { LARGE = 512 }; /* from here on a GPU is faster, where there is one */

struct root {
	size_t d, count;
	double *mean;   /* [d], owned */
	double *memory; /* owned */
	double *rows;   /* [count, d] in it */
	double trace;   /* of the covariance */
	int triangular; /* count = d, and zeros left of the diagonal */
};

static void release(struct root *r)
{
	free(r->mean);
	free(r->memory);
	*r = (struct root){ 0 };
}

/* 1 if the covariance has a Cholesky factor of full rank, which then replaces it. */
static int factor(double *a, size_t d)
{
	const int n = (int)d, before = ek_blas_enter();
	double smallest = INFINITY, largest = 0;
	int info;

	dpotrf_("L", &n, a, &n, &info, 1);
	ek_blas_leave(before);
	if (info != 0)
		return 0;
	for (size_t i = 0; i < d; i++) {
		smallest = fmin(smallest, a[i * d + i]);
		largest = fmax(largest, a[i * d + i]);
		memset(a + i * d, 0, i * sizeof *a);
	}
	return smallest * smallest > (double)d * DBL_EPSILON * largest * largest;
}

/* Eigenvalues that are rounding errors (as NumPy's matrix_rank has it) are left out. */
static int decompose(struct root *r)
{
	double *values = NULL, most;
	size_t first = 0;
	int rc;

	EK_TRY(ek_alloc(&values, r->d, sizeof *values));
	EK_TRY(ek_block_eigen(values, r->memory, r->d, 1));
	most = fmax(values[r->d - 1], 0);
	/* A matrix that was rounded to float32 may have such eigenvalues, a covariance no lower ones. */
	if (values[0] < -sqrt((double)r->d) * (double)FLT_EPSILON * most || values[r->d - 1] < 0) {
		rc = ek_fail(EK_EDATA, "no covariance matrix: it has the eigenvalues %g and %g", values[0],
		             values[r->d - 1]);
		goto out;
	}
	while (first < r->d && values[first] <= (double)r->d * DBL_EPSILON * most)
		first++;
	for (size_t i = first; i < r->d; i++)
		for (size_t j = 0; j < r->d; j++)
			r->memory[i * r->d + j] *= sqrt(values[i]);
	r->rows = r->memory + first * r->d;
	r->count = r->d - first;
out:
	free(values);
	return rc;
}

static int root_of(struct root *r, const struct ek_gaussian *g)
{
	const size_t size = g->d * g->d * sizeof *r->memory;
	int rc;

	*r = (struct root){ .d = g->d, .count = g->d };
	EK_TRY(ek_alloc(&r->mean, g->d, sizeof *r->mean));
	EK_TRY(ek_alloc_aligned(&r->memory, g->d * g->d, sizeof *r->memory));
	memcpy(r->mean, g->mean, g->d * sizeof *r->mean);
	for (size_t i = 0; i < g->d; i++)
		r->trace += g->covariance[i * g->d + i];
	r->rows = r->memory;
	memcpy(r->memory, g->covariance, size);
	r->triangular = factor(r->memory, g->d);
	if (r->triangular)
		return 0;
	memcpy(r->memory, g->covariance, size);
	EK_TRY(decompose(r));
out:
	return rc;
}

static int root_of_rows(struct root *r, const struct ek_rows *rows)
{
	const size_t d = rows->dimensions;
	struct ek_gaussian g = { 0 };
	double scale;
	int rc;

	*r = (struct root){ .d = d, .count = (size_t)rows->count };
	if (rows->count >= d || rows->count < 2) {
		if ((rc = ek_gaussian_of(&g, rows)) == 0)
			rc = root_of(r, &g);
		ek_gaussian_release(&g);
		return rc;
	}
	EK_TRY(ek_alloc(&r->mean, d, sizeof *r->mean));
	EK_TRY(ek_alloc_aligned(&r->memory, r->count * d, sizeof *r->memory));
	EK_TRY(ek_rows_mean(r->mean, rows));
	r->rows = r->memory;
	EK_TRY(ek_block_read(r->rows, rows, 0, rows->count, r->mean, NULL));
	scale = 1 / sqrt((double)(rows->count - 1));
	for (size_t i = 0; i < r->count * d; i++) {
		r->rows[i] *= scale;
		r->trace += r->rows[i] * r->rows[i];
	}
out:
	return rc;
}

/* The sum of the singular values of x [n, m], which is destroyed. */
static int sum_singular(double *out, double *x, size_t rows, size_t columns)
{
	const int n = (int)rows, m = (int)columns, least = n < m ? n : m, ask = -1, before = ek_blas_enter();
	double wanted = 0, *s = NULL, *work = NULL;
	int work_size, info = 0, *iwork = NULL, rc;

	*out = 0;
	EK_TRY(ek_alloc(&s, (size_t)least, sizeof *s));
	if (least >= LARGE && ek_nn_solver_there()) {
		EK_TRY(ek_nn_singular_values(s, x, rows, columns));
		goto sum;
	}
	EK_TRY(ek_alloc(&iwork, 8 * (size_t)least, sizeof *iwork));
	dgesdd_("N", &m, &n, x, &m, s, NULL, &m, NULL, &m, &wanted, &ask, iwork, &info, 1);
	work_size = (int)wanted;
	EK_TRY(ek_alloc_aligned(&work, (size_t)work_size, sizeof *work));
	dgesdd_("N", &m, &n, x, &m, s, NULL, &m, NULL, &m, work, &work_size, iwork, &info, 1);
	if (info != 0)
		rc = ek_fail(EK_EDATA, "the singular values of a %d x %d matrix were not found: not finite?", n, m);
sum:
	for (int i = least - 1; i >= 0; i--)
		*out += s[i];
out:
	ek_blas_leave(before);
	free(s);
	free(iwork);
	free(work);
	return rc;
}

/* The same for a square x as the roots of the eigenvalues of x x', some three times as fast. *error: what rounding can
 * do to it, an eigenvalue being off by the last bit of the largest. */
static int sum_roots(double *out, double *error, const double *x, size_t n)
{
	double *gram = NULL, *values = NULL;
	int rc;

	*out = *error = 0;
	EK_TRY(ek_alloc_aligned(&gram, n * n, sizeof *gram));
	EK_TRY(ek_alloc(&values, n, sizeof *values));
	EK_TRY(ek_block_gram(gram, x, n, n));
	EK_TRY(ek_block_eigen(values, gram, n, 0));
	for (size_t i = 0; i < n; i++) {
		const double root = sqrt(fmax(values[i], 0)), off = DBL_EPSILON * values[n - 1];

		*out += root;
		*error += off / fmax(2 * root, sqrt(off));
	}
out:
	free(gram);
	free(values);
	return rc;
}

static int same(const struct root *a, const struct root *b)
{
	return a->count == b->count && memcmp(a->mean, b->mean, a->d * sizeof *a->mean) == 0 &&
	       memcmp(a->rows, b->rows, a->count * a->d * sizeof *a->rows) == 0;
}

static int distance(double *out, const struct root *a, const struct root *b)
{
	const int triangular = a->triangular && b->triangular;
	double rest = a->trace + b->trace, sum = 0, error = 0, *x = NULL;
	int rc;

	*out = 0;
	if (same(a, b))
		return 0;
	for (size_t i = 0; i < a->d; i++)
		rest += (a->mean[i] - b->mean[i]) * (a->mean[i] - b->mean[i]);
	*out = rest;
	if (a->count == 0 || b->count == 0)
		return 0;
	EK_TRY(ek_alloc_aligned(&x, a->count * b->count, sizeof *x));
	EK_TRY(ek_block_multiply(x, a->rows, a->count, b->rows, b->count, a->d, triangular));
	if (triangular)
		EK_TRY(sum_roots(&sum, &error, x, a->count));
	if (!triangular || !(2 * error < TOLERANCE * (rest - 2 * sum)))
		EK_TRY(sum_singular(&sum, x, a->count, b->count));
	/* Of equal distributions rounding may leave less than nothing. */
	*out = fmax(rest - 2 * sum, 0);
out:
	free(x);
	return rc;
}

struct pair {
	const struct ek_gaussian *gaussian[2];
	struct root root[2];
};

static int root_of_one(void *context, uint64_t i, int worker)
{
	struct pair *pair = context;

	(void)worker;
	return root_of(&pair->root[i], pair->gaussian[i]);
}

int ek_frechet(double *out, const struct ek_gaussian *a, const struct ek_gaussian *b)
{
	struct pair pair = { .gaussian = { a, b } };
	int rc;

	*out = 0;
	EK_TRY(ek_block_same_dimensions(a->d, b->d));
	EK_TRY(ek_pieces(2, root_of_one, &pair, (double)a->d * (double)a->d * (double)a->d));
	EK_TRY(distance(out, &pair.root[0], &pair.root[1]));
out:
	release(&pair.root[0]);
	release(&pair.root[1]);
	return rc;
}

int ek_frechet_of_rows(double *out, const struct ek_rows *a, const struct ek_rows *b)
{
	struct root x = { 0 }, y = { 0 };
	int rc;

	*out = 0;
	EK_TRY(ek_block_same_dimensions(a->dimensions, b->dimensions));
	EK_TRY(root_of_rows(&x, a));
	EK_TRY(root_of_rows(&y, b));
	EK_TRY(distance(out, &x, &y));
out:
	release(&x);
	release(&y);
	return rc;
}

/* The distance of the reference to `size` rows drawn of the generated ones. */
static int distance_of_draw(double *out, const struct root *reference, const struct ek_rows *generated, uint64_t size,
                            uint64_t seed, uint64_t stream)
{
	struct ek_rows drawn;
	struct root y = { 0 };
	uint64_t *ids = NULL;
	int rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_block_draw(&drawn, &ids, generated, size, seed, stream));
	EK_TRY(root_of_rows(&y, &drawn));
	EK_TRY(distance(out, reference, &y));
out:
	release(&y);
	free(ids);
	return rc;
}

/* Least squares of y on x: *slope, and the value at 0. */
static double intercept(double *slope, const double *x, const double *y, uint32_t count)
{
	double mx = 0, my = 0, xx = 0, xy = 0;

	for (uint32_t i = 0; i < count; i++) {
		mx += x[i] / count;
		my += y[i] / count;
	}
	for (uint32_t i = 0; i < count; i++) {
		xx += (x[i] - mx) * (x[i] - mx);
		xy += (x[i] - mx) * (y[i] - my);
	}
	*slope = xy / xx;
	return my - *slope * mx;
}

int ek_frechet_infinity(struct ek_frechet_infinity *out, const struct ek_rows *reference,
                        const struct ek_rows *generated, uint32_t sizes, uint64_t seed)
{
	const uint64_t m = generated->count, tenth = m / 10 > 2 ? m / 10 : 2, least = tenth < 5000 ? tenth : 5000;
	const uint64_t stream = ek_random_stream("frechet infinity");
	double *inverse = NULL, *value = NULL;
	struct root x = { 0 };
	int rc;

	*out = (struct ek_frechet_infinity){ .sizes = sizes, .smallest = least, .largest = m };
	if (sizes < 2)
		return ek_fail(EK_EUSAGE, "a line through %u sizes, at least 2 are needed", sizes);
	if (m < 4)
		return ek_fail(EK_EDATA, "%llu generated rows, at least 4 are needed", (unsigned long long)m);
	EK_TRY(ek_block_same_dimensions(reference->dimensions, generated->dimensions));
	EK_TRY(ek_alloc(&inverse, sizes, sizeof *inverse));
	EK_TRY(ek_alloc(&value, sizes, sizeof *value));
	EK_TRY(root_of_rows(&x, reference));
	ek_progress_begin("FD-infinity", "distances", sizes);
	for (uint32_t i = 0; i < sizes && rc == 0; i++) {
		const uint64_t size = least + (m - least) * i / (sizes - 1);

		rc = distance_of_draw(&value[i], &x, generated, size, seed, stream + i);
		inverse[i] = 1 / (double)size;
		ek_progress_add(1);
	}
	ek_progress_end();
	if (rc == 0)
		out->value = intercept(&out->slope, inverse, value, sizes);
out:
	release(&x);
	free(inverse);
	free(value);
	return rc;
}
