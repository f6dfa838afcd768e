/*
 * k-means: Lloyd's iteration from a k-means++ start, over all rows.
 *
 * Every assignment is the exact nearest centroid (nearest.h), every sum is float64 in the order of the rows, and
 * centroids are float32: so the result has the same bits for any number of threads and any processor. Memory beyond
 * the rows is O(n + K d), and at most 1 GiB for rows in bfloat16 or, on processors without, as they are.
 *
 * A cluster that loses all its images keeps its centroid and may win some back; those empty at the end are counted
 * and stay in the result, not filled by splitting others.
 *
 * Spherical: rows and centroids are scaled to unit length; the squared distance is then 2 (1 - cosine).
 */
#ifndef EK_CLUSTER_KMEANS_H
#define EK_CLUSTER_KMEANS_H

#include <stdint.h>

#include "analysis/cluster/nearest.h"
#include "analysis/cluster/rows.h"

struct ek_kmeans_options {
	uint32_t k;         /* clusters, >= 1 */
	int iterations;     /* at most, >= 1 */
	double tolerance;   /* stop when an iteration lowers the inertia by less than this share of it; 0: never */
	int redo;           /* starts, >= 1; the smallest inertia wins, the earlier on a tie */
	uint64_t seed;      /* of the starts and the subsample */
	int spherical;      /* 1: rows are scaled to unit length here */
	uint64_t subsample; /* rows to train on, drawn by seed; 0 or >= n: all */
	const float *start; /* [k, d] first centroids instead of k-means++, or NULL; redo is then 1 */
	enum ek_screen screen;
	int quiet; /* 1: report no progress */
};
/* 24 clusters, 100 iterations, tolerance 1e-6, 1 start, seed 0, not spherical, all rows. */
#define EK_KMEANS_DEFAULTS                                                                                             \
	{                                                                                                              \
		.k = 24, .iterations = 100, .tolerance = 1e-6, .redo = 1                                               \
	}

struct ek_kmeans_result {
	uint32_t k;
	uint64_t n;
	size_t dimensions;
	int32_t *assignment; /* [n] nearest centroid of every row, also of those not trained on */
	float *distance;     /* [n] Euclidean distance to it; spherical: 1 - cosine */
	float *centroids;    /* [k, d] */
	uint64_t *sizes;     /* [k] */
	uint32_t empty;      /* clusters of size 0 */
	double inertia;      /* sum of the squared Euclidean distances over all n rows */
	double *objective; /* [iterations] inertia of the trained rows at each assignment, before the centroids move */
	int iterations;    /* done by the start that won */
	int converged;     /* 1: stopped before the last iteration allowed */
	int start;         /* the start that won, from 0 */
	uint64_t trained;  /* rows trained on */
};

/*
 * Cluster `rows`. Release the result with ek_kmeans_release, also after a failure.
 *
 * Start: k-means++ (Arthur and Vassilvitskii 2007), drawn with Philox. Stop: no row changes its cluster, or the
 * tolerance is met, or the iterations are done. The last centroids are means of the assignment before the last; the
 * assignment that is returned is made from them.
 *
 * EK_EDATA: fewer distinct rows than k, or a row with a number that is not finite. EK_EUSAGE: an option out of range.
 */
int ek_kmeans(struct ek_kmeans_result *out, const struct ek_rows *rows, const struct ek_kmeans_options *options);
void ek_kmeans_release(struct ek_kmeans_result *result);

/* The most clusters that ek_kmeans makes of these rows by these options: as many as rows differ among those trained on,
 * counted up to options->k. EK_ENOMEM, EK_EINTERRUPTED. */
int ek_kmeans_most(uint32_t *most, const struct ek_rows *rows, const struct ek_kmeans_options *options);

/* Assign all rows to given centroids [options->k, d] (copied), as the last step of k-means does: a result without
 * iterations and objective. Of the options k, spherical and screen are looked at. */
int ek_kmeans_assign(struct ek_kmeans_result *out, const struct ek_rows *rows, const float *centroids,
                     const struct ek_kmeans_options *options);

#endif
