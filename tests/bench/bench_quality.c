/*
 * The Fréchet term between two files of moments.
 *
 *	bench_quality A.npz B.npz [ROUNDS]
 *
 * One line: name, seconds, seconds of processors (medians, a warm-up left out), share of what products of that size
 *reach in the same run (the term needs 4 d^3 operations: two Cholesky factors, their product, its square, its
 *tridiagonal form), the distance. tests/bench/bench_quality.py runs torch-fidelity's and pytorch-fid's beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "analysis/quality/block.h"
#include "analysis/quality/gaussian.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "tests/bench/clock.h"

enum { MOST_ROUNDS = 99 };

static int bench(const char *const path[2], int rounds)
{
	double ours[MOST_ROUNDS], used[MOST_ROUNDS], limit[MOST_ROUNDS], value = 0, *out = NULL;
	struct ek_gaussian a = { 0 }, b = { 0 };
	int rc;

	EK_TRY(ek_gaussian_load(&a, path[0]));
	EK_TRY(ek_gaussian_load(&b, path[1]));
	EK_TRY(ek_alloc_aligned(&out, a.d * a.d, sizeof *out));
	EK_TRY(ek_frechet(&value, &a, &b));
	for (int i = 0; i < rounds; i++) {
		const double start = ek_clock(), used_before = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID);

		EK_TRY(ek_frechet(&value, &a, &b));
		ours[i] = ek_clock() - start;
		used[i] = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID) - used_before;
		EK_TRY(ek_block_multiply(out, a.covariance, a.d, b.covariance, a.d, a.d, 0));
		limit[i] = ek_clock() - start - ours[i];
	}
	qsort(ours, (size_t)rounds, sizeof *ours, ek_compare_doubles);
	qsort(used, (size_t)rounds, sizeof *used, ek_compare_doubles);
	qsort(limit, (size_t)rounds, sizeof *limit, ek_compare_doubles);
	printf("frechet, %zu dimensions: %.3f s, %.3f s of processors, %.2f of the rate of products, distance %.17g\n",
	       a.d, ours[rounds / 2], used[rounds / 2], 2 * limit[rounds / 2] / ours[rounds / 2], value);
out:
	ek_gaussian_release(&a);
	ek_gaussian_release(&b);
	free(out);
	return rc;
}

int main(int argc, char **argv)
{
	const int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;

	if (argc < 3 || rounds < 1 || rounds > MOST_ROUNDS) {
		(void)fprintf(stderr, "usage: bench_quality A.npz B.npz [ROUNDS]\n");
		return 2;
	}
	if (bench((const char *const[]){ argv[1], argv[2] }, rounds) < 0) {
		(void)fprintf(stderr, "%s\n", ek_error_message());
		return 1;
	}
	return 0;
}
