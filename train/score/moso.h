/*
 * MoSo, moving-one-sample-out (Tan et al. 2023): how much the gradient of all that is learned from, and with it the
 * loss, would lose with an image; by a first-order approximation along a training on N images. At each of some
 * checkpoints, with gbar the mean of the images' gradients, g an image's own (pass.h), and `rate` the learning rate
 * there:
 *
 *     short score: rate · <gbar - g/N, g>
 *     full score:  rate · ((2N-3)/(N-1)^2 |gbar|^2 - |g|^2/(N-1)^2 + (2N-4)/(N-1)^2 <gbar - g/N, g>)
 *
 * and a score is the sum over the checkpoints. The largest are kept.
 */
#ifndef EK_SCORE_MOSO_H
#define EK_SCORE_MOSO_H

#include <stddef.h>
#include <stdint.h>

struct ek_moso_at {
	uint64_t images; /* N ≥ 2 */
	double rate;
	double mean_square; /* |gbar|^2; for the full score */
};

/* product: <gbar, g>; square: |g|^2. */
double ek_moso_short(const struct ek_moso_at *at, double product, double square);
double ek_moso_full(const struct ek_moso_at *at, double product, double square);

/* gbar = sum / images, rounded to float32, and |gbar|^2 of that. sum: [size] float64; mean: [size], out. */
double ek_moso_mean(float *mean, const double *sum, size_t size, uint64_t images);

#endif
