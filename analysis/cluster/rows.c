#include "analysis/cluster/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

int ek_rows_of(struct ek_rows *rows, const struct ek_npy *array, int unit)
{
	if (array->dimensions != 2 || array->shape[0] == 0 || array->shape[1] == 0)
		return ek_fail(EK_EDATA, "embeddings must be a table with rows and columns");
	if (array->type != EK_F16 && array->type != EK_F32 && array->type != EK_F64)
		return ek_fail(EK_EDATA, "embeddings are %s, expected floating point", ek_dtype_name(array->type));
	*rows = (struct ek_rows){
		.array = array, .count = array->shape[0], .dimensions = (size_t)array->shape[1], .unit = unit
	};
	return 0;
}

struct ek_npy ek_rows_memory(const float *data, uint64_t count, size_t dimensions)
{
	return (struct ek_npy){ .type = EK_F32, .dimensions = 2, .shape = { count, dimensions }, .data = data };
}

void ek_rows_read(float *out, const struct ek_rows *rows, uint64_t i)
{
	ek_npy_row_f32(out, rows->array, rows->ids != NULL ? rows->ids[i] : i);
	if (rows->unit)
		ek_vector_unit(out, rows->dimensions);
}

static int in_place(const struct ek_rows *rows)
{
	const struct ek_npy *a = rows->array;

	return a->type == EK_F32 && !a->fortran_order && !a->big_endian && !rows->unit &&
	       (uintptr_t)a->data % sizeof(float) == 0;
}

const float *ek_rows_at(const struct ek_rows *rows, uint64_t i, float *room)
{
	if (in_place(rows))
		return (const float *)rows->array->data + (rows->ids != NULL ? rows->ids[i] : i) * rows->dimensions;
	ek_rows_read(room, rows, i);
	return room;
}

enum { MEAN_SLICE = 4096 };

struct mean_job {
	const struct ek_rows *rows;
	double *sums; /* [slices, dimensions] */
	float *row;   /* [threads, dimensions] */
};

static int sum_slice(void *context, uint64_t slice, int worker)
{
	const struct mean_job *job = context;
	const struct ek_rows *rows = job->rows;
	const size_t d = rows->dimensions;
	const uint64_t end = (slice + 1) * MEAN_SLICE < rows->count ? (slice + 1) * MEAN_SLICE : rows->count;
	float *room = job->row + (size_t)worker * d;

	for (uint64_t i = slice * MEAN_SLICE; i < end; i++) {
		const float *row = ek_rows_at(rows, i, room);

		if (!isfinite(ek_vector_dot(row, row, d)))
			return ek_fail(EK_EDATA, "row %llu of the embeddings holds a number that is not finite",
			               (unsigned long long)(rows->ids != NULL ? rows->ids[i] : i));
		ek_vector_add(job->sums + slice * d, row, d);
	}
	return 0;
}

int ek_rows_mean(double *mean, const struct ek_rows *rows)
{
	const uint64_t slices = (rows->count + MEAN_SLICE - 1) / MEAN_SLICE;
	const size_t d = rows->dimensions;
	struct mean_job job = { .rows = rows };
	int rc;

	EK_TRY(ek_alloc(&job.sums, slices * d, sizeof *job.sums));
	EK_TRY(ek_alloc(&job.row, (size_t)ek_threads() * d, sizeof *job.row));
	EK_TRY(ek_pieces(slices, sum_slice, &job, 10 * (double)rows->count * (double)d));
	memset(mean, 0, d * sizeof *mean);
	for (uint64_t s = 0; s < slices; s++)
		for (size_t j = 0; j < d; j++)
			mean[j] += job.sums[s * d + j];
	for (size_t j = 0; j < d; j++)
		mean[j] /= (double)rows->count;
out:
	free(job.sums);
	free(job.row);
	return rc;
}

void ek_rows_sample(uint64_t *ids, uint64_t want, uint64_t n, uint64_t seed, uint64_t stream)
{
	uint64_t chosen = 0;

	for (uint64_t i = 0; chosen < want; i++)
		if (ek_random_below(seed, stream, i, n - i) < want - chosen)
			ids[chosen++] = i;
}

/* Put a hash into a table of 2^k places of which at least half stay free; 1 if it was not there. 0 is a free place. */
static int put_hash(uint64_t *table, uint64_t mask, uint64_t hash)
{
	uint64_t at = (hash |= hash == 0) & mask;

	while (table[at] != 0 && table[at] != hash)
		at = (at + 1) & mask;
	if (table[at] == hash)
		return 0;
	table[at] = hash;
	return 1;
}

int ek_rows_different(uint64_t *count, const struct ek_rows *rows, uint64_t most)
{
	uint64_t *table = NULL, places = 2;
	float *row = NULL;
	int rc;

	*count = 0;
	most = most < rows->count ? most : rows->count;
	while (places < 2 * most)
		places *= 2;
	EK_TRY(ek_alloc(&table, places, sizeof *table));
	EK_TRY(ek_alloc(&row, rows->dimensions, sizeof *row));
	for (uint64_t i = 0; i < rows->count && *count < most; i++) {
		ek_rows_read(row, rows, i);
		for (size_t j = 0; j < rows->dimensions; j++)
			row[j] += 0; /* -0 is 0 */
		*count += (uint64_t)put_hash(table, places - 1, ek_hash64(row, rows->dimensions * sizeof *row));
		EK_TRY(i % 4096 == 0 ? ek_check_interrupt() : 0);
	}
out:
	free(table);
	free(row);
	return rc;
}
