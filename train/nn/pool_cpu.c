#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_plan_pool(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_pool *p = &layer->of.pool;
	const int x = layer->inputs[0];
	struct ek_nn_step step = { .inputs = { x }, .input_count = 1, .output = layer->output };
	struct ek_dnn_layout *result = NULL;
	int rc;

	/* In the layout that x has: pooling is bound by memory, a change of layout would double its cost. */
	EK_TRY(ek_nn_value_layout(&result, g, layer->output, g->values[x].type, EK_DNN_ANY));
	EK_TRY(ek_dnn_pooling(&step.kernels[0], (int)p->kind, g->values[x].layout, result, p->kernel, p->stride,
	                      p->pad));
	if ((rc = ek_nn_value_settle(g, layer->output, g->values[x].type,
	                             ek_dnn_kernel_layout(step.kernels[0], EK_DNN_RESULT))) < 0)
		ek_nn_step_release(&step);
	else
		rc = ek_nn_step_add(g, &step);
out:
	ek_dnn_layout_free(result);
	return rc;
}

/* The mean over the pixels of [batch, pixels, channels], which is the mean over tokens. */
int ek_nn_plan_global_average(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_shape in = g->values[layer->inputs[0]].shape;
	struct ek_nn_step step = { .input_count = 1, .output = layer->output, .run = ek_nn_run_mean };
	int rc;

	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], EK_NN_FLOAT32, EK_DNN_CHANNELS_LAST));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, EK_NN_FLOAT32, EK_DNN_PLAIN));
	step.numbers[1] = step.numbers[2] = in.height * in.width;
	step.numbers[3] = in.channels;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	return rc;
}
