#include "analysis/quality/block.h"

#include <stdlib.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/rows_device.h"
#include "analysis/quality/lapack.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "train/nn/moments.h"

/* 2 n^2 + 6 n + 1, LAPACK's work space, must be an int; rows in a piece. */
enum { LARGEST_MATRIX = 32765, PIECE = 32, PANEL = 128, LARGE = 512 };

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

/* out [rows, columns] = beta out + a b', a panel of rows a piece. Rows of out are columns of BLAS. */
struct product {
	double *out;
	const double *a, *b;
	size_t rows, columns, k;
	double beta;
	int transposed; /* a is [k, rows] and b [k, columns] */
	int lower;      /* a panel ends at the diagonal */
	int triangular; /* a and b have zeros left of their diagonals */
};

/* Rows first … first+w-1, columns begin … begin+m-1. */
static void multiply_tile(const struct product *p, size_t first, int w, size_t begin, int m)
{
	const size_t skip = !p->triangular ? 0 : first > begin ? first : begin;
	const int k = (int)(p->k - skip), height = (int)p->rows, stride[] = { (int)p->columns, (int)p->k };
	const double one = 1;
	double *out = p->out + first * p->columns + begin;

	if (p->transposed)
		dgemm_("N", "T", &m, &w, &k, &one, p->b + begin, &stride[0], p->a + first, &height, &p->beta, out,
		       &stride[0], 1, 1);
	else
		dgemm_("T", "N", &m, &w, &k, &one, p->b + begin * p->k + skip, &stride[1], p->a + first * p->k + skip,
		       &stride[1], &p->beta, out, &stride[0], 1, 1);
}

static int multiply_panel(void *context, uint64_t panel, int worker)
{
	const struct product *p = context;
	const size_t first = panel * PANEL, end = first + PANEL < p->rows ? first + PANEL : p->rows;
	const size_t columns = p->lower ? end : p->columns, width = p->triangular ? PANEL : columns;
	const int before = ek_blas_enter();

	(void)worker;
	for (size_t begin = 0; begin < columns; begin += width)
		multiply_tile(p, first, (int)(end - first), begin,
		              (int)(begin + width < columns ? width : columns - begin));
	ek_blas_leave(before);
	return 0;
}

static int multiply(struct product *p)
{
	return ek_pieces((p->rows + PANEL - 1) / PANEL, multiply_panel, p,
	                 (double)p->rows * (double)p->columns * (double)p->k);
}

int ek_block_multiply(double *out, const double *a, size_t rows, const double *b, size_t columns, size_t k,
                      int triangular)
{
	struct product p = { out, a, b, rows, columns, k, 0, 0, 0, triangular };

	return multiply(&p);
}

static void mirror(double *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			a[i * n + j] = a[j * n + i];
}

int ek_block_gram(double *out, const double *a, size_t rows, size_t k)
{
	struct product p = { out, a, a, rows, rows, k, 0, 0, 1, 0 };
	int rc;

	if ((rc = multiply(&p)) == 0)
		mirror(out, rows);
	return rc;
}

static int check_size(size_t n)
{
	return n <= LARGEST_MATRIX ? 0
	                           : ek_fail(EK_EDATA, "a matrix of %zu rows and columns, at most %d can be decomposed",
	                                     n, LARGEST_MATRIX);
}

static int outer_on_device(double *out, const struct ek_rows *rows, const double *mean, const double *scale)
{
	struct ek_nn_rows *device = NULL;
	float *centre = NULL;
	int rc;

	EK_TRY(ek_alloc(&centre, rows->dimensions, sizeof *centre)); /* of 0: nothing is compared */
	EK_TRY(ek_rows_to_device(&device, rows, centre));
	EK_TRY(ek_nn_rows_outer(device, out, mean, scale));
out:
	ek_nn_rows_free(device);
	free(centre);
	return rc;
}

int ek_block_outer(double *out, const struct ek_rows *rows, const double *mean, const double *scale)
{
	const size_t d = rows->dimensions;
	struct product p = { out, NULL, NULL, d, d, 0, 0, 1, 1, 0 };
	double *block = NULL;
	int rc;

	EK_TRY(check_size(d));
	if (ek_rows_worth_device(rows->count, d, d))
		return outer_on_device(out, rows, mean, scale);
	EK_TRY(ek_alloc_aligned(&block, EK_BLOCK_ROWS * d, sizeof *block));
	p.a = p.b = block;
	for (uint64_t i = 0; i < rows->count; i += EK_BLOCK_ROWS, p.beta = 1) {
		p.k = (size_t)(rows->count - i < EK_BLOCK_ROWS ? rows->count - i : EK_BLOCK_ROWS);
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_block_read(block, rows, i, p.k, mean, scale));
		EK_TRY(multiply(&p));
	}
	mirror(out, d);
out:
	free(block);
	return rc;
}

int ek_block_eigen(double *values, double *a, size_t size, int vectors)
{
	const char *job = vectors ? "V" : "N";
	const int n = (int)size, before = ek_blas_enter(), ask = -1;
	int work_size, iwork_size = 0, info = 0, *iwork = NULL, rc;
	double wanted = 0, *work = NULL;

	EK_TRY(check_size(size));
	if (size >= LARGE && !vectors && ek_nn_solver_there()) {
		EK_TRY(ek_nn_eigenvalues(values, a, size));
		goto out;
	}
	if (size >= LARGE && !vectors) {
		EK_TRY(ek_block_eigenvalues(values, a, size));
		goto out;
	}
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
