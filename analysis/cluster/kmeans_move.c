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
enum { SLICE = 4096, FOUR = 4 };

struct slice {
	uint64_t first, count; /* in `order` */
};

struct job {
	const struct ek_rows *rows;
	uint32_t *order;      /* [n] rows by cluster, ascending in each */
	uint64_t *offsets;    /* [k + 1] of clusters in `order` */
	struct slice *slices; /* by cluster */
	double *sums;         /* [slices, d] */
	float *row;           /* [threads, FOUR, d] */
	uint64_t slice_count;
	uint64_t *first_slice; /* [k + 1] of clusters in `slices` */
	uint8_t *changed;      /* [k] 1: has other rows than before */
	float *centroids;
	double *moves;
	int unit;
};

static int find_changed(struct job *job, const int32_t *assignment, int32_t *before, uint32_t k)
{
	int rc;

	EK_TRY(ek_alloc(&job->changed, k, sizeof *job->changed));
	for (uint64_t i = 0; i < job->rows->count; i++) {
		if (assignment[i] == before[i])
			continue;
		job->changed[assignment[i]] = 1;
		if (before[i] >= 0)
			job->changed[before[i]] = 1;
		before[i] = assignment[i];
	}
out:
	return rc;
}

static uint64_t slices_of(const struct job *job, uint32_t c)
{
	return job->changed[c] ? (job->offsets[c + 1] - job->offsets[c] + SLICE - 1) / SLICE : 0;
}

/* Counting sort by cluster, which keeps the order of rows. */
static int sort_rows(struct job *job, const int32_t *assignment, uint32_t k)
{
	const uint64_t n = job->rows->count;
	uint64_t *next = NULL, s = 0;
	int rc;

	EK_TRY(ek_alloc(&job->order, n, sizeof *job->order));
	EK_TRY(ek_alloc(&job->offsets, (size_t)k + 1, sizeof *job->offsets));
	EK_TRY(ek_alloc(&job->first_slice, (size_t)k + 1, sizeof *job->first_slice));
	EK_TRY(ek_alloc(&next, k, sizeof *next));
	for (uint64_t i = 0; i < n; i++)
		job->offsets[assignment[i] + 1]++;
	for (uint32_t c = 0; c < k; c++) {
		job->offsets[c + 1] += job->offsets[c];
		job->slice_count += slices_of(job, c);
		job->first_slice[c + 1] = job->slice_count;
		next[c] = job->offsets[c];
	}
	for (uint64_t i = 0; i < n; i++)
		job->order[next[assignment[i]]++] = (uint32_t)i;
	EK_TRY(ek_alloc(&job->slices, job->slice_count, sizeof *job->slices));
	for (uint32_t c = 0; c < k; c++)
		for (uint64_t i = 0; i < slices_of(job, c); i++) {
			const uint64_t first = job->offsets[c] + i * SLICE, rest = job->offsets[c + 1] - first;

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
	const uint32_t *order = job->order + job->slices[i].first;
	const uint64_t count = job->slices[i].count;
	float *room = job->row + (size_t)worker * FOUR * d;
	double *sum = job->sums + i * d;
	uint64_t j = 0;

	for (; j + FOUR <= count; j += FOUR) {
		const float *rows[FOUR];

		for (size_t r = 0; r < FOUR; r++)
			rows[r] = ek_rows_at(job->rows, order[j + r], room + r * d);
		ek_vector_add_four(sum, rows, d);
	}
	for (; j < count; j++)
		ek_vector_add(sum, ek_rows_at(job->rows, order[j], room), d);
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

/* The slices of a cluster become its mean, which the centroid moves to. */
static int move_cluster(void *context, uint64_t c, int worker)
{
	const struct job *job = context;
	const size_t d = job->rows->dimensions;
	const uint64_t first = job->first_slice[c], end = job->first_slice[c + 1];
	const double size = (double)(job->offsets[c + 1] - job->offsets[c]);
	double *sum = job->sums + first * d;

	(void)worker;
	job->moves[c] = 0;
	if (first == end)
		return 0;
	for (uint64_t s = first + 1; s < end; s++)
		for (size_t j = 0; j < d; j++)
			sum[j] += job->sums[s * d + j];
	for (size_t j = 0; j < d; j++)
		sum[j] /= size;
	job->moves[c] = move_one(job->centroids + c * d, sum, d, job->unit);
	return 0;
}

int ek_kmeans_move(float *centroids, double *moves, const struct ek_rows *rows, const int32_t *assignment,
                   int32_t *before, uint32_t k, int unit)
{
	const size_t d = rows->dimensions;
	struct job job = { .rows = rows, .centroids = centroids, .moves = moves, .unit = unit };
	int rc;

	EK_TRY(find_changed(&job, assignment, before, k));
	EK_TRY(sort_rows(&job, assignment, k));
	EK_TRY(ek_alloc(&job.sums, (job.slice_count + 1) * d, sizeof *job.sums));
	EK_TRY(ek_alloc(&job.row, (size_t)ek_threads() * FOUR * d, sizeof *job.row));
	EK_TRY(ek_pieces(job.slice_count, sum_slice, &job, 10 * (double)rows->count * (double)d));
	EK_TRY(ek_pieces(k, move_cluster, &job, 30 * (double)(job.slice_count + 1) * (double)d));
out:
	free(job.order);
	free(job.offsets);
	free(job.slices);
	free(job.first_slice);
	free(job.sums);
	free(job.row);
	free(job.changed);
	return rc;
}
