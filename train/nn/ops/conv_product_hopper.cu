/*
 * The bfloat16 products of convolutions on Hopper, by wgmma: two groups of warps make 64 pixels each, by as many
 * channels as divide what is wanted best. Built for sm_90a alone.
 */
#include "train/nn/ops/conv_tile_cuda.h"

enum { MOST_COLUMNS = 128, EACH_COLUMNS = 16, GROUP = 128 };

/* Of a tile of 128-byte rows in the order of their pieces that the instruction calls its 128-byte swizzle; eight rows
 * are 1,024 bytes. */
static __device__ inline uint64_t describe(const bf16 *tile)
{
	const uint64_t address = (uint64_t)__cvta_generic_to_shared(tile);

	return (address & 0x3ffff) >> 4 | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}

/* sums [64, COLUMNS] = sums · keep + a [64, 16] · b' [COLUMNS, 16], in the background. */
template <int COLUMNS>
static __device__ void multiply_behind(float (&sums)[COLUMNS / 2], uint64_t a, uint64_t b, int keep);

#define EIGHT(a)                                                                                                       \
	"+f"(d[a]), "+f"(d[a + 1]), "+f"(d[a + 2]), "+f"(d[a + 3]), "+f"(d[a + 4]), "+f"(d[a + 5]), "+f"(d[a + 6]),    \
		"+f"(d[a + 7])
#define NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define NAMES_32 NAMES_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_48 NAMES_32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define NAMES_64 NAMES_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_80 NAMES_64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define NAMES_96 NAMES_80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define NAMES_112 NAMES_96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define NAMES_128 NAMES_112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define SUMS_16 EIGHT(0)
#define SUMS_32 SUMS_16, EIGHT(8)
#define SUMS_48 SUMS_32, EIGHT(16)
#define SUMS_64 SUMS_48, EIGHT(24)
#define SUMS_80 SUMS_64, EIGHT(32)
#define SUMS_96 SUMS_80, EIGHT(40)
#define SUMS_112 SUMS_96, EIGHT(48)
#define SUMS_128 SUMS_112, EIGHT(56)

#define MULTIPLY(columns, a_name, b_name, keep_name)                                                                   \
	template <>                                                                                                    \
	__device__ inline void multiply_behind<columns>(float(&d)[columns / 2], uint64_t a, uint64_t b, int keep)      \
	{                                                                                                              \
		asm volatile("{\n"                                                                                     \
		             ".reg .pred keep;\n"                                                                      \
		             "setp.ne.b32 keep, " keep_name ", 0;\n"                                                   \
		             "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" NAMES_##columns        \
		             "}, " a_name ", " b_name ", keep, 1, 1, 0, 0;\n"                                          \
		             "}\n"                                                                                     \
		             : SUMS_##columns                                                                          \
		             : "l"(a), "l"(b), "r"(keep));                                                             \
	}

MULTIPLY(16, "%8", "%9", "%10")
MULTIPLY(32, "%16", "%17", "%18")
MULTIPLY(48, "%24", "%25", "%26")
MULTIPLY(64, "%32", "%33", "%34")
MULTIPLY(80, "%40", "%41", "%42")
MULTIPLY(96, "%48", "%49", "%50")
MULTIPLY(112, "%56", "%57", "%58")
MULTIPLY(128, "%64", "%65", "%66")

/* What was multiplied is in the sums from here on. */
template <int COUNT> static __device__ inline void settle_sums(float (&sums)[COUNT])
{
	asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
	for (int i = 0; i < COUNT; i++)
		asm volatile("" : "+f"(sums[i])::"memory");
}

template <int COLUMNS, int STAGES> struct room {
	static constexpr int NUMBERS = (ROWS + COLUMNS) * DEPTH;
	static constexpr size_t TILE = ROWS * (COLUMNS + GAP) * sizeof(float);
	static constexpr size_t ROOMS = STAGES * NUMBERS * sizeof(bf16);
	static constexpr size_t BYTES = (ROOMS > TILE ? ROOMS : TILE) + 1024; /* rooms begin at multiples of 1,024 */
};

/* This group's sums over a room's pieces. */
template <int COLUMNS>
static __device__ inline void multiply_room(float (&sums)[COLUMNS / 2], const bf16 *room, int rest, int keep)
{
	const uint64_t a = describe(room + threadIdx.x / GROUP * 64 * DEPTH), b = describe(room + ROWS * DEPTH);

	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
	for (int deep = 0; deep < DEPTH / 16; deep++)
		if (deep * 16 < rest)
			multiply_behind<COLUMNS>(sums, a + 2 * deep, b + 2 * deep, keep + deep > 0);
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int COLUMNS> static __device__ inline void write_sums(float *tile, const float (&sums)[COLUMNS / 2])
{
	const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;

#pragma unroll
	for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
		for (int half = 0; half < 2; half++)
			*(float2 *)&tile[(warp * 16 + half * 8 + lane / 4) * (COLUMNS + GAP) + 8 * j + lane % 4 * 2] =
				make_float2(sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]);
}

template <int COLUMNS, int STAGES>
static __global__ void __launch_bounds__(EK_THREADS, STAGES == 1 ? 3 : 2)
	multiply_low(const __grid_constant__ struct product p, const bf16 *x, const bf16 *weights,
                     const __grid_constant__ struct ending e)
{
	constexpr int AHEAD = STAGES > 1 ? STAGES - 1 : 1, NUMBERS = room<COLUMNS, STAGES>::NUMBERS;
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = (bf16 *)(memory + (1024 - __cvta_generic_to_shared(memory) % 1024) % 1024);
	float *tile = (float *)rooms;
	const unsigned across = (unsigned)(p.out + COLUMNS - 1) / COLUMNS;
	const unsigned first = blockIdx.x / across * ROWS, column = blockIdx.x % across * COLUMNS;
	const int lots = (p.depth + DEPTH - 1) / DEPTH;
	float sums[COLUMNS / 2];
	struct reader r;

	weights += (size_t)blockIdx.y * p.out * p.depth;
	start_reading(&r, p, x, first);
	for (int i = 0; i < AHEAD; i++) {
		if (i < lots) {
			read_rows<true>(rooms + i * NUMBERS, &r, p, x);
			read_weights<COLUMNS, true>(rooms + i * NUMBERS + ROWS * DEPTH, weights, (int)column, p.out,
			                            p.depth, i * DEPTH);
		}
		copies_marked();
	}
	for (int i = 0; i < lots; i++) {
		const int ahead = i + STAGES - 1;
		bf16 *next = rooms + ahead % STAGES * NUMBERS;

		copies_wait<AHEAD - 1>();
		if (i > 0)
			settle_sums(sums); /* nobody reads the room before this one any more, which is the next to be
			                      filled */
		asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
		__syncthreads();
		multiply_room<COLUMNS>(sums, rooms + i % STAGES * NUMBERS, p.depth - i * DEPTH, i);
		if (STAGES > 1 && ahead < lots) {
			read_rows<true>(next, &r, p, x);
			read_weights<COLUMNS, true>(next + ROWS * DEPTH, weights, (int)column, p.out, p.depth,
			                            ahead * DEPTH);
		}
		copies_marked();
	}
	settle_sums(sums);
	copies_wait<0>();
	__syncthreads();
	write_sums<COLUMNS>(tile, sums);
	__syncthreads();
	if (p.out % 8 == 0 && e.out.bf16)
		finish_tile<ROWS, COLUMNS, 8>(tile, p, e, first, column);
	else if (p.out % 4 == 0)
		finish_tile<ROWS, COLUMNS, 4>(tile, p, e, first, column);
	else
		finish_tile<ROWS, COLUMNS, 1>(tile, p, e, first, column);
}

template <int COLUMNS, int STAGES>
static void launch(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	static const cudaError_t roomy =
		cudaFuncSetAttribute(multiply_low<COLUMNS, STAGES>, cudaFuncAttributeMaxDynamicSharedMemorySize,
	                             (int)room<COLUMNS, STAGES>::BYTES);
	const unsigned across = (unsigned)(p->out + COLUMNS - 1) / COLUMNS,
		       down = (unsigned)(p->rows + ROWS - 1) / ROWS;

	ek_cuda_note(roomy);
	EK_LAUNCH((multiply_low<COLUMNS, STAGES>), dim3(across * down, (unsigned)p->groups), EK_THREADS,
	          (room<COLUMNS, STAGES>::BYTES), *p, (const bf16 *)x, (const bf16 *)weights, *e);
}

template <int COLUMNS>
static void launch_columns(int columns, const struct product *p, const void *x, const void *weights,
                           const struct ending *e)
{
	if constexpr (COLUMNS > MOST_COLUMNS) {
		return;
	} else if (columns != COLUMNS) {
		launch_columns<COLUMNS + EACH_COLUMNS>(columns, p, x, weights, e);
	} else if (p->depth > DEPTH) {
		launch<COLUMNS, 3>(p, x, weights, e);
	} else if constexpr (COLUMNS <= MOST_COLUMNS / 2) {
		launch<COLUMNS, 1>(p, x, weights, e);
	}
}

void ek_cuda_conv_hopper(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	/* Where all that is added up fits one room, smaller blocks, of which more run beside each other. */
	const int most = p->depth <= DEPTH ? MOST_COLUMNS / 2 : MOST_COLUMNS, tiles = (p->out + most - 1) / most;
	const int columns = (p->out + tiles * EACH_COLUMNS - 1) / (tiles * EACH_COLUMNS) * EACH_COLUMNS;

	launch_columns<EACH_COLUMNS>(columns, p, x, weights, e);
}
