/*
 * clusters/classifier.npy, [G, d + 1 + G] float64: how images that are not of the run are told to be of its named
 * groups. Of the embedding e of an image, row g begins with what times (e, 1) is its logit of group g were all groups
 * equally frequent: what the groups step learned, over the embeddings themselves. It ends with what labelled images of
 * group g are told to be by what was learned without them, on average (ek_probe_told). Of groups that words describe,
 * [G, d + 1] of embeddings of unit length, and a row more is of none of them where that is allowed.
 */
#ifndef EK_PIPELINE_CLASSIFIER_H
#define EK_PIPELINE_CLASSIFIER_H

#include "analysis/cluster/components.h"
#include "analysis/cluster/probe.h"

/* Write that of a probe over components, with `told` [G, G]. EK_EIO, EK_ENOMEM. */
int ek_classifier_save(const struct ek_run *run, const struct ek_probe *probe, const double *told,
                       const struct ek_components *components);

/* Write that of words (words.h), whose probe is over embeddings of unit length. */
int ek_classifier_save_words(const struct ek_run *run, const struct ek_probe *probe);

/* The named groups of a run, and how to tell them. */
struct ek_classifier {
	uint32_t groups;   /* 0: the run has no named groups, or they cannot be told of other images */
	uint32_t rows;     /* of logits: groups, and one more where an image may be of none */
	int unit;          /* 1: of embeddings of unit length, by words */
	size_t d, columns; /* of embeddings; of a row of the file */
	struct ek_npy logits;
};
/* EK_EDATA: it does not fit the groups. Release in any case. */
int ek_classifier_open(struct ek_classifier *classifier, const struct ek_run *run);
void ek_classifier_release(struct ek_classifier *classifier);

/* q [rows->count, groups]: probabilities of each row as if groups were equally frequent, without that of none.
 * EK_EDATA: of other dimensions; `what` starts the message. */
int ek_classifier_tell(float *q, const struct ek_classifier *classifier, const struct ek_rows *rows, const char *what);
/* How far the shares of the groups go from even to where left-out labelled images say: labels tell photographs as they
 * told those, and what a generator made worse, so that following them far runs away (docs/evaluation.md). */
enum ek_classifier_rounds { EK_CLASSIFIER_MADE = 4, EK_CLASSIFIER_PHOTOGRAPHS = 16 };
/* Correct such probabilities for the shares that the groups have among these rows (ek_probe_unfold, then their mean is
 * the shares); those of words stay, as the run's own do. EK_ENOMEM. */
int ek_classifier_correct(float *q, const struct ek_classifier *classifier, uint64_t rows,
                          enum ek_classifier_rounds rounds);

#endif
