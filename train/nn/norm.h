/*
 * Layer norm over the features of each token, computed in float32.
 */
#ifndef EK_NN_NORM_H
#define EK_NN_NORM_H

#include "train/nn/graph.h"

struct ek_nn_layer_norm {
	const float *gamma, *beta; /* [features] each; NULL: 1 and 0 */
	double epsilon;
};

/* x: tokens. Result: tokens, (x - mean) / sqrt(variance + epsilon) · gamma + beta; variance with divisor features. */
int ek_nn_layer_norm(struct ek_nn_graph *g, int x, const struct ek_nn_layer_norm *norm);

#endif
