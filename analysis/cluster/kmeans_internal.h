/* What the files of k-means share. */
#ifndef EK_CLUSTER_KMEANS_INTERNAL_H
#define EK_CLUSTER_KMEANS_INTERNAL_H

#include "analysis/cluster/nearest.h"

/*
 * k-means++. centroids: [k, d], out; state: the exact nearest of them for every row, out (`lower` is not touched).
 * `start` numbers the start: each has its own random numbers. EK_EDATA: fewer than k distinct rows.
 */
int ek_kmeans_plus_plus(float *centroids, struct ek_nearest_state *state, struct ek_nearest *finder,
                        const struct ek_rows *rows, uint32_t k, uint64_t seed, uint64_t start);

/*
 * Move centroids [k, d] to the mean (`unit`: the mean's direction) of their rows, and tell in moves [k] how far each
 * went (Euclidean). One without rows, or (`unit`) with a mean of zero, stays. Sums are float64 in the order of rows.
 *
 * before: [n] the assignment of the call before, which becomes this one's; -1 at first. Clusters that have kept their
 * rows are where they belong and are not summed again.
 */
int ek_kmeans_move(float *centroids, double *moves, const struct ek_rows *rows, const int32_t *assignment,
                   int32_t *before, uint32_t k, int unit);

#endif
