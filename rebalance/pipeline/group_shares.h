/*
 * What is told of the groups that images have probabilities of, with the labels of some images if there are any:
 * counts, shares, and intervals where labelled images were drawn at random (analysis/skew/prediction.h).
 */
#ifndef EK_PIPELINE_GROUP_SHARES_H
#define EK_PIPELINE_GROUP_SHARES_H

#include "analysis/skew/prediction.h"
#include "rebalance/base/json.h"
#include "rebalance/pipeline/given_labels.h"

struct ek_group_shares {
	const struct ek_given_labels *labels; /* borrowed; a label of group `groups`: of none of them */
	uint64_t images;
	double *corrected;           /* [groups] mean probability */
	struct ek_prediction *found; /* [groups] where `random` > 0 */
	uint64_t random;             /* labelled images that were drawn at random */
};

/* Release in any case. */
int ek_group_shares_init(struct ek_group_shares *s, const struct ek_given_labels *labels, uint64_t images);
void ek_group_shares_release(struct ek_group_shares *s);

/* `found` of predictions q [images, groups] that did not learn from the labels; nothing where none is random. */
int ek_group_shares_estimate(struct ek_group_shares *s, const float *q);

/* What people said stands in q [images, groups], whatever was predicted; `corrected` is the mean of it then. */
void ek_group_shares_keep_given(struct ek_group_shares *s, float *q);

/* Images whose likeliest group (io/groups.h) is g, or EK_GROUPS_NONE. */
uint64_t ek_group_shares_count(const struct ek_group_shares *s, const float *q, int32_t g);

/* Add an object of group g to `list`: "name", "labelled", "images" (likeliest of it), "corrected_share", "share". */
int ek_group_shares_add(cJSON **item, cJSON *list, const struct ek_group_shares *s, const float *q, uint32_t g);

#endif
