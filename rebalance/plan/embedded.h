/*
 * Methods of prune that look at the embeddings (definitions.md, section 6). Each gives the order in which the images
 * of a unit are kept and, where it divides the total itself, how many of each unit.
 *
 * keys:  [units->n] out, as in order.h; images in no unit are not looked at and have no part in anything
 * quota: [units->k] in: by proportion; out: what the method wants, with the same sum
 * All sums in float64; the same bytes for any number of threads. EK_EDATA: embeddings or clusters that are not there,
 * count other images, or hold numbers that are not finite; EK_EUSAGE; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 */
#ifndef EK_PLAN_EMBEDDED_H
#define EK_PLAN_EMBEDDED_H

#include "rebalance/plan/order.h"

typedef int ek_embedded_method(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units);

/*
 * Self-supervised prototypes (Sorscher et al. 2022): difficulty is 1 - cosine of an image and the centroid of its
 * cluster. Of each of the K non-empty units the first floor(total / 2K) images are kept (all of a smaller one), then
 * the first of all that are left. Hard: the largest first; easy: the smallest.
 */
ek_embedded_method ek_embedded_ssp_hard, ek_embedded_ssp_easy;

/*
 * Density-based pruning (Abbas et al. 2024): a cluster's complexity is the mean of 1 - cosine of its images and its
 * centroid, times the mean of 1 - cosine of its centroid and the 20 most similar others of clusters that are not empty;
 * ek_quota_density with tau 0.5 and balance 0.5; in a cluster the hardest first. Units must be clusters: EK_EUSAGE.
 */
ek_embedded_method ek_embedded_density;

/*
 * SemDeDup in one pass (Abbas et al. 2023; near.h): the images of a unit are compared with those of lower id in it;
 * those with the largest similarity to such a one are removed, over all units, until the total is left. The number to
 * keep stands for eps.
 */
ek_embedded_method ek_embedded_semdedup;

#endif
