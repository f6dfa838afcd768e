/*
 * Matrix products of matmul.h on all threads, against the rate of multiply-adds on registers alone,
 * measured in the same run. One line each: name, GFLOP/s, share of that limit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/bench/peak.h"
#include "train/nn/bf16.h"
#include "train/nn/device.h"
#include "train/nn/matmul.h"

struct product {
	const struct ek_nn_matmul *plan;
	const void *a, *packed;
	float **out;
	void **scratch;
};

static int run_tile(void *context, uint64_t i, int worker)
{
	const struct product *p = context;

	(void)i;
	return ek_nn_matmul_run(p->plan, p->out[worker], p->a, p->packed, p->scratch[worker]);
}

static int measure(size_t m, size_t n, size_t k, enum ek_nn_type type, double limit)
{
	const int threads = ek_threads();
	const uint64_t tiles = 1 + (uint64_t)(2e11 / (2.0 * (double)m * (double)n * (double)k));
	struct ek_nn_matmul *plan = NULL;
	void *a = NULL, *b = NULL, *packed = NULL;
	float **out = NULL, *values = NULL;
	void **scratch = NULL;
	double best = 0;
	int rc;

	EK_TRY(ek_nn_matmul_new(&plan, m, n, k, type));
	EK_TRY(ek_alloc(&values, (m > n ? m : n) * k, sizeof *values));
	for (size_t i = 0; i < (m > n ? m : n) * k; i++)
		values[i] = (float)ek_random_normal(1, 1, i);
	EK_TRY(ek_alloc_aligned(&a, m * k, ek_nn_type_size(type)));
	EK_TRY(ek_alloc_aligned(&b, n * k, ek_nn_type_size(type)));
	if (type == EK_NN_BFLOAT16) {
		ek_bf16_from_float(a, values, m * k);
		ek_bf16_from_float(b, values, n * k);
	} else {
		memcpy(a, values, m * k * sizeof *values);
		memcpy(b, values, n * k * sizeof *values);
	}
	EK_TRY(ek_alloc_aligned(&packed, 1, ek_nn_matmul_packed_size(plan)));
	EK_TRY(ek_alloc(&out, (size_t)threads, sizeof *out));
	EK_TRY(ek_alloc(&scratch, (size_t)threads, sizeof *scratch));
	for (int i = 0; i < threads; i++) {
		EK_TRY(ek_alloc_aligned(&out[i], m * n, sizeof **out));
		EK_TRY(ek_alloc_aligned(&scratch[i], 1, ek_nn_matmul_scratch_size(plan)));
	}
	EK_TRY(ek_nn_matmul_pack(plan, packed, b, scratch[0]));
	for (int round = 0; round < 4; round++) {
		struct product p = { plan, a, packed, out, scratch };
		const double start = ek_clock();
		double rate;

		EK_TRY(ek_parallel(tiles, run_tile, &p));
		rate = 2.0 * (double)(m * n) * (double)(k * tiles) / (ek_clock() - start) / 1e9;
		best = rate > best ? rate : best;
	}
	printf("matmul %s %zu x %zu x %zu: %.0f GFLOP/s, %.2f of the limit\n", type == EK_NN_BFLOAT16 ? "bf16" : "f32",
	       m, n, k, best, limit > 0 ? best / limit : 0);
out:
	for (int i = 0; i < threads; i++) {
		free(out != NULL ? out[i] : NULL);
		free(scratch != NULL ? scratch[i] : NULL);
	}
	free(out);
	free(scratch);
	free(values);
	free(a);
	free(b);
	free(packed);
	ek_nn_matmul_free(plan);
	return rc;
}

int main(void)
{
	static const size_t shapes[][3] = { { 256, 1000, 384 },  { 512, 1000, 384 },   { 256, 24, 1280 },
		                            { 1024, 1000, 768 }, { 256, 10000, 1024 }, { 2048, 2048, 2048 } };

	for (enum ek_nn_type type = EK_NN_FLOAT32; type <= ek_nn_precision_type(EK_NN_AUTO); type++) {
		const double limit = ek_bench_peak(type);

		printf("limit %s: %.0f GFLOP/s on %d threads\n", type == EK_NN_BFLOAT16 ? "bf16" : "f32", limit,
		       ek_threads());
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			if (measure(shapes[i][0], shapes[i][1], shapes[i][2], type, limit) < 0) {
				fprintf(stderr, "bench_matmul: %s\n", ek_error_message());
				return 1;
			}
	}
	return 0;
}
