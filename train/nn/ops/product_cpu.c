#include "train/nn/ops/product_cpu.h"

#include "rebalance/base/error.h"

size_t ek_product_packed_size(const struct ek_net_op *op, int kernel)
{
	return ek_net_align(ek_dnn_layout_size(ek_dnn_kernel_layout(ek_cpu_kernels(op)[kernel], EK_DNN_WEIGHTS)));
}

int ek_product_load(struct ek_net *net, struct ek_net_op *op)
{
	const float *weights = ek_net_loaded(net, op, 0);
	unsigned char *packed = net->packed + op->packed_offset;
	int rc;

	EK_TRY(ek_dnn_once(ek_cpu_kernels(op)[EK_PRODUCT_PACK_FORWARD], weights, NULL, packed, NULL));
	if (ek_cpu_kernels(op)[EK_PRODUCT_DATA] != NULL)
		EK_TRY(ek_dnn_once(ek_cpu_kernels(op)[EK_PRODUCT_PACK_DATA], weights, NULL,
		                   packed + ek_product_packed_size(op, EK_PRODUCT_FORWARD), NULL));
out:
	return rc;
}

int ek_product_forward(struct ek_net_state *s, const struct ek_net_op *op)
{
	struct ek_dnn_call *call = ek_cpu_calls(s, op)[EK_PRODUCT_FORWARD];

	ek_net_place_residual(s, op);
	ek_dnn_call_set(call, EK_DNN_SOURCE, ek_dnn_source(ek_net_in(s, op, 0)));
	ek_dnn_call_set(call, EK_DNN_WEIGHTS, s->net->packed + op->packed_offset);
	if (op->parameters[1] >= 0)
		ek_dnn_call_set(call, EK_DNN_BIAS, ek_dnn_source(ek_net_parameter(s, op, 1)));
	ek_dnn_call_set(call, EK_DNN_RESULT, ek_net_out(s, op, 0));
	return ek_dnn_call_run(call);
}
