#include "analysis/quality/principal.h"

#include <cblas.h>
#include <lapack.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/quality/pairs.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { BLOCK = 512, PANEL = 64, LOAD = 32 };

/* Blocks of centred rows; what is done with them is cut by columns or rows, never by threads. */
struct job {
	const struct ek_rows *rows;
	const double *mean, *axes;
	size_t d, k;
	uint64_t first, count;
	double *block;      /* [BLOCK, d] */
	float *room;        /* [threads, d] */
	double *covariance; /* [d, d] the lower triangle of columns */
	float *out;
};

static int load(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const uint64_t end = (piece + 1) * LOAD < job->count ? (piece + 1) * LOAD : job->count;

	for (uint64_t i = piece * LOAD; i < end; i++) {
		const float *row = ek_rows_at(job->rows, job->first + i, job->room + (size_t)worker * job->d);

		for (size_t j = 0; j < job->d; j++)
			job->block[i * job->d + j] = (double)row[j] - job->mean[j];
	}
	return 0;
}

/* Columns of the covariance down from the diagonal; as rows, those of the upper triangle. */
static int add_panel(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const size_t from = (size_t)piece * PANEL, width = job->d - from < PANEL ? job->d - from : PANEL;
	const int d = (int)job->d, before = ek_pairs_alone();

	(void)worker;
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)width, d - (int)from, (int)job->count, 1,
	            job->block + from, d, job->block + from, d, 1, job->covariance + from * job->d + from, d);
	ek_pairs_together(before);
	return 0;
}

static int project(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const uint64_t end = (piece + 1) * LOAD < job->count ? (piece + 1) * LOAD : job->count;

	(void)worker;
	for (uint64_t i = piece * LOAD; i < end; i++)
		for (size_t c = 0; c < job->k; c++) {
			const double *axis = job->axes + c * job->d, *x = job->block + i * job->d;
			double sum = 0;

			for (size_t j = 0; j < job->d; j++)
				sum += x[j] * axis[j];
			job->out[(job->first + i) * job->k + c] = (float)sum;
		}
	return 0;
}

/* Every block of rows centred, then `piece` over so many pieces of it. */
static int each_block(struct job *job, int (*piece)(void *, uint64_t, int), size_t size, double work)
{
	int rc = 0;

	EK_TRY(ek_alloc(&job->block, BLOCK * job->d, sizeof *job->block));
	EK_TRY(ek_alloc(&job->room, (size_t)ek_threads() * job->d, sizeof *job->room));
	for (job->first = 0; job->first < job->rows->count; job->first += job->count) {
		const uint64_t rest = job->rows->count - job->first;

		job->count = rest < BLOCK ? rest : BLOCK;
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_pieces((job->count + LOAD - 1) / LOAD, load, job, 10 * (double)job->count * (double)job->d));
		EK_TRY(ek_pieces(size > 0 ? (job->d + size - 1) / size : (job->count + LOAD - 1) / LOAD, piece, job,
		                 work * (double)job->count));
	}
out:
	free(job->block);
	free(job->room);
	job->block = NULL;
	job->room = NULL;
	return rc;
}

/* The eigenvectors of the k largest eigenvalues of a [d, d], which is destroyed; the largest first. */
static int find_axes(struct ek_principal *p, double *a)
{
	const lapack_int n = (lapack_int)p->d, last = n, first = n - (lapack_int)p->k + 1, ask = -1;
	const double none = 0;
	lapack_int found, info, work_size, iwork_size = 0, *iwork = NULL, *support = NULL;
	double wanted = 0, *values = NULL, *vectors = NULL, *work = NULL;
	const int before = ek_pairs_alone();
	int rc;

	EK_TRY(ek_alloc(&values, p->d, sizeof *values));
	EK_TRY(ek_alloc(&vectors, p->k * p->d, sizeof *vectors));
	EK_TRY(ek_alloc(&support, 2 * p->d, sizeof *support));
	LAPACK_dsyevr("V", "I", "L", &n, a, &n, &none, &none, &first, &last, &none, &found, values, vectors, &n,
	              support, &wanted, &ask, &iwork_size, &ask, &info);
	work_size = (lapack_int)wanted;
	EK_TRY(ek_alloc(&work, (size_t)work_size, sizeof *work));
	EK_TRY(ek_alloc(&iwork, (size_t)iwork_size, sizeof *iwork));
	LAPACK_dsyevr("V", "I", "L", &n, a, &n, &none, &none, &first, &last, &none, &found, values, vectors, &n,
	              support, work, &work_size, iwork, &iwork_size, &info);
	if (info != 0 || found != (lapack_int)p->k) {
		rc = ek_fail(EK_EDATA, "the principal components of the embeddings were not found");
		goto out;
	}
	for (size_t c = 0; c < p->k; c++)
		memcpy(p->axes + c * p->d, vectors + (p->k - 1 - c) * p->d, p->d * sizeof *vectors);
out:
	ek_pairs_together(before);
	free(values);
	free(vectors);
	free(support);
	free(work);
	free(iwork);
	return rc;
}

int ek_principal_of(struct ek_principal *out, const struct ek_rows *rows, size_t most)
{
	const size_t d = rows->dimensions;
	struct job job = { .rows = rows, .d = d };
	int rc;

	*out = (struct ek_principal){ .d = d, .k = most < d ? most : d };
	if (rows->count < 2)
		return ek_fail(EK_EDATA, "%llu images have no principal components", (unsigned long long)rows->count);
	if (rows->count - 1 < out->k)
		out->k = (size_t)rows->count - 1;
	EK_TRY(ek_alloc(&out->mean, d, sizeof *out->mean));
	EK_TRY(ek_alloc(&out->axes, out->k * d, sizeof *out->axes));
	EK_TRY(ek_alloc(&job.covariance, d * d, sizeof *job.covariance));
	EK_TRY(ek_rows_mean(out->mean, rows));
	job.mean = out->mean;
	EK_TRY(each_block(&job, add_panel, PANEL, (double)d * (double)d / 2));
	EK_TRY(find_axes(out, job.covariance));
out:
	free(job.covariance);
	return rc;
}

void ek_principal_release(struct ek_principal *principal)
{
	free(principal->mean);
	free(principal->axes);
	*principal = (struct ek_principal){ 0 };
}

int ek_principal_project(float *out, const struct ek_principal *p, const struct ek_rows *rows)
{
	struct job job = { .rows = rows, .mean = p->mean, .axes = p->axes, .d = p->d, .k = p->k, .out = out };

	return each_block(&job, project, 0, (double)p->k * (double)p->d);
}
