/*
 * Rows: a view of the embeddings, without a copy. Some or all rows of an [n, d] array, read one at a time as float32,
 * scaled to unit length if asked.
 */
#ifndef EK_CLUSTER_ROWS_H
#define EK_CLUSTER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/npy.h"

struct ek_rows {
	const struct ek_npy *array; /* [*, dimensions], any floating type; must outlive the view */
	const uint64_t *ids;        /* [count] rows of the array, or NULL: all, in order; borrowed */
	uint64_t count;
	size_t dimensions;
	int unit; /* 1: each row divided by its Euclidean norm (taken in float64); a zero row stays zero */
};

/* All rows. EK_EDATA: not two-dimensional, not floating point, no rows or no columns. */
int ek_rows_of(struct ek_rows *rows, const struct ek_npy *array, int unit);

/* An array in memory as something rows can be taken of: data [count, dimensions] float32, borrowed. */
struct ek_npy ek_rows_memory(const float *data, uint64_t count, size_t dimensions);

/* Row i to out [dimensions] float32. */
void ek_rows_read(float *out, const struct ek_rows *rows, uint64_t i);
/* Row i in place if the array holds it as it is read, else read to room [dimensions]. */
const float *ek_rows_at(const struct ek_rows *rows, uint64_t i, float *room);

/* The mean of all rows in float64, to mean [dimensions]; the same for any number of threads.
 * EK_EDATA names the first row that holds a NaN or an infinity. */
int ek_rows_mean(double *mean, const struct ek_rows *rows);

/* How many different rows there are, counted up to `most`. EK_ENOMEM, EK_EINTERRUPTED. */
int ek_rows_different(uint64_t *count, const struct ek_rows *rows, uint64_t most);

/* `want` different numbers of 0 … n-1 in ascending order, each set equally likely (Knuth's algorithm S), to ids [want].
 * want ≤ n. A function of (seed, stream, n, want). */
void ek_rows_sample(uint64_t *ids, uint64_t want, uint64_t n, uint64_t seed, uint64_t stream);

#endif
