/* Pooling by oneDNN, its gradient in loops of ours; the mean over all pixels. */
#include <math.h>

#include "rebalance/base/error.h"
#include "train/nn/ops/dnn_cpu.h"

static int prepare_pool(struct ek_net *net, struct ek_net_op *op)
{
	const struct ek_net_pool *p = &op->of.pool;
	struct ek_dnn_layout *x = NULL, *y = NULL;
	int rc;

	EK_TRY(ek_cpu_images(&x, net, op->inputs[0], ek_net_in_type(net, op, 0), net->batch));
	EK_TRY(ek_cpu_images(&y, net, op->outputs[0], ek_net_out_type(net, op, 0), net->batch));
	EK_TRY(ek_dnn_pooling(&ek_cpu_kernels(op)[0], (int)p->kind, x, y, p->kernel, p->stride, p->pad));
	/* In backward, an image and its gradient, and a pixel of the gradient given. */
	if (op->backward)
		op->scratch = (2 * ek_net_elements(net, op->inputs[0]) + ek_net_channel_count(net, op->inputs[0])) *
		              sizeof(float);
out:
	ek_dnn_layout_free(x);
	ek_dnn_layout_free(y);
	return rc;
}

static int forward_pool(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *call = ek_cpu_calls(s, op)[0];

	ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(ek_net_in(s, op, 0)));
	ek_dnn_call_set(call, EK_DNN_RESULT, ek_net_out(s, op, 0));
	return ek_dnn_call_run(call);
}

/* The part of a window that lies in the image: first, and one past the last, row or column. */
struct span {
	int first, end;
};

static struct span span_of(int place, int stride, int pad, int kernel, int size)
{
	const int first = place * stride - pad, end = first + kernel;

	return (struct span){ first > 0 ? first : 0, end < size ? end : size };
}

/* Each channel's gradient goes to the first of the largest pixels. */
static void to_largest(float *dx, const float *x, const float *dy, struct span rows, struct span columns,
                       struct ek_net_shape in)
{
	for (int c = 0; c < in.channels; c++) {
		int largest = -1;

		for (int row = rows.first; row < rows.end; row++)
			for (int column = columns.first; column < columns.end; column++) {
				const int place = (row * in.width + column) * in.channels + c;

				if (largest < 0 || x[place] > x[largest])
					largest = place;
			}
		dx[largest] += dy[c];
	}
}

static void to_all(float *dx, const float *dy, struct span rows, struct span columns, struct ek_net_shape in,
                   float share)
{
	for (int row = rows.first; row < rows.end; row++)
		for (int column = columns.first; column < columns.end; column++)
			for (int c = 0; c < in.channels; c++)
				dx[(row * in.width + column) * in.channels + c] += share * dy[c];
}

static int backward_pool(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_pool *p = &op->of.pool;
	const struct ek_net_shape in = s->net->values[op->inputs[0]].shape, out = s->net->values[op->outputs[0]].shape;
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t count = ek_net_elements(s->net, op->inputs[0]), n = (size_t)in.channels;
	float *dx = (float *)(void *)s->scratch, *x = dx + count, *dy = x + count;
	size_t place = 0;

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		memset(dx, 0, count * sizeof *dx);
		ek_net_copy(x, EK_NN_FLOAT32, 0, ek_net_in(s, op, 0), type, b * count, count, 0);
		for (int i = 0; i < out.height * out.width; i++, place += n) {
			const struct span rows =
				span_of(i / out.width, p->stride[0], p->pad[0], p->kernel[0], in.height);
			const struct span columns =
				span_of(i % out.width, p->stride[1], p->pad[2], p->kernel[1], in.width);
			const int area = p->kind == EK_NET_POOL_AVERAGE_EXCLUSIVE
			                         ? (rows.end - rows.first) * (columns.end - columns.first)
			                         : p->kernel[0] * p->kernel[1];

			ek_net_copy(dy, EK_NN_FLOAT32, 0, ek_net_grad_out(s, op, 0), type, place, n, 0);
			if (p->kind == EK_NET_POOL_MAX)
				to_largest(dx, x, dy, rows, columns, in);
			else
				to_all(dx, dy, rows, columns, in, 1 / (float)area);
		}
		ek_net_copy(ek_net_grad_in(s, op, 0), type, b * count, dx, EK_NN_FLOAT32, 0, count, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_pool = {
	.prepare = prepare_pool,
	.forward = forward_pool,
	.backward = backward_pool,
};

/* Scratch: one row. */
static int prepare_average(struct ek_net *net, struct ek_net_op *op)
{
	op->scratch = ek_net_channel_count(net, op->inputs[0]) * sizeof(float);
	return 0;
}

static int forward_average(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	float *out = ek_net_out(s, op, 0), *row = (float *)(void *)s->scratch;

	memset(out, 0, batch * n * sizeof *out);
	for (size_t i = 0; i < batch * rows; i++)
		ek_nn_vector()->accumulate(out + i / rows * n,
		                           ek_net_load_floats(ek_net_in(s, op, 0), type, i * n, n, row), n);
	ek_nn_vector()->scale(out, batch * n, 1 / (float)rows);
	return 0;
}

static int backward_average(struct ek_net_state *s, const struct ek_net_op *op)
{
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t n = ek_net_channel_count(s->net, op->inputs[0]), batch = (size_t)s->net->batch;
	const size_t rows = ek_net_rows(s->net, op->inputs[0]) / batch;
	const float *dy = ek_net_grad_out(s, op, 0);
	float *share = (float *)(void *)s->scratch;

	for (size_t i = 0; i < batch * rows; i++) {
		if (i % rows == 0) {
			memcpy(share, dy + i / rows * n, n * sizeof *share);
			ek_nn_vector()->scale(share, n, 1 / (float)rows);
		}
		ek_net_store_floats(ek_net_grad_in(s, op, 0), type, i * n, n, share, op->adds[0]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_average = {
	.prepare = prepare_average,
	.forward = forward_average,
	.backward = backward_average,
};
