#include "analysis/quality/block.h"

#include <stdlib.h>

#include "analysis/cluster/pieces.h"
#include "analysis/quality/lapack.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"

/* 2 n^2 + 6 n + 1, LAPACK's work space, must be an int; rows in a piece. */
enum { LARGEST_MATRIX = 32765, PIECE = 32 };

struct job {
	double *out;
	const struct ek_rows *rows;
	uint64_t first, count;
	const double *mean, *scale;
	float *room; /* [threads, dimensions] */
};

static int read_piece(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const size_t d = job->rows->dimensions;
	const uint64_t end = (piece + 1) * PIECE < job->count ? (piece + 1) * PIECE : job->count;
	float *room = job->room + (size_t)worker * d;

	for (uint64_t i = piece * PIECE; i < end; i++) {
		const float *row = ek_rows_at(job->rows, job->first + i, room);
		const double scale = job->scale != NULL ? job->scale[job->first + i] : 1;
		double *out = job->out + i * d;

		for (size_t j = 0; j < d; j++)
			out[j] = scale * ((double)row[j] - (job->mean != NULL ? job->mean[j] : 0));
	}
	return 0;
}

int ek_block_read(double *out, const struct ek_rows *rows, uint64_t first, uint64_t count, const double *mean,
                  const double *scale)
{
	struct job job = { out, rows, first, count, mean, scale, NULL };
	int rc;

	EK_TRY(ek_alloc(&job.room, (size_t)ek_threads() * rows->dimensions, sizeof *job.room));
	EK_TRY(ek_pieces((count + PIECE - 1) / PIECE, read_piece, &job, 10 * (double)count * (double)rows->dimensions));
out:
	free(job.room);
	return rc;
}

/* The triangle that LAPACK calls upper is the lower one of rows. */
static void mirror(double *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			a[i * n + j] = a[j * n + i];
}

static int check_size(size_t n)
{
	return n <= LARGEST_MATRIX ? 0
	                           : ek_fail(EK_EDATA, "a matrix of %zu rows and columns, at most %d can be decomposed",
	                                     n, LARGEST_MATRIX);
}

int ek_block_outer(double *out, const struct ek_rows *rows, const double *mean, const double *scale)
{
	const size_t d = rows->dimensions;
	const double one = 1;
	const int n = (int)d, before = ek_blas_enter();
	double *block = NULL;
	int rc;

	EK_TRY(check_size(d));
	EK_TRY(ek_alloc_aligned(&block, EK_BLOCK_ROWS * d, sizeof *block));
	for (uint64_t i = 0; i < rows->count; i += EK_BLOCK_ROWS) {
		const int count = (int)(rows->count - i < EK_BLOCK_ROWS ? rows->count - i : EK_BLOCK_ROWS);
		const double beta = i > 0;

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_block_read(block, rows, i, (uint64_t)count, mean, scale));
		dsyrk_("U", "N", &n, &count, &one, block, &n, &beta, out, &n, 1, 1);
	}
	mirror(out, d);
out:
	ek_blas_leave(before);
	free(block);
	return rc;
}

void ek_block_gram(double *out, const double *a, size_t rows, size_t columns)
{
	const int n = (int)rows, k = (int)columns, before = ek_blas_enter();
	const double one = 1, zero = 0;

	dsyrk_("U", "T", &n, &k, &one, a, &k, &zero, out, &n, 1, 1);
	mirror(out, rows);
	ek_blas_leave(before);
}

int ek_block_eigen(double *values, double *a, size_t size, int vectors)
{
	const char *job = vectors ? "V" : "N";
	const int n = (int)size, before = ek_blas_enter(), ask = -1;
	int work_size, iwork_size = 0, info = 0, *iwork = NULL, rc;
	double wanted = 0, *work = NULL;

	EK_TRY(check_size(size));
	dsyevd_(job, "U", &n, a, &n, values, &wanted, &ask, &iwork_size, &ask, &info, 1, 1);
	work_size = (int)wanted;
	EK_TRY(ek_alloc_aligned(&work, (size_t)work_size, sizeof *work));
	EK_TRY(ek_alloc(&iwork, (size_t)iwork_size, sizeof *iwork));
	dsyevd_(job, "U", &n, a, &n, values, work, &work_size, iwork, &iwork_size, &info, 1, 1);
	if (info != 0)
		rc = ek_fail(EK_EDATA, "the eigenvalues of a %d x %d matrix were not found: not finite?", n, n);
out:
	ek_blas_leave(before);
	free(work);
	free(iwork);
	return rc;
}

int ek_block_draw(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, uint64_t want, uint64_t seed,
                  uint64_t stream)
{
	int rc;

	EK_TRY(ek_alloc(ids, want, sizeof **ids));
	ek_rows_sample(*ids, want, rows->count, seed, stream);
	for (uint64_t i = 0; rows->ids != NULL && i < want; i++)
		(*ids)[i] = rows->ids[(*ids)[i]];
	*out = *rows;
	out->ids = *ids;
	out->count = want;
out:
	return rc;
}

int ek_block_same_dimensions(size_t a, size_t b)
{
	return a == b ? 0 : ek_fail(EK_EDATA, "features of %zu and of %zu dimensions cannot be compared", a, b);
}
