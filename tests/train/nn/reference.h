/*
 * What the twins of train/nn share: numbers in plain C with double accumulators, poisoned results, comparing.
 */
#ifndef EK_TESTS_NN_REFERENCE_H
#define EK_TESTS_NN_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/activation.h"
#include "train/nn/tensor.h"

double ref_activate(enum ek_nn_activation activation, double x);

/* out[m, n] = a[m, k] · b[n, k]^T */
void ref_matmul(double *out, const float *a, const float *b, size_t m, size_t n, size_t k);

/* Round to bfloat16 and back, in place: what a bf16 net makes of its inputs and weights. */
void ref_round_bf16(float *x, size_t count);

/* Deterministic standard normal values. */
void ref_fill(float *x, size_t count, uint64_t stream);
/* An array of `count` NaNs with a guard band of 64 after it (to be freed), and a check that the guard is whole
 * and no value is NaN. */
float *ref_poisoned(size_t count);
int ref_is_whole(const float *x, size_t count);

/* |got - want| <= absolute + relative · |want| everywhere, or the test fails and names the case. */
void ref_compare(const char *name, const float *got, const float *want, size_t count, double absolute, double relative);

#endif
