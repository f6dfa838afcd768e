/*
 * The tiles of bfloat16 products of convolutions, as the tensor cores take them. A block makes ROWS pixels × COLUMNS
 * channels with eight warps; DEPTH of what is added up at a time goes through rooms of shared memory. There a row is
 * 128 bytes, its 16-byte pieces in an order that differs from row to row, so that eight rows' pieces lie in different
 * banks. Internal to train/nn.
 */
#ifndef EK_NN_OPS_CONV_TILE_CUDA_H
#define EK_NN_OPS_CONV_TILE_CUDA_H

#include <limits.h>

#include "train/nn/ops/conv_cuda.h"
#include "train/nn/ops/tensor_cuda.h"

enum { ROWS = 128, PIECES = 8, GAP = 4 };

/* Numbers of a piece, and of a row of a room. */
template <typename T> static constexpr int EACH_OF = 16 / (int)sizeof(T);
template <typename T> static constexpr int DEPTH_OF = PIECES *EACH_OF<T>;
static constexpr int DEPTH = DEPTH_OF<bf16>;

template <typename T> static __device__ inline T *piece_at(T *room, unsigned row, unsigned piece)
{
	return room + row * DEPTH_OF<T> + (piece ^ (row & 7)) * EACH_OF<T>;
}

/* Where a thread reads: every 32nd of LINES rows, of one piece of what is added up. */
template <typename T, int LINES = ROWS> struct reader {
	long at[LINES / 32]; /* of each row's first tap, with the group's channels */
	int y[LINES / 32], x[LINES / 32];
	int channel, tap[2]; /* of the piece that comes next */
};

template <typename T, int LINES>
static __device__ inline void start_reading(struct reader<T, LINES> *r, const struct product &p, unsigned first)
{
#pragma unroll
	for (int i = 0; i < LINES / 32; i++) {
		const unsigned row = first + threadIdx.x / PIECES + 32 * i;
		unsigned image, y, column;

		split_row(p, row, &image, &y, &column);
		r->y[i] = row < (unsigned)p.rows ? (int)y * p.stride[0] + p.first[0] : INT_MIN / 2; /* no such row */
		r->x[i] = (int)column * p.stride[1] + p.first[1];
		r->at[i] = (((long)image * p.read[0] + r->y[i]) * p.read[1] + r->x[i]) * (p.groups * p.in) +
		           (long)blockIdx.y * p.in;
	}
	r->channel = (int)(threadIdx.x % PIECES * EACH_OF<T>);
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
template <typename T, int LINES>
static __device__ inline const T *read_at(const struct reader<T, LINES> &r, const struct product &p, const T *x, int i,
                                          const int tap[2], int channel)
{
	const int down = tap[0] * p.way[0], right = tap[1] * p.way[1];

	if ((unsigned)(r.y[i] + down) >= (unsigned)p.read[0] || (unsigned)(r.x[i] + right) >= (unsigned)p.read[1] ||
	    tap[0] >= p.taps[0])
		return NULL;
	return x + (r.at[i] + (down * p.read[1] + right) * (p.groups * p.in) + channel);
}

/* WHOLE: the numbers of a piece are neighbours in memory, and lie on 16 bytes. */
template <bool WHOLE, typename T, int LINES>
static __device__ inline void read_rows(T *room, struct reader<T, LINES> *r, const struct product &p, const T *x)
{
	const unsigned piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;

	settle(p, &r->channel, r->tap);
#pragma unroll
	for (int i = 0; i < LINES / 32; i++) {
		T *to = piece_at(room, row + 32 * i, piece);

		if constexpr (WHOLE) {
			const T *from = read_at(*r, p, x, i, r->tap, r->channel);

			if (p.cached)
				copy_cached(to, from != NULL ? from : x, from != NULL);
			else
				copy_behind(to, from != NULL ? from : x, from != NULL);
		} else {
			int channel = r->channel, tap[2] = { r->tap[0], r->tap[1] };
			pack<T, EACH_OF<T>> v;

			for (int j = 0; j < EACH_OF<T>; j++, channel++) {
				const T *from;

				settle(p, &channel, tap);
				from = read_at(*r, p, x, i, tap, channel);
				v.x[j] = from != NULL ? *from : narrowed<T>(0);
			}
			*(pack<T, EACH_OF<T>> *)to = v;
		}
	}
	r->channel += DEPTH_OF<T>;
}

/* The same of the weights [columns, depth]. */
template <int COLUMNS, bool WHOLE, typename T>
static __device__ inline void read_weights(T *room, const T *weights, int first, int count, int depth, int at)
{
	const unsigned piece = threadIdx.x % PIECES;

	at += (int)piece * EACH_OF<T>;
#pragma unroll
	for (int i = 0; i < (COLUMNS + 31) / 32; i++) {
		const unsigned row = threadIdx.x / PIECES + 32 * i;

		if (COLUMNS % 32 != 0 && row >= COLUMNS)
			return;
		const bool there = first + (int)row < count;
		const T *from = weights + (size_t)(there ? first + (int)row : 0) * depth + at;
		T *to = piece_at(room, row, piece);

		if constexpr (WHOLE) {
			copy_behind(to, there && at < depth ? from : weights, there && at < depth);
		} else {
			pack<T, EACH_OF<T>> v;

			for (int j = 0; j < EACH_OF<T>; j++)
				v.x[j] = there && at + j < depth ? from[j] : narrowed<T>(0);
			*(pack<T, EACH_OF<T>> *)to = v;
		}
	}
}

/* The biases of a tile's channels, in shared memory [COLUMNS]. */
template <int COLUMNS>
static __device__ inline void share_bias(float *bias, const struct product &p, const struct ending &e, unsigned column)
{
	static_assert(COLUMNS <= EK_THREADS);
	if (threadIdx.x < COLUMNS)
		bias[threadIdx.x] = e.bias != NULL && column + threadIdx.x < (unsigned)p.out
		                            ? e.bias[blockIdx.y * (unsigned)p.out + column + threadIdx.x]
		                            : 0;
}

/* Sums [LINES, COLUMNS], lines GAP apart, in shared memory to where they belong; BATCH loads are under way at a time.
 */
template <int LINES, int COLUMNS, int V, bool BOUNDED>
static __device__ inline void finish_lines(const float *tile, const float *bias, const struct product &p,
                                           const struct ending &e, unsigned row, unsigned column)
{
	constexpr unsigned BATCH = BOUNDED ? 4 : 1, ALL = LINES * COLUMNS / V;

	for (unsigned start = threadIdx.x; start < ALL; start += BATCH * EK_THREADS) {
		float other[BATCH][V];
		size_t to[BATCH];
		bool there[BATCH];

#pragma unroll
		for (unsigned k = 0; k < BATCH; k++) {
			const unsigned i = start + k * EK_THREADS, line = i / (COLUMNS / V), at = i % (COLUMNS / V) * V;

			there[k] = i < ALL && row + line < (unsigned)p.rows && column + at < (unsigned)p.out;
			if (!there[k])
				continue;
			to[k] = made_at(p, row + line) + blockIdx.y * (unsigned)p.out + column + at;
			load_other<V>(other[k], e, to[k]);
		}
#pragma unroll
		for (unsigned k = 0; k < BATCH; k++) {
			const unsigned i = start + k * EK_THREADS, line = i / (COLUMNS / V), at = i % (COLUMNS / V) * V;
			float sum[V], of[V];

			if (!there[k])
				continue;
			load<V>(sum, tile + line * (COLUMNS + GAP) + at);
			load<V>(of, bias + at);
			end<V, BOUNDED>(e, to[k], of, other[k], sum);
		}
	}
}

template <int LINES, int COLUMNS, int V>
static __device__ inline void finish_tile(const float *tile, const float *bias, const struct product &p,
                                          const struct ending &e, unsigned row, unsigned column)
{
	if (is_bounded(e.then))
		finish_lines<LINES, COLUMNS, V, true>(tile, bias, p, e, row, column);
	else
		finish_lines<LINES, COLUMNS, V, false>(tile, bias, p, e, row, column);
}

/* The same, as many at a time as lie side by side. */
template <int LINES, int COLUMNS>
static __device__ inline void finish_all(const float *tile, const float *bias, const struct product &p,
                                         const struct ending &e, unsigned row, unsigned column)
{
	if (p.out % 8 == 0 && e.out.bf16)
		finish_tile<LINES, COLUMNS, 8>(tile, bias, p, e, row, column);
	else if (p.out % 4 == 0)
		finish_tile<LINES, COLUMNS, 4>(tile, bias, p, e, row, column);
	else
		finish_tile<LINES, COLUMNS, 1>(tile, bias, p, e, row, column);
}

#endif
