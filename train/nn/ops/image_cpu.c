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
	op->scratch = 5 * ek_net_channel_count(net, op->outputs[0]) * sizeof(float);
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

/* out [channels] = factor · the sum of the 2 × 2 pixels of `x` (2h × 2w) at pixel (row, column) of h × w. */
static void sum_square(float *out, const void *x, enum ek_nn_type type, struct ek_net_shape small, size_t image,
                       size_t row, size_t column, float factor, float *buffer)
{
	const size_t n = (size_t)small.channels, width = 2 * (size_t)small.width, height = 2 * (size_t)small.height;

	memset(out, 0, n * sizeof *out);
	for (size_t i = 0; i < 4; i++) {
		const size_t pixel = (image * height + 2 * row + i / 2) * width + 2 * column + i % 2;

		ek_nn_vector()->accumulate(out, ek_net_load_floats(x, type, pixel * n, n, buffer), n);
	}
	ek_nn_vector()->scale(out, n, factor);
}

/* small = factor · sums of squares of large. */
static void shrink(struct ek_net_state *s, void *small, const void *large, enum ek_nn_type type,
                   struct ek_net_shape shape, float factor, int add)
{
	const size_t n = (size_t)shape.channels;
	float *sum = (float *)(void *)s->scratch, *buffer = sum + n;
	size_t place = 0;

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < (size_t)shape.height; i++)
			for (size_t j = 0; j < (size_t)shape.width; j++, place += n) {
				sum_square(sum, large, type, shape, b, i, j, factor, buffer);
				ek_net_store_floats(small, type, place, n, sum, add);
			}
}

static int backward_upsample(struct ek_net_state *s, const struct ek_net_op *op)
{
	shrink(s, ek_net_grad_in(s, op, 0), ek_net_grad_out(s, op, 0), ek_net_in_type(s->net, op, 0),
	       s->net->values[op->inputs[0]].shape, 1, op->adds[0]);
	return 0;
}

const struct ek_net_code ek_net_cpu_upsample = {
	.prepare = prepare_move,
	.forward = forward_move,
	.backward = backward_upsample,
};

static int forward_halve(struct ek_net_state *s, const struct ek_net_op *op)
{
	shrink(s, ek_net_out(s, op, 0), ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0),
	       s->net->values[op->outputs[0]].shape, 0.25F, 0);
	return 0;
}

static int backward_halve(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape in = s->net->values[op->inputs[0]].shape;
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t n = (size_t)in.channels, width = (size_t)in.width, height = (size_t)in.height;
	float *buffer = (float *)(void *)s->scratch, *quarter = buffer + n;
	size_t place = 0;

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < height; i++)
			for (size_t j = 0; j < width; j++, place += n) {
				const size_t pixel = (b * height / 2 + i / 2) * (width / 2) + j / 2;

				memcpy(quarter,
				       ek_net_load_floats(ek_net_grad_out(s, op, 0), type, pixel * n, n, buffer),
				       n * sizeof *quarter);
				ek_nn_vector()->scale(quarter, n, 0.25F);
				ek_net_store_floats(ek_net_grad_in(s, op, 0), type, place, n, quarter, op->adds[0]);
			}
	return 0;
}

const struct ek_net_code ek_net_cpu_halve = {
	.prepare = prepare_move,
	.forward = forward_halve,
	.backward = backward_halve,
};
