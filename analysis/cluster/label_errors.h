/*
 * Label errors: which labels are likely wrong, by probabilities from probes that did not learn from the image, and
 * confident learning (Northcutt, Jiang, Chuang 2021). Given the same probabilities, all is equal to cleanlab 2.9.
 *
 * The threshold of class k is the mean of p_k over the images labelled k. An image is confidently of class k if p_k
 * reaches that (less 1e-6); of several, of the most likely of all. joint[given, true] counts images that are
 * confidently of a class; calibrated: each row scaled to sum to the images of that label, rounded with the total kept.
 *
 * Quality of a label, low: likely wrong. self-confidence: p of the given label; normalised-margin: (p of the given
 * label less the largest other, plus 1) / 2.
 */
#ifndef EK_CLUSTER_LABEL_ERRORS_H
#define EK_CLUSTER_LABEL_ERRORS_H

#include "analysis/cluster/softmax.h"

enum ek_label_quality { EK_LABEL_SELF_CONFIDENCE, EK_LABEL_NORMALISED_MARGIN };

/* Which images are called wrong, and never one whose given label is the most likely. */
enum ek_label_filter {
	EK_LABEL_BY_NOISE_RATE, /* of each pair (given, true) as many as the joint says, those of the largest p_true -
	                         * p_given
	                         */
	EK_LABEL_BY_CLASS, /* of each given label as many as the joint says are others, those of the smallest p_given */
	EK_LABEL_BY_BOTH,  /* both */
	EK_LABEL_CONFIDENT /* those that are confidently of another class */
};

/*
 * Out-of-sample probabilities: p [data->rows->count, classes], of each row from a classifier that learned from the
 * other folds; rows are dealt to folds class by class, in an order of the seed. `*accuracy`: the share of rows whose
 * given label is the most likely. Classes of a single row cannot be judged: do not pass them.
 * The same bytes for any number of threads: folds run side by side. EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_label_errors_cross(float *p, double *accuracy, const struct ek_softmax_data *data, uint32_t folds,
                          const struct ek_softmax_options *options);

/* p [n, classes], label [n]: the given ones; joint: [classes, classes] out, calibrated, [given, true]. EK_ENOMEM. */
int ek_label_errors_joint(uint64_t *joint, const float *p, const uint32_t *label, uint64_t n, uint32_t classes);

/* is_error: [n] out, 1: likely wrong. joint: as above. EK_ENOMEM. */
int ek_label_errors_find(uint8_t *is_error, enum ek_label_filter filter, const float *p, const uint32_t *label,
                         uint64_t n, uint32_t classes, const uint64_t *joint);

/* Of one row p [classes], 0 … 1. */
float ek_label_errors_quality(enum ek_label_quality how, const float *p, uint32_t classes, uint32_t label);
/* The most likely class of a row. */
uint32_t ek_label_errors_suggest(const float *p, uint32_t classes);

#endif
