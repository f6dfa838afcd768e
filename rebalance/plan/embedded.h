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

/* Which image of a near-duplicate pair goes, the images of a unit being taken by rising id. */
enum ek_dedup_rule {
	EK_DEDUP_ONE_PASS,  /* one with such an earlier image */
	EK_DEDUP_GREEDY,    /* one with such an earlier image that stays */
	EK_DEDUP_COMPONENTS /* all but the first of those that pairs connect */
};
extern const char *const ek_dedup_rule_names[]; /* "one-pass", "greedy", "components" */

struct ek_embedded_options {
	enum ek_dedup_rule rule; /* of semdedup */
	double eps;              /* of semdedup: a cosine above 1 - eps makes a pair; 0: the quotas say how many stay */
	double dedup;            /* of d4: share of the images that is left without near-duplicates; 0: EK_D4_DEDUP */
	cJSON *report;           /* an object to add to: members for subset.json */
};

/* Share of an even part that each cluster is given first by prototypes (Sorscher et al. 2022); R_dedup of D4. */
#define EK_PROTOTYPES_FLOOR 0.5
#define EK_D4_DEDUP 0.75

typedef int ek_embedded_method(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                               const struct ek_embedded_options *options);

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
 * SemDeDup (Abbas et al. 2023; near.h): the images of a unit are compared with those of lower id in it.
 * With eps, the rule says which go, quota out is how many stay, and in a unit the least similar go first.
 * Without, in one pass: those with the largest similarity to such a one are removed, over all units, until the total
 * is left. The number to keep stands for eps.
 * Both report "near_duplicates": what each rule removes at several eps.
 */
ek_embedded_method ek_embedded_semdedup;

/*
 * D4 (Tirumala et al. 2023): the second SemDeDup above leaves `dedup` of all images, rounded; these are clustered again
 * by k-means with the settings and the number of clusters of the run; of them hard prototypes, as above, are kept.
 * In a unit those kept come first, then others that were left, both the hardest first, then the rest.
 * EK_EUSAGE: more are to be kept than are left; EK_EDATA: fewer different images left than clusters.
 */
ek_embedded_method ek_embedded_d4;

#endif
