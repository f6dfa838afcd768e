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
	int with_bias;                     /* the sums of dY's rows, too: for grams */
	/* Convolutions: [0] height, [1] width; kernel[0] 0: linear. images: that X is of, of so many rows each. */
	int kernel[2], stride[2], pad[2], read[2], made[2], channels;
};

/* A gram's product: two tiles of EK_GRAM_SIDE rows, 64 columns deep at a time. */
enum { EK_GRAM_SIDE = 128, EK_GRAM_DEPTH = 64 };

/* A launch of products of grams: a block has a pair of row tiles of an image. parts: [images, pairs, 2], out. */
struct ek_image_gram {
	const __nv_bfloat16 *x[2]; /* X, dY: [images, rows, columns] */
	int columns[2], rows;
	int weights, bias; /* whether their squares count */
	double *parts;
};
/* images_hopper.cu, by the instructions of compute capability 9.0 alone. */
cudaError_t ek_cuda_gram_hopper(const ek_image_gram *g, unsigned pairs, unsigned images, cudaStream_t stream);

#ifdef __CUDACC__
/* The first rows of the two tiles of pair `pair`: tile 0 has one, with itself, tile 1 two, … */
static __device__ inline void ek_gram_pair(int first[2], unsigned pair)
{
	first[0] = 0;
	first[1] = (int)pair;
	while (first[1] > first[0])
		first[1] -= ++first[0];
	first[0] *= EK_GRAM_SIDE;
	first[1] *= EK_GRAM_SIDE;
}

static __device__ inline int ek_gram_chunks(const ek_image_gram &g, int which)
{
	return (g.columns[which] + EK_GRAM_DEPTH - 1) / EK_GRAM_DEPTH;
}

/* Chunk `c` of those of X and then of dY, a piece of 16 bytes at a time: copy(tile, row, piece, from, wanted). */
template <typename F>
static __device__ inline void ek_gram_fetch(const ek_image_gram &g, int c, const int first[2], const F &copy)
{
	const int of_x = ek_gram_chunks(g, 0), which = c >= of_x, tiles = first[0] == first[1] ? 1 : 2;
	const int columns = g.columns[which], column = (c - which * of_x) * EK_GRAM_DEPTH;
	const __nv_bfloat16 *x = g.x[which] + (size_t)blockIdx.y * g.rows * columns;

	if (c >= of_x + ek_gram_chunks(g, 1))
		return;
	for (int i = (int)threadIdx.x; i < tiles * EK_GRAM_SIDE * (EK_GRAM_DEPTH / 8); i += (int)blockDim.x) {
		const int tile = i / (EK_GRAM_SIDE * EK_GRAM_DEPTH / 8), piece = i % (EK_GRAM_DEPTH / 8);
		const int row = i / (EK_GRAM_DEPTH / 8) % EK_GRAM_SIDE, at = column + 8 * piece;
		const bool wanted = first[tile] + row < g.rows && at < columns;

		copy(tile, row, piece, wanted ? x + (size_t)(first[tile] + row) * columns + at : x, wanted);
	}
}

/* What a thread's numbers of X X^T and dY dY^T, four of each, give. */
static __device__ inline double ek_gram_part(const ek_image_gram &g, const float *x, const float *dy)
{
	float weights = 0, bias = 0;

	for (int i = 0; i < 4; i++) {
		weights += x[i] * dy[i];
		bias += dy[i];
	}
	return (g.weights ? (double)weights : 0) + (g.bias ? (double)bias : 0);
}

static __device__ inline void ek_gram_finish(const ek_image_gram &g, const int first[2], double square)
{
	__shared__ double room[32];
	double *part = g.parts + 2 * ((size_t)blockIdx.y * gridDim.x + blockIdx.x);

	square = ek_block_sum(square, room);
	if (threadIdx.x > 0)
		return;
	part[0] = first[0] == first[1] ? square : 2 * square;
	part[1] = 0;
}
#endif

/* Bytes of scratch for a net's slice, `tokens` rows an image, whichever of these and however many are together. */
size_t ek_cuda_images_scratch(int batch, size_t tokens, size_t inputs, size_t outputs, size_t groups);

/* The sizes that ek_cuda_image_gram takes: bfloat16, and it is only squares that it tells. That of a bias is the sum of
 * all numbers of dY dY^T. */
int ek_cuda_has_gram(const struct ek_image_product *p);
int ek_cuda_image_gram(const ek_net_state *s, const struct ek_image_product *p, void *scratch);
/* Any, with products. */
int ek_cuda_image_weights(const ek_net_state *s, const struct ek_image_product *p, void *scratch);
/* Of a linear layer whose gradients are made, image after image: what they come to, part by part. */
struct ek_image_made {
	size_t numbers, columns; /* of the weights; of the bias, 0: it does not count */
	double *parts;           /* [images, ek_cuda_made_parts, 2]: squares, products with the direction */
};
size_t ek_cuda_made_parts(size_t numbers, size_t columns);
/* Of `count` images from `first` on, whose gradients `made` are, [count, numbers]; direction: [numbers] or NULL. */
int ek_cuda_made_weights(const struct ek_image_made *m, const float *made, const float *direction, size_t first,
                         size_t count);
/* Of all images: the sums of `rows` rows of dy each; direction: [columns] or NULL. */
int ek_cuda_made_bias(const struct ek_image_made *m, const ek_cuda_view &dy, size_t rows, const float *direction,
                      size_t images);
/* The parts to the sums. */
int ek_cuda_made_sums(const ek_net_state *s, const struct ek_image_made *m);
/* A linear layer of one token an image, rows being its draws; only squares. */
int ek_cuda_image_vectors(const ek_net_state *s, const struct ek_image_product *p);
/* The sum over an image's rows of a · (b + added) is added to its product. added: [columns], or NULL. */
int ek_cuda_image_dot(const ek_net_state *s, const ek_cuda_view &a, const ek_cuda_view &b, const float *added,
                      size_t rows, size_t columns);

#endif
