#include "train/nn/store_cuda.h"

#include "train/nn/ops/op_cuda.h"

enum { PART = 1 << 13, PARTS = 8 };

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
	double sums[4] = {}, sum;

	for (size_t i = threadIdx.x; i < p->count; i += 4 * blockDim.x)
		for (size_t j = 0; j < 4; j++) {
			const size_t at = i + j * blockDim.x;
			const double one = at < p->count ? x[p->first + at] : 0;

			sums[j] += one * one;
		}
	sum = ek_block_sum(sums[0] + sums[1] + (sums[2] + sums[3]), shared);
	if (threadIdx.x == 0)
		p->squares = sum;
}

static __global__ void sum_pieces(ek_cuda_norm *norm, const ek_cuda_piece *pieces, size_t count, double clip)
{
	__shared__ double shared[32];
	double sum = 0;

	for (size_t i = threadIdx.x; i < count; i += blockDim.x)
		sum += pieces[i].squares;
	sum = ek_block_sum(sum, shared);
	if (threadIdx.x > 0)
		return;
	norm->squares = sum;
	sum = sqrt(sum) + 1e-6;
	norm->gradient = clip > 0 && clip < sum ? (float)(clip / sum) : 1; /* ek_store_scale */
}

extern "C" int ek_cuda_sum_squares(ek_cuda_norm *norm, struct ek_cuda_piece *pieces, size_t count, const float *x,
                                   double clip)
{
	if (count > 0)
		square_piece<<<(unsigned)count, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(pieces, x);
	sum_pieces<<<1, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(norm, pieces, count, clip);
	return ek_cuda_launched("the gradient's norm");
}

struct families {
	float *of[EK_FAMILIES];
};

/* COUNT numbers from i on, aligned to as many. */
template <int COUNT> static __device__ inline void adamw_at(const families &f, const ek_adamw_factors &k, size_t i)
{
	struct __align__(COUNT * 4) some
	{
		float x[COUNT];
	};
	some in[EK_FAMILIES], gradients = {};

	for (int family = 0; family < EK_FAMILIES; family++)
		in[family] = *(const some *)(f.of[family] + i);
	for (int j = 0; j < COUNT; j++) {
		const float g = in[EK_GRADIENTS].x[j] * k.gradient;
		const float first = in[EK_FIRST].x[j] * k.beta1 + g * k.fresh1;
		const float second = in[EK_SECOND].x[j] * k.beta2 + g * g * k.fresh2;
		float w = in[EK_VALUES].x[j] * k.decay;

		w -= first * (k.rate * k.inverse1) / (sqrtf(second) * k.root2 + k.epsilon);
		in[EK_FIRST].x[j] = first;
		in[EK_SECOND].x[j] = second;
		in[EK_VALUES].x[j] = w;
		in[EK_AVERAGE].x[j] = in[EK_AVERAGE].x[j] * k.average + w * k.fresh;
	}
	in[EK_GRADIENTS] = gradients;
	for (int family = 0; family < EK_FAMILIES; family++)
		*(some *)(f.of[family] + i) = in[family];
}

/* Each block some parts of a piece, by fours but for their ends. */
static __global__ void adamw(families f, const ek_cuda_piece *pieces, ek_adamw_factors k, const ek_cuda_norm *norm)
{
	const ek_cuda_piece p = pieces[blockIdx.x];
	const size_t last = p.first + p.count;

	if (!isfinite(norm->squares))
		return;
	k.gradient = norm->gradient;

	for (size_t begin = p.first + (size_t)blockIdx.y * PART; begin < last; begin += (size_t)gridDim.y * PART) {
		const size_t end = begin + PART < last ? begin + PART : last;
		const size_t first = (begin + 3) / 4 * 4 < end ? (begin + 3) / 4 * 4 : end;

		if (begin + threadIdx.x < first)
			adamw_at<1>(f, k, begin + threadIdx.x);
		for (size_t i = first + 4 * threadIdx.x; i < end; i += 4 * blockDim.x)
			if (i + 4 <= end)
				adamw_at<4>(f, k, i);
			else
				for (size_t j = i; j < end; j++)
					adamw_at<1>(f, k, j);
	}
}

extern "C" int ek_cuda_adamw(float *const families_[EK_FAMILIES], const struct ek_cuda_piece *pieces, size_t count,
                             const struct ek_adamw_factors *factors, const ek_cuda_norm *norm)
{
	families f;

	for (int i = 0; i < EK_FAMILIES; i++)
		f.of[i] = families_[i];
	if (count > 0)
		adamw<<<dim3((unsigned)count, PARTS), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(f, pieces, *factors, norm);
	return ek_cuda_launched("the optimiser's step");
}
