#include "train/nn/store_cuda.h"

#include "train/nn/ops/op_cuda.h"

static __global__ void accumulate(float *sum, const float *x, size_t count)
{
	EK_CUDA_EACH(i, count)
	sum[i] += x[i];
}

extern "C" void ek_cuda_accumulate(float *sum, const float *x, size_t count)
{
	ek_cuda_enter();
	accumulate<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(sum, x, count);
	ek_cuda_note(cudaGetLastError());
}

/* One block a piece. */
static __global__ void square_piece(ek_cuda_piece *pieces, const float *x)
{
	__shared__ double shared[32];
	ek_cuda_piece *p = pieces + blockIdx.x;
	double sum = 0;

	for (size_t i = threadIdx.x; i < p->count; i += blockDim.x)
		sum += (double)x[p->first + i] * (double)x[p->first + i];
	sum = ek_block_sum(sum, shared);
	if (threadIdx.x == 0)
		p->squares = sum;
}

static __global__ void sum_pieces(double *total, const ek_cuda_piece *pieces, size_t count)
{
	__shared__ double shared[32];
	double sum = 0;

	for (size_t i = threadIdx.x; i < count; i += blockDim.x)
		sum += pieces[i].squares;
	sum = ek_block_sum(sum, shared);
	if (threadIdx.x == 0)
		*total = sum;
}

extern "C" int ek_cuda_sum_squares(double *total, struct ek_cuda_piece *pieces, size_t count, const float *x)
{
	if (count > 0)
		square_piece<<<(unsigned)count, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(pieces, x);
	sum_pieces<<<1, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(total, pieces, count);
	return ek_cuda_launched("the gradient's norm");
}

struct families {
	float *of[EK_FAMILIES];
};

static __global__ void adamw(families f, const ek_cuda_piece *pieces, ek_adamw_factors k)
{
	const ek_cuda_piece p = pieces[blockIdx.x];

	for (size_t i = p.first + threadIdx.x; i < p.first + p.count; i += blockDim.x) {
		const float g = f.of[EK_GRADIENTS][i] * k.gradient;
		const float first = f.of[EK_FIRST][i] * k.beta1 + g * k.fresh1;
		const float second = f.of[EK_SECOND][i] * k.beta2 + g * g * k.fresh2;
		float w = f.of[EK_VALUES][i] * k.decay;

		w -= first * (k.rate * k.inverse1) / (sqrtf(second) * k.root2 + k.epsilon);
		f.of[EK_FIRST][i] = first;
		f.of[EK_SECOND][i] = second;
		f.of[EK_VALUES][i] = w;
		f.of[EK_AVERAGE][i] = f.of[EK_AVERAGE][i] * k.average + w * k.fresh;
		f.of[EK_GRADIENTS][i] = 0;
	}
}

extern "C" int ek_cuda_adamw(float *const families_[EK_FAMILIES], const struct ek_cuda_piece *pieces, size_t count,
                             const struct ek_adamw_factors *factors)
{
	families f;

	for (int i = 0; i < EK_FAMILIES; i++)
		f.of[i] = families_[i];
	if (count > 0)
		adamw<<<(unsigned)count, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(f, pieces, *factors);
	return ek_cuda_launched("the optimiser's step");
}
