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
	__shared__ __align__(16) float bias[COLUMNS];
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = (bf16 *)memory;
	const unsigned across = (unsigned)(p.out + COLUMNS - 1) / COLUMNS, warp = threadIdx.x / 32,
		       lane = threadIdx.x % 32;
	const unsigned first = blockIdx.x / across * ROWS, column = blockIdx.x % across * COLUMNS;
	const unsigned row = warp / shape::ACROSS * shape::HEIGHT, of = warp % shape::ACROSS * shape::WIDTH;
	const int lots = (p.depth + DEPTH - 1) / DEPTH;
	float sums[shape::HEIGHT / 16][shape::WIDTH / 8][4] = {};
	float *out = (float *)memory;
	struct reader<bf16> r;

	weights += (size_t)blockIdx.y * p.out * p.depth;
	share_bias<COLUMNS>(bias, p, e, column);
	start_reading(&r, p, first);
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
	finish_all<ROWS, COLUMNS>(out, bias, p, e, first, column);
}

/*
 * float32, one multiplication after the other. A thread makes DOWN × WIDE of a block's sums, the lines of each of its
 * own ACROSS or 256 / ACROSS apart: neighbours read neighbouring lines.
 */
enum { FLOAT_STAGES = 2 };

template <int COLUMNS> struct float_tile {
	static constexpr int ACROSS = COLUMNS <= 16 ? 4 : COLUMNS <= 64 ? 8 : 16, LINES = EK_THREADS / ACROSS;
	static constexpr int WIDE = COLUMNS / ACROSS, DOWN = ROWS / LINES, ROOM = (ROWS + COLUMNS) * DEPTH_OF<float>;
	static constexpr size_t TILE = ROWS * (COLUMNS + GAP) * sizeof(float);
	static constexpr size_t BYTES = FLOAT_STAGES * ROOM * sizeof(float) > TILE ? FLOAT_STAGES *ROOM * sizeof(float)
	                                                                           : TILE;
};

template <int COLUMNS>
static __device__ inline void multiply_room(float (&sums)[float_tile<COLUMNS>::DOWN][float_tile<COLUMNS>::WIDE],
                                            float *room, int pieces)
{
	typedef float_tile<COLUMNS> shape;
	const unsigned line = threadIdx.x / shape::ACROSS, at = threadIdx.x % shape::ACROSS;
	float *columns = room + ROWS * DEPTH_OF<float>;

	for (unsigned piece = 0; piece < (unsigned)min(pieces, (int)PIECES); piece++) {
		float left[shape::DOWN][4], right[4];

#pragma unroll
		for (int i = 0; i < shape::DOWN; i++)
			load<4>(left[i], piece_at(room, line + i * shape::LINES, piece));
#pragma unroll
		for (int j = 0; j < shape::WIDE; j++) {
			load<4>(right, piece_at(columns, at + j * shape::ACROSS, piece));
#pragma unroll
			for (int i = 0; i < shape::DOWN; i++)
#pragma unroll
				for (int k = 0; k < 4; k++)
					sums[i][j] += left[i][k] * right[k];
		}
	}
}

template <int COLUMNS, bool WHOLE>
static __global__ void __launch_bounds__(EK_THREADS, COLUMNS <= 48 ? 3 : 2)
	multiply_floats(const __grid_constant__ struct product p, const float *x, const float *weights,
                        const __grid_constant__ struct ending e)
{
	typedef float_tile<COLUMNS> shape;
	__shared__ __align__(16) float bias[COLUMNS];
	EK_SHARED(unsigned char, memory);
	float *rooms = (float *)memory;
	const unsigned across = (unsigned)(p.out + COLUMNS - 1) / COLUMNS;
	const unsigned first = blockIdx.x / across * ROWS, column = blockIdx.x % across * COLUMNS;
	const int lots = (p.depth + DEPTH_OF<float> - 1) / DEPTH_OF<float>;
	float sums[shape::DOWN][shape::WIDE] = {};
	struct reader<float> r;

	weights += (size_t)blockIdx.y * p.out * p.depth;
	share_bias<COLUMNS>(bias, p, e, column);
	start_reading(&r, p, first);
	for (int i = 0; i <= lots; i++) {
		float *room = rooms + (i + 1) % FLOAT_STAGES * shape::ROOM,
		      *next = rooms + i % FLOAT_STAGES * shape::ROOM;

		if (i < lots) {
			read_rows<WHOLE>(next, &r, p, x);
			read_weights<COLUMNS, WHOLE>(next + ROWS * DEPTH_OF<float>, weights, (int)column, p.out,
			                             p.depth, i * DEPTH_OF<float>);
		}
		copies_marked();
		if (i > 0)
			multiply_room<COLUMNS>(sums, room, (p.depth - (i - 1) * DEPTH_OF<float> + 3) / 4);
		copies_wait<0>();
		__syncthreads();
	}
#pragma unroll
	for (int i = 0; i < shape::DOWN; i++)
#pragma unroll
		for (int j = 0; j < shape::WIDE; j++)
			rooms[(threadIdx.x / shape::ACROSS + i * shape::LINES) * (COLUMNS + GAP) +
			      threadIdx.x % shape::ACROSS + j * shape::ACROSS] = sums[i][j];
	__syncthreads();
	finish_all<ROWS, COLUMNS>(rooms, bias, p, e, first, column);
}

/*
 * float32, a pixel to a pixel, of few channels: a thread keeps the weights of four channels made, and goes from row to
 * row. Neighbours read the same numbers, and nothing but these and the results is moved.
 */
enum { FEW_INPUTS = 32 };

template <int IN>
static __global__ void __launch_bounds__(EK_THREADS)
	multiply_few(const __grid_constant__ struct product p, const float *x, const float *weights,
                     const __grid_constant__ struct ending e)
{
	const unsigned lanes = (unsigned)p.out / 4, lines = blockDim.x / lanes, step = gridDim.x * lines;
	const unsigned channel = threadIdx.x % lanes * 4;
	unsigned row = blockIdx.x * lines + threadIdx.x / lanes;
	float w[IN][4], bias[4], next[IN];

	load_bias<4>(bias, e, channel);
#pragma unroll
	for (int j = 0; j < 4; j++)
#pragma unroll
		for (int k = 0; k < IN; k++)
			w[k][j] = weights[(channel + j) * IN + k];
#pragma unroll
	for (int k = 0; k < IN && row < (unsigned)p.rows; k += 4)
		load<4>(&next[k], x + (size_t)row * IN + k);
	for (; row < (unsigned)p.rows; row += step) {
		float sum[4] = {}, here[IN];

#pragma unroll
		for (int k = 0; k < IN; k++)
			here[k] = next[k];
#pragma unroll
		for (int k = 0; k < IN && row + step < (unsigned)p.rows; k += 4)
			load<4>(&next[k], x + (size_t)(row + step) * IN + k);
#pragma unroll
		for (int k = 0; k < IN; k++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				sum[j] += here[k] * w[k][j];
		finish<4, true>(e, (size_t)row * (unsigned)p.pitch + channel, bias, sum);
	}
}

static bool is_of_few(const struct product *p, const struct ending *e)
{
	return p->groups == 1 && p->taps[0] * p->taps[1] == 1 && p->dense && p->stride[0] == 1 && p->stride[1] == 1 &&
	       p->first[0] == 0 && p->first[1] == 0 && p->read[0] == p->made[0] && p->read[1] == p->made[1] &&
	       p->in % 8 == 0 && p->in <= FEW_INPUTS && p->out % 4 == 0 && p->out <= 4 * EK_THREADS &&
	       p->pitch % 4 == 0 && is_bounded(e->then);
}

static void launch_few(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	const auto launch = [&](auto kernel) {
		const unsigned lanes = (unsigned)p->out / 4, lines = EK_THREADS / lanes;
		const unsigned needed = ((unsigned)p->rows + lines - 1) / lines,
			       most = 8 * (unsigned)ek_cuda_processors();

		EK_LAUNCH(kernel, needed < most ? needed : most, lines * lanes, 0, *p, (const float *)x,
		          (const float *)weights, *e);
	};

	if (p->in == 8)
		launch(multiply_few<8>);
	else if (p->in == 16)
		launch(multiply_few<16>);
	else if (p->in == 24)
		launch(multiply_few<24>);
	else
		launch(multiply_few<32>);
}

/*
 * Images of colours, by a square kernel of side 3 and stride S: a thread makes four channels of ROW neighbours, a block
 * STRIPS such rows of pixels of one to MOST_LINES lines. Shared memory has what is read, and the weights as [depth,
 * channels].
 */
enum { COLOURS = 3, SIDE = 3, ROW = 8, STRIPS = 8, MOST_LINES = 4, WARP = 32, FEW_WEIGHTS = 27 * 128 };

template <typename T, int S>
static __global__ void __launch_bounds__(EK_THREADS, 2)
	multiply_colours(const __grid_constant__ struct product p, const T *x, const T *weights,
                         const __grid_constant__ struct ending e)
{
	/* Numbers of a line of pixels, and of what a thread reads of it; fours. */
	constexpr int LINE = (((ROW * STRIPS - 1) * S + SIDE) * COLOURS + 3) / 4 * 4;
	constexpr int SPAN = (((ROW - 1) * S + SIDE) * COLOURS + 3) / 4 * 4;
	__shared__ __align__(16) float w[FEW_WEIGHTS], seen[((MOST_LINES - 1) * S + SIDE) * LINE];
	const unsigned n = (unsigned)p.out, lanes = n / 4, lines = WARP / lanes;
	const unsigned tiles = (unsigned)(p.pixels[1] + ROW * STRIPS - 1) / (ROW * STRIPS);
	const unsigned channel = threadIdx.x % lanes * 4, strip = threadIdx.x / lanes % STRIPS;
	const unsigned line = threadIdx.x / lanes / STRIPS;
	const int made = (int)(blockIdx.x / tiles * lines + line);
	const int from = (int)(blockIdx.x % tiles * (ROW * STRIPS) + strip * ROW);
	/* Backward, the taps lie the other way round. */
	const int back = p.way[0] < 0, top = (int)(blockIdx.x / tiles * lines) * S + p.first[0] - back * (SIDE - 1);
	const int left = (int)(blockIdx.x % tiles) * (ROW * STRIPS * S) + p.first[1] - back * (SIDE - 1);
	const int all = p.read[1] * COLOURS;
	float sums[ROW][4] = {}, bias[4];

	load_bias<4>(bias, e, channel);
	for (unsigned i = threadIdx.x; i < (unsigned)p.depth * n; i += EK_THREADS) {
		const unsigned at = i / n, tap = back ? SIDE * SIDE - 1 - at / COLOURS : at / COLOURS;

		w[i] = widened(weights[i % n * (unsigned)p.depth + tap * COLOURS + at % COLOURS]);
	}
	x += (size_t)blockIdx.y * (unsigned)(p.read[0] * all);
	for (unsigned i = threadIdx.x; i < ((lines - 1) * S + SIDE) * LINE; i += EK_THREADS) {
		const int row = top + (int)(i / LINE), at = left * COLOURS + (int)(i % LINE);

		seen[i] = row >= 0 && row < p.read[0] && at >= 0 && at < all ? widened(x[row * all + at]) : 0;
	}
	__syncthreads();
#pragma unroll
	for (int r = 0; r < SIDE; r++) {
		float of[4], here[SPAN];

#pragma unroll
		for (int k = 0; k < SPAN; k += 4)
			load<4>(&here[k], &seen[(line * S + r) * LINE + strip * (ROW * S * COLOURS) + k]);
#pragma unroll
		for (int k = 0; k < SIDE * COLOURS; k++) {
			load<4>(of, &w[(unsigned)(r * SIDE * COLOURS + k) * n + channel]);
#pragma unroll
			for (int at = 0; at < ROW; at++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					sums[at][j] += here[at * S * COLOURS + k] * of[j];
		}
	}
	if (made >= p.pixels[0])
		return;
#pragma unroll
	for (int at = 0; at < ROW; at++)
		if (from + at < p.pixels[1])
			finish<4>(e,
			          (((size_t)blockIdx.y * (unsigned)p.made[0] + (unsigned)made) * (unsigned)p.made[1] +
			           (unsigned)(from + at)) *
			                          (unsigned)p.pitch +
			                  channel,
			          bias, sums[at]);
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

	float bias[V];

	load_bias<V>(bias, e, channel);
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
			                          n +
			                  channel,
			          bias, sums[k]);
}

/*
 * The same in bfloat16: a block has BLOCK_CHANNELS of a tile of pixels in shared memory, with zeros around the image. A
 * lane has two of the channels, a warp strips of HIGH × WIDE pixels: each number that is read becomes a float once.
 */
enum { PAIR_THREADS = 128, BLOCK_CHANNELS = 64, HIGH = 2, WIDE = 7, TILE = 14, TILE_OF_STRIDE = 6 };

/* A tile: pixels made and read, strips of it, and how many tiles an image has. */
struct pair_tile {
	unsigned made[2], read[2], strips[2], tiles[2];
};

static struct pair_tile pair_tile_of(const struct product *p, int side, int stride)
{
	const int most[2] = { stride == 1 ? TILE : TILE_OF_STRIDE, TILE }, of[2] = { HIGH, WIDE };
	struct pair_tile t;

	for (int i = 0; i < 2; i++) {
		const int pixels = p->pixels[i], made = pixels < most[i] ? pixels : most[i];
		const int strips = (made + of[i] - 1) / of[i];

		t.made[i] = (unsigned)made;
		t.strips[i] = (unsigned)strips;
		t.read[i] = (unsigned)((strips * of[i] - 1) * stride + side);
		t.tiles[i] = (unsigned)((pixels + made - 1) / made);
	}
	return t;
}

template <int S>
static __device__ inline void read_tile(bf16 *seen, const struct product &p, const struct pair_tile &t, const bf16 *x,
                                        unsigned channel, int top, int left)
{
	const unsigned lane = threadIdx.x % 32, piece = lane % 8 * 8, n = (unsigned)p.groups;

	for (unsigned row = threadIdx.x / 32; row < t.read[0]; row += PAIR_THREADS / 32)
		for (unsigned column = lane / 8; column < t.read[1]; column += 4) {
			const int y = top * S + p.first[0] + (int)row, at = left * S + p.first[1] + (int)column;
			const bool there = (unsigned)y < (unsigned)p.read[0] && (unsigned)at < (unsigned)p.read[1] &&
			                   channel + piece < n;

			copy_behind(seen + (row * t.read[1] + column) * BLOCK_CHANNELS + piece,
			            there ? x + (unsigned)(y * p.read[1] + at) * (size_t)n + channel + piece : x,
			            there);
		}
	copies_marked();
}

template <int K, int S>
static __global__ void __launch_bounds__(PAIR_THREADS, 4)
	each_pair(const __grid_constant__ struct product p, const __grid_constant__ struct pair_tile t, const bf16 *x,
                  const bf16 *weights, const __grid_constant__ struct ending e)
{
	constexpr int DOWN = (HIGH - 1) * S + K, SPAN = (WIDE - 1) * S + K;
	EK_SHARED(bf16, seen);
	const unsigned n = (unsigned)p.groups, chunks = (n + BLOCK_CHANNELS - 1) / BLOCK_CHANNELS;
	const unsigned tile = blockIdx.x / chunks, first = blockIdx.x % chunks * BLOCK_CHANNELS;
	const unsigned channel = first + threadIdx.x % 32 * 2, mine = channel < n ? channel : 0;
	const int top = (int)(tile / t.tiles[1] * t.made[0]), left = (int)(tile % t.tiles[1] * t.made[1]);
	float w[K * K][2], bias[2];

	x += (size_t)blockIdx.y * (unsigned)(p.read[0] * p.read[1]) * n;
	read_tile<S>(seen, p, t, x, first, top, left);
	load_bias<2>(bias, e, mine);
#pragma unroll
	for (int k = 0; k < K * K; k++)
		load<2>(w[k], weights + mine + (unsigned)k * (size_t)n);
	copies_wait<0>();
	__syncthreads();
	if (channel >= n)
		return;
	for (unsigned strip = threadIdx.x / 32; strip < t.strips[0] * t.strips[1]; strip += PAIR_THREADS / 32) {
		const unsigned down = strip / t.strips[1] * HIGH, along = strip % t.strips[1] * WIDE;
		const bf16 *from = seen + (down * S * t.read[1] + along * S) * BLOCK_CHANNELS + threadIdx.x % 32 * 2;
		float sums[HIGH][WIDE][2] = {};

#pragma unroll
		for (int r = 0; r < DOWN; r++, from += t.read[1] * BLOCK_CHANNELS) {
			float line[SPAN][2];

#pragma unroll
			for (int c = 0; c < SPAN; c++)
				load<2>(line[c], from + c * BLOCK_CHANNELS);
#pragma unroll
			for (int h = 0; h < HIGH; h++)
				if (r >= h * S && r < h * S + K)
#pragma unroll
					for (int c = 0; c < K; c++)
#pragma unroll
						for (int k = 0; k < WIDE; k++)
#pragma unroll
							for (int j = 0; j < 2; j++)
								sums[h][k][j] +=
									w[(r - h * S) * K + c][j] * line[k * S + c][j];
		}
#pragma unroll
		for (int h = 0; h < HIGH; h++)
#pragma unroll
			for (int k = 0; k < WIDE; k++) {
				const int y = top + (int)down + h, at = left + (int)along + k;

				if (down + h < t.made[0] && along + k < t.made[1] && y < p.pixels[0] &&
				    at < p.pixels[1])
					finish<2, true>(e,
					                (((size_t)blockIdx.y * (unsigned)p.made[0] + (unsigned)y) *
					                         (unsigned)p.made[1] +
					                 (unsigned)at) * n +
					                        channel,
					                bias, sums[h][k]);
			}
	}
}

/* The same of any kernel, stride and phase. */
template <typename T, int V>
static __global__ void __launch_bounds__(EK_THREADS)
	any_channel(const __grid_constant__ struct product p, const T *x, const T *weights,
                    const __grid_constant__ struct ending e, unsigned count)
{
	const unsigned n = (unsigned)p.groups;
	float sum[V] = { 0 }, w[V], v[V], bias[V];

	EK_PLACE(i, count);
	const unsigned channel = i % (n / V) * V, pixel = i / (n / V);
	const int made = (int)(pixel / (unsigned)p.pixels[1]), from = (int)(pixel % (unsigned)p.pixels[1]);

	load_bias<V>(bias, e, channel);
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
	finish<V>(e, made_at(p, blockIdx.y * (unsigned)(p.pixels[0] * p.pixels[1]) + pixel) + channel, bias, sum);
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

template <int K, int S>
static void launch_pairs(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	const struct pair_tile t = pair_tile_of(p, K, S);
	const unsigned chunks = (unsigned)(p->groups + BLOCK_CHANNELS - 1) / BLOCK_CHANNELS;
	const size_t bytes = (size_t)t.read[0] * t.read[1] * BLOCK_CHANNELS * sizeof(bf16);

	ek_cuda_note(cudaFuncSetAttribute(each_pair<K, S>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));
	EK_LAUNCH((each_pair<K, S>), dim3(t.tiles[0] * t.tiles[1] * chunks, (unsigned)p->images), PAIR_THREADS, bytes,
	          *p, t, (const bf16 *)x, (const bf16 *)weights, *e);
}

template <typename T, int V, int K, int S>
static void launch_square(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	if constexpr (std::is_same<T, bf16>::value && V > 1)
		if (is_bounded(e->then))
			return launch_pairs<K, S>(p, x, weights, e);
	launch_each<T, V, K, S>(p, x, weights, e);
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
			launch_square<T, V, 3, 1>(p, x, weights, e);
		else if (is_square(p, 3, 2))
			launch_square<T, V, 3, 2>(p, x, weights, e);
		else if (is_square(p, 5, 1))
			launch_square<T, V, 5, 1>(p, x, weights, e);
		else if (is_square(p, 5, 2))
			launch_square<T, V, 5, 2>(p, x, weights, e);
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

template <int COLUMNS>
static void launch_floats(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	const unsigned across = (unsigned)(p->out + COLUMNS - 1) / COLUMNS,
		       down = (unsigned)(p->rows + ROWS - 1) / ROWS;
	const auto launch = [&](auto kernel) {
		ek_cuda_note(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
		                                  (int)float_tile<COLUMNS>::BYTES));
		EK_LAUNCH(kernel, dim3(across * down, (unsigned)p->groups), EK_THREADS, float_tile<COLUMNS>::BYTES, *p,
		          (const float *)x, (const float *)weights, *e);
	};

	if (p->in % 4 == 0)
		launch(multiply_floats<COLUMNS, true>);
	else
		launch(multiply_floats<COLUMNS, false>);
}

/* Tiles as wide as leave the fewest columns without use, and of those the widest. */
static void launch_floats(const struct product *p, const void *x, const void *weights, const struct ending *e)
{
	static const int widths[] = { 16, 32, 48, 64, 128 };
	int best = 0, least = 0;

	for (int width : widths) {
		const int all = (p->out + width - 1) / width * width;

		if (best == 0 || all <= least) {
			best = width;
			least = all;
		}
	}
	switch (best) {
	case 16:
		return launch_floats<16>(p, x, weights, e);
	case 32:
		return launch_floats<32>(p, x, weights, e);
	case 48:
		return launch_floats<48>(p, x, weights, e);
	case 64:
		return launch_floats<64>(p, x, weights, e);
	default:
		return launch_floats<128>(p, x, weights, e);
	}
}

static bool is_of_colours(const struct product *p)
{
	struct product forward = *p;

	if (p->way[0] < 0 && p->way[1] < 0)
		forward.way[0] = forward.way[1] = 1;
	return p->groups == 1 && p->in == COLOURS && (p->out == 32 || p->out == 64 || p->out == 128) &&
	       (is_square(&forward, SIDE, 1) || is_square(p, SIDE, 2));
}

static void launch_colours(const struct product *p, enum ek_nn_type type, const void *x, const void *weights,
                           const struct ending *e)
{
	const unsigned lines = WARP / (unsigned)(p->out / 4), down = ((unsigned)p->pixels[0] + lines - 1) / lines;
	const unsigned across = (unsigned)(p->pixels[1] + ROW * STRIPS - 1) / (ROW * STRIPS);

	by_type(type, 1, [&](auto zero, auto) {
		typedef decltype(zero) T;
		const auto kernel = p->stride[0] == 1 ? multiply_colours<T, 1> : multiply_colours<T, 2>;

		EK_LAUNCH(kernel, dim3(across * down, (unsigned)p->images), EK_THREADS, 0, *p, (const T *)x,
		          (const T *)weights, *e);
	});
}

int ek_cuda_conv(const struct product *p, enum ek_nn_type type, const void *x, const void *weights,
                 const struct ending *e)
{
	if (p->rows == 0)
		return 0;
	if (p->in == 1 && p->out == 1)
		launch_channels(p, type, x, weights, e);
	else if (is_of_colours(p))
		launch_colours(p, type, x, weights, e);
	else if (type == EK_NN_FLOAT32 && is_of_few(p, e))
		launch_few(p, x, weights, e);
	else if (type == EK_NN_FLOAT32)
		launch_floats(p, x, weights, e);
	else if (p->in % 8 != 0)
		launch_columns<false>(p, x, weights, e);
	else if (ek_cuda_is_hopper() && ek_cuda_conv_is_deep(p, e))
		return ek_cuda_conv_deep(p, x, weights, e);
	else if (ek_cuda_is_hopper())
		ek_cuda_conv_hopper(p, x, weights, e);
	else
		launch_columns<true>(p, x, weights, e);
	return ek_cuda_launched("convolution");
}
