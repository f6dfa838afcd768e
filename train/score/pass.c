#include "train/score/pass.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* Item i is image i / draws at draw i % draws; the last slice is filled up with the first image's. */
struct work {
	const struct ek_score_pass *pass;
	const int64_t *images;
	uint64_t items, first_slice;
	struct ek_store *store; /* gradients go here; NULL: numbers of images are wanted */
	int64_t *ids;           /* [workers, slice] */
	float *weights;
	double *values, *parts; /* [workers, slice], of a slice */
	double *numbers;        /* [slices, slice], out; of MoSo only the first slice / draws of each slice */
	double *products;       /* the same, of MoSo */
};

static int slice_size(const struct work *w)
{
	return w->pass->task->slice;
}

static uint64_t draws_of(const struct work *w)
{
	return (uint64_t)w->pass->grid.draws;
}

/* weights 0: of what fills a slice up. */
static struct ek_slice slice_of(struct work *w, uint64_t i, int worker, float weight)
{
	const size_t size = (size_t)slice_size(w), place = (size_t)worker * size;
	const uint64_t first = (w->first_slice + i) * size;

	for (size_t j = 0; j < size; j++) {
		const uint64_t item = first + j;

		w->ids[place + j] = w->images[item < w->items ? item / draws_of(w) : 0];
		w->weights[place + j] = item < w->items ? weight : 0;
	}
	return (struct ek_slice){ .position = first,
		                  .turn = i,
		                  .count = (int)size,
		                  .ids = w->ids + place,
		                  .weights = w->weights + place,
		                  .losses = w->values + place,
		                  .parts = w->parts + place * EK_TASK_PARTS,
		                  .grid = &w->pass->grid };
}

static int judge(struct work *w, const struct ek_slice *slice, double *out)
{
	int rc;

	EK_TRY(ek_task_judge(w->pass->task, (int)((slice->ids - w->ids) / slice->count), slice));
	for (int j = 0; j < slice->count; j++)
		out[j] = slice->losses[j];
out:
	return rc;
}

/* The gradients of single images, of the weighted losses. */
static int differentiate(struct work *w, const struct ek_slice *slice, int worker, double *squares, double *products)
{
	const struct ek_score_pass *p = w->pass;
	const struct ek_net_images what = { .together = p->of == EK_SCORE_MOSO ? p->grid.draws : 1,
		                            .direction = p->direction,
		                            .family = EK_FIRST,
		                            .counts = p->counts };
	struct ek_net_state *s = p->task->nets->runner.states[worker];
	int rc;

	EK_TRY(ek_task_judge(p->task, worker, slice));
	ek_net_write_gradient(s, p->task->nets->learned, slice->weights);
	EK_TRY(ek_net_backward_images(s, &what, squares, products));
out:
	return rc;
}

static int run_slice(void *context, uint64_t i, int worker)
{
	struct work *w = context;
	const struct ek_score_pass *p = w->pass;
	const size_t place = (size_t)i * (size_t)slice_size(w);
	const float weight = p->of == EK_SCORE_MOSO ? 1 / (float)p->grid.draws : 1;
	const struct ek_slice slice = slice_of(w, i, worker, weight);
	int rc;

	EK_TRY(ek_check_interrupt());
	if (p->of == EK_SCORE_LOSS)
		EK_TRY(judge(w, &slice, w->numbers + place));
	else
		EK_TRY(differentiate(w, &slice, worker, w->numbers + place,
		                     p->of == EK_SCORE_MOSO ? w->products + place : NULL));
out:
	return rc;
}

static int learn_slice(void *context, uint64_t i, int worker)
{
	struct work *w = context;
	const struct ek_slice slice = slice_of(w, i, worker, 1 / (float)w->pass->grid.draws);
	int rc = ek_check_interrupt();

	if (rc == 0)
		rc = ek_task_judge(w->pass->task, worker, &slice);
	if (rc == 0) {
		struct ek_net_state *s = w->pass->task->nets->runner.states[worker];

		ek_net_write_gradient(s, w->pass->task->nets->learned, slice.weights);
		rc = ek_net_backward(s, w->store, slice.turn);
	}
	return rc < 0 && ek_store_give_up(w->store) ? rc : 0;
}

static int allocate(struct work *w, uint64_t slices)
{
	const size_t size = (size_t)slice_size(w), workers = (size_t)ek_device_workers();
	int rc;

	EK_TRY(ek_alloc(&w->ids, workers * size, sizeof *w->ids));
	EK_TRY(ek_alloc(&w->weights, workers * size, sizeof *w->weights));
	EK_TRY(ek_alloc(&w->values, workers * size, sizeof *w->values));
	EK_TRY(ek_alloc(&w->parts, workers * size * EK_TASK_PARTS, sizeof *w->parts));
	EK_TRY(ek_alloc(&w->numbers, (size_t)slices * size, sizeof *w->numbers));
	EK_TRY(ek_alloc(&w->products, (size_t)slices * size, sizeof *w->products));
out:
	return rc;
}

static void release(struct work *w)
{
	free(w->ids);
	free(w->weights);
	free(w->values);
	free(w->parts);
	free(w->numbers);
	free(w->products);
}

/* Numbers of each draw to those of an image. */
static void add_up(const struct work *w, uint64_t count, struct ek_score_sums *sums)
{
	const uint64_t draws = draws_of(w), in_slice = (uint64_t)slice_size(w) / draws;

	for (uint64_t i = 0; i < count; i++) {
		sums[i] = (struct ek_score_sums){ 0 };
		if (w->pass->of == EK_SCORE_MOSO) {
			const uint64_t at = i / in_slice * (uint64_t)slice_size(w) + i % in_slice;

			sums[i] = (struct ek_score_sums){ w->products[at], w->numbers[at] };
			continue;
		}
		for (uint64_t d = 0; d < draws; d++) {
			const double x = w->numbers[i * draws + d];

			sums[i].first += w->pass->of == EK_SCORE_NORM ? sqrt(x) : x;
			sums[i].second += w->pass->of == EK_SCORE_NORM ? x : x * x;
		}
	}
}

int ek_score_images(const struct ek_score_pass *pass, const int64_t *ids, uint64_t count, struct ek_score_sums *sums)
{
	struct work w = { .pass = pass, .images = ids, .items = count * (uint64_t)pass->grid.draws };
	const uint64_t size = (uint64_t)pass->task->slice, slices = (w.items + size - 1) / size;
	int rc;

	assert(pass->of != EK_SCORE_MOSO || pass->task->slice % pass->grid.draws == 0);
	EK_TRY(allocate(&w, slices));
	EK_TRY(ek_device_parallel(slices, run_slice, &w));
	add_up(&w, count, sums);
out:
	release(&w);
	return rc;
}

/* A block's gradients, in float32, to the sum in double. */
static int take_block(struct work *w, float *block, double *sum)
{
	const size_t size = w->pass->task->params->size;

	ek_store_read(w->store, EK_GRADIENTS, 0, size, block);
	ek_store_clear_gradients(w->store);
	for (size_t i = 0; i < size; i++)
		sum[i] += (double)block[i];
	return ek_device_fault();
}

int ek_score_gradient(const struct ek_score_pass *pass, const int64_t *ids, uint64_t count, struct ek_store *store,
                      double *sum)
{
	struct work w = { .pass = pass, .images = ids, .items = count * (uint64_t)pass->grid.draws, .store = store };
	const uint64_t size = (uint64_t)pass->task->slice, slices = (w.items + size - 1) / size;
	float *block = NULL;
	int rc;

	EK_TRY(allocate(&w, 0));
	EK_TRY(ek_alloc(&block, pass->task->params->size, sizeof *block));
	ek_store_clear_gradients(store);
	for (; w.first_slice < slices; w.first_slice += EK_SCORE_BLOCK) {
		const uint64_t left = slices - w.first_slice;

		EK_TRY(ek_device_parallel(left < EK_SCORE_BLOCK ? left : EK_SCORE_BLOCK, learn_slice, &w));
		EK_TRY(take_block(&w, block, sum));
	}
out:
	free(block);
	release(&w);
	return rc;
}
