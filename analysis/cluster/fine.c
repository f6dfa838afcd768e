#include "analysis/cluster/fine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

enum { ITERATIONS = 10, TRAINED = 64 };

/* k rows at random: k-means++ would begin with the outliers, each by itself. */
static int draw_start(float *start, uint32_t k, const float *x, uint64_t n, size_t d, uint64_t seed)
{
	uint64_t *ids = NULL;
	int rc;

	EK_TRY(ek_alloc(&ids, k, sizeof *ids));
	ek_rows_sample(ids, k, n, seed, ek_random_stream("fine start"));
	for (uint32_t c = 0; c < k; c++)
		memcpy(start + c * d, x + ids[c] * d, d * sizeof *start);
out:
	free(ids);
	return rc;
}

static int cluster(struct ek_kmeans_result *r, const float *x, uint64_t n, size_t d, uint64_t seed)
{
	const struct ek_npy array = ek_rows_memory(x, n, d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	const uint64_t wanted = n / EK_FINE_IMAGES;
	struct ek_rows rows;
	float *start = NULL;
	int rc;

	EK_TRY(ek_rows_of(&rows, &array, 0));
	o.k = wanted > EK_FINE_MOST ? EK_FINE_MOST : wanted > 1 ? (uint32_t)wanted : 1;
	o.iterations = ITERATIONS;
	o.subsample = (uint64_t)o.k * TRAINED;
	o.seed = seed;
	o.quiet = 1;
	EK_TRY(ek_kmeans_most(&o.k, &rows, &o));
	EK_TRY(ek_alloc(&start, (size_t)o.k * d, sizeof *start));
	EK_TRY(draw_start(start, o.k, x, n, d, seed));
	o.start = start;
	EK_TRY(ek_kmeans(r, &rows, &o));
out:
	free(start);
	return rc;
}

/* number: [r->k] of the clusters that stay, or -1. */
static void number_clusters(int64_t *number, struct ek_fine *out, const struct ek_kmeans_result *r)
{
	uint64_t few = EK_FINE_FEW, largest = 0;

	for (uint32_t c = 0; c < r->k; c++)
		largest = r->sizes[c] > largest ? r->sizes[c] : largest;
	few = largest < few ? 1 : few;
	out->k = 0;
	for (uint32_t c = 0; c < r->k; c++)
		number[c] = r->sizes[c] >= few ? (int64_t)out->k++ : -1;
}

static uint32_t nearest(const float *x, const struct ek_fine *fine)
{
	double best = (double)INFINITY;
	uint32_t found = 0;

	for (uint32_t c = 0; c < fine->k; c++) {
		const double distance2 = ek_vector_distance2(x, fine->centroids + c * fine->d, fine->d);

		if (distance2 < best) {
			best = distance2;
			found = c;
		}
	}
	return found;
}

static int take(struct ek_fine *out, const struct ek_kmeans_result *r, const float *x)
{
	int64_t *number = NULL;
	int rc;

	EK_TRY(ek_alloc(&number, r->k, sizeof *number));
	number_clusters(number, out, r);
	EK_TRY(ek_alloc(&out->centroids, out->k * out->d, sizeof *out->centroids));
	EK_TRY(ek_alloc(&out->sizes, out->k, sizeof *out->sizes));
	EK_TRY(ek_alloc(&out->cluster, r->n, sizeof *out->cluster));
	for (uint32_t c = 0; c < r->k; c++)
		if (number[c] >= 0)
			memcpy(out->centroids + (size_t)number[c] * out->d, r->centroids + c * out->d,
			       out->d * sizeof *out->centroids);
	for (uint64_t i = 0; i < r->n; i++) {
		const int64_t own = number[r->assignment[i]];

		out->cluster[i] = own >= 0 ? (uint32_t)own : nearest(x + i * out->d, out);
		out->outliers += own < 0;
		out->sizes[out->cluster[i]]++;
	}
out:
	free(number);
	return rc;
}

int ek_fine_build(struct ek_fine *out, const float *x, uint64_t n, size_t stride, size_t d, uint64_t seed)
{
	struct ek_kmeans_result r = { 0 };
	float *first = NULL;
	int rc;

	*out = (struct ek_fine){ .d = d };
	EK_TRY(ek_alloc(&first, n * d, sizeof *first));
	for (uint64_t i = 0; i < n; i++)
		memcpy(first + i * d, x + i * stride, d * sizeof *first);
	EK_TRY(cluster(&r, first, n, d, seed));
	EK_TRY(take(out, &r, first));
out:
	ek_kmeans_release(&r);
	free(first);
	return rc;
}

void ek_fine_release(struct ek_fine *fine)
{
	free(fine->cluster);
	free(fine->sizes);
	free(fine->centroids);
	*fine = (struct ek_fine){ 0 };
}
