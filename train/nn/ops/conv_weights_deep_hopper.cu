/*
 * The gradient of the weights of a convolution of many channels on Hopper: a block adds up a part of the pixels for 256
 * outputs × 192 columns, or 128 × 384. The copy engine finds the pixels that a tap reads; two groups of warps have 128
 * × 192 sums each. Built for sm_90a alone.
 */
#include "train/nn/ops/conv_weights_tile_cuda.h"
#include "train/nn/ops/copy_hopper.h"
#include "train/nn/ops/multiply_hopper.h"

namespace
{

constexpr int GROUP = 128, WORKERS = 3 * GROUP, SIDE = 64, COLUMNS = 192, HALVES = 2;
constexpr uint32_t BOX = SIDE * SIDE * sizeof(bf16); /* 64 pixels of 64 channels */

/* The groups of a block lie one below the other, or beside each other. */
template <int DOWN_> struct shape {
	static constexpr int DOWN = DOWN_, OUTPUTS = DOWN * HALVES, INPUTS = COLUMNS / SIDE * (3 - DOWN);
	static constexpr int STAGES = DOWN == 2 ? 4 : 3;
	static constexpr uint32_t STAGE = (OUTPUTS + INPUTS) * BOX, barriers = STAGES * STAGE,
				  all = barriers + 2 * STAGES * 8;
};

struct maps {
	CUtensorMap x, dy;
};

struct work {
	struct divisor by_image, by_line;
	int step[2], first[2], taps[2]; /* down, across */
	int out, in, depth, across, pixels, rows;
};

template <class S> __device__ uint32_t full(uint32_t room, int stage)
{
	return room + S::barriers + 8 * stage;
}

template <class S> __device__ uint32_t empty(uint32_t room, int stage)
{
	return full<S>(room, S::STAGES + stage);
}

struct place {
	int output, column, start, lots;

	template <class S> __device__ void find(const work &w)
	{
		const int tile = (int)blockIdx.x, end = min(((int)blockIdx.y + 1) * w.pixels, w.rows);

		output = tile / w.across * S::OUTPUTS * SIDE;
		column = tile % w.across * S::INPUTS * SIDE;
		start = (int)blockIdx.y * w.pixels;
		lots = (end - start + SIDE - 1) / SIDE;
	}
};

/* One warp: a lane has a box of each lot. Those that begin beyond the depth are others, and what is made of them is not
 * written. */
template <class S> __device__ void bring_lots(const work &w, const maps &m, uint32_t room, const place &at)
{
	const int lane = (int)threadIdx.x % 32, input = lane - S::OUTPUTS, first = at.column + input * SIDE;
	const int column = first < w.depth ? first : 0, tap = column / w.in, channel = column % w.in;
	const int down = tap / w.taps[1], right = tap % w.taps[1];
	int stage = 0, parity = 0;

	for (int lot = 0; lot < at.lots && input < S::INPUTS; lot++) {
		const unsigned pixel = (unsigned)(at.start + lot * SIDE), image = quotient(pixel, w.by_image),
			       rest = pixel - image * w.by_image.by, y = quotient(rest, w.by_line),
			       x = rest - y * w.by_line.by;
		const uint32_t to = room + stage * S::STAGE + lane * BOX, barrier = full<S>(room, stage);

		await_phase(empty<S>(room, stage), parity ^ 1);
		if (lane == 0)
			expect_bytes(barrier, S::STAGE);
		if (input < 0)
			bring_box(to, &m.dy, barrier, at.output + lane * SIDE, (int)pixel);
		else
			bring_pixels(to, &m.x, barrier, channel, (int)x * w.step[1] + w.first[1],
			             (int)y * w.step[0] + w.first[0], (int)image, right, down, 0);
		stage = stage + 1 < S::STAGES ? stage + 1 : 0;
		parity ^= stage == 0;
	}
}

/* outputs, inputs: this group's boxes. */
__device__ void multiply_stage(float (&sums)[HALVES][COLUMNS / 2], uint32_t outputs, uint32_t inputs, int keep)
{
	constexpr uint32_t sixteen = 16 * SIDE * sizeof(bf16) >> 4;
	const uint64_t a = describe(outputs, BOX), b = describe(inputs, BOX);

	multiplied_from_here();
#pragma unroll
	for (int deep = 0; deep < SIDE / 16; deep++)
#pragma unroll
		for (int half = 0; half < HALVES; half++)
			multiply_behind<COLUMNS, true>(sums[half], a + (half * BOX >> 4) + deep * sixteen,
			                               b + deep * sixteen, keep + deep > 0);
	multiply_marked();
}

template <class S> __device__ void make_sums(float *to, const work &w, uint32_t room, const place &at, int group)
{
	const int warp = (int)threadIdx.x % GROUP / 32, lane = (int)threadIdx.x % 32;
	const uint32_t outputs = S::DOWN == 2 ? group * HALVES * BOX : 0,
		       inputs = S::OUTPUTS * BOX + (S::DOWN == 2 ? 0 : group * (COLUMNS / SIDE) * BOX);
	const int first = at.output + (S::DOWN == 2 ? group * HALVES * SIDE : 0) + warp * 16 + lane / 4,
		  left = at.column + (S::DOWN == 2 ? 0 : group * COLUMNS) + lane % 4 * 2;
	float sums[HALVES][COLUMNS / 2];
	int stage = 0, parity = 0, before = 0;

	for (int lot = 0; lot < at.lots; lot++) {
		await_phase(full<S>(room, stage), parity);
		multiply_stage(sums, room + stage * S::STAGE + outputs, room + stage * S::STAGE + inputs, lot);
		products_wait<1>();
		if (lot > 0 && lane == 0)
			arrive_at(empty<S>(room, before));
		before = stage;
		stage = stage + 1 < S::STAGES ? stage + 1 : 0;
		parity ^= stage == 0;
	}
#pragma unroll
	for (int half = 0; half < HALVES; half++)
		settle_sums(sums[half]);
	to += (size_t)blockIdx.y * w.out * w.depth;
#pragma unroll
	for (int half = 0; half < HALVES; half++)
#pragma unroll
		for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
			for (int low = 0; low < 2; low++)
				if (left + 8 * j < w.depth)
					*(float2 *)&to[(size_t)(first + half * SIDE + low * 8) * w.depth + left +
					               8 * j] = make_float2(sums[half][4 * j + 2 * low],
					                                    sums[half][4 * j + 2 * low + 1]);
}

template <class S>
__global__ void __launch_bounds__(WORKERS, 1)
	weigh(float *sums, const __grid_constant__ work w, const __grid_constant__ maps m)
{
	extern __shared__ __align__(1024) unsigned char memory[];
	const uint32_t room = (uint32_t)__cvta_generic_to_shared(memory);
	const int group = __shfl_sync(0xffffffffU, (int)threadIdx.x / GROUP, 0);
	place at;

	at.find<S>(w);
	if (threadIdx.x == 0)
		for (int i = 0; i < S::STAGES; i++) {
			start_barrier(full<S>(room, i), 1);
			start_barrier(empty<S>(room, i), WORKERS / 32 - 4);
		}
	show_copies();
	__syncthreads();
	if (group == 2) {
		asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
		if (threadIdx.x < 2 * GROUP + 32)
			bring_lots<S>(w, m, room, at);
	} else {
		asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
		make_sums<S>(sums, w, room, at, group);
	}
}

template <class S>
int launch(float *sums, const struct product &p, const void *x, const void *dy, const struct parts &t)
{
	const cuuint64_t sizes[2] = { (cuuint64_t)p.out, (cuuint64_t)p.rows }, bytes[1] = { (cuuint64_t)p.out * 2 };
	const cuuint32_t box[2] = { SIDE, SIDE };
	const int size[2] = { p.read[1], p.read[0] }, first[2] = { p.first[1], p.first[0] },
		  step[2] = { p.stride[1], p.stride[0] }, taken[2] = { p.pixels[1], p.pixels[0] };
	work w = {};
	maps m = {};
	int rc = 0;

	w.by_image = p.by_image;
	w.by_line = p.by_line;
	for (int i = 0; i < 2; i++) {
		w.step[i] = p.stride[i];
		w.first[i] = p.first[i];
		w.taps[i] = p.taps[i];
	}
	w.out = p.out;
	w.in = p.in;
	w.depth = p.depth;
	w.across = (int)t.across;
	w.pixels = (int)t.pixels;
	w.rows = p.rows;
	if (!encode_map(&m.dy, 2, dy, sizes, bytes, box, CU_TENSOR_MAP_SWIZZLE_128B) ||
	    !encode_images(&m.x, x, p.images, size, p.in, first, step, taken, SIDE))
		return ek_fail(EK_ENOTSUP, "the driver makes no maps for a convolution of %d pixels", p.rows);
	EK_TRY(ek_cuda_check(cudaFuncSetAttribute(weigh<S>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)S::all),
	                     "the gradient of a convolution's weights"));
	EK_LAUNCH(weigh<S>, dim3(t.down * t.across, t.count), WORKERS, S::all, sums, w, m);
out:
	return rc;
}

} // namespace

int ek_cuda_conv_weights_deep(float *sums, const struct product *p, const void *x, const void *dy,
                              const struct parts *t)
{
	return t->columns == COLUMNS ? launch<shape<2>>(sums, *p, x, dy, *t) : launch<shape<1>>(sums, *p, x, dy, *t);
}
