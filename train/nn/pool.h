/*
 * Pooling of images.
 */
#ifndef EK_NN_POOL_H
#define EK_NN_POOL_H

#include "train/nn/graph.h"

enum ek_nn_pool_kind {
	EK_NN_POOL_MAX,
	EK_NN_POOL_AVERAGE,          /* padding counts as zeros (count_include_pad) */
	EK_NN_POOL_AVERAGE_EXCLUSIVE /* the mean over pixels inside the image (count_include_pad = False) */
};

struct ek_nn_pool {
	enum ek_nn_pool_kind kind;
	int kernel[2]; /* height, width */
	int stride[2]; /* 0 means 1 */
	int pad[4];    /* top, bottom, left, right; each less than the kernel */
};

/* x: an image. Result: an image; sizes round down, as in PyTorch (ceil_mode = False). */
int ek_nn_pool(struct ek_nn_graph *g, int x, const struct ek_nn_pool *pool);

/* x: an image. Result: one token of [channels], the mean over all pixels. */
int ek_nn_global_average(struct ek_nn_graph *g, int x);

#endif
