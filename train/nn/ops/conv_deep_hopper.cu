/*
 * Convolutions of many channels on Hopper: from 64 to multiples of 128, bfloat16, forward and the gradient of the
 * input. The copy engine finds the pixels that a tap reads. A block goes from tile to tile of 128 pixels × 128
 * channels; of two groups of warps one multiplies while the other finishes its tile, a third has the next boxes
 * brought. Blocks of a cluster share what they read. Built for sm_90a alone.
 */
#include "train/nn/ops/conv_cuda.h"
#include "train/nn/ops/copy_hopper.h"
#include "train/nn/ops/multiply_hopper.h"
#include "train/nn/ops/tensor_cuda.h"

namespace
{

constexpr int GROUP = 128, WORKERS = 3 * GROUP, DEPTH = 64, LINE = 2 * DEPTH, HALF = 64 * LINE, TILE = 128, HALVES = 2,
	      BOXES = 2;
/* Named barriers, two of each: a group's turn to multiply; its own. */
constexpr int TURN = 1, OWN = 3;
constexpr uint32_t BOX = TILE * LINE, STAGE = 2 * BOX;

/* Blocks of a cluster have tiles beside each other. In bytes; each group has a slot for each box. */
template <int CLUSTER_> struct shape {
	static constexpr int CLUSTER = CLUSTER_, STAGES = 5;
	static constexpr uint32_t slots = STAGES * STAGE, barriers = slots + 2 * BOXES * BOX,
				  all = barriers + (2 * STAGES + 2 * BOXES) * 8;
};

struct maps {
	CUtensorMap x, weights, y, other;
};

struct work {
	const float *bias; /* or NULL */
	struct divisor by_image, by_line;
	int step[2], first[2], taps[2], way; /* down, across; way: -1, taps the other way round */
	int in, lots, across, tiles;         /* tiles: of a cluster */
	int others;                          /* something is added */
	float least, most;
};

template <class S> struct place_of_tile {
	int row, column;

	__device__ place_of_tile(const work &w, int tile, int rank)
	    : row(tile / w.across * TILE), column((tile % w.across * S::CLUSTER + rank) * TILE)
	{
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

template <class S> __device__ int rank_of(void)
{
	return S::CLUSTER > 1 ? block_of_cluster() : 0;
}

/* One thread. Of a stage's pixels a block brings its share, to all of the cluster. */
template <class S> __device__ void bring_tiles(const work &w, const maps &m, uint32_t room)
{
	constexpr int pixels = TILE / S::CLUSTER, all = S::CLUSTER > 1 ? (1 << S::CLUSTER) - 1 : 0;
	const int rank = rank_of<S>();
	int stage = 0, parity = 0;

	for (int tile = (int)blockIdx.x / S::CLUSTER; tile < w.tiles; tile += (int)gridDim.x / S::CLUSTER) {
		const place_of_tile<S> at(w, tile, rank);
		const unsigned row = (unsigned)(at.row + rank * pixels), image = quotient(row, w.by_image),
			       rest = row - image * w.by_image.by, y = quotient(rest, w.by_line),
			       x = rest - y * w.by_line.by;
		int channel = 0, tap[2] = { 0, 0 };

		for (int lot = 0; lot < w.lots; lot++) {
			const uint32_t to = room + stage * STAGE, barrier = full<S>(room, stage);
			const int down = w.way > 0 ? tap[0] : w.taps[0] - 1 - tap[0],
				  right = w.way > 0 ? tap[1] : w.taps[1] - 1 - tap[1];

			await_phase(empty<S>(room, stage), parity ^ 1);
			expect_bytes(barrier, STAGE);
			bring_pixels(to + rank * pixels * LINE, &m.x, barrier, channel, (int)x * w.step[1] + w.first[1],
			             (int)y * w.step[0] + w.first[0], (int)image, right, down, all);
			bring_box(to + BOX, &m.weights, barrier, lot * DEPTH, at.column);
			stage = stage + 1 < S::STAGES ? stage + 1 : 0;
			parity ^= stage == 0;
			channel += DEPTH;
			if (channel == w.in) {
				channel = 0;
				if (++tap[1] == w.taps[1]) {
					tap[1] = 0;
					tap[0]++;
				}
			}
		}
	}
}

template <class S> struct worker {
	uint32_t room, slots, lane, arrived; /* slots, arrived: this group's */
	int group, rank;
	bool leads;

	__device__ worker(uint32_t at, int which)
	    : room(at), slots(at + S::slots + which * BOXES * BOX), lane(row_of_lane()),
	      arrived(full<S>(at, 2 * S::STAGES + which * BOXES)), group(which), rank(rank_of<S>()),
	      leads(threadIdx.x % GROUP == 0)
	{
	}

	__device__ void meet(void) const
	{
		barrier_wait(OWN + group, GROUP);
	}

	/* To all blocks that fill a stage of this one. */
	__device__ void release(int stage) const
	{
		const uint32_t barrier = empty<S>(room, stage);
		const int lane = (int)threadIdx.x % 32;

		if constexpr (S::CLUSTER > 1) {
			if (lane < S::CLUSTER)
				arrive_at_block(barrier, lane);
		} else if (lane == 0) {
			arrive_at(barrier);
		}
	}
};

__device__ void multiply_stage(float (&sums)[HALVES][TILE / 2], uint32_t stage, int keep)
{
	const uint64_t a = describe(stage), b = describe(stage + BOX);

	multiplied_from_here();
#pragma unroll
	for (int deep = 0; deep < DEPTH / 16; deep++)
#pragma unroll
		for (int half = 0; half < HALVES; half++)
			multiply_behind<TILE, false>(sums[half], a + (half * HALF >> 4) + 2 * deep, b + 2 * deep,
			                             keep + deep > 0);
	multiply_marked();
}

/* number: of this block's tile, from 0. */
template <class S>
__device__ void multiply_tile(float (&sums)[HALVES][TILE / 2], const work &w, const worker<S> &t, int number, bool last)
{
	const int first = number * w.lots;
	int stage = first % S::STAGES, parity = first / S::STAGES & 1, before = stage;

	if (number > 0)
		barrier_wait(TURN + t.group, 2 * GROUP);
	for (int lot = 0; lot < w.lots; lot++) {
		await_phase(full<S>(t.room, stage), parity);
		multiply_stage(sums, t.room + stage * STAGE, lot);
		products_wait<1>();
		if (lot > 0)
			t.release(before);
		before = stage;
		stage = stage + 1 < S::STAGES ? stage + 1 : 0;
		parity ^= stage == 0;
	}
	if (!last)
		barrier_arrive(TURN + (t.group ^ 1), 2 * GROUP);
#pragma unroll
	for (int half = 0; half < HALVES; half++)
		settle_sums(sums[half]);
	t.release(before);
}

/* One thread: what is added to a tile, to the slots of its boxes. */
template <class S> __device__ void bring_others(const maps &m, const worker<S> &t, const place_of_tile<S> &at)
{
	for (int c = 0; c < BOXES; c++) {
		expect_bytes(t.arrived + 8 * c, BOX);
		bring_box(t.slots + c * BOX, &m.other, t.arrived + 8 * c, at.column + 64 * c, at.row);
	}
}

/* Box c to its slot, where what is added to it may lie. */
template <class S>
__device__ void write_box(const worker<S> &t, const float (&sums)[HALVES][TILE / 2], const work &w, int c, int column)
{
	float bias[8][2] = {};

	if (w.bias != NULL)
#pragma unroll
		for (int j = 0; j < 8; j++)
			load<2>(bias[j], w.bias + column + 8 * j + threadIdx.x % 4 * 2);
#pragma unroll
	for (int half = 0; half < HALVES; half++)
#pragma unroll
		for (int i = 0; i < 4; i++) {
			const uint32_t to = t.slots + c * BOX + half * HALF + (t.lane ^ 32 * i);
			unsigned y[4], other[4] = {};

			if (w.others)
				load_matrices(other, to);
#pragma unroll
			for (int j = 0; j < 4; j++) {
				const float *from = &sums[half][32 * c + 8 * i + 2 * j], *of = bias[2 * i + j / 2];
				const float low = from[0] + (of[0] + __uint_as_float(other[j] << 16));
				const float high = from[1] + (of[1] + __uint_as_float(other[j] & 0xffff0000U));

				y[j] = ek_pair(clamped(low, w.least, w.most), clamped(high, w.least, w.most));
			}
			store_matrices(to, y);
		}
}

template <class S>
__device__ void finish_tile(const float (&sums)[HALVES][TILE / 2], const work &w, const maps &m, const worker<S> &t,
                            int tile, int parity)
{
	const place_of_tile<S> at(w, tile, t.rank);
	const int next = tile + 2 * (int)gridDim.x / S::CLUSTER;

#pragma unroll
	for (int c = 0; c < BOXES; c++) {
		if (w.others) {
			await_phase(t.arrived + 8 * c, parity);
		} else {
			if (t.leads)
				boxes_read<BOXES - 1>();
			t.meet();
		}
		write_box<S>(t, sums, w, c, at.column + 64 * c);
		show_copies();
		t.meet();
		if (t.leads) {
			send_box(&m.y, t.slots + c * BOX, at.column + 64 * c, at.row);
			boxes_marked();
		}
	}
	if (t.leads && w.others && next < w.tiles) {
		boxes_read<0>();
		bring_others<S>(m, t, place_of_tile<S>(w, next, t.rank));
	}
	__syncwarp();
}

template <class S> __device__ void make_tiles(const work &w, const maps &m, const worker<S> &t)
{
	const int step = (int)gridDim.x / S::CLUSTER, first = (int)blockIdx.x / S::CLUSTER + t.group * step;
	float sums[HALVES][TILE / 2];

	if (w.others && t.leads && first < w.tiles)
		bring_others<S>(m, t, place_of_tile<S>(w, first, t.rank));
	__syncwarp();
	for (int tile = first, number = t.group; tile < w.tiles; tile += 2 * step, number += 2) {
		multiply_tile<S>(sums, w, t, number, tile + step >= w.tiles);
		finish_tile<S>(sums, w, m, t, tile, number / 2 & 1);
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
	if (threadIdx.x < 2 * BOXES)
		start_barrier(full<S>(room, 2 * S::STAGES + (int)threadIdx.x), 1);
	show_copies();
	bring_and_make<S::CLUSTER, 40, 232>(
		group, [&] { bring_tiles<S>(w, m, room); }, [&] { make_tiles<S>(w, m, worker<S>(room, group)); });
}

int encode(CUtensorMap *map, const void *x, size_t rows, size_t columns, size_t pitch, int box_rows)
{
	const cuuint64_t sizes[2] = { columns, rows }, bytes[1] = { pitch * 2 };
	const cuuint32_t box[2] = { 64, (cuuint32_t)box_rows };

	return encode_map(map, 2, x, sizes, bytes, box, CU_TENSOR_MAP_SWIZZLE_128B);
}

/* Where taps lie the other way round, the last comes first. */
template <class S>
bool encode_all(maps *m, work *w, const struct product &p, const void *x, const void *weights, const struct ending &e)
{
	const void *other = e.residual.x != NULL ? e.residual.x : e.out.add ? e.out.x : NULL;
	int size[2], first[2], step[2], taken[2];

	for (int i = 0; i < 2; i++) {
		w->taps[i] = p.taps[i];
		w->step[i] = p.stride[i];
		w->first[i] = p.way[i] > 0 ? p.first[i] : p.first[i] - (p.taps[i] - 1);
		size[1 - i] = p.read[i];
		first[1 - i] = w->first[i];
		step[1 - i] = p.stride[i];
		taken[1 - i] = p.pixels[i];
	}
	w->way = p.way[0];
	w->others = other != NULL;
	return encode_images(&m->x, x, p.images, size, p.in, first, step, taken, TILE / S::CLUSTER) &&
	       encode(&m->weights, weights, (size_t)p.out, (size_t)p.depth, (size_t)p.depth, TILE) &&
	       encode(&m->y, e.out.x, (size_t)p.rows, (size_t)p.out, (size_t)p.pitch, TILE) &&
	       (other == NULL || encode(&m->other, other, (size_t)p.rows, (size_t)p.out, (size_t)p.pitch, TILE));
}

template <class S> int launch(const struct product &p, const void *x, const void *weights, const struct ending &e)
{
	struct work w = {};
	maps m = {};

	w.bias = e.bias;
	w.by_image = p.by_image;
	w.by_line = p.by_line;
	w.in = p.in;
	w.lots = p.depth / DEPTH;
	w.across = p.out / (TILE * S::CLUSTER);
	w.tiles = w.across * ((p.rows + TILE - 1) / TILE);
	w.least = e.then == EK_NN_LINEAR ? -INFINITY : 0;
	w.most = e.then == EK_NN_RELU6 ? 6 : INFINITY;
	if (!encode_all<S>(&m, &w, p, x, weights, e))
		return ek_fail(EK_ENOTSUP, "the driver makes no maps for a convolution of %d pixels", p.rows);
	return launch_clusters<multiply<S>>(w.tiles, 1, S::CLUSTER, WORKERS, S::all, "a convolution", w, m);
}

} // namespace

/* Pixels are brought by 64 channels, and go out by tiles. Of fewer numbers there is nothing to gain; drivers are said
 * to make wrong maps of less than 128 KB. */
bool ek_cuda_conv_is_deep(const struct product *p, const struct ending *e)
{
	return p->groups == 1 && p->in % DEPTH == 0 && p->out % TILE == 0 && p->depth > 2 * DEPTH && p->dense &&
	       p->way[0] == p->way[1] && p->pitch % 8 == 0 && (size_t)p->rows * p->in >= 1 << 16 && e->out.bf16 &&
	       (e->residual.x == NULL || e->residual.bf16) && is_bounded(e->then);
}

/* Clusters of 2 below each other and of 4 were slower, but for 256 and 512 channels of the largest images. */
int ek_cuda_conv_deep(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	return p->out % (2 * TILE) == 0 ? launch<shape<2>>(*p, x, weights, *e) : launch<shape<1>>(*p, x, weights, *e);
}
