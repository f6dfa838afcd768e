/*
 * SiT on a GPU; rival_cuda.py measures the attention of cuDNN.
 *
 *     bench_cuda step NAME BATCH STEPS      training steps: images/s of the median step
 *     bench_cuda ops NAME BATCH             where a step's time goes, operator by operator
 *     bench_cuda sample NAME BATCH STEPS    one evaluation of each of a batch's images
 *     bench_cuda bits NAME BATCH STEPS      a digest of the values after so many steps
 *
 * NAME: SiT-S/2, …; images are latents of 32 × 32 × 4, numbers are bfloat16.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/flow/flow_task.h"
#include "train/nn/cuda.h"
#include "train/nn/net_internal.h"

enum { WARMUP = 5, REPEATS = 10, TIMES = 4096 };

struct run {
	struct ek_sit_config config;
	struct ek_flow_task_options options;
	struct ek_flow_task *flow;
	struct ek_task task;
	struct ek_store *store;
	int64_t *ids;
	float *weights, *data, *values;
	double *losses;
	int batch;
};

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	const struct run *r = context;
	const size_t count = ek_sit_elements(&r->config);

	(void)worker;
	(void)position;
	memcpy(sample, r->data + (size_t)id * count, count * sizeof *sample);
	*label = (int32_t)(id * 37 % r->config.classes);
	return 0;
}

static int prepare(struct run *r)
{
	const struct ek_flow_source source = { .context = r, .get = get };
	const size_t count = ek_sit_elements(&r->config) * (size_t)r->batch;
	size_t size;
	int rc;

	r->options.model = r->config;
	r->options.precision = EK_NN_BF16;
	r->options.slice = r->batch;
	r->options.seed = 5;
	r->options.drop = 0.1;
	EK_TRY(ek_objective_init(&r->options.objective));
	EK_TRY(ek_flow_task_new(&r->flow, &r->task, &r->options, &source));
	EK_TRY(ek_store_new(&r->store, r->task.params));
	size = r->task.params->size;
	EK_TRY(ek_alloc(&r->values, size, sizeof *r->values));
	EK_TRY(ek_alloc(&r->ids, (size_t)r->batch, sizeof *r->ids));
	EK_TRY(ek_alloc(&r->weights, (size_t)r->batch, sizeof *r->weights));
	EK_TRY(ek_alloc(&r->losses, (size_t)r->batch, sizeof *r->losses));
	EK_TRY(ek_alloc(&r->data, count, sizeof *r->data));
	for (size_t i = 0; i < count; i++)
		r->data[i] = (float)ek_random_normal(1, 1, i);
	for (int i = 0; i < r->batch; i++) {
		r->ids[i] = i;
		r->weights[i] = 1 / (float)r->batch;
	}
	/* No zero weights, as in the rival's run. */
	for (size_t i = 0; i < size; i++)
		r->values[i] = 0.1f * (float)(ek_random_double(2, 2, i) - 0.5);
	ek_store_write(r->store, EK_VALUES, 0, size, r->values);
	ek_store_write(r->store, EK_AVERAGE, 0, size, r->values);
	EK_TRY(ek_task_load(&r->task, r->store, EK_VALUES));
out:
	return rc;
}

static int one_step(struct run *r, uint64_t step)
{
	const struct ek_adamw adamw = {
		.rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .average = 0.9999
	};
	const struct ek_slice slice = { .step = step,
		                        .position = step * (uint64_t)r->batch,
		                        .count = r->batch,
		                        .ids = r->ids,
		                        .weights = r->weights,
		                        .losses = r->losses };
	double norm;
	int rc;

	EK_TRY(ek_task_learn(&r->task, 0, &slice, r->store));
	EK_TRY(ek_store_step(r->store, &adamw, step + 1, &norm));
	EK_TRY(ek_task_load(&r->task, r->store, EK_VALUES));
out:
	return rc;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Until the device has done all it was given. */
static double clock_of_device(const struct run *r)
{
	float one;

	ek_store_read(r->store, EK_VALUES, 0, 1, &one);
	return ek_clock();
}

static int time_steps(struct run *r, const char *name, int steps)
{
	double times[TIMES], start = ek_clock();
	int rc = 0;

	for (int i = 0; i < WARMUP + steps; i++) {
		const double before = ek_clock();

		EK_TRY(one_step(r, (uint64_t)i));
		if (i == WARMUP - 1)
			start = clock_of_device(r);
		if (i >= WARMUP && i - WARMUP < TIMES)
			times[i - WARMUP] = ek_clock() - before;
	}
	start = (clock_of_device(r) - start) / steps;
	qsort(times, (size_t)steps, sizeof *times, compare);
	printf("train %s batch %d: %.1f images/s (%.2f ms a step, median %.2f), %.0f TFLOP/s, loss %.4f\n", name,
	       r->batch, r->batch / start, 1e3 * start, 1e3 * times[steps / 2],
	       ek_flow_task_flops(r->flow) * r->batch / start / 1e12, r->losses[0]);
out:
	return rc;
}

static int digest_of_steps(struct run *r, const char *name, int steps)
{
	int rc = 0;

	for (int i = 0; i < steps; i++)
		EK_TRY(one_step(r, (uint64_t)i));
	ek_store_read(r->store, EK_VALUES, 0, r->task.params->size, r->values);
	printf("bits %s batch %d after %d steps: %016llx, loss %.9g\n", name, r->batch, steps,
	       (unsigned long long)ek_hash64(r->values, r->task.params->size * sizeof *r->values), r->losses[0]);
out:
	return rc;
}

/* Milliseconds of a step of the plan, forward or backward. */
static double time_of(struct run *r, struct ek_net_state *s, const struct ek_net_op *op, int backward)
{
	const struct ek_net_code *code = s->net->device->codes[op->kind];
	const double start = clock_of_device(r);

	for (int i = 0; i < REPEATS; i++)
		if ((backward ? code->backward(s, op) : code->forward(s, op)) < 0)
			return -1;
	return 1e3 * (clock_of_device(r) - start) / REPEATS;
}

static int time_operators(struct run *r, const char *name)
{
	double sums[EK_NET_KIND_COUNT][2] = { { 0 } }, all = 0;
	struct ek_net_state *s = r->task.nets[0].runner.states[0];
	const struct ek_net *net = s->net;
	int rc;

	EK_TRY(one_step(r, 0));
	s->store = r->store;
	for (int i = 0; i < net->step_count; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];

		s->in_backward = i >= net->op_count;
		if (op->idle[net->steps[i].backward])
			continue;
		sums[op->kind][net->steps[i].backward] += time_of(r, s, op, net->steps[i].backward);
	}
	s->in_backward = 0;
	printf("%s batch %d, ms forward and backward, operators alone:\n", name, r->batch);
	for (int k = 0; k < EK_NET_KIND_COUNT; k++)
		if (sums[k][0] + sums[k][1] > 0) {
			printf("  %-12s %8.3f %8.3f\n", ek_net_operators[k].name, sums[k][0], sums[k][1]);
			all += sums[k][0] + sums[k][1];
		}
	printf("  %-12s %8.3f\n", "all", all);
out:
	return rc;
}

static int time_sampling(struct run *r, const char *name, int steps)
{
	struct ek_net *net = NULL;
	struct ek_net_state *s = NULL;
	double start = 0;
	int rc, x, t, labels, out;

	EK_TRY(ek_net_new(&net, r->task.params, EK_NN_BF16, r->batch));
	EK_TRY(x = ek_net_input(net, (struct ek_net_shape){ r->config.side, r->config.side, r->config.channels }));
	EK_TRY(t = ek_net_input(net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(labels = ek_net_input_ids(net));
	EK_TRY(out = ek_sit_build(net, r->task.params, &r->config, x, t, labels));
	EK_TRY(ek_net_output(net, out));
	EK_TRY(ek_net_finish(net, EK_NET_FORWARD));
	EK_TRY(ek_net_load_from(net, r->store, EK_VALUES));
	EK_TRY(ek_net_state_new(&s, net));
	memcpy(ek_net_stage(s, x), r->data, (size_t)r->batch * ek_net_elements(net, x) * sizeof *r->data);
	ek_net_clear_inputs(s, r->batch);
	for (int i = 0; i < WARMUP + steps; i++) {
		if (i == WARMUP)
			start = clock_of_device(r);
		EK_TRY(ek_net_forward(s));
	}
	start = (clock_of_device(r) - start) / steps;
	printf("sample %s batch %d: %.0f evaluations of an image a second (%.2f ms)\n", name, r->batch,
	       r->batch / start, 1e3 * start);
out:
	ek_net_state_free(s);
	ek_net_free(net);
	return rc;
}

int main(int argc, char **argv)
{
	const struct ek_device *device;
	const int steps = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 20;
	struct run r = { .batch = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 256 };
	int rc = argc > 2 ? 0 : ek_fail(EK_EUSAGE, "bench_cuda step|ops|sample|bits NAME [BATCH [STEPS]]");

	EK_TRY(rc);
	EK_TRY(ek_sit_config_name(&r.config, argv[2]));
	r.config.side = 32;
	r.config.channels = 4;
	r.config.classes = 1000;
	EK_TRY(ek_cuda_choose(&device, 0));
	ek_device_set(device);
	EK_TRY(prepare(&r));
	if (strcmp(argv[1], "ops") == 0)
		EK_TRY(time_operators(&r, argv[2]));
	else if (strcmp(argv[1], "sample") == 0)
		EK_TRY(time_sampling(&r, argv[2], steps));
	else if (strcmp(argv[1], "bits") == 0)
		EK_TRY(digest_of_steps(&r, argv[2], steps));
	else
		EK_TRY(time_steps(&r, argv[2], steps));
out:
	if (rc < 0)
		printf("%s\n", ek_error_message());
	return rc < 0;
}
