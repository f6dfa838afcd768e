/*
 * 2-D convolution (cross-correlation, as in PyTorch) with batch norm, bias, residual and activation fused.
 */
#ifndef EK_NN_CONV_H
#define EK_NN_CONV_H

#include "train/nn/graph.h"

/* Folded into weights and bias: y = (x - mean) / sqrt(variance + epsilon) · gamma + beta. [out_channels] each;
 * gamma and beta may be NULL (1 and 0); mean NULL: no batch norm. */
struct ek_nn_batch_norm {
	const float *gamma, *beta, *mean, *variance;
	double epsilon;
};

struct ek_nn_conv {
	int out_channels;
	int kernel[2];       /* height, width */
	int stride[2];       /* height, width; 0 means 1 */
	int pad[4];          /* top, bottom, left, right, zeros; may differ (static SAME padding) */
	int groups;          /* 0 means 1; in_channels = out_channels = groups is depthwise */
	const float *weight; /* [out_channels, in_channels / groups, height, width] */
	const float *bias;   /* [out_channels] or NULL */
	struct ek_nn_batch_norm norm;
	/* [in_channels] or NULL: what the input is on average, borders aside. Where weights are rounded to bf16, the
	 * bias then makes up for what that does to the mean result, the part of the error that does not average out. */
	const float *input_mean;
	int residual; /* a value of the result's shape, added before the activation; 0: none */
	enum ek_nn_activation activation;
	int float32; /* 1: float32 weights, input and result in a bf16 graph, too: where rounding is amplified */
};

/* x: an image. Result: an image [out_channels, (height + top + bottom - kernel) / stride + 1, …]. EK_EUSAGE. */
int ek_nn_conv(struct ek_nn_graph *g, int x, const struct ek_nn_conv *conv);

#endif
