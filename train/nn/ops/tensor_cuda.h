/* The instructions of compute capability 8.0 behind products of bfloat16: copies past the registers, and matrices of a
 * warp. Internal to train/nn. */
#ifndef EK_NN_OPS_TENSOR_CUDA_H
#define EK_NN_OPS_TENSOR_CUDA_H

#include "train/nn/ops/op_cuda.h"

/* 16 bytes to shared memory, in the background; zeros if not `wanted`, `from` being any address then. */
static __device__ inline void copy_behind(void *shared, const void *from, bool wanted)
{
	asm volatile(
		"cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"((unsigned)__cvta_generic_to_shared(shared)),
		"l"(from), "r"(wanted ? 16 : 0));
}

/* The same of what this block, or another of the multiprocessor, reads again soon. */
static __device__ inline void copy_cached(void *shared, const void *from, bool wanted)
{
	asm volatile(
		"cp.async.ca.shared.global [%0], [%1], 16, %2;\n" ::"r"((unsigned)__cvta_generic_to_shared(shared)),
		"l"(from), "r"(wanted ? 16 : 0));
}

/* least … most; NaN stays. */
static __device__ inline float clamped(float x, float least, float most)
{
	asm("max.NaN.f32 %0, %0, %1;\nmin.NaN.f32 %0, %0, %2;" : "+f"(x) : "f"(least), "f"(most));
	return x;
}

/* What was copied since the last mark is one lot. */
static __device__ inline void copies_marked(void)
{
	asm volatile("cp.async.commit_group;\n" ::);
}

/* Wait for all lots of this thread but the last LOTS. */
template <int LOTS> static __device__ inline void copies_wait(void)
{
	asm volatile("cp.async.wait_group %0;\n" ::"n"(LOTS));
}

/* Four matrices of 8 × 8, of which lane l gives the address of row l % 8 of matrix l / 8; turned: transposed. */
static __device__ inline void load_matrices(unsigned (&to)[4], uint32_t row)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
	             : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
	             : "r"(row));
}

static __device__ inline void load_matrices(unsigned (&to)[4], const void *row)
{
	load_matrices(to, (uint32_t)__cvta_generic_to_shared(row));
}

static __device__ inline void load_turned(unsigned (&to)[4], const void *row)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
	             : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
	             : "r"((unsigned)__cvta_generic_to_shared(row)));
}

/* sum [16, 8] += a [16, 16] · b [16, 8] */
static __device__ inline void multiply(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
	             "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
	             : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
