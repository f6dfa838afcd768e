#include "train/nets/efficientnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/bf16.h"

enum { CHANNELS = 3, STEM = 32, HEAD = 1280, WINDOW_MAX = 25, NAME_SIZE = 64 };

static const double epsilon = 1e-3; /* of the batch norms */

static const struct stage {
	int repeats, kernel, stride, expand, in, out;
} stages[EK_EFFICIENTNET_STAGES] = {
	{ 1, 3, 1, 1, 32, 16 },  { 2, 3, 2, 6, 16, 24 },   { 2, 5, 2, 6, 24, 40 },   { 3, 3, 2, 6, 40, 80 },
	{ 3, 5, 1, 6, 80, 112 }, { 4, 5, 2, 6, 112, 192 }, { 1, 3, 1, 6, 192, 320 },
};

/* A convolution and the batch norm after it. */
struct part {
	const char *conv, *norm;
	int block; /* number; -1: the stem, or the head */
	int in, out, kernel, stride, groups;
	enum ek_nn_activation activation;
	int back;  /* the input of the part so many parts before is added to the result; 0: none */
	int stage; /* the result is that of this stage, counted from 1; 0: of none */
};

static struct part part(const char *conv, const char *norm, int block, int in, int out)
{
	return (struct part){ .conv = conv,
		              .norm = norm,
		              .block = block,
		              .in = in,
		              .out = out,
		              .kernel = 1,
		              .stride = 1,
		              .groups = 1,
		              .activation = EK_NN_RELU6 };
}

/* An inverted bottleneck; the number of its parts. */
static int list_block(struct part *parts, const struct stage *s, int block, int first)
{
	const int in = first ? s->in : s->out, wide = in * s->expand;
	int count = 0;

	if (wide > in)
		parts[count++] = part("_expand_conv", "_bn0", block, in, wide);
	parts[count] = part("_depthwise_conv", "_bn1", block, wide, wide);
	parts[count].kernel = s->kernel;
	parts[count].stride = first ? s->stride : 1;
	parts[count++].groups = wide;
	parts[count] = part("_project_conv", "_bn2", block, wide, s->out);
	parts[count].activation = EK_NN_LINEAR;
	parts[count].back = (!first || s->stride == 1) && in == s->out ? count : 0;
	return count + 1;
}

/* The parts of the first stages, in order; their number. */
static int list_parts(struct part parts[EK_EFFICIENTNET_PARTS], int stage_count)
{
	int count = 1, block = 0;

	parts[0] = part("_conv_stem", "_bn0", -1, CHANNELS, STEM);
	parts[0].kernel = 3;
	parts[0].stride = 2;
	for (int s = 0; s < stage_count; s++) {
		for (int i = 0; i < stages[s].repeats; i++)
			count += list_block(parts + count, &stages[s], block++, i == 0);
		parts[count - 1].stage = s + 1;
	}
	if (stage_count == EK_EFFICIENTNET_STAGES)
		parts[count++] = part("_conv_head", "_bn1", -1, stages[EK_EFFICIENTNET_STAGES - 1].out, HEAD);
	return count;
}

static int is_exact(const struct ek_efficientnet *e, const struct part *p, int number)
{
	return e->exact > 0 && (number == 0 || (p->block >= 0 && p->block < e->exact));
}

static float to_bf16(float value)
{
	ek_bf16 rounded;

	ek_bf16_from_float(&rounded, &value, 1);
	ek_bf16_to_float(&value, &rounded, 1);
	return value;
}

/* Round the filters of a depthwise convolution to bf16, each weight with what the larger ones before it lost, so that
 * a filter's sum stays: over smooth images its result depends on that most, and the weights of one filter are too few
 * for their errors to cancel. */
static void round_filters(float *weights, size_t outputs, size_t window)
{
	for (float *w = weights; w < weights + outputs * window; w += window) {
		uint8_t done[WINDOW_MAX] = { 0 };
		double lost = 0;

		for (size_t i = 0; i < window; i++) {
			size_t largest = window;

			for (size_t j = 0; j < window; j++)
				if (!done[j] && (largest == window || fabsf(w[j]) > fabsf(w[largest])))
					largest = j;
			done[largest] = 1;
			lost += (double)w[largest];
			w[largest] = to_bf16((float)lost);
			lost -= (double)w[largest];
		}
	}
}

/* Add to the biases what rounding the weights to bf16 takes from the results of the mean input [in]. */
static int correct_biases(float *biases, const float *weights, const float *mean, const struct part *p)
{
	const size_t outputs = (size_t)p->out, groups = (size_t)p->groups, inputs = (size_t)p->in / groups;
	const size_t area = (size_t)(p->kernel * p->kernel), window = inputs * area, count = outputs * window;
	ek_bf16 *rounded = NULL;
	float *seen = NULL;
	int rc;

	EK_TRY(ek_alloc(&rounded, count, sizeof *rounded));
	EK_TRY(ek_alloc(&seen, count, sizeof *seen));
	ek_bf16_from_float(rounded, weights, count);
	ek_bf16_to_float(seen, rounded, count);
	for (size_t o = 0; o < outputs; o++) {
		const float *w = weights + o * window, *r = seen + o * window,
			    *x = mean + o / (outputs / groups) * inputs;
		double lost = 0;

		for (size_t i = 0; i < inputs; i++)
			for (size_t j = i * area; j < (i + 1) * area; j++)
				lost += ((double)w[j] - (double)r[j]) * (double)x[i];
		biases[o] = (float)((double)biases[o] + lost);
	}
out:
	free(rounded);
	free(seen);
	return rc;
}

/* E max(x, 0), x normal. */
static double rectified_mean(double mean, double deviation)
{
	const double z = deviation > 0 ? mean / deviation : 0;

	if (deviation <= 0)
		return mean > 0 ? mean : 0;
	return mean * erfc(-z * M_SQRT1_2) / 2 + deviation * exp(-z * z / 2) * M_SQRT1_2 * M_2_SQRTPI / 2;
}

/* The mean of what a part gives: its batch norm's results have mean beta and deviation |gamma|. skip: [out] or NULL. */
static void mean_of_result(float *out, const float *gamma, const float *beta, const struct part *p, const float *skip)
{
	for (int i = 0; i < p->out; i++) {
		const double mean = (double)beta[i], deviation = fabs((double)gamma[i]);

		out[i] = p->activation == EK_NN_LINEAR
		                 ? (float)mean
		                 : (float)(rectified_mean(mean, deviation) - rectified_mean(mean - 6, deviation));
		if (skip != NULL)
			out[i] += skip[i];
	}
}

static double mean_square(const float *x, int count)
{
	double sum = 0;

	for (int i = 0; i < count; i++)
		sum += (double)x[i] * (double)x[i];
	return sum / count;
}

/* Parameters of part `number`. means: [EK_EFFICIENTNET_PARTS + 1][HEAD], of the input of each part; means[0] is not
 * known. */
static int take_part(struct ek_efficientnet *e, struct ek_weights *w, const struct part *p, int number, int rounded,
                     float (*means)[HEAD])
{
	const struct ek_folded folded = { .shape = { p->out, p->in / p->groups, p->kernel, p->kernel },
		                          .epsilon = epsilon };
	char prefix[NAME_SIZE] = "", conv[NAME_SIZE], norm[NAME_SIZE];
	struct ek_folded f = folded;
	float gamma[HEAD], beta[HEAD], *weights, *biases;
	int rc, weight;

	if (p->block >= 0)
		(void)snprintf(prefix, sizeof prefix, "_blocks.%d.", p->block);
	(void)snprintf(conv, sizeof conv, "%.24s%s", prefix, p->conv);
	(void)snprintf(norm, sizeof norm, "%.24s%s", prefix, p->norm);
	f.conv = conv;
	f.norm = norm;
	EK_TRY(weight = ek_weights_fold(w, &f, gamma, beta));
	weights = ek_weights_values(w, weight);
	biases = ek_weights_values(w, weight + 1);
	if (rounded && !is_exact(e, p, number)) {
		if (p->groups == p->out)
			round_filters(weights, (size_t)p->out, (size_t)(p->kernel * p->kernel));
		if (number > 0)
			EK_TRY(correct_biases(biases, weights, means[number], p));
	}
	mean_of_result(means[number + 1], gamma, beta, p, p->back > 0 ? means[number - p->back] : NULL);
	if (p->stage > 0)
		e->variances[p->stage - 1] = mean_square(gamma, p->out);
	e->weights[number] = weight;
out:
	return rc < 0 ? rc : 0;
}

int ek_efficientnet_take(struct ek_efficientnet *e, struct ek_weights *w, int rounded)
{
	struct part parts[EK_EFFICIENTNET_PARTS];
	const int count = list_parts(parts, e->stages);
	float(*means)[HEAD] = NULL;
	int rc;

	ek_weights_find_prefix(w, "_conv_stem.weight");
	EK_TRY(ek_alloc(&means, EK_EFFICIENTNET_PARTS + 1, sizeof *means));
	for (int i = 0; i < count; i++)
		EK_TRY(take_part(e, w, &parts[i], i, rounded, means));
out:
	free(means);
	return rc;
}

/* TensorFlow's SAME: the result has ceil(size / stride) pixels; what is missing is added after rather than before. */
static void pad_same(int pad[2], int size, int kernel, int stride)
{
	const int total = ((size + stride - 1) / stride - 1) * stride + kernel - size;

	pad[0] = total > 0 ? total / 2 : 0;
	pad[1] = total > 0 ? total - pad[0] : 0;
}

int ek_efficientnet_layers(const struct ek_efficientnet *e, struct ek_net *net, int image, int *features)
{
	struct part parts[EK_EFFICIENTNET_PARTS];
	const int count = list_parts(parts, e->stages);
	int inputs[EK_EFFICIENTNET_PARTS], x = image, rc = 0;

	for (int i = 0; i < count; i++) {
		const struct part *p = &parts[i];
		struct ek_net_conv conv = { .weight = e->weights[i],
			                    .bias = e->weights[i] + 1,
			                    .outputs = p->out,
			                    .kernel = { p->kernel, p->kernel },
			                    .stride = { p->stride, p->stride },
			                    .groups = p->groups,
			                    .exact = is_exact(e, p, i),
			                    .kept = e->kept };

		inputs[i] = x;
		pad_same(conv.pad, ek_net_shape(net, x).height, p->kernel, p->stride);
		pad_same(conv.pad + 2, ek_net_shape(net, x).width, p->kernel, p->stride);
		EK_TRY(x = ek_net_activation(net, ek_net_conv(net, x, &conv), p->activation));
		if (p->back > 0)
			EK_TRY(x = ek_net_add(net, x, inputs[i - p->back]));
		if (p->stage > 0 && features != NULL)
			features[p->stage - 1] = x;
	}
	rc = x;
out:
	return rc;
}
