/*
 * Populations: clusters that nothing lies between are one. k-means cuts a large group in pieces; where two clusters are
 * pieces of one, images lie as thick half-way between their centroids as at the centroids; where they are two groups,
 * there is a valley.
 *
 * For clusters a and b, t = (|x - a|² - |x - b|² + |a - b|²) / (2 |a - b|²) of their images: 0 at centroid a, 1 at b.
 * With `middle` images at 0.4 < t < 0.6 and `side` the smaller of those at |t| < 0.1 and at |t - 1| < 0.1, the valley
 * is middle / side, bounded from above (Poisson, 97.5 %): (middle + 1.96 sqrt(middle + 1) + 1) / side. Clusters whose
 * valley is not below a threshold are joined, and so are those that are joined to one cluster. A cluster of fewer than
 * a third of the images that one has on average is a handful; with fewer than 6 images at a side even an empty middle
 * would hardly show a valley, so of such a pair with a handful nothing is said, and it is no bridge between groups. A
 * handful of which nothing is said beside the nearest cluster goes to that, and so do clusters of fewer than 10 images.
 */
#ifndef EK_CLUSTER_POPULATIONS_H
#define EK_CLUSTER_POPULATIONS_H

#include "analysis/cluster/kmeans.h"

/* valley: [r->k, r->k] out, symmetric, NaN where nothing is said, for clusters (not spherical) of rows. EK_ENOMEM. */
int ek_populations_valleys(double *valley, const struct ek_rows *rows, const struct ek_kmeans_result *r);

/* population: [r->k] out, 0 … *count - 1, in the order of their first cluster. EK_ENOMEM. */
int ek_populations_join(int32_t *population, uint32_t *count, const double *valley, const struct ek_kmeans_result *r,
                        double threshold);

#endif
