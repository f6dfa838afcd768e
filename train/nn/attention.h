/*
 * Multi-head self-attention without mask: softmax(Q K^T / sqrt(d)) V for each image and head.
 */
#ifndef EK_NN_ATTENTION_H
#define EK_NN_ATTENTION_H

#include "train/nn/graph.h"

/* qkv: tokens [t, 3·D], the queries of all heads, then keys, then values (a linear layer of three parts, or
 * timm's and DINOv2's qkv), D = heads · d, each head's d features side by side.
 * Result: tokens [t, D], the heads side by side. Softmax in float32. EK_EUSAGE. */
int ek_nn_attention(struct ek_nn_graph *g, int qkv, int heads);

#endif
