#include "tests/bench/operators.h"

#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "train/nn/cuda.h"
#include "train/nn/net_internal.h"

enum { REPEATS = 10 };

/* Milliseconds of a step of the plan. */
static int time_of(double *ms, struct ek_net_state *s, const struct ek_net_op *op, int backward)
{
	const struct ek_net_code *code = s->net->device->codes[op->kind];
	double start = 0;
	int rc;

	for (int i = -1; i < REPEATS; i++) {
		if (i == 0) {
			EK_TRY(ek_cuda_wait());
			start = ek_clock();
		}
		EK_TRY(backward ? code->backward(s, op) : code->forward(s, op));
	}
	EK_TRY(ek_cuda_wait());
	*ms = 1e3 * (ek_clock() - start) / REPEATS;
out:
	return rc;
}

static void print_op(const struct ek_net *net, const struct ek_net_op *op, double ms, int backward)
{
	const struct ek_net_value *x = &net->values[op->inputs[0]], *y = &net->values[op->outputs[0]];
	const double bytes = (double)x->bytes + (double)y->bytes +
	                     (op->inputs[1] > 0 ? (double)net->values[op->inputs[1]].bytes : 0);

	(void)printf("  %s%-12.12s %dx%dx%d -> %dx%dx%d type %d", backward ? "back " : "",
	             ek_net_operators[op->kind].name, x->shape.height, x->shape.width, x->shape.channels,
	             y->shape.height, y->shape.width, y->shape.channels, (int)x->type);
	if (op->kind == EK_NET_CONV)
		(void)printf(" %dx%d/%d g%d", op->of.conv.kernel[0], op->of.conv.kernel[1], op->of.conv.stride[0],
		             op->of.conv.groups);
	(void)printf(": %.3f ms, %.0f GB/s, %.1f TFLOP/s\n", ms, bytes / ms / 1e6,
	             (backward ? 2 : 1) * op->flops / ms / 1e9);
}

int ek_bench_operators(struct ek_net_state *s, struct ek_store *store, int all)
{
	const struct ek_net *net = s->net;
	double sums[EK_NET_KIND_COUNT][2] = { { 0 } }, ms;
	int rc = 0;

	s->store = store;
	for (int i = 0; i < net->step_count; i++) {
		const struct ek_net_op *op = &net->ops[net->steps[i].op];
		const int backward = net->steps[i].backward;

		s->in_backward = i >= net->op_count;
		if (op->idle[backward])
			continue;
		EK_TRY(time_of(&ms, s, op, backward));
		sums[op->kind][backward] += ms;
		if (all)
			print_op(net, op, ms, backward);
	}
	for (int k = 0; k < EK_NET_KIND_COUNT; k++)
		if (sums[k][0] + sums[k][1] > 0)
			(void)printf("  %-12s %8.3f %8.3f ms\n", ek_net_operators[k].name, sums[k][0], sums[k][1]);
out:
	s->in_backward = 0;
	return rc;
}
