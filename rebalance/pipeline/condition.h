/* What a generator is conditioned on: a class for every image, from the clusters, the groups (the likeliest of each),
 * the label or an attribute. */
#ifndef EK_PIPELINE_CONDITION_H
#define EK_PIPELINE_CONDITION_H

#include "rebalance/io/run.h"

struct ek_condition {
	const char *by; /* "none", "cluster", "group", "label" or an attribute; the caller's */
	int32_t *codes; /* [images], 0 … classes - 1; -1: no value */
	uint64_t images;
	int classes;   /* 0: none */
	int of_groups; /* of the run's groups, not of an attribute "group" */
	char **names;  /* [classes] */
};

/* EK_EUSAGE: no such attribute, with those there are; EK_EDATA. Release in any case. */
int ek_condition_load(struct ek_condition *condition, const struct ek_run *run, const char *by);
void ek_condition_release(struct ek_condition *condition);

#endif
