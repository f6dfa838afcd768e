#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_plan_concat(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const int tokens = g->values[layer->output].shape.tokens > 0;
	const enum ek_nn_type type = tokens ? EK_NN_FLOAT32 : g->type;
	struct ek_nn_step step = { .input_count = layer->input_count, .output = layer->output };
	const struct ek_dnn_layout *sources[EK_NN_CONCAT_MAX];
	struct ek_dnn_layout *result = NULL;
	int rc, added = 0;

	for (int i = 0; i < layer->input_count; i++) {
		const int x = layer->inputs[i];

		step.inputs[i] = x;
		if (g->values[x].type != type)
			EK_TRY(ek_nn_convert_order(&step.inputs[i], g, x, type,
			                           tokens ? EK_DNN_PLAIN : EK_DNN_CHANNELS_LAST));
		sources[i] = g->values[step.inputs[i]].layout;
	}
	EK_TRY(ek_nn_value_layout(&result, g, layer->output, type, tokens ? EK_DNN_PLAIN : EK_DNN_ANY));
	EK_TRY(ek_dnn_concat(&step.kernels[0], sources, layer->input_count, 1, result));
	EK_TRY(ek_nn_value_settle(g, layer->output, type, ek_dnn_kernel_layout(step.kernels[0], EK_DNN_RESULT)));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	ek_dnn_layout_free(result);
	return rc;
}
