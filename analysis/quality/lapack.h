/*
 * The BLAS and LAPACK that this folder needs, by their Fortran names: column-major, sizes by address, one hidden length
 * after all arguments for each letter.
 */
#ifndef EK_QUALITY_LAPACK_H
#define EK_QUALITY_LAPACK_H

#include <stddef.h>

/* c = alpha op(a) op(b) + beta c */
void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *b, const int *ldb, const double *beta, double *c,
            const int *ldc, size_t, size_t);
/* Cholesky */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
/* eigenvalues ascending to w; jobz V: vectors in place of a */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);
/* a = Q R; and T of Q = I - V T V' */
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
             int *info);
void dlarft_(const char *direct, const char *storev, const int *n, const int *k, const double *v, const int *ldv,
             const double *tau, double *t, const int *ldt, size_t, size_t);
/* a band to tridiagonal form, and its eigenvalues, ascending, to d */
void dsbtrd_(const char *vect, const char *uplo, const int *n, const int *kd, double *ab, const int *ldab, double *d,
             double *e, double *q, const int *ldq, double *work, int *info, size_t, size_t);
void dsterf_(const int *n, double *d, double *e, int *info);
/* singular values descending to s; jobz N: no vectors; a is destroyed */
void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
             const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info,
             size_t);

/*
 * OpenBLAS runs on this thread alone until ek_blas_leave of what is returned. Products are cut into pieces for
 * ek_parallel (block.h), so that bytes do not depend on threads. Decompositions wait for memory and, thousands of
 * times, for each other: threads of OpenMP gain little there, and spin where other programs want the processors, too.
 */
extern void omp_set_num_threads(int count);
extern int omp_get_max_threads(void);
static inline int ek_blas_enter(void)
{
	const int before = omp_get_max_threads();

	omp_set_num_threads(1);
	return before;
}
static inline void ek_blas_leave(int before)
{
	omp_set_num_threads(before);
}

#endif
