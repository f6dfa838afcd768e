// The kernels of moments_cuda.h: products in float64 on the tensor cores, tiles of 64 x 64 a block of four warps.
#include "train/nn/moments_cuda.h"

namespace
{

constexpr int TILE = 64, DEEP = 16, THREADS = 128, STRIDE = TILE + 4; // 4 lanes of depth lie in different banks
constexpr int EACH = TILE * DEEP / THREADS;

struct tiles {
	double a[DEEP][STRIDE], b[DEEP][STRIDE];
};

// A warp's 32 x 32: four by four products of 8 x 8.
struct part {
	double d[4][4][2];
};

__device__ void multiply(part &p, const tiles &t)
{
	const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	const int row = warp / 2 * 32 + lane / 4, column = warp % 2 * 32 + lane / 4;

#pragma unroll
	for (int k = 0; k < DEEP; k += 4) {
		double a[4], b[4];

#pragma unroll
		for (int i = 0; i < 4; i++) {
			a[i] = t.a[k + lane % 4][row + 8 * i];
			b[i] = t.b[k + lane % 4][column + 8 * i];
		}
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, "
				             "{%0, %1};"
				             : "+d"(p.d[i][j][0]), "+d"(p.d[i][j][1])
				             : "d"(a[i]), "d"(b[j]));
	}
}

// A tile of the lower triangle: row and column of tiles.
__device__ int2 triangle(int block)
{
	int row = (int)((sqrtf(8.0F * (float)block + 1) - 1) / 2);

	while ((row + 1) * (row + 2) / 2 <= block)
		row++;
	while (row * (row + 1) / 2 > block)
		row--;
	return { row, block - row * (row + 1) / 2 };
}

// Dimensions from `first` on of DEEP rows from `from` on.
__device__ void read_moved(double (&out)[EACH], const float *x, const double *mean, const double *scale, uint64_t from,
                           uint64_t rows, size_t first, size_t d)
{
	const size_t j = first + threadIdx.x % TILE;
	const double at = mean != nullptr && j < d ? mean[j] : 0;

#pragma unroll
	for (int i = 0; i < EACH; i++) {
		const uint64_t row = from + threadIdx.x / TILE + i * (THREADS / TILE);
		const bool there = row < rows && j < d;

		out[i] = there ? (scale != nullptr ? scale[row] : 1) * ((double)x[row * d + j] - at) : 0;
	}
}

__global__ void __launch_bounds__(THREADS)
	outer(double *out, const float *x, const double *mean, const double *scale, uint64_t rows, size_t d)
{
	__shared__ tiles t;
	const int2 tile = triangle(blockIdx.x);
	const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, in = threadIdx.x % TILE, deep = threadIdx.x / TILE;
	double a[EACH], b[EACH];
	part p = {};

	read_moved(a, x, mean, scale, 0, rows, (size_t)tile.x * TILE, d);
	read_moved(b, x, mean, scale, 0, rows, (size_t)tile.y * TILE, d);
	for (uint64_t from = 0; from < rows; from += DEEP) {
		__syncthreads();
#pragma unroll
		for (int i = 0; i < EACH; i++) {
			t.a[deep + i * (THREADS / TILE)][in] = a[i];
			t.b[deep + i * (THREADS / TILE)][in] = b[i];
		}
		__syncthreads();
		read_moved(a, x, mean, scale, from + DEEP, rows, (size_t)tile.x * TILE, d);
		read_moved(b, x, mean, scale, from + DEEP, rows, (size_t)tile.y * TILE, d);
		multiply(p, t);
	}
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			for (int e = 0; e < 2; e++) {
				const size_t row = (size_t)tile.x * TILE + warp / 2 * 32 + 8 * i + lane / 4;
				const size_t column = (size_t)tile.y * TILE + warp % 2 * 32 + 8 * j + lane % 4 * 2 + e;

				if (row < d && column <= row)
					out[row * d + column] += p.d[i][j][e];
			}
}

// TILE rows from `first` on, DEEP dimensions from `from` on.
__device__ void read_across(double (&out)[EACH], const float *x, size_t first, size_t count, size_t from, size_t d)
{
	const size_t k = from + threadIdx.x % DEEP;

#pragma unroll
	for (int i = 0; i < EACH; i++) {
		const size_t row = first + threadIdx.x / DEEP + i * (THREADS / DEEP);

		out[i] = row < count && k < d ? (double)x[row * d + k] : 0;
	}
}

__device__ double sum_of_block(double value)
{
	__shared__ double sums[THREADS / 32];

	for (int other = 16; other > 0; other /= 2)
		value += __shfl_xor_sync(0xffffffffu, value, other);
	if (threadIdx.x % 32 == 0)
		sums[threadIdx.x / 32] = value;
	__syncthreads();
	return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

__global__ void __launch_bounds__(THREADS)
	kernel_sums(double *partial, const float *x, const float *y, size_t count, size_t d, int columns)
{
	__shared__ tiles t;
	const int2 tile =
		y == nullptr ? triangle(blockIdx.x) : int2{ (int)blockIdx.x / columns, (int)blockIdx.x % columns };
	const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, in = threadIdx.x / DEEP, deep = threadIdx.x % DEEP;
	const float *other = y == nullptr ? x : y;
	double a[EACH], b[EACH], sum = 0;
	part p = {};

	for (size_t from = 0; from < d; from += DEEP) {
		read_across(a, x, (size_t)tile.x * TILE, count, from, d);
		read_across(b, other, (size_t)tile.y * TILE, count, from, d);
		__syncthreads();
#pragma unroll
		for (int i = 0; i < EACH; i++) {
			t.a[deep][in + i * (THREADS / DEEP)] = a[i];
			t.b[deep][in + i * (THREADS / DEEP)] = b[i];
		}
		__syncthreads();
		multiply(p, t);
	}
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			for (int e = 0; e < 2; e++) {
				const size_t row = (size_t)tile.x * TILE + warp / 2 * 32 + 8 * i + lane / 4;
				const size_t column = (size_t)tile.y * TILE + warp % 2 * 32 + 8 * j + lane % 4 * 2 + e;
				const double value = p.d[i][j][e] / (double)d + 1;

				if (row < count && column < count && (y != nullptr || column < row))
					sum += value * value * value;
			}
	sum = sum_of_block(sum);
	if (threadIdx.x == 0)
		partial[blockIdx.x] = y != nullptr ? sum : 2 * sum;
}

size_t tiles_of(size_t count)
{
	return (count + TILE - 1) / TILE;
}

} // namespace

void ek_moments_outer(double *out, const float *x, const double *mean, const double *scale, uint64_t rows, size_t d,
                      cudaStream_t stream)
{
	outer<<<(unsigned)(tiles_of(d) * (tiles_of(d) + 1) / 2), THREADS, 0, stream>>>(out, x, mean, scale, rows, d);
}

size_t ek_moments_blocks(size_t count, int self)
{
	return self ? tiles_of(count) * (tiles_of(count) + 1) / 2 : tiles_of(count) * tiles_of(count);
}

void ek_moments_kernel(double *partial, const float *x, const float *y, size_t count, size_t d, cudaStream_t stream)
{
	kernel_sums<<<(unsigned)ek_moments_blocks(count, y == nullptr), THREADS, 0, stream>>>(partial, x, y, count, d,
	                                                                                      (int)tiles_of(count));
}
