/* Sums over rows: each block adds up one stripe of rows for 32 columns, or 32 times 8, then the stripes are added in
 * order. */
#include "train/nn/ops/op_cuda.h"

enum { COLUMNS = 32, LANES = 8, ROWS = 512 };

static size_t stripes_of(size_t rows)
{
	return (rows + ROWS - 1) / ROWS;
}

size_t ek_cuda_add_rows_scratch(size_t rows, size_t columns)
{
	return stripes_of(rows) * columns * sizeof(float);
}

/* VEC: 1 or 8 columns a thread. */
template <int VEC> static __global__ void add_stripes(float *parts, ek_cuda_view x, size_t rows, size_t columns)
{
	__shared__ float shared[LANES][COLUMNS][VEC + (VEC > 1)];
	const size_t column = ((size_t)blockIdx.x * COLUMNS + threadIdx.x) * VEC, first = (size_t)blockIdx.y * ROWS;
	const size_t end = first + ROWS < rows ? first + ROWS : rows;
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

static __global__ void add_parts(float *sum, const float *parts, size_t stripes, size_t columns)
{
	EK_CUDA_EACH(j, columns)
	{
		float all = 0;

		for (size_t i = 0; i < stripes; i++)
			all += parts[i * columns + j];
		sum[j] += all;
	}
}

int ek_cuda_add_rows(float *sum, const ek_cuda_view &x, size_t rows, size_t columns, void *scratch)
{
	const int eights = ek_cuda_by_eights(x, columns);
	const size_t wide = COLUMNS * (eights ? 8 : 1);
	const dim3 blocks((unsigned)((columns + wide - 1) / wide), (unsigned)stripes_of(rows)), threads(COLUMNS, LANES);
	float *parts = (float *)scratch;

	if (eights)
		add_stripes<8><<<blocks, threads, 0, ek_cuda_stream()>>>(parts, x, rows, columns);
	else
		add_stripes<1><<<blocks, threads, 0, ek_cuda_stream()>>>(parts, x, rows, columns);
	add_parts<<<ek_cuda_blocks(columns), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(sum, parts, stripes_of(rows),
	                                                                           columns);
	return ek_cuda_launched("a sum over rows");
}
