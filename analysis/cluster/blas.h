/* Dense linear algebra in float64, by OpenBLAS and LAPACK. The same bytes for any number of threads: work is cut into
 * panels of fixed size, each computed by one thread. */
#ifndef EK_CLUSTER_BLAS_H
#define EK_CLUSTER_BLAS_H

#include <stddef.h>
#include <stdint.h>

/* BLAS and LAPACK on the calling thread alone, until `together` with what this returns: pieces run side by side, and
 * teams of BLAS's own inside each would only fight for the processors. */
int ek_blas_alone(void);
void ek_blas_together(int before);

/* a [d, d] += x' x for x [count, d], row-major; the upper triangle only, on all threads. */
int ek_blas_add_gram(double *a, const double *x, size_t count, size_t d);
/* Copy the upper triangle to the lower one. */
void ek_blas_mirror(double *a, size_t d);

/* out [count, k] = x [count, d] axes' for axes [k, d], on the calling thread. */
void ek_blas_multiply(double *out, const double *x, size_t count, size_t d, const double *axes, size_t k);

/*
 * The `k` largest eigenvalues of a u = value b u, largest first, with vectors [k, d] scaled to u' b u = 1; the sign of
 * each is that its largest entry by magnitude (the first of equals) is positive. a, b: [d, d] symmetric, destroyed;
 * b NULL: the identity. EK_EDATA: b is not positive definite, or LAPACK found no solution.
 */
int ek_blas_eigen(double *values, double *vectors, size_t k, double *a, double *b, size_t d);

/* a [d, d] symmetric positive definite (upper triangle) becomes its inverse Cholesky factor: l with a^-1 = l' l, lower
 * triangle, the upper one zero; *log_det (may be NULL) = ln det a. EK_EDATA: it is not positive definite. */
int ek_blas_whiten(double *a, size_t d, double *log_det);

#endif
