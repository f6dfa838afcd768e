/*
 * Near-duplicates of made rows, by the processor or, where rows are enough, a GPU:
 *
 *	bench_near [n d kind near_only [cuda]]
 *
 * kind: random (directions), alike (all with cosines of 0.99 to 1), groups (a hundred of those), same (one row n
 * times). One line: that, seconds, pairs at the smallest and at the largest eps, and a hash of all results, which says
 * whether two programs find the same.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/duplicates.h"
#include "analysis/cluster/near.h"
#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "tests/bench/clock.h"
#include "train/nn/cuda.h"
#include "train/nn/device.h"
#include "train/nn/rows.h"

struct rows {
	float *x;
	size_t d;
	uint64_t groups; /* 0: directions of their own */
	double noise;
};

static int make_row(void *context, uint64_t i, int worker)
{
	const struct rows *r = context;
	const double noise = r->noise * ek_random_double(3, 0, i) / sqrt((double)r->d);
	float *x = r->x + i * r->d;

	(void)worker;
	for (size_t j = 0; j < r->d; j++) {
		if (r->groups == 0)
			x[j] = (float)ek_random_normal(1, i, j);
		else
			x[j] = (float)(ek_random_normal(2, i * 7919 % r->groups, j) / sqrt((double)r->d) +
			               noise * ek_random_normal(1, i, j));
	}
	return 0;
}

static int hash(uint64_t *out, const struct ek_near *near)
{
	const size_t n = near->n, all = n * near->eps_count;
	struct ek_hash64 *of = NULL;
	int rc;

	EK_TRY(ek_hash64_new(&of));
	ek_hash64_add(of, near->similarity, n * sizeof *near->similarity);
	ek_hash64_add(of, near->partner, n * sizeof *near->partner);
	ek_hash64_add(of, near->eps, sizeof near->eps);
	ek_hash64_add(of, near->kept, n * sizeof *near->kept);
	ek_hash64_add(of, near->component, all * sizeof *near->component);
	ek_hash64_add(of, near->weakest, all * sizeof *near->weakest);
	*out = ek_hash64_so_far(of);
out:
	ek_hash64_free(of);
	return rc;
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = { "random", "alike", "groups", "same", NULL };
	static const double noises[] = { 0, 0.1, 0.1, 0 };
	static const uint64_t groups[] = { 0, 1, 100, 1 };
	const uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 25000;
	const size_t d = argc > 2 ? strtoull(argv[2], NULL, 10) : 1280;
	const char *name = argc > 3 ? argv[3] : "alike";
	const int near_only = argc > 4 && strcmp(argv[4], "1") == 0;
	const uint64_t segments[] = { 0, n };
	struct rows made = { .d = d };
	struct ek_near near = { 0 };
	const struct ek_device *gpu;
	struct timespec from, to;
	struct ek_npy array;
	struct ek_rows rows;
	size_t eps_count = 0;
	uint32_t *order = NULL;
	uint64_t digest = 0;
	double processors;
	int kind = 0, rc;

	while (kinds[kind] != NULL && strcmp(kinds[kind], name) != 0)
		kind++;
	if (kinds[kind] == NULL || n == 0 || d == 0)
		return fprintf(stderr, "bench_near [n d random|alike|groups|same near_only [cuda]]\n"), 1;
	while (ek_duplicates_eps[eps_count] > 0)
		eps_count++;
	made.groups = groups[kind];
	made.noise = noises[kind];
	EK_TRY(ek_alloc(&made.x, n * d, sizeof *made.x));
	EK_TRY(ek_alloc(&order, n, sizeof *order));
	EK_TRY(ek_parallel(n, make_row, &made));
	for (uint64_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	if (argc > 5) {
		EK_TRY(ek_cuda_choose(&gpu, 0));
		ek_nn_rows_choose(1);
	}
	array = ek_rows_memory(made.x, n, d);
	EK_TRY(ek_rows_of(&rows, &array, 1));
	processors = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID);
	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	EK_TRY(ek_near_find(&near, &rows, order, segments, 1, ek_duplicates_eps, eps_count, near_only));
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	processors = ek_bench_clock(CLOCK_PROCESS_CPUTIME_ID) - processors;
	EK_TRY(hash(&digest, &near));
	printf("%s %llu x %zu, near_only %d, %d threads%s: %.2f s, %.2f of processors; pairs %llu to %llu; results "
	       "%016llx\n",
	       name, (unsigned long long)n, d, near_only, ek_threads(), argc > 5 ? " and a GPU" : "",
	       (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec), processors,
	       (unsigned long long)near.eps[0].pairs, (unsigned long long)near.eps[eps_count - 1].pairs,
	       (unsigned long long)digest);
out:
	if (rc < 0)
		fprintf(stderr, "%s\n", ek_error_message());
	ek_near_release(&near);
	free(made.x);
	free(order);
	return rc < 0;
}
