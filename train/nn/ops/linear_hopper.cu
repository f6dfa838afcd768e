/*
 * Products of linear layers (linear_hopper.h) on Hopper, by wgmma. A block goes from tile to tile; of two groups of
 * warps one multiplies while the other finishes its tile, a third has the copy engine bring what is multiplied. Built
 * for sm_90a alone.
 */
#include "train/nn/ops/linear_hopper.h"
#include "train/nn/ops/copy_hopper.h"
#include "train/nn/ops/multiply_hopper.h"
#include "train/nn/ops/tensor_cuda.h"

namespace
{

constexpr int GROUP = 128, WORKERS = 3 * GROUP, DEPTH = 64, LINE = 2 * DEPTH, HALF = 64 * LINE;
/* Named barriers, two of each: a group's turn to multiply; its own. */
constexpr int TURN = 1, OWN = 3;
/* Bytes of a box's gate, float32, and bias. */
constexpr int GATE = 64 * 4, VECTORS = GATE + 64 * 2;

/* x · weights' + bias; the GELU of it; that, and what it is of; a gate times it, added; x · weights; times the GELU's
 * slope. */
enum kind { PLAIN, GELU, KEEPING, ADDING, DATA, SLOPE };

/*
 * A tile has 64 HALVES rows and COLUMNS columns; blocks of a cluster have tiles one below the other. Or a block keeps
 * the weights of its columns, of up to HELD lots of DEPTH, and has all of its tiles there. In bytes.
 */
template <kind KIND_, int HALVES_, int COLUMNS_, int STAGES_, int CLUSTER_, int SLOTS_, int HELD_ = 0> struct shape {
	static constexpr kind KIND = KIND_;
	static constexpr int HALVES = HALVES_, COLUMNS = COLUMNS_, STAGES = STAGES_, CLUSTER = CLUSTER_, HELD = HELD_;
	static constexpr int LINES = 64 * HALVES, BOXES = COLUMNS / 64;
	static constexpr bool TURNED = KIND == DATA || KIND == SLOPE;
	/* What `before` names is read a box at a time; the result goes where it lay. */
	static constexpr bool READS = KIND == SLOPE || KIND == ADDING;
	/* For boxes on their way: of each group; where boxes are read, of both together. */
	static constexpr int SLOTS = SLOTS_;
	/* Rows that go out at once; of two results of as many. */
	static constexpr int SENT = KIND == KEEPING || HELD > 0 ? 64 : LINES;
	static constexpr uint32_t BOX = LINES * LINE, WEIGHTS = COLUMNS * LINE,
				  SLOT = (KIND == KEEPING ? 2 : 1) * SENT * LINE,
				  STAGE = BOX + (HELD > 0 ? 0 : WEIGHTS), held = STAGES * STAGE,
				  out = held + HELD * WEIGHTS, sums = out + SLOTS * (READS ? 1 : 2) * SLOT,
				  barriers = sums + (KIND == SLOPE    ? 2 * 4 * 64 * 4
	                                             : KIND == ADDING ? SLOTS * VECTORS
	                                                              : 0),
				  all = barriers + (2 * STAGES + 2 * BOXES) * 8;
};

struct maps {
	CUtensorMap x, weights, y, before;
};

struct work {
	const bf16 *bias;
	float *parts;
	const float *gate;
	int stride, image_rows;                 /* of gate; of an image */
	int rows, columns, lots, across, tiles; /* tiles: of a cluster */
};

/* The last rows come first: what stands between products goes the other way, and what was written last is still in the
 * level-2 cache. */
template <class S> struct place_of_tile {
	int row, column;

	__device__ place_of_tile(const work &w, int number, int rank)
	{
		const int tile = w.tiles - 1 - number;

		row = (tile / w.across * S::CLUSTER + rank) * S::LINES;
		column = tile % w.across * S::COLUMNS;
	}
};

template <class S> __device__ uint32_t full(uint32_t room, int stage)
{
	return room + S::barriers + 8 * stage;
}

template <class S> __device__ uint32_t empty(uint32_t room, int stage)
{
	return full<S>(room, S::STAGES + stage);
}

/* That a box of this number has come. Each group has barriers of its own, whose phase before this one it has seen over:
 * by its parity it could not be told from the next. */
template <class S> __device__ uint32_t arrived(uint32_t room, int box)
{
	return full<S>(room, 2 * S::STAGES + box % (2 * S::BOXES));
}

template <class S> __device__ int rank_of(void)
{
	return S::CLUSTER > 1 ? block_of_cluster() : 0;
}

/* This block's share of a stage's weights, to all of the cluster. */
template <class S>
__device__ void bring_weights(uint32_t to, const maps &m, uint32_t barrier, int lot, int column, int rank)
{
	constexpr int share = (S::TURNED ? DEPTH : S::COLUMNS) / S::CLUSTER;
	auto bring = [&](uint32_t at, int x, int y) {
		if constexpr (S::CLUSTER > 1)
			bring_box_to(at, &m.weights, barrier, x, y, (1 << S::CLUSTER) - 1);
		else
			bring_box(at, &m.weights, barrier, x, y);
	};

	to += rank * share * LINE;
	if constexpr (S::TURNED)
		for (int i = 0; i < S::BOXES; i++)
			bring(to + i * HALF, column + 64 * i, lot * DEPTH + rank * share);
	else
		bring(to, lot * DEPTH, column + rank * share);
}

/* That the weights that are held have come: a barrier that only boxes which are read have another use for. */
template <class S> __device__ uint32_t here(uint32_t room)
{
	return arrived<S>(room, 0);
}

template <class S> __device__ void bring_held(const work &w, const maps &m, uint32_t room)
{
	const place_of_tile<S> at(w, (int)blockIdx.x, 0);

	static_assert(S::CLUSTER == 1 && !S::READS);
	expect_bytes(here<S>(room), w.lots * S::WEIGHTS);
	for (int lot = 0; lot < w.lots; lot++)
		bring_weights<S>(room + S::held + lot * S::WEIGHTS, m, here<S>(room), lot, at.column, 0);
}

/* One thread. */
template <class S> __device__ void bring_tiles(const work &w, const maps &m, uint32_t room)
{
	const int rank = rank_of<S>();
	int stage = 0, parity = 0;

	if constexpr (S::HELD > 0)
		bring_held<S>(w, m, room);
	for (int tile = (int)blockIdx.x / S::CLUSTER; tile < w.tiles; tile += (int)gridDim.x / S::CLUSTER) {
		const place_of_tile<S> at(w, tile, rank);

		for (int lot = 0; lot < w.lots; lot++) {
			const uint32_t to = room + stage * S::STAGE, barrier = full<S>(room, stage);

			await_phase(empty<S>(room, stage), parity ^ 1);
			expect_bytes(barrier, S::STAGE);
			bring_box(to, &m.x, barrier, lot * DEPTH, at.row);
			if constexpr (S::HELD == 0)
				bring_weights<S>(to + S::BOX, m, barrier, lot, at.column, rank);
			stage = stage + 1 < S::STAGES ? stage + 1 : 0;
			parity ^= stage == 0;
		}
	}
}

/* gelu(x) = x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))). */
constexpr float INNER = 0.7978845608028654F, CUBE = 0.044715F;

__device__ float tanh_near(float x)
{
	float y;

	asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

/* Of twice this. */
__device__ float gelu(float half)
{
	return fmaf(half, tanh_near(half * fmaf(half * half, 8 * CUBE * INNER, 2 * INNER)), half);
}

__device__ float gelu_slope(float x)
{
	const float square = x * x, t = tanh_near(x * fmaf(square, CUBE * INNER, INNER));

	return fmaf(fmaf(-t, t, 1), x * fmaf(square, 1.5F * CUBE * INNER, 0.5F * INNER), fmaf(t, 0.5F, 0.5F));
}

__device__ float2 load_two(uint32_t at)
{
	float2 x;

	asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(at) : "memory");
	return x;
}

__device__ unsigned load_pair(uint32_t at)
{
	unsigned x;

	asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(at) : "memory");
	return x;
}

template <class S> struct worker {
	uint32_t room, slots, lane; /* slots: this group's, or all */
	int group, slot;
	bool leads;

	__device__ worker(uint32_t at, int which)
	    : room(at), slots(at + S::out + (S::READS ? 0 : which * S::SLOTS * S::SLOT)), lane(row_of_lane()),
	      group(which), slot(0), leads(threadIdx.x % GROUP == 0)
	{
	}

	__device__ void meet(void) const
	{
		barrier_wait(OWN + group, GROUP);
	}
};

/* The products of a stage; where its rows and its weights lie. */
template <class S>
__device__ void multiply_stage(float (&sums)[S::HALVES][S::COLUMNS / 2], uint32_t rows, uint32_t weights, int keep)
{
	constexpr bool turned = S::TURNED;
	const uint64_t a = describe(rows), b = describe(weights, turned ? HALF : 16);

	multiplied_from_here();
#pragma unroll
	for (int deep = 0; deep < DEPTH / 16; deep++)
#pragma unroll
		for (int half = 0; half < S::HALVES; half++)
			multiply_behind<S::COLUMNS, false, turned>(sums[half], a + (half * HALF >> 4) + 2 * deep,
			                                           b + (turned ? (16 * LINE >> 4) * deep : 2 * deep),
			                                           keep + deep > 0);
	multiply_marked();
}

template <class S> __device__ void release(uint32_t barrier)
{
	if constexpr (S::CLUSTER > 1) {
		if (threadIdx.x % 32 < S::CLUSTER)
			arrive_at_block(barrier, (int)threadIdx.x % 32);
	} else if (threadIdx.x % 32 == 0) {
		arrive_at(barrier);
	}
}

/* number: of this block's tile, from 0. */
template <class S>
__device__ void multiply_tile(float (&sums)[S::HALVES][S::COLUMNS / 2], const work &w, const worker<S> &t, int number,
                              bool last)
{
	const int first = number * w.lots;
	int stage = first % S::STAGES, parity = first / S::STAGES & 1, before = stage;

	if (S::HELD > 0 && number < 2)
		await_phase(here<S>(t.room), 0);
	if (number > 0)
		barrier_wait(TURN + t.group, 2 * GROUP);
	for (int lot = 0; lot < w.lots; lot++) {
		const uint32_t rows = t.room + stage * S::STAGE;

		await_phase(full<S>(t.room, stage), parity);
		multiply_stage<S>(sums, rows, S::HELD > 0 ? t.room + S::held + lot * S::WEIGHTS : rows + S::BOX, lot);
		products_wait<1>();
		if (lot > 0)
			release<S>(empty<S>(t.room, before));
		before = stage;
		stage = stage + 1 < S::STAGES ? stage + 1 : 0;
		parity ^= stage == 0;
	}
	if (!last)
		barrier_arrive(TURN + (t.group ^ 1), 2 * GROUP);
#pragma unroll
	for (int half = 0; half < S::HALVES; half++)
		settle_sums(sums[half]);
	release<S>(empty<S>(t.room, before));
}

/* A slot from which nothing is sent any more. */
template <class S> __device__ uint32_t take_slot(worker<S> &t)
{
	const uint32_t slot = t.slots + t.slot * S::SLOT;

	if (t.leads)
		boxes_read<S::SLOTS - 1>();
	t.meet();
	t.slot = t.slot + 1 < S::SLOTS ? t.slot + 1 : 0;
	return slot;
}

/* before: another box behind it, or NULL. */
template <class S>
__device__ void send(const worker<S> &t, uint32_t slot, const CUtensorMap &y, const CUtensorMap *before, int column,
                     int row)
{
	show_copies();
	t.meet();
	if (t.leads) {
		send_box(&y, slot, column, row);
		if (before != NULL)
			send_box(before, slot + HALF, column, row);
		boxes_marked();
	}
}

/* A lane's part of the bias of 64 columns, or of none: pairs of bfloat16. */
struct bias_of_box {
	unsigned pairs[8];

	__device__ explicit bias_of_box(const bf16 *bias)
	{
#pragma unroll
		for (int j = 0; j < 8; j++)
			pairs[j] = bias != NULL ? __ldg((const unsigned *)(bias + 8 * j) + threadIdx.x % 4) : 0;
	}
};

/* A half of box c to a slot; with what the GELU is of behind it. The sums stay what they are: the compiler has products
 * wait for one another where anything else writes to them. */
template <class S>
__device__ void write_half(const worker<S> &t, uint32_t to, const float (&sums)[S::COLUMNS / 2], int c,
                           const bias_of_box &bias)
{
	constexpr bool gelus = S::KIND == GELU || S::KIND == KEEPING;
	constexpr float share = gelus ? 0.5F : 1;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		unsigned y[4], before[4];

#pragma unroll
		for (int j = 0; j < 4; j++) {
			const unsigned b = bias.pairs[2 * i + j / 2];
			const float *sum = sums + 32 * c + 8 * i + 2 * j;
			const float low = fmaf(share, sum[0], share * __uint_as_float(b << 16));
			const float high = fmaf(share, sum[1], share * __uint_as_float(b & 0xffff0000U));

			before[j] = ek_pair(low / share, high / share);
			y[j] = gelus ? ek_pair(gelu(low), gelu(high)) : before[j];
		}
		store_matrices(to + (t.lane ^ 32 * i), y);
		if constexpr (S::KIND == KEEPING)
			store_matrices(to + HALF + (t.lane ^ 32 * i), before);
	}
}

template <class S>
__device__ void finish(const float (&sums)[S::HALVES][S::COLUMNS / 2], const work &w, const maps &m, worker<S> &t,
                       const place_of_tile<S> &at)
{
	constexpr bool apart = S::SENT < S::LINES;

#pragma unroll
	for (int c = 0; c < S::BOXES; c++) {
		const int column = at.column + 64 * c;
		const bias_of_box bias(S::KIND == DATA ? NULL : w.bias + column);
		uint32_t slot = 0;

#pragma unroll
		for (int half = 0; half < S::HALVES; half++) {
			if (apart || half == 0)
				slot = take_slot(t);
			write_half<S>(t, slot + (apart ? 0 : half * HALF), sums[half], c, bias);
			if (apart || half == S::HALVES - 1)
				send(t, slot, m.y, S::KIND == KEEPING ? &m.before : NULL, column,
				     at.row + (apart ? 64 * half : 0));
		}
	}
}

/* One thread: of `before`, and of the vectors if there are any, this block's box of this number, to its slot. */
template <class S> __device__ void bring_before(const work &w, const maps &m, const worker<S> &t, int number)
{
	const int slot = number % S::SLOTS, step = (int)gridDim.x / S::CLUSTER;
	const int tile = (int)blockIdx.x / S::CLUSTER + number / S::BOXES * step;

	if (tile < w.tiles) {
		const place_of_tile<S> at(w, tile, rank_of<S>());
		const uint32_t barrier = arrived<S>(t.room, number);
		const int column = at.column + number % S::BOXES * 64;

		expect_bytes(barrier, S::BOX + (S::KIND == ADDING ? VECTORS : 0));
		bring_box(t.slots + slot * S::BOX, &m.before, barrier, column, at.row);
		if constexpr (S::KIND == ADDING) {
			const uint32_t to = t.room + S::sums + slot * VECTORS;

			bring_bytes(to, w.gate + (size_t)(min(at.row, w.rows - 1) / w.image_rows) * w.stride + column,
			            GATE, barrier);
			bring_bytes(to + GATE, w.bias + column, VECTORS - GATE, barrier);
		}
	}
}

template <class S> __device__ void load_before(unsigned (&pairs)[S::HALVES][4], uint32_t at)
{
#pragma unroll
	for (int half = 0; half < S::HALVES; half++)
		load_matrices(pairs[half], at + half * HALF);
}

/* The gradient of box c, where what the GELU was of lies; that is read a piece ahead. to: of this warp's sums. */
template <class S>
__device__ void write_gradient(uint32_t slot, uint32_t own, const float (&sums)[S::HALVES][S::COLUMNS / 2], int c,
                               uint32_t to)
{
	unsigned before[2][S::HALVES][4];

	load_before<S>(before[0], slot + own);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		float columns[4] = {};

		if (i < 3)
			load_before<S>(before[(i + 1) % 2], slot + (own ^ 32 * (i + 1)));
#pragma unroll
		for (int half = 0; half < S::HALVES; half++) {
			const float *from = sums[half] + 32 * c + 8 * i;
			unsigned pairs[4];

#pragma unroll
			for (int j = 0; j < 4; j++) {
				const unsigned x = before[i % 2][half][j];
				const float low = from[2 * j] * gelu_slope(__uint_as_float(x << 16));
				const float high = from[2 * j + 1] * gelu_slope(__uint_as_float(x & 0xffff0000U));

				columns[j / 2 * 2] += low;
				columns[j / 2 * 2 + 1] += high;
				pairs[j] = ek_pair(low, high);
			}
			store_matrices(slot + half * HALF + (own ^ 32 * i), pairs);
		}
		ek_halve<4, 16>(columns);
		ek_halve<2, 8>(columns);
		columns[0] += __shfl_xor_sync(0xffffffffU, columns[0], 4);
		if ((threadIdx.x & 4) == 0)
			asm volatile("st.shared.f32 [%0], %1;" ::"r"(to + 64 * i), "f"(columns[0]) : "memory");
	}
}

/* The sums of a box's columns over a tile's rows, from those of four warps. */
template <class S> __device__ void give_sums(const work &w, uint32_t from, int column, int row)
{
	const int i = (int)threadIdx.x % GROUP;
	float sum = 0;

	if (i >= 64 || row >= w.rows)
		return;
#pragma unroll
	for (int warp = 0; warp < 4; warp++) {
		float part;

		asm volatile("ld.shared.f32 %0, [%1];" : "=f"(part) : "r"(from + (warp * 64 + i) * 4) : "memory");
		sum += part;
	}
	w.parts[(size_t)(row / S::LINES) * w.columns + column + i] = sum;
}

/* The sums of box c and their bias, times the gate, are added to what lies there. */
template <class S>
__device__ void write_added(uint32_t slot, uint32_t own, const float (&sums)[S::HALVES][S::COLUMNS / 2], int c,
                            uint32_t vectors)
{
	unsigned before[2][S::HALVES][4];

	vectors += threadIdx.x % 4 * 8;
	load_before<S>(before[0], slot + own);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		float2 gate[2];
		unsigned bias[2];

		if (i < 3)
			load_before<S>(before[(i + 1) % 2], slot + (own ^ 32 * (i + 1)));
#pragma unroll
		for (int j = 0; j < 2; j++) {
			gate[j] = load_two(vectors + (16 * i + 8 * j) * 4);
			bias[j] = load_pair(vectors - threadIdx.x % 4 * 4 + GATE + (16 * i + 8 * j) * 2);
		}
#pragma unroll
		for (int half = 0; half < S::HALVES; half++) {
			const float *from = sums[half] + 32 * c + 8 * i;
			unsigned pairs[4];

#pragma unroll
			for (int j = 0; j < 4; j++) {
				const unsigned x = before[i % 2][half][j], b = bias[j / 2];
				const float low = from[2 * j] + __uint_as_float(b << 16);
				const float high = from[2 * j + 1] + __uint_as_float(b & 0xffff0000U);

				pairs[j] = ek_pair(fmaf(gate[j / 2].x, low, __uint_as_float(x << 16)),
				                   fmaf(gate[j / 2].y, high, __uint_as_float(x & 0xffff0000U)));
			}
			store_matrices(slot + half * HALF + (own ^ 32 * i), pairs);
		}
	}
}

/* The slots of boxes up to c, whose results are on their way, are for the next. */
template <class S> __device__ void bring_next(const work &w, const maps &m, const worker<S> &t, int c, int box)
{
	if (t.leads && c > 0) {
		boxes_read<1>();
		bring_before<S>(w, m, t, box - 1 + S::SLOTS);
	}
	if (t.leads && c == S::BOXES - 1) {
		boxes_read<0>();
		bring_before<S>(w, m, t, box + S::SLOTS);
	}
	__syncwarp();
}

/* Where boxes are read. */
template <class S>
__device__ void finish_read(const float (&sums)[S::HALVES][S::COLUMNS / 2], const work &w, const maps &m, worker<S> &t,
                            const place_of_tile<S> &at, int number)
{
	constexpr bool slopes = S::KIND == SLOPE;
	const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x % GROUP / 32;
	const uint32_t shared = t.room + S::sums + t.group * 4 * 64 * 4;
	const uint32_t own = shared + (warp * 64 + lane / 16 * 8 + lane % 4 * 2 + lane / 8 % 2) * 4;

#pragma unroll
	for (int c = 0; c < S::BOXES; c++) {
		const int box = number * S::BOXES + c, slot = box % S::SLOTS;

		await_phase(arrived<S>(t.room, box), number / 2 & 1);
		if constexpr (slopes)
			write_gradient<S>(t.slots + slot * S::BOX, t.lane, sums, c, own);
		else
			write_added<S>(t.slots + slot * S::BOX, t.lane, sums, c, t.room + S::sums + slot * VECTORS);
		send(t, t.slots + slot * S::BOX, m.y, NULL, at.column + 64 * c, at.row);
		if (slopes && w.parts != NULL)
			give_sums<S>(w, shared, at.column + 64 * c, at.row);
		bring_next<S>(w, m, t, c, box);
		if (slopes && c < S::BOXES - 1)
			t.meet(); /* sums are read */
	}
}

template <class S> __device__ void make_tiles(const work &w, const maps &m, worker<S> t)
{
	const int rank = rank_of<S>(), step = (int)gridDim.x / S::CLUSTER;
	float sums[S::HALVES][S::COLUMNS / 2];
	int number = t.group;

	if (S::READS && threadIdx.x == 0)
		for (int box = 0; box < S::SLOTS; box++)
			bring_before<S>(w, m, t, box);
	__syncwarp();
	for (int tile = (int)blockIdx.x / S::CLUSTER + t.group * step; tile < w.tiles; tile += 2 * step, number += 2) {
		const place_of_tile<S> at(w, tile, rank);

		multiply_tile<S>(sums, w, t, number, tile + step >= w.tiles);
		if constexpr (S::READS)
			finish_read<S>(sums, w, m, t, at, number);
		else
			finish<S>(sums, w, m, t, at);
	}
	if (t.leads)
		boxes_read<0>();
}

template <class S>
__global__ void __launch_bounds__(WORKERS, 1) multiply(const __grid_constant__ work w, const __grid_constant__ maps m)
{
	extern __shared__ __align__(1024) unsigned char memory[];
	const uint32_t room = (uint32_t)__cvta_generic_to_shared(memory);
	const int group = __shfl_sync(0xffffffffU, (int)threadIdx.x / GROUP, 0);

	if (threadIdx.x == 0)
		for (int i = 0; i < S::STAGES; i++) {
			start_barrier(full<S>(room, i), 1);
			start_barrier(empty<S>(room, i), 4 * S::CLUSTER);
		}
	if (threadIdx.x < 2 * S::BOXES)
		start_barrier(arrived<S>(room, (int)threadIdx.x), 1);
	show_copies();
	bring_and_make<S::CLUSTER, 24, 240>(
		group, [&] { bring_tiles<S>(w, m, room); }, [&] { make_tiles<S>(w, m, worker<S>(room, group)); });
}

int encode(CUtensorMap *map, const void *x, size_t rows, size_t columns, cuuint32_t box_rows)
{
	const cuuint64_t sizes[2] = { columns, rows }, bytes[1] = { columns * 2 };
	const cuuint32_t box[2] = { 64, box_rows };

	return encode_map(map, 2, x, sizes, bytes, box, CU_TENSOR_MAP_SWIZZLE_128B);
}

template <class S> int launch(const ek_linear_product &p)
{
	const size_t depth = (size_t)p.depth, columns = (size_t)p.columns;
	const int down = (int)((p.rows + S::LINES * S::CLUSTER - 1) / (S::LINES * S::CLUSTER));
	const work w = { (const bf16 *)p.bias,
		         p.parts,
		         p.gate,
		         (int)p.stride,
		         (int)p.image_rows,
		         (int)p.rows,
		         p.columns,
		         (p.depth + DEPTH - 1) / DEPTH,
		         p.columns / S::COLUMNS,
		         p.columns / S::COLUMNS * down };
	maps m = {};

	if (!encode(&m.x, p.x, p.rows, depth, S::LINES) ||
	    !encode(&m.weights, p.weights, S::TURNED ? depth : columns, S::TURNED ? columns : depth,
	            (S::TURNED ? DEPTH : S::COLUMNS) / S::CLUSTER) ||
	    !encode(&m.y, p.y, p.rows, columns, S::SENT) ||
	    (p.before != NULL && !encode(&m.before, p.before, p.rows, columns, S::SENT)))
		return ek_fail(EK_ENOTSUP, "the driver makes no maps for a product of %zu x %zu x %zu", p.rows, columns,
		               depth);
	return launch_clusters<multiply<S>>(w.tiles, S::HELD > 0 ? w.across : 1, S::CLUSTER, WORKERS, S::all,
	                                    "a product", w, m);
}

/* These were fastest, or within 5 % of it, of tiles of 64 to 256 columns in clusters of 1, 2 and 4. Weights that fit
 * are held: to write and to read them takes shared memory longer than the tensor cores. */
template <kind KIND> int launch_kind(const ek_linear_product &p)
{
	constexpr int slots = KIND == SLOPE || KIND == ADDING ? 4 : 2, held = 6;

	if constexpr (KIND == PLAIN || KIND == GELU)
		if (p.depth <= held * DEPTH && p.columns % 192 == 0 && p.columns <= 4 * held * DEPTH)
			return launch<shape<KIND, 2, 192, 3, 1, 2, held>>(p);
	return p.columns % 192 == 0 ? launch<shape<KIND, 2, 192, 4, 2, slots>>(p)
	                            : launch<shape<KIND, 2, 128, 5, 2, slots>>(p);
}

} // namespace

int ek_cuda_linear_forward(const ek_linear_product &p)
{
	return launch_kind<PLAIN>(p);
}

int ek_cuda_linear_gated(const ek_linear_product &p)
{
	return launch_kind<ADDING>(p);
}

int ek_cuda_linear_gelu(const ek_linear_product &p)
{
	return p.before == NULL ? launch_kind<GELU>(p) : launch_kind<KEEPING>(p);
}

int ek_cuda_linear_backward(const ek_linear_product &p)
{
	return p.before == NULL ? launch_kind<DATA>(p) : launch_kind<SLOPE>(p);
}
