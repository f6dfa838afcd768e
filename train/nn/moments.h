/*
 * Sums over pairs of rows, and decompositions, in float64 on the GPU that rows are on (ek_nn_rows_there). The order of
 * sums is fixed: the same bits from run to run. They differ from the processor's by rounding alone.
 */
#ifndef EK_NN_MOMENTS_H
#define EK_NN_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/rows.h"

/* out [d, d] = the sum over all rows of z z', z = scale_i (x_i - mean); mean [d], scale [rows]; NULL: 0 and 1. */
int ek_nn_rows_outer(struct ek_nn_rows *rows, double *out, const double *mean, const double *scale);

/* The sum over i, j of (x_i y_j / d + 1)^3, x and y [count, d]; y NULL: of x with itself, without i = j. */
int ek_nn_kernel_sum(double *sum, const float *x, const float *y, size_t count, size_t d);

/* 1: the library for what follows, cuSOLVER, is there, too. */
int ek_nn_solver_there(void);
/* Eigenvalues of a symmetric matrix [n, n], ascending, to values [n]. EK_EDATA: they were not found. */
int ek_nn_eigenvalues(double *values, const double *a, size_t n);
/* Singular values of a matrix [rows, columns], falling, to values [the lesser]. */
int ek_nn_singular_values(double *values, const double *a, size_t rows, size_t columns);

#endif
