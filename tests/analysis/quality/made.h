/* Rows that tests/golden/make_neighbours.py makes, too, bit by bit the same. */
#ifndef EK_TESTS_QUALITY_MADE_H
#define EK_TESTS_QUALITY_MADE_H

#include "analysis/cluster/rows.h"

struct made {
	uint64_t n;
	size_t d;
	float *x;       /* [n, d] */
	uint16_t *half; /* [n, d] the same, what the view is of if `kind` is half */
	struct ek_npy array;
	struct ek_rows rows;
};

/* Of the integers 0 … n d - 1 and a seed: evenly drawn bits, and about normal numbers. */
uint64_t made_bits(uint64_t seed, uint64_t index);
double made_bell(uint64_t seed, uint64_t index);

/* kind: bell, lattice, alike, far, twice, half (in float16) or places (three). It must not be moved. */
void made_init(struct made *m, const char *kind, uint64_t seed, uint64_t n, size_t d);
void made_release(struct made *m);

#endif
