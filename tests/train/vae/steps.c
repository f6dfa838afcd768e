#include "tests/train/vae/steps.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/store_internal.h"

static int part_count(const struct ek_task *task)
{
	int count = 0;

	while (task->part_names[count] != NULL)
		count++;
	return count;
}

void ek_steps_init(struct ek_steps *s, const struct ek_task *task, int batch, int images, double rate, uint64_t seed)
{
	const size_t size = task->params->size, n = (size_t)batch;
	float *values = NULL;
	int rc;

	*s = (struct ek_steps){ .task = task, .batch = batch, .images = images, .rate = rate };
	EK_TRY(ek_store_new(&s->store, task->params));
	s->values = ek_store_data(s->store, EK_VALUES);
	s->average = ek_store_data(s->store, EK_AVERAGE);
	EK_TRY(ek_alloc(&s->weights, n, sizeof *s->weights));
	EK_TRY(ek_alloc(&s->losses, n, sizeof *s->losses));
	EK_TRY(ek_alloc(&s->parts, n * EK_STEPS_PARTS, sizeof *s->parts));
	EK_TRY(ek_alloc(&s->ids, n, sizeof *s->ids));
	EK_TRY(ek_alloc(&values, size, sizeof *values));
	ek_params_initialise(task->params, seed, values);
	ek_store_write(s->store, EK_VALUES, 0, size, values);
	ek_store_write(s->store, EK_AVERAGE, 0, size, values);
out:
	free(values);
	assert(rc >= 0);
}

void ek_steps_release(struct ek_steps *s)
{
	ek_store_free(s->store);
	free(s->weights);
	free(s->losses);
	free(s->parts);
	free(s->ids);
}

static struct ek_slice slice_of(struct ek_steps *s, int i)
{
	const int first = i * s->task->slice;

	return (struct ek_slice){ .step = s->step,
		                  .position = s->step * (uint64_t)s->batch + (uint64_t)first,
		                  .turn = (uint64_t)i,
		                  .count = s->task->slice,
		                  .ids = s->ids + first,
		                  .weights = s->weights + first,
		                  .losses = s->losses + first,
		                  .parts = s->parts + first * part_count(s->task) };
}

static int run_slice(void *context, uint64_t i, int worker)
{
	struct ek_steps *s = context;
	const struct ek_slice slice = slice_of(s, (int)i);

	return ek_task_learn(s->task, worker, &slice, s->store);
}

static void average_parts(struct ek_steps *s)
{
	const int parts = part_count(s->task);

	s->loss = 0;
	memset(s->part, 0, sizeof s->part);
	for (int i = 0; i < s->batch; i++) {
		s->loss += s->losses[i] / s->batch;
		for (int p = 0; p < parts; p++)
			s->part[p] += s->parts[i * parts + p] / s->batch;
	}
}

static int one_step(struct ek_steps *s)
{
	const struct ek_adamw adamw = {
		.rate = s->rate, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .average = 0.99, .clip = 1
	};
	double norm;
	int rc;

	for (int i = 0; i < s->batch; i++) {
		s->ids[i] = (int64_t)((s->step * (uint64_t)s->batch + (uint64_t)i) % (uint64_t)s->images);
		s->weights[i] = 1 / (float)s->batch;
	}
	EK_TRY(ek_task_load(s->task, s->store, EK_VALUES));
	EK_TRY(ek_device_parallel((uint64_t)(s->batch / s->task->slice), run_slice, s));
	EK_TRY(ek_store_step(s->store, &adamw, s->step + 1, &norm));
	if (s->task->codebook != NULL)
		EK_TRY(ek_codebook_step(s->task->codebook, s->store, s->step));
	average_parts(s);
	s->step++;
out:
	return rc;
}

int ek_steps_run(struct ek_steps *s, int count)
{
	int rc = 0;

	for (int i = 0; i < count; i++)
		EK_TRY(one_step(s));
out:
	return rc;
}

int ek_steps_judge(struct ek_steps *s, int count, double *loss)
{
	int rc;

	*loss = 0;
	EK_TRY(ek_task_load(s->task, s->store, EK_VALUES));
	for (int i = 0; i < count; i++) {
		struct ek_slice slice = slice_of(s, 0);

		slice.position = (uint64_t)(i * slice.count);
		for (int j = 0; j < slice.count; j++)
			s->ids[j] = (i * slice.count + j) % s->images;
		EK_TRY(ek_task_judge(s->task, 0, &slice));
		for (int j = 0; j < slice.count; j++)
			*loss += slice.losses[j] / (slice.count * count);
	}
out:
	return rc;
}
