/* Products of convolutions; see conv_cuda.h. In bfloat16 by tensor cores, in float32 by multiplications that round once
 * (no tf32), and where each group has one channel, without a matrix. */
#include "train/nn/ops/conv_tile_cuda.h"

/* bfloat16. */

/* Of a warp: HEIGHT × WIDTH sums, from row and column on of the block's, over the pieces that are there. */
template <int HEIGHT, int WIDTH>
static __device__ inline void multiply_stage(float (&sums)[HEIGHT / 16][WIDTH / 8][4], bf16 *rows, bf16 *columns,
                                             unsigned row, unsigned column, unsigned pieces)
{
	const unsigned lane = threadIdx.x % 32;

#pragma unroll
	for (unsigned piece = 0; piece < PIECES; piece += 2) {
		if (piece >= pieces)
			return;
		unsigned a[HEIGHT / 16][4], b[WIDTH / 16][4];

#pragma unroll
		for (int i = 0; i < HEIGHT / 16; i++)
			load_matrices(a[i], piece_at(rows, row + 16 * i + lane % 16, piece + lane / 16));
#pragma unroll
		for (int j = 0; j < WIDTH / 16; j++)
			load_matrices(b[j], piece_at(columns, column + 16 * j + lane % 8 + lane / 16 * 8,
			                             piece + lane / 8 % 2));
#pragma unroll
		for (int i = 0; i < HEIGHT / 16; i++)
#pragma unroll
			for (int j = 0; j < WIDTH / 8; j++)
				multiply(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
	}
}

/* STAGES: 3, or 1 where all that is added up fits one: smaller blocks, of which more run beside each other. */
template <int COLUMNS, int STAGES> struct tile {
	/* Eight warps: 2 × 4, 4 × 2 or 8 × 1. */
	static constexpr int ACROSS = COLUMNS / 32, HEIGHT = ROWS / (8 / ACROSS), WIDTH = 32;
	static constexpr int ROOM = (ROWS + COLUMNS) * DEPTH;
	static constexpr size_t BYTES = STAGES * ROOM * sizeof(bf16) > ROWS *(COLUMNS + GAP) * sizeof(float)
	                                        ? STAGES *ROOM * sizeof(bf16)
	                                        : ROWS *(COLUMNS + GAP) * sizeof(float);
};

template <int COLUMNS, bool WHOLE, int STAGES>
static __global__ void __launch_bounds__(EK_THREADS, STAGES == 1 ? 3 : 2)
	multiply_low(const __grid_constant__ struct product p, const bf16 *x, const bf16 *weights,
                     const __grid_constant__ struct ending e)
{
	typedef tile<COLUMNS, STAGES> shape;
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = (bf16 *)memory;
	const unsigned across = (unsigned)(p.out + COLUMNS - 1) / COLUMNS, warp = threadIdx.x / 32,
		       lane = threadIdx.x % 32;
	const unsigned first = blockIdx.x / across * ROWS, column = blockIdx.x % across * COLUMNS;
	const unsigned row = warp / shape::ACROSS * shape::HEIGHT, of = warp % shape::ACROSS * shape::WIDTH;
	const int lots = (p.depth + DEPTH - 1) / DEPTH;
	float sums[shape::HEIGHT / 16][shape::WIDTH / 8][4] = {};
	float *out = (float *)memory;
	struct reader r;

	weights += (size_t)blockIdx.y * p.out * p.depth;
	start_reading(&r, p, x, first);
	for (int i = 0; i < (STAGES > 1 ? STAGES - 1 : 1); i++) {
		bf16 *room = rooms + i * shape::ROOM;

		if (i < lots) {
			read_rows<WHOLE>(room, &r, p, x);
			read_weights<COLUMNS, WHOLE>(room + ROWS * DEPTH, weights, (int)column, p.out, p.depth,
			                             i * DEPTH);
		}
		copies_marked();
	}
	for (int i = 0; i < lots; i++) {
		bf16 *room = rooms + i % STAGES * shape::ROOM, *next = rooms + (i + STAGES - 1) % STAGES * shape::ROOM;

		copies_wait<(STAGES > 1 ? STAGES - 2 : 0)>();
		__syncthreads();
		if (STAGES > 1 && i + STAGES - 1 < lots) {
			read_rows<WHOLE>(next, &r, p, x);
			read_weights<COLUMNS, WHOLE>(next + ROWS * DEPTH, weights, (int)column, p.out, p.depth,
			                             (i + STAGES - 1) * DEPTH);
		}
		copies_marked();
		multiply_stage<shape::HEIGHT, shape::WIDTH>(sums, room, room + ROWS * DEPTH, row, of,
		                                            (unsigned)(p.depth - i * DEPTH + 7) / 8);
	}
	copies_wait<0>();
	__syncthreads();
#pragma unroll
	for (int i = 0; i < shape::HEIGHT / 16; i++)
#pragma unroll
		for (int j = 0; j < shape::WIDTH / 8; j++)
#pragma unroll
			for (int k = 0; k < 4; k++)
				out[(row + 16 * i + lane / 4 + k / 2 * 8) * (COLUMNS + GAP) + of + 8 * j +
				    lane % 4 * 2 + k % 2] = sums[i][j][k];
	__syncthreads();
	if (p.out % 8 == 0 && e.out.bf16)
		finish_tile<ROWS, COLUMNS, 8>(out, p, e, first, column);
	else if (p.out % 4 == 0)
		finish_tile<ROWS, COLUMNS, 4>(out, p, e, first, column);
	else
		finish_tile<ROWS, COLUMNS, 1>(out, p, e, first, column);
}

/* float32: a block makes SIDE × SIDE, a thread 4 × 4 of them. */
enum { SIDE = 64, STEP = 16 };

static __global__ void __launch_bounds__(EK_THREADS)
	multiply_floats(const __grid_constant__ struct product p, const float *x, const float *weights,
                        const __grid_constant__ struct ending e)
{
	__shared__ __align__(16) float memory[SIDE * (SIDE + GAP)];
	float(*a)[SIDE + GAP] = (float(*)[SIDE + GAP]) memory, (*b)[SIDE + GAP] = a + STEP;
	const unsigned across = (unsigned)(p.out + SIDE - 1) / SIDE;
	const unsigned first = blockIdx.x / across * SIDE, column = blockIdx.x % across * SIDE;
	const unsigned at = threadIdx.x % STEP, line = threadIdx.x / STEP;
	float sums[4][4] = {};
	size_t image[4];
	int y[4], places[4];

	weights += (size_t)blockIdx.y * p.out * p.depth;
	for (int i = 0; i < 4; i++) {
		unsigned number, row, place;

		split_row(p, first + line + 16 * i, &number, &row, &place);
		image[i] = (size_t)number * (unsigned)(p.read[0] * p.read[1]);
		y[i] = (int)row * p.stride[0] + p.first[0];
		places[i] = (int)place * p.stride[1] + p.first[1];
	}
	for (int k = 0; k < p.depth; k += STEP) {
		const int deep = k + (int)at, tap = deep / p.in, channel = deep % p.in;

		__syncthreads();
		for (int i = 0; i < 4; i++) {
			const int row = y[i] + tap / p.taps[1] * p.way[0],
				  place = places[i] + tap % p.taps[1] * p.way[1];
			const unsigned made = line + 16 * i;

			a[at][made] = deep < p.depth && first + made < (unsigned)p.rows && row >= 0 &&
			                              row < p.read[0] && place >= 0 && place < p.read[1]
			                      ? x[(image[i] + (unsigned)(row * p.read[1] + place)) *
			                                  (unsigned)(p.groups * p.in) +
			                          blockIdx.y * p.in + channel]
			                      : 0;
			b[at][made] = deep < p.depth && column + made < (unsigned)p.out
			                      ? weights[(size_t)(column + made) * p.depth + deep]
			                      : 0;
		}
		__syncthreads();
#pragma unroll
		for (int d = 0; d < STEP; d++) {
			float left[4], right[4];

			load<4>(left, &a[d][threadIdx.x / 16 * 4]);
			load<4>(right, &b[d][threadIdx.x % 16 * 4]);
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					sums[i][j] += left[i] * right[j];
		}
	}
	__syncthreads();
	for (int i = 0; i < 4; i++)
		store<4>(&memory[(threadIdx.x / 16 * 4 + i) * (SIDE + GAP) + threadIdx.x % 16 * 4], sums[i], 0);
	__syncthreads();
	if (p.out % 4 == 0)
		finish_tile<SIDE, SIDE, 4>(memory, p, e, first, column);
	else
		finish_tile<SIDE, SIDE, 1>(memory, p, e, first, column);
}

/* float32 where little is added up, as in a first layer: a thread makes EACH channels of a pixel. Shared memory has the
 * weights as [depth, channels], the latter filled up with zeros to a multiple of EACH. */
enum { EACH = 8, FEW = 64, FEW_WEIGHTS = 4096 };

static inline __host__ __device__ unsigned filled(const struct product &p)
{
	return (unsigned)(p.out + EACH - 1) / EACH * EACH;
}

static bool is_few(const struct product *p)
{
	return p->groups == 1 && p->depth > 0 && p->depth <= FEW && (unsigned)p->depth * filled(*p) <= FEW_WEIGHTS &&
	       (size_t)p->rows * filled(*p) < 1u << 31;
}

static __global__ void __launch_bounds__(EK_THREADS)
	multiply_few(const __grid_constant__ struct product p, const float *x, const float *weights,
                     const __grid_constant__ struct ending e)
{
	__shared__ __align__(16) float w[FEW_WEIGHTS];
	const unsigned wide = filled(p), parts = wide / EACH, place = blockIdx.x * EK_THREADS + threadIdx.x;
	const unsigned row = place / parts, channel = place % parts * EACH;
	float sums[EACH] = { 0 }, of[EACH];
	unsigned image, y, column;
	int k = 0;

	for (unsigned i = threadIdx.x; i < (unsigned)p.depth * wide; i += EK_THREADS)
		w[i] = i % wide < (unsigned)p.out ? weights[i % wide * p.depth + i / wide] : 0;
	__syncthreads();
	if (row >= (unsigned)p.rows)
		return;
	split_row(p, row, &image, &y, &column);
	for (int r = 0; r < p.taps[0]; r++)
		for (int c = 0; c < p.taps[1]; c++) {
			const int line = (int)y * p.stride[0] + p.first[0] + r * p.way[0];
			const int at = (int)column * p.stride[1] + p.first[1] + c * p.way[1];
			const bool inside = line >= 0 && line < p.read[0] && at >= 0 && at < p.read[1];
			const float *from =
				x + (((size_t)image * (unsigned)p.read[0] + (unsigned)line) * (unsigned)p.read[1] +
			             (unsigned)at) *
					    (unsigned)p.in;

			for (int i = 0; i < p.in; i++, k++) {
				const float v = inside ? from[i] : 0;

				load<4>(of, &w[k * wide + channel]);
				load<4>(of + 4, &w[k * wide + channel + 4]);
#pragma unroll
				for (int j = 0; j < EACH; j++)
					sums[j] += v * of[j];
			}
		}
	if (p.out % EACH == 0) {
		finish<4>(e, made_at(p, row), channel, sums);
		finish<4>(e, made_at(p, row), channel + 4, sums + 4);
		return;
	}
#pragma unroll
	for (unsigned j = 0; j < EACH; j++)
		if (channel + j < (unsigned)p.out)
			finish<1>(e, made_at(p, row), channel + j, sums + j);
}

/* A channel a group: weights [taps, channels] (conv_cuda.cu packs them so). A thread makes WIDE neighbours of V
 * channels; with the kernel's side K and the stride S known, what neighbours share is read once. */
template <typename T, int V, int K, int S, int WIDE>
static __global__ void __launch_bounds__(EK_THREADS)
	each_channel(const __grid_constant__ struct product p, const T *x, const T *weights,
                     const __grid_constant__ struct ending e, unsigned count)
{
	constexpr int SPAN = (WIDE - 1) * S + K;
	const unsigned n = (unsigned)p.groups, strips = (unsigned)(p.pixels[1] + WIDE - 1) / WIDE;
	float sums[WIDE][V] = {};

	EK_PLACE(i, count);
	const unsigned channel = i % (n / V) * V, strip = i / (n / V);
	const int made = (int)(strip / strips), from = (int)(strip % strips) * WIDE;

	x += (size_t)blockIdx.y * (unsigned)(p.read[0] * p.read[1]) * n + channel;
	weights += channel;
	for (int r = 0; r < K; r++) {
		const int row = made * S + p.first[0] + r, start = from * S + p.first[1];
		pack<T, V> line[SPAN];

		if (row < 0 || row >= p.read[0])
			continue;
#pragma unroll
		for (int c = 0; c < SPAN; c++)
			line[c] =
				start + c >= 0 && start + c < p.read[1]
					? *(const pack<T, V> *)(x + (unsigned)(row * p.read[1] + start + c) * (size_t)n)
					: pack<T, V>{};
#pragma unroll
		for (int c = 0; c < K; c++) {
			float w[V];

			load<V>(w, weights + (unsigned)(r * K + c) * (size_t)n);
#pragma unroll
			for (int k = 0; k < WIDE; k++)
#pragma unroll
				for (int j = 0; j < V; j++)
					sums[k][j] += w[j] * widened(line[k * S + c].x[j]);
		}
	}
#pragma unroll
	for (int k = 0; k < WIDE; k++)
		if (from + k < p.pixels[1])
			finish<V>(e,
			          (((size_t)blockIdx.y * (unsigned)p.made[0] + (unsigned)made) * (unsigned)p.made[1] +
			           (unsigned)(from + k)) *
			                  n,
			          channel, sums[k]);
}

/* The same of any kernel, stride and phase. */
template <typename T, int V>
static __global__ void __launch_bounds__(EK_THREADS)
	any_channel(const __grid_constant__ struct product p, const T *x, const T *weights,
                    const __grid_constant__ struct ending e, unsigned count)
{
	const unsigned n = (unsigned)p.groups;
	float sum[V] = { 0 }, w[V], v[V];

	EK_PLACE(i, count);
	const unsigned channel = i % (n / V) * V, pixel = i / (n / V);
	const int made = (int)(pixel / (unsigned)p.pixels[1]), from = (int)(pixel % (unsigned)p.pixels[1]);

	x += (size_t)blockIdx.y * (unsigned)(p.read[0] * p.read[1]) * n + channel;
	for (int r = 0; r < p.taps[0]; r++)
		for (int c = 0; c < p.taps[1]; c++) {
			const int row = made * p.stride[0] + p.first[0] + r * p.way[0];
			const int place = from * p.stride[1] + p.first[1] + c * p.way[1];

			if (row < 0 || row >= p.read[0] || place < 0 || place >= p.read[1])
				continue;
			load<V>(v, x + (unsigned)(row * p.read[1] + place) * (size_t)n);
			load<V>(w, weights + (unsigned)(r * p.taps[1] + c) * (size_t)n + channel);
#pragma unroll
			for (int j = 0; j < V; j++)
				sum[j] += w[j] * v[j];
		}
	finish<V>(e, made_at(p, blockIdx.y * (unsigned)(p.pixels[0] * p.pixels[1]) + pixel), channel, sum);
}

template <typename T, int V, int K, int S>
static void launch_each(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	constexpr int WIDE = S == 1 ? 4 : 2;
	const size_t count =
		(size_t)p->pixels[0] * (unsigned)((p->pixels[1] + WIDE - 1) / WIDE) * (unsigned)(p->groups / V);

	EK_LAUNCH((each_channel<T, V, K, S, WIDE>), blocks_for(count, p->images), EK_THREADS, 0, *p, (const T *)x,
	          (const T *)weights, *e, (unsigned)count);
}

/* Is it a square of this side, of this stride, as forward? */
static bool is_square(const struct product *p, int side, int stride)
{
	return p->taps[0] == side && p->taps[1] == side && p->stride[0] == stride && p->stride[1] == stride &&
	       p->way[0] == 1 && p->way[1] == 1 && p->step[0] == 1 && p->step[1] == 1;
}

static void launch_channels(const struct product *p, enum ek_nn_type type, const void *x, const void *weights,
                            const struct ending *e)
{
	by_type(type, (size_t)p->groups, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;
		const size_t count = (size_t)p->pixels[0] * (unsigned)p->pixels[1] * (unsigned)(p->groups / V);

		if (is_square(p, 3, 1))
			launch_each<T, V, 3, 1>(p, x, weights, e);
		else if (is_square(p, 3, 2))
			launch_each<T, V, 3, 2>(p, x, weights, e);
		else if (is_square(p, 5, 1))
			launch_each<T, V, 5, 1>(p, x, weights, e);
		else if (is_square(p, 5, 2))
			launch_each<T, V, 5, 2>(p, x, weights, e);
		else
			EK_LAUNCH((any_channel<T, V>), blocks_for(count, p->images), EK_THREADS, 0, *p, (const T *)x,
			          (const T *)weights, *e, (unsigned)count);
	});
}

template <int COLUMNS, bool WHOLE, int STAGES>
static void launch_low(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	static const cudaError_t roomy =
		cudaFuncSetAttribute(multiply_low<COLUMNS, WHOLE, STAGES>, cudaFuncAttributeMaxDynamicSharedMemorySize,
	                             (int)tile<COLUMNS, STAGES>::BYTES);
	const unsigned across = (unsigned)(p->out + COLUMNS - 1) / COLUMNS,
		       down = (unsigned)(p->rows + ROWS - 1) / ROWS;

	ek_cuda_note(roomy);
	EK_LAUNCH((multiply_low<COLUMNS, WHOLE, STAGES>), dim3(across * down, (unsigned)p->groups), EK_THREADS,
	          (tile<COLUMNS, STAGES>::BYTES), *p, (const bf16 *)x, (const bf16 *)weights, *e);
}

template <bool WHOLE>
static void launch_columns(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	const bool flat = p->depth <= DEPTH;

	if (p->out <= 32 && flat)
		launch_low<32, WHOLE, 1>(p, x, weights, e);
	else if (flat)
		launch_low<64, WHOLE, 1>(p, x, weights, e);
	else if (p->out <= 32)
		launch_low<32, WHOLE, 3>(p, x, weights, e);
	else if (p->out <= 64)
		launch_low<64, WHOLE, 3>(p, x, weights, e);
	else
		launch_low<128, WHOLE, 3>(p, x, weights, e);
}

int ek_cuda_conv(const struct product *p, enum ek_nn_type type, const void *x, const void *weights,
                 const struct ending *e)
{
	if (p->rows == 0)
		return 0;
	if (p->in == 1 && p->out == 1) {
		launch_channels(p, type, x, weights, e);
	} else if (type == EK_NN_FLOAT32 && is_few(p)) {
		EK_LAUNCH(multiply_few, blocks_for((size_t)p->rows * (filled(*p) / EACH), 1), EK_THREADS, 0, *p,
		          (const float *)x, (const float *)weights, *e);
	} else if (type == EK_NN_FLOAT32) {
		const unsigned across = (unsigned)(p->out + SIDE - 1) / SIDE,
			       down = (unsigned)(p->rows + SIDE - 1) / SIDE;

		EK_LAUNCH(multiply_floats, dim3(across * down, (unsigned)p->groups), EK_THREADS, 0, *p,
		          (const float *)x, (const float *)weights, *e);
	} else if (p->in % 8 == 0 && ek_cuda_is_hopper()) {
		ek_cuda_conv_hopper(p, x, weights, e);
	} else if (p->in % 8 == 0) {
		launch_columns<true>(p, x, weights, e);
	} else {
		launch_columns<false>(p, x, weights, e);
	}
	return ek_cuda_launched("convolution");
}
