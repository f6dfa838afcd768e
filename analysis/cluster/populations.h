/*
 * Populations: clusters that nothing lies between are one. k-means cuts a large group in pieces; where two clusters are
 * pieces of one, images lie as thick half-way between their centroids as at the centroids; where they are two groups,
 * there is a valley.
 *
 * For clusters a and b, t = (|x - a|² - |x - b|² + |a - b|²) / (2 |a - b|²) of their images: 0 at centroid a, 1 at b.
 * With `middle` images at 0.4 < t < 0.6 and `side` the smaller of those at |t| < 0.1 and at |t - 1| < 0.1, the valley
 * is middle / side, bounded from above (Poisson, 97.5 %): (middle + 1.96 sqrt(middle + 1) + 1) / side. Clusters whose
 * valley is not below a threshold are joined, and so are those that are joined to one cluster; clusters of fewer than
 * 10 images, about which this says nothing, go to the nearest one.
 */
#ifndef EK_CLUSTER_POPULATIONS_H
#define EK_CLUSTER_POPULATIONS_H

#include "analysis/cluster/kmeans.h"

/* valley: [r->k, r->k] out, symmetric, for clusters (not spherical) of rows. EK_ENOMEM. */
int ek_populations_valleys(double *valley, const struct ek_rows *rows, const struct ek_kmeans_result *r);

/* population: [r->k] out, 0 … *count - 1, in the order of their first cluster. EK_ENOMEM. */
int ek_populations_join(int32_t *population, uint32_t *count, const double *valley, const struct ek_kmeans_result *r,
                        double threshold);

#endif
