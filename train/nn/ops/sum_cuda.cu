/* Sums over rows: each block adds up one stripe of rows for 32 columns, or 32 times 8, then the stripes are added in a
 * fixed order. Stripes are longer where there would be many of them. */
#include "train/nn/ops/op_cuda.h"

enum { COLUMNS = 32, LANES = 8, MANY = 32, ROWS = 256, AT_ONCE = 8, STRIPES = 1024 };

/* A multiple of ROWS. */
static size_t rows_of_stripe(size_t rows)
{
	return rows <= (size_t)ROWS * STRIPES ? (size_t)ROWS : (rows + ROWS * STRIPES - 1) / (ROWS * STRIPES) * ROWS;
}

static size_t stripes_of(size_t rows)
{
	return (rows + rows_of_stripe(rows) - 1) / rows_of_stripe(rows);
}

size_t ek_cuda_add_rows_scratch(size_t rows, size_t columns)
{
	return stripes_of(rows) * columns * sizeof(float);
}

/* sum += 8 numbers that lie as bf16. */
static __device__ inline void add_eight(float sum[8], uint4 raw)
{
	const unsigned pairs[4] = { raw.x, raw.y, raw.z, raw.w };

	for (int j = 0; j < 4; j++) {
		sum[2 * j] += __uint_as_float(pairs[j] << 16);
		sum[2 * j + 1] += __uint_as_float(pairs[j] & 0xffff0000U);
	}
}

/* The sums of a block's lanes, in order, to its stripe's part. */
template <int VEC>
static __device__ inline void give(float *parts, float (*shared)[COLUMNS][VEC + (VEC > 1)], float sum[VEC],
                                   size_t column, size_t columns)
{
	for (int j = 0; j < VEC; j++)
		shared[threadIdx.y][threadIdx.x][j] = sum[j];
	__syncthreads();
	if (threadIdx.y > 0 || column >= columns)
		return;
	for (int j = 0; j < VEC; j++) {
		for (int i = 1; i < LANES; i++)
			sum[j] += shared[i][threadIdx.x][j];
		parts[blockIdx.y * columns + column + j] = sum[j];
	}
}

/* VEC: 1 or 8 columns a thread. */
template <int VEC>
static __global__ void add_stripes(float *parts, ek_cuda_view x, size_t rows, size_t each, size_t columns)
{
	__shared__ float shared[LANES][COLUMNS][VEC + (VEC > 1)];
	const size_t column = ((size_t)blockIdx.x * COLUMNS + threadIdx.x) * VEC, first = (size_t)blockIdx.y * each;
	const size_t end = first + each < rows ? first + each : rows;
	float sum[VEC] = {};

	if (column < columns)
		for (size_t i = first + threadIdx.y; i < end; i += LANES) {
			float some[VEC];

			if constexpr (VEC == 8)
				ek_get8(some, x, i * columns + column);
			else
				some[0] = ek_get(x, i * columns + column);
			for (int j = 0; j < VEC; j++)
				sum[j] += some[j];
		}
	give<VEC>(parts, shared, sum, column, columns);
}

/* The same of bf16, whole stripes: loads go out together. */
static __global__ void add_whole_stripes(float *parts, const __nv_bfloat16 *x, int each, size_t columns)
{
	__shared__ float shared[LANES][COLUMNS][9];
	const size_t column = ((size_t)blockIdx.x * COLUMNS + threadIdx.x) * 8;
	const __nv_bfloat16 *from = x + ((size_t)blockIdx.y * (size_t)each + threadIdx.y) * columns + column;
	float sum[8] = {};

	if (column < columns)
		for (int i = 0; i < each / LANES; i += AT_ONCE) {
			uint4 raw[AT_ONCE];

#pragma unroll
			for (int k = 0; k < AT_ONCE; k++)
				raw[k] = *(const uint4 *)(from + (size_t)(i + k) * LANES * columns);
#pragma unroll
			for (int k = 0; k < AT_ONCE; k++)
				add_eight(sum, raw[k]);
		}
	give<8>(parts, shared, sum, column, columns);
}

static __global__ void __launch_bounds__(COLUMNS *MANY)
	add_parts(float *sum, const float *parts, size_t stripes, size_t columns)
{
	__shared__ float shared[MANY][COLUMNS];
	const size_t column = (size_t)blockIdx.x * COLUMNS + threadIdx.x;
	float all = 0;

	if (column < columns)
#pragma unroll 4
		for (size_t i = threadIdx.y; i < stripes; i += MANY)
			all += parts[i * columns + column];
	shared[threadIdx.y][threadIdx.x] = all;
	__syncthreads();
	if (threadIdx.y > 0 || column >= columns)
		return;
	for (int i = 1; i < MANY; i++)
		all += shared[i][threadIdx.x];
	sum[column] += all;
}

int ek_cuda_add_parts(float *sum, const float *parts, size_t rows, size_t columns)
{
	add_parts<<<(unsigned)((columns + COLUMNS - 1) / COLUMNS), dim3(COLUMNS, MANY), 0, ek_cuda_stream()>>>(
		sum, parts, rows, columns);
	return ek_cuda_launched("a sum of parts");
}

int ek_cuda_add_rows(float *sum, const ek_cuda_view &x, size_t rows, size_t columns, void *scratch)
{
	const int eights = ek_cuda_by_eights(x, columns);
	const size_t wide = COLUMNS * (eights ? 8 : 1), each = rows_of_stripe(rows);
	const dim3 blocks((unsigned)((columns + wide - 1) / wide), (unsigned)stripes_of(rows)), threads(COLUMNS, LANES);
	float *parts = (float *)scratch;

	if (eights && x.bf16 && rows % each == 0)
		add_whole_stripes<<<blocks, threads, 0, ek_cuda_stream()>>>(parts, (const __nv_bfloat16 *)x.x,
		                                                            (int)each, columns);
	else if (eights)
		add_stripes<8><<<blocks, threads, 0, ek_cuda_stream()>>>(parts, x, rows, each, columns);
	else
		add_stripes<1><<<blocks, threads, 0, ek_cuda_stream()>>>(parts, x, rows, each, columns);
	return ek_cuda_add_parts(sum, parts, stripes_of(rows), columns);
}
