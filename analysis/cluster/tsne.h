/*
 * t-SNE, exact (van der Maaten and Hinton 2008): a picture in two dimensions of a few thousand rows.
 *
 * Start from the first two principal components, so that the picture keeps the large-scale order; perplexity 30 (less
 * for few rows), early exaggeration 12, 750 steps with momentum and gains, learning rate max(m / 48, 50). Exponentials
 * and logarithms are our own, so that the picture has the same bits for any number of threads and any processor.
 */
#ifndef EK_CLUSTER_TSNE_H
#define EK_CLUSTER_TSNE_H

#include <stddef.h>
#include <stdint.h>

/* x: [m, d] float32, row-major; xy: [m, 2], out, in 0 … 1 with one scale for both axes. O(m^2) time and memory.
 * Fewer than 8 rows: the principal components alone. EK_ENOMEM, EK_EINTERRUPTED. */
int ek_tsne(double *xy, const float *x, size_t m, size_t d, uint64_t seed);

#endif
