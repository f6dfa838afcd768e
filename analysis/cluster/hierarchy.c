#include "analysis/cluster/hierarchy.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

struct member {
	float distance;
	int32_t cluster;
	uint64_t id;
};

static int by_cluster_and_distance(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	if (x->distance < y->distance || x->distance > y->distance)
		return x->distance < y->distance ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* `*ids` = the `sample` rows of every cluster closest to its centroid. */
static int closest(uint64_t **ids, uint64_t *count, const struct ek_kmeans_result *r, uint64_t sample)
{
	struct member *members = NULL;
	uint64_t place = 0;
	int rc;

	*ids = NULL;
	*count = 0;
	EK_TRY(ek_alloc(&members, r->n, sizeof *members));
	EK_TRY(ek_alloc(ids, r->n, sizeof **ids));
	for (uint64_t i = 0; i < r->n; i++)
		members[i] = (struct member){ r->distance[i], r->assignment[i], i };
	qsort(members, r->n, sizeof *members, by_cluster_and_distance);
	for (uint64_t i = 0; i < r->n; i++) {
		place = i > 0 && members[i].cluster == members[i - 1].cluster ? place + 1 : 0;
		if (place < sample)
			(*ids)[(*count)++] = members[i].id;
	}
out:
	free(members);
	return rc;
}

/* One refit of `level` on resampled points of `rows`. */
static int refit(struct ek_kmeans_result *level, const struct ek_rows *rows, const struct ek_kmeans_options *options)
{
	const uint64_t sample = rows->count / (2 * (uint64_t)options->k);
	struct ek_kmeans_result fitted = { 0 }, all = { 0 };
	struct ek_rows part = *rows;
	uint64_t *ids = NULL;
	int rc;

	EK_TRY(closest(&ids, &part.count, level, sample > 0 ? sample : 1));
	for (uint64_t i = 0; rows->ids != NULL && i < part.count; i++)
		ids[i] = rows->ids[ids[i]];
	part.ids = ids;
	EK_TRY(ek_kmeans(&fitted, &part, options));
	EK_TRY(ek_kmeans_assign(&all, rows, fitted.centroids, options));
	all.objective = fitted.objective;
	all.iterations = fitted.iterations;
	all.converged = fitted.converged;
	all.start = fitted.start;
	all.trained = fitted.trained;
	fitted.objective = NULL;
	ek_kmeans_release(level);
	*level = all;
	all = (struct ek_kmeans_result){ 0 };
out:
	free(ids);
	ek_kmeans_release(&fitted);
	ek_kmeans_release(&all);
	return rc;
}

int ek_hierarchy_build(struct ek_hierarchy *out, const struct ek_rows *rows, const uint32_t *sizes, size_t count,
                       int resample, const struct ek_kmeans_options *options)
{
	struct ek_kmeans_options o = *options;
	int rc;

	*out = (struct ek_hierarchy){ 0 };
	for (size_t l = 1; l < count; l++)
		if (sizes[l] >= sizes[l - 1])
			return ek_fail(EK_EUSAGE, "levels must have fewer and fewer clusters, not %u after %u",
			               sizes[l], sizes[l - 1]);
	EK_TRY(ek_alloc(&out->levels, count, sizeof *out->levels));
	for (; out->count < count; out->count++) {
		struct ek_kmeans_result *level = &out->levels[out->count];
		const struct ek_kmeans_result *below = out->count > 0 ? level - 1 : NULL;
		struct ek_npy array;
		struct ek_rows points = *rows;

		o.k = sizes[out->count];
		if (below != NULL) {
			array = ek_rows_memory(below->centroids, below->k, below->dimensions);
			EK_TRY(ek_rows_of(&points, &array, options->spherical));
			o.subsample = 0;
		}
		if ((rc = ek_kmeans(level, &points, &o)) < 0) {
			ek_kmeans_release(level);
			goto out;
		}
		for (int step = 1; step <= resample; step++) {
			o.seed = ek_random_u64(options->seed, ek_random_stream("resample"), (uint64_t)step);
			if ((rc = refit(level, &points, &o)) < 0) {
				ek_kmeans_release(level);
				goto out;
			}
		}
		o.seed = options->seed;
	}
out:
	return rc;
}

void ek_hierarchy_release(struct ek_hierarchy *h)
{
	for (size_t l = 0; l < h->count; l++)
		ek_kmeans_release(&h->levels[l]);
	free(h->levels);
	*h = (struct ek_hierarchy){ 0 };
}
