/*
 * Networks of the true shapes with random weights on all threads: EfficientNet-Lite0 and DINOv2 ViT-S/14.
 * One line each: name, precision, images a second by the clock, and per second of
 * processor time (which other programs disturb less). Arguments: [batch] [only lines containing this text].
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/nn/layers.h"

enum { RANDOM_COUNT = 1 << 21, THREADS_MAX = 64 };

static float *numbers; /* small random values: weights of every layer */
static float *ones;

static int conv(struct ek_nn_graph *g, int x, int out, int kernel, int stride, int groups,
                enum ek_nn_activation activation, int residual)
{
	const int size = x < 0 ? 1 : ek_nn_graph_shape(g, x).height;
	const int total = ((size + stride - 1) / stride - 1) * stride + kernel - size, pad = total > 0 ? total : 0;

	return ek_nn_conv(g, x,
	                  &(struct ek_nn_conv){ .out_channels = out,
	                                        .kernel = { kernel, kernel },
	                                        .stride = { stride, stride },
	                                        .pad = { pad / 2, pad - pad / 2, pad / 2, pad - pad / 2 },
	                                        .groups = groups,
	                                        .weight = numbers,
	                                        .norm = { .gamma = ones, .mean = numbers, .variance = ones },
	                                        .residual = residual,
	                                        .activation = activation });
}

static int lite0(struct ek_nn_graph *g, int x)
{
	static const struct {
		int repeats, kernel, stride, expand, out;
	} stages[] = { { 1, 3, 1, 1, 16 },  { 2, 3, 2, 6, 24 },  { 2, 5, 2, 6, 40 }, { 3, 3, 2, 6, 80 },
		       { 3, 5, 1, 6, 112 }, { 4, 5, 2, 6, 192 }, { 1, 3, 1, 6, 320 } };

	x = conv(g, x, 32, 3, 2, 1, EK_NN_RELU6, 0);
	for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
		for (int i = 0; i < stages[s].repeats; i++) {
			const int in = ek_nn_graph_shape(g, x).channels, wide = in * stages[s].expand;
			const int residual = i > 0 ? x : 0;

			if (wide > in)
				x = conv(g, x, wide, 1, 1, 1, EK_NN_RELU6, 0);
			x = conv(g, x, wide, stages[s].kernel, i > 0 ? 1 : stages[s].stride, wide, EK_NN_RELU6, 0);
			x = conv(g, x, stages[s].out, 1, 1, 1, EK_NN_LINEAR, residual);
		}
	return ek_nn_global_average(g, conv(g, x, 1280, 1, 1, 1, EK_NN_RELU6, 0));
}

static int vit_s14(struct ek_nn_graph *g, int x)
{
	enum { WIDTH = 384, DEPTH = 12, HEADS = 6 };
	const struct ek_nn_layer_norm norm = { ones, numbers, 1e-6 };
	const struct ek_nn_sequence sequence = { 1, numbers, numbers };

	x = ek_nn_linear(g, ek_nn_patches(g, x, 14),
	                 &(struct ek_nn_linear){ .out_features = WIDTH, .weight = { numbers } });
	x = ek_nn_sequence(g, x, &sequence);
	for (int i = 0; i < DEPTH; i++) {
		const struct ek_nn_linear qkv = { .out_features = 3 * WIDTH,
			                          .weight = { numbers },
			                          .bias = { numbers } };
		struct ek_nn_linear down = { .out_features = WIDTH, .weight = { numbers }, .bias = { numbers } };
		const struct ek_nn_linear up = { .out_features = 4 * WIDTH,
			                         .weight = { numbers },
			                         .bias = { numbers },
			                         .activation = EK_NN_GELU_ERF };
		int y = ek_nn_attention(g, ek_nn_linear(g, ek_nn_layer_norm(g, x, &norm), &qkv), HEADS);

		down.residual = x;
		x = ek_nn_linear(g, y, &down);
		y = ek_nn_linear(g, ek_nn_layer_norm(g, x, &norm), &up);
		down.residual = x;
		x = ek_nn_linear(g, y, &down);
	}
	return ek_nn_take_tokens(g, ek_nn_layer_norm(g, x, &norm), 0, 1);
}

static const struct network {
	const char *name;
	int (*layers)(struct ek_nn_graph *g, int x);
	int side;
} networks[] = {
	{ "lite0-96", lite0, 96 },
	{ "lite0-224", lite0, 224 },
	{ "vits14-224", vit_s14, 224 },
};

struct pass {
	const struct ek_nn_graph *g;
	struct ek_nn_state *states[THREADS_MAX];
	float *x, *out[THREADS_MAX];
	int batch;
};

static int run_batch(void *context, uint64_t i, int worker)
{
	const struct pass *p = context;

	(void)i;
	return ek_nn_run(p->g, p->states[worker], p->x, p->batch, p->out[worker]);
}

static int measure(const struct network *n, enum ek_nn_precision precision, int batch)
{
	const size_t pixels = 3 * (size_t)n->side * (size_t)n->side * (size_t)batch;
	const int threads = ek_threads() < THREADS_MAX ? ek_threads() : THREADS_MAX;
	struct pass p = { .batch = batch };
	struct ek_nn_graph *g = NULL;
	const double begin = ek_clock();
	double best = 0, cpu = 0, built;
	int rc, x;

	EK_TRY(ek_nn_graph_new(&g, precision, batch));
	EK_TRY(x = ek_nn_image(g, &(struct ek_nn_image){ .channels = 3, .height = n->side, .width = n->side }));
	EK_TRY(ek_nn_graph_finish(g, n->layers(g, x)));
	built = ek_clock() - begin;
	p.g = g;
	EK_TRY(ek_alloc(&p.x, pixels, sizeof *p.x));
	for (size_t i = 0; i < pixels; i++)
		p.x[i] = numbers[i % RANDOM_COUNT] * 20;
	for (int i = 0; i < threads; i++) {
		EK_TRY(ek_nn_state_new(&p.states[i], g));
		EK_TRY(ek_alloc(&p.out[i], (size_t)batch * ek_nn_graph_output_size(g), sizeof **p.out));
	}
	for (int round = 0; round < 5; round++) {
		const uint64_t jobs = (uint64_t)threads * 2;
		const double start = ek_clock();
		const clock_t used = clock();

		EK_TRY(ek_parallel(jobs, run_batch, &p));
		best = fmax(best, (double)jobs * batch / (ek_clock() - start));
		cpu = fmax(cpu, (double)jobs * batch * CLOCKS_PER_SEC / (double)(clock() - used));
	}
	printf("%s %s: %.1f images/s, %.1f per second of one processor (batch %d, built in %.2f s, weights %.1f MB, "
	       "state %.1f MB)\n",
	       n->name, precision == EK_NN_BF16 ? "bf16" : "f32", best, cpu, batch, built,
	       (double)ek_nn_graph_weight_bytes(g) / 1e6, (double)ek_nn_graph_state_bytes(g) / 1e6);
out:
	for (int i = 0; i < threads; i++) {
		ek_nn_state_free(p.states[i]);
		free(p.out[i]);
	}
	free(p.x);
	ek_nn_graph_free(g);
	return rc;
}

int main(int argc, char **argv)
{
	const int batch = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 16;
	const char *only = argc > 2 ? argv[2] : "";
	int rc = 0;

	EK_TRY(ek_alloc(&numbers, RANDOM_COUNT, sizeof *numbers));
	EK_TRY(ek_alloc(&ones, RANDOM_COUNT, sizeof *ones));
	for (size_t i = 0; i < RANDOM_COUNT; i++) {
		numbers[i] = (float)(0.05 * ek_random_normal(1, 1, i));
		ones[i] = 1;
	}
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
		for (enum ek_nn_precision precision = EK_NN_F32;
		     precision <= (ek_nn_cpu_has_bf16() ? EK_NN_BF16 : EK_NN_F32); precision++)
			if (strstr(networks[i].name, only) != NULL)
				EK_TRY(measure(&networks[i], precision, batch));
out:
	if (rc < 0)
		fprintf(stderr, "bench_nn: %s\n", ek_error_message());
	free(numbers);
	free(ones);
	return rc < 0;
}
