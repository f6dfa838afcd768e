/*
 * How well do two partitions of the same images agree? All from their contingency table a_ij: the number of images
 * that are in row i of one partition (the one that is judged, as clusters) and in column j of the other (as labels).
 *
 * Logarithms are natural. Sums are taken in the order of the cells, in double, pairs as exact integers, so a result
 * does not depend on the number of threads.
 */
#ifndef EK_SKEW_AGREEMENT_H
#define EK_SKEW_AGREEMENT_H

#include <stddef.h>
#include <stdint.h>

enum ek_agreement_measure {
	EK_PURITY,             /* sum_i max_j a_ij / n, 0 … 1; rises with the number of rows: never alone */
	EK_MUTUAL_INFORMATION, /* sum a_ij/n ln(n a_ij / (u_i v_j)), nats, ≥ 0 */
	EK_NMI,                /* MI / ((H(U) + H(V)) / 2), 0 … 1; 1 if both have one part */
	EK_ARI, /* (S - E) / ((A + B)/2 - E), -0.5 … 1 (Hubert and Arabie 1985); 1 if the partitions are equal */
	EK_AGREEMENT_MEASURES
};

/* "purity", "mutual_information", "nmi", "ari". */
extern const char *const ek_agreement_names[EK_AGREEMENT_MEASURES];

struct ek_agreement {
	double value[EK_AGREEMENT_MEASURES];
};

/* One cell of a sparse contingency table. */
struct ek_cell {
	uint32_t row, column;
	uint64_t count;
};

/*
 * Measure a sparse table.
 *
 * cells:         [cell_count] each (row, column) at most once, in any order; a count may be 0
 * rows, columns: above every cell's
 *
 * Returns 0, EK_ENOMEM, or EK_EDATA if all counts are 0 or their sum is 2^32 or more.
 */
int ek_agreement_from_cells(struct ek_agreement *out, const struct ek_cell *cells, size_t cell_count, size_t rows,
                            size_t columns);

/* The same of a dense table: [rows, columns] counts, row-major. */
int ek_agreement_from_table(struct ek_agreement *out, const uint64_t *table, size_t rows, size_t columns);

/* The same of a table [rows, columns] of numbers >= 0, one above 0: counts of a sample, or those that are `expected`
 * and need not be whole, whose pairs are the expected number of pairs. EK_ENOMEM. */
int ek_agreement_of(struct ek_agreement *out, const double *table, size_t rows, size_t columns, int expected);

#endif
