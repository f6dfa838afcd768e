/*
 * Forgetting, from the losses of all images while a model learned (train/loop/losses.h): losses is [checks, images]
 * float32, the same draws at every check.
 *
 * rate:  the paper's, for generators: of the checks, the share at which the loss rose from the one before: the number
 * of c with l[c + 1] > l[c], divided by the number of checks. A loss that stays the same did not rise. count: the
 * classic one (Toneva et al. 2019), for which an image must be right or wrong: it counts as learned at a check where
 * its loss is at most `threshold`. The number of checks at which it was learned and is not at the next; an image that
 * is never learned gets as many as there are checks, more than any other.
 *
 * Losses that are not numbers make a score NaN.
 */
#ifndef EK_SCORE_FORGETTING_H
#define EK_SCORE_FORGETTING_H

#include <stdint.h>

/* out: [images]. checks ≥ 2. */
void ek_forgetting_rate(double *out, const float *losses, uint64_t checks, uint64_t images);
void ek_forgetting_count(double *out, const float *losses, uint64_t checks, uint64_t images, double threshold);

/* A threshold where none is given: the median of the last check, the lower of two. NaN where there are no numbers.
 * EK_ENOMEM. */
int ek_forgetting_threshold(double *threshold, const float *losses, uint64_t checks, uint64_t images);

#endif
