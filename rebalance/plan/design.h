/*
 * Weights of single images from where they lie, without labels or clusters. Each is relative: mean 1, all above 0.
 *
 * D-optimal design (Kiefer and Wolfowitz 1960; multiplicative algorithm of Titterington 1976 and of Silvey,
 *Titterington and Torsney 1978): x_i = the image's components with a leading 1, d + 1 numbers. From w = 1/n, w_i <- w_i
 *· x_i' M^-1 x_i / (d + 1),  M = sum over i of w_i x_i x_i', which never lowers log det M. The weights that maximise it
 *spread the sample over the directions the data have. x_i' M^-1 x_i at w = 1/n is the leverage, of mean d + 1: how far
 *an image lies from all others, in their own measure.
 *
 * Vendi weights (our method): those that maximise the weighted Vendi score (Friedman and Dieng 2023), the von Neumann
 * entropy of M = sum over i of w_i x_i x_i' for rows of unit length:
 *	w_i <- w_i exp(-x_i' ln(M) x_i) / Z
 * (Blahut 1972 and Arimoto 1972 for pure states; never lowers the entropy).
 *
 * Memory: 12 bytes a row beside the rows. Time: two passes of rows · d² multiply-adds a round. The same bytes for any
 * number of threads.
 */
#ifndef EK_PLAN_DESIGN_H
#define EK_PLAN_DESIGN_H

#include <stddef.h>
#include <stdint.h>

/* w: [n], out. x: [n, d] float32. rounds: at most so many; it ends earlier where nothing is gained any more.
 * EK_EDATA: the rows lie in fewer than d dimensions; EK_ENOMEM, EK_EINTERRUPTED. */
int ek_design_weights(double *w, const float *x, uint64_t n, size_t d, int rounds);
/* out: [n] x_i' M^-1 x_i at equal weights, less the leading 1's part: 0 at the mean of all rows. */
int ek_design_leverage(double *out, const float *x, uint64_t n, size_t d);
/* Likewise; rows of zeros count as equally far from all. */
int ek_vendi_weights(double *w, const float *x, uint64_t n, size_t d, int rounds);

/* Share of the n images that weights are worth: (sum w)² / (n sum w²), 0 … 1. */
double ek_weights_worth(const double *w, uint64_t n);
/* w^a with the largest a in 0 … 1 at which they are worth `share` or more; to mean 1. Returns a. */
double ek_weights_temper(double *w, uint64_t n, double share);

#endif
