/*
 * Large results against digests: the C side of tests/golden/digests.py, which says what they hold and why these bounds.
 */
#ifndef EK_TESTS_DIGEST_H
#define EK_TESTS_DIGEST_H

#include "tests/support/support.h"

/* How far x [count] is from the digest `golden`, in units of `tolerance` relative to the digest's norm (absolute where
 * that is 0): at most 1 if it is within the bounds. Infinite for a NaN, or another number of elements. */
double ek_digest_distance(const cJSON *golden, const float *x, size_t count, double tolerance);

/* The digest's deviation of a run in "f32" or "bf16". */
double ek_digest_deviation(const cJSON *golden, const char *type);

/* The input {"array", "name", "shape", "scale", "offset"} named `array` of a case's "inputs", to be freed; `*count` its
 * numbers. Fails the test if there is none. */
float *ek_digest_input(const cJSON *golden, const char *array, size_t *count);

#endif
