/* The gradient of a convolution's weights on Hopper, by wgmma: two groups of warps make 64 outputs each. Built for
 * sm_90a alone. */
#include "train/nn/ops/conv_weights_tile_cuda.h"
#include "train/nn/ops/multiply_hopper.h"

enum { STAGES = 3, GROUP = 128 };

template <int COLUMNS> struct room {
	static constexpr int NUMBERS = (ROWS + COLUMNS) * DEPTH;
	static constexpr size_t BYTES = STAGES * NUMBERS * sizeof(bf16) + 1024; /* rooms begin at multiples of 1,024 */
};

template <int COLUMNS>
static __device__ inline void multiply_room(float (&sums)[COLUMNS / 2], const bf16 *room, int keep)
{
	const unsigned apart = DEPTH * DEPTH * sizeof(bf16), sixteen = 16 * DEPTH * sizeof(bf16) >> 4;
	const uint64_t a = describe(room + threadIdx.x / GROUP * DEPTH * DEPTH, apart);
	const uint64_t b = describe(room + ROWS * DEPTH, apart);

	multiplied_from_here();
#pragma unroll
	for (unsigned deep = 0; deep < DEPTH / 16; deep++)
		multiply_behind<COLUMNS, true>(sums, a + deep * sixteen, b + deep * sixteen, keep + (int)deep > 0);
	multiply_marked();
}

template <int COLUMNS>
static __device__ inline void write_sums(float *to, const struct product &p, const float (&sums)[COLUMNS / 2],
                                         unsigned first, unsigned left)
{
	const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;

#pragma unroll
	for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const int output = (int)(first + warp * 16 + half * 8 + lane / 4);
			const int column = (int)(left + 8 * j + lane % 4 * 2);

			if (output < p.out && column < p.depth)
				*(float2 *)&to[(size_t)output * p.depth + column] =
					make_float2(sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]);
		}
}

template <int COLUMNS>
static __global__ void __launch_bounds__(EK_THREADS, 2)
	weigh_low(float *sums_of, const __grid_constant__ struct product p, const bf16 *x, const bf16 *dy,
                  struct parts t)
{
	constexpr int NUMBERS = room<COLUMNS>::NUMBERS;
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = first_room(memory);
	const unsigned first = blockIdx.x / t.across * ROWS, left = blockIdx.x % t.across * COLUMNS;
	const unsigned start = blockIdx.y * t.pixels, end = min(start + t.pixels, (unsigned)p.rows);
	const int lots = (int)((end - start + DEPTH - 1) / DEPTH);
	const struct column mine = column_of(p, left + threadIdx.x % (COLUMNS / 8) * 8);
	float sums[COLUMNS / 2];

	for (int i = 0; i < STAGES - 1; i++) {
		bf16 *room = rooms + i * NUMBERS;

		if (i < lots) {
			read_outputs<true>(room, dy, p, first, start + i * DEPTH, end);
			read_inputs<COLUMNS, true>(room + ROWS * DEPTH, x, p, mine, start + i * DEPTH, end);
		}
		copies_marked();
	}
	for (int i = 0; i < lots; i++) {
		const unsigned pixel = start + (i + STAGES - 1) * DEPTH;
		bf16 *next = rooms + (i + STAGES - 1) % STAGES * NUMBERS;

		copies_wait<STAGES - 2>();
		if (i > 0)
			settle_sums(sums); /* nobody reads the room before this one any more, which is the next to be
			                      filled */
		show_copies();
		__syncthreads();
		multiply_room<COLUMNS>(sums, rooms + i % STAGES * NUMBERS, i);
		if (i + STAGES - 1 < lots) {
			read_outputs<true>(next, dy, p, first, pixel, end);
			read_inputs<COLUMNS, true>(next + ROWS * DEPTH, x, p, mine, pixel, end);
		}
		copies_marked();
	}
	settle_sums(sums);
	write_sums<COLUMNS>(sums_of + ((size_t)blockIdx.y * p.groups + blockIdx.z) * p.out * p.depth, p, sums, first,
	                    left);
}

template <int COLUMNS>
static void launch(float *sums, const struct product *p, const void *x, const void *dy, const struct parts *t)
{
	static const cudaError_t roomy = cudaFuncSetAttribute(
		weigh_low<COLUMNS>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)room<COLUMNS>::BYTES);

	ek_cuda_note(roomy);
	EK_LAUNCH(weigh_low<COLUMNS>, dim3(t->down * t->across, t->count, (unsigned)p->groups), EK_THREADS,
	          room<COLUMNS>::BYTES, sums, *p, (const bf16 *)x, (const bf16 *)dy, *t);
}

void ek_cuda_conv_weights_hopper(float *sums, const struct product *p, const void *x, const void *dy,
                                 const struct parts *t)
{
	if (t->columns == 64)
		launch<64>(sums, p, x, dy, t);
	else
		launch<128>(sums, p, x, dy, t);
}
