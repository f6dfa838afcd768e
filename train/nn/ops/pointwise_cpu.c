/* Layers that treat each number, or each row, on its own. */
#include <assert.h>
#include <math.h>

#include "train/nn/net_internal.h"

enum { CHUNK = 1024 };

static size_t numbers(const struct ek_net *net, int value)
{
	return (size_t)net->batch * ek_net_elements(net, value);
}

/* Runs the body for pieces of `count` numbers from `first` on. */
#define PIECES(count, first, n)                                                                                        \
	for (size_t first = 0, n = (count) < CHUNK ? (count) : CHUNK; first < (count);                                 \
	     first += n, n = (count)-first < CHUNK ? (count)-first : CHUNK)

static int forward_activation(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	float in[CHUNK], out[CHUNK];

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	{
		float *y = ek_net_floats_at(ek_net_out(s, op, 0), type, i, 0, out);

		ek_net_kernels()->activate(y, ek_net_load_floats(ek_net_in(s, op, 0), type, i, n, in), n,
		                           op->of.activation.activation, op->of.activation.slope);
		ek_net_store_floats(ek_net_out(s, op, 0), type, i, n, y, 0);
	}
	return 0;
}

static int backward_activation(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	float in[CHUNK], grad[CHUNK], out[CHUNK];

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	{
		ek_net_kernels()->activate_backward(out,
		                                    ek_net_load_floats(ek_net_grad_out(s, op, 0), type, i, n, grad),
		                                    ek_net_load_floats(ek_net_in(s, op, 0), type, i, n, in), n,
		                                    op->of.activation.activation, op->of.activation.slope);
		ek_net_store_floats(ek_net_grad_in(s, op, 0), type, i, n, out, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_activation = {
	.forward = forward_activation,
	.backward = backward_activation,
};

/* The gradient of the first output goes to input j unchanged, unless it is there already. */
static void pass_gradient(struct ek_net_state *s, const struct ek_net_op *op, int j)
{
	float buffer[CHUNK];

	if (!op->wants[j] || op->aliased[j])
		return;
	PIECES(numbers(s->net, op->inputs[j]), i, n)
	ek_net_store_floats(ek_net_grad_in(s, op, j), ek_net_in_type(s->net, op, j), i, n,
	                    ek_net_load_floats(ek_net_grad_out(s, op, 0), ek_net_out_type(s->net, op, 0), i, n, buffer),
	                    op->adds[j]);
}

static int forward_add(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type a = ek_net_in_type(s->net, op, 0), b = ek_net_in_type(s->net, op, 1);
	float left[CHUNK], right[CHUNK], out[CHUNK];

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	{
		ek_nn_vector()->add(out, ek_net_load_floats(ek_net_in(s, op, 0), a, i, n, left),
		                    ek_net_load_floats(ek_net_in(s, op, 1), b, i, n, right), n);
		ek_net_store_floats(ek_net_out(s, op, 0), a, i, n, out, 0);
	}
	return 0;
}

static int backward_add(struct ek_net_state *s, const struct ek_net_op *op)
{
	/* In the order of the inputs: if both are one value, the first sets and the second adds. */
	pass_gradient(s, op, 0);
	pass_gradient(s, op, 1);
	return 0;
}

const struct ek_net_code ek_net_cpu_add = {
	.forward = forward_add,
	.backward = backward_add,
};

static int forward_positions(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t image = ek_net_elements(s->net, op->inputs[0]);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0), to = ek_net_out_type(s->net, op, 0);
	float in[CHUNK], buffer[CHUNK];

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		PIECES(image, i, n)
		{
			float *out = ek_net_floats_at(ek_net_out(s, op, 0), to, b * image + i, 0, buffer);

			ek_nn_vector()->add(out, ek_net_load_floats(ek_net_in(s, op, 0), type, b * image + i, n, in),
			                    ek_net_parameter(s, op, 0) + i, n);
			ek_net_store_floats(ek_net_out(s, op, 0), to, b * image + i, n, out, 0);
		}
	return 0;
}

/* sum [count] += the gradient of the first output from number `first` on. */
static void add_gradient(float *sum, const struct ek_net_state *s, const struct ek_net_op *op, size_t first,
                         size_t count)
{
	float buffer[CHUNK];

	PIECES(count, i, n)
	ek_nn_vector()->accumulate(
		sum + i,
		ek_net_load_floats(ek_net_grad_out(s, op, 0), ek_net_out_type(s->net, op, 0), first + i, n, buffer), n);
}

static int backward_positions(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t image = ek_net_elements(s->net, op->inputs[0]);
	float *dp = ek_net_parameter_sum(s, op, 0);

	for (size_t b = 0; dp != NULL && b < (size_t)s->net->batch; b++)
		add_gradient(dp, s, op, b * image, image);
	pass_gradient(s, op, 0);
	return 0;
}

static int images_positions(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t image = ek_net_elements(s->net, op->inputs[0]);
	float *sum = ek_net_image_room(s, op, 0);

	for (size_t b = 0; b < s->images; b++) {
		memset(sum, 0, image * sizeof *sum);
		for (size_t i = 0; i < s->together; i++)
			add_gradient(sum, s, op, (b * s->together + i) * image, image);
		ek_net_add_image(s, op, 0, b, sum, 0, image);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_positions = {
	.forward = forward_positions,
	.backward = backward_positions,
	.images = images_positions,
};

static int forward_embedding(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->outputs[0]);
	const int32_t *ids = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		assert(ids[b] >= 0 && ids[b] < ek_net_parameter_of(op, 0)->dims[0]);
		memcpy(out + b * n, ek_net_parameter(s, op, 0) + (size_t)ids[b] * n, n * sizeof *out);
	}
	return 0;
}

static int backward_embedding(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->outputs[0]);
	const int32_t *ids = ek_net_in(s, op, 0);
	const float *dy = ek_net_grad_out(s, op, 0);
	float *dp = ek_net_parameter_gradient(s, op, 0);

	for (size_t b = 0; dp != NULL && b < (size_t)s->net->batch; b++)
		ek_nn_vector()->accumulate(dp + (size_t)ids[b] * n, dy + b * n, n);
	return 0;
}

/* sum = dy of the draws `first` … of an image that have the id of the first of them, numbers i … i + n - 1; 0: one
 * before it has that id. */
static int sum_of_id(float *sum, const float *dy, const int32_t *ids, size_t first, const struct ek_net_state *s,
                     size_t width, size_t i, size_t n)
{
	for (size_t b = 0; b < first; b++)
		if (ids[b] == ids[first])
			return 0;
	memcpy(sum, dy + first * width + i, n * sizeof *sum);
	for (size_t b = first + 1; b < s->together; b++)
		if (ids[b] == ids[first])
			ek_nn_vector()->accumulate(sum, dy + b * width + i, n);
	return 1;
}

static int images_embedding(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t width = ek_net_channel_count(s->net, op->outputs[0]);
	const int32_t *ids = ek_net_in(s, op, 0);
	const float *dy = ek_net_grad_out(s, op, 0);
	float sum[CHUNK];

	for (size_t image = 0; image < s->images; image++, ids += s->together, dy += s->together * width)
		for (size_t b = 0; b < s->together; b++)
			PIECES(width, i, n)
			{
				if (sum_of_id(sum, dy, ids, b, s, width, i, n))
					ek_net_add_image(s, op, 0, image, sum, (size_t)ids[b] * width + i, n);
			}
	return 0;
}

const struct ek_net_code ek_net_cpu_embedding = {
	.forward = forward_embedding,
	.backward = backward_embedding,
	.sparse = 1,
	.images = images_embedding,
};

static int forward_times(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(s->net, op->outputs[0]), half = n / 2;
	const float *t = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < half; i++) {
			const float rate = (float)exp(-log(10000) * (double)i / (double)half);
			const float angle = t[b] * op->of.affine.scale * rate;

			out[b * n + i] = cosf(angle);
			out[b * n + half + i] = sinf(angle);
		}
	return 0;
}

const struct ek_net_code ek_net_cpu_times = {
	.forward = forward_times,
};

static int forward_affine(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	float in[CHUNK], *out = ek_net_out(s, op, 0);

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	{
		const float *x = ek_net_load_floats(ek_net_in(s, op, 0), type, i, n, in);

		for (size_t j = 0; j < n; j++)
			out[i + j] = (x[j] + op->of.affine.shift) * op->of.affine.scale;
	}
	return 0;
}

static int backward_affine(struct ek_net_state *s, const struct ek_net_op *op)
{
	const float *dy = ek_net_grad_out(s, op, 0);
	float out[CHUNK];

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	{
		for (size_t j = 0; j < n; j++)
			out[j] = dy[i + j] * op->of.affine.scale;
		ek_net_store_floats(ek_net_grad_in(s, op, 0), ek_net_in_type(s->net, op, 0), i, n, out, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_affine = {
	.forward = forward_affine,
	.backward = backward_affine,
};

static int forward_cast(struct ek_net_state *s, const struct ek_net_op *op)
{
	float in[CHUNK];

	PIECES(numbers(s->net, op->inputs[0]), i, n)
	ek_net_store_floats(ek_net_out(s, op, 0), ek_net_out_type(s->net, op, 0), i, n,
	                    ek_net_load_floats(ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0), i, n, in), 0);
	return 0;
}

static int backward_cast(struct ek_net_state *s, const struct ek_net_op *op)
{
	pass_gradient(s, op, 0);
	return 0;
}

const struct ek_net_code ek_net_cpu_cast = {
	.forward = forward_cast,
	.backward = backward_cast,
};

static int forward_detach(struct ek_net_state *s, const struct ek_net_op *op)
{
	memcpy(ek_net_out(s, op, 0), ek_net_in(s, op, 0),
	       numbers(s->net, op->inputs[0]) * ek_nn_type_size(ek_net_in_type(s->net, op, 0)));
	return 0;
}

const struct ek_net_code ek_net_cpu_detach = {
	.forward = forward_detach,
};
