/*
 * Hopper's copy engine: boxes of a matrix to shared memory, and the barriers there that tell when they have come. For
 * files that are built for sm_90a alone. Internal to train/nn.
 */
#ifndef EK_NN_OPS_COPY_HOPPER_H
#define EK_NN_OPS_COPY_HOPPER_H

#include <cuda.h>

#include "train/nn/ops/op_cuda.h"

static __device__ inline void start_barrier(uint32_t barrier, int arrivals)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/* Until the phase of this parity is over. */
static __device__ inline void await_phase(uint32_t barrier, int parity)
{
	asm volatile("{\n.reg .pred over;\nAGAIN:\n"
	             "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 over, [%0], %1;\n"
	             "@over bra OVER;\nbra AGAIN;\nOVER:\n}\n" ::"r"(barrier),
	             "r"(parity)
	             : "memory");
}

static __device__ inline void arrive_at(uint32_t barrier)
{
	asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/* Arrives, and so many bytes are to come as well. */
static __device__ inline void expect_bytes(uint32_t barrier, uint32_t bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/* A box of a matrix, its first column and row, on its way; the barrier counts its bytes. */
static __device__ inline void bring_box(uint32_t to, const CUtensorMap *map, uint32_t barrier, int column, int row)
{
	asm volatile(
		"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], "
		"[%2];" ::"r"(to),
		"l"(map), "r"(barrier), "r"(column), "r"(row)
		: "memory");
}

typedef CUresult (*encoder)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                            const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                            CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* The driver's, which a program links with nothing for. */
static inline encoder find_encoder(void)
{
	cudaDriverEntryPointQueryResult found;
	void *function = NULL;

	if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found) !=
	            cudaSuccess ||
	    found != cudaDriverEntryPointSuccess)
		return NULL;
	return (encoder)function;
}

static inline int encode_map(CUtensorMap *map, int rank, const void *x, const cuuint64_t *sizes,
                             const cuuint64_t *bytes, const cuuint32_t *box, CUtensorMapSwizzle swizzle)
{
	static const encoder encode_tiled = find_encoder();
	const cuuint32_t steps[5] = { 1, 1, 1, 1, 1 };

	return encode_tiled != NULL &&
	       encode_tiled(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, (cuuint32_t)rank, const_cast<void *>(x), sizes,
	                    bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
	                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#endif
