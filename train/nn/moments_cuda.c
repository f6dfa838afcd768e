#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "train/nn/cuda_internal.h"
#include "train/nn/moments.h"
#include "train/nn/moments_cuda.h"
#include "train/nn/rows_cuda_internal.h"

/* cuSOLVER, by the part of its interface (cusolverDn.h, the same since CUDA 7) that is used: no header is needed. */
typedef void *solver_handle;
static struct {
	void *library;
	int looked_for;
	solver_handle handle;
	int (*create)(solver_handle *handle);
	int (*set_stream)(solver_handle handle, cudaStream_t stream);
	int (*syevd_room)(solver_handle handle, int vectors, int upper, int n, const double *a, int lda,
	                  const double *w, int *size);
	int (*syevd)(solver_handle handle, int vectors, int upper, int n, double *a, int lda, double *w, double *work,
	             int size, int *info);
	int (*gesvd_room)(solver_handle handle, int m, int n, int *size);
	int (*gesvd)(solver_handle handle, signed char u, signed char vt, int m, int n, double *a, int lda, double *s,
	             double *us, int ldu, double *vts, int ldvt, double *work, int size, double *rwork, int *info);
} solver;

static int find(void *out, const char *name)
{
	void *function = dlsym(solver.library, name);

	memcpy(out, &function, sizeof function);
	return function != NULL;
}

int ek_nn_solver_there(void)
{
	if (solver.looked_for || !ek_nn_rows_there())
		return solver.handle != NULL;
	solver.looked_for = 1;
	ek_cuda_enter();
	solver.library = ek_cuda_open_library(CUDART_VERSION >= 13000 ? "libcusolver.so.12" : "libcusolver.so.11");
	if (solver.library == NULL || !find(&solver.create, "cusolverDnCreate") ||
	    !find(&solver.set_stream, "cusolverDnSetStream") ||
	    !find(&solver.syevd_room, "cusolverDnDsyevd_bufferSize") || !find(&solver.syevd, "cusolverDnDsyevd") ||
	    !find(&solver.gesvd_room, "cusolverDnDgesvd_bufferSize") || !find(&solver.gesvd, "cusolverDnDgesvd"))
		return 0;
	if (solver.create(&solver.handle) != 0 || solver.set_stream(solver.handle, ek_cuda_stream()) != 0)
		solver.handle = NULL;
	return solver.handle != NULL;
}

/* A matrix on the GPU, with its values and room to work. */
struct matrix {
	double *a, *values, *work;
	int *info;
};

static int take_matrix(struct matrix *m, const double *a, size_t numbers, size_t values)
{
	int rc;

	EK_TRY(ek_cuda_alloc((void **)&m->a, numbers * sizeof *a));
	EK_TRY(ek_cuda_alloc((void **)&m->values, values * sizeof *a));
	EK_TRY(ek_cuda_alloc((void **)&m->info, sizeof *m->info));
	EK_TRY(ek_cuda_check(cudaMemcpyAsync(m->a, a, numbers * sizeof *a, cudaMemcpyHostToDevice, ek_cuda_stream()),
	                     "copying a matrix"));
out:
	return rc;
}

static void release_matrix(struct matrix *m)
{
	ek_cuda_release(m->a);
	ek_cuda_release(m->values);
	ek_cuda_release(m->work);
	ek_cuda_release(m->info);
}

/* `status` of the call that has made them. */
static int take_values(double *values, const struct matrix *m, size_t count, int status, const char *what)
{
	int info = 0, rc;

	EK_TRY(ek_cuda_check(
		cudaMemcpyAsync(values, m->values, count * sizeof *values, cudaMemcpyDeviceToHost, ek_cuda_stream()),
		"copying values"));
	EK_TRY(ek_cuda_check(cudaMemcpyAsync(&info, m->info, sizeof info, cudaMemcpyDeviceToHost, ek_cuda_stream()),
	                     "copying values"));
	EK_TRY(ek_cuda_wait());
	if (status != 0)
		rc = ek_fail(EK_ENOTSUP, "cuSOLVER failed at the %s values of a matrix: status %d", what, status);
	else if (info != 0)
		rc = ek_fail(EK_EDATA, "the %s values of a matrix were not found: not finite?", what);
out:
	return rc;
}

int ek_nn_eigenvalues(double *values, const double *a, size_t n)
{
	const int size = (int)n;
	struct matrix m = { NULL, NULL, NULL, NULL };
	int room = 0, status, rc;

	ek_cuda_enter();
	EK_TRY(take_matrix(&m, a, n * n, n));
	status = solver.syevd_room(solver.handle, 0, 0, size, m.a, size, m.values, &room);
	EK_TRY(ek_cuda_alloc((void **)&m.work, (size_t)room * sizeof *m.work));
	if (status == 0)
		status = solver.syevd(solver.handle, 0, 0, size, m.a, size, m.values, m.work, room, m.info);
	EK_TRY(take_values(values, &m, n, status, "eigen"));
out:
	release_matrix(&m);
	return rc;
}

/* A matrix by rows is its transpose by columns: of the same singular values; the solver wants it no wider than high. */
int ek_nn_singular_values(double *values, const double *a, size_t rows, size_t columns)
{
	const int high = (int)(rows > columns ? rows : columns), wide = (int)(rows > columns ? columns : rows);
	struct matrix m = { NULL, NULL, NULL, NULL };
	double *turned = NULL;
	int room = 0, status, rc;

	ek_cuda_enter();
	if (columns < rows) {
		EK_TRY(ek_alloc(&turned, rows * columns, sizeof *turned));
		for (size_t i = 0; i < rows; i++)
			for (size_t j = 0; j < columns; j++)
				turned[j * rows + i] = a[i * columns + j];
	}
	EK_TRY(take_matrix(&m, turned != NULL ? turned : a, rows * columns, (size_t)wide));
	status = solver.gesvd_room(solver.handle, high, wide, &room);
	EK_TRY(ek_cuda_alloc((void **)&m.work, (size_t)room * sizeof *m.work));
	if (status == 0)
		status = solver.gesvd(solver.handle, 'N', 'N', high, wide, m.a, high, m.values, NULL, high, NULL, wide,
		                      m.work, room, NULL, m.info);
	EK_TRY(take_values(values, &m, (size_t)wide, status, "singular"));
out:
	release_matrix(&m);
	free(turned);
	return rc;
}

/* Kept from call to call: a kernel distance is a hundred of them. */
static struct {
	float *x, *y;
	double *partial, *sums;
	size_t numbers, blocks;
} kept;

static int reserve(size_t numbers, size_t blocks)
{
	int rc = 0;

	if (kept.numbers >= numbers && kept.blocks >= blocks)
		return 0;
	EK_TRY(ek_cuda_wait());
	ek_cuda_release(kept.x);
	ek_cuda_release(kept.y);
	ek_cuda_release(kept.partial);
	kept.x = kept.y = NULL;
	kept.partial = NULL;
	kept.numbers = kept.blocks = 0;
	EK_TRY(ek_cuda_alloc((void **)&kept.x, numbers * sizeof *kept.x));
	EK_TRY(ek_cuda_alloc((void **)&kept.y, numbers * sizeof *kept.y));
	EK_TRY(ek_cuda_alloc((void **)&kept.partial, blocks * sizeof *kept.partial));
	EK_TRY(ek_resize(&kept.sums, blocks, sizeof *kept.sums));
	kept.numbers = numbers;
	kept.blocks = blocks;
out:
	return rc;
}

int ek_nn_kernel_sum(double *sum, const float *x, const float *y, size_t count, size_t d)
{
	const size_t blocks = ek_moments_blocks(count, y == NULL), bytes = count * d * sizeof *x;
	int rc;

	*sum = 0;
	ek_cuda_enter();
	EK_TRY(reserve(count * d, ek_moments_blocks(count, 0)));
	EK_TRY(ek_cuda_check(cudaMemcpyAsync(kept.x, x, bytes, cudaMemcpyHostToDevice, ek_cuda_stream()),
	                     "copying rows"));
	if (y != NULL)
		EK_TRY(ek_cuda_check(cudaMemcpyAsync(kept.y, y, bytes, cudaMemcpyHostToDevice, ek_cuda_stream()),
		                     "copying rows"));
	ek_moments_kernel(kept.partial, kept.x, y != NULL ? kept.y : NULL, count, d, ek_cuda_stream());
	EK_TRY(ek_cuda_launched("summing kernels"));
	EK_TRY(ek_cuda_check(cudaMemcpyAsync(kept.sums, kept.partial, blocks * sizeof *kept.sums,
	                                     cudaMemcpyDeviceToHost, ek_cuda_stream()),
	                     "copying sums"));
	EK_TRY(ek_cuda_wait());
	for (size_t i = 0; i < blocks; i++)
		*sum += kept.sums[i];
out:
	return rc;
}

int ek_nn_rows_outer(struct ek_nn_rows *r, double *out, const double *mean, const double *scale)
{
	const size_t bytes = r->d * r->d * sizeof *out;
	double *sum = NULL, *at = NULL, *by = NULL;
	int rc;

	ek_cuda_enter();
	EK_TRY(ek_cuda_alloc((void **)&sum, bytes));
	if (mean != NULL) {
		EK_TRY(ek_cuda_alloc((void **)&at, r->d * sizeof *at));
		EK_TRY(ek_rows_upload(at, mean, r->d * sizeof *at));
	}
	if (scale != NULL) {
		EK_TRY(ek_cuda_alloc((void **)&by, r->source.count * sizeof *by));
		EK_TRY(ek_rows_upload(by, scale, r->source.count * sizeof *by));
	}
	for (uint64_t first = 0; first < r->source.count; first += r->block) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_rows_load(r, first));
		ek_moments_outer(sum, r->x, at, by != NULL ? by + first : NULL, ek_rows_count_at(r, first), r->d,
		                 ek_cuda_stream());
	}
	EK_TRY(ek_cuda_launched("taking moments"));
	EK_TRY(ek_rows_download(out, sum, bytes));
	for (size_t i = 0; i < r->d; i++)
		for (size_t j = i + 1; j < r->d; j++)
			out[i * r->d + j] = out[j * r->d + i];
out:
	ek_cuda_release(sum);
	ek_cuda_release(at);
	ek_cuda_release(by);
	return rc;
}
