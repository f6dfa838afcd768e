/*
 * Attention without its matrix of probabilities (Dao 2023): they are made again tile by tile, from the logarithm of
 * each row's sum, which forward saves. Sums are in a fixed order everywhere. What Hopper does faster is in
 * attention_hopper_cuda.cu.
 *
 * In bf16, with heads of 32, 48, 64, 72 or 80 features, products are those of the tensor cores, 16 × 8 × 16 at a time:
 * forward for any number of tokens, backward where a head's queries, keys, values and gradients fit into the shared
 * memory of a block, which then reads them once. Heads of more than 96 features take products of matrices
 * (attention_wide_cuda.cu), everything else plain loops, a row a warp.
 */
#include <math_constants.h>

#include "train/nn/ops/attention_cuda.h"
#include "train/nn/ops/attention_wide_cuda.h"

typedef ek_attention attention;

/* Plain loops. A block has WARPS rows of its own, and takes those of the other side in tiles of 32, one a lane. */

enum { WARPS = 8, TILE = 32, WIDEST = 96, SHARES = WIDEST / 32 };

/* out [rows, width + 1] = rows first … of a part; part 3: of the gradients of results. 0 beyond the last. */
static __device__ void take(float *out, const attention &a, size_t head, int first, int rows, int part)
{
	const ek_cuda_view &from = part == 3 ? a.dout : a.qkv;

	for (int i = (int)threadIdx.x; i < rows * a.width; i += (int)blockDim.x) {
		const int row = i / a.width, j = i % a.width, token = first + row;
		const size_t at =
			part == 3 ? ek_attention_result(a, head, token) : ek_attention_part(a, head, token, part);

		out[row * (a.width + 1) + j] = token < a.tokens ? ek_get(from, at + j) : 0;
	}
}

static __device__ inline float dot(const float *x, const float *y, int n)
{
	float sum = 0;

	for (int j = 0; j < n; j++)
		sum += x[j] * y[j];
	return sum;
}

static __global__ void __launch_bounds__(WARPS * 32) attend_plainly(attention a)
{
	extern __shared__ float memory[];
	const int tiles = (a.tokens + WARPS - 1) / WARPS, row = a.width + 1, lane = (int)threadIdx.x % 32;
	const size_t head = blockIdx.x / tiles;
	const int warp = (int)threadIdx.x / 32, token = (int)(blockIdx.x % tiles) * WARPS + warp;
	float *queries = memory, *keys = queries + WARPS * row, *values = keys + TILE * row;
	float most = -CUDART_INF_F, sum = 0, result[SHARES] = { 0 };

	take(queries, a, head, token - warp, WARPS, 0);
	for (int first = 0; first < a.tokens; first += TILE) {
		float score, top, share, rest;

		__syncthreads();
		take(keys, a, head, first, TILE, 1);
		take(values, a, head, first, TILE, 2);
		__syncthreads();
		score = first + lane < a.tokens ? dot(queries + warp * row, keys + lane * row, a.width) * a.scale
		                                : -CUDART_INF_F;
		top = score;
		for (int step = 16; step > 0; step /= 2)
			top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, step));
		top = fmaxf(top, most);
		share = expf(score - top);
		rest = expf(most - top);
		sum = sum * rest + ek_warp_sum(share);
		most = top;
		for (int i = 0; i < SHARES; i++)
			result[i] *= rest;
		for (int k = 0; k < TILE; k++) {
			const float of_key = __shfl_sync(0xffffffffU, share, k);

			for (int i = 0; i < SHARES; i++)
				if (lane + 32 * i < a.width)
					result[i] += of_key * values[k * row + lane + 32 * i];
		}
	}
	if (token >= a.tokens)
		return;
	for (int i = 0; i < SHARES; i++)
		if (lane + 32 * i < a.width)
			ek_put(a.out, ek_attention_result(a, head, token) + lane + 32 * i, result[i] / sum);
	if (lane == 0)
		a.sums[head * a.tokens + token] = most + logf(sum);
}

static __global__ void find_deltas(attention a)
{
	const size_t row = (size_t)blockIdx.x * WARPS + threadIdx.x / 32, head = row / a.tokens;
	float sum = 0;

	if (row >= a.heads_in_all * a.tokens)
		return;
	for (int j = (int)threadIdx.x % 32; j < a.width; j += 32) {
		const size_t at = ek_attention_result(a, head, (int)(row % a.tokens)) + j;

		sum += ek_get(a.dout, at) * ek_get(a.out, at);
	}
	sum = ek_warp_sum(sum);
	if (threadIdx.x % 32 == 0)
		a.deltas[row] = sum;
}

/* KEYS: the block's rows are keys and values, the others queries and gradients of results; else the other way round. */
template <int KEYS> static __global__ void __launch_bounds__(WARPS * 32) attend_back_plainly(attention a)
{
	extern __shared__ float memory[];
	const int tiles = (a.tokens + WARPS - 1) / WARPS, row = a.width + 1, lane = (int)threadIdx.x % 32;
	const size_t head = blockIdx.x / tiles;
	const int warp = (int)threadIdx.x / 32, token = (int)(blockIdx.x % tiles) * WARPS + warp;
	float *own1 = memory, *own2 = own1 + WARPS * row, *other1 = own2 + WARPS * row, *other2 = other1 + TILE * row;
	float first_sum[SHARES] = { 0 }, second_sum[SHARES] = { 0 };

	take(own1, a, head, token - warp, WARPS, KEYS ? 1 : 0);
	take(own2, a, head, token - warp, WARPS, KEYS ? 2 : 3);
	for (int first = 0; first < a.tokens; first += TILE) {
		const int query = KEYS ? first + lane : token;
		float share = 0, slope = 0;

		__syncthreads();
		take(other1, a, head, first, TILE, KEYS ? 0 : 1);
		take(other2, a, head, first, TILE, KEYS ? 3 : 2);
		__syncthreads();
		if (first + lane < a.tokens && token < a.tokens) {
			const size_t at = head * a.tokens + query;

			share = expf(dot(own1 + warp * row, other1 + lane * row, a.width) * a.scale - a.sums[at]);
			slope = share * (dot(own2 + warp * row, other2 + lane * row, a.width) - a.deltas[at]) * a.scale;
		}
		for (int k = 0; k < TILE; k++) {
			const float s = __shfl_sync(0xffffffffU, share, k), d = __shfl_sync(0xffffffffU, slope, k);

			for (int i = 0; i < SHARES; i++)
				if (lane + 32 * i < a.width) {
					first_sum[i] += d * other1[k * row + lane + 32 * i];
					second_sum[i] += s * other2[k * row + lane + 32 * i];
				}
		}
	}
	if (token >= a.tokens)
		return;
	for (int i = 0; i < SHARES; i++)
		if (lane + 32 * i < a.width) {
			ek_put(a.dqkv, ek_attention_part(a, head, token, KEYS ? 1 : 0) + lane + 32 * i, first_sum[i]);
			if (KEYS)
				ek_put(a.dqkv, ek_attention_part(a, head, token, 2) + lane + 32 * i, second_sum[i]);
		}
}

/* Tensor cores. Fragments are as PTX lays them out for mma.m16n8k16: a: 16 × 16; b: 16 × 8, two registers; c: 16 × 8.
 */

typedef __nv_bfloat16 bf16;

static __device__ inline unsigned place(const void *shared)
{
	return (unsigned)__cvta_generic_to_shared(shared);
}

/* Four 8 × 8 matrices, whose rows lanes 0 … 7, 8 … 15, … point at. */
static __device__ inline void load_matrices(unsigned r[4], const bf16 *x)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
	             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
	             : "r"(place(x)));
}

static __device__ inline void load_turned(unsigned r[4], const bf16 *x)
{
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
	             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
	             : "r"(place(x)));
}

static __device__ inline void multiply(float c[4], const unsigned a[4], unsigned b0, unsigned b1)
{
	asm volatile(
		"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
		"{%0, %1, %2, %3};"
		: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ inline unsigned two(float low, float high)
{
	const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);

	return *(const unsigned *)&pair;
}

/* a of rows row …, columns column … of x, [rows, stride]. */
static __device__ inline const bf16 *a_at(const bf16 *x, int stride, int row, int column)
{
	const int lane = (int)threadIdx.x % 32;

	return x + (row + lane % 16) * stride + column + lane / 16 * 8;
}

/* a of the transpose of x: x's rows are a's columns. For load_turned. */
static __device__ inline const bf16 *a_turned_at(const bf16 *x, int stride, int row, int column)
{
	const int lane = (int)threadIdx.x % 32;

	return x + (column + lane / 16 * 8 + lane % 8) * stride + row + lane / 8 % 2 * 8;
}

/* Two b side by side, of x whose rows are b's columns, from b's row `row` and column `column` on. */
static __device__ inline const bf16 *b_turned_at(const bf16 *x, int stride, int row, int column)
{
	const int lane = (int)threadIdx.x % 32;

	return x + (column + lane / 16 * 8 + lane % 8) * stride + row + lane / 8 % 2 * 8;
}

/* Two b side by side, of x itself. For load_turned. */
static __device__ inline const bf16 *b_at(const bf16 *x, int stride, int row, int column)
{
	const int lane = (int)threadIdx.x % 32;

	return x + (row + lane % 16) * stride + column + lane / 16 * 8;
}

static __device__ inline void copy_16(bf16 *shared, const bf16 *x, int wanted)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
	             :
	             : "r"(place(shared)), "l"(x), "r"(wanted ? 16 : 0));
}

static __device__ inline void close_copies()
{
	asm volatile("cp.async.commit_group;");
}

template <int LEFT> static __device__ inline void await_copies()
{
	asm volatile("cp.async.wait_group %0;" : : "n"(LEFT));
}

/* At most `left` groups of copies are still on their way. */
static __device__ inline void await_all_but(int left)
{
	switch (left > 0 ? left : 0) {
	case 0:
		return await_copies<0>();
	case 1:
		return await_copies<1>();
	case 2:
		return await_copies<2>();
	case 3:
		return await_copies<3>();
	case 4:
		return await_copies<4>();
	case 5:
		return await_copies<5>();
	case 6:
		return await_copies<6>();
	default:
		return await_copies<7>();
	}
}

/* A head of EIGHTS · 8 features: in shared memory a row has whole sixteens, 0 beyond, and 8 more against conflicts. */
template <int EIGHTS> struct head_shape {
	static constexpr int sixteens = (EIGHTS + 1) / 2, pairs = sixteens, stride = sixteens * 16 + 8;
};

/* Starts copying rows first … of a head, `row` apart from x on, to the same rows of shared memory. */
template <int EIGHTS>
static __device__ inline void fetch(bf16 *shared, const bf16 *x, size_t row, int first, int rows, int tokens)
{
	constexpr int chunks = head_shape<EIGHTS>::sixteens * 2, stride = head_shape<EIGHTS>::stride;

	for (int i = (int)threadIdx.x; i < rows * chunks; i += (int)blockDim.x) {
		const int r = i / chunks, c = i % chunks, wanted = first + r < tokens && c < EIGHTS;

		copy_16(shared + r * stride + c * 8, wanted ? x + (size_t)(first + r) * row + c * 8 : x, wanted);
	}
}

/* Forward: a block has 128 queries, a warp MS · 16 of them. */
enum { QUERIES = 128, KEYS_AT_ONCE = 64 };

/* score [MS · 16 queries, keys] = this warp's rows of queries times all of keys. */
template <int EIGHTS, int MS>
static __device__ inline void score_keys(float score[MS][KEYS_AT_ONCE / 8][4], const bf16 *queries, int own,
                                         const bf16 *keys)
{
	constexpr int stride = head_shape<EIGHTS>::stride;

#pragma unroll
	for (int d = 0; d < head_shape<EIGHTS>::sixteens; d++) {
		unsigned q[MS][4];

		for (int m = 0; m < MS; m++)
			load_matrices(q[m], a_at(queries, stride, own + 16 * m, 16 * d));
#pragma unroll
		for (int n = 0; n < KEYS_AT_ONCE / 8; n += 2) {
			unsigned b[4];

			load_matrices(b, b_turned_at(keys, stride, 16 * d, 8 * n));
			for (int m = 0; m < MS; m++) {
				multiply(score[m][n], q[m], b[0], b[1]);
				multiply(score[m][n + 1], q[m], b[2], b[3]);
			}
		}
	}
}

/* What a lane has of rows: two columns of each eight, in two rows, eight apart, of each sixteen. */
template <int EIGHTS, int MS> struct rows_of_lane {
	float result[MS][EIGHTS][4], most[MS][2], sum[MS][2];
};

/* Scores become shares of the largest so far, and what was added up is brought to that. */
template <int EIGHTS, int MS>
static __device__ inline void weigh(float score[MS][KEYS_AT_ONCE / 8][4], rows_of_lane<EIGHTS, MS> &r, float scale)
{
#pragma unroll
	for (int m = 0; m < MS; m++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			float top = r.most[m][half], part = 0, rest;

			for (int n = 0; n < KEYS_AT_ONCE / 8; n++)
				top = fmaxf(top, fmaxf(score[m][n][2 * half], score[m][n][2 * half + 1]));
			top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 1));
			top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 2));
			rest = ek_power_of_2((r.most[m][half] - top) * scale);
			r.most[m][half] = top;
			for (int n = 0; n < KEYS_AT_ONCE / 8; n++)
				for (int i = 2 * half; i < 2 * half + 2; i++) {
					score[m][n][i] = ek_power_of_2(score[m][n][i] * scale - top * scale);
					part += score[m][n][i];
				}
			r.sum[m][half] = r.sum[m][half] * rest + part;
			for (int n = 0; n < EIGHTS; n++) {
				r.result[m][n][2 * half] *= rest;
				r.result[m][n][2 * half + 1] *= rest;
			}
		}
}

template <int EIGHTS, int MS>
static __device__ inline void add_values(rows_of_lane<EIGHTS, MS> &r, const float share[MS][KEYS_AT_ONCE / 8][4],
                                         const bf16 *values)
{
#pragma unroll
	for (int d = 0; d < KEYS_AT_ONCE / 16; d++) {
		unsigned p[MS][4];

		for (int m = 0; m < MS; m++)
			for (int i = 0; i < 4; i++)
				p[m][i] =
					two(share[m][2 * d + i / 2][i % 2 * 2], share[m][2 * d + i / 2][i % 2 * 2 + 1]);
#pragma unroll
		for (int n = 0; n < EIGHTS; n += 2) {
			unsigned b[4];

			load_turned(b, b_at(values, head_shape<EIGHTS>::stride, 16 * d, 8 * n));
			for (int m = 0; m < MS; m++) {
				multiply(r.result[m][n], p[m], b[0], b[1]);
				if (n + 1 < EIGHTS)
					multiply(r.result[m][n + 1 < EIGHTS ? n + 1 : n], p[m], b[2], b[3]);
			}
		}
	}
}

/* first: the token of the warp's first row. */
template <int EIGHTS, int MS>
static __device__ inline void write_results(const attention &a, size_t head, int first,
                                            const rows_of_lane<EIGHTS, MS> &r)
{
	const int lane = (int)threadIdx.x % 32;

#pragma unroll
	for (int m = 0; m < MS; m++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const int token = first + 16 * m + 8 * half + lane / 4;
			float all = r.sum[m][half];

			all += __shfl_xor_sync(0xffffffffU, all, 1);
			all += __shfl_xor_sync(0xffffffffU, all, 2);
			if (token >= a.tokens)
				continue;
			for (int n = 0; n < EIGHTS; n++)
				*(unsigned *)((bf16 *)a.out.x + ek_attention_result(a, head, token) + 8 * n +
				              lane % 4 * 2) =
					two(r.result[m][n][2 * half] / all, r.result[m][n][2 * half + 1] / all);
			if (lane % 4 == 0)
				a.sums[head * a.tokens + token] = r.most[m][half] * a.scale + logf(all);
		}
}

template <int EIGHTS, int MS> static __global__ void __launch_bounds__(QUERIES / MS * 2, 2) attend(attention a)
{
	constexpr int stride = head_shape<EIGHTS>::stride, tile = KEYS_AT_ONCE * stride;
	extern __shared__ __align__(16) bf16 room[];
	const int blocks = (a.tokens + QUERIES - 1) / QUERIES, lane = (int)threadIdx.x % 32;
	const size_t head = blockIdx.x / blocks, features = (size_t)a.heads * a.width, row = 3 * features;
	const int first = (int)(blockIdx.x % blocks) * QUERIES, own = (int)threadIdx.x / 32 * 16 * MS;
	const int tiles = (a.tokens + KEYS_AT_ONCE - 1) / KEYS_AT_ONCE;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, head, 0, 0);
	bf16 *queries = room, *keys = queries + QUERIES * stride, *values = keys + 2 * tile;
	rows_of_lane<EIGHTS, MS> r = {};

	for (int m = 0; m < MS; m++)
		r.most[m][0] = r.most[m][1] = -CUDART_INF_F;
	fetch<EIGHTS>(queries, qkv, row, first, QUERIES, a.tokens);
	fetch<EIGHTS>(keys, qkv + features, row, 0, KEYS_AT_ONCE, a.tokens);
	fetch<EIGHTS>(values, qkv + 2 * features, row, 0, KEYS_AT_ONCE, a.tokens);
	close_copies();
	for (int t = 0; t < tiles; t++) {
		const bf16 *k = keys + t % 2 * tile, *v = values + t % 2 * tile;
		float score[MS][KEYS_AT_ONCE / 8][4] = {};

		if (t + 1 < tiles) {
			const int next = (t + 1) * KEYS_AT_ONCE, where = (t + 1) % 2 * tile;

			fetch<EIGHTS>(keys + where, qkv + features, row, next, KEYS_AT_ONCE, a.tokens);
			fetch<EIGHTS>(values + where, qkv + 2 * features, row, next, KEYS_AT_ONCE, a.tokens);
			close_copies();
			await_copies<1>();
		} else {
			await_copies<0>();
		}
		__syncthreads();
		score_keys<EIGHTS, MS>(score, queries, own, k);
		if ((t + 1) * KEYS_AT_ONCE > a.tokens)
			for (int n = 0; n < KEYS_AT_ONCE / 8; n++)
				for (int i = 0; i < 4; i++)
					if (t * KEYS_AT_ONCE + 8 * n + lane % 4 * 2 + i % 2 >= a.tokens)
						for (int m = 0; m < MS; m++)
							score[m][n][i] = -CUDART_INF_F;
		weigh<EIGHTS, MS>(score, r, a.scale * 1.44269504F); /* in powers of 2 */
		add_values<EIGHTS, MS>(r, score, v);
		__syncthreads();
	}
	write_results<EIGHTS, MS>(a, head, first + own, r);
}

/* Backward: a block has a head, a warp MS · 16 of its keys; queries come 32 at a time. */
enum { QUERIES_AT_ONCE = 32, SLOPE_STRIDE = QUERIES_AT_ONCE + 8, MOST_TOKENS = 256 };

template <int EIGHTS> static size_t backward_room(int tokens)
{
	const size_t rows = (size_t)(tokens + 31) / 32 * 32;

	return rows * (4 * head_shape<EIGHTS>::stride + 2 * SLOPE_STRIDE) * sizeof(bf16) + 2 * rows * sizeof(float);
}

/* c [MS · 16 of its rows, …] += a · b; a from registers. b: rows `row` … of x. */
template <int EIGHTS, int MS>
static __device__ inline void add_product(float c[MS][EIGHTS][4], const unsigned a[MS][2][4], const bf16 *x, int stride)
{
#pragma unroll
	for (int d = 0; d < 2; d++)
#pragma unroll
		for (int n = 0; n < EIGHTS; n += 2) {
			unsigned b[4];

			load_turned(b, b_at(x, stride, 16 * d, 8 * n));
			for (int m = 0; m < MS; m++) {
				multiply(c[m][n], a[m][d], b[0], b[1]);
				if (n + 1 < EIGHTS)
					multiply(c[m][n + 1 < EIGHTS ? n + 1 : n], a[m][d], b[2], b[3]);
			}
		}
}

/* c [MS · 16 keys, 32 queries] = rows `own` … of x times rows of y. */
template <int SIXTEENS, int MS>
static __device__ inline void score_tile(float c[MS][4][4], const bf16 *x, int own, const bf16 *y, int stride)
{
#pragma unroll
	for (int d = 0; d < SIXTEENS; d++) {
		unsigned a[MS][4];

		for (int m = 0; m < MS; m++)
			load_matrices(a[m], a_at(x, stride, own + 16 * m, 16 * d));
#pragma unroll
		for (int n = 0; n < 4; n += 2) {
			unsigned b[4];

			load_matrices(b, b_turned_at(y, stride, 16 * d, 8 * n));
			for (int m = 0; m < MS; m++) {
				multiply(c[m][n], a[m], b[0], b[1]);
				multiply(c[m][n + 1], a[m], b[2], b[3]);
			}
		}
	}
}

/* Sixteens of c as a. */
template <int MS> static __device__ inline void to_a(unsigned a[MS][2][4], const float c[MS][4][4])
{
#pragma unroll
	for (int m = 0; m < MS; m++)
#pragma unroll
		for (int d = 0; d < 2; d++)
#pragma unroll
			for (int i = 0; i < 4; i++)
				a[m][d][i] = two(c[m][2 * d + i / 2][i % 2 * 2], c[m][2 * d + i / 2][i % 2 * 2 + 1]);
}

/* Of this lane's thread: rows of a gradient of keys or values. */
template <int EIGHTS, int MS>
static __device__ inline void write_rows(const attention &a, size_t head, int own, int part,
                                         const float c[2][EIGHTS][4])
{
	const int lane = (int)threadIdx.x % 32;

#pragma unroll
	for (int m = 0; m < MS; m++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const int token = own + 16 * m + 8 * half + lane / 4;

			if (token < a.tokens)
				for (int n = 0; n < EIGHTS; n++)
					*(unsigned *)((bf16 *)a.dqkv.x + ek_attention_part(a, head, token, part) +
					              8 * n + lane % 4 * 2) =
						two(c[m][n][2 * half], c[m][n][2 * half + 1]);
		}
}

/* The rows' log sums in powers of 2, and their deltas; beyond the last token the former are infinite: no share. */
template <int EIGHTS>
static __device__ inline void take_sums(float *logs, float *deltas, const attention &a, size_t head, int rows)
{
	for (int token = (int)threadIdx.x; token < rows; token += (int)blockDim.x) {
		float delta = 0;

		if (token < a.tokens) {
			const uint4 *y = (const uint4 *)((const bf16 *)a.out.x + ek_attention_result(a, head, token));
			const uint4 *dy = (const uint4 *)((const bf16 *)a.dout.x + ek_attention_result(a, head, token));

			for (int i = 0; i < EIGHTS; i++) {
				const uint4 u = y[i], v = dy[i];
				const unsigned us[4] = { u.x, u.y, u.z, u.w }, vs[4] = { v.x, v.y, v.z, v.w };

				for (int j = 0; j < 4; j++)
					delta += __uint_as_float(us[j] << 16) * __uint_as_float(vs[j] << 16) +
					         __uint_as_float(us[j] & 0xffff0000U) *
					                 __uint_as_float(vs[j] & 0xffff0000U);
			}
		}
		logs[token] = token < a.tokens ? a.sums[head * a.tokens + token] * 1.44269504F : CUDART_INF_F;
		deltas[token] = delta;
	}
}

/* The gradients of 32 queries from their slopes [keys, 32]: sixteen of them and sixteen features a warp at a time. */
template <int EIGHTS>
static __device__ inline void give_queries(const attention &a, size_t head, int first, const bf16 *slope,
                                           const bf16 *keys, int rows)
{
	const int lane = (int)threadIdx.x % 32;

	for (int job = (int)threadIdx.x / 32; job < 2 * head_shape<EIGHTS>::pairs; job += (int)blockDim.x / 32) {
		const int m = job % 2, n = job / 2 * 2;
		float c[2][4] = {};

		for (int k = 0; k < rows; k += 16) {
			unsigned x[4], b[4];

			load_turned(x, a_turned_at(slope, SLOPE_STRIDE, 16 * m, k));
			load_turned(b, b_at(keys, head_shape<EIGHTS>::stride, k, 8 * n));
			multiply(c[0], x, b[0], b[1]);
			multiply(c[1], x, b[2], b[3]);
		}
		for (int half = 0; half < 2; half++) {
			const int token = first + 16 * m + 8 * half + lane / 4;

			for (int i = 0; i < 2 && token < a.tokens; i++)
				if (n + i < EIGHTS)
					*(unsigned *)((bf16 *)a.dqkv.x + ek_attention_part(a, head, token, 0) +
					              8 * (n + i) + lane % 4 * 2) =
						two(c[i][2 * half], c[i][2 * half + 1]);
		}
	}
}

template <int EIGHTS, int MS> static __global__ void __launch_bounds__(MOST_TOKENS / MS * 2, 1) attend_back(attention a)
{
	using shape = head_shape<EIGHTS>;
	constexpr int stride = shape::stride;
	extern __shared__ __align__(16) bf16 room[];
	const int warps = (int)blockDim.x / 32, rows = warps * 16 * MS, tiles = rows / 32, lane = (int)threadIdx.x % 32;
	const int warp = (int)threadIdx.x / 32, own = 16 * MS * warp;
	const size_t head = blockIdx.x, features = (size_t)a.heads * a.width, row = 3 * features;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, head, 0, 0);
	const bf16 *dout = (const bf16 *)a.dout.x + ek_attention_result(a, head, 0);
	const float scale = a.scale * 1.44269504F;
	bf16 *queries = room, *keys = queries + rows * stride, *values = keys + rows * stride;
	bf16 *results = values + rows * stride, *slopes = results + rows * stride;
	float *logs = (float *)(slopes + 2 * rows * SLOPE_STRIDE), *deltas = logs + rows;
	float dkeys[MS][EIGHTS][4] = {}, dvalues[MS][EIGHTS][4] = {};

	fetch<EIGHTS>(keys, qkv + features, row, 0, rows, a.tokens);
	fetch<EIGHTS>(values, qkv + 2 * features, row, 0, rows, a.tokens);
	for (int t = 0; t < tiles; t++) {
		const int first = t * QUERIES_AT_ONCE;

		fetch<EIGHTS>(queries + first * stride, qkv, row, first, QUERIES_AT_ONCE, a.tokens);
		fetch<EIGHTS>(results + first * stride, dout, features, first, QUERIES_AT_ONCE, a.tokens);
		close_copies();
	}
	take_sums<EIGHTS>(logs, deltas, a, head, rows);
	await_all_but(tiles - 1);
	__syncthreads();
	for (int t = 0; t < tiles; t++) {
		const int first = t * QUERIES_AT_ONCE;
		const bf16 *q = queries + first * stride, *dy = results + first * stride;
		bf16 *slope = slopes + t % 2 * rows * SLOPE_STRIDE;
		unsigned fragments[MS][2][4];
		float share[MS][4][4] = {}, d[MS][4][4] = {};

		score_tile<shape::sixteens, MS>(share, keys, own, q, stride);
		score_tile<shape::sixteens, MS>(d, values, own, dy, stride);
#pragma unroll
		for (int n = 0; n < 4; n++) {
			const int query = first + 8 * n + lane % 4 * 2;

#pragma unroll
			for (int m = 0; m < MS; m++)
#pragma unroll
				for (int i = 0; i < 4; i++) {
					share[m][n][i] = ek_power_of_2(share[m][n][i] * scale - logs[query + i % 2]);
					d[m][n][i] = share[m][n][i] * (d[m][n][i] - deltas[query + i % 2]) * a.scale;
				}
		}
		to_a<MS>(fragments, share);
		add_product<EIGHTS, MS>(dvalues, fragments, dy, stride);
		to_a<MS>(fragments, d);
		add_product<EIGHTS, MS>(dkeys, fragments, q, stride);
#pragma unroll
		for (int m = 0; m < MS; m++)
#pragma unroll
			for (int n = 0; n < 4; n++)
#pragma unroll
				for (int half = 0; half < 2; half++)
					*(unsigned *)(slope + (own + 16 * m + 8 * half + lane / 4) * SLOPE_STRIDE +
					              8 * n + lane % 4 * 2) = fragments[m][n / 2][n % 2 * 2 + half];
		/* One barrier: all slopes of this tile are there, and the copies of the next. */
		await_all_but(tiles - 2 - t);
		__syncthreads();
		give_queries<EIGHTS>(a, head, first, slope, keys, rows);
	}
	write_rows<EIGHTS, MS>(a, head, own, 1, dkeys);
	write_rows<EIGHTS, MS>(a, head, own, 2, dvalues);
}

/* Which way. */

static attention attention_of(const ek_net *net, const ek_net_op *op)
{
	attention a = {};

	a.heads = op->of.heads;
	a.tokens = (int)(ek_net_rows(net, op->inputs[0]) / (size_t)net->batch);
	a.width = (int)(ek_net_channel_count(net, op->inputs[0]) / 3) / a.heads;
	a.scale = (float)(1 / sqrt((double)a.width));
	a.heads_in_all = (size_t)net->batch * (size_t)a.heads;
	return a;
}

/* For the sums of dqkv's columns, by images or from all rows. */
static size_t bias_scratch(const ek_net *net, const ek_net_op *op)
{
	const size_t columns = ek_net_channel_count(net, op->inputs[0]);
	const size_t rows = ek_cuda_add_rows_scratch(ek_net_rows(net, op->inputs[0]), columns);
	const size_t images = (size_t)net->batch * columns * sizeof(float);

	return rows > images ? rows : images;
}

static int prepare(ek_net *net, ek_net_op *op)
{
	const attention a = attention_of(net, op);
	const size_t rows = a.heads_in_all * (size_t)a.tokens;
	int rc = 0;

	if (a.width > WIDEST) {
		rc = ek_cuda_wide_attention_prepare(net, op);
	} else {
		op->flops = 4.0 * (double)rows * (double)a.tokens * (double)a.width;
		op->saved = rows * sizeof(float);
		op->scratch = op->backward ? rows * sizeof(float) : 0;
	}
	if (op->bias_of > 0 && op->scratch < bias_scratch(net, op))
		op->scratch = bias_scratch(net, op);
	return rc;
}

static int give_room(const void *kernel, size_t bytes)
{
	return ek_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
	                     "attention");
}

static int run_plainly(const attention &a, int back)
{
	const unsigned blocks = (unsigned)(a.heads_in_all * (size_t)((a.tokens + WARPS - 1) / WARPS));
	const size_t row = (size_t)(a.width + 1) * sizeof(float), room = (2 * WARPS + 2 * TILE) * row;
	const unsigned rows = (unsigned)((a.heads_in_all * (size_t)a.tokens + WARPS - 1) / WARPS);
	int rc;

	if (!back) {
		EK_TRY(give_room((const void *)attend_plainly, room));
		attend_plainly<<<blocks, WARPS * 32, room, ek_cuda_stream()>>>(a);
		return ek_cuda_launched("attention");
	}
	EK_TRY(give_room((const void *)attend_back_plainly<0>, room));
	EK_TRY(give_room((const void *)attend_back_plainly<1>, room));
	find_deltas<<<rows, WARPS * 32, 0, ek_cuda_stream()>>>(a);
	attend_back_plainly<0><<<blocks, WARPS * 32, room, ek_cuda_stream()>>>(a);
	attend_back_plainly<1><<<blocks, WARPS * 32, room, ek_cuda_stream()>>>(a);
	EK_TRY(ek_cuda_launched("attention's gradient"));
out:
	return rc;
}

/* 1 if it ran, 0 if it does not fit. */
template <int EIGHTS, int MS> static int run_forward(const attention &a)
{
	const unsigned blocks = (unsigned)(a.heads_in_all * (size_t)((a.tokens + QUERIES - 1) / QUERIES));
	const size_t room = (QUERIES + 4 * KEYS_AT_ONCE) * head_shape<EIGHTS>::stride * sizeof(bf16);
	int rc;

	if (room > ek_cuda_shared_memory())
		return 0;
	EK_TRY(give_room((const void *)attend<EIGHTS, MS>, room));
	attend<EIGHTS, MS><<<blocks, QUERIES / MS * 2, room, ek_cuda_stream()>>>(a);
	EK_TRY(ek_cuda_launched("attention"));
	rc = 1;
out:
	return rc;
}

template <int EIGHTS, int MS> static int run_backward(const attention &a)
{
	const unsigned rows = (unsigned)(a.tokens + 31) / 32 * 32;
	const size_t room = backward_room<EIGHTS>(a.tokens);
	int rc;

	if (room > ek_cuda_shared_memory() || a.tokens > MOST_TOKENS)
		return 0;
	EK_TRY(give_room((const void *)attend_back<EIGHTS, MS>, room));
	attend_back<EIGHTS, MS><<<(unsigned)a.heads_in_all, rows / MS * 2, room, ek_cuda_stream()>>>(a);
	EK_TRY(ek_cuda_launched("attention's gradient"));
	rc = 1;
out:
	return rc;
}

/* A warp takes 16 queries where their registers then suffice for two blocks at a time, as measured on an H200. */
template <int EIGHTS> static int run_on_tensor_cores(const attention &a, int back)
{
	return back ? run_backward<EIGHTS, 2>(a) : run_forward < EIGHTS, EIGHTS <= 8 ? 1 : 2 > (a);
}

/* 1: also the sums of columns. */
static int run(const attention &a, int back)
{
	int rc = 0;

	if (a.qkv.bf16 && !(back && a.dqkv.add)) {
		rc = ek_cuda_attention_hopper(a, back);
		if (rc != 0)
			return rc;
		switch (a.width) {
		case 32:
			rc = run_on_tensor_cores<4>(a, back);
			break;
		case 48:
			rc = run_on_tensor_cores<6>(a, back);
			break;
		case 64:
			rc = run_on_tensor_cores<8>(a, back);
			break;
		case 72:
			rc = run_on_tensor_cores<9>(a, back);
			break;
		case 80:
			rc = run_on_tensor_cores<10>(a, back);
			break;
		}
	}
	return rc != 0 ? (rc < 0 ? rc : 0) : run_plainly(a, back);
}

static int forward(ek_net_state *s, const ek_net_op *op)
{
	attention a = attention_of(s->net, op);
	int rc;

	if (a.width > WIDEST)
		return ek_cuda_wide_attention_forward(s, op);
	a.qkv = ek_cuda_input(s, op, 0);
	a.out = ek_cuda_output(s, op, 0);
	a.sums = (float *)ek_net_saved(s, op);
	rc = run(a, 0);
	return rc < 0 ? rc : 0;
}

static int backward(ek_net_state *s, const ek_net_op *op)
{
	attention a = attention_of(s->net, op);
	const size_t columns = ek_net_channel_count(s->net, op->inputs[0]);
	float *bias = ek_cuda_bias_of(s, op);
	int rc;

	a.qkv = ek_cuda_input(s, op, 0);
	a.out = ek_cuda_output(s, op, 0);
	a.dout = ek_cuda_grad_output(s, op, 0);
	a.dqkv = ek_cuda_grad_input(s, op, 0);
	a.sums = (float *)ek_net_saved(s, op);
	a.deltas = (float *)(void *)s->scratch;
	a.columns = bias != NULL ? (float *)(void *)s->scratch : NULL;
	EK_TRY(a.width > WIDEST ? ek_cuda_wide_attention_backward(s, op) : run(a, 1));
	if (bias != NULL)
		EK_TRY(rc > 0 ? ek_cuda_add_parts(bias, a.columns, (size_t)s->net->batch, columns)
		              : ek_cuda_add_rows(bias, a.dqkv, ek_net_rows(s->net, op->inputs[0]), columns,
		                                 s->scratch));
	rc = 0;
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_attention = { prepare, NULL, forward, backward, 0, NULL };
