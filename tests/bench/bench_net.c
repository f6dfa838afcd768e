/*
 * Training, layer by layer, on one thread: time of each kind of layer, forward and backward, in a transformer (SiT) and
 * in an autoencoder's block, bf16 where the processor has it. Lines: network, layer, direction, milliseconds of
 * processor time for a slice, GFLOP/s or GB/s (of values and gradients read and written), share of what the processor
 * does on registers (products) or of memcpy (the rest), both measured before and after and averaged. The fastest of
 * nine rounds. Arguments: [batch] [only networks containing this text].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/nn/bf16.h"
#include "train/nn/net_internal.h"
#include "train/nn/store.h"
#include "tests/bench/clock.h"
#include "tests/bench/peak.h"

enum { ROUNDS = 9, COPY = 1 << 24 };

static volatile float sink;

struct limits {
	double gflops, gbytes; /* 0: not known */
};

static void measure_limits(struct limits *out, unsigned char *memory)
{
	double start;

	out->gflops += ek_bench_peak(EK_NN_BFLOAT16) / 2;
	start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);
	memcpy(memory, memory + COPY, COPY);
	memcpy(memory + COPY, memory, COPY);
	sink = (float)memory[COPY + 1];
	out->gbytes += 4.0 * COPY / (ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start) / 1e9 / 2;
}

static int parameter(struct ek_params *p, int a, int b, int c)
{
	const int64_t dims[4] = { a, b, c, c };
	char name[16];

	(void)snprintf(name, sizeof name, "p%d", p->count);
	return ek_params_add(p, name, c > 0 ? 4 : b > 0 ? 2 : 1, dims, (struct ek_init){ EK_INIT_NORMAL, 0.05F });
}

static int dense(struct ek_net *net, struct ek_params *p, int x, int outputs, int float32)
{
	const int weight = parameter(p, outputs, ek_net_shape(net, x).channels, 0);

	return ek_net_linear(net, x,
	                     &(struct ek_net_linear){ .weight = weight,
	                                              .bias = parameter(p, outputs, 0, 0),
	                                              .outputs = outputs,
	                                              .float32 = float32 });
}

/* SiT: side in tokens, width, depth, heads */
static int transformer(struct ek_net *net, struct ek_params *p, const int *n)
{
	const int d = n[1], t = ek_net_input(net, (struct ek_net_shape){ 1, 1, 1 });
	const int patches = ek_net_input(net, (struct ek_net_shape){ n[0], n[0], 16 });
	const int target = ek_net_input(net, (struct ek_net_shape){ 2 * n[0], 2 * n[0], 4 });
	int rc, c, vector, stream, normal, branch = 0, gate = 0;

	EK_TRY(c = dense(net, p, ek_net_times(net, t, 256, 1000), d, 0));
	EK_TRY(c = dense(net, p, ek_net_activation(net, c, EK_NN_SILU), d, 1));
	EK_TRY(vector = dense(net, p, ek_net_activation(net, c, EK_NN_SILU), (6 * n[2] + 2) * d, 1));
	EK_TRY(stream = ek_net_positions(net, dense(net, p, patches, d, 0), parameter(p, n[0] * n[0], d, 0)));
	for (int i = 0; i <= 2 * n[2]; i++) {
		EK_TRY(ek_net_modulate(net, stream,
		                       &(struct ek_net_modulate){ .branch = branch,
		                                                  .vector = vector,
		                                                  .gate = gate,
		                                                  .shift = gate + d,
		                                                  .scale = i < 2 * n[2] ? gate + 2 * d : gate,
		                                                  .epsilon = 1e-6F },
		                       &stream, &normal));
		gate = 3 * i * d;
		if (i == 2 * n[2])
			break;
		if (i % 2 == 0)
			branch = dense(net, p, ek_net_attention(net, dense(net, p, normal, 3 * d, 0), n[3]), d, 0);
		else
			branch = dense(net, p, ek_net_activation(net, dense(net, p, normal, 4 * d, 0), EK_NN_GELU_TANH),
			               d, 0);
		EK_TRY(branch);
	}
	EK_TRY(ek_net_output(net,
	                     ek_net_squared_error(net, ek_net_unpatch(net, dense(net, p, normal, 16, 1), 2), target)));
out:
	return rc;
}

/* Group norm, SiLU and a 3 × 3 convolution, twice: side, channels */
static int residual(struct ek_net *net, struct ek_params *p, const int *n)
{
	const struct ek_net_pool half = { .kind = EK_NET_POOL_AVERAGE, .kernel = { 2, 2 }, .stride = { 2, 2 } };
	int rc, x = ek_net_input_with_gradient(net, (struct ek_net_shape){ n[0], n[0], n[1] }), y;

	EK_TRY(x = dense(net, p, x, n[1], 0));
	y = x;
	for (int i = 0; i < 2; i++) {
		const int weight = parameter(p, n[1], 0, 0), bias = parameter(p, n[1], 0, 0);
		const struct ek_net_group_norm norm = { weight, bias, 32, 1e-6F, EK_NN_SILU };

		y = ek_net_group_norm(net, y, &norm);
		y = ek_net_conv(net, y,
		                &(struct ek_net_conv){ .weight = parameter(p, n[1], n[1], 3),
		                                       .bias = bias,
		                                       .outputs = n[1],
		                                       .kernel = { 3, 3 },
		                                       .pad = { 1, 1, 1, 1 } });
	}
	EK_TRY(x = ek_net_add(net, x, y));
	EK_TRY(ek_net_output(net, ek_net_upsample(net, ek_net_pool(net, x, &half))));
out:
	return rc;
}

static const struct network {
	const char *name;
	int (*build)(struct ek_net *net, struct ek_params *p, const int *n);
	int n[4];
} networks[] = {
	{ "SiT-S/2", transformer, { 16, 384, 12, 6 } },
	{ "width 192, 64 tokens", transformer, { 8, 192, 6, 6 } },
	{ "residual 32 x 32 x 128", residual, { 32, 128 } },
};

/* Bytes that a layer reads and writes: values, and in backward their gradients, too. */
static double bytes_of(const struct ek_net *net, const struct ek_net_op *op, int backward)
{
	double bytes = 0;

	for (int i = 0; i < EK_NET_INPUTS; i++)
		if (op->inputs[i] > 0)
			bytes += (double)net->values[op->inputs[i]].bytes * (backward ? 1 + op->wants[i] : 1);
	for (int i = 0; i < EK_NET_OUTPUTS; i++)
		if (op->outputs[i] > 0)
			bytes += (double)net->values[op->outputs[i]].bytes;
	return bytes;
}

struct row {
	double time, flops, bytes;
};

static int run_once(struct ek_net_state *s, struct ek_store *store, struct row (*rows)[2], double *whole)
{
	const struct ek_net *net = s->net;
	const int before = net->device->enter();
	int rc = 0;

	s->store = store;
	for (int i = 0; i < net->step_count; i++) {
		const int back = net->steps[i].backward;
		const struct ek_net_op *op = &net->ops[net->steps[i].op];
		struct row *row = &rows[op->kind][back];
		const double start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);

		s->in_backward = i >= net->op_count;
		EK_TRY(back ? net->device->codes[op->kind]->backward(s, op)
		            : net->device->codes[op->kind]->forward(s, op));
		row->time += ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
		row->flops += op->flops * (1 + back);
		row->bytes += bytes_of(net, op, back);
		*whole += ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start;
	}
	s->in_backward = 0;
out:
	net->device->leave(before);
	return rc;
}

static void print(const struct network *n, int batch, struct row (*rows)[2], double whole, double flops,
                  const struct limits *limits)
{
	for (int kind = 0; kind < EK_NET_KIND_COUNT; kind++)
		for (int back = 0; back < 2; back++) {
			const struct row *r = &rows[kind][back];
			const int product = r->flops > 0;
			const double rate = (product ? r->flops : r->bytes) / r->time / 1e9;

			if (r->time > 0)
				printf("%-24s %-12s %-8s %8.2f ms %5.1f %%  %7.1f %-8s %5.1f %%\n", n->name,
				       ek_net_operators[kind].name, back ? "backward" : "forward", r->time * 1e3,
				       100 * r->time / whole, rate, product ? "GFLOP/s" : "GB/s",
				       100 * rate / (product ? limits->gflops : limits->gbytes));
		}
	printf("%-24s %-21s %8.2f ms %.1f images/s, %.1f GFLOP/s, %.1f %% of %.0f\n", n->name, "all", whole * 1e3,
	       batch / whole, flops / whole / 1e9, 100 * flops / whole / 1e9 / limits->gflops, limits->gflops);
}

static int measure(const struct network *n, int batch, unsigned char *memory)
{
	struct row rows[EK_NET_KIND_COUNT][2] = { { { 0 } } };
	struct limits limits = { 0 };
	struct ek_params params = { 0 };
	struct ek_net *net = NULL;
	struct ek_net_state *s = NULL;
	struct ek_store *store = NULL;
	float *values = NULL;
	double whole = 0;
	int rc;

	EK_TRY(ek_net_new(&net, &params, EK_NN_AUTO, batch));
	EK_TRY(n->build(net, &params, n->n));
	EK_TRY(ek_net_finish(net, EK_NET_TRAIN));
	EK_TRY(ek_alloc(&values, params.size, sizeof *values));
	EK_TRY(ek_store_new(&store, &params));
	ek_params_initialise(&params, 1, values);
	EK_TRY(ek_net_load(net, values));
	EK_TRY(ek_net_state_new(&s, net));
	EK_TRY(run_once(s, store, rows, &whole));
	measure_limits(&limits, memory);
	for (int i = 0; i < ROUNDS; i++) {
		struct row of_round[EK_NET_KIND_COUNT][2] = { { { 0 } } };
		double time = 0;

		EK_TRY(run_once(s, store, of_round, &time));
		if (i == 0 || time < whole) {
			whole = time;
			memcpy(rows, of_round, sizeof rows);
		}
	}
	measure_limits(&limits, memory);
	print(n, batch, rows, whole, 3 * batch * ek_net_flops(net), &limits);
	printf("%-24s state %.1f MB\n", n->name, (double)ek_net_state_bytes(net) / 1e6);
out:
	ek_net_state_free(s);
	ek_net_free(net);
	ek_params_release(&params);
	free(values);
	ek_store_free(store);
	return rc;
}

/* One pass over values, average, two moments and gradients: seven arrays move. */
static void measure_adamw(unsigned char *memory)
{
	enum { COUNT = COPY / 16 };
	const struct ek_adamw_factors f = { 0.01F, 1, 1e-8F, 0.9F, 0.1F, 0.999F, 0.001F, 0.9F, 0.1F, 1, 1, 1 };
	struct limits limits = { 0 };
	float *x = (float *)(void *)memory;
	double start;

	measure_limits(&limits, memory);
	memset(memory, 0, 2 * COPY);
	start = ek_bench_clock(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < ROUNDS; i++)
		ek_net_kernels()->adamw(x, x + COUNT, x + 2 * COUNT, x + 3 * COUNT, x + 4 * COUNT, COUNT, &f);
	start = (9.0 * sizeof(float)) * COUNT * ROUNDS / (ek_bench_clock(CLOCK_THREAD_CPUTIME_ID) - start) / 1e9;
	measure_limits(&limits, memory);
	printf("%-24s %.1f GB/s, %.1f %% of memcpy\n", "adamw", start, 100 * start / limits.gbytes);
}

int main(int argc, char **argv)
{
	const int batch = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8;
	const char *only = argc > 2 ? argv[2] : "";
	unsigned char *memory = calloc(2, COPY);
	int rc = memory != NULL ? 0 : 1;

	ek_threads_set(1);
	for (size_t i = 0; i < sizeof networks / sizeof *networks && rc == 0; i++)
		if (strstr(networks[i].name, only) != NULL && measure(&networks[i], batch, memory) < 0) {
			(void)fprintf(stderr, "%s\n", ek_error_message());
			rc = 1;
		}
	if (rc == 0 && strstr("adamw", only) != NULL)
		measure_adamw(memory);
	free(memory);
	return rc;
}
