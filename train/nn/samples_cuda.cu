/* Samples that a solver moves, on a GPU: the formulas are the processor's. */
#include "train/nn/ops/op_cuda.h"
#include "train/nn/ops/random_cuda.h"

extern "C" {
#include "train/nn/samples_internal.h"
}

static __global__ void move_all(ek_samples s, ek_move move, size_t count)
{
	EK_CUDA_EACH(i, count)
	ek_move_number(&s, &move, i);
}

extern "C" int ek_cuda_move(const struct ek_samples *s, const struct ek_move *move)
{
	const size_t count = ek_samples_size(s);

	ek_cuda_enter();
	move_all<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(*s, *move, count);
	return ek_cuda_launched("a step of samples");
}

static __global__ void make_normals(double *out, const uint64_t *seeds, uint64_t stream, uint64_t step, size_t elements,
                                    size_t count)
{
	EK_CUDA_EACH(i, count)
	out[i] = ek_cuda_normal(seeds[i / elements], stream, step * elements + i % elements);
}

extern "C" int ek_cuda_normals(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step)
{
	const size_t count = ek_samples_size(s);

	ek_cuda_enter();
	make_normals<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(out, s->seeds, stream, step,
	                                                                            s->pixels * s->channels, count);
	return ek_cuda_launched("the noise of samples");
}
