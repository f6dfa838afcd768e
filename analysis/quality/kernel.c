#include "analysis/quality/kernel.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/rows_device.h"
#include "analysis/quality/block.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/nn/moments.h"

/* Room for one subset of `s` rows a side. */
struct room {
	size_t s, d;
	double *x, *y;    /* [s, d] */
	double *gram;     /* [s, s] */
	int on_device;    /* 1: the others are not there, but: */
	float *x32, *y32; /* [s, d] */
};

static void release(struct room *r)
{
	free(r->x);
	free(r->y);
	free(r->gram);
	free(r->x32);
	free(r->y32);
}

static int allocate(struct room *r, size_t s, size_t d, int on_device)
{
	int rc;

	*r = (struct room){ .s = s, .d = d, .on_device = on_device };
	if (on_device) {
		EK_TRY(ek_alloc_aligned(&r->x32, s * d, sizeof *r->x32));
		EK_TRY(ek_alloc_aligned(&r->y32, s * d, sizeof *r->y32));
		return 0;
	}
	EK_TRY(ek_alloc_aligned(&r->x, s * d, sizeof *r->x));
	EK_TRY(ek_alloc_aligned(&r->y, s * d, sizeof *r->y));
	EK_TRY(ek_alloc_aligned(&r->gram, s * s, sizeof *r->gram));
out:
	return rc;
}

/* The sum of the kernel over all products but, if asked, those of a row with itself. */
static double sum_kernel(const struct room *r, int diagonal)
{
	double sum = 0;

	for (size_t i = 0; i < r->s; i++) {
		double row = 0;

		for (size_t j = 0; j < r->s; j++) {
			const double k = r->gram[i * r->s + j] / (double)r->d + 1;

			row += i == j && !diagonal ? 0 : k * k * k;
		}
		sum += row;
	}
	return sum;
}

static int mmd2_on_device(double *out, const struct room *r)
{
	const double s = (double)r->s;
	double x, y, both;
	int rc;

	EK_TRY(ek_nn_kernel_sum(&x, r->x32, NULL, r->s, r->d));
	EK_TRY(ek_nn_kernel_sum(&y, r->y32, NULL, r->s, r->d));
	EK_TRY(ek_nn_kernel_sum(&both, r->x32, r->y32, r->s, r->d));
	*out = (x + y) / (s * (s - 1)) - 2 * both / (s * s);
out:
	return rc;
}

static int mmd2(double *out, const struct room *r)
{
	const double s = (double)r->s;
	double same;
	int rc;

	if (r->on_device)
		return mmd2_on_device(out, r);
	EK_TRY(ek_block_gram(r->gram, r->x, r->s, r->d));
	same = sum_kernel(r, 0);
	EK_TRY(ek_block_gram(r->gram, r->y, r->s, r->d));
	same += sum_kernel(r, 0);
	EK_TRY(ek_block_multiply(r->gram, r->x, r->s, r->y, r->s, r->d, 0));
	*out = same / (s * (s - 1)) - 2 * sum_kernel(r, 1) / (s * s);
out:
	return rc;
}

/* Also that no number is not finite. */
static int check(const struct ek_rows *x, const struct ek_rows *y)
{
	double *mean = NULL;
	int rc;

	EK_TRY(ek_block_same_dimensions(x->dimensions, y->dimensions));
	if (x->count < 2 || y->count < 2) {
		rc = ek_fail(EK_EDATA, "a kernel distance of %llu and %llu rows, at least 2 are needed",
		             (unsigned long long)x->count, (unsigned long long)y->count);
		goto out;
	}
	EK_TRY(ek_alloc(&mean, x->dimensions, sizeof *mean));
	EK_TRY(ek_rows_mean(mean, x));
	EK_TRY(ek_rows_mean(mean, y));
out:
	free(mean);
	return rc;
}

/* To one of the two. */
static int draw(double *out, float *out32, const struct ek_rows *rows, uint64_t size, uint64_t seed, uint64_t stream)
{
	struct ek_rows drawn;
	uint64_t *ids = NULL;
	int rc;

	EK_TRY(ek_block_draw(&drawn, &ids, rows, size, seed, stream));
	if (out32 != NULL)
		EK_TRY(ek_rows_read_many(out32, &drawn, 0, size));
	else
		EK_TRY(ek_block_read(out, &drawn, 0, size, NULL, NULL));
out:
	free(ids);
	return rc;
}

int ek_kid(struct ek_kid *out, const struct ek_rows *x, const struct ek_rows *y, const struct ek_kid_options *options)
{
	const uint64_t smaller = x->count < y->count ? x->count : y->count;
	const uint64_t s = options->subset_size < smaller ? options->subset_size : smaller;
	const uint64_t stream[2] = { ek_random_stream("kid x"), ek_random_stream("kid y") };
	double *values = NULL, square = 0;
	struct room r = { 0 };
	int rc;

	*out = (struct ek_kid){ .subsets = options->subsets, .subset_size = s };
	if (options->subsets < 1 || options->subset_size < 2)
		return ek_fail(EK_EUSAGE, "%u subsets of %llu rows, at least 1 of 2 are needed", options->subsets,
		               (unsigned long long)options->subset_size);
	EK_TRY(check(x, y));
	EK_TRY(ek_alloc(&values, options->subsets, sizeof *values));
	EK_TRY(allocate(&r, (size_t)s, x->dimensions, ek_rows_worth_device(3 * s, s, x->dimensions)));
	ek_progress_begin("kernel distance", "subsets", options->subsets);
	for (uint32_t i = 0; i < options->subsets && rc == 0; i++) {
		if ((rc = ek_check_interrupt()) == 0 &&
		    (rc = draw(r.x, r.x32, x, s, options->seed, stream[0] + i)) == 0 &&
		    (rc = draw(r.y, r.y32, y, s, options->seed, stream[1] + i)) == 0)
			rc = mmd2(&values[i], &r);
		out->mean += values[i];
		ek_progress_add(1);
	}
	ek_progress_end();
	out->mean /= options->subsets;
	for (uint32_t i = 0; i < options->subsets; i++)
		square += (values[i] - out->mean) * (values[i] - out->mean);
	out->std = sqrt(square / options->subsets);
out:
	release(&r);
	free(values);
	return rc;
}
