#include <stdlib.h>

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_product_add(struct ek_nn_graph *g, const struct ek_nn_layer *layer, struct ek_nn_product *p)
{
	struct ek_nn_step step = { .kernels = { p->kernel }, .input_count = 1, .output = layer->output };
	int rc, added = 0;

	p->kernel = NULL;
	EK_TRY(ek_nn_pack(&step.weights, g, p->weight_values, p->weights_given, step.kernels[0], EK_DNN_WEIGHTS));
	EK_TRY(ek_nn_pack(&step.bias, g, p->bias_values, p->bias, step.kernels[0], EK_DNN_BIAS));
	EK_TRY(ek_nn_convert(&step.inputs[0], g, layer->inputs[0], p->operand_type,
	                     ek_dnn_kernel_layout(step.kernels[0], EK_DNN_SOURCE)));
	EK_TRY(ek_nn_value_settle(g, layer->output, p->type, ek_dnn_kernel_layout(step.kernels[0], EK_DNN_RESULT)));
	if (layer->residual > 0)
		EK_TRY(ek_nn_share_residual(g, layer->output, layer->residual));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}

void ek_nn_product_release(struct ek_nn_product *p)
{
	ek_dnn_layout_free(p->x);
	ek_dnn_layout_free(p->weights);
	ek_dnn_layout_free(p->weights_given);
	ek_dnn_layout_free(p->bias);
	ek_dnn_layout_free(p->result);
	ek_dnn_kernel_free(p->kernel);
	free(p->weight_values);
	free(p->bias_values);
}
