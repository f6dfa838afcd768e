/*
 * The tiles of bfloat16 products of convolutions, as the tensor cores take them. A block makes ROWS pixels × COLUMNS
 * channels with eight warps; DEPTH of what is added up at a time goes through rooms of shared memory. There a row is
 * 128 bytes, its 16-byte pieces in an order that differs from row to row, so that eight rows' pieces lie in different
 * banks. Internal to train/nn.
 */
#ifndef EK_NN_OPS_CONV_TILE_CUDA_H
#define EK_NN_OPS_CONV_TILE_CUDA_H

#include "train/nn/ops/conv_cuda.h"
#include "train/nn/ops/tensor_cuda.h"

enum { ROWS = 128, DEPTH = 64, PIECES = DEPTH / 8, GAP = 4 };

static __device__ inline bf16 *piece_at(bf16 *room, unsigned row, unsigned piece)
{
	return room + row * DEPTH + (piece ^ (row & 7)) * 8;
}

/* Where a thread reads: four rows, of one piece of what is added up. */
struct reader {
	const bf16 *image[ROWS / 32]; /* of each row, with the group's channels; NULL: no such row */
	int y[ROWS / 32], x[ROWS / 32];
	int channel, tap[2]; /* of the piece that comes next */
};

static __device__ inline void start_reading(struct reader *r, const struct product &p, const bf16 *x, unsigned first)
{
	for (int i = 0; i < ROWS / 32; i++) {
		const unsigned row = first + threadIdx.x / PIECES + 32 * i;
		unsigned image, y, column;

		split_row(p, row, &image, &y, &column);
		r->image[i] = row < (unsigned)p.rows
		                      ? x + (size_t)image * (unsigned)(p.read[0] * p.read[1]) * (p.groups * p.in) +
		                                blockIdx.y * p.in
		                      : NULL;
		r->y[i] = (int)y * p.stride[0] + p.first[0];
		r->x[i] = (int)column * p.stride[1] + p.first[1];
	}
	r->channel = (int)(threadIdx.x % PIECES * 8);
	r->tap[0] = r->tap[1] = 0;
}

/* To the tap that `channel` is beyond. */
static __device__ inline void settle(const struct product &p, int *channel, int tap[2])
{
	while (*channel >= p.in && tap[0] < p.taps[0]) {
		*channel -= p.in;
		if (++tap[1] == p.taps[1]) {
			tap[1] = 0;
			tap[0]++;
		}
	}
}

/* The number that row i reads at a tap and channel, or NULL where that is outside. */
static __device__ inline const bf16 *read_at(const struct reader &r, const struct product &p, int i, const int tap[2],
                                             int channel)
{
	const int y = r.y[i] + tap[0] * p.way[0], x = r.x[i] + tap[1] * p.way[1];

	if (r.image[i] == NULL || tap[0] >= p.taps[0] || (unsigned)y >= (unsigned)p.read[0] ||
	    (unsigned)x >= (unsigned)p.read[1])
		return NULL;
	return r.image[i] + (size_t)(unsigned)(y * p.read[1] + x) * (unsigned)(p.groups * p.in) + channel;
}

/* WHOLE: the eight numbers of a piece are neighbours in memory. */
template <bool WHOLE>
static __device__ inline void read_rows(bf16 *room, struct reader *r, const struct product &p, const bf16 *any)
{
	const unsigned piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;

	settle(p, &r->channel, r->tap);
#pragma unroll
	for (int i = 0; i < ROWS / 32; i++) {
		bf16 *to = piece_at(room, row + 32 * i, piece);

		if constexpr (WHOLE) {
			const bf16 *from = read_at(*r, p, i, r->tap, r->channel);

			copy_behind(to, from != NULL ? from : any, from != NULL);
		} else {
			int channel = r->channel, tap[2] = { r->tap[0], r->tap[1] };
			pack<bf16, 8> v;

			for (int j = 0; j < 8; j++, channel++) {
				const bf16 *from;

				settle(p, &channel, tap);
				from = read_at(*r, p, i, tap, channel);
				v.x[j] = from != NULL ? *from : narrowed<bf16>(0);
			}
			*(pack<bf16, 8> *)to = v;
		}
	}
	r->channel += DEPTH;
}

/* The same of the weights [columns, depth]. */
template <int COLUMNS, bool WHOLE>
static __device__ inline void read_weights(bf16 *room, const bf16 *weights, int first, int count, int depth, int at)
{
	const unsigned piece = threadIdx.x % PIECES;

	at += (int)piece * 8;
#pragma unroll
	for (int i = 0; i < (COLUMNS + 31) / 32; i++) {
		const unsigned row = threadIdx.x / PIECES + 32 * i;

		if (COLUMNS % 32 != 0 && row >= COLUMNS)
			return;
		const bool there = first + (int)row < count;
		const bf16 *from = weights + (size_t)(there ? first + (int)row : 0) * depth + at;
		bf16 *to = piece_at(room, row, piece);

		if constexpr (WHOLE) {
			copy_behind(to, there && at < depth ? from : weights, there && at < depth);
		} else {
			pack<bf16, 8> v;

			for (int j = 0; j < 8; j++)
				v.x[j] = there && at + j < depth ? from[j] : narrowed<bf16>(0);
			*(pack<bf16, 8> *)to = v;
		}
	}
}

/* Sums [ROWS, COLUMNS], lines GAP apart, in shared memory to where they belong. */
template <int LINES, int COLUMNS, int V>
static __device__ inline void finish_tile(const float *tile, const struct product &p, const struct ending &e,
                                          unsigned row, unsigned column)
{
	for (unsigned i = threadIdx.x; i < LINES * COLUMNS / V; i += EK_THREADS) {
		const unsigned line = i / (COLUMNS / V), at = i % (COLUMNS / V) * V;
		float sum[V];

		if (row + line >= (unsigned)p.rows || column + at >= (unsigned)p.out)
			continue;
		load<V>(sum, tile + line * (COLUMNS + GAP) + at);
		finish<V>(e, made_at(p, row + line), blockIdx.y * (unsigned)p.out + column + at, sum);
	}
}

#endif
