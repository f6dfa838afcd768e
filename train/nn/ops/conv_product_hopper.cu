/*
 * The bfloat16 products of convolutions on Hopper, by wgmma. What limits them is what the multiprocessors read from the
 * second cache: so a block makes as many channels of a pixel as registers hold. Two groups of warps have HALVES × 64
 * pixels each. Built for sm_90a alone.
 */
#include "train/nn/ops/conv_tile_cuda.h"
#include "train/nn/ops/multiply_hopper.h"

enum { EACH_COLUMNS = 16, GROUP = 128, SHIFT = 8 };

/* Tiles of up to WIDEST channels, all as wide as the others. */
enum { WIDEST = 256, WIDE = 128, NARROW = 96, SHORT = 3 * DEPTH };

/* Three rooms: the next is filled when the products of the one before are done. Four: one later, so that products
 * follow each other. One: there is no next. */
template <int COLUMNS, int HALVES, int STAGES> struct room {
	static constexpr int LINES = HALVES * ROWS, NUMBERS = (LINES + COLUMNS) * DEPTH;
	static constexpr int AHEAD = STAGES > 3 ? STAGES - 2 : STAGES > 1 ? STAGES - 1 : 1;
	static constexpr size_t TILE = LINES * (COLUMNS + GAP) * sizeof(float);
	static constexpr size_t ROOMS = STAGES * NUMBERS * sizeof(bf16);
	static constexpr size_t BYTES = (ROOMS > TILE ? ROOMS : TILE) + 1024; /* rooms begin at multiples of 1,024 */
};

/* This group's sums over a room's pieces. */
template <int COLUMNS, int HALVES>
static __device__ inline void multiply_room(float (&sums)[HALVES][COLUMNS / 2], const bf16 *room, int keep)
{
	const uint64_t b = describe(room + HALVES * ROWS * DEPTH);

	multiplied_from_here();
#pragma unroll
	for (int half = 0; half < HALVES; half++) {
		const uint64_t a = describe(room + (threadIdx.x / GROUP * HALVES + half) * 64 * DEPTH);

#pragma unroll
		for (int deep = 0; deep < DEPTH / 16; deep++)
			multiply_behind<COLUMNS, false>(sums[half], a + 2 * deep, b + 2 * deep, keep + deep > 0);
	}
	multiply_marked();
}

/* The line of a tile in which a thread has its sums [4 j + 2 half] and the next; their columns are 8 j + lane % 4 · 2
 * and the next. */
template <int HALVES> static __device__ inline unsigned line_of(int part, int half)
{
	const unsigned warp = threadIdx.x % GROUP / 32, lane = threadIdx.x % 32;

	return (threadIdx.x / GROUP * HALVES + part) * 64 + warp * 16 + half * 8 + lane / 4;
}

template <int COLUMNS, int HALVES>
static __device__ inline void write_sums(float *tile, const float (&sums)[HALVES][COLUMNS / 2])
{
#pragma unroll
	for (int part = 0; part < HALVES; part++)
#pragma unroll
		for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
			for (int half = 0; half < 2; half++)
				*(float2 *)&tile[line_of<HALVES>(part, half) * (COLUMNS + GAP) + 8 * j +
				                 threadIdx.x % 4 * 2] =
					make_float2(sums[part][4 * j + 2 * half], sums[part][4 * j + 2 * half + 1]);
}

/* Where a sum is all that it takes: what happens to it happens in the registers, and the tile is bfloat16. then: of one
 * number. */
template <int COLUMNS, int HALVES, typename F>
static __device__ inline void write_ended(bf16 *tile, const float (&sums)[HALVES][COLUMNS / 2], const float *bias,
                                          const F &then)
{
#pragma unroll
	for (int j = 0; j < COLUMNS / 8; j++) {
		const unsigned at = 8 * j + threadIdx.x % 4 * 2;
		float of[2];

		load<2>(of, bias + at);
#pragma unroll
		for (int part = 0; part < HALVES; part++)
#pragma unroll
			for (int half = 0; half < 2; half++) {
				const float pair[2] = { then(sums[part][4 * j + 2 * half] + of[0]),
					                then(sums[part][4 * j + 2 * half + 1] + of[1]) };

				store<2>(tile + line_of<HALVES>(part, half) * (COLUMNS + SHIFT) + at, pair, 0);
			}
	}
}

/* 0: it is not done so. */
template <int COLUMNS, int HALVES>
static __device__ inline int write_activated(bf16 *tile, const float (&sums)[HALVES][COLUMNS / 2], const float *bias,
                                             const struct product &p, const struct ending &e)
{
	const float least = e.then == EK_NN_LINEAR ? -INFINITY : 0, most = e.then == EK_NN_RELU6 ? 6 : INFINITY;

	if (p.out % 8 != 0 || !e.out.bf16 || e.out.add || e.residual.x != NULL)
		return 0;
	if (is_bounded(e.then)) {
		write_ended<COLUMNS, HALVES>(tile, sums, bias, [=](float x) { return clamped(x, least, most); });
		return 1;
	}
	if constexpr (COLUMNS <= WIDE && HALVES == 1)
		if (e.then == EK_NN_GELU_ERF) {
			write_ended<COLUMNS, HALVES>(tile, sums, bias,
			                             [](float x) { return activated(x, EK_NN_GELU_ERF, 0); });
			return 1;
		}
	return 0;
}

template <int LINES, int COLUMNS>
static __device__ inline void copy_tile(const bf16 *tile, const struct product &p, bf16 *out, unsigned row,
                                        unsigned column)
{
#pragma unroll 4
	for (unsigned i = threadIdx.x; i < LINES * COLUMNS / 8; i += EK_THREADS) {
		const unsigned line = i / (COLUMNS / 8), at = i % (COLUMNS / 8) * 8;

		if (row + line < (unsigned)p.rows && column + at < (unsigned)p.out)
			*(uint4 *)(out + made_at(p, row + line) + blockIdx.y * (unsigned)p.out + column + at) =
				*(const uint4 *)(tile + line * (COLUMNS + SHIFT) + at);
	}
}

template <int COLUMNS, int HALVES, int STAGES>
static __global__ void __launch_bounds__(EK_THREADS, HALVES *COLUMNS <= 128 ? 2 : 1)
	multiply_low(const __grid_constant__ struct product p, const bf16 *x, const bf16 *weights,
                     const __grid_constant__ struct ending e)
{
	typedef room<COLUMNS, HALVES, STAGES> shape;
	constexpr int AHEAD = shape::AHEAD, NUMBERS = shape::NUMBERS, LINES = shape::LINES;
	__shared__ __align__(16) float bias[COLUMNS];
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = first_room(memory);
	const unsigned across = (unsigned)(p.out + COLUMNS - 1) / COLUMNS;
	const unsigned first = blockIdx.x / across * LINES, column = blockIdx.x % across * COLUMNS;
	const int lots = (p.depth + DEPTH - 1) / DEPTH;
	float sums[HALVES][COLUMNS / 2];
	struct reader<bf16, LINES> r;

	weights += (size_t)blockIdx.y * p.out * p.depth;
	share_bias<COLUMNS>(bias, p, e, column);
	start_reading(&r, p, first);
	for (int i = 0; i < AHEAD; i++) {
		if (i < lots) {
			read_rows<true>(rooms + i * NUMBERS, &r, p, x);
			read_weights<COLUMNS, true>(rooms + i * NUMBERS + LINES * DEPTH, weights, (int)column, p.out,
			                            p.depth, i * DEPTH);
		}
		copies_marked();
	}
	for (int i = 0; i < lots; i++) {
		const int ahead = i + AHEAD;
		bf16 *next = rooms + ahead % STAGES * NUMBERS;

		copies_wait<AHEAD - 1>();
		if (STAGES <= 3 && i > 0)
			products_wait<0>();
		show_copies();
		__syncthreads(); /* the room that is filled next is read by nobody any more */
		multiply_room<COLUMNS, HALVES>(sums, rooms + i % STAGES * NUMBERS, i);
		if (STAGES > 1 && ahead < lots) {
			read_rows<true>(next, &r, p, x);
			read_weights<COLUMNS, true>(next + LINES * DEPTH, weights, (int)column, p.out, p.depth,
			                            ahead * DEPTH);
		}
		copies_marked();
		if (STAGES > 3)
			products_wait<1>();
	}
#pragma unroll
	for (int half = 0; half < HALVES; half++)
		settle_sums(sums[half]);
	copies_wait<0>();
	__syncthreads();
	if (write_activated<COLUMNS, HALVES>(rooms, sums, bias, p, e)) {
		__syncthreads();
		copy_tile<LINES, COLUMNS>(rooms, p, (bf16 *)e.out.x, first, column);
	} else {
		write_sums<COLUMNS, HALVES>((float *)rooms, sums);
		__syncthreads();
		finish_all<LINES, COLUMNS>((const float *)rooms, bias, p, e, first, column);
	}
}

template <int COLUMNS, int HALVES, int STAGES>
static void launch(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	typedef room<COLUMNS, HALVES, STAGES> shape;
	static const cudaError_t roomy = cudaFuncSetAttribute(
		multiply_low<COLUMNS, HALVES, STAGES>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shape::BYTES);
	const unsigned across = (unsigned)(p->out + COLUMNS - 1) / COLUMNS,
		       down = (unsigned)(p->rows + shape::LINES - 1) / shape::LINES;

	ek_cuda_note(roomy);
	EK_LAUNCH((multiply_low<COLUMNS, HALVES, STAGES>), dim3(across * down, (unsigned)p->groups), EK_THREADS,
	          shape::BYTES, *p, (const bf16 *)x, (const bf16 *)weights, *e);
}

/* Of smaller blocks two run beside each other, so that one finishes while the other multiplies: where little is added
 * up, or where there is much to finish. */
static bool is_paired(const struct product *p, const struct ending *e)
{
	return p->depth <= SHORT || e->then == EK_NN_GELU_ERF;
}

template <int COLUMNS>
static void launch_columns(int columns, const struct product *p, const void *x, const void *weights,
                           const struct ending *e)
{
	if constexpr (COLUMNS <= WIDEST) {
		if (columns != COLUMNS) {
			launch_columns<COLUMNS + EACH_COLUMNS>(columns, p, x, weights, e);
		} else if constexpr (COLUMNS > WIDE) {
			launch<COLUMNS, 1, 4>(p, x, weights, e);
		} else if (p->depth <= DEPTH) {
			launch<COLUMNS, 1, 1>(p, x, weights, e);
		} else if constexpr (COLUMNS <= NARROW) {
			launch<COLUMNS, 1, 4>(p, x, weights, e);
		} else if (is_paired(p, e)) {
			launch<COLUMNS, 1, 3>(p, x, weights, e);
		} else {
			launch<COLUMNS, 2, 4>(p, x, weights, e);
		}
	}
}

void ek_cuda_conv_hopper(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	const int most = is_paired(p, e) ? WIDE : WIDEST, tiles = (p->out + most - 1) / most;
	const int columns = (p->out + tiles * EACH_COLUMNS - 1) / (tiles * EACH_COLUMNS) * EACH_COLUMNS;

	launch_columns<EACH_COLUMNS>(columns, p, x, weights, e);
}
