#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

/* Parts stacked, and the scale folded in. weight [out, in], bias [out]. */
static int fold(float **weight, float **bias, const struct ek_nn_linear *l, size_t in)
{
	const size_t outputs = (size_t)l->out_features;
	size_t parts = 0, each;
	int rc;

	while (parts < EK_NN_LINEAR_PARTS && l->weight[parts] != NULL)
		parts++;
	each = outputs / parts;
	EK_TRY(ek_alloc(weight, outputs * in, sizeof **weight));
	EK_TRY(ek_alloc(bias, outputs, sizeof **bias));
	for (size_t o = 0; o < outputs; o++) {
		const float *w = l->weight[o / each] + o % each * in, *b = l->bias[o / each];
		const float scale = l->scale != NULL ? l->scale[o] : 1;

		(*bias)[o] = b != NULL ? b[o % each] * scale : 0;
		for (size_t i = 0; i < in; i++)
			(*weight)[o * in + i] = w[i] * scale;
	}
out:
	return rc;
}

struct layouts {
	struct ek_dnn_layout *x, *weights, *weights_given, *bias, *result;
};

static int layouts_init(struct layouts *l, struct ek_nn_graph *g, const struct ek_nn_layer *layer, enum ek_nn_type type)
{
	const int64_t in = g->values[layer->inputs[0]].shape.features, outputs = layer->of.linear.out_features;
	const int64_t dims[2] = { in, outputs }, transposed[2] = { 1, in }, row[2] = { 1, outputs };
	int rc;

	EK_TRY(ek_nn_value_layout(&l->x, g, layer->inputs[0], g->type, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&l->weights, g->type, 2, dims, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_strided(&l->weights_given, EK_NN_FLOAT32, 2, dims, transposed));
	EK_TRY(ek_dnn_layout_new(&l->bias, EK_NN_FLOAT32, 2, row, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_layout(&l->result, g, layer->output, type, EK_DNN_PLAIN));
out:
	return rc;
}

static void layouts_release(struct layouts *l)
{
	ek_dnn_layout_free(l->x);
	ek_dnn_layout_free(l->weights);
	ek_dnn_layout_free(l->weights_given);
	ek_dnn_layout_free(l->bias);
	ek_dnn_layout_free(l->result);
}

int ek_nn_plan_linear(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_linear *linear = &layer->of.linear;
	const struct ek_dnn_fusion fusion = { layer->residual > 0, linear->activation };
	/* The stream that residuals add to stays in float32: bf16 would lose the small updates. */
	const int wide = layer->residual > 0 || g->values[layer->output].wants_float;
	const enum ek_nn_type type = wide ? EK_NN_FLOAT32 : g->type;
	struct ek_nn_step step = { .input_count = 1, .output = layer->output };
	struct layouts l = { 0 };
	float *weight = NULL, *bias = NULL;
	int rc, added = 0;

	EK_TRY(layouts_init(&l, g, layer, type));
	EK_TRY(ek_dnn_matmul(&step.kernels[0], l.x, l.weights, l.bias, l.result, &fusion));
	EK_TRY(fold(&weight, &bias, linear, (size_t)g->values[layer->inputs[0]].shape.features));
	EK_TRY(ek_nn_pack(&step.weights, g, weight, l.weights_given, step.kernels[0], EK_DNN_WEIGHTS));
	EK_TRY(ek_nn_pack(&step.bias, g, bias, l.bias, step.kernels[0], EK_DNN_BIAS));
	EK_TRY(ek_nn_convert(&step.inputs[0], g, layer->inputs[0], g->type, l.x));
	EK_TRY(ek_nn_value_settle(g, layer->output, type, l.result));
	if (layer->residual > 0)
		EK_TRY(ek_nn_share_residual(g, layer->output, layer->residual));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	layouts_release(&l);
	free(weight);
	free(bias);
	return rc;
}
