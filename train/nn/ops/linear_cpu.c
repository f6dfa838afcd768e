#include "rebalance/base/error.h"
#include "train/nn/ops/product_cpu.h"

/* y [r, o] = x [r, i] · W^T; dx = dy · W; dW [o, i] = dy^T · x. W is packed for the first two as the kernels like it:
 * once a step, where they would do so for each slice. */
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

static int product(struct ek_dnn_kernel **out, struct ek_dnn_layout **l, int bias, int add, enum ek_nn_activation then)
{
	return ek_dnn_matmul(out, l[0], l[1], bias ? l[3] : NULL, l[2], &(struct ek_dnn_fusion){ add, then });
}

static void free_all(struct ek_dnn_layout **l)
{
	for (int i = 0; i < 4; i++) {
		ek_dnn_layout_free(l[i]);
		l[i] = NULL;
	}
}

/* A product whose second operand is W or, `turned`, W^T, packed; and the kernel that packs it. */
static int packed_product(const struct ek_net *net, struct ek_net_op *op, int kernel, int pack,
                          struct ek_dnn_layout **l, const struct shapes *s, int bias, int add, int turned)
{
	const int64_t dims[2] = { turned ? s->inputs : s->outputs, turned ? s->outputs : s->inputs };
	struct ek_dnn_layout *table = NULL;
	int rc;

	EK_TRY(ek_dnn_layout_new(&l[1], ek_net_in_type(net, op, 0), 2, dims, EK_DNN_ANY));
	EK_TRY(product(&ek_cpu_kernels(op)[kernel], l, bias, add, op->then));
	EK_TRY(matrix(&table, EK_NN_FLOAT32, dims[0], dims[1], turned));
	EK_TRY(ek_dnn_reorder(&ek_cpu_kernels(op)[pack], table,
	                      ek_dnn_kernel_layout(ek_cpu_kernels(op)[kernel], EK_DNN_WEIGHTS)));
out:
	ek_dnn_layout_free(table);
	return rc;
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct shapes s = shapes_of(net, op);
	const enum ek_nn_type type = ek_net_in_type(net, op, 0), result = ek_net_out_type(net, op, 0);
	struct ek_dnn_layout *l[4] = { 0 };
	int rc;

	op->flops = 2.0 * (double)s.rows * (double)s.inputs * (double)s.outputs;
	EK_TRY(matrix(&l[0], type, s.rows, s.inputs, 0));
	EK_TRY(matrix(&l[2], result, s.rows, s.outputs, 0));
	EK_TRY(matrix(&l[3], EK_NN_FLOAT32, 1, s.outputs, 0));
	EK_TRY(packed_product(net, op, EK_PRODUCT_FORWARD, EK_PRODUCT_PACK_FORWARD, l, &s, op->parameters[1] >= 0,
	                      op->inputs[1] > 0, 1));
	op->packed = ek_product_packed_size(op, EK_PRODUCT_FORWARD);
	if (!op->backward)
		goto out;
	if (result != type)
		op->scratch = (size_t)(s.rows * s.outputs) * ek_nn_type_size(type);
	if (op->wants[0]) {
		free_all(l);
		EK_TRY(matrix(&l[0], type, s.rows, s.outputs, 0));
		EK_TRY(matrix(&l[2], type, s.rows, s.inputs, 0));
		EK_TRY(packed_product(net, op, EK_PRODUCT_DATA, EK_PRODUCT_PACK_DATA, l, &s, 0, op->adds[0], 0));
		op->packed += ek_product_packed_size(op, EK_PRODUCT_DATA);
	}
	free_all(l);
	EK_TRY(matrix(&l[0], type, s.outputs, s.rows, 1));
	EK_TRY(matrix(&l[1], type, s.rows, s.inputs, 0));
	EK_TRY(matrix(&l[2], EK_NN_FLOAT32, s.outputs, s.inputs, 0));
	EK_TRY(product(&ek_cpu_kernels(op)[EK_PRODUCT_WEIGHTS], l, 0, 0, EK_NN_LINEAR));
out:
	free_all(l);
	return rc;
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *const *calls = ek_cpu_calls(s, op);
	const struct shapes d = shapes_of(s->net, op);
	const size_t count = (size_t)(d.rows * d.outputs);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0), given = ek_net_out_type(s->net, op, 0);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_sum(s, op, 1);
	const void *dy = ek_net_grad_out(s, op, 0);
	int rc = 0;

	if (given != type) {
		ek_nn_vector()->bf16_from_float((ek_bf16 *)(void *)s->scratch, dy, count);
		dy = s->scratch;
	}
	if (op->wants[0]) {
		ek_dnn_call_set(calls[EK_PRODUCT_DATA], EK_DNN_SOURCE, ek_dnn_source(dy));
		ek_dnn_call_set(calls[EK_PRODUCT_DATA], EK_DNN_WEIGHTS,
		                s->net->packed + op->packed_offset + ek_product_packed_size(op, EK_PRODUCT_FORWARD));
		ek_dnn_call_set(calls[EK_PRODUCT_DATA], EK_DNN_RESULT, ek_net_grad_in(s, op, 0));
		EK_TRY(ek_dnn_call_run(calls[EK_PRODUCT_DATA]));
	}
	if (dw != NULL) {
		ek_dnn_call_set(calls[EK_PRODUCT_WEIGHTS], EK_DNN_SOURCE, ek_dnn_source(dy));
		ek_dnn_call_set(calls[EK_PRODUCT_WEIGHTS], EK_DNN_WEIGHTS, ek_dnn_source(ek_net_in(s, op, 0)));
		ek_dnn_call_set(calls[EK_PRODUCT_WEIGHTS], EK_DNN_RESULT, dw);
		EK_TRY(ek_dnn_call_run(calls[EK_PRODUCT_WEIGHTS]));
	}
	if (db != NULL)
		ek_net_add_rows(db, ek_net_grad_out(s, op, 0), given, (size_t)d.rows, (size_t)d.outputs);
out:
	return rc;
}

const struct ek_net_code ek_net_cpu_linear = {
	.prepare = prepare,
	.load = ek_product_load,
	.forward = ek_product_forward,
	.backward = backward,
};
