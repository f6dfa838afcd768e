/*
 * Hierarchical k-means (Vo et al. 2024, "Automatic data curation for self-supervised learning"; the code is
 * facebookresearch/ssl-data-curation): level 1 clusters the images, level l + 1 the centroids of level l. Each level
 * may then be refitted on resampled points: of every cluster the points closest to its centroid, about half the mean
 * cluster size of them, so that dense regions no longer draw most centroids; then all points are assigned anew.
 */
#ifndef EK_CLUSTER_HIERARCHY_H
#define EK_CLUSTER_HIERARCHY_H

#include "analysis/cluster/kmeans.h"

struct ek_hierarchy {
	struct ek_kmeans_result *levels; /* [count]; 0: of the images, the finest */
	size_t count;
};

/*
 * sizes: [count] clusters of each level, falling, each >= 1
 * resample: times each level is refitted; 0: never
 * options: as for ek_kmeans; k is not looked at, start must be NULL
 * Release with ek_hierarchy_release, also after a failure.
 * EK_EUSAGE: sizes that do not fall; else as ek_kmeans.
 */
int ek_hierarchy_build(struct ek_hierarchy *out, const struct ek_rows *rows, const uint32_t *sizes, size_t count,
                       int resample, const struct ek_kmeans_options *options);
void ek_hierarchy_release(struct ek_hierarchy *h);

#endif
