/*
 * The gradient of a convolution's weights: [outputs, taps · inputs], added up over all pixels that are made. These are
 * cut into parts, so that there are blocks enough; each part's sums go to scratch, and are added in order.
 */
#include "train/nn/ops/conv_weights_tile_cuda.h"

enum { STAGES = 3 };
enum { SIDE = 64, STEP = 16 };                        /* float32 */
enum { BLOCKS = 264, LEAST = 8 * DEPTH, MOST = 256 }; /* blocks wanted; pixels of a part at least; parts at most */

static unsigned columns_of(const struct product *p, enum ek_nn_type type)
{
	if (type == EK_NN_FLOAT32)
		return SIDE;
	return p->depth <= 64 ? 64 : 128;
}

/* Much is added up into many sums: conv_weights_deep_hopper.cu. */
static bool is_deep(const struct product *p, enum ek_nn_type type)
{
	return type == EK_NN_BFLOAT16 && ek_cuda_is_hopper() && p->groups == 1 && p->in % DEPTH == 0 &&
	       p->out % ROWS == 0 && p->depth >= 192 && (size_t)p->rows * p->in >= 1 << 16;
}

/* So many parts as take least time: waves of blocks, each with a start and an end of what some lots take; sums that are
 * written and read. */
static struct parts deep_parts_of(const struct product *p)
{
	const unsigned lots = ((unsigned)p->rows + DEPTH - 1) / DEPTH, processors = (unsigned)ek_cuda_processors();
	const bool high = p->out % (2 * ROWS) == 0;
	struct parts t = {};
	double least = INFINITY;
	unsigned best = 1;

	t.columns = high ? 192 : 384;
	t.down = (unsigned)p->out / (high ? 2 * ROWS : ROWS);
	t.across = ((unsigned)p->depth + t.columns - 1) / t.columns;
	for (unsigned count = 1; count <= MOST && count * 8 <= lots; count++) {
		const unsigned waves = (t.down * t.across * count + processors - 1) / processors;
		const double cost =
			waves * ((lots + count - 1) / count + 3.0) + count * ((double)p->out * p->depth / 400e3);

		if (cost < least) {
			least = cost;
			best = count;
		}
	}
	t.pixels = (lots + best - 1) / best * DEPTH;
	t.count = ((unsigned)p->rows + t.pixels - 1) / t.pixels;
	return t;
}

static struct parts parts_of(const struct product *p, enum ek_nn_type type)
{
	if (is_deep(p, type))
		return deep_parts_of(p);
	const unsigned rows = type == EK_NN_FLOAT32 ? (unsigned)SIDE : (unsigned)ROWS, columns = columns_of(p, type),
		       all = (unsigned)p->rows;
	struct parts t = { 1, 0, columns, ((unsigned)p->out + rows - 1) / rows,
		           ((unsigned)p->depth + columns - 1) / columns };
	const unsigned tiles = t.down * t.across * (unsigned)p->groups;

	t.count = (BLOCKS + tiles - 1) / tiles;
	if (t.count > (all + LEAST - 1) / LEAST)
		t.count = (all + LEAST - 1) / LEAST;
	if (t.count > MOST)
		t.count = MOST;
	t.pixels = ((all + t.count - 1) / t.count + DEPTH - 1) / DEPTH * DEPTH;
	t.count = (all + t.pixels - 1) / t.pixels;
	return t;
}

static size_t weight_count(const struct product *p)
{
	return (size_t)p->groups * (size_t)p->out * (size_t)p->depth;
}

/* Of few outputs, as colours are, a tile of outputs would be empty but for these. So what is read and what is made
 * change places: a pixel that was read meets those that read it. */
static bool is_turned(const struct product *p)
{
	return p->groups == 1 && p->out < 8 && p->in % 8 == 0 && p->stride[0] == 1 && p->stride[1] == 1;
}

static struct product turned(const struct product *p)
{
	struct product t = *p;

	t.in = p->out;
	t.out = p->in;
	for (int i = 0; i < 2; i++) {
		t.read[i] = p->made[i];
		t.made[i] = t.pixels[i] = p->read[i];
		t.first[i] = -p->first[i];
		t.way[i] = -p->way[i];
	}
	t.rows = t.images * t.pixels[0] * t.pixels[1];
	t.depth = t.taps[0] * t.taps[1] * t.in;
	t.by_image = divisor_of(t.pixels[0] * t.pixels[1]);
	t.by_line = divisor_of(t.pixels[1]);
	return t;
}

size_t ek_cuda_conv_weights_scratch(const struct product *p, enum ek_nn_type type)
{
	const struct product used = is_turned(p) ? turned(p) : *p;

	return parts_of(&used, type).count * weight_count(p) * sizeof(float);
}

template <int COLUMNS> struct tile {
	static constexpr int ACROSS = COLUMNS / 32, HEIGHT = ROWS / (8 / ACROSS), WIDTH = 32;
	static constexpr int ROOM = (ROWS + COLUMNS) * DEPTH;
	static constexpr size_t BYTES = STAGES * ROOM * sizeof(bf16);
};

template <int COLUMNS>
static __device__ inline void multiply_stage(float (&sums)[tile<COLUMNS>::HEIGHT / 16][4][4], bf16 *outputs,
                                             bf16 *inputs, unsigned row, unsigned column)
{
	typedef tile<COLUMNS> shape;
	const unsigned lane = threadIdx.x % 32;

#pragma unroll
	for (unsigned pixel = 0; pixel < DEPTH; pixel += 16) {
		unsigned a[shape::HEIGHT / 16][4], b[shape::WIDTH / 16][4];

#pragma unroll
		for (int i = 0; i < shape::HEIGHT / 16; i++)
			load_turned(a[i], turned_piece_at(outputs, pixel + lane % 8 + lane / 16 * 8,
			                                  (row + 16 * i) / 8 + lane / 8 % 2));
#pragma unroll
		for (int j = 0; j < shape::WIDTH / 16; j++)
			load_turned(b[j],
			            turned_piece_at(inputs, pixel + lane % 16, (column + 16 * j) / 8 + lane / 16));
#pragma unroll
		for (int i = 0; i < shape::HEIGHT / 16; i++)
#pragma unroll
			for (int j = 0; j < shape::WIDTH / 8; j++)
				multiply(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
	}
}

/* sums [parts, groups · out, depth] */
template <int COLUMNS, bool WHOLE>
static __global__ void __launch_bounds__(EK_THREADS, 2)
	weigh_low(float *sums_of, const __grid_constant__ struct product p, const bf16 *x, const bf16 *dy,
                  struct parts t)
{
	typedef tile<COLUMNS> shape;
	EK_SHARED(unsigned char, memory);
	bf16 *rooms = (bf16 *)memory;
	const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
	const unsigned first = blockIdx.x / t.across * ROWS, left = blockIdx.x % t.across * COLUMNS;
	const unsigned row = warp / shape::ACROSS * shape::HEIGHT, of = warp % shape::ACROSS * shape::WIDTH;
	const unsigned start = blockIdx.y * t.pixels, end = min(start + t.pixels, (unsigned)p.rows);
	const int lots = (int)((end - start + DEPTH - 1) / DEPTH);
	const struct column mine = column_of(p, left + threadIdx.x % (COLUMNS / 8) * 8);
	float sums[shape::HEIGHT / 16][4][4] = {};

	for (int i = 0; i < STAGES - 1; i++) {
		bf16 *room = rooms + i * shape::ROOM;

		if (i < lots) {
			read_outputs<WHOLE>(room, dy, p, first, start + i * DEPTH, end);
			read_inputs<COLUMNS, WHOLE>(room + ROWS * DEPTH, x, p, mine, start + i * DEPTH, end);
		}
		copies_marked();
	}
	for (int i = 0; i < lots; i++) {
		bf16 *room = rooms + i % STAGES * shape::ROOM, *next = rooms + (i + STAGES - 1) % STAGES * shape::ROOM;
		const unsigned pixel = start + (i + STAGES - 1) * DEPTH;

		copies_wait<STAGES - 2>();
		__syncthreads();
		if (i + STAGES - 1 < lots) {
			read_outputs<WHOLE>(next, dy, p, first, pixel, end);
			read_inputs<COLUMNS, WHOLE>(next + ROWS * DEPTH, x, p, mine, pixel, end);
		}
		copies_marked();
		multiply_stage<COLUMNS>(sums, room, room + ROWS * DEPTH, row, of);
	}
	sums_of += ((size_t)blockIdx.y * p.groups + blockIdx.z) * p.out * p.depth;
#pragma unroll
	for (int i = 0; i < shape::HEIGHT / 16; i++)
#pragma unroll
		for (int j = 0; j < shape::WIDTH / 8; j++)
#pragma unroll
			for (int k = 0; k < 4; k++) {
				const int output = (int)(first + row + 16 * i + lane / 4 + k / 2 * 8);
				const int column = (int)(left + of + 8 * j + lane % 4 * 2 + k % 2);

				if (output < p.out && column < p.depth)
					sums_of[(size_t)output * p.depth + column] = sums[i][j][k];
			}
}

static __global__ void __launch_bounds__(EK_THREADS)
	weigh_floats(float *sums_of, const __grid_constant__ struct product p, const float *x, const float *dy,
                     struct parts t)
{
	__shared__ __align__(16) float a[STEP][SIDE + GAP], b[STEP][SIDE + GAP];
	const unsigned first = blockIdx.x / t.across * SIDE, left = blockIdx.x % t.across * SIDE;
	const unsigned start = blockIdx.y * t.pixels, end = min(start + t.pixels, (unsigned)p.rows);
	const unsigned at = threadIdx.x % SIDE, line = threadIdx.x / SIDE;
	const struct column mine = column_of(p, left + at);
	float sums[4][4] = {};

	for (unsigned pixel = start; pixel < end; pixel += STEP) {
		__syncthreads();
		for (unsigned i = line; i < STEP; i += EK_THREADS / SIDE) {
			const bool there = pixel + i < end;
			const float *from;
			unsigned image, y, place;

			split_row(p, pixel + i, &image, &y, &place);
			from = there ? read_at(p, x, image, y, place, mine) : NULL;
			a[i][at] = there && first + at < (unsigned)p.out
			                   ? dy[(size_t)(pixel + i) * (unsigned)(p.groups * p.out) +
			                        blockIdx.z * p.out + first + at]
			                   : 0;
			b[i][at] = from != NULL ? *from : 0;
		}
		__syncthreads();
#pragma unroll
		for (int d = 0; d < STEP; d++) {
			float down[4], across[4];

			load<4>(down, &a[d][threadIdx.x / 16 * 4]);
			load<4>(across, &b[d][threadIdx.x % 16 * 4]);
#pragma unroll
			for (int i = 0; i < 4; i++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					sums[i][j] += down[i] * across[j];
		}
	}
	sums_of += ((size_t)blockIdx.y * p.groups + blockIdx.z) * p.out * p.depth;
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			const int output = (int)(first + threadIdx.x / 16 * 4) + i;
			const int column = (int)(left + threadIdx.x % 16 * 4) + j;

			if (output < p.out && column < p.depth)
				sums_of[(size_t)output * p.depth + column] = sums[i][j];
		}
}

/* dw [outputs, in, taps] += the parts [outputs, taps, in], in order; TURNED: of parts [in, taps, outputs]. */
template <bool TURNED>
static __global__ void add_parts(float *dw, const float *sums, unsigned count, unsigned parts, unsigned in,
                                 unsigned outputs, unsigned taps)
{
	const unsigned inner = TURNED ? outputs : in;

	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
		const unsigned line = i / inner, last = i - line * inner, first = line / taps,
			       tap = line - first * taps;
		const unsigned output = TURNED ? last : first, channel = TURNED ? first : last;
		float sum = 0;

#pragma unroll 4
		for (unsigned k = 0; k < parts; k++)
			sum += sums[(size_t)k * count + i];
		dw[(output * in + channel) * taps + tap] += sum;
	}
}

template <int COLUMNS, bool WHOLE>
static void launch_low(float *sums, const struct product *p, const void *x, const void *dy, const struct parts &t)
{
	static const cudaError_t roomy = cudaFuncSetAttribute(
		weigh_low<COLUMNS, WHOLE>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)tile<COLUMNS>::BYTES);

	ek_cuda_note(roomy);
	EK_LAUNCH((weigh_low<COLUMNS, WHOLE>), dim3(t.down * t.across, t.count, (unsigned)p->groups), EK_THREADS,
	          tile<COLUMNS>::BYTES, sums, *p, (const bf16 *)x, (const bf16 *)dy, t);
}

template <bool WHOLE>
static void launch_columns(float *sums, const struct product *p, const void *x, const void *dy, const struct parts &t)
{
	switch (columns_of(p, EK_NN_BFLOAT16)) {
	case 64:
		launch_low<64, WHOLE>(sums, p, x, dy, t);
		break;
	default:
		launch_low<128, WHOLE>(sums, p, x, dy, t);
	}
}

static int add_up(float *sums, const struct product *p, enum ek_nn_type type, const void *x, const void *dy,
                  const struct parts &t)
{
	if (type == EK_NN_FLOAT32)
		EK_LAUNCH(weigh_floats, dim3(t.down * t.across, t.count, (unsigned)p->groups), EK_THREADS, 0, sums, *p,
		          (const float *)x, (const float *)dy, t);
	else if (is_deep(p, type))
		return ek_cuda_conv_weights_deep(sums, p, x, dy, &t);
	else if (p->in % 8 == 0 && p->out % 8 == 0 && ek_cuda_is_hopper())
		ek_cuda_conv_weights_hopper(sums, p, x, dy, &t);
	else if (p->in % 8 == 0 && p->out % 8 == 0)
		launch_columns<true>(sums, p, x, dy, t);
	else
		launch_columns<false>(sums, p, x, dy, t);
	return 0;
}

int ek_cuda_conv_weights(float *dw, const struct product *p, enum ek_nn_type type, const void *x, const void *dy,
                         void *scratch)
{
	const bool turn = is_turned(p);
	const struct product used = turn ? turned(p) : *p;
	const struct parts t = parts_of(&used, type);
	const auto kernel = turn ? add_parts<true> : add_parts<false>;
	const size_t count = weight_count(p);
	float *sums = (float *)scratch;
	int rc;

	EK_TRY(add_up(sums, &used, type, turn ? dy : x, turn ? x : dy, t));
	EK_LAUNCH(kernel, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, dw, sums, (unsigned)count, t.count, (unsigned)p->in,
	          (unsigned)(p->groups * p->out), (unsigned)(p->taps[0] * p->taps[1]));
	EK_TRY(ek_cuda_launched("the gradient of a convolution's weights"));
out:
	return rc;
}
