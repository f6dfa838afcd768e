/* Layer norm with modulation and gate, and group norm. */
#include <math.h>

#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

/* Modulation. Saved: mean and inverse deviation of each row. Scratch: four rows. */

static int prepare_modulate(struct ek_net *net, struct ek_net_op *op)
{
	op->saved = 2 * sizeof(float) * ek_net_rows(net, op->inputs[0]);
	op->scratch = 4 * sizeof(float) * ek_net_channel_count(net, op->inputs[0]);
	return 0;
}

/* Which output is which: with a branch the stream comes first. */
static int normal_output(const struct ek_net_op *op)
{
	return op->inputs[1] > 0 ? 1 : 0;
}

static int forward_modulate(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_modulate *m = &op->of.modulate;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]), n = ek_net_channel_count(s->net, op->inputs[0]);
	const size_t per_image = rows / (size_t)s->net->batch, width = ek_net_channel_count(s->net, op->inputs[2]);
	const float *x = ek_net_in(s, op, 0), *vectors = ek_net_in(s, op, 2);
	const int y = normal_output(op);
	float *buffer = (float *)(void *)s->scratch, *saved = ek_net_saved(s, op);
	void *normal = op->outputs[y] > 0 ? ek_net_out(s, op, y) : NULL;
	float *stream = op->inputs[1] > 0 ? ek_net_out(s, op, 0) : NULL;

	for (size_t i = 0; i < rows; i++) {
		const float *row = x + i * n, *vector = vectors + i / per_image * width;

		if (stream != NULL) {
			const float *branch = ek_net_load_floats(ek_net_in(s, op, 1), ek_net_in_type(s->net, op, 1),
			                                         i * n, n, buffer);

			k->gate(stream + i * n, row, vector + m->gate, branch, n);
			row = stream + i * n;
		}
		if (normal != NULL) {
			const enum ek_nn_type type = ek_net_out_type(s->net, op, y);
			float *out = ek_net_floats_at(normal, type, i * n, 0, buffer);

			k->statistics(&saved[2 * i], &saved[2 * i + 1], row, n, m->epsilon);
			k->modulate(out, row, saved[2 * i], saved[2 * i + 1], vector + m->scale, vector + m->shift, n);
			ek_net_store_floats(normal, type, i * n, n, out, 0);
		}
	}
	return 0;
}

/* The gradient of the vectors is added up here; its features that no layer takes stay 0. */
static int backward_modulate(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_modulate *m = &op->of.modulate;
	const struct ek_net *net = s->net;
	const size_t rows = ek_net_rows(net, op->inputs[0]), n = ek_net_channel_count(net, op->inputs[0]);
	const size_t per_image = rows / (size_t)net->batch, width = ek_net_channel_count(net, op->inputs[2]);
	const int y = normal_output(op), gated = op->inputs[1] > 0;
	const float *x = gated ? ek_net_out(s, op, 0) : ek_net_in(s, op, 0), *vectors = ek_net_in(s, op, 2);
	const float *saved = ek_net_saved(s, op), *dstream = gated ? ek_net_grad_out(s, op, 0) : NULL;
	const void *dnormal = ek_net_grad_out(s, op, y);
	float *buffer = (float *)(void *)s->scratch, *dx = ek_net_grad_in(s, op, 0),
	      *dbranch = ek_net_grad_in(s, op, 1);
	float *dvectors = ek_net_grad_in(s, op, 2), *unused = buffer + 3 * n;

	if (dvectors != NULL && !op->adds[2])
		memset(dvectors, 0, (size_t)net->batch * width * sizeof *dvectors);
	for (size_t i = 0; i < rows; i++) {
		const float *vector = vectors + i / per_image * width;
		float *dvector = dvectors != NULL ? dvectors + i / per_image * width : NULL;
		float *row = op->aliased[0] ? dx + i * n : buffer + n; /* the gradient of the stream */

		if (!op->aliased[0] && dstream != NULL)
			memcpy(row, dstream + i * n, n * sizeof *row);
		else if (!op->aliased[0])
			memset(row, 0, n * sizeof *row);
		if (dnormal != NULL)
			k->modulate_backward(row, dvector != NULL ? dvector + m->scale : unused,
			                     dvector != NULL ? dvector + m->shift : unused,
			                     ek_net_load_floats(dnormal, ek_net_out_type(net, op, y), i * n, n, buffer),
			                     x + i * n, saved[2 * i], saved[2 * i + 1], vector + m->scale,
			                     buffer + 2 * n, n);
		if (dx != NULL && !op->aliased[0])
			ek_net_store_floats(dx, EK_NN_FLOAT32, i * n, n, row, op->adds[0]);
		if (gated && (dbranch != NULL || dvector != NULL)) {
			const enum ek_nn_type type = ek_net_in_type(net, op, 1);
			const float *branch = ek_net_load_floats(ek_net_in(s, op, 1), type, i * n, n, buffer);

			k->gate_backward(buffer + 2 * n, dvector != NULL ? dvector + m->gate : unused, row,
			                 vector + m->gate, branch, n);
			if (dbranch != NULL)
				ek_net_store_floats(dbranch, type, i * n, n, buffer + 2 * n, op->adds[1]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_modulate = {
	.name = "modulate",
	.needs_inputs = 7 | EK_NET_NEEDS_OUTPUT,
	.prepare = prepare_modulate,
	.forward = forward_modulate,
	.backward = backward_modulate,
};

/* Group norm. Saved, per image: factor [channels] and centre [channels], so that normal = (x - centre) · factor. */

static int prepare_group_norm(struct ek_net *net, struct ek_net_op *op)
{
	const size_t n = ek_net_channel_count(net, op->inputs[0]);

	op->saved = 2 * n * sizeof(float) * (size_t)net->batch;
	op->scratch = 8 * n * sizeof(float);
	return 0;
}

/* sums [channels] to the mean over each group, back at every channel. */
static void over_groups(float *sums, size_t n, size_t groups, double count)
{
	const size_t each = n / groups;

	for (size_t g = 0; g < groups; g++) {
		double sum = 0;

		for (size_t j = 0; j < each; j++)
			sum += (double)sums[g * each + j];
		for (size_t j = 0; j < each; j++)
			sums[g * each + j] = (float)(sum / count);
	}
}

static int forward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_group_norm *g = &op->of.group_norm;
	const struct ek_net *net = s->net;
	const size_t n = ek_net_channel_count(net, op->inputs[0]), groups = (size_t)g->groups;
	const size_t rows = ek_net_rows(net, op->inputs[0]) / (size_t)net->batch;
	const double count = (double)(rows * (n / groups));
	const enum ek_nn_type in = ek_net_in_type(net, op, 0), out = ek_net_out_type(net, op, 0);
	const float *weight = ek_net_parameter(s, op, 0), *bias = ek_net_parameter(s, op, 1);
	float *row = (float *)(void *)s->scratch, *shift = row + n, *scale = row + 2 * n, *result = row + 3 * n;

	for (size_t image = 0; image < (size_t)net->batch; image++) {
		float *factor = (float *)ek_net_saved(s, op) + 2 * n * image, *centre = factor + n;
		const size_t first = image * rows;

		memset(factor, 0, 2 * n * sizeof *factor);
		for (size_t i = 0; i < rows; i++)
			ek_nn_vector()->accumulate(
				centre, ek_net_load_floats(ek_net_in(s, op, 0), in, (first + i) * n, n, row), n);
		over_groups(centre, n, groups, count);
		for (size_t i = 0; i < rows; i++)
			k->add_squares(factor, ek_net_load_floats(ek_net_in(s, op, 0), in, (first + i) * n, n, row),
			               centre, n);
		over_groups(factor, n, groups, count);
		for (size_t j = 0; j < n; j++) {
			factor[j] = 1 / sqrtf(factor[j] + g->epsilon);
			scale[j] = factor[j] * weight[j];
			shift[j] = bias[j] - centre[j] * scale[j];
		}
		for (size_t i = 0; i < rows; i++) {
			const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, (first + i) * n, n, row);
			float *y = ek_net_floats_at(ek_net_out(s, op, 0), out, (first + i) * n, 0, result);

			k->affine(y, x, scale, shift, n);
			if (g->activation != EK_NN_LINEAR)
				k->activate(y, y, n, g->activation, 0);
			ek_net_store_floats(ek_net_out(s, op, 0), out, (first + i) * n, n, y, 0);
		}
	}
	return 0;
}

/* The gradient of one image at weight · normal + bias, before the activation, for row i. */
static const float *before_activation(const struct ek_net_state *s, const struct ek_net_op *op, size_t row,
                                      const float *x, const float *scale, const float *shift, float *buffer,
                                      float *linear)
{
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]);
	const float *dy =
		ek_net_load_floats(ek_net_grad_out(s, op, 0), ek_net_out_type(s->net, op, 0), row * n, n, buffer);

	if (op->of.group_norm.activation == EK_NN_LINEAR)
		return dy;
	ek_net_kernels()->affine(linear, x, scale, shift, n);
	ek_net_kernels()->activate_backward(buffer, dy, linear, n, op->of.group_norm.activation, 0);
	return buffer;
}

static int backward_group_norm(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_kernels *k = ek_net_kernels();
	const struct ek_net_group_norm *g = &op->of.group_norm;
	const struct ek_net *net = s->net;
	const size_t n = ek_net_channel_count(net, op->inputs[0]), groups = (size_t)g->groups;
	const size_t rows = ek_net_rows(net, op->inputs[0]) / (size_t)net->batch;
	const double count = (double)(rows * (n / groups));
	const enum ek_nn_type in = ek_net_in_type(net, op, 0);
	const float *weight = ek_net_parameter(s, op, 0), *bias = ek_net_parameter(s, op, 1);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_gradient(s, op, 1);
	float *row = (float *)(void *)s->scratch, *shift = row + n, *scale = row + 2 * n, *grad = row + 3 * n;
	float *linear = row + 4 * n, *sum = row + 5 * n, *products = row + 6 * n;

	for (size_t image = 0; image < (size_t)net->batch; image++) {
		const float *factor = (const float *)ek_net_saved(s, op) + 2 * n * image, *centre = factor + n;

		memset(sum, 0, 2 * n * sizeof *sum);
		for (size_t j = 0; j < n; j++) {
			scale[j] = factor[j] * weight[j];
			shift[j] = bias[j] - centre[j] * scale[j];
		}
		for (size_t i = image * rows; i < (image + 1) * rows; i++) {
			const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, i * n, n, row);
			const float *d = before_activation(s, op, i, x, scale, shift, grad, linear);

			ek_nn_vector()->accumulate(sum, d, n);
			for (size_t j = 0; j < n; j++)
				linear[j] = (x[j] - centre[j]) * factor[j];
			k->add_products(products, d, linear, n);
		}
		if (dw != NULL)
			ek_nn_vector()->accumulate(dw, products, n);
		if (db != NULL)
			ek_nn_vector()->accumulate(db, sum, n);
		if (!op->wants[0])
			continue;
		for (size_t j = 0; j < n; j++) {
			sum[j] *= weight[j];
			products[j] *= weight[j];
		}
		over_groups(sum, n, groups, count);
		over_groups(products, n, groups, count);
		for (size_t i = image * rows; i < (image + 1) * rows; i++) {
			const float *x = ek_net_load_floats(ek_net_in(s, op, 0), in, i * n, n, row);
			const float *d = before_activation(s, op, i, x, scale, shift, grad, linear);

			for (size_t j = 0; j < n; j++)
				linear[j] = factor[j] *
				            (d[j] * weight[j] - sum[j] - (x[j] - centre[j]) * factor[j] * products[j]);
			ek_net_store_floats(ek_net_grad_in(s, op, 0), in, i * n, n, linear, op->adds[0]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_group_norm = {
	.name = "group norm",
	.needs_inputs = 1,
	.prepare = prepare_group_norm,
	.forward = forward_group_norm,
	.backward = backward_group_norm,
};
