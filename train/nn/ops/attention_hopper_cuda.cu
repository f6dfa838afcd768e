/*
 * Attention of up to 256 tokens, forward of up to 272, by Hopper's wgmma: a group of 128 threads multiplies 64 rows at
 * a time. Built for sm_90a alone. As in attention_cuda.cu, probabilities are made again in backward, and every sum has
 * one order.
 *
 * Matrices lie in shared memory as columns of 16 bytes, eight features of every row; a column is 16 bytes longer than
 * its rows, so that neither the copies nor the products meet in a bank. Such a matrix is an operand either way round. A
 * head of 72 features is one of 80 where features are added up: its last eight are zeros. Where they are swizzled
 * products read them faster: in forward of 256 tokens, and in backward of heads of 64 features.
 */
#include <math_constants.h>

#include "train/nn/ops/attention_cuda.h"
#include "train/nn/ops/copy_hopper.h"
#include "train/nn/ops/tensor_cuda.h"

namespace
{

typedef __nv_bfloat16 bf16;

constexpr int GROUP = 128, ROWS = 64; /* threads and rows of a group */
constexpr int MOST = 256;             /* tokens */
constexpr int REST = 16;              /* forward takes so many more */
constexpr float LOG2E = 1.44269504F;

/* Sixteens of bytes: a row of a column is one. A column of 256 rows, and a matrix of a head. */
constexpr uint32_t COLUMN = MOST + 1;

__device__ uint32_t place(const void *shared)
{
	return (uint32_t)__cvta_generic_to_shared(shared);
}

/* An operand without a swizzle, at this sixteen. Features are added up: leading is to the next column, stride to the
 * next eight rows; rows are: leading is to the next eight rows, stride to the next column. */
template <uint32_t LEADING, uint32_t STRIDE> __device__ uint64_t describe(uint32_t at)
{
	return (uint64_t)(at + (LEADING << 16)) | (uint64_t)STRIDE << 32;
}

/* Heads whose matrices are swizzled in backward: rows of 128 bytes, their sixteens in the order of the 128-byte
 * swizzle, eight rows 1,024 bytes. */
template <int EIGHTS> constexpr bool SWIZZLED = EIGHTS == 8;

/* Sixteens that rows, a multiple of 8, are apart; those of a matrix of so many eights; that of a row's eight features.
 */
template <int EIGHTS> __host__ __device__ constexpr uint32_t apart(uint32_t rows)
{
	return SWIZZLED<EIGHTS> ? 8 * rows : rows;
}

template <int EIGHTS> constexpr uint32_t matrix(uint32_t eights)
{
	return eights * (SWIZZLED<EIGHTS> ? MOST : COLUMN);
}

template <int EIGHTS> __device__ uint32_t sixteen_of(uint32_t row, uint32_t eight)
{
	return SWIZZLED<EIGHTS> ? 8 * row + (eight ^ (row & 7)) : eight * COLUMN + row;
}

/* The same memory from where swizzled matrices may begin; so many sixteens may be lost. */
constexpr uint32_t ALIGNED = 64;

__device__ uint4 *aligned(uint4 *room)
{
	return room + (ALIGNED - (uint32_t)__cvta_generic_to_shared(room) / 16 % ALIGNED) % ALIGNED;
}

__device__ uint64_t describe_swizzled(uint32_t at)
{
	return (uint64_t)(at | 1U << 16) | (uint64_t)64 << 32 | (uint64_t)1 << 62;
}

/* An operand of which rows are added up: the sixteen that are number i from this place on. */
template <int EIGHTS> __device__ uint64_t rows_of(uint32_t at, int i)
{
	return SWIZZLED<EIGHTS> ? describe_swizzled(at + 128 * i) : describe<8, COLUMN>(at + 16 * i);
}

#define D4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D8(d) D4(d, 0), D4(d, 4)
#define D16(d, i) D4(d, i), D4(d, i + 4), D4(d, i + 8), D4(d, i + 12)
#define D32(d) D16(d, 0), D16(d, 16)
#define D36(d) D32(d), D4(d, 32)
#define N8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define N16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define N32 N16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define N36 N32 ", %32, %33, %34, %35"

/* d [64, 8 EIGHTS] = d keep + a b, 16 deep; TURNED: rows are added up. */
template <int EIGHTS, int TURNED_A, int TURNED_B>
__device__ void multiply(float (&d)[EIGHTS * 4], uint64_t a, uint64_t b, int keep)
{
#define MULTIPLY(n, numbers, registers, at_a, at_b, at_keep, at_turned_a, at_turned_b)                                 \
	asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %" #at_keep ", 0;\n"                                      \
	             "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" numbers "}, %" #at_a ", %" #at_b     \
	             ", keep, 1, 1, %" #at_turned_a ", %" #at_turned_b ";\n}\n"                                        \
	             : registers                                                                                       \
	             : "l"(a), "l"(b), "r"(keep), "n"(TURNED_A), "n"(TURNED_B))
	if constexpr (EIGHTS == 2)
		MULTIPLY(16, N8, D8(d), 8, 9, 10, 11, 12);
	else if constexpr (EIGHTS == 4)
		MULTIPLY(32, N16, D16(d, 0), 16, 17, 18, 19, 20);
	else if constexpr (EIGHTS == 8)
		MULTIPLY(64, N32, D32(d), 32, 33, 34, 35, 36);
	else
		MULTIPLY(72, N36, D36(d), 36, 37, 38, 39, 40);
#undef MULTIPLY
}

/* The same with a from registers; rows of b are added up. */
template <int EIGHTS> __device__ void multiply_kept(float (&d)[EIGHTS * 4], const unsigned (&a)[4], uint64_t b)
{
#define MULTIPLY(n, numbers, registers, a0, a1, a2, a3, at_b)                                                          \
	asm volatile("wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" numbers "}, {%" #a0 ", %" #a1        \
	             ", %" #a2 ", %" #a3 "}, %" #at_b ", 1, 1, 1, 1;\n"                                                \
	             : registers                                                                                       \
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
	if constexpr (EIGHTS == 8)
		MULTIPLY(64, N32, D32(d), 32, 33, 34, 35, 36);
	else
		MULTIPLY(72, N36, D36(d), 36, 37, 38, 39, 40);
#undef MULTIPLY
}

__device__ void begin()
{
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ void commit()
{
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* At most LEFT groups of products still run; what was multiplied is in d from here on. */
template <int LEFT, int COUNT> __device__ void settle(float (&d)[COUNT])
{
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
#pragma unroll
	for (float &value : d)
		asm volatile("" : "+f"(value)::"memory");
}

/* What was written to shared memory may be read by products, after a barrier. */
__device__ void publish()
{
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ void close_copies()
{
	asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int LEFT> __device__ void await_copies()
{
	asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

__device__ void clear_16(uint32_t to)
{
	asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(to * 16), "r"(0) : "memory");
}

__device__ void copy_16(uint32_t to, const bf16 *x)
{
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to * 16), "l"(x) : "memory");
}

/* Start copying rows first … first + count of a head, `row` numbers apart in x, to the rows of shared memory from
 * sixteen `to` on; zeros beyond the last token. A warp takes four columns of eight rows, which are whole sectors; a
 * column that is left, alone. All addresses are there before the first copy, so that none waits for another. */
template <int EIGHTS, int COUNT_OF_THREADS, uint32_t COLUMN_OF_IT = COLUMN, int LIMIT = MOST>
__device__ void fetch(uint32_t to, const bf16 *x, size_t row, int first, int count, int tokens)
{
	constexpr int fours = EIGHTS / 4, step = COUNT_OF_THREADS / 32 / fours * 8;
	const int thread = (int)threadIdx.x, column = thread / 32 % fours * 4 + thread / 8 % 4;
	const int start = thread / 32 / fours * 8 + thread % 8;
	const bf16 *from = x + (size_t)(first + start) * row + column * 8;
	const uint32_t place = to + column * COLUMN_OF_IT + start;

	static_assert(COUNT_OF_THREADS / 32 % fours == 0 && EIGHTS % 4 < 2);
#pragma unroll
	for (int i = 0; i < (LIMIT + step - 1) / step; i++) {
		const int r = start + i * step;

		if (r < count && first + r < tokens)
			copy_16(place + i * step, from + (size_t)(i * step) * row);
		else if (r < count)
			clear_16(place + i * step);
	}
	if constexpr (EIGHTS % 4 > 0)
#pragma unroll
		for (int r = thread; r < MOST; r += COUNT_OF_THREADS) {
			const uint32_t at = to + 4 * fours * COLUMN_OF_IT + r;

			if (r < count && first + r < tokens)
				copy_16(at, x + (size_t)(first + r) * row + 32 * fours);
			else if (r < count)
				clear_16(at);
		}
}

/* The same to a matrix at `to` as backward has it, by all its threads. */
template <int EIGHTS, int COUNT_OF_THREADS>
__device__ void bring(uint32_t to, const bf16 *x, size_t row, int first, int count, int tokens, int thread)
{
	if constexpr (SWIZZLED<EIGHTS>) {
		constexpr int step = COUNT_OF_THREADS / 8;
		const int column = thread % 8, start = thread / 8;

		static_assert(step % 8 == 0);
#pragma unroll 1
		for (int c = 0; c + 8 <= EIGHTS; c += 8) {
			const bf16 *from = x + (size_t)(first + start) * row + (c + column) * 8;
			const uint32_t place = to + sixteen_of<EIGHTS>(first + start, c + column);

#pragma unroll 4
			for (int r = start; r < count; r += step, from += step * row)
				if (first + r < tokens)
					copy_16(place + apart<EIGHTS>(r - start), from);
				else
					clear_16(place + apart<EIGHTS>(r - start));
		}
	} else {
		fetch<EIGHTS, COUNT_OF_THREADS>(to + first, x, row, first, count, tokens);
	}
}

__device__ void clear(uint4 *shared, int count)
{
	for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x)
		shared[i] = make_uint4(0, 0, 0, 0);
}

/* c = 64 rows of matrix A times rows of B, features added up; a, b: sixteens of their first rows, if the matrices lay
 * at 0. ZEROS: a column of them. */
template <int EIGHTS, int COLUMNS, uint32_t A, uint32_t B, uint32_t ZEROS, uint32_t COLUMN_A = COLUMN,
          uint32_t COLUMN_B = COLUMN>
__device__ void score(float (&c)[COLUMNS * 4], uint32_t a, uint32_t b)
{
#pragma unroll
	for (int i = 0; i + 1 < EIGHTS; i += 2)
		multiply<COLUMNS, 0, 0>(c, describe<COLUMN_A, 8>(a + A + i * COLUMN_A),
		                        describe<COLUMN_B, 8>(b + B + i * COLUMN_B), i > 0);
	if constexpr (EIGHTS % 2 > 0) {
		constexpr uint32_t last_a = A + (EIGHTS - 1) * COLUMN_A, last_b = B + (EIGHTS - 1) * COLUMN_B;

		multiply<COLUMNS, 0, 0>(c, describe<ZEROS - last_a, 8>(a + last_a),
		                        describe<ZEROS - last_b, 8>(b + last_b), 1);
	}
}

/* The same in backward: PLACE_OF_A, PLACE_OF_B: of the matrices, rows from sixteens a, b. */
template <int EIGHTS, int COLUMNS, uint32_t PLACE_OF_A, uint32_t PLACE_OF_B, uint32_t ZEROS>
__device__ void score_back(float (&c)[COLUMNS * 4], uint32_t a, uint32_t b)
{
	if constexpr (SWIZZLED<EIGHTS>)
#pragma unroll
		for (int i = 0; i < EIGHTS / 2; i++)
			multiply<COLUMNS, 0, 0>(c, describe_swizzled(a + PLACE_OF_A + 2 * i),
			                        describe_swizzled(b + PLACE_OF_B + 2 * i), i > 0);
	else
		score<EIGHTS, COLUMNS, PLACE_OF_A, PLACE_OF_B, ZEROS>(c, a, b);
}

/* c += a, from registers, times rows of a matrix, from sixteen b on: COUNT sixteens of them. */
template <int EIGHTS, uint32_t COLUMN_B, int COUNT>
__device__ void add_rows(float (&c)[EIGHTS * 4], const unsigned (&a)[COUNT][4], uint32_t b)
{
#pragma unroll
	for (int i = 0; i < COUNT; i++)
		multiply_kept<EIGHTS>(c, a[i], describe<8, COLUMN_B>(b + 16 * i));
}

template <int EIGHTS, int COUNT>
__device__ void add_rows_back(float (&c)[EIGHTS * 4], const unsigned (&a)[COUNT][4], uint32_t b)
{
#pragma unroll
	for (int i = 0; i < COUNT; i++)
		multiply_kept<EIGHTS>(c, a[i], rows_of<EIGHTS>(b, i));
}

/* Numbers of a result as an operand from registers. */
template <int COUNT> __device__ void pack(unsigned (&a)[COUNT / 8][4], const float (&c)[COUNT])
{
#pragma unroll
	for (int i = 0; i < COUNT / 8; i++)
#pragma unroll
		for (int j = 0; j < 4; j++)
			a[i][j] = ek_pair(c[8 * i + 2 * j], c[8 * i + 2 * j + 1]);
}

/* Of four lanes' pairs of columns, one of each of four eights, the eight that is this lane's. */
__device__ uint4 gather(const unsigned (&x)[4])
{
	const int odd = threadIdx.x & 1, high = threadIdx.x & 2;
	const unsigned a = __shfl_xor_sync(0xffffffffU, odd ? x[0] : x[1], 1),
		       b = __shfl_xor_sync(0xffffffffU, odd ? x[2] : x[3], 1);
	const unsigned low[2] = { odd ? a : x[0], odd ? x[1] : a }, top[2] = { odd ? b : x[2], odd ? x[3] : b };
	const unsigned c = __shfl_xor_sync(0xffffffffU, high ? low[0] : top[0], 2),
		       d = __shfl_xor_sync(0xffffffffU, high ? low[1] : top[1], 2);

	return high ? make_uint4(c, d, top[0], top[1]) : make_uint4(low[0], low[1], c, d);
}

/* This lane's part of row `half` of c, times `factor`, to a row of features. */
template <int EIGHTS>
__device__ void write_row(bf16 *to, const float (&c)[EIGHTS * 4], int half, float factor, int wanted)
{
	const int quarter = (int)threadIdx.x % 4;

#pragma unroll
	for (int n = 0; n < EIGHTS; n += 4) {
		unsigned pairs[4];

		for (int i = 0; i < 4 && n + i < EIGHTS; i++)
			pairs[i] = ek_pair(c[4 * (n + i) + 2 * half] * factor, c[4 * (n + i) + 2 * half + 1] * factor);
		if (n + 4 <= EIGHTS) {
			const uint4 eight = gather(pairs);

			if (wanted)
				*(uint4 *)(to + 8 * (n + quarter)) = eight;
		} else if (wanted) {
			for (int i = 0; n + i < EIGHTS; i++)
				*(unsigned *)(to + 8 * (n + i) + 2 * quarter) = pairs[i];
		}
	}
}

/* The same in all lanes, as the compiler sees. */
__device__ int group_of_thread()
{
	return __shfl_sync(0xffffffffU, (int)threadIdx.x / GROUP, 0);
}

/* Row `half` of this lane in its group's 64. */
__device__ int row_of(int half)
{
	return (int)threadIdx.x % GROUP / 32 * 16 + 8 * half + (int)threadIdx.x % 32 / 4;
}

/* Forward: a block has 128 queries of a head, two groups, and all its keys, 64 at a time. */
constexpr int QUERIES = 2 * ROWS;

template <int EIGHTS> struct forward_room {
	static constexpr int rest = 0;
	static constexpr uint32_t column = QUERIES + 1, of_keys = COLUMN, keys = EIGHTS * column,
				  values = keys + EIGHTS * COLUMN, zeros = values + EIGHTS * COLUMN,
				  all = zeros + EIGHTS % 2 * COLUMN;
};

/* Scores become shares of the largest so far, and what was added up is brought to that. */
template <int EIGHTS, int COUNT>
__device__ void weigh(float (&c)[COUNT], float (&result)[EIGHTS * 4], float (&most)[2], float (&sum)[2], float scale)
{
#pragma unroll
	for (int half = 0; half < 2; half++) {
		float top = most[half], part = 0, rest;

#pragma unroll
		for (int n = 0; n < COUNT / 4; n++)
			top = fmaxf(top, fmaxf(c[4 * n + 2 * half], c[4 * n + 2 * half + 1]));
		top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 1));
		top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 2));
		rest = ek_power_of_2((most[half] - top) * scale);
		most[half] = top;
#pragma unroll
		for (int n = 0; n < COUNT / 4; n++)
#pragma unroll
			for (int i = 0; i < 2; i++) {
				float &share = c[4 * n + 2 * half + i];

				share = ek_power_of_2(share * scale - top * scale);
				part += share;
			}
		sum[half] = sum[half] * rest + part;
#pragma unroll
		for (int n = 0; n < EIGHTS; n++) {
			result[4 * n + 2 * half] *= rest;
			result[4 * n + 2 * half + 1] *= rest;
		}
	}
}

/* No share is left of scores of keys from number `first` on that are none. */
template <int COUNT> __device__ void forget_others(float (&c)[COUNT], int first, int tokens)
{
	if (first + 2 * COUNT > tokens)
#pragma unroll
		for (int i = 0; i < COUNT; i++)
			if (first + i / 4 * 8 + (int)threadIdx.x % 4 * 2 + i % 2 >= tokens)
				c[i] = -CUDART_INF_F;
}

/* 2 COUNT keys, from number `first` on, for a group's 64 queries before which `own` rows lie. */
template <int EIGHTS, class PLACES, uint32_t COLUMN_OF_QUERIES, int COUNT>
__device__ void take_keys(float (&result)[EIGHTS * 4], float (&most)[2], float (&sum)[2], const ek_attention &a,
                          uint32_t start, int own, int first)
{
	float c[COUNT];
	unsigned shares[COUNT / 8][4];

	begin();
	score<EIGHTS, COUNT / 4, 0, PLACES::keys, PLACES::zeros, COLUMN_OF_QUERIES, PLACES::of_keys>(c, start + own,
	                                                                                             start + first);
	commit();
	settle<0>(c);
	forget_others(c, first, a.tokens);
	weigh<EIGHTS>(c, result, most, sum, a.scale * LOG2E);
	pack(shares, c);
	begin();
	add_rows<EIGHTS, PLACES::of_keys>(result, shares, start + PLACES::values + first);
	commit();
	settle<0>(result);
}

/* A lane's two rows of results, the first of them token `first`. */
template <int EIGHTS>
__device__ void give_results(const ek_attention &a, size_t head, int first, const float (&result)[EIGHTS * 4],
                             const float (&most)[2], const float (&sum)[2])
{
#pragma unroll
	for (int half = 0; half < 2; half++) {
		const int token = first + 8 * half;
		float all = sum[half];

		all += __shfl_xor_sync(0xffffffffU, all, 1);
		all += __shfl_xor_sync(0xffffffffU, all, 2);
		write_row<EIGHTS>((bf16 *)a.out.x + ek_attention_result(a, head, token), result, half, 1 / all,
		                  token < a.tokens);
		if (token < a.tokens && threadIdx.x % 4 == 0)
			a.sums[head * a.tokens + token] = most[half] * a.scale + logf(all);
	}
}

/* A group's 64 queries, their number `first` of a head, times its keys, in powers of 2; then the result's rows.
 * Matrices lie from sixteen `start` on, and `own` of its rows are before these queries. arrived(t): keys and values of
 * tile t are there. */
template <int EIGHTS, class PLACES, uint32_t COLUMN_OF_QUERIES, class ARRIVED>
__device__ void attend_rows(const ek_attention &a, size_t head, uint32_t start, int first, int own, ARRIVED arrived)
{
	const int tiles = ((PLACES::rest > 0 ? MOST : a.tokens) + ROWS - 1) / ROWS;
	float result[EIGHTS * 4] = {}, most[2] = { -CUDART_INF_F, -CUDART_INF_F }, sum[2] = {};

	for (int t = 0; t < tiles; t++) {
		arrived(t);
		take_keys<EIGHTS, PLACES, COLUMN_OF_QUERIES, ROWS / 2>(result, most, sum, a, start, own, t * ROWS);
	}
	if constexpr (PLACES::rest > 0)
		take_keys<EIGHTS, PLACES, COLUMN_OF_QUERIES, PLACES::rest / 2>(result, most, sum, a, start, own, MOST);
	give_results<EIGHTS>(a, head, first + row_of(0), result, most, sum);
}

template <int EIGHTS> __global__ void __launch_bounds__(2 * GROUP, 2) attend(ek_attention a)
{
	using places = forward_room<EIGHTS>;
	extern __shared__ uint4 room[];
	const int blocks = (a.tokens + QUERIES - 1) / QUERIES, tiles = (a.tokens + ROWS - 1) / ROWS;
	const int first = (int)(blockIdx.x % blocks) * QUERIES, own = group_of_thread() * ROWS;
	const size_t head = blockIdx.x / blocks, features = (size_t)a.heads * a.width, row = 3 * features;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, head, 0, 0);
	const uint32_t start = place(room) / 16;

	fetch<EIGHTS, 2 * GROUP, places::column>(start, qkv, row, first, QUERIES, a.tokens);
	fetch<EIGHTS, 2 * GROUP>(start + places::keys, qkv + features, row, 0, ROWS, a.tokens);
	fetch<EIGHTS, 2 * GROUP>(start + places::values, qkv + 2 * features, row, 0, ROWS, a.tokens);
	close_copies();
	fetch<EIGHTS, 2 * GROUP>(start + places::keys + ROWS, qkv + features, row, ROWS, (tiles - 1) * ROWS, a.tokens);
	fetch<EIGHTS, 2 * GROUP>(start + places::values + ROWS, qkv + 2 * features, row, ROWS, (tiles - 1) * ROWS,
	                         a.tokens);
	close_copies();
	if (EIGHTS % 2 > 0)
		clear(room + places::zeros, COLUMN);
	attend_rows<EIGHTS, places, places::column>(a, head, start, first + own, own, [](int t) {
		if (t >= 2)
			return;
		if (t == 0)
			await_copies<1>();
		else
			await_copies<0>();
		publish();
		__syncthreads();
	});
}

/* The same of 129 tokens and more: four groups have all queries of a head, and a block goes from head to head, the next
 * one's matrices on their way. */
constexpr int ALL = 4 * GROUP;

template <int EIGHTS> struct resident_room {
	static constexpr int rest = 0;
	static constexpr uint32_t of_keys = COLUMN, keys = EIGHTS * COLUMN, values = 2 * keys, zeros = 3 * keys,
				  stage = zeros + EIGHTS % 2 * COLUMN, all = 2 * stage;
};

template <int EIGHTS> __device__ void fetch_head(const ek_attention &a, size_t head, uint32_t to)
{
	using places = resident_room<EIGHTS>;
	const size_t features = (size_t)a.heads * a.width, row = 3 * features;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, head, 0, 0);
	const int rows = (a.tokens + ROWS - 1) / ROWS * ROWS;

	fetch<EIGHTS, ALL>(to, qkv, row, 0, rows, a.tokens);
	fetch<EIGHTS, ALL>(to + places::keys, qkv + features, row, 0, rows, a.tokens);
	fetch<EIGHTS, ALL>(to + places::values, qkv + 2 * features, row, 0, rows, a.tokens);
}

template <int EIGHTS> __global__ void __launch_bounds__(ALL, 1) attend_heads(ek_attention a)
{
	using places = resident_room<EIGHTS>;
	extern __shared__ uint4 room[];
	const uint32_t start = place(room) / 16;
	const int own = group_of_thread() * ROWS;
	uint32_t stage = 0;

	if (EIGHTS % 2 > 0) {
		clear(room + places::zeros, COLUMN);
		clear(room + places::stage + places::zeros, COLUMN);
	}
	fetch_head<EIGHTS>(a, blockIdx.x, start);
	close_copies();
	for (size_t head = blockIdx.x; head < a.heads_in_all; head += gridDim.x, stage = places::stage - stage) {
		await_copies<0>();
		publish();
		__syncthreads(); /* this stage is there, the other has been read */
		if (head + gridDim.x < a.heads_in_all)
			fetch_head<EIGHTS>(a, head + gridDim.x, start + places::stage - stage);
		close_copies();
		if (own < a.tokens)
			attend_rows<EIGHTS, places, COLUMN>(a, head, start + stage, own, own, [](int) {});
	}
}

/*
 * The same of up to REST tokens more, as of 16 x 16 patches and a token beside them: the queries beyond the 256th are
 * those of a warp of their own, 16 keys at a time, while the groups multiply.
 */
template <int EIGHTS> struct larger_room {
	static_assert(EIGHTS % 4 == 0);
	static constexpr int rest = REST;
	static constexpr uint32_t of_keys = MOST + REST + 1, keys = EIGHTS * of_keys, values = 2 * keys, zeros = 0,
				  stage = 3 * keys, all = 2 * stage;
};

template <int EIGHTS> __device__ void fetch_larger(const ek_attention &a, size_t head, uint32_t to)
{
	using places = larger_room<EIGHTS>;
	const size_t features = (size_t)a.heads * a.width, row = 3 * features;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, head, 0, 0);

	for (int part = 0; part < 3; part++)
		fetch<EIGHTS, ALL, places::of_keys, MOST + REST>(to + part * places::keys, qkv + part * features, row,
		                                                 0, MOST + REST, a.tokens);
}

/* Four numbers of a result, as a product of the older kind has them. */
__device__ float (&four(float *x))[4]
{
	return *(float(*)[4])x;
}

template <int EIGHTS> __device__ void attend_rest(const ek_attention &a, size_t head, const uint4 *stage)
{
	using places = larger_room<EIGHTS>;
	constexpr uint32_t column = places::of_keys;
	const int lane = (int)threadIdx.x % 32;
	float result[EIGHTS * 4] = {}, most[2] = { -CUDART_INF_F, -CUDART_INF_F }, sum[2] = {};
	unsigned queries[EIGHTS / 2][4];

#pragma unroll
	for (int i = 0; i < EIGHTS / 2; i++)
		load_matrices(queries[i], stage + (2 * i + lane / 16) * column + MOST + lane % 16);
#pragma unroll 1
	for (int first = 0; first < a.tokens; first += 16) {
		float c[8] = {};
		unsigned b[4], shares[1][4];

#pragma unroll
		for (int i = 0; i < EIGHTS / 2; i++) {
			load_matrices(b, stage + places::keys + (2 * i + lane / 8 % 2) * column + first + lane % 8 +
			                         lane / 16 * 8);
			::multiply(four(c), queries[i], b[0], b[1]);
			::multiply(four(c + 4), queries[i], b[2], b[3]);
		}
		forget_others(c, first, a.tokens);
		weigh<EIGHTS>(c, result, most, sum, a.scale * LOG2E);
		pack(shares, c);
#pragma unroll
		for (int i = 0; i < EIGHTS; i += 2) {
			load_turned(b, stage + places::values + (i + lane / 16) * column + first + lane % 16);
			::multiply(four(result + 4 * i), shares[0], b[0], b[1]);
			::multiply(four(result + 4 * i + 4), shares[0], b[2], b[3]);
		}
	}
	give_results<EIGHTS>(a, head, MOST + lane / 4, result, most, sum);
}

template <int EIGHTS> __global__ void __launch_bounds__(ALL + 32, 1) attend_larger(ek_attention a)
{
	using places = larger_room<EIGHTS>;
	extern __shared__ uint4 room[];
	const uint32_t start = place(room) / 16;
	const int group = group_of_thread(), own = group * ROWS;
	uint32_t stage = 0;

	if (group < ALL / GROUP)
		fetch_larger<EIGHTS>(a, blockIdx.x, start);
	close_copies();
	for (size_t head = blockIdx.x; head < a.heads_in_all; head += gridDim.x, stage = places::stage - stage) {
		await_copies<0>();
		publish();
		__syncthreads(); /* this stage is there, the other has been read */
		if (group < ALL / GROUP && head + gridDim.x < a.heads_in_all)
			fetch_larger<EIGHTS>(a, head + gridDim.x, start + places::stage - stage);
		close_copies();
		if (group < ALL / GROUP)
			attend_rows<EIGHTS, places, places::of_keys>(a, head, start + stage, own, own, [](int) {});
		else
			attend_rest<EIGHTS>(a, head, room + stage);
	}
}

/*
 * 256 tokens: four groups have all queries of a head, and a block goes from head to head. The copy engine brings
 * matrices while the head before is worked on, and no group waits for another but for that: the last warp that has done
 * with a matrix has that of the head after next brought to its place. While a tile's shares are made, those of the tile
 * before are multiplied with their values. The first 64 features of a matrix are swizzled; of 72, the last eight lie
 * apart, as a column, and behind those of queries are zeros.
 *
 * Shares are powers of 2 of scores less the largest of a row's first 64: larger ones have room, and nothing that was
 * added up must be brought to another measure. A group of which a row's sum is beyond LARGEST_SUM begins again, less
 * the largest of all.
 */
constexpr float LARGEST_SUM = 0x1p100F;
enum { QUERIES_OF = 0, KEYS_OF = 1, VALUES_OF = 2, PARTS = 3 };

/* In sixteens. For each matrix and stage a barrier, and a count of the warps that have done with it. */
template <int EIGHTS> struct swizzled_room {
	static constexpr uint32_t matrix = 8 * MOST, rest = PARTS * matrix,
				  stage = EIGHTS == 8 ? rest : rest + PARTS * MOST, zeros = 2 * stage, results = zeros,
				  barriers = EIGHTS == 8 ? results + matrix : zeros + ROWS, counts = barriers + PARTS,
				  all = counts + 2;
};

/* Boxes of a head's matrices: of 64 features, and of the eight behind them; of the results of a warp. */
struct head_maps {
	CUtensorMap first, rest, results;
};

/* Heads go from the last to the first: of what was written last the cache still has some, and of the results that are
 * read first. With 72 features nothing was gained. */
template <int EIGHTS> __device__ int number_of_head(const ek_attention &a, int n)
{
	return EIGHTS == 8 ? (int)a.heads_in_all - 1 - n : n;
}

/* One thread: a matrix of the n-th head. */
template <int EIGHTS>
__device__ void bring_matrix(const ek_attention &a, const head_maps &maps, uint32_t room, int part, int stage, int n)
{
	using places = swizzled_room<EIGHTS>;
	const int head = number_of_head<EIGHTS>(a, n);
	const int column = (part * a.heads + head % a.heads) * EIGHTS * 8, row = head / a.heads * MOST;
	const uint32_t to = room + stage * places::stage * 16,
		       full = room + places::barriers * 16 + (2 * part + stage) * 8;

	expect_bytes(full, EIGHTS * MOST * 16);
	bring_box(to + part * places::matrix * 16, &maps.first, full, column, row);
	if (EIGHTS > 8)
		bring_box(to + (places::rest + part * MOST) * 16, &maps.rest, full, column + 64, row);
}

/* One thread of a warp, which has done with a matrix: the last of all warps has that of the next-th head brought there.
 */
template <int EIGHTS>
__device__ void leave_matrix(const ek_attention &a, const head_maps &maps, uint32_t room, int part, int stage, int next)
{
	unsigned before;

	asm volatile("atom.acq_rel.cta.shared::cta.inc.u32 %0, [%1], %2;"
	             : "=r"(before)
	             : "r"(room + swizzled_room<EIGHTS>::counts * 16 + (2 * part + stage) * 4), "r"(ALL / 32 - 1)
	             : "memory");
	if (before == ALL / 32 - 1 && next < (int)a.heads_in_all)
		bring_matrix<EIGHTS>(a, maps, room, part, stage, next);
}

/* d = d keep + a, from registers, times columns of b; features are added up. */
__device__ void multiply_queries(float (&d)[ROWS / 2], const unsigned (&a)[4], uint64_t b, int keep)
{
	asm volatile("{\n.reg .pred keep;\nsetp.ne.b32 keep, %37, 0;\n"
	             "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" N32
	             "}, {%32, %33, %34, %35}, %36, keep, 1, 1, 0;\n}\n"
	             : D32(d)
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep));
}

/* c = queries times keys of tile t, in the background; matrices lie from sixteen `start` on. The first 64 features of
 * queries are in registers; `rest`: the place of the group's others, `zeros` so far before zeros. */
template <int EIGHTS>
__device__ void score_swizzled(float (&c)[ROWS / 2], const unsigned (&queries)[4][4], uint32_t start, uint32_t rest,
                               uint32_t zeros, int t)
{
	using places = swizzled_room<EIGHTS>;

#pragma unroll
	for (int i = 0; i < 4; i++)
		multiply_queries(c, queries[i], describe_swizzled(start + places::matrix + 8 * ROWS * t + 2 * i),
		                 i > 0);
	if constexpr (EIGHTS > 8)
		multiply<8, 0, 0>(c, (uint64_t)(rest + (zeros << 16)) | (uint64_t)8 << 32,
		                  describe<0, 8>(start + places::rest + MOST + ROWS * t), 1);
	commit();
}

/* d += a, from registers, times eight columns of b, rows of which are added up. */
__device__ void multiply_eight(float (&d)[36], const unsigned (&a)[4], uint64_t b)
{
	asm volatile(
		"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, {%4, %5, %6, %7}, %8, 1, 1, 1, "
		"1;\n"
		: D4(d, 32)
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/* The first 64 of more features. */
__device__ void multiply_64(float (&d)[36], const unsigned (&a)[4], uint64_t b)
{
	asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" N32
	             "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
	             : D32(d)
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

template <int EIGHTS>
__device__ void add_swizzled(float (&c)[EIGHTS * 4], const unsigned (&a)[ROWS / 16][4], uint32_t start, int t)
{
	using places = swizzled_room<EIGHTS>;

#pragma unroll
	for (int i = 0; i < ROWS / 16; i++) {
		const uint64_t b = describe_swizzled(start + 2 * places::matrix + 8 * ROWS * t + 128 * i);

		if constexpr (EIGHTS == 8) {
			multiply_kept<8>(c, a[i], b);
		} else {
			multiply_64(c, a[i], b);
			multiply_eight(c, a[i], describe<8, 8>(start + places::rest + 2 * MOST + ROWS * t + 16 * i));
		}
	}
}

/* A row's largest so far, of this lane's scores. */
__device__ void take_largest(float (&top)[2], const float (&c)[ROWS / 2])
{
#pragma unroll
	for (int i = 0; i < ROWS / 2; i++)
		top[i / 2 % 2] = fmaxf(top[i / 2 % 2], c[i]);
}

/* Over the four lanes that have a row. */
__device__ float largest_of_row(float x)
{
	x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 1));
	return fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 2));
}

/* Whether some thread of this group has it so. */
__device__ int any_of_group(int group, int mine)
{
	int any;

	asm volatile("{\n.reg .pred mine, any;\nsetp.ne.b32 mine, %1, 0;\n"
	             "barrier.cta.red.or.pred any, %2, %3, mine;\nselp.b32 %0, 1, 0, any;\n}\n"
	             : "=r"(any)
	             : "r"(mine), "r"(1 + group), "n"(GROUP)
	             : "memory");
	return __shfl_sync(0xffffffffU, any, 0);
}

/* Rows of results of this warp, times `factor`: by the copy engine from a place of their own, or, of 72 features, which
 * are not whole sectors and leave no room for one, by themselves. */
template <int EIGHTS>
__device__ void send_results(const ek_attention &a, const head_maps &maps, int head, uint32_t room, int warp,
                             const float (&result)[EIGHTS * 4], const float (&factor)[2])
{
	const int lane = (int)threadIdx.x % 32;

	if constexpr (EIGHTS > 8) {
#pragma unroll
		for (int half = 0; half < 2; half++)
			write_row<EIGHTS>((bf16 *)a.out.x +
			                          ek_attention_result(a, head, warp * 16 + lane / 4 + 8 * half),
			                  result, half, factor[half], 1);
	} else {
		const uint32_t own = (room / 16 + swizzled_room<EIGHTS>::results + warp * 16 * 8) * 16;

		if (lane == 0)
			boxes_read<0>(); /* those of the head before have left */
		__syncwarp();
#pragma unroll
		for (int i = 0; i < 4; i++) {
			unsigned x[4];

#pragma unroll
			for (int j = 0; j < 4; j++)
				x[j] = ek_pair(result[8 * i + 2 * j] * factor[j % 2],
				               result[8 * i + 2 * j + 1] * factor[j % 2]);
			store_matrices(own + lane % 16 * 128 + ((2 * i + lane / 16) ^ lane % 8) * 16, x);
		}
		publish();
		__syncwarp();
		if (lane == 0) {
			send_box(&maps.results, own, head % a.heads * EIGHTS * 8, head / a.heads * MOST + warp * 16);
			boxes_marked();
		}
	}
}

/* A group's 64 queries of the n-th head, whose matrices are in this stage. */
template <int EIGHTS>
__device__ void attend_head(const ek_attention &a, const head_maps &maps, uint32_t room, int n, int stage, int parity)
{
	using places = swizzled_room<EIGHTS>;
	constexpr int tiles = MOST / ROWS;
	const int group = group_of_thread(), lane = (int)threadIdx.x % 32, step = (int)gridDim.x;
	const int warp = __shfl_sync(0xffffffffU, (int)threadIdx.x / 32, 0);
	const uint32_t start = room / 16 + stage * places::stage, full = room + places::barriers * 16 + 8 * stage;
	const uint32_t own = start * 16 + warp * 16 * 128, rest = start + places::rest + ROWS * group;
	const uint32_t zeros = room / 16 + places::zeros - rest;
	const int head = number_of_head<EIGHTS>(a, n);
	const float scale = a.scale * LOG2E;
	float c[ROWS / 2], result[EIGHTS * 4], shift[2], sum[2], factor[2];
	unsigned shares[ROWS / 16][4], queries[4][4];
	int again = 0, more;

	await_phase(full + 16 * QUERIES_OF, parity);
#pragma unroll
	for (int i = 0; i < 4; i++)
		load_matrices(queries[i], own + lane % 16 * 128 + ((2 * i + lane / 16) ^ lane % 8) * 16);
	await_phase(full + 16 * KEYS_OF, parity);
	__syncwarp();
	if (EIGHTS == 8 && lane == 0)
		leave_matrix<EIGHTS>(a, maps, room, QUERIES_OF, stage, n + 2 * step);
#pragma unroll 1
	do {
		float top[2] = { -CUDART_INF_F, -CUDART_INF_F };

#pragma unroll 1
		for (int t = again ? tiles - 1 : 0; t >= 0; t--) {
			begin();
			score_swizzled<EIGHTS>(c, queries, start, rest, zeros, t);
			settle<0>(c);
			take_largest(top, c);
		}
#pragma unroll
		for (int half = 0; half < 2; half++) {
			shift[half] = largest_of_row(top[half]) * scale;
			sum[half] = 0;
		}
#pragma unroll
		for (int t = 0; t < tiles; t++) {
#pragma unroll
			for (int i = 0; i < ROWS / 2; i++) {
				c[i] = ek_power_of_2(c[i] * scale - shift[i / 2 % 2]);
				sum[i / 2 % 2] += c[i];
			}
			if (t > 0) {
				settle<0>(result);
			} else {
				await_phase(full + 16 * VALUES_OF, parity);
#pragma unroll
				for (float &value : result)
					value = 0;
			}
			if (t + 1 == tiles)
				break;
			pack(shares, c);
			begin();
			score_swizzled<EIGHTS>(c, queries, start, rest, zeros, t + 1);
			add_swizzled<EIGHTS>(result, shares, start, t);
			commit();
			settle<1>(c);
		}
		more = !again && any_of_group(group, !(sum[0] < LARGEST_SUM && sum[1] < LARGEST_SUM));
		again = 1;
	} while (more);
	pack(shares, c);
	begin();
	add_swizzled<EIGHTS>(result, shares, start, tiles - 1);
	commit();
	if (lane == 0) {
		if (EIGHTS > 8)
			leave_matrix<EIGHTS>(a, maps, room, QUERIES_OF, stage, n + 2 * step);
		leave_matrix<EIGHTS>(a, maps, room, KEYS_OF, stage, n + 2 * step);
	}
#pragma unroll
	for (int half = 0; half < 2; half++) {
		float all = sum[half];

		all += __shfl_xor_sync(0xffffffffU, all, 1);
		all += __shfl_xor_sync(0xffffffffU, all, 2);
		factor[half] = 1 / all;
		if (lane % 4 == 0)
			a.sums[(size_t)head * MOST + warp * 16 + lane / 4 + 8 * half] =
				(shift[half] + __log2f(all)) * (1 / LOG2E);
	}
	settle<0>(result);
	if (lane == 0)
		leave_matrix<EIGHTS>(a, maps, room, VALUES_OF, stage, n + 2 * step);
	send_results<EIGHTS>(a, maps, head, room, warp, result, factor);
}

template <int EIGHTS>
__global__ void __launch_bounds__(ALL, 1)
	attend_swizzled(const __grid_constant__ ek_attention a, const __grid_constant__ head_maps maps)
{
	using places = swizzled_room<EIGHTS>;
	extern __shared__ __align__(1024) unsigned char memory[];
	const uint32_t room = place(memory);
	int stage = 0, parity = 0;

	if (threadIdx.x == 0) {
		for (int i = 0; i < 2 * PARTS; i++) {
			start_barrier(room + places::barriers * 16 + 8 * i, 1);
			((unsigned *)memory)[places::counts * 4 + i] = 0;
		}
		publish();
		for (int i = 0; i < 2 * PARTS; i++) {
			const int n = (int)blockIdx.x + i / PARTS * (int)gridDim.x;

			if (n < (int)a.heads_in_all)
				bring_matrix<EIGHTS>(a, maps, room, i % PARTS, i / PARTS, n);
		}
	}
	if (EIGHTS > 8) {
		clear((uint4 *)memory + places::zeros, ROWS);
		publish();
	}
	__syncthreads();
#pragma unroll 1
	for (int n = (int)blockIdx.x; n < (int)a.heads_in_all; n += (int)gridDim.x, parity ^= stage, stage ^= 1)
		attend_head<EIGHTS>(a, maps, room, n, stage, parity);
	if (EIGHTS == 8 && threadIdx.x % 32 == 0)
		boxes_read<0>();
}

template <int EIGHTS> int run_swizzled(const ek_attention &a)
{
	using places = swizzled_room<EIGHTS>;
	const cuuint64_t features = (cuuint64_t)a.heads * EIGHTS * 8, rows = a.heads_in_all / a.heads * MOST;
	const cuuint64_t sizes[2] = { 3 * features, rows }, bytes[1] = { 6 * features };
	const cuuint64_t sizes_of_results[2] = { features, rows }, bytes_of_results[1] = { 2 * features };
	const cuuint32_t first[2] = { 64, MOST }, rest[2] = { 8, MOST }, results[2] = { 64, 16 };
	const size_t at_once = (size_t)ek_cuda_processors();
	head_maps maps;
	int rc;

	if (!encode_map(&maps.first, 2, a.qkv.x, sizes, bytes, first, CU_TENSOR_MAP_SWIZZLE_128B) ||
	    !encode_map(&maps.rest, 2, a.qkv.x, sizes, bytes, rest, CU_TENSOR_MAP_SWIZZLE_NONE) ||
	    !encode_map(&maps.results, 2, a.out.x, sizes_of_results, bytes_of_results, results,
	                CU_TENSOR_MAP_SWIZZLE_128B))
		return 0;
	EK_TRY(ek_cuda_check(cudaFuncSetAttribute(attend_swizzled<EIGHTS>, cudaFuncAttributeMaxDynamicSharedMemorySize,
	                                          (int)(places::all * 16)),
	                     "attention"));
	attend_swizzled<EIGHTS><<<(unsigned)(a.heads_in_all < at_once ? a.heads_in_all : at_once), ALL,
	                          places::all * 16, ek_cuda_stream()>>>(a, maps);
	EK_TRY(ek_cuda_launched("attention"));
	rc = 1;
out:
	return rc;
}

/*
 * Backward: a block has a head. Two groups have 128 of its keys each, and the gradients of keys and values, from
 * queries 32 at a time; they leave the slopes of 64 queries in shared memory, from which a third group makes the
 * gradients of queries, while they go on with the next 64: there is room for two such tiles.
 */
constexpr int HALF = 32, BLOCKS = 2; /* queries at a time; sixty-fours of keys of a group */
constexpr int THREADS = 3 * GROUP;
/* Named barriers; two of FULL and EMPTY. */
enum { COPIES = 0, FULL = 1, EMPTY = 3, QUERIES_SUMMED = 5 };

template <int EIGHTS> struct backward_room {
	static constexpr uint32_t keys = matrix<EIGHTS>(EIGHTS), values = 2 * keys, results = 3 * keys,
				  slopes = 4 * keys, tile = matrix<EIGHTS>(ROWS / 8), zeros = slopes + 2 * tile,
				  sums = zeros + EIGHTS % 2 * COLUMN, columns = sums + 2 * MOST * sizeof(float) / 16,
				  all = columns + THREADS / 32 * 2 * EIGHTS * 8 * sizeof(float) / 16 +
	                                SWIZZLED<EIGHTS> * ALIGNED;
};

/*
 * Sums over the columns of dqkv, the gradient of a bias. That of queries is added up. That of keys is 0: what all keys
 * gain changes no share. That of values is the sum of the results' gradients: a query's shares sum to 1.
 */

/* This warp's sums: of queries (0), of values (1). */
template <int EIGHTS> __device__ float *columns_of_warp(uint4 *room, int which)
{
	return (float *)(room + backward_room<EIGHTS>::columns) + ((int)threadIdx.x / 32 * 2 + which) * EIGHTS * 8;
}

__device__ void add_pair(float *to, float a, float b, int add)
{
	float2 *at = (float2 *)to;
	const float2 before = add ? *at : make_float2(0, 0);

	*at = make_float2(before.x + a, before.y + b);
}

/* The sums over the warp's rows of c go, or are added, to `to`. */
template <int EIGHTS> __device__ void sum_columns(float *to, const float (&c)[EIGHTS * 4], int add)
{
	const int quarter = (int)threadIdx.x % 4, bits = (int)threadIdx.x % 32 / 4;
	float x[16];

#pragma unroll
	for (int i = 0; i < 16; i++)
		x[i] = c[i / 2 * 4 + i % 2] + c[i / 2 * 4 + i % 2 + 2];
	ek_halve<16, 16>(x);
	ek_halve<8, 8>(x);
	ek_halve<4, 4>(x);
	add_pair(to + 8 * bits + 2 * quarter, x[0], x[1], add);
	if constexpr (EIGHTS > 8) {
		float a = c[32] + c[34], b = c[33] + c[35];

#pragma unroll
		for (int step = 4; step < 32; step *= 2) {
			a += __shfl_xor_sync(0xffffffffU, a, step);
			b += __shfl_xor_sync(0xffffffffU, b, step);
		}
		if (bits == 0)
			add_pair(to + 64 + 2 * quarter, a, b, add);
	}
}

/* Warps first … first + COUNT - 1's sums of this part, in their order, to those of the image; `thread` has a column. */
template <int EIGHTS, int COUNT>
__device__ void give_columns(const ek_attention &a, const uint4 *room, int part, int first, int thread)
{
	const size_t image = blockIdx.x / a.heads, h = blockIdx.x % a.heads, features = (size_t)a.heads * a.width;
	const float *from =
		(const float *)(room + backward_room<EIGHTS>::columns) + (first * 2 + part / 2) * EIGHTS * 8 + thread;
	float sum = 0;

#pragma unroll
	for (int warp = 0; warp < COUNT; warp++)
		sum += from[warp * 2 * EIGHTS * 8];
	a.columns[(image * 3 + part) * features + h * a.width + thread] = sum;
}

/* Eight lanes a row: what a thread has of results and of their gradients, rows AT_ONCE apart. */
constexpr int AT_ONCE = THREADS / 8;

template <int EIGHTS> struct rows_of_results {
	static constexpr int passes = (MOST + AT_ONCE - 1) / AT_ONCE, chunks = (EIGHTS + 7) / 8;
	uint4 y[passes][chunks], dy[passes][chunks];
};

template <int EIGHTS> __device__ void fetch_results(rows_of_results<EIGHTS> &r, const ek_attention &a)
{
	const int lane = (int)threadIdx.x % 8;
	const size_t features = (size_t)a.heads * a.width,
		     at = ek_attention_result(a, blockIdx.x, (int)threadIdx.x / 8);
	const bf16 *y = (const bf16 *)a.out.x + at + 8 * lane, *dy = (const bf16 *)a.dout.x + at + 8 * lane;

#pragma unroll
	for (int i = 0; i < r.passes; i++)
#pragma unroll
		for (int j = 0; j < r.chunks; j++) {
			r.y[i][j] = r.dy[i][j] = make_uint4(0, 0, 0, 0);
			if ((int)threadIdx.x / 8 + i * AT_ONCE < a.tokens && lane + 8 * j < EIGHTS) {
				r.y[i][j] = *(const uint4 *)(y + i * AT_ONCE * features + 64 * j);
				r.dy[i][j] = *(const uint4 *)(dy + i * AT_ONCE * features + 64 * j);
			}
		}
}

__device__ float dot(uint4 x, uint4 y)
{
	const unsigned xs[4] = { x.x, x.y, x.z, x.w }, ys[4] = { y.x, y.y, y.z, y.w };
	float sum = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		sum += __uint_as_float(xs[i] << 16) * __uint_as_float(ys[i] << 16) +
		       __uint_as_float(xs[i] & 0xffff0000U) * __uint_as_float(ys[i] & 0xffff0000U);
	return sum;
}

/* The rows' log sums in powers of 2, infinite beyond the last token: no share; and gradient · result. */
template <int EIGHTS>
__device__ void take_sums(float *logs, float *deltas, const ek_attention &a, const rows_of_results<EIGHTS> &r)
{
#pragma unroll
	for (int i = 0; i < r.passes; i++) {
		const int token = (int)threadIdx.x / 8 + i * AT_ONCE;
		float delta = 0;

#pragma unroll
		for (int j = 0; j < r.chunks; j++)
			delta += dot(r.y[i][j], r.dy[i][j]);
		for (int step = 1; step < 8; step *= 2)
			delta += __shfl_xor_sync(0xffffffffU, delta, step);
		if (threadIdx.x % 8 == 0 && token < MOST)
			deltas[token] = delta;
	}
	for (int token = (int)threadIdx.x; token < MOST; token += THREADS)
		logs[token] = token < a.tokens ? a.sums[blockIdx.x * (size_t)a.tokens + token] * LOG2E : CUDART_INF_F;
}

/* The sums of the results' gradients over this warp's rows. */
template <int EIGHTS> __device__ void sum_results(float *to, const rows_of_results<EIGHTS> &r)
{
	const int lane = (int)threadIdx.x % 8;

#pragma unroll
	for (int j = 0; j < r.chunks; j++) {
		float x[8] = {};

#pragma unroll
		for (int i = 0; i < r.passes; i++) {
			const unsigned pairs[4] = { r.dy[i][j].x, r.dy[i][j].y, r.dy[i][j].z, r.dy[i][j].w };

#pragma unroll
			for (int k = 0; k < 4; k++) {
				x[2 * k] += __uint_as_float(pairs[k] << 16);
				x[2 * k + 1] += __uint_as_float(pairs[k] & 0xffff0000U);
			}
		}
		ek_halve<8, 16>(x);
		ek_halve<4, 8>(x);
		if (lane + 8 * j < EIGHTS)
			add_pair(to + 8 * (lane + 8 * j) + (int)threadIdx.x % 32 / 8 * 2, x[0], x[1], 0);
	}
}

/* All that was asked for is there, also for products. */
__device__ void take_copies()
{
	await_copies<0>();
	publish();
	barrier_wait(COPIES, THREADS);
}

/* The gradients of queries, from the slopes of all keys. */
template <int EIGHTS> __device__ void give_queries(const ek_attention &a, uint4 *room, int tiles)
{
	using places = backward_room<EIGHTS>;
	const uint32_t start = place(room) / 16;

	if (tiles > 1)
		take_copies();
	for (int t = 0; t < tiles; t++) {
		const uint32_t slopes = start + places::slopes + t % 2 * places::tile, keys = start + places::keys;
		float c[EIGHTS * 4];

		barrier_wait(FULL + t % 2, THREADS);
		begin();
		multiply<EIGHTS, 1, 1>(c, rows_of<EIGHTS>(slopes, 0), rows_of<EIGHTS>(keys, 0), 0);
#pragma unroll 1
		for (int k = 0; k < tiles; k++)
#pragma unroll
			for (int i = 0; i < ROWS / 16; i++)
				if (k + i > 0)
					multiply<EIGHTS, 1, 1>(c, rows_of<EIGHTS>(slopes + apart<EIGHTS>(k * ROWS), i),
					                       rows_of<EIGHTS>(keys + apart<EIGHTS>(k * ROWS), i), 1);
		commit();
		settle<0>(c);
		if (t + 2 < tiles)
			barrier_arrive(EMPTY + t % 2, THREADS);
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const int token = t * ROWS + row_of(half);

			write_row<EIGHTS>((bf16 *)a.dqkv.x + ek_attention_part(a, blockIdx.x, token, 0), c, half, 1,
			                  token < a.tokens);
		}
		if (a.columns != NULL)
			sum_columns<EIGHTS>(columns_of_warp<EIGHTS>(room, 0), c, t > 0);
		if (a.columns != NULL && t + 1 == tiles) {
			barrier_wait(QUERIES_SUMMED, GROUP);
			give_columns<EIGHTS, 4>(a, room, 0, 8, (int)threadIdx.x % (EIGHTS * 8));
		}
	}
}

/* share [64 keys, 32 queries] from scores, in powers of 2; own: number of the first key. */
__device__ void take_shares(float (&share)[HALF / 2], const float *logs, float scale, int own, int tokens)
{
	const int quarter = (int)threadIdx.x % 4;

#pragma unroll
	for (int n = 0; n < HALF / 8; n++) {
		const float2 log = *(const float2 *)(logs + 8 * n + 2 * quarter);

#pragma unroll
		for (int i = 0; i < 4; i++)
			share[4 * n + i] = ek_power_of_2(share[4 * n + i] * scale - (i % 2 > 0 ? log.y : log.x));
	}
	if (own + ROWS > tokens)
#pragma unroll
		for (int i = 0; i < HALF / 2; i++)
			if (own + row_of(i % 4 / 2) >= tokens)
				share[i] = 0;
}

__device__ void take_slopes(float (&slope)[HALF / 2], const float (&share)[HALF / 2], const float *deltas, float scale)
{
	const int quarter = (int)threadIdx.x % 4;

#pragma unroll
	for (int n = 0; n < HALF / 8; n++) {
		const float2 delta = *(const float2 *)(deltas + 8 * n + 2 * quarter);

#pragma unroll
		for (int i = 0; i < 4; i++)
			slope[4 * n + i] =
				share[4 * n + i] * (slope[4 * n + i] - (i % 2 > 0 ? delta.y : delta.x)) * scale;
	}
}

/* 64 keys, their rows from sixteen `keys` on, times 32 queries, from sixteen `queries` on. */
template <int EIGHTS>
__device__ void add_keys(float (&dkeys)[EIGHTS * 4], float (&dvalues)[EIGHTS * 4], const ek_attention &a, uint4 *room,
                         int own, int first)
{
	using places = backward_room<EIGHTS>;
	const uint32_t start = place(room) / 16, keys = start + apart<EIGHTS>(own),
		       queries = start + apart<EIGHTS>(first);
	const float *logs = (const float *)(room + places::sums) + first;
	uint32_t *slopes = (uint32_t *)(room + places::slopes + first / ROWS % 2 * places::tile +
	                                (SWIZZLED<EIGHTS> ? 0 : first % ROWS / 8 * COLUMN + own));
	float share[HALF / 2], slope[HALF / 2];
	unsigned shares[HALF / 16][4], packed[HALF / 16][4];

	begin();
	score_back<EIGHTS, HALF / 8, places::keys, 0, places::zeros>(share, keys, queries);
	commit();
	score_back<EIGHTS, HALF / 8, places::values, places::results, places::zeros>(slope, keys, queries);
	commit();
	settle<1>(share);
	take_shares(share, logs, a.scale * LOG2E, own, a.tokens);
	pack(shares, share);
	begin();
	add_rows_back<EIGHTS>(dvalues, shares, queries + places::results);
	commit();
	settle<1>(slope);
	take_slopes(slope, share, logs + MOST, a.scale);
	pack(packed, slope);
#pragma unroll
	for (int n = 0; n < HALF / 8; n++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const uint32_t word =
				SWIZZLED<EIGHTS> ? sixteen_of<EIGHTS>(own + row_of(half), first % ROWS / 8 + n) * 4 +
							   threadIdx.x % 4
						 : (n * COLUMN + row_of(half)) * 4 + (int)threadIdx.x % 4;

			slopes[word] = packed[n / 2][n % 2 * 2 + half];
		}
	begin();
	add_rows_back<EIGHTS>(dkeys, packed, queries);
	commit();
	settle<0>(dkeys);
	settle<0>(dvalues);
}

template <int EIGHTS> __device__ void give_keys(const ek_attention &a, uint4 *room, int tiles, int group)
{
	float dkeys[BLOCKS][EIGHTS * 4] = {}, dvalues[BLOCKS][EIGHTS * 4] = {};

	for (int t = 0; t < tiles; t++) {
		if (t == 1)
			take_copies();
		if (t >= 2)
			barrier_wait(EMPTY + t % 2, THREADS);
#pragma unroll 1
		for (int first = t * ROWS; first < (t + 1) * ROWS; first += HALF)
#pragma unroll
			for (int i = 0; i < BLOCKS; i++)
				if (group * BLOCKS + i < tiles)
					add_keys<EIGHTS>(dkeys[i], dvalues[i], a, room, (group * BLOCKS + i) * ROWS,
					                 first);
		publish();
		barrier_arrive(FULL + t % 2, THREADS);
	}
#pragma unroll
	for (int i = 0; i < BLOCKS; i++)
#pragma unroll
		for (int half = 0; half < 2; half++) {
			const int token = (group * BLOCKS + i) * ROWS + row_of(half);
			bf16 *to = (bf16 *)a.dqkv.x + ek_attention_part(a, blockIdx.x, token, 1);

			write_row<EIGHTS>(to, dkeys[i], half, 1, token < a.tokens);
			write_row<EIGHTS>(to + a.heads * a.width, dvalues[i], half, 1, token < a.tokens);
		}
}

template <int EIGHTS> __global__ void __launch_bounds__(THREADS, 1) attend_back(ek_attention a)
{
	using places = backward_room<EIGHTS>;
	extern __shared__ uint4 unaligned[];
	uint4 *room = SWIZZLED<EIGHTS> ? aligned(unaligned) : unaligned;
	const int tiles = (a.tokens + ROWS - 1) / ROWS, rows = tiles * ROWS, group = group_of_thread();
	const size_t features = (size_t)a.heads * a.width, row = 3 * features;
	const bf16 *qkv = (const bf16 *)a.qkv.x + ek_attention_part(a, blockIdx.x, 0, 0);
	const bf16 *dout = (const bf16 *)a.dout.x + ek_attention_result(a, blockIdx.x, 0);
	const uint32_t start = place(room) / 16;
	const int thread = (int)threadIdx.x;
	float *logs = (float *)(room + places::sums);
	rows_of_results<EIGHTS> results;

	fetch_results<EIGHTS>(results, a);
	bring<EIGHTS, THREADS>(start + places::keys, qkv + features, row, 0, rows, a.tokens, thread);
	bring<EIGHTS, THREADS>(start, qkv, row, 0, ROWS, a.tokens, thread);
	bring<EIGHTS, THREADS>(start + places::values, qkv + 2 * features, row, 0, rows, a.tokens, thread);
	bring<EIGHTS, THREADS>(start + places::results, dout, features, 0, ROWS, a.tokens, thread);
	close_copies();
	bring<EIGHTS, THREADS>(start, qkv, row, ROWS, rows - ROWS, a.tokens, thread);
	bring<EIGHTS, THREADS>(start + places::results, dout, features, ROWS, rows - ROWS, a.tokens, thread);
	close_copies();
	if (EIGHTS % 2 > 0)
		clear(room + places::zeros, COLUMN);
	take_sums<EIGHTS>(logs, logs + MOST, a, results);
	if (a.columns != NULL)
		sum_results<EIGHTS>(columns_of_warp<EIGHTS>(room, 1), results);
	await_copies<1>();
	publish();
	__syncthreads();
	if (a.columns != NULL) {
		give_columns<EIGHTS, THREADS / 32>(a, room, 2, 0, (int)threadIdx.x % (EIGHTS * 8));
		give_columns<EIGHTS, 0>(a, room, 1, 0, (int)threadIdx.x % (EIGHTS * 8));
	}
	if (group == 2) {
		asm volatile("setmaxnreg.dec.sync.aligned.u32 72;");
		give_queries<EIGHTS>(a, room, tiles);
	} else {
		asm volatile("setmaxnreg.inc.sync.aligned.u32 216;");
		give_keys<EIGHTS>(a, room, tiles, group);
	}
}

int launch(void (*kernel)(ek_attention), const ek_attention &a, size_t blocks, int threads, size_t room)
{
	int rc;

	EK_TRY(ek_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)room),
	                     "attention"));
	kernel<<<(unsigned)blocks, (unsigned)threads, room, ek_cuda_stream()>>>(a);
	EK_TRY(ek_cuda_launched("attention"));
	rc = 1;
out:
	return rc;
}

template <int EIGHTS> int run(const ek_attention &a, int back)
{
	const size_t blocks = a.heads_in_all * (size_t)((a.tokens + QUERIES - 1) / QUERIES);

	const size_t at_once = (size_t)ek_cuda_processors(),
		     heads = a.heads_in_all < at_once ? a.heads_in_all : at_once;

	if (a.tokens > MOST) {
		if constexpr (EIGHTS == 8)
			if (!back)
				return launch(attend_larger<EIGHTS>, a, heads, ALL + 32, larger_room<EIGHTS>::all * 16);
		return 0;
	}
	if (!back && a.tokens == MOST) {
		const int done = run_swizzled<EIGHTS>(a);

		if (done != 0)
			return done;
	}
	if (back)
		return launch(attend_back<EIGHTS>, a, a.heads_in_all, THREADS, backward_room<EIGHTS>::all * 16);
	if (a.tokens > QUERIES)
		return launch(attend_heads<EIGHTS>, a, heads, ALL, resident_room<EIGHTS>::all * 16);
	return launch(attend<EIGHTS>, a, blocks, 2 * GROUP, forward_room<EIGHTS>::all * 16);
}

} // namespace

int ek_cuda_attention_hopper(const ek_attention &a, int back)
{
	static int major;

	if (major == 0) {
		int device = 0;

		ek_cuda_note(cudaGetDevice(&device));
		ek_cuda_note(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
	}
	if (major != 9 || a.tokens > MOST + REST)
		return 0;
	return a.width == 64 ? run<8>(a, back) : a.width == 72 ? run<9>(a, back) : 0;
}
