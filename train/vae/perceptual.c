#include "train/vae/perceptual.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/tensors.h"

enum { STAGES = 3, STEM = 32, NAME_SIZE = 96, CHANNELS = 3 };

static const double epsilon = 1e-3; /* of the batch norms */

/* The first stages of EfficientNet-Lite0 (analysis/embed/efficientnet.c). */
static const struct stage {
	int repeats, kernel, stride, expand, in, out;
} stages[STAGES] = { { 1, 3, 1, 1, 32, 16 }, { 2, 3, 2, 6, 16, 24 }, { 2, 5, 2, 6, 24, 40 } };

struct ek_perceptual {
	struct ek_params params;
	float *values;
	double variances[STAGES];
};

/* A convolution with the batch norm after it. */
struct part {
	const char *prefix, *conv, *norm;
	int in, out, kernel, groups;
};

static int take(float *out, const struct ek_tensor_file *file, const char *name, int rank, const uint64_t *shape)
{
	const struct ek_tensor *t;
	int rc;

	EK_TRY(ek_tensor_get(&t, file, name, rank, shape));
	EK_TRY(ek_tensor_to_f32(out, t));
	for (uint64_t i = 0; i < t->count; i++)
		if (!isfinite(out[i]))
			return ek_fail(EK_EDATA, "%s: tensor %s has a number that is not finite", file->path, name);
out:
	return rc;
}

/* y = (W x - mean) / sqrt(variance + epsilon) gamma + beta as one convolution. `variance` out, may be NULL: the mean
 * of gamma^2. */
static int fold(float *weight, float *bias, double *variance, const struct ek_tensor_file *file, const struct part *p)
{
	static const char *const names[] = { "weight", "bias", "running_mean", "running_var" };
	const uint64_t out = (uint64_t)p->out, kernel = (uint64_t)p->kernel;
	const uint64_t dims[4] = { out, (uint64_t)(p->in / p->groups), kernel, kernel };
	const size_t fan_in = (size_t)(dims[1] * kernel * kernel);
	float *norm = NULL;
	char name[NAME_SIZE];
	double squares = 0;
	int rc;

	EK_TRY(ek_alloc(&norm, 4 * out, sizeof *norm));
	(void)snprintf(name, sizeof name, "%s%s.weight", p->prefix, p->conv);
	EK_TRY(take(weight, file, name, 4, dims));
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "%s%s.%s", p->prefix, p->norm, names[i]);
		EK_TRY(take(norm + i * out, file, name, 1, &out));
	}
	for (size_t i = 0; i < out; i++) {
		const double gamma = (double)norm[i], beta = (double)norm[out + i], mean = (double)norm[2 * out + i];
		const double factor = gamma / sqrt((double)norm[3 * out + i] + epsilon);

		for (size_t j = 0; j < fan_in; j++)
			weight[i * fan_in + j] = (float)(factor * (double)weight[i * fan_in + j]);
		bias[i] = (float)(beta - factor * mean);
		squares += gamma * gamma;
	}
	if (variance != NULL)
		*variance = squares / (double)out;
out:
	free(norm);
	return rc;
}

/* The encoder takes (pixel - 127) / 128; we have x = pixel / 127.5 - 1. Padded with 0 before, not after, that: a
 * difference of half a level of grey outside the image. */
static void see_images(float *weight, float *bias)
{
	const size_t fan_in = CHANNELS * 3 * 3;

	for (size_t i = 0; i < STEM; i++) {
		double sum = 0;

		for (size_t j = 0; j < fan_in; j++) {
			sum += (double)weight[i * fan_in + j];
			weight[i * fan_in + j] *= 127.5F / 128;
		}
		bias[i] += (float)(sum * 0.5 / 128);
	}
}

/* Append the folded convolution to the table; its number, the bias is the next. */
static int add_part(struct ek_perceptual *p, const struct ek_tensor_file *file, const struct part *part,
                    double *variance)
{
	const int64_t dims[4] = { part->out, part->in / part->groups, part->kernel, part->kernel };
	char name[NAME_SIZE];
	int number, bias, rc;

	(void)snprintf(name, sizeof name, "%s%s.weight", part->prefix, part->conv);
	EK_TRY(number = ek_params_add(&p->params, name, 4, dims, (struct ek_init){ 0 }));
	(void)snprintf(name, sizeof name, "%s%s.bias", part->prefix, part->conv);
	EK_TRY(bias = ek_params_add(&p->params, name, 1, dims, (struct ek_init){ 0 }));
	EK_TRY(ek_resize(&p->values, p->params.size, sizeof *p->values));
	EK_TRY(fold(p->values + p->params.items[number].offset, p->values + p->params.items[bias].offset, variance,
	            file, part));
	rc = number;
out:
	return rc;
}

/* All convolutions, in the order in which the layers take them. */
static int read_weights(struct ek_perceptual *p, const struct ek_tensor_file *file)
{
	const char *before = ek_tensor_prefix(file, "_conv_stem.weight");
	const struct part stem = { before, "_conv_stem", "_bn0", CHANNELS, STEM, 3, 1 };
	int rc, number = 0;

	EK_TRY(add_part(p, file, &stem, NULL));
	see_images(p->values, p->values + p->params.items[1].offset);
	for (int s = 0; s < STAGES; s++)
		for (int i = 0; i < stages[s].repeats; i++) {
			const int in = i == 0 ? stages[s].in : stages[s].out, wide = in * stages[s].expand;
			char prefix[NAME_SIZE];

			(void)snprintf(prefix, sizeof prefix, "%s_blocks.%d.", before, number++);
			if (wide > in)
				EK_TRY(add_part(p, file,
				                &(struct part){ prefix, "_expand_conv", "_bn0", in, wide, 1, 1 },
				                NULL));
			EK_TRY(add_part(
				p, file,
				&(struct part){ prefix, "_depthwise_conv", "_bn1", wide, wide, stages[s].kernel, wide },
				NULL));
			EK_TRY(add_part(p, file,
			                &(struct part){ prefix, "_project_conv", "_bn2", wide, stages[s].out, 1, 1 },
			                &p->variances[s]));
		}
	rc = 0;
out:
	return rc;
}

/* TensorFlow's SAME: the result has ceil(size / stride) pixels; what is missing is added after rather than before. */
static void pad_same(int pad[4], int size, int kernel, int stride)
{
	const int total = ((size + stride - 1) / stride - 1) * stride + kernel - size, both = total > 0 ? total : 0;

	pad[0] = pad[2] = both / 2;
	pad[1] = pad[3] = both - both / 2;
}

static int convolve(const struct ek_perceptual *p, struct ek_net *net, int x, int *number, int stride, int depthwise,
                    enum ek_nn_activation activation)
{
	const struct ek_param *weight = &p->params.items[*number];
	struct ek_net_conv conv = { .weight = *number,
		                    .bias = *number + 1,
		                    .outputs = (int)weight->dims[0],
		                    .kernel = { (int)weight->dims[2], (int)weight->dims[3] },
		                    .stride = { stride, stride },
		                    .groups = depthwise ? (int)weight->dims[0] : 1 };

	*number += 2;
	if (x < 0)
		return x;
	pad_same(conv.pad, ek_net_shape(net, x).height, conv.kernel[0], stride);
	return ek_net_activation(net, ek_net_conv(net, x, &conv), activation);
}

static int block(const struct ek_perceptual *p, struct ek_net *net, int x, int *number, const struct stage *s,
                 int first)
{
	const int residual = first ? 0 : x;

	if (s->expand > 1)
		x = convolve(p, net, x, number, 1, 0, EK_NN_RELU6);
	x = convolve(p, net, x, number, first ? s->stride : 1, 1, EK_NN_RELU6);
	x = convolve(p, net, x, number, 1, 0, EK_NN_LINEAR);
	return residual > 0 ? ek_net_add(net, x, residual) : x;
}

static void features(const struct ek_perceptual *p, struct ek_net *net, int image, int out[STAGES])
{
	int number = 0, x = convolve(p, net, image, &number, 2, 0, EK_NN_RELU6);

	for (int s = 0; s < STAGES; s++) {
		for (int i = 0; i < stages[s].repeats; i++)
			x = block(p, net, x, &number, &stages[s], i == 0);
		out[s] = x;
	}
}

int ek_perceptual_new(struct ek_perceptual **out, const char *weights)
{
	struct ek_tensor_file file = { 0 };
	struct ek_perceptual *p = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&p, 1, sizeof *p));
	EK_TRY(ek_tensor_file_open(&file, weights));
	EK_TRY(read_weights(p, &file));
	*out = p;
	p = NULL;
out:
	ek_tensor_file_close(&file);
	ek_perceptual_free(p);
	return rc;
}

void ek_perceptual_free(struct ek_perceptual *p)
{
	if (p == NULL)
		return;
	ek_params_release(&p->params);
	free(p->values);
	free(p);
}

int ek_perceptual_loss(const struct ek_perceptual *p, struct ek_net *net, int made, int wanted)
{
	int a[STAGES], b[STAGES], rc, loss = 0;

	EK_TRY(made);
	if (ek_net_shape(net, made).height < 8)
		return ek_fail(EK_EUSAGE, "perceptual loss: images of side %d, must be at least 8",
		               ek_net_shape(net, made).height);
	EK_TRY(ek_net_constants(net, &p->params, p->values));
	features(p, net, made, a);
	features(p, net, wanted, b);
	for (int s = 0; s < STAGES; s++) {
		const float factor = (float)(1 / (STAGES * p->variances[s]));
		const int part = ek_net_affine(net, ek_net_squared_error(net, a[s], b[s]), factor, 0);

		loss = s == 0 ? part : ek_net_add(net, loss, part);
	}
	EK_TRY(ek_net_constants(net, NULL, NULL));
	rc = loss;
out:
	return rc;
}
