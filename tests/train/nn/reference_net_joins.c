/* Layers that pool pixels, or put values and rows together. */
#include <stdlib.h>

#include "tests/train/nn/reference_net_internal.h"

enum { PARAMETER = -1 };

/* Where number i of the output comes from: `*input`, or the parameter, and the number in it. */
static size_t source(const struct ref_net *r, const struct ek_net_op *op, size_t i, int *input)
{
	const struct ek_net_shape out = shape_of(r, op->outputs[0]), in = shape_of(r, op->inputs[0]);
	const size_t batch = (size_t)ek_net_batch(r->net), n = (size_t)out.channels;
	const size_t outs = count_of(r, op->outputs[0]) / batch, ins = count_of(r, op->inputs[0]) / batch;
	size_t c = i % n, p, y, x;

	*input = 0;
	switch ((int)op->kind) {
	case EK_NET_CONCAT:
		for (; c >= channels_of(r, op->inputs[*input]); (*input)++)
			c -= channels_of(r, op->inputs[*input]);
		return i / n * channels_of(r, op->inputs[*input]) + c;
	case EK_NET_ROWS:
		return i / outs * ins + (size_t)op->of.first * n + i % outs;
	case EK_NET_PREPEND:
		*input = i % outs < outs - ins ? PARAMETER : 0;
		return i % outs < outs - ins ? i % outs : i / outs * ins + i % outs - (outs - ins);
	default: /* patches */
		p = (size_t)op->of.p;
		y = i % outs / n / (size_t)out.width * p + c / p % p;
		x = i / n % (size_t)out.width * p + c % p;
		return i / outs * ins + (y * (size_t)in.width + x) * (size_t)in.channels + c / p / p;
	}
}

static void join_forward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		int input;
		const size_t from = source(r, op, i, &input);

		give(r, op->outputs[0], i,
		     input == PARAMETER ? parameter_of(r, op, 0)[from] : r->values[op->inputs[input]][from]);
	}
}

static void join_backward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const number dy = r->gradients[op->outputs[0]][i];
		int input;
		const size_t from = source(r, op, i, &input);

		if (input != PARAMETER)
			give_gradient(r, op->inputs[input], from, dy);
		else
			parameter_gradient_of(r, op, 0)[from] = plus(parameter_gradient_of(r, op, 0)[from], dy);
	}
}

const struct ref_layer ref_join_layer = { join_forward, join_backward };

/* Pooling. A window's pixels: the numbers in the input of those inside, of channel c. */
struct window {
	size_t at[64];
	int inside;
	double share; /* what an average multiplies the sum with */
};

static struct window window_of(const struct ref_net *r, const struct ek_net_op *op, size_t i)
{
	const struct ek_net_pool *p = &op->of.pool;
	const struct ek_net_shape in = shape_of(r, op->inputs[0]), out = shape_of(r, op->outputs[0]);
	const int place = (int)i, c = place % out.channels, column = place / out.channels % out.width;
	const int row = place / out.channels / out.width % out.height;
	const int image = place / out.channels / out.width / out.height;
	struct window w = { .inside = 0 };

	for (int tap = 0; tap < p->kernel[0] * p->kernel[1]; tap++) {
		const int y = row * p->stride[0] - p->pad[0] + tap / p->kernel[1];
		const int x = column * p->stride[1] - p->pad[2] + tap % p->kernel[1];

		if (y >= 0 && y < in.height && x >= 0 && x < in.width)
			w.at[w.inside++] = (size_t)(((image * in.height + y) * in.width + x) * in.channels + c);
	}
	w.share = 1.0 / (p->kind == EK_NET_POOL_AVERAGE ? p->kernel[0] * p->kernel[1] : w.inside);
	return w;
}

static size_t largest(const struct ref_net *r, const struct ek_net_op *op, const struct window *w)
{
	size_t at = w->at[0];

	for (int j = 1; j < w->inside; j++)
		if (r->values[op->inputs[0]][w->at[j]].v > r->values[op->inputs[0]][at].v)
			at = w->at[j];
	return at;
}

static void pool_forward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const struct window w = window_of(r, op, i);
		struct sum s = { 0 };

		for (int j = 0; j < w.inside; j++)
			sum_add(&s, r->values[op->inputs[0]][w.at[j]]);
		give(r, op->outputs[0], i,
		     op->of.pool.kind == EK_NET_POOL_MAX ? r->values[op->inputs[0]][largest(r, op, &w)]
		                                         : scaled(sum_get(&s), w.share));
	}
}

static void pool_backward(struct ref_net *r, const struct ek_net_op *op)
{
	const size_t ins = count_of(r, op->inputs[0]);
	struct sum *sums = calloc(ins, sizeof *sums);

	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++) {
		const struct window w = window_of(r, op, i);
		const number dy = r->gradients[op->outputs[0]][i];

		if (op->of.pool.kind == EK_NET_POOL_MAX)
			sum_add(&sums[largest(r, op, &w)], dy);
		for (int j = 0; j < w.inside && op->of.pool.kind != EK_NET_POOL_MAX; j++)
			sum_add(&sums[w.at[j]], scaled(dy, w.share));
	}
	for (size_t i = 0; i < ins; i++)
		give_gradient(r, op->inputs[0], i, sum_get(&sums[i]));
	free(sums);
}

const struct ref_layer ref_pool_layer = { pool_forward, pool_backward };

static size_t column_of(const struct ref_net *r, const struct ek_net_op *op, size_t i)
{
	const size_t ins = count_of(r, op->inputs[0]) / (size_t)ek_net_batch(r->net), n = channels_of(r, op->inputs[0]);

	return i / ins * n + i % n;
}

static double share_of(const struct ref_net *r, const struct ek_net_op *op)
{
	return (double)ek_net_batch(r->net) / (double)rows_of(r, op->inputs[0]);
}

static void average_forward(struct ref_net *r, const struct ek_net_op *op)
{
	struct sum *sums = calloc(count_of(r, op->outputs[0]), sizeof *sums);

	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++)
		sum_add(&sums[column_of(r, op, i)], r->values[op->inputs[0]][i]);
	for (size_t i = 0; i < count_of(r, op->outputs[0]); i++)
		give(r, op->outputs[0], i, scaled(sum_get(&sums[i]), share_of(r, op)));
	free(sums);
}

static void average_backward(struct ref_net *r, const struct ek_net_op *op)
{
	for (size_t i = 0; i < count_of(r, op->inputs[0]); i++)
		give_gradient(r, op->inputs[0], i,
		              scaled(r->gradients[op->outputs[0]][column_of(r, op, i)], share_of(r, op)));
}

const struct ref_layer ref_average_layer = { average_forward, average_backward };
