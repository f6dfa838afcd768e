/*
 * What the operators on GPUs say of each image's own gradient (ek_net_code.images): sums of squares, and of products
 * with the direction, are added to s->image_sums, [images] and [images], each in a fixed order. Internal to train/nn.
 */
#ifndef EK_NN_OPS_IMAGES_CUDA_H
#define EK_NN_OPS_IMAGES_CUDA_H

#include "train/nn/ops/op_cuda.h"

enum { EK_IMAGE_BLOCK = 512 };

/*
 * The gradient of an image is the sum of `rows` rows of `columns` numbers, f(row, column) with rows counted over all
 * images. A block for each image.
 */
template <typename F>
static __global__ void __launch_bounds__(EK_IMAGE_BLOCK)
	ek_cuda_add_image(double *sums, F f, size_t rows, size_t columns, const float *direction)
{
	__shared__ double room[32];
	double square = 0, product = 0;

	for (size_t j = threadIdx.x; j < columns; j += EK_IMAGE_BLOCK) {
		float sum = 0;

#pragma unroll 8
		for (size_t r = 0; r < rows; r++)
			sum += f(blockIdx.x * rows + r, j);
		square += (double)sum * (double)sum;
		if (direction != NULL)
			product += (double)sum * (double)direction[j];
	}
	square = ek_block_sum(square, room);
	product = ek_block_sum(product, room);
	if (threadIdx.x > 0)
		return;
	sums[blockIdx.x] += square;
	sums[gridDim.x + blockIdx.x] += product;
}

/* Of parameter i of a layer, if it is measured. */
template <typename F>
static int ek_cuda_image_sums(const ek_net_state *s, const ek_net_op *op, int i, const F &f, size_t rows,
                              size_t columns)
{
	if (!ek_net_measures(s, op, i))
		return 0;
	ek_cuda_add_image<F><<<(unsigned)s->images, EK_IMAGE_BLOCK, 0, ek_cuda_stream()>>>(
		s->image_sums, f, rows, columns, ek_net_direction(s, op, i));
	return ek_cuda_launched("the gradients of images");
}

/* Rows that lie `step` numbers apart, from number `first` on. */
struct ek_image_rows {
	ek_cuda_view x;
	size_t first, step;

	__device__ float operator()(size_t row, size_t column) const
	{
		return ek_get(x, first + row * step + column);
	}
};

/* As struct ek_image_rows, that of the first output: a bias, parameter 1. */
static inline int ek_cuda_image_bias(const ek_net_state *s, const ek_net_op *op)
{
	const size_t columns = ek_net_channel_count(s->net, op->outputs[0]);
	const ek_image_rows rows = { ek_cuda_grad_output(s, op, 0), 0, columns };

	return ek_cuda_image_sums(s, op, 1, rows, ek_net_image_rows(s, op->outputs[0]), columns);
}

/*
 * images_cuda.cu: dY^T X of each image. dY: rows of `groups` groups of `outputs` numbers. X: of a linear layer rows of
 * `inputs` numbers; of a convolution what its kernel sees, which is told by the sizes.
 */
struct ek_image_product {
	ek_cuda_view x, dy;
	int rows, inputs, outputs, groups; /* rows of an image; inputs, outputs: of a group */
	const float *direction;            /* [groups · outputs, inputs] or NULL */
	/* Convolutions: [0] height, [1] width; kernel[0] 0: linear. images: that X is of, of so many rows each. */
	int kernel[2], stride[2], pad[2], read[2], made[2], channels;
};

/* Bytes of scratch for a net's slice, `tokens` rows an image, whichever of these and however many are together. */
size_t ek_cuda_images_scratch(int batch, size_t tokens, size_t inputs, size_t outputs, size_t groups);

/* The sizes that ek_cuda_image_gram takes: bfloat16, and it is only squares that it tells. */
int ek_cuda_has_gram(const struct ek_image_product *p);
int ek_cuda_image_gram(const ek_net_state *s, const struct ek_image_product *p, void *scratch);
/* Any, with products. */
int ek_cuda_image_weights(const ek_net_state *s, const struct ek_image_product *p, void *scratch);
/* A linear layer of one token an image, rows being its draws; only squares. */
int ek_cuda_image_vectors(const ek_net_state *s, const struct ek_image_product *p);
/* The sum over an image's numbers of a · b is added to its product; image: numbers of one. */
int ek_cuda_image_dot(const ek_net_state *s, const ek_cuda_view &a, const ek_cuda_view &b, size_t image);

#endif
