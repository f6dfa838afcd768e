/*
 * Vectors: the few loops over dimensions that everything in this folder runs on.
 *
 * Sums are taken in float64 over 32 fixed lanes without fused multiply-add, so a result has the same bits on every
 * processor, whatever vector instructions it has.
 */
#ifndef EK_CLUSTER_VECTOR_H
#define EK_CLUSTER_VECTOR_H

#include <stddef.h>

/* sum (a_j - b_j)^2; a, b: [d] float32. Its rounding error is below (d / 32 + 40) 2^-53 of it. */
double ek_vector_distance2(const float *a, const float *b, size_t d);

/* sum a_j b_j */
double ek_vector_dot(const float *a, const float *b, size_t d);

/* sum += x; sum: [d] float64 */
void ek_vector_add(double *sum, const float *x, size_t d);

/* x divided by its norm; a zero vector is left as it is. */
void ek_vector_unit(float *x, size_t d);

#endif
