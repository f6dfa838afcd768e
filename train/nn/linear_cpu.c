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

static int layouts_init(struct ek_nn_product *p, struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const int64_t in = g->values[layer->inputs[0]].shape.features, outputs = layer->of.linear.out_features;
	const int64_t dims[2] = { in, outputs }, transposed[2] = { 1, in }, row[2] = { 1, outputs };
	int rc;

	EK_TRY(ek_nn_value_layout(&p->x, g, layer->inputs[0], p->operand_type, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&p->weights, p->operand_type, 2, dims, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_strided(&p->weights_given, EK_NN_FLOAT32, 2, dims, transposed));
	EK_TRY(ek_dnn_layout_new(&p->bias, EK_NN_FLOAT32, 2, row, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_layout(&p->result, g, layer->output, p->type, EK_DNN_PLAIN));
out:
	return rc;
}

int ek_nn_plan_linear(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_linear *linear = &layer->of.linear;
	const struct ek_dnn_fusion fusion = { layer->residual > 0, linear->activation };
	/* The stream that residuals add to stays in float32: bf16 would lose the small updates. */
	const int wide = layer->residual > 0 || g->values[layer->output].wants_float;
	struct ek_nn_product p = { .operand_type = g->type, .type = wide ? EK_NN_FLOAT32 : g->type };
	int rc;

	EK_TRY(layouts_init(&p, g, layer));
	EK_TRY(fold(&p.weight_values, &p.bias_values, linear, (size_t)g->values[layer->inputs[0]].shape.features));
	EK_TRY(ek_dnn_matmul(&p.kernel, p.x, p.weights, p.bias, p.result, &fusion));
	EK_TRY(ek_nn_product_add(g, layer, &p));
out:
	ek_nn_product_release(&p);
	return rc;
}
