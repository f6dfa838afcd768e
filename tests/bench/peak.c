#include "tests/bench/peak.h"

#include "rebalance/base/threads.h"
#include "tests/bench/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { CHAINS = 16, PEAK_STEPS = 1 << 22 };

static volatile float sink;

__attribute__((target("avx512f"))) static int peak_f32(void *context, uint64_t piece, int worker)
{
	__m512 sum[CHAINS];
	const __m512 x = _mm512_set1_ps(1.0001F);

	(void)context;
	(void)piece;
	(void)worker;
	for (int i = 0; i < CHAINS; i++)
		sum[i] = _mm512_set1_ps((float)i);
	for (int step = 0; step < PEAK_STEPS; step++)
		for (int i = 0; i < CHAINS; i++)
			sum[i] = _mm512_fmadd_ps(sum[i], x, x);
	for (int i = 1; i < CHAINS; i++)
		sum[0] = _mm512_add_ps(sum[0], sum[i]);
	sink = _mm512_reduce_add_ps(sum[0]);
	return 0;
}

__attribute__((target("avx512bf16,avx512f"))) static int peak_bf16(void *context, uint64_t piece, int worker)
{
	__m512 sum[CHAINS];
	const __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1), _mm512_set1_ps(1));

	(void)context;
	(void)piece;
	(void)worker;
	for (int i = 0; i < CHAINS; i++)
		sum[i] = _mm512_set1_ps((float)i);
	for (int step = 0; step < PEAK_STEPS; step++)
		for (int i = 0; i < CHAINS; i++)
			sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
	for (int i = 1; i < CHAINS; i++)
		sum[0] = _mm512_add_ps(sum[0], sum[i]);
	sink = _mm512_reduce_add_ps(sum[0]);
	return 0;
}

#endif

double ek_bench_peak(enum ek_nn_type type)
{
	double best = 0;

#if defined(__x86_64__)
	const int bf16 = type == EK_NN_BFLOAT16;

	if (bf16 ? !__builtin_cpu_supports("avx512bf16") : !__builtin_cpu_supports("avx512f"))
		return 0;
	for (int round = 0; round < 5; round++) {
		const double start = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID),
			     flops = (bf16 ? 64.0 : 32.0) * CHAINS * PEAK_STEPS;
		const int count = ek_threads();
		double rate;

		(void)ek_parallel((uint64_t)count, bf16 ? peak_bf16 : peak_f32, NULL);
		rate = flops * count * count / (ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID) - start) / 1e9;
		best = rate > best ? rate : best;
	}
#else
	(void)type;
#endif
	return best;
}
