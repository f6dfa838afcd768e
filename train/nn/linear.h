/*
 * Linear layers over tokens, with scale, bias, residual and activation fused.
 */
#ifndef EK_NN_LINEAR_H
#define EK_NN_LINEAR_H

#include "train/nn/graph.h"

enum { EK_NN_LINEAR_PARTS = 3 };

struct ek_nn_linear {
	int out_features;
	/* [out_features, in_features]; or two or three of them, each [out_features / parts, in_features],
	 * stacked in order (separate query, key and value). Unused: NULL. */
	const float *weight[EK_NN_LINEAR_PARTS];
	const float *bias[EK_NN_LINEAR_PARTS]; /* [out_features / parts] each, or NULL */
	const float *scale; /* [out_features] or NULL: multiplies x·W^T + bias (LayerScale); folded into both */
	int residual;       /* tokens of the result's shape, added before the activation; 0: none */
	enum ek_nn_activation activation;
};

/* x: tokens [t, in_features]. Result: tokens [t, out_features]. EK_EUSAGE.
 * In a bf16 graph a result with a residual is kept in float32 (the stream of a transformer), others in bf16. */
int ek_nn_linear(struct ek_nn_graph *g, int x, const struct ek_nn_linear *linear);

#endif
