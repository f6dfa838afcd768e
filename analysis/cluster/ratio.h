/*
 * The density ratio of a reference set to the images of a run: how much more often such an image is in the reference
 * (Choi, Grover, Singh, Shu, Ermon 2020). A classifier c(x) = P(reference | x) with balanced classes, cross-fitted: the
 * value of an image that it learned from comes from one that did not; w = c / (1 - c), clipped.
 *
 * The classifier is kernel logistic regression: a probe (probe.h) with C = 10 over the features of the kernel
 * exp((cosine - 1) / 0.6) of the first 64 components, the mean of an image's views standing for it. Few images tell
 * little of straight directions, but something of what is near: the kernel, which knows both, mends more on every set
 * than a probe over the components did. A temperature besides, calibrated on left-out rows, was tried: it flattens the
 * ratio and mends less (docs/recovery.md). Of more than 512 rows the kernel is Nyström's, by 512 landmarks of them.
 */
#ifndef EK_CLUSTER_RATIO_H
#define EK_CLUSTER_RATIO_H

#include "analysis/cluster/probe.h"

/* A ratio is at least 1 / EK_RATIO_MOST and at most EK_RATIO_MOST. */
#define EK_RATIO_MOST 50.0
enum { EK_RATIO_COMPONENTS = 64 }; /* no more are looked at */
enum { EK_RATIO_RUN = 400 }; /* images of the run that are told from the reference, at least as many as that has */

/*
 * w: [n] out. x: [n, stride] components of the images of the run. rows: those to tell apart, of group 0 the reference,
 * of group 1 images of the run, each with its views, weighed so that both groups count alike (ek_ratio_balance); ids:
 * which of the n each is, n and above: none. EK_EDATA: fewer than 10 of either; EK_ENOMEM, EK_EINTERRUPTED. The same
 * for any number of threads.
 */
int ek_ratio(double *w, const struct ek_probe_rows *rows, const uint64_t *ids, const float *x, uint64_t n,
             uint64_t seed);

/* weight: [images] so that groups 0 and 1 sum to as much each, and all to the number of images. */
void ek_ratio_balance(double *weight, const uint32_t *group, uint64_t images);

#endif
