/* Layers that make numbers of bytes, and move them between pixels. */
#include <string.h>

#include "train/nn/net_internal.h"

/* In whole periods of 16 pixels, so that the loop is one of vectors. */
static void see_pixels(float *out, const uint8_t *x, size_t count, const struct ek_net_pixels *p)
{
	enum { PIXELS = 16, MOST = PIXELS * 4 };
	const size_t n = (size_t)p->shape.channels, period = PIXELS * n, whole = count - count % period;
	float scale[MOST], shift[MOST];

	for (size_t j = 0; j < period; j++) {
		scale[j] = p->scale[j % n];
		shift[j] = p->shift[j % n];
	}
	for (size_t i = 0; i < whole; i += period)
		for (size_t j = 0; j < period; j++)
			out[i + j] = (float)x[i + j] * scale[j] + shift[j];
	for (size_t i = whole; i < count; i++)
		out[i] = (float)x[i] * scale[i - whole] + shift[i - whole];
}

static int forward_pixels(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->outputs[0]);
	const size_t stride = ek_net_pixels_stride(op->of.pixels.shape);
	const uint8_t *x = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		see_pixels(out + b * count, x + b * stride, count, &op->of.pixels);
	return 0;
}

const struct ek_net_code ek_net_cpu_pixels = {
	.forward = forward_pixels,
};

/* A layer that maps each run of `count` numbers of its output to one of its input: out[to …] = x[from …]. */
struct mover {
	const struct ek_net *net;
	const struct ek_net_op *op;
	struct ek_net_shape in, out;
};

static struct mover mover_of(const struct ek_net *net, const struct ek_net_op *op)
{
	return (struct mover){ net, op, net->values[op->inputs[0]].shape, net->values[op->outputs[0]].shape };
}

/* The first number of the input that output pixel (image, row, column) comes from. */
static size_t from(const struct mover *m, size_t image, size_t row, size_t column)
{
	const size_t p = (size_t)m->op->of.p, c = (size_t)m->in.channels;
	size_t y = row, x = column, first = 0;

	if (m->op->kind == EK_NET_UPSAMPLE) {
		y /= 2;
		x /= 2;
	} else if (m->op->kind == EK_NET_UNPATCH) {
		first = (row % p * p + column % p) * (size_t)m->out.channels;
		y /= p;
		x /= p;
	} else {
		first = (size_t)m->op->of.first;
	}
	return ((image * (size_t)m->in.height + y) * (size_t)m->in.width + x) * c + first;
}

static int forward_move(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct mover m = mover_of(s->net, op);
	const size_t size = ek_nn_type_size(ek_net_in_type(s->net, op, 0)), n = (size_t)m.out.channels * size;
	const unsigned char *x = ek_net_in(s, op, 0);
	unsigned char *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < (size_t)m.out.height; i++)
			for (size_t j = 0; j < (size_t)m.out.width; j++, out += n)
				memcpy(out, x + from(&m, b, i, j) * size, n);
	return 0;
}

static int backward_move(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct mover m = mover_of(s->net, op);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t n = (size_t)m.out.channels;
	const void *dy = ek_net_grad_out(s, op, 0);
	void *dx = ek_net_grad_in(s, op, 0);
	float *buffer = (float *)(void *)s->scratch;
	size_t place = 0;

	if (!op->adds[0])
		memset(dx, 0, s->net->values[op->inputs[0]].bytes);
	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < (size_t)m.out.height; i++)
			for (size_t j = 0; j < (size_t)m.out.width; j++, place += n)
				ek_net_store_floats(dx, type, from(&m, b, i, j), n,
				                    ek_net_load_floats(dy, type, place, n, buffer), 1);
	return 0;
}

static int prepare_move(struct ek_net *net, struct ek_net_op *op)
{
	op->scratch = 2 * ek_net_channel_count(net, op->outputs[0]) * sizeof(float);
	return 0;
}

const struct ek_net_code ek_net_cpu_unpatch = {
	.prepare = prepare_move,
	.forward = forward_move,
	.backward = backward_move,
};

const struct ek_net_code ek_net_cpu_channels = {
	.prepare = prepare_move,
	.forward = forward_move,
	.backward = backward_move,
};

/* The gradient of a pixel is the sum of those of the 2 × 2 that it became. */
static int backward_upsample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape small = s->net->values[op->inputs[0]].shape;
	const size_t n = (size_t)small.channels, height = (size_t)small.height, width = (size_t)small.width;
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const void *dy = ek_net_grad_out(s, op, 0);
	float *sum = (float *)(void *)s->scratch, *buffer = sum + n;

	for (size_t place = 0; place < (size_t)s->net->batch * height * width; place++) {
		const size_t first = place / width * 2 * (2 * width) + place % width * 2;

		memset(sum, 0, n * sizeof *sum);
		for (size_t i = 0; i < 4; i++)
			ek_nn_vector()->accumulate(
				sum, ek_net_load_floats(dy, type, (first + i / 2 * 2 * width + i % 2) * n, n, buffer),
				n);
		ek_net_store_floats(ek_net_grad_in(s, op, 0), type, place * n, n, sum, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_upsample = {
	.prepare = prepare_move,
	.forward = forward_move,
	.backward = backward_upsample,
};
