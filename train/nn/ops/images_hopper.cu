/*
 * Products of grams (images_cuda.h) on Hopper, by wgmma: two groups of warps have 64 rows by 128 columns each of both
 * products. Built for sm_90a alone.
 */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/tensor_cuda.h"

typedef __nv_bfloat16 bf16;

enum { THREADS = 256, GROUP = 128, STAGES = 6, LINE = 2 * EK_GRAM_DEPTH, TILE = EK_GRAM_SIDE * LINE };
enum { ALIGNMENT = 1024, ROOM = STAGES * 2 * TILE + ALIGNMENT };

/* Of a tile of 128-byte rows in the swizzle of that width; eight rows are 1,024 bytes. */
static __device__ inline uint64_t describe(uint32_t address)
{
	return (uint64_t)((address & 0x3ffff) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 |
	       (uint64_t)1 << 62;
}

/* d = d keep + a b', 64 rows by 128 columns, 16 deep. */
static __device__ inline void multiply_wide(float (&d)[64], uint64_t a, uint64_t b, int keep)
{
	asm volatile("{\n"
	             ".reg .pred keep;\n"
	             "setp.ne.b32 keep, %66, 0;\n"
	             "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
	             "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
	             "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
	             "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
	             "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
	             "%64, %65, keep, 1, 1, 0, 0;\n"
	             "}\n"
	             : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
	               "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]),
	               "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]),
	               "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]),
	               "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
	               "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]), "+f"(d[42]),
	               "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]), "+f"(d[49]),
	               "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), "+f"(d[56]),
	               "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
	             : "l"(a), "l"(b), "r"(keep));
}

/* One lot of products may run on while the next is begun: its stage is filled again one chunk later. */
static __global__ void __launch_bounds__(THREADS, 1) multiply_grams(ek_image_gram g)
{
	extern __shared__ __align__(128) unsigned char memory[];
	const uint32_t start = (uint32_t)__cvta_generic_to_shared(memory);
	const uint32_t room = (start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, group = threadIdx.x / GROUP;
	float sum[2][64];
	double square = 0;
	int first[2], c = 0;

	ek_gram_pair(first, blockIdx.x);
	auto fetch = [&](int chunk) {
		unsigned char *stage = memory + (room - start) + chunk % STAGES * 2 * TILE;

		ek_gram_fetch(g, chunk, first, [&](int tile, int line, int piece, const bf16 *from, bool wanted) {
			copy_behind(stage + tile * TILE + line * LINE + (piece ^ line % 8) * 16, from, wanted);
		});
		copies_marked();
	};
	for (int i = 0; i < STAGES - 2; i++)
		fetch(i);
#pragma unroll
	for (int which = 0; which < 2; which++)
		for (int i = 0; i < ek_gram_chunks(g, which); i++, c++) {
			const uint32_t stage = room + (uint32_t)(c % STAGES) * 2 * TILE;
			const uint64_t a = describe(stage + group * (EK_GRAM_SIDE / 2) * LINE);
			const uint64_t b = describe(stage + (first[0] == first[1] ? 0 : TILE));

			copies_wait<STAGES - 3>();
			asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
			__syncthreads();
			fetch(c + STAGES - 2);
			asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
			for (int deep = 0; deep < EK_GRAM_DEPTH / 16; deep++)
				multiply_wide(sum[which], a + 2 * deep, b + 2 * deep, i + deep > 0);
			asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
			asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
		}
	asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
	for (int i = 0; i < 128; i++)
		asm volatile("" : "+f"(sum[i / 64][i % 64])::"memory");
#pragma unroll
	for (int i = 0; i < 64; i += 4)
		square += ek_gram_part(g, sum[0] + i, sum[1] + i);
	ek_gram_finish(g, first, square);
}

cudaError_t ek_cuda_gram_hopper(const ek_image_gram *g, unsigned pairs, unsigned images, cudaStream_t stream)
{
	const cudaError_t error =
		cudaFuncSetAttribute((const void *)multiply_grams, cudaFuncAttributeMaxDynamicSharedMemorySize, ROOM);

	if (error == cudaSuccess)
		multiply_grams<<<dim3(pairs, images), THREADS, ROOM, stream>>>(*g);
	return error != cudaSuccess ? error : cudaGetLastError();
}
