#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

/* y [r, o] = x [r, i] · W^T; dx = dy · W; dW [o, i] += dy^T · x. Weights lie as the table has them: on the processors
 * seen, dense bf16 operands are as fast as packed ones. */
enum { FORWARD, DATA, WEIGHTS };

struct shapes {
	int64_t rows, inputs, outputs;
};

static struct shapes shapes_of(const struct ek_net *net, const struct ek_net_op *op)
{
	return (struct shapes){ (int64_t)ek_net_rows(net, op->inputs[0]),
		                (int64_t)ek_net_channel_count(net, op->inputs[0]), op->of.linear.outputs };
}

/* A matrix [rows, columns], or the transpose of one that lies as [columns, rows]. */
static int matrix(struct ek_dnn_layout **out, enum ek_nn_type type, int64_t rows, int64_t columns, int transposed)
{
	const int64_t dims[2] = { rows, columns }, turned[2] = { 1, rows };

	return transposed ? ek_dnn_layout_strided(out, type, 2, dims, turned)
	                  : ek_dnn_layout_new(out, type, 2, dims, EK_DNN_PLAIN);
}

static int product(struct ek_dnn_kernel **out, struct ek_dnn_layout **l, int bias, int add)
{
	return ek_dnn_matmul(out, l[0], l[1], bias ? l[3] : NULL, l[2], &(struct ek_dnn_fusion){ .add_result = add });
}

static void free_all(struct ek_dnn_layout **l)
{
	for (int i = 0; i < 4; i++) {
		ek_dnn_layout_free(l[i]);
		l[i] = NULL;
	}
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct shapes s = shapes_of(net, op);
	const enum ek_nn_type type = net->type, result = ek_net_out_type(net, op, 0);
	struct ek_dnn_layout *l[4] = { 0 };
	int rc;

	op->flops = 2.0 * (double)s.rows * (double)s.inputs * (double)s.outputs;
	EK_TRY(matrix(&l[0], type, s.rows, s.inputs, 0));
	EK_TRY(matrix(&l[1], type, s.inputs, s.outputs, 1));
	EK_TRY(matrix(&l[2], result, s.rows, s.outputs, 0));
	EK_TRY(matrix(&l[3], EK_NN_FLOAT32, 1, s.outputs, 0));
	EK_TRY(product(&op->kernels[FORWARD], l, op->parameters[1] >= 0, 0));
	if (!op->backward)
		goto out;
	if (result != type)
		op->scratch = (size_t)(s.rows * s.outputs) * ek_nn_type_size(type);
	if (op->wants[0]) {
		free_all(l);
		EK_TRY(matrix(&l[0], type, s.rows, s.outputs, 0));
		EK_TRY(matrix(&l[1], type, s.outputs, s.inputs, 0));
		EK_TRY(matrix(&l[2], type, s.rows, s.inputs, 0));
		EK_TRY(product(&op->kernels[DATA], l, 0, op->adds[0]));
	}
	free_all(l);
	EK_TRY(matrix(&l[0], type, s.outputs, s.rows, 1));
	EK_TRY(matrix(&l[1], type, s.rows, s.inputs, 0));
	EK_TRY(matrix(&l[2], EK_NN_FLOAT32, s.outputs, s.inputs, 0));
	EK_TRY(product(&op->kernels[WEIGHTS], l, 0, 1));
out:
	free_all(l);
	return rc;
}

static void *weights(const struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t offset = s->net->params->items[op->parameters[0]].offset;

	return s->net->type == EK_NN_BFLOAT16 ? (void *)(s->net->loaded_bf16 + offset)
	                                      : ek_dnn_source(s->net->loaded + offset);
}

static int forward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *call = ek_net_calls(s, op)[FORWARD];

	ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(ek_net_in(s, op, 0)));
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, weights(s, op));
	if (op->parameters[1] >= 0)
		ek_dnn_call_set(call, EK_DNN_BIAS, ek_dnn_source(ek_net_parameter(s, op, 1)));
	ek_dnn_call_set(call, EK_DNN_RESULT, ek_net_out(s, op, 0));
	return ek_dnn_call_run(call);
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *const *calls = ek_net_calls(s, op);
	const struct shapes d = shapes_of(s->net, op);
	const size_t count = (size_t)(d.rows * d.outputs);
	const enum ek_nn_type type = s->net->type, given = ek_net_out_type(s->net, op, 0);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_gradient(s, op, 1);
	const void *dy = ek_net_grad_out(s, op, 0);
	int rc = 0;

	if (given != type) {
		ek_nn_vector()->bf16_from_float((ek_bf16 *)(void *)s->scratch, dy, count);
		dy = s->scratch;
	}
	if (op->wants[0]) {
		ek_dnn_call_set(calls[DATA], EK_DNN_SOURCE, ek_dnn_source(dy));
		ek_dnn_call_set(calls[DATA], EK_DNN_WEIGHTS, weights(s, op));
		ek_dnn_call_set(calls[DATA], EK_DNN_RESULT, ek_net_grad_in(s, op, 0));
		EK_TRY(ek_dnn_call_run(calls[DATA]));
	}
	if (dw != NULL) {
		ek_dnn_call_set(calls[WEIGHTS], EK_DNN_SOURCE, ek_dnn_source(dy));
		ek_dnn_call_set(calls[WEIGHTS], EK_DNN_WEIGHTS, ek_dnn_source(ek_net_in(s, op, 0)));
		ek_dnn_call_set(calls[WEIGHTS], EK_DNN_RESULT, dw);
		EK_TRY(ek_dnn_call_run(calls[WEIGHTS]));
	}
	if (db != NULL)
		ek_net_add_rows(db, ek_net_grad_out(s, op, 0), given, (size_t)d.rows, (size_t)d.outputs);
out:
	return rc;
}

const struct ek_net_code ek_net_cpu_linear = {
	.name = "linear",
	.needs_inputs = 1,
	.prepare = prepare,
	.forward = forward,
	.backward = backward,
};
