#include "analysis/cluster/coordinates.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/blas.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { BLOCK = 512 };

/* A component whose variance is so small beside the largest is rounding. */
static const double least_spread = 1e-9;

/* Rows [first, first + count) less the mean, to out; transposed: [d, count] instead of [count, d]. */
static void centre(double *out, const struct ek_rows *rows, uint64_t first, size_t count, const double *mean,
                   float *room, int transposed)
{
	const size_t d = rows->dimensions;

	for (size_t i = 0; i < count; i++) {
		const float *row = ek_rows_at(rows, first + i, room);

		for (size_t j = 0; j < d; j++)
			out[transposed ? j * count + i : i * d + j] = (double)row[j] - mean[j];
	}
}

/* Rows are no more than dimensions: by the Gram matrix [n, n], whose vectors are the coordinates but for their scale.
 */
static int by_gram(float *out, size_t *k, const struct ek_rows *rows, const double *mean, float *room, double *values)
{
	const size_t n = (size_t)rows->count, d = rows->dimensions, most = *k;
	double *x = NULL, *gram = NULL, *vectors = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, n * d, sizeof *x));
	EK_TRY(ek_alloc(&gram, n * n, sizeof *gram));
	EK_TRY(ek_alloc(&vectors, most * n, sizeof *vectors));
	centre(x, rows, 0, n, mean, room, 1);
	EK_TRY(ek_blas_add_gram(gram, x, d, n));
	EK_TRY(ek_blas_eigen(values, vectors, most, gram, NULL, n));
	for (*k = 0; *k < most && values[*k] > least_spread * values[0]; ++*k)
		;
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < *k; c++)
			out[i * *k + c] = (float)(vectors[c * n + i] * sqrt(values[c]));
out:
	free(x);
	free(gram);
	free(vectors);
	return rc;
}

static int by_covariance(float *out, size_t *k, const struct ek_rows *rows, const double *mean, float *room,
                         double *values)
{
	const size_t d = rows->dimensions, most = *k;
	double *x = NULL, *covariance = NULL, *axes = NULL, *y = NULL;
	int rc;

	EK_TRY(ek_alloc(&x, BLOCK * d, sizeof *x));
	EK_TRY(ek_alloc(&covariance, d * d, sizeof *covariance));
	EK_TRY(ek_alloc(&axes, most * d, sizeof *axes));
	EK_TRY(ek_alloc(&y, BLOCK * most, sizeof *y));
	for (uint64_t first = 0; first < rows->count; first += BLOCK) {
		const size_t count = (size_t)(rows->count - first < BLOCK ? rows->count - first : BLOCK);

		EK_TRY(ek_check_interrupt());
		centre(x, rows, first, count, mean, room, 0);
		EK_TRY(ek_blas_add_gram(covariance, x, count, d));
	}
	EK_TRY(ek_blas_eigen(values, axes, most, covariance, NULL, d));
	for (*k = 0; *k < most && values[*k] > least_spread * values[0]; ++*k)
		;
	for (uint64_t first = 0; first < rows->count; first += BLOCK) {
		const size_t count = (size_t)(rows->count - first < BLOCK ? rows->count - first : BLOCK);

		EK_TRY(ek_check_interrupt());
		centre(x, rows, first, count, mean, room, 0);
		ek_blas_multiply(y, x, count, d, axes, *k);
		for (size_t i = 0; i < count * *k; i++)
			out[first * *k + i] = (float)y[i];
	}
out:
	free(x);
	free(covariance);
	free(axes);
	free(y);
	return rc;
}

int ek_coordinates(float **out, size_t *k, const struct ek_rows *rows, size_t most)
{
	const size_t d = rows->dimensions;
	const int few = rows->count <= d;
	double *mean = NULL, *values = NULL;
	float *room = NULL;
	int rc;

	*out = NULL;
	*k = 0;
	if (rows->count < 2)
		return ek_fail(EK_EDATA, "%llu images have no principal components", (unsigned long long)rows->count);
	*k = most < d ? most : d;
	*k = rows->count - 1 < *k ? (size_t)rows->count - 1 : *k;
	EK_TRY(ek_alloc(&mean, d, sizeof *mean));
	EK_TRY(ek_alloc(&room, d, sizeof *room));
	EK_TRY(ek_alloc(&values, *k, sizeof *values));
	EK_TRY(ek_alloc(out, (size_t)rows->count * *k, sizeof **out));
	EK_TRY(ek_rows_mean(mean, rows));
	EK_TRY(few ? by_gram(*out, k, rows, mean, room, values) : by_covariance(*out, k, rows, mean, room, values));
	if (!(values[0] > 0) || *k == 0)
		rc = ek_fail(EK_EDATA, "the embeddings of %llu images do not differ", (unsigned long long)rows->count);
out:
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	free(mean);
	free(room);
	free(values);
	return rc;
}
