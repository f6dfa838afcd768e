#include "analysis/quality/diversity.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/quality/block.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

/* Eigenvalues up to this are rounding errors of zero. */
#define LEAST 1e-12

/* What brings each row to length sqrt(weight): 0 for a row of zeros. */
static int scales(double *scale, const struct ek_rows *rows, const double *weights)
{
	float *room = NULL;
	double *mean = NULL, total = 0;
	int rc;

	EK_TRY(ek_alloc(&room, rows->dimensions, sizeof *room));
	EK_TRY(ek_alloc(&mean, rows->dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, rows));
	for (uint64_t i = 0; i < rows->count; i++) {
		if (weights != NULL && !(weights[i] >= 0 && isfinite(weights[i]))) {
			rc = ek_fail(EK_EDATA, "the weight of row %llu is %g", (unsigned long long)i, weights[i]);
			goto out;
		}
		total += weights != NULL ? weights[i] : 1;
	}
	if (!(total > 0)) {
		rc = ek_fail(EK_EDATA, "%llu rows, none with a weight", (unsigned long long)rows->count);
		goto out;
	}
	for (uint64_t i = 0; i < rows->count; i++) {
		const float *row = ek_rows_at(rows, i, room);
		double square = 0;

		for (size_t j = 0; j < rows->dimensions; j++)
			square += (double)row[j] * (double)row[j];
		scale[i] = square > 0 ? sqrt((weights != NULL ? weights[i] : 1) / total / square) : 0;
	}
out:
	free(room);
	free(mean);
	return rc;
}

static double score(const double *l, size_t count, double order)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (!(l[i] > LEAST))
			continue;
		if (isinf(order))
			sum = fmax(sum, l[i]);
		else
			sum += order == 1 ? -l[i] * log(l[i]) : pow(l[i], order);
	}
	return isinf(order) ? 1 / sum : order == 1 ? exp(sum) : pow(sum, 1 / (1 - order));
}

int ek_vendi(double *out, const struct ek_rows *rows, const double *weights, double order)
{
	const size_t d = rows->dimensions, n = rows->count < d ? (size_t)rows->count : d;
	struct ek_rows plain = *rows;
	double *scale = NULL, *z = NULL, *matrix = NULL, *values = NULL;
	int rc;

	*out = 0;
	if (!(order >= 0))
		return ek_fail(EK_EUSAGE, "a Vendi score of order %g, expected 0 or more", order);
	plain.unit = 0; /* lengths are taken in float64 */
	EK_TRY(ek_alloc(&scale, rows->count, sizeof *scale));
	EK_TRY(scales(scale, &plain, weights));
	EK_TRY(ek_alloc_aligned(&matrix, n * n, sizeof *matrix));
	EK_TRY(ek_alloc(&values, n, sizeof *values));
	if (n < d) {
		EK_TRY(ek_alloc_aligned(&z, n * d, sizeof *z));
		EK_TRY(ek_block_read(z, &plain, 0, rows->count, NULL, scale));
		EK_TRY(ek_block_gram(matrix, z, n, d));
	} else {
		EK_TRY(ek_block_outer(matrix, &plain, NULL, scale));
	}
	EK_TRY(ek_block_eigen(values, matrix, n, 0));
	if (!(values[n - 1] > LEAST)) {
		rc = ek_fail(EK_EDATA, "every row with a weight is all zeros");
		goto out;
	}
	*out = score(values, n, order);
out:
	free(scale);
	free(z);
	free(matrix);
	free(values);
	return rc;
}

/* A random order of 0 … n-1: the last of what is left changes places with one of them (Fisher and Yates). */
static void shuffle(uint64_t *order, uint64_t n, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("inception score");

	for (uint64_t i = 0; i < n; i++)
		order[i] = i;
	for (uint64_t i = n; i > 1; i--) {
		const uint64_t j = ek_random_below(seed, stream, i, i), other = order[j];

		order[j] = order[i - 1];
		order[i - 1] = other;
	}
}

/* p and log p: [classes], of the softmax of a row. */
static void softmax(double *p, double *log_p, const float *row, size_t classes)
{
	double largest = (double)row[0], sum = 0;

	for (size_t j = 1; j < classes; j++)
		largest = fmax(largest, (double)row[j]);
	for (size_t j = 0; j < classes; j++)
		sum += exp((double)row[j] - largest);
	for (size_t j = 0; j < classes; j++) {
		log_p[j] = (double)row[j] - largest - log(sum);
		p[j] = exp(log_p[j]);
	}
}

/* exp of the mean of KL(p | mean p) = mean of sum p log p, less sum of mean p log mean p. */
static double split_score(const struct ek_rows *logits, const uint64_t *order, uint64_t count, double *work,
                          float *room)
{
	const size_t classes = logits->dimensions;
	double *p = work, *log_p = work + classes, *mean = work + 2 * classes, sum = 0;

	for (size_t j = 0; j < classes; j++)
		mean[j] = 0;
	for (uint64_t i = 0; i < count; i++) {
		double entropy = 0;

		softmax(p, log_p, ek_rows_at(logits, order[i], room), classes);
		for (size_t j = 0; j < classes; j++) {
			mean[j] += p[j] / (double)count;
			entropy += p[j] > 0 ? p[j] * log_p[j] : 0;
		}
		sum += entropy / (double)count;
	}
	for (size_t j = 0; j < classes; j++)
		sum -= mean[j] > 0 ? mean[j] * log(mean[j]) : 0;
	return exp(sum);
}

int ek_inception_score(struct ek_inception_score *out, const struct ek_rows *logits, uint32_t splits, uint64_t seed)
{
	const uint64_t n = logits->count;
	double *work = NULL, *values = NULL, square = 0;
	uint64_t *order = NULL;
	float *room = NULL;
	int rc;

	*out = (struct ek_inception_score){ .splits = splits };
	if (splits < 1)
		return ek_fail(EK_EUSAGE, "an Inception score of no splits");
	if (n < splits)
		return ek_fail(EK_EDATA, "%llu rows cannot be cut into %u splits", (unsigned long long)n, splits);
	EK_TRY(ek_alloc(&work, 3 * logits->dimensions, sizeof *work));
	EK_TRY(ek_alloc(&values, splits, sizeof *values));
	EK_TRY(ek_alloc(&order, n, sizeof *order));
	EK_TRY(ek_alloc(&room, logits->dimensions, sizeof *room));
	EK_TRY(ek_rows_mean(work, logits));
	shuffle(order, n, seed);
	for (uint32_t i = 0; i < splits; i++) {
		const uint64_t begin = i * n / splits, end = (i + UINT64_C(1)) * n / splits;

		out->mean += values[i] = split_score(logits, order + begin, end - begin, work, room);
	}
	out->mean /= splits;
	for (uint32_t i = 0; i < splits; i++)
		square += (values[i] - out->mean) * (values[i] - out->mean);
	out->std = sqrt(square / splits);
out:
	free(work);
	free(values);
	free(order);
	free(room);
	return rc;
}
