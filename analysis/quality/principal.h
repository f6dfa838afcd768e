/* Principal components of rows, and rows in them. Internal to this folder. */
#ifndef EK_QUALITY_PRINCIPAL_H
#define EK_QUALITY_PRINCIPAL_H

#include "analysis/cluster/rows.h"

struct ek_principal {
	size_t d, k;
	double *mean; /* [d] */
	double *axes; /* [k, d] orthonormal, the largest variance first; their signs are arbitrary */
};

/* The first min(most, d, count - 1) components: eigenvectors of the covariance, which is summed in float64 in the order
 * of the rows, so that the result is the same for any number of threads. EK_EDATA: fewer than 2 rows, not finite.
 * EK_EINTERRUPTED. Release in any case. */
int ek_principal_of(struct ek_principal *out, const struct ek_rows *rows, size_t most);
void ek_principal_release(struct ek_principal *principal);

/* The rows less the mean along the axes, to out [count, k] float32. */
int ek_principal_project(float *out, const struct ek_principal *principal, const struct ek_rows *rows);

#endif
