/* In place of moments_cuda.c in a build without CUDA. */
#include "rebalance/base/error.h"
#include "train/nn/moments.h"

static int none(void)
{
	return ek_fail(EK_ENOTSUP, "moments are taken by the processor alone in this build");
}

int ek_nn_rows_outer(struct ek_nn_rows *rows, double *out, const double *mean, const double *scale)
{
	(void)rows, (void)out, (void)mean, (void)scale;
	return none();
}

int ek_nn_kernel_sum(double *sum, const float *x, const float *y, size_t count, size_t d)
{
	(void)sum, (void)x, (void)y, (void)count, (void)d;
	return none();
}

int ek_nn_solver_there(void)
{
	return 0;
}

int ek_nn_eigenvalues(double *values, const double *a, size_t n)
{
	(void)values, (void)a, (void)n;
	return none();
}

int ek_nn_singular_values(double *values, const double *a, size_t rows, size_t columns)
{
	(void)values, (void)a, (void)rows, (void)columns;
	return none();
}
