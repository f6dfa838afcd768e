/* What a norm on a GPU is told of, by norm_cuda.cu, and the way of norm_mixed_cuda.cu where its types allow that. */
#ifndef EK_NN_OPS_NORM_CUDA_H
#define EK_NN_OPS_NORM_CUDA_H

#include "train/nn/ops/op_cuda.h"

enum { NORM_WARPS = 8, NORM_MIXED_STRIPE = 128 };

/* What a row is multiplied with and added to, from vectors [images, stride], or one for all (stride 0), NULL: 0. */
struct norm_vectors {
	const float *weight, *bias, *gate;
	float base;
	size_t stride, rows; /* rows of an image */
};

struct norm_pass {
	ek_cuda_view x, branch, stream, normal; /* stream: x + gate · branch, NULL: x; normal NULL: not wanted */
	norm_vectors v;
	float *saved;
	size_t rows, n;
	float epsilon;
};

struct norm_gradients {
	ek_cuda_view dnormal, dstream, dx, dbranch; /* given: dnormal, dstream; NULL: none */
	float *parts;                               /* [stripes, 3, n]: weight, bias, gate; NULL: not wanted */
	float *branch_parts;                        /* [stripes, n]: dbranch; NULL: not wanted */
	size_t stripes;                             /* of an image */
};

/* Runs its last argument for each VEC numbers j … of a row that are this lane's, number k of PARTS. */
#define NORM_OWN(j, k, n, ...)                                                                                         \
	_Pragma("unroll") for (int k = 0; k < PARTS; k++)                                                              \
	{                                                                                                              \
		const size_t j = (size_t)(k * 32 + (int)(threadIdx.x % 32)) * VEC;                                     \
                                                                                                                       \
		if (j < (n)) {                                                                                         \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

/* Are x, the stream, the branch and the normal of types and sizes that norm_mixed_cuda.cu knows? */
int ek_cuda_norm_is_mixed(const norm_pass &m);
int ek_cuda_norm_mixed(const norm_pass &m);
/* How many warps' rows fit a block, or 0: not of these types. */
size_t ek_cuda_norm_mixed_warps(const norm_pass &m, const norm_gradients &g);
/* Stripes have NORM_MIXED_STRIPE rows. */
int ek_cuda_norm_back_mixed(const norm_pass &m, const norm_gradients &g, size_t images, size_t warps);

#endif
