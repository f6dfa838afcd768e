#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

/* Weights and bias with the batch norm folded in, in double: W·s and (bias - mean)·s + beta,
 * s = gamma / sqrt(variance + epsilon). */
static int fold(float **weight, float **bias, const struct ek_nn_conv *c, size_t per_output)
{
	const struct ek_nn_batch_norm *n = &c->norm;
	const size_t outputs = (size_t)c->out_channels;
	int rc;

	EK_TRY(ek_alloc(weight, outputs * per_output, sizeof **weight));
	EK_TRY(ek_alloc(bias, outputs, sizeof **bias));
	for (size_t o = 0; o < outputs; o++) {
		double s = 1, b = c->bias != NULL ? (double)c->bias[o] : 0;

		if (n->mean != NULL) {
			s = (n->gamma != NULL ? (double)n->gamma[o] : 1) / sqrt((double)n->variance[o] + n->epsilon);
			b = (b - (double)n->mean[o]) * s + (n->beta != NULL ? (double)n->beta[o] : 0);
		}
		(*bias)[o] = (float)b;
		for (size_t i = 0; i < per_output; i++)
			(*weight)[o * per_output + i] = (float)((double)c->weight[o * per_output + i] * s);
	}
out:
	return rc;
}

static enum ek_nn_type type_of(const struct ek_nn_graph *g, const struct ek_nn_conv *c)
{
	return c->float32 ? EK_NN_FLOAT32 : g->type;
}

/* Layouts for the kernel: x and result as it likes, except a result added onto a residual. */
struct layouts {
	struct ek_dnn_layout *x, *weights, *weights_given, *bias, *result;
};

static int layouts_init(struct layouts *l, struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_conv *c = &layer->of.conv;
	const int grouped = c->groups > 1, in = g->values[layer->inputs[0]].shape.channels / c->groups;
	const int64_t dims[5] = { c->groups, c->out_channels / c->groups, in, c->kernel[0], c->kernel[1] };
	const int64_t outputs = c->out_channels;
	const enum ek_nn_type type = type_of(g, c);
	int rc;

	EK_TRY(ek_nn_value_layout(&l->x, g, layer->inputs[0], type, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&l->weights, type, 4 + grouped, dims + 1 - grouped, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&l->weights_given, EK_NN_FLOAT32, 4 + grouped, dims + 1 - grouped, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&l->bias, EK_NN_FLOAT32, 1, &outputs, EK_DNN_PLAIN));
	if (layer->residual > 0 && g->values[layer->residual].type == type)
		EK_TRY(ek_dnn_layout_copy(&l->result, g->values[layer->residual].layout));
	else
		EK_TRY(ek_nn_value_layout(&l->result, g, layer->output, type, EK_DNN_ANY));
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

int ek_nn_plan_conv(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_conv *c = &layer->of.conv;
	const struct ek_dnn_fusion fusion = { layer->residual > 0, c->activation };
	const size_t per_output = (size_t)(g->values[layer->inputs[0]].shape.channels / c->groups) *
	                          (size_t)c->kernel[0] * (size_t)c->kernel[1];
	struct ek_nn_step step = { .input_count = 1, .output = layer->output };
	struct layouts l = { 0 };
	float *weight = NULL, *bias = NULL;
	int rc, added = 0;

	EK_TRY(layouts_init(&l, g, layer));
	EK_TRY(ek_dnn_convolution(&step.kernels[0], l.x, l.weights, l.bias, l.result, c->stride, c->pad, &fusion));
	EK_TRY(fold(&weight, &bias, c, per_output));
	EK_TRY(ek_nn_pack(&step.weights, g, weight, l.weights_given, step.kernels[0], EK_DNN_WEIGHTS));
	EK_TRY(ek_nn_pack(&step.bias, g, bias, l.bias, step.kernels[0], EK_DNN_BIAS));
	EK_TRY(ek_nn_convert(&step.inputs[0], g, layer->inputs[0], type_of(g, c),
	                     ek_dnn_kernel_layout(step.kernels[0], EK_DNN_SOURCE)));
	EK_TRY(ek_nn_value_settle(g, layer->output, type_of(g, c),
	                          ek_dnn_kernel_layout(step.kernels[0], EK_DNN_RESULT)));
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
