/*
 * The groups of a run, as clusters/groups.json and clusters/membership.npy have them: which there are, what they are
 * known by, and how likely each image is of each.
 */
#ifndef EK_IO_GROUPS_H
#define EK_IO_GROUPS_H

#include "rebalance/io/images.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"

struct ek_groups {
	uint32_t count; /* 0: the run has none */
	uint64_t images;
	char **names;      /* [count] */
	uint64_t labelled; /* images whose labels taught them; 0: they were found, or come from words */
	double accuracy;   /* share of left-out labelled images that were told right; NaN: not known */
	int named;         /* 1: people would call them so: their names are from labels or words, not "g0" */
	int by_words;      /* 1: from words */
	int none;          /* 1: an image may be of none of them, as its probabilities leave of 1 */
	const float *q;    /* [images, count] probabilities */
	struct ek_npy membership;
};

/* EK_EDATA: files that do not fit each other. Release in any case. */
int ek_groups_load(struct ek_groups *groups, const struct ek_run *run);
void ek_groups_release(struct ek_groups *groups);
/* EK_EUSAGE: there are none, and how they come to be. */
int ek_groups_fail_none(void);

/* Words that only name what is found: the likeliest of each image, as a column of the name "word". value_count 0: the
 * run has none. EK_EDATA: they are not of so many images, or do not fit groups.json. Release in any case. */
int ek_groups_words_load(struct ek_column *out, const struct ek_run *run, uint64_t images);
void ek_groups_words_release(struct ek_column *column);

enum { EK_GROUPS_NONE = -1 };
/* The group that an image most likely is of, the first of several that are as likely; EK_GROUPS_NONE where what its
 * probabilities leave of 1, that of none of them, is larger than each. */
int32_t ek_groups_likeliest(const struct ek_groups *groups, uint64_t image);
/* The same of q [count]. */
int32_t ek_groups_likeliest_of(const float *q, uint32_t count);

#endif
