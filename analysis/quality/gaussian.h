/*
 * Features as a Gaussian, and the Fréchet distance of two of them (FID when the features are FID-Inception's pool3; of
 * any other encoder it is FD-<encoder>).
 *
 * FD = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr((S1 S2)^(1/2)), with m and S mean and covariance, divisor n - 1
 * (Heusel et al. 2017; pytorch-fid, torch-fidelity, clean-fid). The last trace is the sum of the singular values of
 * F1 F2' for any F with F'F = S. F is
 *  - the centred rows by 1/sqrt(n - 1), where rows are given and are fewer than d: exact although S is singular;
 *  - else the Cholesky factor of S;
 *  - if there is none (S is singular): V' by the square roots of the eigenvalues of S = V diag(w) V' that are more than
 *    rounding errors, w > d eps max w.
 * With two Cholesky factors they are taken as the roots of the eigenvalues of F1 F2' F2 F1', which is faster, unless
 * rounding could then change the distance by 1e-6 of it. No complex numbers anywhere, and never below 0.
 * Everything is in float64, and the same for any number of threads.
 */
#ifndef EK_QUALITY_GAUSSIAN_H
#define EK_QUALITY_GAUSSIAN_H

#include "analysis/cluster/rows.h"

struct ek_gaussian {
	size_t d;
	uint64_t n;         /* rows it was taken of; 0: not known (a file) */
	double *mean;       /* [d] */
	double *covariance; /* [d, d], divisor n - 1 */
};

/* Of rows, in blocks. EK_EDATA: fewer than 2 rows, or the first row that holds a NaN or an infinity. Release in any
 * case. */
int ek_gaussian_of(struct ek_gaussian *out, const struct ek_rows *rows);
/* pytorch-fid's and clean-fid's .npz with `mu` [d] and `sigma` [d, d], float64 or float32, stored or deflated.
 * EK_EIO, EK_EDATA. */
int ek_gaussian_load(struct ek_gaussian *out, const char *path);
/* Such a file, which numpy.load and pytorch-fid read; atomic. */
int ek_gaussian_save(const struct ek_gaussian *gaussian, const char *path);
void ek_gaussian_release(struct ek_gaussian *gaussian);

/* The distance of two Gaussians of the same d; 0 if they are the same. EK_EDATA: dimensions differ, a matrix has
 * clearly negative eigenvalues or cannot be decomposed (not finite, more than 32,765 dimensions). */
int ek_frechet(double *out, const struct ek_gaussian *a, const struct ek_gaussian *b);
/* The distance of rows, as above; as ek_gaussian_of and ek_frechet may fail. */
int ek_frechet_of_rows(double *out, const struct ek_rows *x, const struct ek_rows *y);

/*
 * FD-infinity (Chong and Forsyth 2020; as dgm-eval): the distance at `sizes` subset sizes, evenly from
 * min(5000, max(M/10, 2)) to M of the generated rows drawn without replacement; the intercept of the least-squares line
 * of FD on 1/size. The draws are a function of `seed`. EK_EDATA: fewer than 4 generated rows, and as above. EK_EUSAGE:
 * fewer than 2 sizes. EK_EINTERRUPTED. Reports progress.
 */
struct ek_frechet_infinity {
	double value, slope;
	uint32_t sizes;
	uint64_t smallest, largest; /* subset sizes */
};
int ek_frechet_infinity(struct ek_frechet_infinity *out, const struct ek_rows *reference,
                        const struct ek_rows *generated, uint32_t sizes, uint64_t seed);

#endif
