/*
 * Products of grams (images_cuda.h) on Hopper, by wgmma: two groups of warps have 64 rows by 128 columns each of both
 * products. Built for sm_90a alone.
 */
#include "train/nn/ops/images_cuda.h"
#include "train/nn/ops/multiply_hopper.h"
#include "train/nn/ops/tensor_cuda.h"

enum { THREADS = 256, GROUP = 128, STAGES = 6, LINE = 2 * EK_GRAM_DEPTH, TILE = EK_GRAM_SIDE * LINE };
enum { ALIGNMENT = 1024, ROOM = STAGES * 2 * TILE + ALIGNMENT };

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
			show_copies();
			__syncthreads();
			fetch(c + STAGES - 2);
			multiplied_from_here();
#pragma unroll
			for (int deep = 0; deep < EK_GRAM_DEPTH / 16; deep++)
				multiply_behind<EK_GRAM_SIDE, false>(sum[which], a + 2 * deep, b + 2 * deep,
				                                     i + deep > 0);
			multiply_marked();
			products_wait<1>();
		}
	settle_sums(sum[0]);
	settle_sums(sum[1]);
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
