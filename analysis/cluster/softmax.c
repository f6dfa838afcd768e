#include "analysis/cluster/softmax.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/blas.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { SLICE = 4096 };

struct spread {
	const struct ek_rows *rows;
	const double *mean;
	double *sums; /* [slices, d] */
	float *room;  /* [threads, d] */
};

static int spread_slice(void *context, uint64_t slice, int worker)
{
	const struct spread *s = context;
	const size_t d = s->rows->dimensions;
	const uint64_t end = (slice + 1) * SLICE < s->rows->count ? (slice + 1) * SLICE : s->rows->count;
	double *sums = s->sums + slice * d;

	for (uint64_t i = slice * SLICE; i < end; i++) {
		const float *row = ek_rows_at(s->rows, i, s->room + (size_t)worker * d);

		for (size_t j = 0; j < d; j++) {
			const double from = (double)row[j] - s->mean[j];

			sums[j] += from * from;
		}
	}
	return ek_check_interrupt();
}

/* squares: [d] mean of (e - mean)². */
static int find_spread(double *squares, const struct ek_rows *rows, const double *mean)
{
	const uint64_t slices = (rows->count + SLICE - 1) / SLICE;
	const size_t d = rows->dimensions;
	struct spread s = { .rows = rows, .mean = mean };
	int rc;

	EK_TRY(ek_alloc(&s.sums, slices * d, sizeof *s.sums));
	EK_TRY(ek_alloc(&s.room, (size_t)ek_threads() * d, sizeof *s.room));
	EK_TRY(ek_parallel(slices, spread_slice, &s));
	memset(squares, 0, d * sizeof *squares);
	for (uint64_t k = 0; k < slices; k++)
		for (size_t j = 0; j < d; j++)
			squares[j] += s.sums[k * d + j] / (double)rows->count;
out:
	free(s.sums);
	free(s.room);
	return rc;
}

int ek_softmax_data_of(struct ek_softmax_data *data, const struct ek_rows *rows, const uint32_t *label,
                       uint32_t classes)
{
	const size_t d = rows->dimensions;
	double *mean = NULL, *squares = NULL;
	int rc;

	*data = (struct ek_softmax_data){ .rows = rows, .label = label, .classes = classes };
	EK_TRY(ek_alloc(&mean, d, sizeof *mean));
	EK_TRY(ek_alloc(&squares, d, sizeof *squares));
	EK_TRY(ek_alloc(&data->shift, d, sizeof *data->shift));
	EK_TRY(ek_alloc(&data->scale, d, sizeof *data->scale));
	EK_TRY(ek_rows_mean(mean, rows));
	EK_TRY(find_spread(squares, rows, mean));
	for (size_t j = 0; j < d; j++) {
		data->shift[j] = (float)mean[j];
		/* What only rounding tells apart is constant. */
		data->scale[j] = squares[j] > 1e-12 * mean[j] * mean[j] ? (float)(1 / sqrt(squares[j] * (double)d)) : 0;
	}
out:
	free(mean);
	free(squares);
	return rc;
}

void ek_softmax_data_release(struct ek_softmax_data *data)
{
	free(data->shift);
	free(data->scale);
	*data = (struct ek_softmax_data){ 0 };
}

void ek_softmax(float *z, uint32_t classes)
{
	float most = z[0], sum = 0;

	for (uint32_t c = 1; c < classes; c++)
		most = z[c] > most ? z[c] : most;
	for (uint32_t c = 0; c < classes; c++)
		sum += z[c] = expf(z[c] - most);
	for (uint32_t c = 0; c < classes; c++)
		z[c] /= sum;
}

float ek_softmax_margin(const float *z, uint32_t classes, uint32_t label)
{
	float other = -INFINITY;

	for (uint32_t c = 0; c < classes; c++)
		other = c != label && z[c] > other ? z[c] : other;
	return z[label] - other;
}

/* Room for a batch. */
struct batch {
	const struct ek_softmax_data *data;
	size_t side; /* d + 1 */
	float *x;    /* [BATCH, side] with a last 1 */
	float *z;    /* [BATCH, classes] */
	float *row;  /* [d] */
};

static int open_batch(struct batch *b, const struct ek_softmax_data *data)
{
	int rc;

	*b = (struct batch){ .data = data, .side = data->rows->dimensions + 1 };
	EK_TRY(ek_alloc(&b->x, EK_SOFTMAX_BATCH * b->side, sizeof *b->x));
	EK_TRY(ek_alloc(&b->z, (size_t)EK_SOFTMAX_BATCH * data->classes, sizeof *b->z));
	EK_TRY(ek_alloc(&b->row, data->rows->dimensions, sizeof *b->row));
out:
	return rc;
}

static void close_batch(struct batch *b)
{
	free(b->x);
	free(b->z);
	free(b->row);
}

/* The logits of the rows which[0 … count-1], or from `first` on. */
static void find_logits(struct batch *b, const float *w, const uint64_t *which, uint64_t first, size_t count)
{
	const struct ek_softmax_data *data = b->data;
	const size_t d = b->side - 1;

	for (size_t k = 0; k < count; k++) {
		const float *row = ek_rows_at(data->rows, which != NULL ? which[k] : first + k, b->row);
		float *x = b->x + k * b->side;

		for (size_t j = 0; j < d; j++)
			x[j] = (row[j] - data->shift[j]) * data->scale[j];
		x[d] = 1;
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)data->classes, (int)b->side, 1, b->x,
	            (int)b->side, w, (int)b->side, 0, b->z, (int)data->classes);
}

/* One step on rows whose logits are in the batch. */
static void step(float *w, struct batch *b, const uint64_t *which, size_t count, double rate)
{
	const uint32_t classes = b->data->classes;

	for (size_t k = 0; k < count; k++) {
		float *z = b->z + k * classes;

		ek_softmax(z, classes);
		z[b->data->label[which[k]]] -= 1;
	}
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)classes, (int)b->side, (int)count,
	            (float)(-rate / (double)count), b->z, (int)classes, b->x, (int)b->side, 1, w, (int)b->side);
}

static void shuffle(uint64_t *order, uint64_t count, uint64_t seed, uint32_t epoch)
{
	const uint64_t stream = ek_random_stream("softmax order");

	for (uint64_t i = count - 1; i > 0; i--) {
		const uint64_t j = ek_random_below(seed, stream, epoch * count + i, i + 1), at = order[i];

		order[i] = order[j];
		order[j] = at;
	}
}

static void start(float *w, const struct ek_softmax_data *data, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("softmax start");
	const size_t side = data->rows->dimensions + 1;

	for (size_t i = 0; i < data->classes * side; i++)
		w[i] = i % side == side - 1 ? 0 : (float)(2 * ek_random_double(seed, stream, i) - 1);
}

static int learn_epoch(float *w, struct batch *b, const uint64_t *order, uint64_t count, uint32_t epoch,
                       const struct ek_softmax_options *o, const struct ek_softmax_watch *watch)
{
	const uint64_t batches = (count + EK_SOFTMAX_BATCH - 1) / EK_SOFTMAX_BATCH;
	const double steps = (double)batches * o->epochs;
	int rc = 0;

	for (uint64_t k = 0; k < batches; k++) {
		const uint64_t *which = order + k * EK_SOFTMAX_BATCH;
		const size_t size = k + 1 < batches ? EK_SOFTMAX_BATCH : (size_t)(count - k * EK_SOFTMAX_BATCH);

		EK_TRY(ek_check_interrupt());
		find_logits(b, w, which, 0, size);
		for (size_t i = 0; watch->visit != NULL && i < size; i++)
			watch->visit(watch->context, epoch, which[i], b->z + i * b->data->classes);
		step(w, b, which, size, o->rate * (1 - ((double)epoch * (double)batches + (double)k) / steps));
		ek_progress_add(size);
	}
out:
	return rc;
}

int ek_softmax_train(float *w, const struct ek_softmax_data *data, const uint64_t *learn, uint64_t count,
                     const struct ek_softmax_options *o, const struct ek_softmax_watch *watch)
{
	const int before = ek_blas_alone();
	struct batch batch = { 0 };
	uint64_t *order = NULL;
	int rc;

	if (learn == NULL)
		count = data->rows->count;
	EK_TRY(open_batch(&batch, data));
	EK_TRY(ek_alloc(&order, count, sizeof *order));
	start(w, data, o->seed);
	for (uint32_t epoch = 0; epoch < o->epochs; epoch++) {
		for (uint64_t i = 0; i < count; i++)
			order[i] = learn != NULL ? learn[i] : i;
		shuffle(order, count, o->seed, epoch);
		EK_TRY(learn_epoch(w, &batch, order, count, epoch, o, watch));
		if (watch->epoch != NULL)
			EK_TRY(watch->epoch(watch->context, epoch, w));
		if (rc == EK_SOFTMAX_ENOUGH)
			break;
	}
out:
	ek_blas_together(before);
	close_batch(&batch);
	free(order);
	return rc < 0 ? rc : 0;
}

int ek_softmax_pass(const struct ek_softmax_data *data, const float *w, const uint64_t *which, uint64_t count,
                    void (*take)(void *context, uint64_t i, float *z), void *context)
{
	const int before = ek_blas_alone();
	struct batch batch = { 0 };
	int rc;

	EK_TRY(open_batch(&batch, data));
	for (uint64_t i = 0; i < count; i += EK_SOFTMAX_BATCH) {
		const size_t size = count - i < EK_SOFTMAX_BATCH ? (size_t)(count - i) : EK_SOFTMAX_BATCH;

		EK_TRY(ek_check_interrupt());
		find_logits(&batch, w, which != NULL ? which + i : NULL, i, size);
		for (size_t k = 0; k < size; k++)
			take(context, which != NULL ? which[i + k] : i + k, batch.z + k * data->classes);
	}
out:
	ek_blas_together(before);
	close_batch(&batch);
	return rc;
}
