#include "analysis/cluster/blas.h"

#include <cblas.h>
#include <lapack.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { PANEL = 64 };

int ek_blas_alone(void)
{
	const int before = omp_get_max_threads();

	omp_set_num_threads(1);
	return before;
}

void ek_blas_together(int before)
{
	omp_set_num_threads(before);
}

struct job {
	double *out;
	const double *x;
	size_t count, d;
};

/* Rows of the gram matrix from the diagonal on. */
static int add_panel(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const size_t from = (size_t)piece * PANEL, width = job->d - from < PANEL ? job->d - from : PANEL;
	const int d = (int)job->d, before = ek_blas_alone();

	(void)worker;
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)width, d - (int)from, (int)job->count, 1,
	            job->x + from, d, job->x + from, d, 1, job->out + from * job->d + from, d);
	ek_blas_together(before);
	return 0;
}

int ek_blas_add_gram(double *a, const double *x, size_t count, size_t d)
{
	struct job job = { .out = a, .x = x, .count = count, .d = d };

	return ek_pieces((d + PANEL - 1) / PANEL, add_panel, &job, (double)count * (double)d * (double)d / 2);
}

void ek_blas_mirror(double *a, size_t d)
{
	for (size_t i = 0; i < d; i++)
		for (size_t j = 0; j < i; j++)
			a[i * d + j] = a[j * d + i];
}

void ek_blas_multiply(double *out, const double *x, size_t count, size_t d, const double *axes, size_t k)
{
	const int before = ek_blas_alone();

	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)k, (int)d, 1, x, (int)d, axes, (int)d, 0,
	            out, (int)k);
	ek_blas_together(before);
}

static void fix_sign(double *vector, size_t d)
{
	size_t most = 0;

	for (size_t j = 1; j < d; j++)
		most = fabs(vector[j]) > fabs(vector[most]) ? j : most;
	if (vector[most] < 0)
		for (size_t j = 0; j < d; j++)
			vector[j] = -vector[j];
}

/* a becomes l^-1 a l'^-1 for b = l l'. What is row-major above the diagonal is below it by columns. */
static int reduce(double *a, double *b, lapack_int n)
{
	const lapack_int type = 1;
	lapack_int info;

	LAPACK_dpotrf("L", &n, b, &n, &info);
	if (info == 0)
		LAPACK_dsygst(&type, "L", &n, a, &n, b, &n, &info);
	return info == 0 ? 0 : ek_fail(EK_EDATA, "a matrix of %d dimensions is not positive definite", (int)n);
}

/* As LAPACK gives them: rising, [k, d]. */
static int solve(double *values, double *vectors, size_t k, double *a, size_t d)
{
	const lapack_int n = (lapack_int)d, last = n, first = n - (lapack_int)k + 1, ask = -1;
	lapack_int found, info, work_size, iwork_size = 0, *iwork = NULL, *support = NULL;
	double wanted = 0, *all = NULL, *work = NULL;
	const double none = 0;
	int rc;

	EK_TRY(ek_alloc(&all, d, sizeof *all));
	EK_TRY(ek_alloc(&support, 2 * d, sizeof *support));
	LAPACK_dsyevr("V", "I", "L", &n, a, &n, &none, &none, &first, &last, &none, &found, all, vectors, &n, support,
	              &wanted, &ask, &iwork_size, &ask, &info);
	work_size = (lapack_int)wanted;
	EK_TRY(ek_alloc(&work, (size_t)work_size, sizeof *work));
	EK_TRY(ek_alloc(&iwork, (size_t)iwork_size, sizeof *iwork));
	LAPACK_dsyevr("V", "I", "L", &n, a, &n, &none, &none, &first, &last, &none, &found, all, vectors, &n, support,
	              work, &work_size, iwork, &iwork_size, &info);
	if (info != 0 || found != (lapack_int)k)
		rc = ek_fail(EK_EDATA, "the eigenvectors of a matrix of %zu dimensions were not found", d);
	else
		memcpy(values, all, k * sizeof *values);
out:
	free(all);
	free(support);
	free(work);
	free(iwork);
	return rc;
}

int ek_blas_eigen(double *values, double *vectors, size_t k, double *a, double *b, size_t d)
{
	const int before = ek_blas_alone(), n = (int)d;
	double swap;
	int rc;

	if (b != NULL)
		EK_TRY(reduce(a, b, n));
	EK_TRY(solve(values, vectors, k, a, d));
	if (b != NULL) /* by columns: u = l'^-1 y, each vector a column */
		cblas_dtrsm(CblasColMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, n, (int)k, 1, b, n, vectors,
		            n);
	for (size_t c = 0; c < k; c++)
		fix_sign(vectors + c * d, d);
	for (size_t c = 0; c < k / 2; c++) {
		double *x = vectors + c * d, *y = vectors + (k - 1 - c) * d;

		swap = values[c], values[c] = values[k - 1 - c], values[k - 1 - c] = swap;
		for (size_t j = 0; j < d; j++)
			swap = x[j], x[j] = y[j], y[j] = swap;
	}
out:
	ek_blas_together(before);
	return rc;
}

int ek_blas_whiten(double *a, size_t d, double *log_det)
{
	const lapack_int n = (lapack_int)d;
	const int before = ek_blas_alone();
	lapack_int info;
	double sum = 0;

	/* Row-major lower is by columns the upper triangle: a = u' u, l = u'^-1 row-major lower. */
	ek_blas_mirror(a, d);
	LAPACK_dpotrf("U", &n, a, &n, &info);
	for (size_t j = 0; info == 0 && j < d; j++)
		sum += 2 * log(a[j * d + j]);
	if (info == 0)
		LAPACK_dtrtri("U", "N", &n, a, &n, &info);
	ek_blas_together(before);
	if (info != 0)
		return ek_fail(EK_EDATA, "a matrix of %zu dimensions is not positive definite", d);
	for (size_t i = 0; i < d; i++)
		for (size_t j = i + 1; j < d; j++)
			a[i * d + j] = 0;
	if (log_det != NULL)
		*log_det = sum;
	return 0;
}
