/* Convolutions by oneDNN, images channels last. Weights are packed by load; the gradient of the weights comes in the
 * kernel's form and is turned back into the table's. */
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/ops/product_cpu.h"

struct layouts {
	struct ek_dnn_layout *x, *y, *any, *any_float, *table, *bias, *result;
};

static void layouts_free(struct layouts *l)
{
	ek_dnn_layout_free(l->x);
	ek_dnn_layout_free(l->y);
	ek_dnn_layout_free(l->any);
	ek_dnn_layout_free(l->any_float);
	ek_dnn_layout_free(l->table);
	ek_dnn_layout_free(l->bias);
	ek_dnn_layout_free(l->result);
}

/* Of `images` images. */
static int layouts_make(struct layouts *l, const struct ek_net *net, const struct ek_net_op *op, int images)
{
	const struct ek_net_conv *c = &op->of.conv;
	const int64_t g = c->groups, o = c->outputs, h = c->kernel[0], w = c->kernel[1];
	const int64_t i = (int64_t)ek_net_channel_count(net, op->inputs[0]) / g;
	const int64_t grouped[5] = { g, o / g, i, h, w }, plain[4] = { o, i, h, w };
	const int64_t *dims = g > 1 ? grouped : plain;
	const int rank = g > 1 ? 5 : 4;
	const enum ek_nn_type type = ek_net_in_type(net, op, 0);
	int rc;

	EK_TRY(ek_cpu_images(&l->x, net, op->inputs[0], type, images));
	EK_TRY(ek_cpu_images(&l->y, net, op->outputs[0], type, images));
	EK_TRY(ek_cpu_images(&l->result, net, op->outputs[0], ek_net_out_type(net, op, 0), images));
	EK_TRY(ek_dnn_layout_new(&l->any, type, rank, dims, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&l->any_float, EK_NN_FLOAT32, rank, dims, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&l->table, EK_NN_FLOAT32, rank, dims, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&l->bias, EK_NN_FLOAT32, 1, &o, EK_DNN_PLAIN));
out:
	return rc;
}

static size_t weight_count(const struct ek_net *net, const struct ek_net_op *op)
{
	const struct ek_net_conv *c = &op->of.conv;

	return (size_t)c->outputs * (ek_net_channel_count(net, op->inputs[0]) / (size_t)c->groups) *
	       (size_t)c->kernel[0] * (size_t)c->kernel[1];
}

static size_t result_size(const struct ek_net_op *op, int kernel)
{
	return ek_net_align(ek_dnn_layout_size(ek_dnn_kernel_layout(ek_cpu_kernels(op)[kernel], EK_DNN_RESULT)));
}

/* Scratch in backward: dy in the net's type; dx to be added; dW in the kernel's form. */
static void size_scratch(const struct ek_net *net, struct ek_net_op *op)
{
	const size_t size = ek_nn_type_size(ek_net_in_type(net, op, 0)), batch = (size_t)net->batch;

	op->scratch = ek_net_align(batch * ek_net_elements(net, op->outputs[0]) * size) +
	              ek_net_align(batch * ek_net_elements(net, op->inputs[0]) * size) +
	              result_size(op, EK_PRODUCT_WEIGHTS);
}

/* dW, and what turns it into the table's form. */
static int prepare_weights(struct ek_net_op *op, const struct layouts *l, int product, int unpack)
{
	const struct ek_net_conv *c = &op->of.conv;
	struct ek_dnn_kernel **kernels = ek_cpu_kernels(op);
	int rc;

	EK_TRY(ek_dnn_convolution_weights(&kernels[product], l->x, l->any_float, l->any, l->y, c->stride, c->pad));
	EK_TRY(ek_dnn_reorder(&kernels[unpack], ek_dnn_kernel_layout(kernels[product], EK_DNN_RESULT), l->table));
out:
	return rc;
}

/* More scratch: an image's dW in the kernel's form, and in the table's. */
static int prepare_images(const struct ek_net *net, struct ek_net_op *op)
{
	struct layouts l = { 0 };
	int rc;

	EK_TRY(layouts_make(&l, net, op, 1));
	EK_TRY(prepare_weights(op, &l, EK_PRODUCT_IMAGE, EK_PRODUCT_IMAGE_UNPACK));
	op->scratch += result_size(op, EK_PRODUCT_IMAGE) + op->counts[0] * sizeof(float);
out:
	layouts_free(&l);
	return rc;
}

static int prepare(struct ek_net *net, struct ek_net_op *op)
{
	const struct ek_net_conv *c = &op->of.conv;
	const struct ek_dnn_fusion fusion = { op->inputs[1] > 0, op->then };
	struct layouts l = { 0 };
	int rc;

	op->flops = 2.0 * (double)ek_net_rows(net, op->outputs[0]) * (double)weight_count(net, op);
	EK_TRY(layouts_make(&l, net, op, net->batch));
	EK_TRY(ek_dnn_convolution(&ek_cpu_kernels(op)[EK_PRODUCT_FORWARD], l.x, l.any,
	                          op->parameters[1] >= 0 ? l.bias : NULL, l.result, c->stride, c->pad, &fusion));
	EK_TRY(ek_dnn_reorder(&ek_cpu_kernels(op)[EK_PRODUCT_PACK_FORWARD], l.table,
	                      ek_dnn_kernel_layout(ek_cpu_kernels(op)[EK_PRODUCT_FORWARD], EK_DNN_WEIGHTS)));
	op->packed = ek_product_packed_size(op, EK_PRODUCT_FORWARD);
	if (!op->backward)
		goto out;
	if (op->wants[0]) {
		EK_TRY(ek_dnn_convolution_data(&ek_cpu_kernels(op)[EK_PRODUCT_DATA], l.x, l.any, l.y, c->stride,
		                               c->pad));
		EK_TRY(ek_dnn_reorder(&ek_cpu_kernels(op)[EK_PRODUCT_PACK_DATA], l.table,
		                      ek_dnn_kernel_layout(ek_cpu_kernels(op)[EK_PRODUCT_DATA], EK_DNN_WEIGHTS)));
		op->packed += ek_product_packed_size(op, EK_PRODUCT_DATA);
	}
	EK_TRY(prepare_weights(op, &l, EK_PRODUCT_WEIGHTS, EK_PRODUCT_UNPACK));
	size_scratch(net, op);
	if (net->mode == EK_NET_IMAGES)
		EK_TRY(prepare_images(net, op));
out:
	layouts_free(&l);
	return rc;
}

/* dW of x and dy by a kernel and what unpacks its result. */
static int take_weights(struct ek_net_state *s, const struct ek_net_op *op, int product, const void *x, const void *dy,
                        unsigned char *scratch, float *dw)
{
	struct ek_dnn_call *take = ek_cpu_calls(s, op)[product], *unpack = ek_cpu_calls(s, op)[product + 1];
	int rc;

	if (product == EK_PRODUCT_WEIGHTS)
		unpack = ek_cpu_calls(s, op)[EK_PRODUCT_UNPACK];
	ek_dnn_call_set(take, EK_DNN_SOURCE, ek_dnn_source(x));
	ek_dnn_call_set(take, EK_DNN_WEIGHTS, ek_dnn_source(dy));
	ek_dnn_call_set(take, EK_DNN_RESULT, scratch);
	EK_TRY(ek_dnn_call_run(take));
	ek_dnn_call_set(unpack, EK_DNN_SOURCE, scratch);
	ek_dnn_call_set(unpack, EK_DNN_RESULT, dw);
	EK_TRY(ek_dnn_call_run(unpack));
out:
	return rc;
}

/* dy in the type of the input: where it is, or in scratch. */
static const void *typed_gradient(const struct ek_net_state *s, const struct ek_net_op *op)
{
	const void *dy = ek_net_grad_out(s, op, 0);

	if (ek_net_out_type(s->net, op, 0) == ek_net_in_type(s->net, op, 0))
		return dy;
	ek_nn_vector()->bf16_from_float((ek_bf16 *)(void *)s->scratch, dy,
	                                (size_t)s->net->batch * ek_net_elements(s->net, op->outputs[0]));
	return s->scratch;
}

static int backward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *call = ek_cpu_calls(s, op)[EK_PRODUCT_DATA];
	const struct ek_net *net = s->net;
	const size_t ins = (size_t)net->batch * ek_net_elements(net, op->inputs[0]);
	const size_t outs = (size_t)net->batch * ek_net_elements(net, op->outputs[0]);
	const enum ek_nn_type type = ek_net_in_type(net, op, 0), given = ek_net_out_type(net, op, 0);
	const size_t size = ek_nn_type_size(type), n = ek_net_channel_count(net, op->outputs[0]);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_sum(s, op, 1);
	const void *dy = typed_gradient(s, op);
	unsigned char *free_space = s->scratch + ek_net_align(outs * size), *dx = free_space;
	int rc = 0;

	free_space += ek_net_align(ins * size);
	if (op->wants[0]) {
		ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(dy));
		ek_dnn_call_set(call, EK_DNN_WEIGHTS,
		                net->packed + op->packed_offset + ek_product_packed_size(op, EK_PRODUCT_FORWARD));
		ek_dnn_call_set(call, EK_DNN_RESULT, op->adds[0] ? (void *)dx : ek_net_grad_in(s, op, 0));
		EK_TRY(ek_dnn_call_run(call));
	}
	if (op->wants[0] && op->adds[0])
		ek_net_copy(ek_net_grad_in(s, op, 0), type, 0, dx, type, 0, ins, 1);
	if (dw != NULL)
		EK_TRY(take_weights(s, op, EK_PRODUCT_WEIGHTS, ek_net_in(s, op, 0), dy, free_space, dw));
	if (db != NULL)
		ek_net_add_rows(db, ek_net_grad_out(s, op, 0), given, outs / n, n);
out:
	return rc;
}

/* The gradient of the weights of an image, the sum over its draws. */
static int image_weights(struct ek_net_state *s, const struct ek_net_op *op, const unsigned char *dy, size_t image)
{
	const size_t size = ek_nn_type_size(ek_net_in_type(s->net, op, 0));
	const size_t in = ek_net_elements(s->net, op->inputs[0]) * size;
	const size_t out = ek_net_elements(s->net, op->outputs[0]) * size;
	const unsigned char *x = ek_net_in(s, op, 0);
	unsigned char *scratch = s->scratch + ek_net_align((size_t)s->net->batch * out);
	float *dw = ek_net_image_room(s, op, 0), *one = (float *)(void *)(scratch + result_size(op, EK_PRODUCT_IMAGE));
	int rc = 0;

	for (size_t i = image * s->together; i < (image + 1) * s->together; i++) {
		const int first = i == image * s->together;

		EK_TRY(take_weights(s, op, EK_PRODUCT_IMAGE, x + i * in, dy + i * out, scratch, first ? dw : one));
		if (!first)
			ek_nn_vector()->accumulate(dw, one, op->counts[0]);
	}
	ek_net_add_image(s, op, 0, image, dw, 0, op->counts[0]);
out:
	return rc;
}

static int images(struct ek_net_state *s, const struct ek_net_op *op)
{
	const int weight = ek_net_measures(s, op, 0);
	const void *dy = weight ? typed_gradient(s, op) : NULL;
	int rc = 0;

	for (size_t i = 0; i < s->images; i++) {
		if (weight)
			EK_TRY(image_weights(s, op, dy, i));
		ek_net_add_image_bias(s, op, i);
	}
out:
	return rc;
}

const struct ek_net_code ek_net_cpu_conv = {
	.prepare = prepare,
	.load = ek_product_load,
	.forward = ek_product_forward,
	.backward = backward,
	.images = images,
};
