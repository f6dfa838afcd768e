/*
 * The norms of single images' gradients on the CPU: of whole slices at once, beside a loop over images one at a time
 * whose gradients are made and measured. images_rival.py is PyTorch's loop.
 *
 *     bench_images [SECONDS [CASE]]        CASE: sit-192, …
 *
 * One line each: images a second of processor time, of the best of some rounds that the ways take in turn; all ways on
 * one thread, which is what a slice has. And what share that is of the limit: three times the products of forward,
 * which is what a gradient takes, at the rate of multiply-adds on registers that is measured in the same run. Then
 * where the time of slices goes, operator by operator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/bench/peak.h"
#include "train/flow/objective.h"
#include "train/flow/sit.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"
#include "train/nn/store_internal.h"

enum { ROUNDS = 3, WAYS = 3, SLICE = 16, REPEATS = 3 };

struct bench {
	const char *name;
	struct ek_sit_config config;
};

static const struct bench benches[] = {
	{ "sit-64", { 4, 64, 4, 2, 8, 4, 10, 0 } },
	{ "sit-192", { 6, 192, 6, 1, 8, 4, 1000, 0 } },
	{ "sit-s2", { 12, 384, 6, 2, 32, 4, 1000, 0 } },
};

struct way {
	const char *name;
	struct ek_net *net;
	struct ek_net_state *s;
	int slice, data, keys, factors, t, labels, loss;
	enum ek_nn_precision precision;
	double rate;
};

struct run {
	const struct bench *bench;
	struct ek_objective objective;
	struct ek_params params;
	struct ek_store *store;
	struct way ways[WAYS];
};

static int build(struct run *r, struct way *w)
{
	const struct ek_sit_config *c = &r->bench->config;
	const struct ek_net_shape shape = { c->side, c->side, c->channels };
	int rc, noise, x, parts[2];

	EK_TRY(ek_net_new(&w->net, &r->params, w->precision, w->slice));
	EK_TRY(w->data = ek_net_input(w->net, shape));
	EK_TRY(w->keys = ek_net_input_keys(w->net));
	EK_TRY(w->factors = ek_net_input(w->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS }));
	EK_TRY(w->t = ek_net_input(w->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(w->labels = ek_net_input_ids(w->net));
	EK_TRY(noise = ek_net_noise(w->net, w->keys, shape));
	EK_TRY(x = ek_objective_mix(w->net, w->data, noise, w->factors));
	EK_TRY(x = ek_sit_build(w->net, &r->params, c, x, w->t, w->labels));
	EK_TRY(w->loss = ek_objective_loss(w->net, &r->objective, x, w->data, noise, w->factors, parts));
	EK_TRY(ek_net_output(w->net, w->loss));
	EK_TRY(ek_net_finish(w->net, w->slice > 1 ? EK_NET_IMAGES : EK_NET_TRAIN));
	EK_TRY(ek_net_load_from(w->net, r->store, EK_VALUES));
	EK_TRY(ek_net_state_new(&w->s, w->net));
out:
	return rc;
}

/* Images first … first + slice - 1. */
static int measure(struct run *r, struct way *w, int first, double *squares)
{
	const struct ek_net_images what = { .together = 1 };
	const size_t n = ek_net_elements(w->net, w->data);
	float ones[SLICE];
	int rc;

	for (int i = 0; i < w->slice; i++) {
		const double t = (first + i + 0.5) / SLICE;

		for (size_t j = 0; j < n; j++)
			((float *)ek_net_stage(w->s, w->data))[(size_t)i * n + j] =
				(float)ek_random_double(1, (uint64_t)(first + i), j);
		((struct ek_net_key *)ek_net_stage(w->s, w->keys))[i] = ek_objective_key(1, (uint64_t)(first + i));
		((float *)ek_net_stage(w->s, w->t))[i] = (float)t;
		((int32_t *)ek_net_stage(w->s, w->labels))[i] = (first + i) % r->bench->config.classes;
		ek_objective_factors(&r->objective, t,
		                     (float *)ek_net_stage(w->s, w->factors) + i * EK_OBJECTIVE_FACTORS);
		ones[i] = 1;
	}
	EK_TRY(ek_net_forward(w->s));
	ek_net_write_gradient(w->s, w->loss, ones);
	if (w->slice > 1) {
		EK_TRY(ek_net_backward_images(w->s, &what, squares, NULL));
	} else {
		EK_TRY(ek_net_backward(w->s, r->store, 0));
		EK_TRY(r->store->device->sum_squares(r->store, squares));
		ek_store_clear_gradients(r->store);
	}
out:
	return rc;
}

static int time_way(struct run *r, struct way *w, double seconds, double *squares)
{
	const clock_t start = clock();
	int rc = 0, images = 0;
	double spent = 0;

	while (spent < seconds) {
		EK_TRY(measure(r, w, images % SLICE, squares + images % SLICE));
		images += w->slice;
		spent = (double)(clock() - start) / CLOCKS_PER_SEC;
	}
	if (w->rate < images / spent)
		w->rate = images / spent;
out:
	return rc;
}

/* Milliseconds of an image of a layer's part of a pass. */
static int time_part(double *sum, int (*part)(struct ek_net_state *, const struct ek_net_op *), struct way *w,
                     const struct ek_net_op *op)
{
	const clock_t start = clock();
	int rc = 0;

	for (int i = 0; i < REPEATS; i++)
		EK_TRY(part(w->s, op));
	*sum += 1e3 * (double)(clock() - start) / CLOCKS_PER_SEC / REPEATS / w->slice;
out:
	return rc;
}

/* After a pass: forward, backward and the squares of images of each kind of layer, alone. */
static int time_layers(struct way *w, const char *name)
{
	const struct ek_net_images what = { .together = 1 };
	double sums[EK_NET_KIND_COUNT][3] = { { 0 } };
	const struct ek_net *net = w->net;
	int rc = 0;

	w->s->measure = &what;
	for (int i = 0; i < net->step_count; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];
		const struct ek_net_code *code = net->device->codes[op->kind];

		w->s->in_backward = i >= net->op_count;
		if (w->s->in_backward && ek_net_measures(w->s, op, 0))
			EK_TRY(time_part(&sums[op->kind][2], code->images, w, op));
		if (!op->idle[w->s->in_backward])
			EK_TRY(time_part(&sums[op->kind][w->s->in_backward],
			                 w->s->in_backward ? code->backward : code->forward, w, op));
	}
	for (int k = 0; k < EK_NET_KIND_COUNT; k++)
		if (sums[k][0] + sums[k][1] + sums[k][2] > 0)
			printf("  %s, %s, %-12s %8.3f %8.3f %8.3f ms an image: forward, backward, squares\n", name,
			       w->name, ek_net_operators[k].name, sums[k][0], sums[k][1], sums[k][2]);
out:
	w->s->measure = NULL;
	w->s->in_backward = 0;
	return rc;
}

/* Of what a thread can do. */
static double share_of_limit(const struct way *w)
{
	const enum ek_nn_type type = ek_net_type(w->net);
	const double limit = 1e9 * ek_bench_peak(type) / ek_threads();

	return limit > 0 ? w->rate * 3 * ek_net_flops(w->net) / limit : 0;
}

static int run(const struct bench *bench, double seconds)
{
	struct run r = { .bench = bench,
		         .ways = { { .name = "one at a time, float32", .slice = 1, .precision = EK_NN_F32 },
		                   { .name = "slices, float32", .slice = SLICE, .precision = EK_NN_F32 },
		                   { .name = "slices, bf16", .slice = SLICE, .precision = EK_NN_AUTO } } };
	double squares[WAYS][SLICE];
	float *values = NULL;
	int rc;

	EK_TRY(ek_objective_init(&r.objective));
	EK_TRY(ek_sit_params(&r.params, &bench->config));
	EK_TRY(ek_store_new(&r.store, &r.params));
	EK_TRY(ek_alloc(&values, r.params.size, sizeof *values));
	for (size_t i = 0; i < r.params.size; i++)
		values[i] = 0.1F * (float)(ek_random_double(2, 2, i) - 0.5);
	ek_store_write(r.store, EK_VALUES, 0, r.params.size, values);
	for (int i = 0; i < WAYS; i++)
		EK_TRY(build(&r, &r.ways[i]));
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < WAYS; i++)
			EK_TRY(time_way(&r, &r.ways[i], seconds, squares[i]));
	for (int i = 0; i < WAYS; i++)
		printf("%s, %s: %.2f images/s, %.1f times, %.2f of the limit; square of image 0: %.8g\n", bench->name,
		       r.ways[i].name, r.ways[i].rate, r.ways[i].rate / r.ways[0].rate, share_of_limit(&r.ways[i]),
		       squares[i][0]);
	for (int i = 1; i < WAYS; i++)
		EK_TRY(time_layers(&r.ways[i], bench->name));
out:
	for (int i = 0; i < WAYS; i++) {
		ek_net_state_free(r.ways[i].s);
		ek_net_free(r.ways[i].net);
	}
	ek_store_free(r.store);
	ek_params_release(&r.params);
	free(values);
	return rc;
}

int main(int argc, char **argv)
{
	const double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
	int rc = 0;

	for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
		if (argc < 3 || strcmp(argv[2], benches[i].name) == 0)
			EK_TRY(run(&benches[i], seconds));
out:
	if (rc < 0)
		printf("%s\n", ek_error_message());
	return rc < 0;
}
