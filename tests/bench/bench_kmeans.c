/*
 * k-means against packaged FAISS's own, through its C API: the same start, the same number of iterations, all rows.
 *
 *	bench_kmeans [n d K iterations [embeddings.npy]]
 *
 * One line: name, seconds of ours and of theirs (medians of three in turn), ratio, multiply-adds that the plain
 * algorithm needs per second of ours and as a share of what products of that size reach in the same run; and how far
 * the results agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>

#include "analysis/cluster/kmeans.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/nn/bf16.h"
#include "train/nn/matmul.h"

enum { RUNS = 3, TILE = 128, TILES = 200 };

void omp_set_num_threads(int count);

struct setup {
	size_t n, d, k;
	int iterations;
	float *x, *start;
};

/* Features of 300 kinds of unequal size with 40 directions of variation, as embeddings of images have. */
static float *synthetic(size_t n, size_t d)
{
	enum { KINDS = 300, DIRECTIONS = 40 };
	float *x = calloc(n * d, sizeof *x), *base = calloc(DIRECTIONS * d, sizeof *base);

	for (size_t i = 0; base != NULL && i < DIRECTIONS * d; i++)
		base[i] = (float)ek_random_normal(1, 0, i);
	for (size_t i = 0; x != NULL && base != NULL && i < n; i++) {
		const double u = ek_random_double(2, 0, i);
		const uint64_t kind = (uint64_t)(KINDS * u * u);
		float factor[DIRECTIONS];

		for (size_t r = 0; r < DIRECTIONS; r++)
			factor[r] = (float)(ek_random_normal(3, kind, r) + 0.7 * ek_random_normal(4, i, r));
		for (size_t j = 0; j < d; j++)
			x[i * d + j] = 0.3f * (float)ek_random_normal(5, i, j);
		for (size_t r = 0; r < DIRECTIONS; r++)
			for (size_t j = 0; j < d; j++)
				x[i * d + j] += factor[r] * base[r * d + j] / 6.3f;
	}
	free(base);
	return x;
}

static double faiss_run(const struct setup *s, int iterations, float *centroids, float *objective)
{
	FaissClusteringParameters p;
	FaissClustering *clustering = NULL;
	FaissIndexFlat *index = NULL;
	FaissClusteringIterationStats *stats;
	const double begin = ek_clock();
	double seconds;
	float *found;
	size_t size;

	faiss_ClusteringParameters_init(&p);
	p.niter = iterations;
	p.max_points_per_centroid = (int)(s->n / s->k + 1);
	p.min_points_per_centroid = 1;
	p.seed = 7;
	if (faiss_Clustering_new_with_params(&clustering, (int)s->d, (int)s->k, &p) != 0 ||
	    faiss_IndexFlat_new_with(&index, (idx_t)s->d, METRIC_L2) != 0 ||
	    faiss_Clustering_train(clustering, (idx_t)s->n, s->x, index) != 0) {
		(void)fprintf(stderr, "FAISS failed\n");
		exit(1);
	}
	seconds = ek_clock() - begin;
	faiss_Clustering_centroids(clustering, &found, &size);
	memcpy(centroids, found, s->k * s->d * sizeof *found);
	faiss_Clustering_iteration_stats(clustering, &stats, &size);
	if (objective != NULL && size > 0) /* the statistics are one array of structs of which C knows no size: first */
		*objective = faiss_ClusteringIterationStats_obj(stats);
	faiss_Clustering_free(clustering);
	faiss_IndexFlat_free(index);
	return seconds;
}

/* GFLOP/s of bare products of this shape on all threads. */
struct products {
	struct ek_nn_matmul *plan;
	void *a, *packed, **scratch;
	float **out;
};

static int product(void *context, uint64_t i, int worker)
{
	const struct products *p = context;

	(void)i;
	return ek_nn_matmul_run(p->plan, p->out[worker], p->a, p->packed, p->scratch[worker]);
}

static double product_rate(const struct setup *s)
{
	const enum ek_nn_type type = ek_nn_cpu_has_bf16() ? EK_NN_BFLOAT16 : EK_NN_FLOAT32;
	const size_t columns = s->k < 1024 ? s->k : 1024;
	const int threads = ek_threads();
	struct products p = { 0 };
	double begin;

	p.out = calloc((size_t)threads, sizeof *p.out);
	p.scratch = calloc((size_t)threads, sizeof *p.scratch);
	if (p.out == NULL || p.scratch == NULL || ek_nn_matmul_new(&p.plan, TILE, columns, s->d, type) < 0 ||
	    ek_alloc_aligned(&p.a, TILE * s->d, sizeof(float)) < 0 ||
	    ek_alloc_aligned(&p.packed, 1, ek_nn_matmul_packed_size(p.plan)) < 0)
		return 0;
	memset(p.a, 0, TILE * s->d * sizeof(float));
	memset(p.packed, 0, ek_nn_matmul_packed_size(p.plan));
	for (int i = 0; i < threads; i++)
		if (ek_alloc_aligned(&p.out[i], TILE * columns, sizeof(float)) < 0 ||
		    ek_alloc_aligned(&p.scratch[i], 1, ek_nn_matmul_scratch_size(p.plan)) < 0)
			return 0;
	(void)ek_parallel(TILES / 4, product, &p);
	begin = ek_clock();
	(void)ek_parallel(TILES, product, &p);
	return 2.0 * TILE * TILES * (double)columns * (double)s->d / (ek_clock() - begin) / 1e9;
}

static double ours_run(const struct setup *s, struct ek_kmeans_result *r)
{
	const struct ek_npy array = ek_rows_memory(s->x, s->n, s->d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_rows rows;
	double begin;

	o.k = (uint32_t)s->k;
	o.iterations = s->iterations;
	o.tolerance = 0;
	o.start = s->start;
	begin = ek_clock();
	if (ek_rows_of(&rows, &array, 0) < 0 || ek_kmeans(r, &rows, &o) < 0) {
		(void)fprintf(stderr, "%s\n", ek_error_message());
		exit(1);
	}
	return ek_clock() - begin;
}

/* Share of rows that have the same nearest centroid under both results. */
static double same_labels(const struct setup *s, const struct ek_kmeans_result *r, const float *theirs)
{
	FaissIndexFlat *index = NULL;
	idx_t *labels = calloc(s->n, sizeof *labels);
	size_t same = 0;

	if (labels == NULL || faiss_IndexFlat_new_with(&index, (idx_t)s->d, METRIC_L2) != 0 ||
	    faiss_Index_add(index, (idx_t)s->k, theirs) != 0 ||
	    faiss_Index_assign(index, (idx_t)s->n, s->x, labels, 1) != 0)
		return 0;
	for (size_t i = 0; i < s->n; i++)
		same += labels[i] == r->assignment[i];
	faiss_IndexFlat_free(index);
	free(labels);
	return (double)same / (double)s->n;
}

static void measure(const struct setup *s)
{
	double ours[RUNS], theirs[RUNS], rate;
	float *centroids = calloc(s->k * s->d, sizeof *centroids), first = 0;
	struct ek_kmeans_result r = { 0 };

	if (centroids == NULL)
		exit(1);
	for (int i = 0; i < RUNS; i++) {
		theirs[i] = faiss_run(s, s->iterations, centroids, &first);
		ek_kmeans_release(&r);
		ours[i] = ours_run(s, &r);
	}
	qsort(ours, RUNS, sizeof *ours, ek_compare_doubles);
	qsort(theirs, RUNS, sizeof *theirs, ek_compare_doubles);
	rate = 2.0 * (double)s->n * (double)s->d * (double)s->k * (r.iterations + 1) / ours[RUNS / 2] / 1e9;
	(void)printf("kmeans n=%zu d=%zu K=%zu iterations=%d/%d: ours %.2f s, FAISS %.2f s, ratio %.2f, %.0f GFLOP/s, "
	             "%.2f of bare products; same label %.5f, empty %u\n",
	             s->n, s->d, s->k, r.iterations, s->iterations, ours[RUNS / 2], theirs[RUNS / 2],
	             theirs[RUNS / 2] / ours[RUNS / 2], rate, rate / product_rate(s), same_labels(s, &r, centroids),
	             r.empty);
	ek_kmeans_release(&r);
	free(centroids);
}

int main(int argc, char **argv)
{
	struct setup s = { .n = 50000, .d = 768, .k = 1000, .iterations = 20 };
	struct ek_npy array;

	if (argc >= 5) {
		s.n = strtoull(argv[1], NULL, 10);
		s.d = strtoull(argv[2], NULL, 10);
		s.k = strtoull(argv[3], NULL, 10);
		s.iterations = (int)strtol(argv[4], NULL, 10);
	}
	if (argc >= 6) {
		if (ek_npy_open(&array, argv[5]) < 0) {
			(void)fprintf(stderr, "%s\n", ek_error_message());
			return 1;
		}
		s.d = array.shape[1];
		s.n = s.n < array.shape[0] ? s.n : array.shape[0];
		s.x = calloc(s.n * s.d, sizeof *s.x);
		for (size_t i = 0; s.x != NULL && i < s.n; i++)
			ek_npy_row_f32(s.x + i * s.d, &array, i);
	} else {
		s.x = synthetic(s.n, s.d);
	}
	s.start = calloc(s.k * s.d, sizeof *s.start);
	if (s.x == NULL || s.start == NULL)
		return 1;
	omp_set_num_threads(ek_threads());
	(void)faiss_run(&s, 0, s.start, NULL); /* no iteration: its random start */
	measure(&s);
	free(s.start);
	free(s.x);
	return 0;
}
