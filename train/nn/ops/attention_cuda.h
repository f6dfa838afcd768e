/* Attention on GPUs: what its kernels are given, and those that Hopper alone runs. */
#ifndef EK_NN_OPS_ATTENTION_CUDA_H
#define EK_NN_OPS_ATTENTION_CUDA_H

#include "train/nn/ops/op_cuda.h"

struct ek_attention {
	ek_cuda_view qkv, out, dout, dqkv;
	float *sums, *deltas; /* [images, heads, tokens]: log of a row's sum; of gradient · result */
	float *columns; /* [images, 3 · features], out: the sums of dqkv over an image's tokens; NULL: not wanted */
	int tokens, heads, width;
	float scale;
	size_t heads_in_all; /* over all images */
};

/* Number of feature 0 of a row of queries (0), keys (1) or values (2), and of results. */
static __device__ inline size_t ek_attention_part(const ek_attention &a, size_t head, int token, int part)
{
	const size_t image = head / a.heads, h = head % a.heads, features = (size_t)a.heads * a.width;

	return ((image * a.tokens + token) * 3 + part) * features + h * a.width;
}

static __device__ inline size_t ek_attention_result(const ek_attention &a, size_t head, int token)
{
	const size_t image = head / a.heads, h = head % a.heads, features = (size_t)a.heads * a.width;

	return (image * a.tokens + token) * features + h * a.width;
}

/* attention_hopper_cuda.cu: forward or backward of what is bfloat16 by wgmma. 1: under way, also sums over columns; 0:
 * not for this size or GPU; negative: failed. */
int ek_cuda_attention_hopper(const ek_attention &a, int back);

#endif
