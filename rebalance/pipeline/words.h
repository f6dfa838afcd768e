/*
 * Zero-shot groups (Radford et al. 2021): the probability that an image is of each of some groups that words describe,
 * by CLIP's features of both.
 *
 * A group's direction u_g is the mean of its prompts' text features, each of unit length, brought to unit length again;
 * q_ig = softmax over g of s cos(x_i, u_g), "none of these" being one of the rows. s is what the network was trained
 * with, 100 in OpenAI's: CLIP is well calibrated at it (Minderer et al. 2021). Where some images are labelled, s is
 * what makes their labels most likely.
 *
 * These are what a network says that saw captions of the web: it errs by group, so shares counted from it are not
 * estimates of the true ones; labels of images drawn at random correct that (analysis/skew/prediction.h).
 */
#ifndef EK_PIPELINE_WORDS_H
#define EK_PIPELINE_WORDS_H

#include "analysis/cluster/probe.h"
#include "analysis/cluster/rows.h"
#include "rebalance/pipeline/group_words.h"

/* The rows' directions in image features as a probe of them: probe->w [groups + none, dimensions + 1], its temperature
 * 1 / s. weights: a file with CLIP's text tower. Prompts that are longer than its context are warned of. EK_EDATA: no
 * such file, or features of another number; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED. Release in any case. */
int ek_words_probe(struct ek_probe *probe, const struct ek_group_words *words, const char *path, const char *weights,
                   size_t dimensions);

/* Set the probe's temperature by labelled images: ids [count], and their rows row [count] of the words. */
int ek_words_calibrate(struct ek_probe *probe, const struct ek_rows *all, const uint64_t *ids, const uint32_t *row,
                       uint64_t count);

/* q: [n, groups] of all images, out: the probabilities without that of none, so that the rest of a row is that. */
int ek_words_predict(float *q, const struct ek_probe *probe, const struct ek_rows *all, uint32_t groups);

#endif
