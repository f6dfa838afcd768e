/*
 * The tiles of a gradient of weights, in bfloat16: a block makes ROWS outputs × COLUMNS, DEPTH pixels at a time. Rooms
 * are as in conv_tile_cuda.h, but that a row is a pixel: what is multiplied lies turned. Internal to train/nn.
 */
#ifndef EK_NN_OPS_CONV_WEIGHTS_TILE_CUDA_H
#define EK_NN_OPS_CONV_WEIGHTS_TILE_CUDA_H

#include "train/nn/ops/conv_tile_cuda.h"

/* The pixels are cut into parts. */
struct parts {
	unsigned count, pixels; /* of a part; a multiple of DEPTH */
	unsigned columns;       /* of a tile */
	unsigned down, across;  /* tiles */
};

/* Eight pieces of all rows, then the next eight. */
static __device__ inline bf16 *turned_piece_at(bf16 *room, unsigned row, unsigned piece)
{
	return piece_at(room + piece / PIECES * (DEPTH * DEPTH), row, piece % PIECES);
}

/* Eight numbers, those below `count`, in the background if they are neighbours that lie on 16 bytes. */
template <bool WHOLE> static __device__ inline void bring(bf16 *to, const bf16 *from, int count)
{
	if constexpr (WHOLE) {
		copy_cached(to, from, count > 0);
	} else {
		pack<bf16, 8> v;

		for (int j = 0; j < 8; j++)
			v.x[j] = j < count ? from[j] : narrowed<bf16>(0);
		*(pack<bf16, 8> *)to = v;
	}
}

/* dy [DEPTH, ROWS] from pixel `pixel` on, below `end`. */
template <bool WHOLE>
static __device__ inline void read_outputs(bf16 *room, const bf16 *dy, const struct product &p, unsigned first,
                                           unsigned pixel, unsigned end)
{
	const unsigned piece = threadIdx.x % (ROWS / 8), output = first + piece * 8;

#pragma unroll
	for (unsigned i = 0; i < DEPTH / (EK_THREADS / (ROWS / 8)); i++) {
		const unsigned row = threadIdx.x / (ROWS / 8) + EK_THREADS / (ROWS / 8) * i;
		const int there = pixel + row < end ? (int)p.out - (int)output : 0;

		bring<WHOLE>(turned_piece_at(room, row, piece),
		             there > 0 ? dy + (size_t)(pixel + row) * (unsigned)(p.groups * p.out) +
		                                 blockIdx.z * p.out + output
		                       : dy,
		             there);
	}
}

/* A column's tap and channel. */
struct column {
	int channel, tap[2];
};

static __device__ inline struct column column_of(const struct product &p, unsigned column)
{
	const int tap = (int)column / p.in;

	return { (int)column % p.in, { tap / p.taps[1], tap % p.taps[1] } };
}

/* What a pixel reads there; NULL outside. */
template <typename T>
static __device__ inline const T *read_at(const struct product &p, const T *x, unsigned image, unsigned y,
                                          unsigned place, const struct column &c)
{
	const int row = (int)y * p.stride[0] + p.first[0] + c.tap[0] * p.way[0];
	const int column = (int)place * p.stride[1] + p.first[1] + c.tap[1] * p.way[1];

	if (c.tap[0] >= p.taps[0] || (unsigned)row >= (unsigned)p.read[0] || (unsigned)column >= (unsigned)p.read[1])
		return NULL;
	return x +
	       (((size_t)image * (unsigned)p.read[0] + (unsigned)row) * (unsigned)p.read[1] + (unsigned)column) *
	               (unsigned)(p.groups * p.in) +
	       blockIdx.z * p.in + c.channel;
}

/* What pixels read, [DEPTH, COLUMNS]; c: of this thread's piece. */
template <int COLUMNS, bool WHOLE>
static __device__ inline void read_inputs(bf16 *room, const bf16 *x, const struct product &p, const struct column &c,
                                          unsigned pixel, unsigned end)
{
	constexpr unsigned PIECES = COLUMNS / 8, LINES = EK_THREADS / PIECES;
	const unsigned piece = threadIdx.x % PIECES;

#pragma unroll
	for (unsigned i = 0; i < (DEPTH + LINES - 1) / LINES; i++) {
		const unsigned row = threadIdx.x / PIECES + LINES * i;
		bf16 *to = turned_piece_at(room, row, piece);
		unsigned image, y, place;

		split_row(p, pixel + row, &image, &y, &place);
		if constexpr (WHOLE) {
			const bf16 *from = pixel + row < end ? read_at(p, x, image, y, place, c) : NULL;

			copy_cached(to, from != NULL ? from : x, from != NULL);
		} else {
			struct column at = c;
			pack<bf16, 8> v;

			for (int j = 0; j < 8; j++) {
				const bf16 *from = pixel + row < end ? read_at(p, x, image, y, place, at) : NULL;

				v.x[j] = from != NULL ? *from : narrowed<bf16>(0);
				if (++at.channel == p.in) {
					at.channel = 0;
					if (++at.tap[1] == p.taps[1]) {
						at.tap[1] = 0;
						at.tap[0]++;
					}
				}
			}
			*(pack<bf16, 8> *)to = v;
		}
	}
}

/* conv_weights_hopper.cu: sums [parts, groups · out, depth], on a GPU of compute capability 9.0, p's channels being
 * multiples of 8; 64 or 128 columns a tile. */
void ek_cuda_conv_weights_hopper(float *sums, const struct product *p, const void *x, const void *dy,
                                 const struct parts *t);

/* conv_weights_deep_hopper.cu: the same of inputs that are a multiple of 64, and outputs of 128, in one group; 192
 * columns a tile if outputs are a multiple of 256, or 384. */
int ek_cuda_conv_weights_deep(float *sums, const struct product *p, const void *x, const void *dy,
                              const struct parts *t);

#endif
