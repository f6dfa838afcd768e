/*
 * SiT on a GPU; rival_cuda.py measures the attention of cuDNN.
 *
 *     bench_cuda step NAME BATCH STEPS      training steps: images/s of the median step
 *     bench_cuda ops NAME BATCH             where a step's time goes, by kinds of operators
 *     bench_cuda sample NAME BATCH STEPS    one evaluation of each of a batch's images
 *     bench_cuda all NAME BATCH STEPS       these three
 *     bench_cuda each NAME BATCH STEPS      the same, operator by operator
 *     bench_cuda solve NAME BATCH STEPS     two batches solved by Euler's method, guided, with the host's part
 *     bench_cuda images NAME BATCH STEPS    the norms of single images' gradients, alone and with their products with a
 *                                           direction; and how the order of norms is beside that in float32
 *     bench_cuda moso NAME BATCH DRAWS      both passes of MoSo over 64 slices of so many draws, as the program makes
 *                                           them; images_rival.py measures its authors' way
 *     bench_cuda bits NAME BATCH STEPS      a digest of the values after so many steps
 *
 * NAME: SiT-S/2, …, of latents of 32 × 32 × 4; or small: width 192, depth 6, patch 4, of pixels 32 × 32 × 3. Numbers
 * are bfloat16.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "tests/bench/operators.h"
#include "train/flow/flow_sample.h"
#include "train/flow/flow_task.h"
#include "train/nn/cuda.h"
#include "train/nn/net_internal.h"
#include "train/score/moso.h"
#include "train/score/pass.h"

enum { WARMUP = 5, REPEATS = 10, TIMES = 4096, DRAWN = 1000003, SLICES = EK_SCORE_BLOCK };

struct run {
	struct ek_sit_config config;
	struct ek_flow_task_options options;
	struct ek_flow_task *flow;
	struct ek_task task;
	struct ek_store *store;
	int64_t *ids;
	float *weights, *data, *values;
	double *losses;
	int batch, each;
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
		r->values[i] = i < DRAWN ? 0.1f * (float)(ek_random_double(2, 2, i) - 0.5) : r->values[i - DRAWN];
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
	const struct ek_slice next = {
		.step = step + 1, .position = (step + 1) * (uint64_t)r->batch, .count = r->batch, .ids = r->ids
	};
	const struct ek_slice slice = { .step = step,
		                        .position = step * (uint64_t)r->batch,
		                        .count = r->batch,
		                        .ids = r->ids,
		                        .weights = r->weights,
		                        .losses = r->losses,
		                        .unread = 1 };
	double norm;
	int rc;

	EK_TRY(ek_task_learn(&r->task, 0, &slice, r->store));
	ek_task_ahead(&r->task, 0, &next);
	EK_TRY(ek_store_begin_step(r->store, &adamw, step + 1));
	EK_TRY(ek_task_load(&r->task, r->store, EK_VALUES));
	EK_TRY(ek_store_end_step(r->store, step + 1, &norm));
	ek_task_report(&r->task, 0, &slice);
out:
	return rc;
}

/* Until the device has done all it was given. */
static double clock_of_device(const struct run *r)
{
	float one;

	ek_store_read(r->store, EK_VALUES, 0, 1, &one);
	return ek_clock();
}

/* The same steps, given to the device without waiting for anything: milliseconds of one. */
static int time_unwaited(struct run *r, double *ms, int steps)
{
	const struct ek_task_net *n = &r->task.nets[0];
	const struct ek_adamw adamw = { .rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };
	double start = clock_of_device(r);
	int rc = 0;

	for (int i = 0; i < steps; i++) {
		EK_TRY(ek_net_forward(n->runner.states[0]));
		ek_net_write_gradient(n->runner.states[0], n->learned, r->weights);
		EK_TRY(ek_net_backward(n->runner.states[0], r->store, 0));
		EK_TRY(ek_store_begin_step(r->store, &adamw, (uint64_t)i + 1));
		EK_TRY(ek_task_load(&r->task, r->store, EK_VALUES));
	}
	*ms = 1e3 * (clock_of_device(r) - start) / steps;
out:
	return rc;
}

static int time_steps(struct run *r, const char *name, int steps)
{
	double times[TIMES], start = ek_clock(), unwaited;
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
	qsort(times, (size_t)steps, sizeof *times, ek_compare_doubles);
	EK_TRY(time_unwaited(r, &unwaited, steps));
	printf("train %s batch %d: %.1f images/s (%.3f ms a step, median %.3f, waiting for nothing %.3f), "
	       "%.0f TFLOP/s, loss %.4f\n",
	       name, r->batch, r->batch / start, 1e3 * start, 1e3 * times[steps / 2], unwaited,
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

static int time_operators(struct run *r, const char *name)
{
	int rc;

	EK_TRY(one_step(r, 0));
	printf("%s batch %d, a step's operators alone, forward and backward:\n", name, r->batch);
	EK_TRY(ek_bench_operators(r->task.nets[0].runner.states[0], r->store, r->each));
out:
	return rc;
}

/* A net that evaluates the batch. */
struct evaluation {
	struct ek_net *net;
	struct ek_net_state *s;
	int out;
};

static void evaluation_free(struct evaluation *e)
{
	ek_net_state_free(e->s);
	ek_net_free(e->net);
}

static int build_evaluation(struct evaluation *e, const struct run *r, enum ek_nn_precision precision)
{
	const struct ek_net_shape shape = { r->config.side, r->config.side, r->config.channels };
	int rc, x, t, labels;
	float *times;

	EK_TRY(ek_net_new(&e->net, r->task.params, precision, r->batch));
	ek_net_narrow_stream(e->net); /* as that of `generate` */
	EK_TRY(x = ek_net_input(e->net, shape));
	EK_TRY(t = ek_net_input(e->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(labels = ek_net_input_ids(e->net));
	EK_TRY(e->out = ek_sit_build(e->net, r->task.params, &r->config, x, t, labels));
	EK_TRY(ek_net_output(e->net, e->out));
	EK_TRY(ek_net_finish(e->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load_from(e->net, r->store, EK_VALUES));
	EK_TRY(ek_net_state_new(&e->s, e->net));
	memcpy(ek_net_stage(e->s, x), r->data, (size_t)r->batch * ek_net_elements(e->net, x) * sizeof *r->data);
	times = ek_net_stage(e->s, t);
	for (int i = 0; i < r->batch; i++)
		times[i] = ((float)i + 0.5f) / (float)r->batch;
	ek_net_clear_inputs(e->s, r->batch);
out:
	return rc;
}

/* How far an evaluation's results are from those in float32, of their norm. */
static int error_of(double *error, const struct run *r, struct evaluation *e)
{
	const size_t count = (size_t)r->batch * ek_net_elements(e->net, e->out);
	struct evaluation exact = { 0 };
	double off = 0, norm = 0;
	const float *a, *b;
	int rc;

	EK_TRY(build_evaluation(&exact, r, EK_NN_F32));
	EK_TRY(ek_net_forward(exact.s));
	a = ek_net_view(e->s, e->out);
	b = ek_net_view(exact.s, exact.out);
	for (size_t i = 0; i < count; i++) {
		off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		norm += (double)b[i] * (double)b[i];
	}
	*error = sqrt(off / norm);
out:
	evaluation_free(&exact);
	return rc;
}

static int time_sampling(struct run *r, const char *name, int steps)
{
	struct evaluation e = { 0 };
	double start = 0, error;
	int rc;

	EK_TRY(build_evaluation(&e, r, EK_NN_BF16));
	for (int i = 0; i < WARMUP + steps; i++) {
		if (i == WARMUP)
			start = clock_of_device(r);
		EK_TRY(ek_net_forward(e.s));
	}
	start = (clock_of_device(r) - start) / steps;
	EK_TRY(error_of(&error, r, &e));
	printf("sample %s batch %d: %.0f evaluations of an image a second (%.2f ms), off float32 by %.2g; its "
	       "operators alone:\n",
	       name, r->batch, r->batch / start, 1e3 * start, error);
	EK_TRY(ek_bench_operators(e.s, NULL, r->each));
out:
	evaluation_free(&e);
	return rc;
}

/* Of the batch: where the samples go, or NULL, and their digest. */
struct solved {
	size_t size;
	float *samples;
};

static int take(void *context, uint64_t first, int count, const float *samples)
{
	struct solved *s = context;

	memcpy(s->samples + first * s->size, samples, (size_t)count * s->size * sizeof *samples);
	return 0;
}

/* Two batches of samples by Euler's method, guided where 0.2 <= t <= 0.9; written to `path`, if not NULL. */
static int time_solving(struct run *r, const char *name, int steps, const char *path)
{
	const struct ek_solver_options o = { .solver = EK_SOLVER_EULER,
		                             .steps = steps,
		                             .guidance = { .scale = 1.5, .low = 0.2, .high = 0.9 } };
	const uint64_t count = 2 * (uint64_t)r->batch;
	struct solved s = { .size = ek_sit_elements(&r->config) };
	struct ek_flow_samples wanted = { .count = count, .context = &s, .take = take, .silent = 1 };
	struct ek_flow_sampler *sampler = NULL;
	uint64_t *seeds = NULL;
	int32_t *labels = NULL;
	double start = 0;
	int rc, evaluations = 0;
	FILE *file;

	EK_TRY(ek_alloc(&s.samples, count * s.size, sizeof *s.samples));
	EK_TRY(ek_alloc(&seeds, count, sizeof *seeds));
	EK_TRY(ek_alloc(&labels, count, sizeof *labels));
	for (uint64_t i = 0; i < count; i++) {
		seeds[i] = i;
		labels[i] = (int32_t)(i * 37 % (uint64_t)r->config.classes);
	}
	for (int step = 0; step < steps; step++)
		evaluations += step >= 0.2 * steps && step <= 0.9 * steps ? 2 : 1;
	wanted.seeds = seeds;
	wanted.labels = labels;
	EK_TRY(ek_flow_sampler_new(&sampler, &r->config, r->task.params, r->values, EK_NN_BF16, r->batch, 1));
	for (int i = 0; i < 2; i++) {
		start = ek_clock();
		EK_TRY(ek_flow_sample(sampler, &o, &wanted, i == 0 ? count / 2 : 0));
	}
	start = ek_clock() - start;
	printf("solve %s batch %d, %d steps: %.0f evaluations of an image a second (%.2f ms each), bits %016llx\n",
	       name, r->batch, steps, (double)count * evaluations / start, 1e3 * start / evaluations / 2,
	       (unsigned long long)ek_hash64(s.samples, count * s.size * sizeof *s.samples));
	if (path != NULL && (file = fopen(path, "wb")) != NULL) {
		(void)fwrite(s.samples, sizeof *s.samples, count * s.size, file);
		(void)fclose(file);
	}
out:
	ek_flow_sampler_free(sampler);
	free(s.samples);
	free(seeds);
	free(labels);
	return rc;
}

/* The network of training, for the gradients of images. */
struct measuring {
	struct ek_net *net;
	struct ek_net_state *s;
	int data, keys, factors, t, labels, loss;
	float *ones;
	double *squares, *products;
};

static void measuring_free(struct measuring *m)
{
	ek_net_state_free(m->s);
	ek_net_free(m->net);
	free(m->ones);
	free(m->squares);
	free(m->products);
}

static int build_measuring(struct measuring *m, struct run *r, enum ek_nn_precision precision)
{
	const struct ek_net_shape shape = { r->config.side, r->config.side, r->config.channels };
	int rc, noise, x, prediction, parts[2];

	EK_TRY(ek_net_new(&m->net, r->task.params, precision, r->batch));
	EK_TRY(m->data = ek_net_input(m->net, shape));
	EK_TRY(m->keys = ek_net_input_keys(m->net));
	EK_TRY(m->factors = ek_net_input(m->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS }));
	EK_TRY(m->t = ek_net_input(m->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(m->labels = ek_net_input_ids(m->net));
	EK_TRY(noise = ek_net_noise(m->net, m->keys, shape));
	EK_TRY(x = ek_objective_mix(m->net, m->data, noise, m->factors));
	EK_TRY(prediction = ek_sit_build(m->net, r->task.params, &r->config, x, m->t, m->labels));
	EK_TRY(m->loss =
	               ek_objective_loss(m->net, &r->options.objective, prediction, m->data, noise, m->factors, parts));
	EK_TRY(ek_net_output(m->net, m->loss));
	EK_TRY(ek_net_finish(m->net, EK_NET_IMAGES));
	EK_TRY(ek_net_load_from(m->net, r->store, EK_VALUES));
	EK_TRY(ek_net_state_new(&m->s, m->net));
	EK_TRY(ek_alloc(&m->ones, (size_t)r->batch, sizeof *m->ones));
	EK_TRY(ek_alloc(&m->squares, (size_t)r->batch, sizeof *m->squares));
	EK_TRY(ek_alloc(&m->products, (size_t)r->batch, sizeof *m->products));
out:
	return rc;
}

/* The same images, times and noises each time. */
static int measure(struct measuring *m, struct run *r, int with_products)
{
	const struct ek_net_images what = { .direction = with_products ? r->store : NULL, .family = EK_AVERAGE };
	int rc;

	memcpy(ek_net_stage(m->s, m->data), r->data,
	       (size_t)r->batch * ek_net_elements(m->net, m->data) * sizeof *r->data);
	for (int i = 0; i < r->batch; i++) {
		const double t = ((double)i + 0.5) / r->batch;

		((struct ek_net_key *)ek_net_stage(m->s, m->keys))[i] = ek_objective_key(1, (uint64_t)i);
		((float *)ek_net_stage(m->s, m->t))[i] = (float)t;
		((int32_t *)ek_net_stage(m->s, m->labels))[i] = i * 37 % r->config.classes;
		ek_objective_factors(&r->options.objective, t,
		                     (float *)ek_net_stage(m->s, m->factors) + i * EK_OBJECTIVE_FACTORS);
		m->ones[i] = 1;
	}
	EK_TRY(ek_net_forward(m->s));
	ek_net_write_gradient(m->s, m->loss, m->ones);
	EK_TRY(ek_net_backward_images(m->s, &what, m->squares, with_products ? m->products : NULL));
out:
	return rc;
}

/* Where the time of squares goes, after a forward and a backward: milliseconds of the operators alone. */
static int time_measuring(struct measuring *m, const struct run *r)
{
	const struct ek_net_images what = { .together = 1 };
	double sums[EK_NET_KIND_COUNT] = { 0 };
	int rc = 0;

	m->s->measure = &what;
	m->s->in_backward = 1;
	for (int i = m->net->op_count; i < m->net->step_count; i++) {
		const struct ek_net_op *op = &m->net->ops[m->net->steps[i].op];
		const double start = clock_of_device(r);

		if (!ek_net_measures(m->s, op, 0))
			continue;
		for (int j = 0; j < REPEATS; j++)
			EK_TRY(m->net->device->codes[op->kind]->images(m->s, op));
		sums[op->kind] += 1e3 * (clock_of_device(r) - start) / REPEATS;
	}
	for (int k = 0; k < EK_NET_KIND_COUNT; k++)
		if (sums[k] > 0)
			printf("  %-12s %8.3f ms for the squares of images\n", ek_net_operators[k].name, sums[k]);
out:
	m->s->measure = NULL;
	m->s->in_backward = 0;
	return rc;
}

/* Where each is among all, from the least on. */
static void rank(double *ranks, const double *x, int count)
{
	for (int i = 0; i < count; i++) {
		ranks[i] = 0;
		for (int j = 0; j < count; j++)
			ranks[i] += x[j] < x[i];
	}
}

/* Spearman's correlation, 1 - 6 sum d^2 / (n (n^2 - 1)). ranks: room for 2 · count. */
static double rank_correlation(const double *a, const double *b, int count, double *ranks)
{
	double sum = 0;

	rank(ranks, a, count);
	rank(ranks + count, b, count);
	for (int i = 0; i < count; i++)
		sum += (ranks[i] - ranks[count + i]) * (ranks[i] - ranks[count + i]);
	return 1 - 6 * sum / ((double)count * ((double)count * count - 1));
}

static int time_images(struct run *r, const char *name, int steps)
{
	struct measuring m = { 0 }, exact = { 0 };
	double start = 0, squares = 0, products = 0, *ranks = NULL;
	int rc;

	EK_TRY(ek_alloc(&ranks, 2 * (size_t)r->batch, sizeof *ranks));
	EK_TRY(build_measuring(&m, r, EK_NN_BF16));
	for (int with = 0; with < 2; with++) {
		for (int i = 0; i < WARMUP + steps; i++) {
			if (i == WARMUP)
				start = clock_of_device(r);
			EK_TRY(measure(&m, r, with));
		}
		start = (clock_of_device(r) - start) / steps;
		printf("images %s batch %d%s: %.1f images/s (%.2f ms), norm %.6g\n", name, r->batch,
		       with ? " with products" : "", r->batch / start, 1e3 * start, sqrt(m.squares[0]));
	}
	EK_TRY(time_measuring(&m, r));
	EK_TRY(build_measuring(&exact, r, EK_NN_F32));
	EK_TRY(measure(&exact, r, 1));
	for (int i = 0; i < r->batch; i++) {
		squares = fmax(squares, fabs(sqrt(m.squares[i] / exact.squares[i]) - 1));
		products = fmax(products, fabs(m.products[i] / exact.products[i] - 1));
	}
	printf("images %s beside float32: rank correlation of norms %.6f, of products %.6f; at most %.2g, %.2g off\n",
	       name, rank_correlation(m.squares, exact.squares, r->batch, ranks),
	       rank_correlation(m.products, exact.products, r->batch, ranks), squares, products);
out:
	measuring_free(&m);
	measuring_free(&exact);
	free(ranks);
	return rc;
}

/* The mean gradient of all images to EK_FIRST, then each one's numbers. `seconds`: of the two passes. */
static int two_passes(struct run *r, const struct ek_score_pass *pass, const int64_t *ids, uint64_t images,
                      struct ek_score_sums *numbers, double seconds[2])
{
	const size_t size = r->task.params->size;
	double *sum = NULL, start, square, mean = 0;
	int rc;

	EK_TRY(ek_alloc(&sum, size, sizeof *sum));
	start = clock_of_device(r);
	EK_TRY(ek_score_gradient(pass, ids, images, r->store, sum));
	seconds[0] = clock_of_device(r) - start;
	square = ek_moso_mean(r->values, sum, size, images);
	ek_store_write(r->store, EK_FIRST, 0, size, r->values);
	start = clock_of_device(r);
	EK_TRY(ek_score_images(pass, ids, images, numbers));
	seconds[1] = clock_of_device(r) - start;
	for (uint64_t i = 0; i < images; i++)
		mean += numbers[i].first / (double)images;
	printf("the mean of products is the square of the mean gradient times %.6f\n", mean / square);
out:
	free(sum);
	return rc;
}

static int time_moso(struct run *r, const char *name, int draws)
{
	const struct ek_score_pass pass = {
		.task = &r->task, .grid = { draws, 1 }, .of = EK_SCORE_MOSO, .direction = r->store
	};
	const uint64_t images = (uint64_t)(SLICES * r->batch / draws);
	struct ek_score_sums *numbers = NULL;
	double seconds[2];
	int64_t *ids = NULL;
	int rc;

	EK_TRY(ek_alloc(&numbers, images, sizeof *numbers));
	EK_TRY(ek_alloc(&ids, images, sizeof *ids));
	for (uint64_t i = 0; i < images; i++)
		ids[i] = (int64_t)(i % (uint64_t)r->batch);
	EK_TRY(two_passes(r, &pass, ids, images / SLICES, numbers, seconds));
	EK_TRY(two_passes(r, &pass, ids, images, numbers, seconds));
	printf("moso %s slices of %d, %d draws: mean gradient %.1f draws/s, products %.1f draws/s, both %.1f\n", name,
	       r->batch, draws, (double)images * draws / seconds[0], (double)images * draws / seconds[1],
	       (double)images * draws / (seconds[0] + seconds[1]));
out:
	free(numbers);
	free(ids);
	return rc;
}

int main(int argc, char **argv)
{
	const struct ek_device *device;
	const int steps = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 20;
	struct run r = { .batch = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 256 };
	int rc = argc > 2 ? 0
	                  : ek_fail(EK_EUSAGE,
	                            "bench_cuda step|ops|sample|all|each|solve|images|moso|bits NAME [BATCH [STEPS]]");
	int all;

	EK_TRY(rc);
	r.each = strcmp(argv[1], "each") == 0;
	all = r.each || strcmp(argv[1], "all") == 0;
	if (strcmp(argv[2], "small") == 0)
		r.config = (struct ek_sit_config){ .depth = 6, .width = 192, .heads = 6, .patch = 4, .channels = 3 };
	else
		EK_TRY(ek_sit_config_name(&r.config, argv[2]));
	r.config.side = 32;
	r.config.channels = r.config.channels > 0 ? r.config.channels : 4;
	r.config.classes = 1000;
	r.options.drop = 0.1;
	if (strcmp(argv[1], "moso") == 0) {
		r.options.drop = 0;
		r.options.use = EK_FLOW_IMAGES;
	}
	EK_TRY(ek_cuda_choose(&device, 0));
	ek_device_set(device);
	EK_TRY(prepare(&r));
	if (strcmp(argv[1], "images") == 0)
		EK_TRY(time_images(&r, argv[2], steps));
	if (all || strcmp(argv[1], "step") == 0)
		EK_TRY(time_steps(&r, argv[2], steps));
	if (all || strcmp(argv[1], "ops") == 0)
		EK_TRY(time_operators(&r, argv[2]));
	if (all || strcmp(argv[1], "sample") == 0)
		EK_TRY(time_sampling(&r, argv[2], steps));
	if (strcmp(argv[1], "moso") == 0)
		EK_TRY(time_moso(&r, argv[2], argc > 4 ? steps : 8));
	if (strcmp(argv[1], "solve") == 0)
		EK_TRY(time_solving(&r, argv[2], steps, argc > 5 ? argv[5] : NULL));
	if (strcmp(argv[1], "bits") == 0)
		EK_TRY(digest_of_steps(&r, argv[2], steps));
out:
	if (rc < 0)
		printf("%s\n", ek_error_message());
	return rc < 0;
}
