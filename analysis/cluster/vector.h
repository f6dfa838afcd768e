/*
 * Vectors: the few loops over dimensions that everything in this folder runs on.
 *
 * Sums are taken in float64 over 32 fixed lanes without fused multiply-add, so a result has the same bits on every
 * processor, whatever vector instructions it has.
 */
#ifndef EK_CLUSTER_VECTOR_H
#define EK_CLUSTER_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/tensor.h"

/* sum (a_j - b_j)^2; a, b: [d] float32. Its rounding error is below (d / 32 + 40) 2^-53 of it. */
double ek_vector_distance2(const float *a, const float *b, size_t d);

/* sum a_j b_j */
double ek_vector_dot(const float *a, const float *b, size_t d);

/* Below how many of the edges each of x [count] is. */
void ek_vector_below(int32_t *out, const float *x, const float *edges, size_t edge_count, size_t count);

/* The largest of x [d]; minus infinity of none. No NaNs. */
float ek_vector_largest(const float *x, size_t d);

/* sum += x; sum: [d] float64 */
void ek_vector_add(double *sum, const float *x, size_t d);
/* The same four times, in this order. */
void ek_vector_add_four(double *sum, const float *const x[4], size_t d);

/* x divided by its norm; a zero vector is left as it is. */
void ek_vector_unit(float *x, size_t d);

/* The squared norm of `rounded`, and of x - rounded; [d] each. */
void ek_vector_rounding(double *norm2, double *error2, const float *x, const ek_bf16 *rounded, size_t d);

/*
 * Products of a row with centroids to approximate squared distances: s_j = norm2 + norms2_j - 2 s_j, in float32, in
 * place; and the smallest and the second smallest of them (equal ones count apart).
 *
 * s, norms2: [count], count a multiple of 16; norms2 may be infinite
 */
void ek_vector_screen(float *s, const float *norms2, float norm2, size_t count, float *best, float *second);

/* out_j = e^x with x = -beta (distance_j - least), to within some 1e-15 of it; 0 unless -700 <= x <= 0. [count] */
void ek_vector_gaussian(double *out, const float *distance, double least, double beta, size_t count);

/* Of t-SNE, for point i of [m] points (x, y): with q_j = 1 / (1 + |y_i - y_j|^2), the sums over j of p_j q_j (y_i -
 * y_j), of q_j^2 (y_i - y_j), and of q_j without j = i. p: [m] float32. */
struct ek_attraction {
	double attract[2], repel[2], normaliser;
};
void ek_vector_attraction(struct ek_attraction *out, const float *p, const double *x, const double *y, size_t i,
                          size_t m);

#endif
