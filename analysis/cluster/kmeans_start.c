#include "analysis/cluster/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/kmeans_internal.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

/*
 * k-means++ draws each centroid with probability in proportion to the squared distance D2 to the nearest one before.
 * Keeping D2 current costs a pass over the data for each centroid; here a batch is drawn from D2 as it was before the
 * batch, and a draw is accepted with probability D2 now / D2 then, which gives the same distribution. The passes then
 * are n K d work in blocks, as fast as an iteration of Lloyd's.
 */
enum { BATCH = 64, REFUSALS = 16, SLICE = 4096 };

struct start {
	const struct ek_rows *rows;
	struct ek_nearest *finder;
	struct ek_nearest_state *state;
	float *centroids; /* [k, d] */
	float *row;       /* [d] */
	double *sums;     /* [slices] of distance2 */
	double total;
	uint64_t seed, stream, drawn;
};

static double draw_double(struct start *s)
{
	return ek_random_double(s->seed, s->stream, s->drawn++);
}

static int sum_slice(void *context, uint64_t slice, int worker)
{
	struct start *s = context;
	const uint64_t n = s->rows->count;
	double sum = 0;

	(void)worker;
	for (uint64_t i = slice * SLICE; i < n && i < (slice + 1) * SLICE; i++)
		sum += s->state->distance2[i];
	s->sums[slice] = sum;
	return 0;
}

static int sum_slices(struct start *s)
{
	const uint64_t n = s->rows->count, slices = (n + SLICE - 1) / SLICE;
	int rc;

	s->total = 0;
	EK_TRY(ek_pieces(slices, sum_slice, s, 10 * (double)n));
	for (uint64_t i = 0; i < slices; i++)
		s->total += s->sums[i];
out:
	return rc;
}

/* A row with probability distance2 / total. */
static uint64_t draw_row(struct start *s)
{
	const uint64_t n = s->rows->count, slices = (n + SLICE - 1) / SLICE;
	double rest = draw_double(s) * s->total;
	uint64_t slice = 0, last = 0;

	while (slice + 1 < slices && rest >= s->sums[slice])
		rest -= s->sums[slice++];
	for (uint64_t i = slice * SLICE; i < n; i++) {
		if (s->state->distance2[i] > 0) {
			last = i;
			if (rest < s->state->distance2[i])
				return i;
		}
		rest -= s->state->distance2[i];
	}
	return last; /* rounding went past the end */
}

/* Draw up to `want` centroids after the first `have`; the number drawn, at least 1. */
static uint32_t draw_batch(struct start *s, uint32_t have, uint32_t want)
{
	const size_t d = s->rows->dimensions;
	uint32_t got = 0;

	for (int refused = 0; got < want && refused < REFUSALS;) {
		const uint64_t i = draw_row(s);
		const double then = s->state->distance2[i];
		double now = then;

		ek_rows_read(s->row, s->rows, i);
		for (uint32_t j = 0; j < got; j++)
			now = fmin(now, ek_vector_distance2(s->row, s->centroids + (size_t)(have + j) * d, d));
		if (draw_double(s) * then < now)
			memcpy(s->centroids + (size_t)(have + got++) * d, s->row, d * sizeof(float));
		else
			refused++;
	}
	return got;
}

static int run(struct start *s, uint32_t k)
{
	const uint64_t n = s->rows->count;
	const size_t d = s->rows->dimensions;
	uint32_t have = 1;
	int rc;

	for (uint64_t i = 0; i < n; i++) {
		s->state->assignment[i] = -1;
		s->state->distance2[i] = (double)INFINITY;
	}
	ek_rows_read(s->centroids, s->rows, ek_random_below(s->seed, s->stream, s->drawn++, n));
	EK_TRY(ek_nearest_search(s->finder, s->state, s->centroids, 1, 0, NULL));
	while (have < k) {
		const uint32_t half = have / 2 < 1 ? 1 : have / 2 > BATCH ? BATCH : have / 2;
		uint32_t got;

		EK_TRY(sum_slices(s));
		if (!(s->total > 0)) {
			rc = ek_fail(EK_EDATA, "%u clusters are too many: there are only %u different images", k, have);
			goto out;
		}
		got = draw_batch(s, have, half < k - have ? half : k - have);
		EK_TRY(ek_nearest_search(s->finder, s->state, s->centroids + (size_t)have * d, got, have, NULL));
		have += got;
	}
out:
	return rc;
}

int ek_kmeans_plus_plus(float *centroids, struct ek_nearest_state *state, struct ek_nearest *finder,
                        const struct ek_rows *rows, uint32_t k, uint64_t seed, uint64_t start)
{
	struct ek_nearest_state bare = *state; /* rows are not skipped while centroids are added */
	struct start s = { .rows = rows,
		           .finder = finder,
		           .state = &bare,
		           .centroids = centroids,
		           .seed = seed,
		           .stream = ek_random_stream("k-means++") + start };
	int rc;

	bare.lower = NULL;
	EK_TRY(ek_alloc(&s.row, rows->dimensions, sizeof *s.row));
	EK_TRY(ek_alloc(&s.sums, (rows->count + SLICE - 1) / SLICE, sizeof *s.sums));
	EK_TRY(run(&s, k));
out:
	free(s.row);
	free(s.sums);
	return rc;
}
