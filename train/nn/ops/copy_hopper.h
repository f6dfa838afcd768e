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
	             "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
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

/* The same to this place of the blocks of a cluster that `blocks` has a bit for, and to the barrier of each. */
static __device__ inline void bring_box_to(uint32_t to, const CUtensorMap *map, uint32_t barrier, int column, int row,
                                           int blocks)
{
	asm volatile(
		"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
		"[%1, {%3, %4}], [%2], %5;" ::"r"(to),
		"l"(map), "r"(barrier), "r"(column), "r"(row), "h"((short)blocks)
		: "memory");
}

/* So many bytes that lie together, a multiple of 16, at places that are. */
static __device__ inline void bring_bytes(uint32_t to, const void *from, int bytes, uint32_t barrier)
{
	asm volatile(
		"cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
		"l"(from), "r"(bytes), "r"(barrier)
		: "memory");
}

/* Four matrices of 8 × 8 to shared memory: lane i of the warp names row i % 8 of matrix i / 8. */
static __device__ inline void store_matrices(uint32_t row, const unsigned (&x)[4])
{
	asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(x[0]),
	             "r"(x[1]), "r"(x[2]), "r"(x[3])
	             : "memory");
}

/* The other way; what threads wrote is shown to the engine first. Boxes of a thread that were sent since the last mark
 * are one lot. */
static __device__ inline void send_box(const CUtensorMap *map, uint32_t from, int column, int row)
{
	asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
	             "r"(from), "r"(column), "r"(row)
	             : "memory");
}

static __device__ inline void boxes_marked(void)
{
	asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* All lots of this thread but the last LOTS have been read from shared memory. */
template <int LOTS> static __device__ inline void boxes_read(void)
{
	asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(LOTS) : "memory");
}

/* Pixels of images, from this one of those that the map names on, as they follow one another, further by `right` and
 * `down`; blocks: as bring_box_to, or 0. */
static __device__ inline void bring_pixels(uint32_t to, const CUtensorMap *map, uint32_t barrier, int channel, int x,
                                           int y, int image, int right, int down, int blocks)
{
	if (blocks == 0)
		asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], "
		             "[%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(to),
		             "l"(map), "r"(barrier), "r"(channel), "r"(x), "r"(y), "r"(image), "h"((short)right),
		             "h"((short)down)
		             : "memory");
	else
		asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
		             ".multicast::cluster [%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8}, %9;" ::"r"(to),
		             "l"(map), "r"(barrier), "r"(channel), "r"(x), "r"(y), "r"(image), "h"((short)right),
		             "h"((short)down), "h"((short)blocks)
		             : "memory");
}

/* The barrier at this place of another block of the cluster. */
static __device__ inline void arrive_at_block(uint32_t barrier, int block)
{
	asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
	             "mbarrier.arrive.shared::cluster.b64 _, [there];\n}\n" ::"r"(barrier),
	             "r"(block)
	             : "memory");
}

/* Of a cluster in one row. */
static __device__ inline int block_of_cluster(void)
{
	int rank;

	asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
	return rank;
}

/* All threads of a cluster, or of a block that is alone. */
static __device__ inline void meet_in_cluster(void)
{
	asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* Of a block, by number, from 1: so many threads in all come to it, some of whom do not wait. */
static __device__ inline void barrier_wait(int barrier, int threads)
{
	asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

static __device__ inline void barrier_arrive(int barrier, int threads)
{
	asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

/* Three groups of 128 threads once their barriers are started: the first of the last one brings what the two others
 * multiply, with so many registers a thread. A block does not leave while others of its cluster copy to it. */
template <int CLUSTER, int OF_BRINGER, int OF_MAKERS, class BRING, class MAKE>
static __device__ __forceinline__ void bring_and_make(int group, const BRING &bring, const MAKE &make)
{
	__syncthreads();
	if (CLUSTER > 1)
		meet_in_cluster();
	if (group == 2) {
		asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(OF_BRINGER));
		if (threadIdx.x == 2 * 128)
			bring();
	} else {
		asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(OF_MAKERS));
		make();
	}
	if (CLUSTER > 1) {
		__syncwarp();
		meet_in_cluster();
	}
}

/* KERNEL, whose blocks go from one to the next of so many tiles, each of a cluster of blocks: as many clusters as are
 * on the GPU at once, or as there are tiles, by `step`. bytes: of shared memory. */
template <auto KERNEL, class... GIVEN>
static inline int launch_clusters(int tiles, int step, int cluster, int threads, uint32_t bytes, const char *what,
                                  const GIVEN &...given)
{
	cudaLaunchConfig_t config = {};
	cudaLaunchAttribute size = {};
	static int at_once;
	int rc;

	EK_TRY(ek_cuda_check(cudaFuncSetAttribute(KERNEL, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
	                     what));
	size.id = cudaLaunchAttributeClusterDimension;
	size.val.clusterDim = { (unsigned)cluster, 1, 1 };
	config.gridDim = dim3((unsigned)cluster);
	config.blockDim = dim3((unsigned)threads);
	config.dynamicSmemBytes = bytes;
	config.stream = ek_cuda_stream();
	config.attrs = &size;
	config.numAttrs = 1;
	if (at_once == 0)
		EK_TRY(ek_cuda_check(cudaOccupancyMaxActiveClusters(&at_once, KERNEL, &config), what));
	config.gridDim.x = (unsigned)((tiles < at_once ? tiles : at_once) / step * step * cluster);
	EK_TRY(ek_cuda_check(cudaLaunchKernelEx(&config, KERNEL, given...), what));
out:
	return rc;
}

/* A function of the driver, which a program links with nothing for; or NULL. */
template <typename F> static inline F driver_function(const char *name)
{
	cudaDriverEntryPointQueryResult found;
	void *function = NULL;

	if (cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found) != cudaSuccess ||
	    found != cudaDriverEntryPointSuccess)
		return NULL;
	return (F)function;
}

static inline int encode_map(CUtensorMap *map, int rank, const void *x, const cuuint64_t *sizes,
                             const cuuint64_t *bytes, const cuuint32_t *box, CUtensorMapSwizzle swizzle)
{
	static const auto encode_tiled = driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
	const cuuint32_t steps[5] = { 1, 1, 1, 1, 1 };

	return encode_tiled != NULL &&
	       encode_tiled(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, (cuuint32_t)rank, const_cast<void *>(x), sizes,
	                    bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
	                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

/* Images [count, height, width, channels], of which `pixels` neighbours and 64 channels are brought at a time. Of each
 * line and column those are taken that are `first`, and each `step` from there on, `taken` of them; outside are zeros.
 * [0]: across, [1]: down. */
static inline int encode_images(CUtensorMap *map, const void *x, int count, const int size[2], int channels,
                                const int first[2], const int step[2], const int taken[2], int pixels)
{
	static const auto encode = driver_function<decltype(&cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
	const cuuint64_t line = (cuuint64_t)channels * 2;
	const cuuint64_t sizes[4] = { (cuuint64_t)channels, (cuuint64_t)size[0], (cuuint64_t)size[1],
		                      (cuuint64_t)count };
	const cuuint64_t bytes[3] = { line, line * (cuuint64_t)size[0],
		                      line * (cuuint64_t)size[0] * (cuuint64_t)size[1] };
	const cuuint32_t steps[4] = { 1, (cuuint32_t)step[0], (cuuint32_t)step[1], 1 };
	int end[2];

	for (int i = 0; i < 2; i++)
		end[i] = first[i] + (taken[i] - 1) * step[i] + 1 - size[i];
	return encode != NULL &&
	       encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<void *>(x), sizes, bytes, first, end, 64,
	              (cuuint32_t)pixels, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
	              CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#endif
