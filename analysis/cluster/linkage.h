/*
 * Agglomerative clustering of points, and what its tree is good for.
 *
 * Linkage: from every point by itself, the two nearest nodes are merged until one is left; heights never fall. Average
 * linkage (UPGMA, Sokal and Michener 1958): the distance of nodes is the mean Euclidean distance of their points.
 * Ward's (1963): the square root of twice what merging adds to the sum of squared distances to the means. By the chain
 * of nearest neighbours (Murtagh 1983) with the updates of Lance and Williams (1967): time points², memory 8 points².
 * Both as scipy.cluster.hierarchy.linkage.
 *
 * Weights of a tree (Altschul, Carroll, Lipman 1989, who weighed related sequences by it): branches are resistors, as
 * long as heights differ, a current of 1 flows in at the root, and what arrives at a leaf is its weight. Many leaves
 * that lie together share what one leaf by itself gets, at every level of the tree, without a number of groups.
 */
#ifndef EK_CLUSTER_LINKAGE_H
#define EK_CLUSTER_LINKAGE_H

#include <stddef.h>
#include <stdint.h>

enum ek_linkage_method { EK_LINKAGE_AVERAGE, EK_LINKAGE_WARD };

struct ek_merge {
	uint32_t a, b; /* nodes, a < b: below `leaves` a leaf, else leaves + number of a merge before */
	double height;
};

struct ek_linkage {
	uint32_t leaves;
	struct ek_merge *merges; /* [leaves - 1] by rising height; the last is the root */
};

/* Of x [leaves, d]; leaves >= 1. Equal distances: the lower numbers first. EK_ENOMEM. Release in any case. */
int ek_linkage_build(struct ek_linkage *out, const float *x, uint32_t leaves, size_t d, enum ek_linkage_method method);
void ek_linkage_release(struct ek_linkage *linkage);

/* group: [leaves] 0 … groups - 1, in the order of their first leaf: all merges undone but the first leaves - groups.
 * groups: 1 … leaves. EK_ENOMEM. */
int ek_linkage_cut(uint32_t *group, const struct ek_linkage *linkage, uint32_t groups);

/* w: [leaves] weights of the tree; sum 1, all above 0. EK_ENOMEM. */
int ek_linkage_weights(double *w, const struct ek_linkage *linkage);

#endif
