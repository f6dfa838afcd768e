/* Training: twenty steps as PyTorch takes them, problems with known answers, and what a task promises. */
#include "tests/train/flow/golden_sit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/train/nn/fake_device.h"
#include "tests/train/nn/on_device.h"
#include "train/flow/flow_sample.h"
#include "train/flow/flow_task.h"
#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

static void twenty_steps_equal_pytorch(void **state)
{
	cJSON *golden = ek_golden("sit");
	const cJSON *c = cJSON_GetObjectItemCaseSensitive(golden, "training"), *digest;
	const cJSON *losses = cJSON_GetObjectItemCaseSensitive(c, "losses");
	const cJSON *deviations = cJSON_GetObjectItemCaseSensitive(c, "losses_f32");
	/* By luck a loss in float32 can be nearer than a rounding: no less than that. */
	const double rounding = 0x1p-23;
	struct golden_batch b;
	struct golden_net g;
	struct ek_objective *o;
	double t[8];
	float each[8];
	const char *const names[] = { "weights", "ema" };
	float *family;

	(void)state;
	golden_batch_make(&b, c);
	golden_net_make(&g, golden, "small", b.count, EK_NN_F32, EK_NET_TRAIN);
	assert_ok(ek_alloc(&o, 1, sizeof *o));
	assert_ok(ek_objective_init(o));
	family = golden_family(g.store, &g.params, EK_VALUES);
	ek_store_write(g.store, EK_AVERAGE, 0, g.params.size, family);
	free(family);
	for (int i = 0; i < b.count; i++)
		t[i] = (double)b.t[i];
	for (int step = 0; step < (int)golden_number(c, "steps"); step++) {
		const struct ek_adamw adamw = { .rate = golden_number(c, "lr"),
			                        .beta1 = 0.9,
			                        .beta2 = 0.999,
			                        .epsilon = 1e-8,
			                        .average = golden_number(c, "ema_decay") };
		const double loss = golden_loss(&g, &b, o, t, each, NULL);
		const double want = cJSON_GetArrayItem(losses, step)->valuedouble;
		double norm;

		assert_close(loss / want, 1,
		             GOLDEN_MARGIN * fmax(cJSON_GetArrayItem(deviations, step)->valuedouble, rounding));
		assert_ok(ek_net_backward(g.s, g.store, 0));
		assert_ok(ek_store_step(g.store, &adamw, (uint64_t)step + 1, &norm));
		assert_ok(ek_net_load_from(g.net, g.store, EK_VALUES));
	}
	for (int i = 0; i < 2; i++) {
		family = golden_family(g.store, &g.params, i == 0 ? EK_VALUES : EK_AVERAGE);
		cJSON_ArrayForEach(digest, cJSON_GetObjectItemCaseSensitive(c, names[i]))
		{
			const struct ek_param *p = &g.params.items[ek_params_find(&g.params, digest->string)];
			const double tolerance = GOLDEN_MARGIN * ek_digest_deviation(digest, "f32");

			assert_true(ek_digest_distance(digest, family + p->offset, p->count, tolerance) <= 1);
		}
		free(family);
	}
	free(o);
	golden_net_release(&g);
	golden_batch_release(&b);
	cJSON_Delete(golden);
}

/* Data: a mixture of normal distributions, or of points (deviation 0), of `side`² pixels and 2 channels, around
 * ±CENTRE in every number; image id is of component 0 with chance SHARE, which is its label where labels are given. */
enum { BATCH = 64, SLICE = 32, CHANNELS = 2, MOST = 8 };
static const double SHARE = 0.7, CENTRE = 1;

struct mixture {
	double deviation;
	int labelled, elements;
	atomic_int taken; /* images */
};

static int component(int64_t id)
{
	return ek_random_double(11, 1, (uint64_t)id) < SHARE ? 0 : 1;
}

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	struct mixture *m = context;
	const int k = component(id);

	m->taken++;

	(void)worker;
	(void)position;
	for (int i = 0; i < m->elements; i++)
		sample[i] = (float)((k == 0 ? CENTRE : -CENTRE) +
		                    m->deviation * ek_random_normal(11, 2, (uint64_t)id * MOST + (uint64_t)i));
	*label = m->labelled ? k : 0;
	return 0;
}

/* The velocity that is best at x, t: the mean of x1 - x0 given them. label -1: not known. */
static void best_velocity(const struct mixture *m, const double *x, double t, int label, double *v)
{
	const double variance = t * t * m->deviation * m->deviation + (1 - t) * (1 - t);
	const double slope = (t * m->deviation * m->deviation - (1 - t)) / variance;
	double exponents[2], shares[2];

	for (int k = 0; k < 2; k++) {
		const double centre = k == 0 ? CENTRE : -CENTRE;

		exponents[k] = log(k == 0 ? SHARE : 1 - SHARE);
		for (int i = 0; i < m->elements; i++)
			exponents[k] -= (x[i] - t * centre) * (x[i] - t * centre) / (2 * variance);
	}
	shares[0] = label >= 0 ? label == 0 : 1 / (1 + exp(exponents[1] - exponents[0]));
	shares[1] = 1 - shares[0];
	for (int i = 0; i < m->elements; i++) {
		v[i] = 0;
		for (int k = 0; k < 2; k++)
			v[i] += shares[k] * ((k == 0 ? CENTRE : -CENTRE) * (1 - slope * t) + slope * x[i]);
	}
}

struct training {
	struct mixture mixture;
	struct ek_flow_task_options options;
	struct ek_flow_task *flow;
	struct ek_task task;
	struct ek_store *store;
	float *average, *gradients; /* the store's */
	uint64_t turn;
};

static void training_start_from(struct training *t, int side, double deviation, int labelled,
                                const struct ek_flow_source *source)
{
	float *values;

	t->mixture = (struct mixture){ deviation, labelled, side * side * CHANNELS, 0 };
	t->options.model = (struct ek_sit_config){ .depth = 2,
		                                   .width = 32,
		                                   .heads = 2,
		                                   .patch = 1,
		                                   .side = side,
		                                   .channels = CHANNELS,
		                                   .classes = labelled ? 2 : 0 };
	t->options.precision = EK_NN_F32;
	t->options.slice = SLICE;
	t->options.seed = 5;
	assert_ok(ek_objective_init(&t->options.objective));
	assert_ok(ek_flow_task_new(&t->flow, &t->task, &t->options, source));
	assert_ok(ek_store_new(&t->store, t->task.params));
	t->average = ek_store_data(t->store, EK_AVERAGE);
	t->gradients = ek_store_data(t->store, EK_GRADIENTS);
	assert_ok(ek_alloc(&values, t->task.params->size, sizeof *values));
	ek_params_initialise(t->task.params, 1, values);
	ek_store_write(t->store, EK_VALUES, 0, t->task.params->size, values);
	ek_store_write(t->store, EK_AVERAGE, 0, t->task.params->size, values);
	free(values);
	assert_ok(ek_task_load(&t->task, t->store, EK_VALUES));
}

static void training_start(struct training *t, int side, double deviation, int labelled)
{
	training_start_from(t, side, deviation, labelled,
	                    &(struct ek_flow_source){ .context = &t->mixture, .get = get });
}

static void training_end(struct training *t)
{
	ek_store_free(t->store);
	ek_flow_task_free(t->flow);
	free(t);
}

/* One slice, of learning or judging, from a position on; ids are the positions. Returns the mean loss. */
static double run_slice(struct training *t, int judging, uint64_t position, double weight, double *losses)
{
	int64_t ids[SLICE], next_ids[SLICE];
	float weights[SLICE];
	const struct ek_slice next = { .position = position + SLICE, .count = SLICE, .ids = next_ids };
	const struct ek_slice slice = { .position = position,
		                        .turn = judging ? 0 : t->turn++,
		                        .count = SLICE,
		                        .ids = ids,
		                        .weights = weights,
		                        .losses = losses,
		                        .unread = !judging };
	double sum = 0;

	for (int i = 0; i < SLICE; i++) {
		ids[i] = (int64_t)position + i;
		next_ids[i] = ids[i] + SLICE;
		weights[i] = (float)weight;
	}
	assert_ok(judging ? ek_task_judge(&t->task, 0, &slice) : ek_task_learn(&t->task, 0, &slice, t->store));
	if (!judging) {
		ek_task_ahead(&t->task, 0, &next);
		ek_task_report(&t->task, 0, &slice);
	}
	for (int i = 0; i < SLICE; i++)
		sum += losses[i] / SLICE;
	return sum;
}

/* On a grid an image has the same loss at a draw whatever lies beside it, and another one at another draw; times are
 * one in each part. */
static void a_grid_is_the_same_for_all_images(void **unused)
{
	const struct ek_grid grid = { .draws = 4, .seed = 3 };
	struct training *t;
	double first[SLICE], again[SLICE];
	int64_t ids[SLICE];
	struct ek_slice slice = { .count = SLICE, .ids = ids, .losses = first, .grid = &grid };

	(void)unused;
	assert_ok(ek_alloc(&t, 1, sizeof *t));
	training_start(t, 2, 0.5, 1);
	for (int i = 0; i < SLICE; i++)
		ids[i] = i / grid.draws;
	assert_ok(ek_task_judge(&t->task, 0, &slice));
	/* The same images, the last first, one draw further. */
	for (int i = 0; i < SLICE; i++)
		ids[i] = (SLICE - 1 - i) / grid.draws;
	slice.position = 1001;
	slice.losses = again;
	assert_ok(ek_task_judge(&t->task, 0, &slice));
	for (int i = 0; i < SLICE; i++) {
		const int draw = (int)((slice.position + (uint64_t)i) % (uint64_t)grid.draws);
		const double *of = first + ids[i] * grid.draws;

		assert_true(again[i] == of[draw]);
		assert_true(again[i] != of[(draw + 1) % grid.draws]);
	}
	for (int d = 0; d < grid.draws; d++) {
		const double time = ek_objective_grid_time(&t->options.objective, &grid, d);

		assert_true(time * grid.draws >= d && time * grid.draws < d + 1);
	}
	training_end(t);
}

/* Returns the mean loss of the last step. once: the first batch over and over. */
static double train(struct training *t, int steps, double rate, int once)
{
	double losses[SLICE], loss = 0, norm;

	for (int step = 0; step < steps; step++) {
		const struct ek_adamw adamw = { .rate = rate * fmin(1, 2 - 2.0 * step / steps),
			                        .beta1 = 0.9,
			                        .beta2 = 0.99,
			                        .epsilon = 1e-8,
			                        .average = fmin(0.99, (1.0 + step) / (10.0 + step)) };

		loss = 0;
		for (uint64_t i = 0; i < BATCH; i += SLICE)
			loss += run_slice(t, 0, (once ? 0 : (uint64_t)step * BATCH) + i, 1.0 / BATCH, losses) * SLICE /
			        BATCH;
		assert_ok(ek_store_step(t->store, &adamw, (uint64_t)step + 1, &norm));
		t->turn = 0;
		assert_ok(ek_task_load(&t->task, t->store, EK_VALUES));
	}
	return loss;
}

/*
 * How far the learned velocity is from the best, over how far one that sees t but not x must be: at held-out times and
 * noises. The mean loss is that of the best velocity plus the mean square of the distance to it, so the latter is what
 * learning can still remove.
 */
static void check_velocity(struct training *t, double bound)
{
	enum { IMAGES = 512 };
	const int n = t->mixture.elements;
	double distance = 0, spread = 0;
	struct ek_net *net;
	struct ek_net_state *s;
	int x, times, labels, out;

	assert_ok(ek_net_new(&net, t->task.params, EK_NN_F32, IMAGES));
	x = ek_net_input(net, (struct ek_net_shape){ t->options.model.side, t->options.model.side, CHANNELS });
	times = ek_net_input(net, (struct ek_net_shape){ 1, 1, 1 });
	labels = ek_net_input_ids(net);
	assert_ok(out = ek_sit_build(net, t->task.params, &t->options.model, x, times, labels));
	assert_ok(ek_net_output(net, out));
	assert_ok(ek_net_finish(net, EK_NET_FORWARD));
	assert_ok(ek_net_load(net, t->average));
	assert_ok(ek_net_state_new(&s, net));
	for (int i = 0; i < IMAGES; i++) {
		float *at = (float *)ek_net_data(s, x) + i * n, x1[MOST];
		const double time = ek_objective_time(&t->options.objective, 99, (uint64_t)i);

		((float *)ek_net_data(s, times))[i] = (float)time;
		assert_ok(get(&t->mixture, 0, 1000000 + i, 0, x1, &((int32_t *)ek_net_data(s, labels))[i]));
		for (int j = 0; j < n; j++)
			at[j] = (float)(time * (double)x1[j] +
			                (1 - time) * ek_random_normal(99, 1, (uint64_t)(i * n + j)));
	}
	assert_ok(ek_net_forward(s));
	for (int i = 0; i < IMAGES; i++) {
		const float *at = (const float *)ek_net_data(s, x) + i * n,
			    *got = (const float *)ek_net_data(s, out) + i * n;
		const int label = t->mixture.labelled ? ((const int32_t *)ek_net_data(s, labels))[i] : -1;
		double place[MOST], best[MOST];

		for (int j = 0; j < n; j++)
			place[j] = (double)at[j];
		best_velocity(&t->mixture, place, (double)((const float *)ek_net_data(s, times))[i], label, best);
		for (int j = 0; j < n; j++) {
			/* The mean velocity, all that is known without x, is that of the mean of x1. */
			const double mean = label < 0 ? CENTRE * (2 * SHARE - 1) : label == 0 ? CENTRE : -CENTRE;

			distance += (best[j] - (double)got[j]) * (best[j] - (double)got[j]);
			spread += (best[j] - mean) * (best[j] - mean);
		}
	}
	print_message("distance to the best velocity: %.4f of %.4f, allowed %.4f\n", distance / IMAGES / n,
	              spread / IMAGES / n, bound * spread / IMAGES / n);
	assert_true(distance <= bound * spread);
	ek_net_state_free(s);
	ek_net_free(net);
}

struct taken {
	float *samples;
	int elements;
};

static int take(void *context, uint64_t first, int count, const float *samples)
{
	const struct taken *t = context;

	memcpy(t->samples + first * (uint64_t)t->elements, samples,
	       (size_t)count * (size_t)t->elements * sizeof *samples);
	return 0;
}

/* Samples fall to the components by their shares, or to the one of their label, and lie near its centre. */
static void check_samples(struct training *t)
{
	enum { SAMPLES = 512 };
	const struct ek_solver_options solver = { .solver = EK_SOLVER_HEUN, .steps = 30, .guidance.scale = 1 };
	struct taken taken = { .elements = t->mixture.elements };
	uint64_t seeds[SAMPLES];
	int32_t labels[SAMPLES];
	const struct ek_flow_samples wanted = {
		.count = SAMPLES, .seeds = seeds, .labels = labels, .context = &taken, .take = take
	};
	struct ek_flow_sampler *s;
	int first = 0, wrong = 0;
	double square = 0;

	for (int i = 0; i < SAMPLES; i++) {
		seeds[i] = (uint64_t)i;
		labels[i] = t->mixture.labelled ? i % 2 : 0;
	}
	assert_ok(ek_alloc(&taken.samples, (size_t)(SAMPLES * taken.elements), sizeof(float)));
	assert_ok(ek_flow_sampler_new(&s, &t->options.model, t->task.params, t->average, EK_NN_F32, 64, 0));
	assert_ok(ek_flow_sample(s, &solver, &wanted, 0));
	for (int i = 0; i < SAMPLES; i++) {
		const float *x = taken.samples + i * taken.elements;
		double sum = 0;
		int k;

		for (int j = 0; j < taken.elements; j++)
			sum += (double)x[j];
		k = sum < 0;
		first += k == 0;
		wrong += t->mixture.labelled && k != labels[i];
		for (int j = 0; j < taken.elements; j++)
			square += pow((double)x[j] - (k == 0 ? CENTRE : -CENTRE), 2) / taken.elements / SAMPLES;
	}
	print_message("%d of %d in the first component, %d wrong, deviation %.3f\n", first, SAMPLES, wrong,
	              sqrt(square));
	if (t->mixture.labelled)
		assert_true(wrong <= SAMPLES / 100);
	else /* 5 standard errors */
		assert_true(fabs(first - SHARE * SAMPLES) <= 5 * sqrt(SHARE * (1 - SHARE) * SAMPLES));
	/* A velocity that is off by the root of 0.05 · 1.25 at most moves a sample by no more in a time of 1. */
	assert_true(fabs(sqrt(square) - t->mixture.deviation) <= 0.25);
	ek_flow_sampler_free(s);
	free(taken.samples);
}

/*
 * The best velocity is learned from x1 - x0 alone, of which it leaves a variance of about 1 in each number unexplained.
 * The bound asks that what remains to be learned is a twentieth of what x tells.
 */
static void known_velocities_are_learned(void **state)
{
	static const struct {
		int side, labelled;
		double deviation;
	} cases[] = { { 1, 0, 0 }, { 1, 0, 0.3 }, { 1, 1, 0.3 }, { 2, 0, 0.3 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct training *t;

		assert_ok(ek_alloc(&t, 1, sizeof *t));
		t->options.drop = cases[i].labelled ? 0.1 : 0;
		training_start(t, cases[i].side, cases[i].deviation, cases[i].labelled);
		(void)train(t, 1200, 3e-3, 0);
		check_velocity(t, 0.05);
		check_samples(t);
		training_end(t);
	}
}

static void one_batch_can_be_overfitted(void **state)
{
	struct training *t;
	double start, end;

	(void)state;
	assert_ok(ek_alloc(&t, 1, sizeof *t));
	training_start(t, 2, 0.3, 0);
	start = train(t, 1, 0, 1);
	end = train(t, 600, 3e-3, 1);
	print_message("loss %.4f, in the end %.6f\n", start, end);
	assert_true(end < 0.01 * start);
	training_end(t);
}

/* Gradients of one slice under these options. */
static float *gradients_of(struct training *t, double weight, double *losses)
{
	float *copy;

	ek_store_clear_gradients(t->store);
	t->turn = 0;
	(void)run_slice(t, 0, 320, weight, losses);
	assert_ok(ek_alloc(&copy, t->task.params->size, sizeof *copy));
	memcpy(copy, t->gradients, t->task.params->size * sizeof *copy);
	return copy;
}

static void weights_scale_gradients_not_losses(void **state)
{
	double losses[2][SLICE];
	float *one, *two;
	struct training *t;

	(void)state;
	assert_ok(ek_alloc(&t, 1, sizeof *t));
	training_start(t, 2, 0.3, 1);
	(void)train(t, 5, 1e-2, 0);
	one = gradients_of(t, 1, losses[0]);
	two = gradients_of(t, 2, losses[1]);
	assert_memory_equal(losses[0], losses[1], sizeof *losses);
	for (size_t i = 0; i < t->task.params->size; i++)
		assert_true(2 * one[i] == two[i]); /* a power of two changes no rounding */
	free(two);
	two = gradients_of(t, 0, losses[1]);
	for (size_t i = 0; i < t->task.params->size; i++)
		assert_true(two[i] == 0);
	free(one);
	free(two);
	training_end(t);
}

static void dropped_labels_teach_only_the_row_of_none(void **state)
{
	double losses[SLICE];
	struct training *t;
	const struct ek_param *table;
	float *g;
	size_t width;

	(void)state;
	assert_ok(ek_alloc(&t, 1, sizeof *t));
	t->options.drop = 1;
	training_start(t, 1, 0.3, 1);
	(void)train(t, 5, 1e-2, 0);
	g = gradients_of(t, 1, losses);
	table = &t->task.params->items[ek_params_find(t->task.params, "y_embedder.embedding_table.weight")];
	width = (size_t)table->dims[1];
	for (size_t i = 0; i < 2 * width; i++)
		assert_true(g[table->offset + i] == 0);
	assert_true(g[table->offset + 2 * width] != 0);
	free(g);
	training_end(t);
}

static void judging_is_the_same_for_every_seed(void **state)
{
	double losses[3][SLICE];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct training *t;

		assert_ok(ek_alloc(&t, 1, sizeof *t));
		training_start(t, 2, 0.3, 1);
		ek_flow_task_free(t->flow);
		t->options.seed = (uint64_t)i;
		t->options.recompute = i == 2;
		t->options.drop = 0.5 * i;
		assert_ok(ek_flow_task_new(&t->flow, &t->task, &t->options,
		                           &(struct ek_flow_source){ .context = &t->mixture, .get = get }));
		assert_ok(ek_task_load(&t->task, t->store, EK_VALUES));
		(void)run_slice(t, 1, 64, 0, losses[i]);
		training_end(t);
	}
	assert_memory_equal(losses[0], losses[1], sizeof *losses);
	assert_memory_equal(losses[0], losses[2], sizeof *losses);
}

/* What it has learned; to be freed. */
static float *training_end_values(struct training *t, size_t *size)
{
	float *values;

	*size = t->task.params->size;
	assert_ok(ek_alloc(&values, *size, sizeof *values));
	ek_store_read(t->store, EK_VALUES, 0, *size, values);
	training_end(t);
	return values;
}

/* Twenty steps where the host has no way into the device's memory; then where it fills in the next slice meanwhile. */
static void a_step_stays_on_the_device(void **state)
{
	struct ek_device by_itself = *fake_device();
	const struct ek_device *const devices[3] = { NULL, fake_device(), &by_itself };
	float *values[3];
	size_t size = 0;

	(void)state;
	by_itself.one_at_a_time = 1;
	for (int i = 0; i < 3; i++) {
		struct training *t;

		ek_device_set(devices[i]);
		assert_ok(ek_alloc(&t, 1, sizeof *t));
		t->options.drop = 0.1;
		training_start(t, 2, 0.3, 1);
		(void)train(t, 20, 3e-3, 0);
		assert_int_equal(t->mixture.taken, 20 * BATCH + (i == 2 ? SLICE : 0));
		values[i] = training_end_values(t, &size);
	}
	ek_device_set(NULL);
	for (int i = 1; i < 3; i++) {
		assert_memory_equal(values[0], values[i], size * sizeof *values[0]);
		free(values[i]);
	}
	free(values[0]);
}

static const struct ek_latent_draw draw = { .scale = 1.5F, .shift = -0.25F, .seed = 3, .stream = 4 };

/* Moments whose means are the mixture's. */
static int get_moments(void *context, int worker, int64_t id, uint64_t position, float *moments, int32_t *label)
{
	struct training *t = context;
	const size_t elements = ek_sit_elements(&t->options.model);
	float *sample;

	assert_ok(ek_alloc(&sample, elements, sizeof *sample));
	assert_ok(get(&t->mixture, worker, id, position, sample, label));
	for (size_t i = 0; i < elements; i++) {
		float *pixel = moments + i / CHANNELS * 2 * CHANNELS + i % CHANNELS;

		pixel[0] = sample[i];
		pixel[CHANNELS] = -0.5F - 0.01F * (float)(i % 7);
	}
	free(sample);
	return 0;
}

/* What is drawn of them, by the host. */
static int get_drawn(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	struct training *t = context;
	const size_t elements = ek_sit_elements(&t->options.model);
	float *moments;

	assert_ok(ek_alloc(&moments, 2 * elements, sizeof *moments));
	assert_ok(get_moments(context, worker, id, position, moments, label));
	for (size_t i = 0; i < elements; i++) {
		const float *pixel = moments + i / CHANNELS * 2 * CHANNELS + i % CHANNELS;
		const float noise = (float)ek_random_normal(draw.seed, draw.stream, position * elements + i);

		sample[i] = (pixel[0] + expf(0.5F * pixel[CHANNELS]) * noise + draw.shift) * draw.scale;
	}
	free(moments);
	return 0;
}

static void latents_are_drawn_by_the_net_as_by_the_host(void **state)
{
	struct ek_device by_itself = *fake_device();
	float *values[2];
	size_t size = 0;

	(void)state;
	by_itself.one_at_a_time = 1;
	for (int i = 0; i < 2; i++) {
		struct training *t;

		ek_device_set(i == 0 ? NULL : &by_itself);
		assert_ok(ek_alloc(&t, 1, sizeof *t));
		training_start_from(t, 2, 0.3, 1,
		                    &(struct ek_flow_source){ .context = t,
		                                              .get = i == 0 ? get_drawn : get_moments,
		                                              .drawn = i == 0 ? NULL : &draw });
		(void)train(t, 5, 3e-3, 0);
		values[i] = training_end_values(t, &size);
	}
	ek_device_set(NULL);
	assert_memory_equal(values[0], values[1], size * sizeof *values[0]);
	free(values[0]);
	free(values[1]);
}

static void unfit_options_are_refused(void **state)
{
	struct training *t;
	struct ek_flow_task *f;
	struct ek_task task;

	(void)state;
	assert_ok(ek_alloc(&t, 1, sizeof *t));
	training_start(t, 1, 0.3, 1);
	t->options.objective.kind = EK_OBJECTIVE_DIFFUSION;
	assert_fails(ek_flow_task_new(&f, &task, &t->options,
	                              &(struct ek_flow_source){ .context = &t->mixture, .get = get }),
	             EK_EUSAGE, "learned sigma");
	t->options.objective.kind = EK_OBJECTIVE_FLOW;
	t->options.drop = 1.5;
	assert_fails(ek_flow_task_new(&f, &task, &t->options,
	                              &(struct ek_flow_source){ .context = &t->mixture, .get = get }),
	             EK_EUSAGE, "label dropout 1.5");
	training_end(t);
}

int main(int argc, char **argv)
{
	const int left = on_device(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grid_is_the_same_for_all_images),
		cmocka_unit_test(twenty_steps_equal_pytorch),
		cmocka_unit_test(known_velocities_are_learned),
		cmocka_unit_test(one_batch_can_be_overfitted),
		cmocka_unit_test(weights_scale_gradients_not_losses),
		cmocka_unit_test(dropped_labels_teach_only_the_row_of_none),
		cmocka_unit_test(judging_is_the_same_for_every_seed),
		cmocka_unit_test(a_step_stays_on_the_device),
		cmocka_unit_test(latents_are_drawn_by_the_net_as_by_the_host),
		cmocka_unit_test(unfit_options_are_refused),
	};

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
