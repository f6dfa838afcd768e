/*
 * Rows in their own principal components: the same distances in few dimensions, so that many clusterings are cheap.
 */
#ifndef EK_CLUSTER_COORDINATES_H
#define EK_CLUSTER_COORDINATES_H

#include "analysis/cluster/rows.h"

/*
 * `*out` = [rows->count, *k], to be freed: the rows less their mean along their first *k principal components, the
 * largest variance first; *k = `most`, or as many as vary. By the eigenvectors of the smaller of covariance and Gram
 * matrix, in float64; the same bytes for any number of threads.
 *
 * EK_EDATA: fewer than 2 rows, rows that do not differ, or not finite. EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_coordinates(float **out, size_t *k, const struct ek_rows *rows, size_t most);

#endif
