#include <math.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

enum { DEPTHWISE_MAX = 64 }; /* weights of a filter */

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

/* Round the filters of a depthwise convolution to bf16, each weight with what the larger ones before it lost, so that
 * a filter's sum stays: over smooth images its result depends on that most, and the weights of one filter are too few
 * for their errors to cancel. */
static void round_filters(float *weight, size_t outputs, size_t per_output)
{
	for (float *w = weight; w < weight + outputs * per_output; w += per_output) {
		uint8_t done[DEPTHWISE_MAX] = { 0 };
		double lost = 0;

		for (size_t i = 0; i < per_output; i++) {
			size_t largest = per_output;
			ek_bf16 rounded;
			float value;

			for (size_t j = 0; j < per_output; j++)
				if (!done[j] && (largest == per_output || fabsf(w[j]) > fabsf(w[largest])))
					largest = j;
			done[largest] = 1;
			lost += (double)w[largest];
			value = (float)lost;
			ek_bf16_from_float(&rounded, &value, 1);
			ek_bf16_to_float(&w[largest], &rounded, 1);
			lost -= (double)w[largest];
		}
	}
}

/* Add to the biases what rounding the weights to bf16 takes from the results of the mean input. `inputs`: channels of a
 * group. */
static void correct_biases(float *bias, const float *weight, const struct ek_nn_conv *c, size_t inputs,
                           size_t per_output)
{
	const size_t outputs = (size_t)c->out_channels, window = per_output / inputs;

	for (size_t o = 0; o < outputs; o++) {
		const float *w = weight + o * per_output;
		const float *mean = c->input_mean + o / (outputs / (size_t)c->groups) * inputs;
		double lost = 0;

		for (size_t i = 0; i < per_output; i++) {
			float value;
			ek_bf16 rounded;

			ek_bf16_from_float(&rounded, &w[i], 1);
			ek_bf16_to_float(&value, &rounded, 1);
			lost += ((double)w[i] - (double)value) * (double)mean[i / window];
		}
		bias[o] = (float)((double)bias[o] + lost);
	}
}

/* The kernel takes x and result as it likes, except a result added onto a residual. */
static int layouts_init(struct ek_nn_product *p, struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_conv *c = &layer->of.conv;
	const int grouped = c->groups > 1, in = g->values[layer->inputs[0]].shape.channels / c->groups;
	const int64_t dims[5] = { c->groups, c->out_channels / c->groups, in, c->kernel[0], c->kernel[1] };
	const int64_t outputs = c->out_channels;
	int rc;

	EK_TRY(ek_nn_value_layout(&p->x, g, layer->inputs[0], p->type, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&p->weights, p->type, 4 + grouped, dims + 1 - grouped, EK_DNN_ANY));
	EK_TRY(ek_dnn_layout_new(&p->weights_given, EK_NN_FLOAT32, 4 + grouped, dims + 1 - grouped, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&p->bias, EK_NN_FLOAT32, 1, &outputs, EK_DNN_PLAIN));
	if (layer->residual > 0 && g->values[layer->residual].type == p->type)
		EK_TRY(ek_dnn_layout_copy(&p->result, g->values[layer->residual].layout));
	else
		EK_TRY(ek_nn_value_layout(&p->result, g, layer->output, p->type, EK_DNN_ANY));
out:
	return rc;
}

int ek_nn_plan_conv(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_conv *c = &layer->of.conv;
	const struct ek_dnn_fusion fusion = { layer->residual > 0, c->activation };
	const size_t inputs = (size_t)(g->values[layer->inputs[0]].shape.channels / c->groups);
	const size_t per_output = inputs * (size_t)c->kernel[0] * (size_t)c->kernel[1];
	const enum ek_nn_type type = c->float32 ? EK_NN_FLOAT32 : g->type;
	struct ek_nn_product p = { .operand_type = type, .type = type };
	int rc;

	EK_TRY(layouts_init(&p, g, layer));
	EK_TRY(fold(&p.weight_values, &p.bias_values, c, per_output));
	if (type == EK_NN_BFLOAT16 && c->groups == c->out_channels && per_output <= DEPTHWISE_MAX)
		round_filters(p.weight_values, (size_t)c->out_channels, per_output);
	if (type == EK_NN_BFLOAT16 && c->input_mean != NULL)
		correct_biases(p.bias_values, p.weight_values, c, inputs, per_output);
	EK_TRY(ek_dnn_convolution(&p.kernel, p.x, p.weights, p.bias, p.result, c->stride, c->pad, &fusion));
	EK_TRY(ek_nn_product_add(g, layer, &p));
out:
	ek_nn_product_release(&p);
	return rc;
}
