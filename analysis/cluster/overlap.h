/*
 * Two partitions of the same images against each other: their contingency table, agreement, and best matches.
 */
#ifndef EK_CLUSTER_OVERLAP_H
#define EK_CLUSTER_OVERLAP_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/skew/agreement.h"

/* The non-empty cells of the table of a [n], parts 0 … rows-1, and b [n], parts 0 … columns-1, by row and then column.
 * `*cells` is to be freed. O(n + cells) time, O(n + rows + columns) memory. EK_ENOMEM. */
int ek_overlap_cells(struct ek_cell **cells, size_t *cell_count, const int32_t *a, size_t rows, const int32_t *b,
                     size_t columns, uint64_t n);

/* Agreement of the two (analysis/skew/agreement.h). */
int ek_overlap_agreement(struct ek_agreement *out, const int32_t *a, size_t rows, const int32_t *b, size_t columns,
                         uint64_t n);

/* best [rows]: for each part of `a` the largest Jaccard index |A ∩ B| / |A ∪ B| over the parts of `b` (Hennig 2007,
 * "Cluster-wise assessment of cluster stability"); NaN for an empty part. EK_ENOMEM. */
int ek_overlap_jaccard(double *best, const int32_t *a, size_t rows, const int32_t *b, size_t columns, uint64_t n);

#endif
