/*
 * dY^T X of each image, on GPUs, without writing it. |dY^T X|^2 is the sum of the products of X X^T and dY dY^T, which
 * are symmetric: a block has 128 rows by 128 of them, of those on and below the diagonal, adds up both in registers and
 * multiplies them there. Other types and sizes, and convolutions: a block has 64 × 64 numbers of dY^T X.
 */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/tensor_cuda.h"
#include "train/nn/ops/wide_cuda.h"

enum { SIDE = 128, DEPTH = 64, STRIDE = DEPTH + 8, STAGES = 3, TILE = SIDE * STRIDE };
enum { PART = 64, LINES = 16 };
enum { MADE_BLOCK = 256, MADE_PART = 1 << 14, MADE_COLUMNS = 64, MADE_LINES = MADE_BLOCK / MADE_COLUMNS };

static size_t pairs_of(size_t rows)
{
	const size_t sides = (rows + EK_GRAM_SIDE - 1) / EK_GRAM_SIDE;

	return sides * (sides + 1) / 2;
}

static size_t parts_of(const ek_image_product *p)
{
	return (size_t)((p->inputs + PART - 1) / PART) * (size_t)((p->outputs + PART - 1) / PART) * (size_t)p->groups;
}

size_t ek_cuda_images_scratch(int batch, size_t tokens, size_t inputs, size_t outputs, size_t groups)
{
	ek_image_product p = {};
	size_t most;

	p.inputs = (int)inputs;
	p.outputs = (int)outputs;
	p.groups = (int)groups;
	most = (size_t)batch * parts_of(&p);
	for (int together = 1; together <= batch; together++)
		if (batch % together == 0) {
			const size_t pairs = (size_t)(batch / together) * pairs_of(tokens * (size_t)together);

			most = most > pairs ? most : pairs;
		}
	return most * 2 * sizeof(double);
}

/* sums [images] and [images] += the parts [images, count, 2] of each image, in order. */
static __global__ void add_parts(double *sums, const double *parts, size_t count, size_t images)
{
	EK_CUDA_EACH(i, images)
	{
		double square = 0, product = 0;

		for (size_t j = 0; j < count; j++) {
			square += parts[2 * (i * count + j)];
			product += parts[2 * (i * count + j) + 1];
		}
		sums[i] += square;
		sums[images + i] += product;
	}
}

static int finish(const ek_net_state *s, const double *parts, size_t count)
{
	add_parts<<<ek_cuda_blocks(s->images), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(s->image_sums, parts, count,
	                                                                             s->images);
	return ek_cuda_launched("the gradients of images");
}

/* By X X^T and dY dY^T. */

/* sum [64, 32] of a warp += rows of `a` times rows of `b`, 64 deep. */
static __device__ inline void multiply_stage(float (&sum)[4][4][4], const bf16 *a, const bf16 *b)
{
	const int lane = (int)threadIdx.x % 32;

#pragma unroll
	for (int k = 0; k < EK_GRAM_DEPTH; k += 16) {
		unsigned left[4][4], right[2][4];

#pragma unroll
		for (int m = 0; m < 4; m++)
			load_matrices(left[m], a + (16 * m + lane % 16) * STRIDE + k + lane / 16 * 8);
#pragma unroll
		for (int n = 0; n < 2; n++)
			load_matrices(right[n],
			              b + (16 * n + lane % 8 + lane / 16 * 8) * STRIDE + k + lane / 8 % 2 * 8);
#pragma unroll
		for (int m = 0; m < 4; m++)
#pragma unroll
			for (int n = 0; n < 4; n++)
				multiply(sum[m][n], left[m], right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
	}
}

static __global__ void __launch_bounds__(256, 1) multiply_grams(ek_image_gram g)
{
	EK_SHARED(bf16, room);
	const int warp = (int)threadIdx.x / 32, row = warp % 2 * 64, column = warp / 2 * 32;
	float sum[2][4][4][4] = {};
	double square = 0;
	int first[2], c = 0;

	ek_gram_pair(first, blockIdx.x);
	auto fetch = [&](int chunk) {
		bf16 *stage = room + chunk % STAGES * 2 * TILE;

		ek_gram_fetch(g, chunk, first, [&](int tile, int line, int piece, const bf16 *from, bool wanted) {
			copy_behind(stage + tile * TILE + line * STRIDE + 8 * piece, from, wanted);
		});
		copies_marked();
	};
	for (int i = 0; i < STAGES - 1; i++)
		fetch(i);
#pragma unroll
	for (int which = 0; which < 2; which++)
		for (int i = ek_gram_chunks(g, which); i > 0; i--, c++) {
			const bf16 *stage = room + c % STAGES * 2 * TILE;

			copies_wait<STAGES - 2>();
			__syncthreads();
			fetch(c + STAGES - 1);
			multiply_stage(sum[which], stage + row * STRIDE,
			               stage + (first[0] == first[1] ? 0 : TILE) + column * STRIDE);
		}
	for (int m = 0; m < 4; m++)
		for (int n = 0; n < 4; n++)
			square += ek_gram_part(g, sum[0][m][n], sum[1][m][n]);
	ek_gram_finish(g, first, square);
}

enum { GRAM_ROOM = STAGES * 2 * TILE * (int)sizeof(bf16) };

int ek_cuda_has_gram(const ek_image_product *p)
{
	return p->x.bf16 && p->dy.bf16 && p->kernel[0] == 0 && p->inputs % 8 == 0 && p->outputs % 8 == 0 &&
	       (size_t)GRAM_ROOM <= ek_cuda_shared_memory();
}

int ek_cuda_image_gram(const ek_net_state *s, const ek_image_product *p, void *scratch)
{
	const size_t pairs = pairs_of((size_t)p->rows);
	const dim3 blocks((unsigned)pairs, (unsigned)s->images);
	const ek_image_gram g = { { (const bf16 *)p->x.x, (const bf16 *)p->dy.x },
		                  { p->inputs, p->outputs },
		                  p->rows,
		                  1,
		                  p->with_bias,
		                  (double *)scratch };
	int rc;

	if (ek_cuda_is_hopper()) {
		EK_TRY(ek_cuda_check(ek_cuda_gram_hopper(&g, blocks.x, blocks.y, ek_cuda_stream()),
		                     "the gradients of images"));
	} else {
		EK_TRY(ek_cuda_check(cudaFuncSetAttribute((const void *)multiply_grams,
		                                          cudaFuncAttributeMaxDynamicSharedMemorySize, GRAM_ROOM),
		                     "the gradients of images"));
		multiply_grams<<<blocks, 256, GRAM_ROOM, ek_cuda_stream()>>>(g);
	}
	EK_TRY(ek_cuda_launched("the gradients of images"));
	EK_TRY(finish(s, (const double *)scratch, pairs));
out:
	return rc;
}

/* Directly. */

/* Number `i` of what row `row` of image blockIdx.y has in X: of a convolution's group the channel, then the place in
 * the kernel, as in the table. */
static __device__ inline float seen(const ek_image_product &p, int group, int row, int i)
{
	const size_t all = (size_t)blockIdx.y * p.rows + row;
	int y, x, tap;

	if (p.kernel[0] == 0)
		return ek_get(p.x, all * p.inputs + i);
	tap = i % (p.kernel[0] * p.kernel[1]);
	x = (int)(all % p.made[1]) * p.stride[1] - p.pad[1] + tap % p.kernel[1];
	y = (int)(all / p.made[1] % p.made[0]) * p.stride[0] - p.pad[0] + tap / p.kernel[1];
	if (x < 0 || y < 0 || x >= p.read[1] || y >= p.read[0])
		return 0;
	return ek_get(p.x, ((all / ((size_t)p.made[0] * p.made[1]) * p.read[0] + y) * p.read[1] + x) * p.channels +
	                           group * (p.inputs / (p.kernel[0] * p.kernel[1])) + i / (p.kernel[0] * p.kernel[1]));
}

/* Threads 16 × 16, of 4 × 4 numbers each. */
static __global__ void __launch_bounds__(256) multiply_directly(ek_image_product p, double *parts)
{
	__shared__ float in[LINES][PART + 1], out[LINES][PART + 1];
	__shared__ double sums[32];
	const int wide = (p.inputs + PART - 1) / PART, high = (p.outputs + PART - 1) / PART;
	const int group = (int)blockIdx.x / (wide * high), first = (int)blockIdx.x % wide * PART;
	const int output = (int)blockIdx.x / wide % high * PART, x = (int)threadIdx.x % 16, y = (int)threadIdx.x / 16;
	float sum[4][4] = {};
	double square = 0, product = 0;

	for (int row = 0; row < p.rows; row += LINES) {
		for (int i = (int)threadIdx.x; i < LINES * PART; i += 256) {
			const int line = i / PART, column = i % PART, there = row + line < p.rows;

			in[line][column] =
				there && first + column < p.inputs ? seen(p, group, row + line, first + column) : 0.0F;
			out[line][column] =
				there && output + column < p.outputs
					? ek_get(p.dy, (((size_t)blockIdx.y * p.rows + row + line) * p.groups + group) *
			                                               p.outputs +
			                                       output + column)
					: 0.0F;
		}
		__syncthreads();
		for (int line = 0; line < LINES; line++)
			for (int i = 0; i < 4; i++)
				for (int j = 0; j < 4; j++)
					sum[i][j] += out[line][y + 16 * i] * in[line][x + 16 * j];
		__syncthreads();
	}
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			const int o = output + y + 16 * i, k = first + x + 16 * j;

			square += (double)sum[i][j] * (double)sum[i][j];
			if (p.direction != NULL && o < p.outputs && k < p.inputs)
				product += (double)sum[i][j] *
				           (double)p.direction[((size_t)group * p.outputs + o) * p.inputs + k];
		}
	square = ek_block_sum(square, sums);
	product = ek_block_sum(product, sums);
	if (threadIdx.x > 0)
		return;
	parts[2 * ((size_t)blockIdx.y * gridDim.x + blockIdx.x)] = square;
	parts[2 * ((size_t)blockIdx.y * gridDim.x + blockIdx.x) + 1] = product;
}

int ek_cuda_image_weights(const ek_net_state *s, const ek_image_product *p, void *scratch)
{
	const size_t count = parts_of(p);
	const dim3 blocks((unsigned)count, (unsigned)s->images);
	int rc;

	multiply_directly<<<blocks, 256, 0, ek_cuda_stream()>>>(*p, (double *)scratch);
	EK_TRY(ek_cuda_launched("the gradients of images"));
	EK_TRY(finish(s, (const double *)scratch, count));
out:
	return rc;
}

/* Of gradients that were made. */

static size_t made_weights(size_t numbers)
{
	return (numbers + MADE_PART - 1) / MADE_PART;
}

size_t ek_cuda_made_parts(size_t numbers, size_t columns)
{
	return made_weights(numbers) + (columns + MADE_COLUMNS - 1) / MADE_COLUMNS;
}

/* Of the block to part blockIdx.x of image `image`. */
static __device__ inline void put_part(const ek_image_made &m, size_t parts, size_t image, size_t part, double square,
                                       double product)
{
	__shared__ double room[32];
	double *out = m.parts + 2 * (image * parts + part);

	square = ek_block_sum(square, room);
	product = ek_block_sum(product, room);
	if (threadIdx.x > 0)
		return;
	out[0] = square;
	out[1] = product;
}

static __global__ void __launch_bounds__(MADE_BLOCK)
	measure_weights(ek_image_made m, size_t parts, const float *made, const float *direction, size_t first)
{
	const float *gradient = made + blockIdx.y * m.numbers;
	const size_t begin = (size_t)blockIdx.x * MADE_PART, end = min(begin + MADE_PART, m.numbers);
	double square = 0, product = 0;

#pragma unroll 8
	for (size_t i = begin + threadIdx.x; i < end; i += MADE_BLOCK) {
		square += (double)gradient[i] * (double)gradient[i];
		if (direction != NULL)
			product += (double)gradient[i] * (double)direction[i];
	}
	put_part(m, parts, first + blockIdx.y, blockIdx.x, square, product);
}

int ek_cuda_made_weights(const ek_image_made *m, const float *made, const float *direction, size_t first, size_t count)
{
	measure_weights<<<dim3((unsigned)made_weights(m->numbers), (unsigned)count), MADE_BLOCK, 0, ek_cuda_stream()>>>(
		*m, ek_cuda_made_parts(m->numbers, m->columns), made, direction, first);
	return ek_cuda_launched("the gradients of images");
}

/* A block has 64 columns of an image; of the rows, each fourth of its threads has each fourth. */
static __global__ void __launch_bounds__(MADE_BLOCK) measure_bias(ek_image_made m, size_t parts, size_t weights,
                                                                  ek_cuda_view dy, size_t rows, const float *direction)
{
	__shared__ float sums[MADE_LINES][MADE_COLUMNS];
	const size_t line = threadIdx.x / MADE_COLUMNS, at = threadIdx.x % MADE_COLUMNS;
	const size_t column = (size_t)blockIdx.x * MADE_COLUMNS + at;
	double square = 0, product = 0;
	float sum = 0;

#pragma unroll 8
	for (size_t r = line; r < rows && column < m.columns; r += MADE_LINES)
		sum += ek_get(dy, (blockIdx.y * rows + r) * m.columns + column);
	sums[line][at] = sum;
	__syncthreads();
	if (line == 0 && column < m.columns) {
		for (int i = 1; i < MADE_LINES; i++)
			sum += sums[i][at];
		square = (double)sum * (double)sum;
		product = direction != NULL ? (double)sum * (double)direction[column] : 0;
	}
	put_part(m, parts, blockIdx.y, weights + blockIdx.x, square, product);
}

int ek_cuda_made_bias(const ek_image_made *m, const ek_cuda_view &dy, size_t rows, const float *direction,
                      size_t images)
{
	measure_bias<<<dim3((unsigned)((m->columns + MADE_COLUMNS - 1) / MADE_COLUMNS), (unsigned)images), MADE_BLOCK,
	               0, ek_cuda_stream()>>>(*m, ek_cuda_made_parts(m->numbers, m->columns), made_weights(m->numbers),
	                                      dy, rows, direction);
	return ek_cuda_launched("the gradients of images");
}

int ek_cuda_made_sums(const ek_net_state *s, const ek_image_made *m)
{
	return finish(s, m->parts, ek_cuda_made_parts(m->numbers, m->columns));
}

/* Vectors: the sum over pairs of draws of (x · x') (dy · dy'). */

static __device__ inline double row_dot(const ek_cuda_view &v, size_t a, size_t b, size_t n, double *room)
{
	double sum = 0;

	for (size_t j = threadIdx.x; j < n; j += EK_IMAGE_BLOCK)
		sum += (double)(ek_get(v, a * n + j) * ek_get(v, b * n + j));
	return ek_block_sum(sum, room);
}

static __global__ void __launch_bounds__(EK_IMAGE_BLOCK) multiply_vectors(ek_image_product p, double *sums)
{
	__shared__ double room[32];
	const size_t first = (size_t)blockIdx.x * p.rows;
	double square = 0;

	for (int i = 0; i < p.rows; i++)
		for (int j = 0; j <= i; j++)
			square += (j < i ? 2 : 1) * row_dot(p.x, first + i, first + j, (size_t)p.inputs, room) *
			          row_dot(p.dy, first + i, first + j, (size_t)p.outputs, room);
	if (threadIdx.x == 0)
		sums[blockIdx.x] += square;
}

int ek_cuda_image_vectors(const ek_net_state *s, const ek_image_product *p)
{
	multiply_vectors<<<(unsigned)s->images, EK_IMAGE_BLOCK, 0, ek_cuda_stream()>>>(*p, s->image_sums);
	return ek_cuda_launched("the gradients of images");
}

template <int V>
static __global__ void __launch_bounds__(EK_IMAGE_BLOCK)
	add_dots(double *sums, ek_cuda_view a, ek_cuda_view b, const float *added, unsigned columns, size_t image)
{
	__shared__ double room[32];
	double sum = 0;

	for (size_t j = V * threadIdx.x; j < image; j += V * EK_IMAGE_BLOCK) {
		float x[V], y[V], z[V] = {}, some = 0;

		if constexpr (V == 8) {
			ek_get8(x, a, blockIdx.x * image + j);
			ek_get8(y, b, blockIdx.x * image + j);
		} else {
			x[0] = ek_get(a, blockIdx.x * image + j);
			y[0] = ek_get(b, blockIdx.x * image + j);
		}
		for (int i = 0; i < V && added != NULL; i++)
			z[i] = added[(unsigned)j % columns + i];
		for (int i = 0; i < V; i++)
			some += x[i] * (y[i] + z[i]);
		sum += (double)some;
	}
	sum = ek_block_sum(sum, room);
	if (threadIdx.x == 0)
		sums[blockIdx.x] += sum;
}

int ek_cuda_image_dot(const ek_net_state *s, const ek_cuda_view &a, const ek_cuda_view &b, const float *added,
                      size_t rows, size_t columns)
{
	const unsigned blocks = (unsigned)s->images;
	double *sums = s->image_sums + s->images;

	if (ek_cuda_by_eights(a, columns) && ek_cuda_by_eights(b, columns))
		add_dots<8><<<blocks, EK_IMAGE_BLOCK, 0, ek_cuda_stream()>>>(sums, a, b, added, (unsigned)columns,
		                                                             rows * columns);
	else
		add_dots<1><<<blocks, EK_IMAGE_BLOCK, 0, ek_cuda_stream()>>>(sums, a, b, added, (unsigned)columns,
		                                                             rows * columns);
	return ek_cuda_launched("the gradients of images");
}
