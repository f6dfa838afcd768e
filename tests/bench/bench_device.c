/*
 * What is no network on a GPU: an iteration of k-means over 1,281,167 x 768, as the embeddings of ImageNet by a
 *ViT-B/16 are, and what an evaluation of 50,000 x 50,000 x 2,048 takes.
 *
 *	bench_device kmeans [K …] | evaluate [N]
 *
 * A line each: name, milliseconds. tests/bench/device_rival.py measures PyTorch's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/nearest.h"
#include "analysis/quality/gaussian.h"
#include "analysis/quality/kernel.h"
#include "analysis/quality/neighbours.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/nn/cuda.h"
#include "train/nn/rows.h"

enum { KINDS = 300, DIRECTIONS = 40, PIECE = 1024, ITERATIONS = 12 };

#define CHECK(call)                                                                                                    \
	do {                                                                                                           \
		if ((call) < 0) {                                                                                      \
			(void)fprintf(stderr, "%s: %s\n", #call, ek_error_message());                                  \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

struct made {
	float *x, *base;
	uint64_t n, seed;
	size_t d;
};

/* Features of kinds of unequal size with some directions of variation, as embeddings of images have. */
static int make_piece(void *context, uint64_t piece, int worker)
{
	const struct made *m = context;
	const uint64_t end = (piece + 1) * PIECE < m->n ? (piece + 1) * PIECE : m->n;

	(void)worker;
	for (uint64_t i = piece * PIECE; i < end; i++) {
		const double u = ek_random_double(m->seed, 2, i);
		const uint64_t kind = (uint64_t)(KINDS * u * u);
		float *row = m->x + i * m->d;

		for (size_t j = 0; j < m->d; j++)
			row[j] = 0.6F * (float)ek_random_double(m->seed, 5, i * m->d + j) - 0.3F;
		for (size_t r = 0; r < DIRECTIONS; r++) {
			const float factor = (float)(ek_random_normal(3, kind, r) +
			                             0.7 * ek_random_normal(m->seed, 4, i * DIRECTIONS + r)) /
			                     6.3F;

			for (size_t j = 0; j < m->d; j++)
				row[j] += factor * m->base[r * m->d + j];
		}
	}
	return 0;
}

static float *make(uint64_t n, size_t d, uint64_t seed)
{
	struct made m = { malloc(n * d * sizeof(float)), malloc(DIRECTIONS * d * sizeof(float)), n, seed, d };

	if (m.x == NULL || m.base == NULL)
		exit(1);
	for (size_t i = 0; i < DIRECTIONS * d; i++)
		m.base[i] = (float)ek_random_normal(1, 0, i);
	CHECK(ek_parallel((n + PIECE - 1) / PIECE, make_piece, &m));
	free(m.base);
	return m.x;
}

static void time_kmeans(const struct ek_rows *rows, const double *mean, uint32_t k)
{
	const uint64_t n = rows->count;
	struct ek_nearest_state state = { .assignment = malloc(n * sizeof(int32_t)),
		                          .distance2 = malloc(n * sizeof(double)) };
	double times[ITERATIONS], begin, sum = 0;
	struct ek_nearest *finder;
	const double *distance2;
	uint64_t changed;

	for (uint64_t i = 0; i < n; i++) {
		state.assignment[i] = -1;
		state.distance2[i] = (double)INFINITY;
	}
	begin = ek_clock();
	CHECK(ek_nearest_new(&finder, rows, mean, EK_SCREEN_DEVICE));
	CHECK(ek_nearest_search(finder, &state, rows->array->data, k, 0, NULL));
	(void)printf("k-means K %u: rows to the GPU and first search %.0f ms\n", k, 1e3 * (ek_clock() - begin));
	CHECK(ek_nn_rows_begin(ek_nearest_device(finder), state.assignment, state.distance2, rows->array->data, k));
	for (int i = 0; i < ITERATIONS; i++) {
		begin = ek_clock();
		CHECK(ek_nn_rows_move(ek_nearest_device(finder), 0));
		CHECK(ek_nn_rows_search(ek_nearest_device(finder), &distance2, &changed));
		for (uint64_t j = 0; j < n; j++)
			sum += distance2[j];
		times[i] = ek_clock() - begin;
		(void)printf("%s%.2f", i == 0 ? "  ms: " : " ", 1e3 * times[i]);
	}
	qsort(times + 2, ITERATIONS - 2, sizeof *times, ek_compare_doubles);
	(void)printf("\nk-means K %u: an iteration %.2f ms (changed %llu, sum %.6g)\n", k,
	             1e3 * times[ITERATIONS / 2 + 1], (unsigned long long)changed, sum);
	ek_nearest_free(finder);
	free(state.assignment);
	free(state.distance2);
}

static void bench_kmeans(int argc, char **argv)
{
	const uint64_t n = 1281167;
	const size_t d = 768;
	float *x = make(n, d, 11);
	const struct ek_npy array = ek_rows_memory(x, n, d);
	double *mean = malloc(d * sizeof *mean);
	struct ek_rows rows;

	CHECK(ek_rows_of(&rows, &array, 0));
	CHECK(ek_rows_mean(mean, &rows));
	time_kmeans(&rows, mean, 1000);
	for (int i = 0; i < argc; i++)
		time_kmeans(&rows, mean, (uint32_t)strtoul(argv[i], NULL, 10));
	free(x);
	free(mean);
}

static void time_evaluate(const struct ek_rows *a, const struct ek_rows *b, const char *where)
{
	const struct ek_kid_options kid = EK_KID_DEFAULT;
	struct ek_gaussian x, y;
	struct ek_fidelity f;
	struct ek_kid k;
	double distance, begin = ek_clock();

	CHECK(ek_fidelity(&f, a, b, 5, 0));
	(void)printf("%s: neighbours %.0f ms (precision %.6f recall %.6f density %.6f coverage %.6f)\n", where,
	             1e3 * (ek_clock() - begin), f.precision, f.recall, f.density, f.coverage);
	begin = ek_clock();
	CHECK(ek_gaussian_of(&x, a));
	CHECK(ek_gaussian_of(&y, b));
	(void)printf("%s: covariances %.0f ms\n", where, 1e3 * (ek_clock() - begin));
	begin = ek_clock();
	CHECK(ek_frechet(&distance, &x, &y));
	(void)printf("%s: Frechet distance %.0f ms (%.12g)\n", where, 1e3 * (ek_clock() - begin), distance);
	begin = ek_clock();
	CHECK(ek_kid(&k, a, b, &kid));
	(void)printf("%s: kernel distance %.0f ms (%.12g)\n", where, 1e3 * (ek_clock() - begin), k.mean);
	ek_fidelity_release(&f);
	ek_gaussian_release(&x);
	ek_gaussian_release(&y);
}

static void bench_evaluate(uint64_t n)
{
	const size_t d = 2048;
	float *x = make(n, d, 21), *y = make(n, d, 22);
	const struct ek_npy arrays[] = { ek_rows_memory(x, n, d), ek_rows_memory(y, n, d) };
	struct ek_rows a, b;

	CHECK(ek_rows_of(&a, &arrays[0], 0));
	CHECK(ek_rows_of(&b, &arrays[1], 0));
	time_evaluate(&a, &b, "GPU, first time");
	time_evaluate(&a, &b, "GPU");
	free(x);
	free(y);
}

int main(int argc, char **argv)
{
	const struct ek_device *gpu;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(ek_cuda_choose(&gpu, 0));
	ek_nn_rows_choose(1);
	if (argc > 1 && strcmp(argv[1], "evaluate") == 0)
		bench_evaluate(argc > 2 ? strtoull(argv[2], NULL, 10) : 50000);
	else
		bench_kmeans(argc > 2 ? argc - 2 : 0, argv + 2);
	return 0;
}
