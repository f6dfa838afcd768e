/*
 * The null: what does k-means find in data without structure? It cuts anything into clusters, of any sizes; only what
 * goes beyond that is something that the images say.
 *
 * Definition. Of at most 6,000 images, drawn by seed, the first 64 principal components. 8 times a part of them is
 * drawn (half of them, at most 2,000), and measured twice, by all the others: as they are, and without structure. For
 * that the components of all are scaled to unit variance; three times, oftener in few dimensions, they are turned by a
 * random rotation, and each of the turned ones is permuted by itself among the images; and they are scaled back: the
 * same number of images, the same dimensions and variances, and no images that belong together. (Permuted without being
 * turned, a component that has a mode for each of two groups would keep both, and in few dimensions one turn leaves
 * some of it.) What is measured, each by the best of 2 starts of 20 iterations:
 *
 *   - the Gini coefficient of the sizes of K clusters, K being the run's;
 *   - that of the populations (populations.h) which are left of 24 clusters, or of fewer, 40 images each, at valley
 *     thresholds of 0.5 and 0.7; their mean. One population: 0. The clusters are those of the part, their valleys and
 *     sizes those of the others, by the nearest centroid: in many dimensions centroids lie towards the noise of the
 *     images that they are means of, and a valley seems to be between any two. All others: two pieces that too few
 *     images were counted at for the valley between them join all pieces of two groups.
 *
 * The excess is the mean over the parts of the difference D of both sides. Its 95 % interval is
 *
 *     mean D ± t(0.975, 7) sd(D) sqrt(1 / 8 + f / (1 - f)),   f = part / images drawn,
 *
 * the first term for the chance of starts and permutations, the second, that of the jackknife that leaves out 1 - f
 * (Shao and Wu 1989), for that of the images.
 *
 * The agreement of the populations is the mean ARI of all pairs of the 16 divisions (8 parts, 2 thresholds) of all
 * images drawn, each by the nearest centroid; two divisions into one population agree.
 */
#ifndef EK_CLUSTER_NULL_H
#define EK_CLUSTER_NULL_H

#include "analysis/cluster/rows.h"
#include "analysis/skew/intervals.h"

enum { EK_NULL_PARTS = 8, EK_NULL_COMPONENTS = 64, EK_NULL_IMAGES = 6000, EK_NULL_PART = 2000, EK_NULL_FINE = 24 };

/* Mean Gini coefficient of the parts as they are and without structure, and the difference. */
struct ek_null_gini {
	double observed, permuted, excess;
	struct ek_interval interval; /* of the excess */
};

struct ek_null {
	uint64_t images;   /* of a part */
	size_t components; /* up to EK_NULL_COMPONENTS */
	uint32_t k;        /* clusters: as asked, or as many as a part can have */
	struct ek_null_gini clusters, populations;
	double agreement;            /* of the populations */
	uint32_t count;              /* of populations: the median of the 16 divisions */
	double shares[EK_NULL_FINE]; /* [count] of the first division with so many, the largest first */
};

/*
 * k: clusters, >= 1. Reports a unit of progress for each part. The same for any number of threads. EK_EDATA: fewer
 * than 8 rows, or they do not differ. EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_null_measure(struct ek_null *out, const struct ek_rows *rows, uint32_t k, uint64_t seed);

#endif
