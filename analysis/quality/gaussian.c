#include "analysis/quality/gaussian.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/block.h"
#include "rebalance/base/error.h"
#include "rebalance/io/npz.h"

static int allocate(struct ek_gaussian *out, size_t d)
{
	int rc;

	*out = (struct ek_gaussian){ .d = d };
	EK_TRY(ek_alloc(&out->mean, d, sizeof *out->mean));
	EK_TRY(ek_alloc_aligned(&out->covariance, d * d, sizeof *out->covariance));
out:
	return rc;
}

int ek_gaussian_of(struct ek_gaussian *out, const struct ek_rows *rows)
{
	int rc;

	*out = (struct ek_gaussian){ 0 };
	if (rows->count < 2)
		return ek_fail(EK_EDATA, "a covariance of %llu rows, at least 2 are needed",
		               (unsigned long long)rows->count);
	EK_TRY(allocate(out, rows->dimensions));
	out->n = rows->count;
	EK_TRY(ek_rows_mean(out->mean, rows));
	EK_TRY(ek_block_outer(out->covariance, rows, out->mean, NULL));
	for (size_t i = 0; i < out->d * out->d; i++)
		out->covariance[i] /= (double)(rows->count - 1);
out:
	return rc;
}

/* All elements of a float32 or float64 array, in either byte order, as float64. */
static int to_doubles(double *out, const struct ek_npy *array, size_t count, const char *path, const char *name)
{
	const uint8_t *from = array->data;

	for (size_t i = 0; i < count; i++) {
		if (array->type == EK_F32) {
			float value;

			ek_convert_f32(&value, 1, from + i * sizeof value, sizeof value, 1, EK_F32, array->big_endian);
			out[i] = (double)value;
		} else {
			uint64_t bits;

			memcpy(&bits, from + i * sizeof bits, sizeof bits);
			bits = array->big_endian ? __builtin_bswap64(bits) : bits;
			memcpy(&out[i], &bits, sizeof bits);
		}
		if (!isfinite(out[i]))
			return ek_fail(EK_EDATA, "%s: '%s' holds a number that is not finite", path, name);
	}
	return 0;
}

/* What float32 can do to the eigenvalues of a d x d matrix whose largest element is this. */
static double rounding(const struct ek_gaussian *g)
{
	double largest = 0;

	for (size_t i = 0; i < g->d * g->d; i++)
		largest = fmax(largest, fabs(g->covariance[i]));
	return largest * sqrt((double)g->d) * (double)FLT_EPSILON;
}

/* Both triangles are their mean, which also makes the memory order not matter. */
static int make_symmetric(struct ek_gaussian *g, const char *path)
{
	const double most = rounding(g);
	double *s = g->covariance;

	for (size_t i = 0; i < g->d; i++)
		for (size_t j = 0; j < i; j++) {
			double *a = &s[i * g->d + j], *b = &s[j * g->d + i];

			if (fabs(*a - *b) > most)
				return ek_fail(EK_EDATA, "%s: 'sigma' is not symmetric at %zu, %zu: %g and %g", path, i,
				               j, *a, *b);
			*a = *b = *a / 2 + *b / 2;
		}
	return 0;
}

int ek_gaussian_load(struct ek_gaussian *out, const char *path)
{
	struct ek_npz npz = { 0 };
	struct ek_npy mu, sigma;
	int rc;

	*out = (struct ek_gaussian){ 0 };
	EK_TRY(ek_npz_open(&npz, path));
	EK_TRY(ek_npz_array(&mu, &npz, "mu"));
	EK_TRY(ek_npz_array(&sigma, &npz, "sigma"));
	if (mu.dimensions != 1 || mu.shape[0] == 0 || sigma.dimensions != 2 || sigma.shape[0] != mu.shape[0] ||
	    sigma.shape[1] != mu.shape[0]) {
		rc = ek_fail(EK_EDATA, "%s: expected 'mu' [d] and 'sigma' [d, d]", path);
		goto out;
	}
	if ((mu.type != EK_F32 && mu.type != EK_F64) || (sigma.type != EK_F32 && sigma.type != EK_F64)) {
		rc = ek_fail(EK_EDATA, "%s: 'mu' is %s and 'sigma' %s, expected float64 or float32", path,
		             ek_dtype_name(mu.type), ek_dtype_name(sigma.type));
		goto out;
	}
	EK_TRY(allocate(out, (size_t)mu.shape[0]));
	EK_TRY(to_doubles(out->mean, &mu, out->d, path, "mu"));
	EK_TRY(to_doubles(out->covariance, &sigma, out->d * out->d, path, "sigma"));
	EK_TRY(make_symmetric(out, path));
out:
	ek_npz_close(&npz);
	return rc;
}

int ek_gaussian_save(const struct ek_gaussian *g, const char *path)
{
	const struct ek_npz_member members[] = {
		{ "mu", EK_F64, 1, { g->d }, g->mean },
		{ "sigma", EK_F64, 2, { g->d, g->d }, g->covariance },
	};

	return ek_npz_write(path, members, sizeof members / sizeof *members);
}

void ek_gaussian_release(struct ek_gaussian *g)
{
	free(g->mean);
	free(g->covariance);
	*g = (struct ek_gaussian){ 0 };
}
