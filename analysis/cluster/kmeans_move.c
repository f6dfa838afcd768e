#include "analysis/cluster/kmeans_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"

/* Rows of a cluster are summed in slices of this many, and the slices in order. */
enum { SLICE = 4096 };

struct slice {
	uint64_t first, count; /* in `order` */
};

struct job {
	const struct ek_rows *rows;
	uint32_t *order;      /* [n] rows by cluster, ascending in each */
	uint64_t *offsets;    /* [k + 1] of clusters in `order` */
	struct slice *slices; /* by cluster */
	double *sums;         /* [slices, d] */
	float *row;           /* [threads, d] */
	uint64_t slice_count;
};

/* Counting sort by cluster, which keeps the order of rows. */
static int sort_rows(struct job *job, const int32_t *assignment, uint32_t k)
{
	const uint64_t n = job->rows->count;
	uint64_t *next = NULL, s = 0;
	int rc;

	EK_TRY(ek_alloc(&job->order, n, sizeof *job->order));
	EK_TRY(ek_alloc(&job->offsets, (size_t)k + 1, sizeof *job->offsets));
	EK_TRY(ek_alloc(&next, k, sizeof *next));
	for (uint64_t i = 0; i < n; i++)
		job->offsets[assignment[i] + 1]++;
	for (uint32_t c = 0; c < k; c++) {
		job->slice_count += (job->offsets[c + 1] + SLICE - 1) / SLICE;
		job->offsets[c + 1] += job->offsets[c];
		next[c] = job->offsets[c];
	}
	for (uint64_t i = 0; i < n; i++)
		job->order[next[assignment[i]]++] = (uint32_t)i;
	EK_TRY(ek_alloc(&job->slices, job->slice_count, sizeof *job->slices));
	for (uint32_t c = 0; c < k; c++)
		for (uint64_t first = job->offsets[c]; first < job->offsets[c + 1]; first += SLICE) {
			const uint64_t rest = job->offsets[c + 1] - first;

			job->slices[s++] = (struct slice){ first, rest < SLICE ? rest : SLICE };
		}
out:
	free(next);
	return rc;
}

static int sum_slice(void *context, uint64_t i, int worker)
{
	const struct job *job = context;
	const size_t d = job->rows->dimensions;
	float *row = job->row + (size_t)worker * d;

	for (uint64_t j = 0; j < job->slices[i].count; j++) {
		ek_rows_read(row, job->rows, job->order[job->slices[i].first + j]);
		ek_vector_add(job->sums + i * d, row, d);
	}
	return ek_check_interrupt();
}

static double move_one(float *centroid, const double *mean, size_t d, int unit)
{
	double norm = 1, moved = 0;

	if (unit) {
		norm = 0;
		for (size_t j = 0; j < d; j++)
			norm += mean[j] * mean[j];
		norm = sqrt(norm);
		if (!(norm > 0))
			return 0;
	}
	for (size_t j = 0; j < d; j++) {
		const float value = (float)(mean[j] / norm);
		const double difference = (double)value - (double)centroid[j];

		moved += difference * difference;
		centroid[j] = value;
	}
	return sqrt(moved);
}

int ek_kmeans_move(float *centroids, double *moves, const struct ek_rows *rows, const int32_t *assignment, uint32_t k,
                   int unit)
{
	const size_t d = rows->dimensions;
	struct job job = { .rows = rows };
	uint64_t s = 0;
	int rc;

	EK_TRY(sort_rows(&job, assignment, k));
	EK_TRY(ek_alloc(&job.sums, job.slice_count * d, sizeof *job.sums));
	EK_TRY(ek_alloc(&job.row, (size_t)ek_threads() * d, sizeof *job.row));
	EK_TRY(ek_pieces(job.slice_count, sum_slice, &job, 10 * (double)rows->count * (double)d));
	for (uint32_t c = 0; c < k; c++) {
		const uint64_t size = job.offsets[c + 1] - job.offsets[c], end = s + (size + SLICE - 1) / SLICE;
		double *sum = job.sums + s * d;

		moves[c] = 0;
		if (size == 0)
			continue;
		for (s++; s < end; s++)
			for (size_t j = 0; j < d; j++)
				sum[j] += job.sums[s * d + j];
		for (size_t j = 0; j < d; j++)
			sum[j] /= (double)size;
		moves[c] = move_one(centroids + c * d, sum, d, unit);
	}
out:
	free(job.order);
	free(job.offsets);
	free(job.slices);
	free(job.sums);
	free(job.row);
	return rc;
}
