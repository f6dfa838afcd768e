/*
 * Attention whose heads are too wide for kernels that keep a head's rows: with its matrices of scores and
 * probabilities, as products of cuBLASLt. For a layer or two of a network, as in autoencoders. Internal to train/nn.
 */
#ifndef EK_NN_OPS_ATTENTION_WIDE_CUDA_H
#define EK_NN_OPS_ATTENTION_WIDE_CUDA_H

#include "train/nn/ops/op_cuda.h"

/* The operator's functions for such heads. */
int ek_cuda_wide_attention_prepare(ek_net *net, ek_net_op *op);
int ek_cuda_wide_attention_forward(ek_net_state *s, const ek_net_op *op);
int ek_cuda_wide_attention_backward(ek_net_state *s, const ek_net_op *op);

#endif
