/*
 * Fine clusters: many small ones, which groups and weights are made of (linkage.h).
 *
 * k-means with a cluster for every EK_FINE_IMAGES rows, at most EK_FINE_MOST, found on 64 rows of each. A cluster of
 * fewer than EK_FINE_FEW rows is a handful of outliers, no population: its rows go to the nearest of the others, so
 * that nothing is shown over and over for being odd.
 */
#ifndef EK_CLUSTER_FINE_H
#define EK_CLUSTER_FINE_H

#include <stddef.h>
#include <stdint.h>

enum { EK_FINE_IMAGES = 15, EK_FINE_FEW = 5, EK_FINE_MOST = 2000 };

struct ek_fine {
	uint32_t k;
	size_t d;
	uint32_t *cluster; /* [n] */
	uint64_t *sizes;   /* [k] none below EK_FINE_FEW, unless all were */
	float *centroids;  /* [k, d] */
	uint64_t outliers; /* rows that went to another cluster */
};

/* Of the first d numbers of rows x [n, stride]. Errors as ek_kmeans. Release in any case. The same for any number of
 * threads. */
int ek_fine_build(struct ek_fine *out, const float *x, uint64_t n, size_t stride, size_t d, uint64_t seed);
void ek_fine_release(struct ek_fine *fine);

#endif
