/*
 * Training and sampling of SiT on all threads, bf16 where the processor has it: what train_rival.py measures of
 * PyTorch.
 *
 *     bench_flow [SECONDS [SLICE [CASE]]]        slice 0: the usual one; CASE: "train sit-192", …
 *
 * One line each: name, images/s of the median step, GFLOP/s of the products, share of the limit of multiply-adds on
 * registers measured in the same run; and images/s by the processor time of the median step, which other programs
 * disturb less: what a machine of its own would give if threads never wait. A training step draws times, noise and
 * label drops, does forward and backward over the batch, adds up the threads' gradients, and takes an AdamW step with
 * an average. Sampling is one evaluation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/bench/clock.h"
#include "tests/bench/peak.h"
#include "train/flow/flow_task.h"
#include "train/nn/net_internal.h"

enum { STEPS_MAX = 4096, WARMUP = 2 };

struct bench {
	const char *name;
	struct ek_sit_config config;
	int batch, slice;
};

static const struct bench benches[] = {
	{ "sit-192", { 6, 192, 6, 1, 8, 4, 1000, 0 }, 64, 16 },
	{ "sit-s2", { 12, 384, 6, 2, 32, 4, 1000, 0 }, 16, 4 },
};

struct run {
	const struct bench *bench;
	struct ek_task task;
	struct ek_store *store;
	int64_t *ids;
	float *weights, *data;
	double *losses;
	uint64_t step;
};

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	const struct run *r = context;
	const size_t count = ek_sit_elements(&r->bench->config);

	(void)worker;
	(void)position;
	memcpy(sample, r->data + (size_t)id * count, count * sizeof *sample);
	*label = (int32_t)(id * 37 % r->bench->config.classes);
	return 0;
}

static int learn(void *context, uint64_t i, int worker)
{
	const struct run *r = context;
	const uint64_t first = i * (uint64_t)r->task.slice;

	return ek_task_learn(&r->task, worker,
	                     &(struct ek_slice){ .step = r->step,
	                                         .position = r->step * (uint64_t)r->bench->batch + first,
	                                         .turn = i,
	                                         .count = r->task.slice,
	                                         .ids = r->ids + first,
	                                         .weights = r->weights + first,
	                                         .losses = r->losses + first },
	                     r->store);
}

struct times {
	double wall[STEPS_MAX], processor[STEPS_MAX];
	double wall_before, processor_before;
	int count;
};

static void step_begin(struct times *t)
{
	t->wall_before = ek_clock();
	t->processor_before = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static void step_end(struct times *t)
{
	t->wall[t->count] = ek_clock() - t->wall_before;
	t->processor[t->count++] = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID) - t->processor_before;
}

static double median(double *x, int count)
{
	qsort(x, (size_t)count, sizeof *x, ek_compare_doubles);
	return x[count / 2];
}

static void report(const char *what, const struct bench *b, struct times *t, double flops, double limit)
{
	const double rate = b->batch / median(t->wall, t->count);
	const double alone = b->batch * ek_threads() / median(t->processor, t->count);

	printf("%s %s batch %d slice %d: %.1f images/s, %.0f GFLOP/s, %.2f of the limit; %.1f images/s, %.2f by "
	       "processor time (%d steps)\n",
	       what, b->name, b->batch, b->slice, rate, rate * flops / 1e9, limit > 0 ? rate * flops / 1e9 / limit : 0,
	       alone, limit > 0 ? alone * flops / 1e9 / limit : 0, t->count);
}

static int prepare(struct run *r)
{
	const size_t count = ek_sit_elements(&r->bench->config) * (size_t)r->bench->batch;
	const size_t size = r->task.params->size;
	float *values = NULL;
	int rc;

	EK_TRY(ek_alloc(&values, size, sizeof *values));
	EK_TRY(ek_store_new(&r->store, r->task.params));
	EK_TRY(ek_alloc(&r->ids, (size_t)r->bench->batch, sizeof *r->ids));
	EK_TRY(ek_alloc(&r->weights, (size_t)r->bench->batch, sizeof *r->weights));
	EK_TRY(ek_alloc(&r->losses, (size_t)r->bench->batch, sizeof *r->losses));
	EK_TRY(ek_alloc(&r->data, count, sizeof *r->data));
	for (size_t i = 0; i < count; i++)
		r->data[i] = (float)ek_random_normal(1, 1, i);
	for (int i = 0; i < r->bench->batch; i++) {
		r->ids[i] = i;
		r->weights[i] = 1 / (float)r->bench->batch;
	}
	/* No zero weights, as in the rival's run. */
	for (size_t i = 0; i < size; i++)
		values[i] = 0.1f * (float)(ek_random_double(2, 2, i) - 0.5);
	ek_store_write(r->store, EK_VALUES, 0, size, values);
	ek_store_write(r->store, EK_AVERAGE, 0, size, values);
out:
	free(values);
	return rc;
}

static void release(struct run *r)
{
	ek_store_free(r->store);
	free(r->ids);
	free(r->weights);
	free(r->losses);
	free(r->data);
}

static int train(const struct bench *b, double seconds, double limit)
{
	struct ek_adamw adamw = { 1e-4, 0.9, 0.999, 1e-8, 0, 0.9999, 0 };
	struct ek_flow_task_options *o = NULL;
	struct ek_flow_task *flow = NULL;
	struct run r = { .bench = b };
	static struct times times;
	double start = 0, norm;
	int rc;

	times.count = 0;
	EK_TRY(ek_alloc(&o, 1, sizeof *o));
	o->model = b->config;
	o->slice = b->slice;
	o->drop = 0.1;
	EK_TRY(ek_objective_init(&o->objective));
	EK_TRY(ek_flow_task_new(&flow, &r.task, o, &(struct ek_flow_source){ .context = &r, .get = get }));
	EK_TRY(prepare(&r));
	EK_TRY(ek_task_load(&r.task, r.store, EK_VALUES));
	for (; r.step < STEPS_MAX && (r.step < WARMUP + 3 || ek_clock() - start < seconds); r.step++) {
		if (r.step == WARMUP)
			start = ek_clock();
		step_begin(&times);
		EK_TRY(ek_parallel((uint64_t)(b->batch / r.task.slice), learn, &r));
		EK_TRY(ek_store_step(r.store, &adamw, r.step + 1, &norm));
		EK_TRY(ek_task_load(&r.task, r.store, EK_VALUES));
		step_end(&times);
		if (r.step < WARMUP)
			times.count = 0;
	}
	report("train", b, &times, ek_flow_task_flops(flow), limit);
out:
	ek_flow_task_free(flow);
	free(o);
	release(&r);
	return rc;
}

/* One evaluation, slices over the threads. */
struct evaluation {
	struct ek_net *net;
	struct ek_net_state **states;
	int x, t, labels, out;
};

static int evaluate(void *context, uint64_t i, int worker)
{
	const struct evaluation *e = context;

	(void)i;
	return ek_net_forward(e->states[worker]);
}

static int build(struct evaluation *e, const struct bench *b, const struct ek_params *params)
{
	int rc;

	EK_TRY(ek_net_new(&e->net, params, EK_NN_AUTO, b->slice));
	e->x = ek_net_input(e->net, (struct ek_net_shape){ b->config.side, b->config.side, b->config.channels });
	e->t = ek_net_input(e->net, (struct ek_net_shape){ 1, 1, 1 });
	e->labels = ek_net_input_ids(e->net);
	EK_TRY(e->out = ek_sit_build(e->net, params, &b->config, e->x, e->t, e->labels));
	EK_TRY(ek_net_output(e->net, e->out));
	EK_TRY(ek_net_finish(e->net, EK_NET_FORWARD));
	EK_TRY(ek_alloc(&e->states, (size_t)ek_threads(), sizeof(void *)));
	for (int i = 0; i < ek_threads(); i++)
		EK_TRY(ek_net_state_new(&e->states[i], e->net));
out:
	return rc;
}

static int sample(const struct bench *b, double seconds, double limit)
{
	struct ek_params params = { 0 };
	struct evaluation e = { 0 };
	float *values = NULL;
	static struct times times;
	double start = 0;
	int rc;

	times.count = 0;
	EK_TRY(ek_sit_params(&params, &b->config));
	EK_TRY(ek_alloc_aligned(&values, params.size, sizeof *values));
	for (size_t i = 0; i < params.size; i++)
		values[i] = 0.1f * (float)(ek_random_double(2, 2, i) - 0.5);
	EK_TRY(build(&e, b, &params));
	EK_TRY(ek_net_load(e.net, values));
	for (int w = 0; w < ek_threads(); w++)
		for (size_t i = 0; i < (size_t)b->slice * ek_net_elements(e.net, e.x); i++)
			((float *)ek_net_data(e.states[w], e.x))[i] = (float)ek_random_normal(1, 1, i);
	for (int step = 0; step < STEPS_MAX && (step < WARMUP + 3 || ek_clock() - start < seconds); step++) {
		if (step == WARMUP)
			start = ek_clock();
		step_begin(&times);
		EK_TRY(ek_parallel((uint64_t)(b->batch / b->slice), evaluate, &e));
		step_end(&times);
		if (step < WARMUP)
			times.count = 0;
	}
	report("sample", b, &times, ek_net_flops(e.net), limit);
out:
	for (int i = 0; e.states != NULL && i < ek_threads(); i++)
		ek_net_state_free(e.states[i]);
	free(e.states);
	ek_net_free(e.net);
	free(values);
	ek_params_release(&params);
	return rc;
}

static int is_wanted(int argc, char **argv, const char *what, const char *name)
{
	char text[64];

	(void)snprintf(text, sizeof text, "%s %s", what, name);
	return argc < 4 || strcmp(argv[3], text) == 0;
}

int main(int argc, char **argv)
{
	const double seconds = argc > 1 ? strtod(argv[1], NULL) : 8;
	const double limit = ek_bench_peak(ek_nn_precision_type(EK_NN_AUTO));

	printf("limit: %.0f GFLOP/s on %d threads\n", limit, ek_threads());
	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
		struct bench b = benches[i];

		if (argc > 2 && strtol(argv[2], NULL, 10) > 0)
			b.slice = (int)strtol(argv[2], NULL, 10);
		if ((is_wanted(argc, argv, "train", b.name) && train(&b, seconds, limit) < 0) ||
		    (is_wanted(argc, argv, "sample", b.name) && sample(&b, seconds, limit) < 0)) {
			fprintf(stderr, "bench_flow: %s\n", ek_error_message());
			return 1;
		}
	}
	return 0;
}
