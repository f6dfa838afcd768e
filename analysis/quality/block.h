/* Rows as float64 matrices, their products and eigenvalues. The same for any number of threads. */
#ifndef EK_QUALITY_BLOCK_H
#define EK_QUALITY_BLOCK_H

#include "analysis/cluster/rows.h"

enum { EK_BLOCK_ROWS = 1024 };

/* Rows first … first+count-1, each as scale_i (x_i - mean), to out [count, dimensions].
 * mean: [dimensions], scale: [rows->count]; NULL: 0 and 1. */
int ek_block_read(double *out, const struct ek_rows *rows, uint64_t first, uint64_t count, const double *mean,
                  const double *scale);

/* The sum over all rows of z z', z = scale_i (x_i - mean), to out [dimensions, dimensions]; a block at a time.
 * EK_EDATA: more dimensions than LAPACK can index. EK_EINTERRUPTED. */
int ek_block_outer(double *out, const struct ek_rows *rows, const double *mean, const double *scale);

/* out [rows, columns] = a b'; a [rows, k], b [columns, k]. triangular: both have zeros left of their diagonals. */
int ek_block_multiply(double *out, const double *a, size_t rows, const double *b, size_t columns, size_t k,
                      int triangular);
/* out [rows, rows] = a a' of a [rows, k], both triangles. */
int ek_block_gram(double *out, const double *a, size_t rows, size_t k);

/* Eigenvalues of a symmetric matrix [n, n], ascending, to values [n]. With vectors 1, `a` is replaced by the
 * eigenvectors, one a row; else it is destroyed. */
int ek_block_eigen(double *values, double *a, size_t n, int vectors);

/* The eigenvalues alone, by another way, which large matrices (some hundreds of rows) take; n > 32. */
int ek_block_eigenvalues(double *values, double *a, size_t n);

/* A view of `want` rows drawn without replacement, in ascending order; *ids, which it refers to, is to be freed. */
int ek_block_draw(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, uint64_t want, uint64_t seed,
                  uint64_t stream);

/* EK_EDATA: dimensions differ. */
int ek_block_same_dimensions(size_t a, size_t b);

#endif
