#include "analysis/cluster/rows_device.h"

#include "analysis/cluster/pieces.h"

enum { PIECE = 256 };

/* Multiply-adds below which the processor is done before rows are on a device. */
static const double least_work = 1e9;

struct job {
	const struct ek_rows *rows;
	float *out;
	uint64_t first, count;
};

int ek_rows_worth_device(uint64_t rows, uint64_t others, size_t d)
{
	return ek_nn_rows_there() && (double)rows * (double)others * (double)d >= least_work;
}

static int read_piece(void *context, uint64_t piece, int worker)
{
	const struct job *job = context;
	const uint64_t end = (piece + 1) * PIECE < job->count ? (piece + 1) * PIECE : job->count;

	(void)worker;
	for (uint64_t i = piece * PIECE; i < end; i++)
		ek_rows_read(job->out + i * job->rows->dimensions, job->rows, job->first + i);
	return 0;
}

int ek_rows_read_many(float *out, const struct ek_rows *rows, uint64_t first, uint64_t count)
{
	struct job job = { rows, out, first, count };

	return ek_pieces((count + PIECE - 1) / PIECE, read_piece, &job, 10 * (double)count * (double)rows->dimensions);
}

static int read_rows(void *context, float *out, uint64_t first, uint64_t count)
{
	return ek_rows_read_many(out, context, first, count);
}

int ek_rows_to_device(struct ek_nn_rows **out, const struct ek_rows *rows, const float *centre)
{
	const struct ek_nn_rows_source source = { .count = rows->count,
		                                  .dimensions = rows->dimensions,
		                                  .centre = centre,
		                                  .read = read_rows,
		                                  .context = (void *)(uintptr_t)rows };

	return ek_nn_rows_new(out, &source);
}
