/*
 * The step `groups`: which group every image is of, learned from the labels of a few (analysis/cluster/probe.h) over
 * the run's whitened components, with views of the labelled images as further rows where the components have views.
 *
 * Of words: those that a file describes, in CLIP's embeddings (word_groups.h), with labels or without.
 *
 * Without either: found in the same components (analysis/cluster/found.h), each image of one of them.
 *
 * clusters/membership.npy [n, G] float32: probabilities, corrected for the shares of the groups among the labels.
 * clusters/classifier.npy: classifier.h; of labels and words.
 * clusters/groups.json: docs/files.md.
 */
#ifndef EK_PIPELINE_GROUPS_H
#define EK_PIPELINE_GROUPS_H

#include "analysis/embed/embed.h"
#include "rebalance/io/run.h"

struct ek_make_groups {
	const char *labels;     /* given_labels.h; NULL: none */
	const char *words;      /* group_words.h: the groups are those (word_groups.h); NULL: none */
	int names_found;        /* 1: the words only name groups that are found, and clusters */
	const char *tower;      /* for words: a file with CLIP's text tower */
	const char *own_tower;  /* the same where it is not the weight file that the embeddings are of, else NULL */
	uint32_t groups;        /* without labels: so many; 0: as many as come out again */
	struct ek_embed *embed; /* prepared, for views; NULL: none can be made */
	uint64_t seed;          /* of the folds */
};

extern const char *const ek_groups_inputs[], *const ek_word_groups_inputs[], *const ek_groups_outputs[];
enum { EK_GROUPS_VERSION = 6 };

/* The options as run.json keeps them, to be freed. EK_EIO: no such file of labels. */
int ek_make_groups_json(cJSON **out, const struct ek_make_groups *o);
/* EK_EDATA, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED. */
int ek_make_groups(struct ek_run *run, const struct ek_make_groups *o);

#endif
