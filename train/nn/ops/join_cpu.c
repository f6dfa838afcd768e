/* Layers that put values, or rows of them, together and apart. */
#include "train/nn/net_internal.h"

static int forward_concat(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]), size = ek_nn_type_size(ek_net_out_type(s->net, op, 0));
	unsigned char *out = ek_net_out(s, op, 0);

	for (size_t i = 0; i < rows; i++)
		for (int j = 0; j < EK_NET_CONCAT_MAX && op->inputs[j] > 0; j++) {
			const size_t bytes = ek_net_channel_count(s->net, op->inputs[j]) * size;

			memcpy(out, (const unsigned char *)ek_net_in(s, op, j) + i * bytes, bytes);
			out += bytes;
		}
	return 0;
}

static int backward_concat(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]);
	const enum ek_nn_type type = ek_net_out_type(s->net, op, 0);
	size_t place = 0;

	for (size_t i = 0; i < rows; i++)
		for (int j = 0; j < EK_NET_CONCAT_MAX && op->inputs[j] > 0; j++) {
			const size_t n = ek_net_channel_count(s->net, op->inputs[j]);

			if (op->wants[j])
				ek_net_copy(ek_net_grad_in(s, op, j), type, i * n, ek_net_grad_out(s, op, 0), type,
				            place, n, op->adds[j]);
			place += n;
		}
	return 0;
}

const struct ek_net_code ek_net_cpu_concat = { .forward = forward_concat, .backward = backward_concat };

/* Numbers of an image of a value. */
static size_t image_of(const struct ek_net_state *s, int value)
{
	return ek_net_elements(s->net, value);
}

static int forward_rows(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = image_of(s, op->inputs[0]), out = image_of(s, op->outputs[0]);
	const size_t first = (size_t)op->of.first * ek_net_channel_count(s->net, op->inputs[0]);

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		ek_net_copy(ek_net_out(s, op, 0), type, b * out, ek_net_in(s, op, 0), type, b * in + first, out, 0);
	return 0;
}

static int backward_rows(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = image_of(s, op->inputs[0]), out = image_of(s, op->outputs[0]);
	const size_t first = (size_t)op->of.first * ek_net_channel_count(s->net, op->inputs[0]);

	if (!op->adds[0])
		memset(ek_net_grad_in(s, op, 0), 0, s->net->values[op->inputs[0]].bytes);
	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		ek_net_copy(ek_net_grad_in(s, op, 0), type, b * in + first, ek_net_grad_out(s, op, 0), type, b * out,
		            out, op->adds[0]);
	return 0;
}

const struct ek_net_code ek_net_cpu_rows = { .forward = forward_rows, .backward = backward_rows };

static int forward_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = image_of(s, op->inputs[0]), out = image_of(s, op->outputs[0]), before = out - in;

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		ek_net_copy(ek_net_out(s, op, 0), type, b * out, ek_net_parameter(s, op, 0), EK_NN_FLOAT32, 0, before,
		            0);
		ek_net_copy(ek_net_out(s, op, 0), type, b * out + before, ek_net_in(s, op, 0), type, b * in, in, 0);
	}
	return 0;
}

static int backward_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t in = image_of(s, op->inputs[0]), out = image_of(s, op->outputs[0]), before = out - in;
	float *rows = ek_net_parameter_sum(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		if (rows != NULL)
			ek_net_copy(rows, EK_NN_FLOAT32, 0, ek_net_grad_out(s, op, 0), type, b * out, before, 1);
		if (op->wants[0])
			ek_net_copy(ek_net_grad_in(s, op, 0), type, b * in, ek_net_grad_out(s, op, 0), type,
			            b * out + before, in, op->adds[0]);
	}
	return 0;
}

static int images_prepend(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t out = image_of(s, op->outputs[0]), before = out - image_of(s, op->inputs[0]);
	float *rows = ek_net_image_room(s, op, 0);

	for (size_t image = 0; image < s->images; image++) {
		for (size_t i = 0; i < s->together; i++)
			ek_net_copy(rows, EK_NN_FLOAT32, 0, ek_net_grad_out(s, op, 0), type,
			            (image * s->together + i) * out, before, i > 0);
		ek_net_add_image(s, op, 0, image, rows, 0, before);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_prepend = {
	.forward = forward_prepend,
	.backward = backward_prepend,
	.images = images_prepend,
};

/* Patches. Scratch: one of them. */

static int prepare_patches(struct ek_net *net, struct ek_net_op *op)
{
	op->scratch = 2 * ek_net_channel_count(net, op->outputs[0]) * sizeof(float);
	return 0;
}

/* The first number of line `line` of patch `patch`, counted over the slice: p pixels of all channels. */
static size_t line_of(const struct ek_net *net, const struct ek_net_op *op, size_t patch, size_t line)
{
	const struct ek_net_shape out = net->values[op->outputs[0]].shape;
	const size_t p = (size_t)op->of.p, wide = (size_t)out.width, c = ek_net_channel_count(net, op->inputs[0]);

	return ((patch / wide * p + line) * wide + patch % wide) * p * c;
}

/* Between a line [p, c] and a patch [c, p, p]. */
static void turn_line(float *patch, float *line, size_t p, size_t c, size_t row, int back)
{
	for (size_t j = 0; j < p; j++)
		for (size_t k = 0; k < c; k++)
			if (back)
				line[j * c + k] = patch[(k * p + row) * p + j];
			else
				patch[(k * p + row) * p + j] = line[j * c + k];
}

static int forward_patches(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]), n = ek_net_channel_count(s->net, op->outputs[0]);
	const size_t p = (size_t)op->of.p, c = ek_net_channel_count(s->net, op->inputs[0]);
	float *patch = (float *)(void *)s->scratch, *line = patch + n;

	for (size_t i = 0; i < rows; i++) {
		for (size_t row = 0; row < p; row++) {
			ek_net_copy(line, EK_NN_FLOAT32, 0, ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0),
			            line_of(s->net, op, i, row), p * c, 0);
			turn_line(patch, line, p, c, row, 0);
		}
		ek_net_store_floats(ek_net_out(s, op, 0), ek_net_out_type(s->net, op, 0), i * n, n, patch, 0);
	}
	return 0;
}

static int backward_patches(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t rows = ek_net_rows(s->net, op->outputs[0]), n = ek_net_channel_count(s->net, op->outputs[0]);
	const size_t p = (size_t)op->of.p, c = ek_net_channel_count(s->net, op->inputs[0]);
	float *patch = (float *)(void *)s->scratch, *line = patch + n;

	for (size_t i = 0; i < rows; i++) {
		ek_net_copy(patch, EK_NN_FLOAT32, 0, ek_net_grad_out(s, op, 0), ek_net_out_type(s->net, op, 0), i * n,
		            n, 0);
		for (size_t row = 0; row < p; row++) {
			turn_line(patch, line, p, c, row, 1);
			ek_net_store_floats(ek_net_grad_in(s, op, 0), ek_net_in_type(s->net, op, 0),
			                    line_of(s->net, op, i, row), p * c, line, op->adds[0]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_patches = {
	.prepare = prepare_patches,
	.forward = forward_patches,
	.backward = backward_patches,
};
