/*
 * Groups without labels: fine clusters (fine.h) merged by Ward's linkage (linkage.h) of their centroids.
 *
 * A group of fewer than EK_FOUND_FEW rows and less than EK_FOUND_FEW_SHARE of all is a handful, however far it lies
 * from all others, and no population: its rows go to the group of the nearest fine cluster. Where a number is asked
 * for, the tree is cut further until so many populations are there, if there are.
 *
 * How many, where nobody says: of 2, 3, 4, 6, 8, 12, 16, 24 those are compared that EK_FOUND_SEEDS other starts make of
 * the same rows, at most EK_FOUND_ROWS drawn by seed; stability is the mean ARI of all pairs. Chosen is the largest
 * number with a stability of 0.8 or more (as for clusters, choose.h); where there is none, the most stable; where even
 * that is below 0.5 ("unstable" in stability.h), no groups come out again, and all rows are one.
 */
#ifndef EK_CLUSTER_FOUND_H
#define EK_CLUSTER_FOUND_H

#include <stddef.h>
#include <stdint.h>

#define EK_FOUND_FEW_SHARE 0.02
enum { EK_FOUND_FEW = 15, EK_FOUND_SEEDS = 4, EK_FOUND_ROWS = 10000, EK_FOUND_NUMBERS = 8 };

struct ek_found {
	uint32_t groups, fine; /* fine: clusters that they were merged from */
	uint32_t *group;       /* [n] 0 … groups - 1, the largest first */
	uint64_t *sizes;       /* [groups] */
	uint64_t outliers;     /* rows of clusters, or groups, too small to be a population */
	size_t count;          /* numbers compared; 0: the number was given */
	struct {
		uint32_t groups;
		double stability;
	} curve[EK_FOUND_NUMBERS];
};

/* Of x [n, d]. groups: 0: as above. EK_EUSAGE: more groups than fine clusters; else as ek_kmeans. Release in any case.
 * The same for any number of threads. */
int ek_found_build(struct ek_found *out, const float *x, uint64_t n, size_t d, uint32_t groups, uint64_t seed);
void ek_found_release(struct ek_found *found);

#endif
