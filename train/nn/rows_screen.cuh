// What the two screens of rows_cuda.h, with mma.sync and with wgmma, share: a thread's part of a product, 16 rows by
// EK_ROWS_COLUMNS a warp, as both instructions leave it, and what becomes of it.
#ifndef EK_NN_ROWS_SCREEN_CUH
#define EK_NN_ROWS_SCREEN_CUH

#include <math_constants.h>

#include "train/nn/rows_cuda.h"

// Row lane / 4 has d[4 i], d[4 i + 1] in the columns 8 i + 2 (lane % 4) and the next; the row 8 below has the others.
constexpr int EK_ROWS_PART = EK_ROWS_COLUMNS / 2;

// Of the two rows of a thread.
struct ek_rows_pair {
	int row; // the upper one, from the first of the screen
	float limit[2], reach[2], factor[2];
};

template <ek_rows_mode MODE> __device__ ek_rows_pair ek_rows_pair_of(const ek_rows_screen &s, int row)
{
	ek_rows_pair p = { row };

	for (int i = 0; i < 2 && MODE != EK_ROWS_LEAST; i++) {
		p.limit[i] = s.limit[row + 8 * i];
		p.reach[i] = MODE == EK_ROWS_LIST_BALLS ? s.reach[row + 8 * i] : 0;
		p.factor[i] = MODE == EK_ROWS_LIST_BALLS ? s.factor[row + 8 * i] : 0;
	}
	return p;
}

__device__ inline void ek_rows_found(const ek_rows_screen &s, int row, int column)
{
	const uint32_t place = atomicAdd(&s.count[row], 1U);

	if (place < s.capacity)
		s.table[(uint64_t)row * s.capacity + place] = (uint32_t)column;
}

// The product with the columns from `first` on.
template <ek_rows_mode MODE, bool SELF>
__device__ void ek_rows_take(const ek_rows_screen &s, const ek_rows_pair &p, float (&d)[EK_ROWS_PART], int first)
{
	const int lane = threadIdx.x % 32, mine = first + 2 * (lane % 4);
	float least[2] = { CUDART_INF_F, CUDART_INF_F };

#pragma unroll
	for (int i = 0; i < EK_ROWS_COLUMNS / 8; i++) {
		const int column = mine + 8 * i;
		const float2 h = __ldg((const float2 *)(s.h + column));
		float2 weight = {}, ball = {};

		if (MODE == EK_ROWS_LIST_BALLS || MODE == EK_ROWS_LEAST_RATIO)
			weight = __ldg((const float2 *)(s.weight + column));
		if (MODE == EK_ROWS_LIST_BALLS)
			ball = __ldg((const float2 *)(s.ball + column));
#pragma unroll
		for (int j = 0; j < 4; j++) {
			const int r = j / 2;
			const float w = j % 2 == 0 ? weight.x : weight.y;
			float v = fmaf(-2, d[4 * i + j], j % 2 == 0 ? h.x : h.y);

			if (MODE == EK_ROWS_LIST_BALLS)
				v -= fmaxf(fmaxf(j % 2 == 0 ? ball.x : ball.y, p.reach[r]), p.factor[r] * w);
			if (MODE == EK_ROWS_LEAST_RATIO)
				v = w > 0 ? __fdividef(fmaxf(v + p.limit[r], 0), w) : CUDART_INF_F;
			if (SELF && column + j % 2 == s.diagonal + p.row + 8 * r)
				v = CUDART_INF_F;
			d[4 * i + j] = v;
			least[r] = fminf(least[r], v);
		}
	}
	if (MODE == EK_ROWS_LEAST || MODE == EK_ROWS_LEAST_RATIO) {
		const int group = s.group_first + first / EK_ROWS_GROUP + lane % 4;

		for (int r = 0; r < 2; r++)
			s.least[(uint64_t)(p.row + 8 * r) * s.groups + group] = least[r];
		return;
	}
	if (!(least[0] <= p.limit[0]) && !(least[1] <= p.limit[1]))
		return;
#pragma unroll
	for (int i = 0; i < EK_ROWS_PART; i++)
		if (d[i] <= p.limit[i % 4 / 2])
			ek_rows_found(s, p.row + i % 4 / 2 * 8, mine + 8 * (i / 4) + i % 2);
}

// A screen's work: row tiles by parts of the columns.
struct ek_rows_item {
	int tile, begin, end; // of columns
};

__device__ inline ek_rows_item ek_rows_item_of(const ek_rows_screen &s, int item)
{
	const int each = (s.column_tiles + s.splits - 1) / s.splits, part = item % s.splits;
	const int end = (part + 1) * each;

	return { item / s.splits, part * each, end < s.column_tiles ? end : s.column_tiles };
}

// KERNEL<MODE, SELF> of what a screen asks for.
#define EK_ROWS_KERNEL(out, KERNEL, s)                                                                                 \
	do {                                                                                                           \
		const bool self = (s)->diagonal != INT64_MIN;                                                          \
                                                                                                                       \
		switch ((s)->mode) {                                                                                   \
		case EK_ROWS_LIST:                                                                                     \
			(out) = self ? KERNEL<EK_ROWS_LIST, true> : KERNEL<EK_ROWS_LIST, false>;                       \
			break;                                                                                         \
		case EK_ROWS_LIST_BALLS:                                                                               \
			(out) = KERNEL<EK_ROWS_LIST_BALLS, false>;                                                     \
			break;                                                                                         \
		case EK_ROWS_LEAST:                                                                                    \
			(out) = self ? KERNEL<EK_ROWS_LEAST, true> : KERNEL<EK_ROWS_LEAST, false>;                     \
			break;                                                                                         \
		case EK_ROWS_LEAST_RATIO:                                                                              \
			(out) = KERNEL<EK_ROWS_LEAST_RATIO, false>;                                                    \
			break;                                                                                         \
		}                                                                                                      \
	} while (0)

#endif
