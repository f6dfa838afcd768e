/*
 * All pairs of two sets of rows, a tile at a time, screened with float32 products. Internal to this folder.
 *
 * Rows x and y are moved by a centre c near their mean: x^ = fl(x - c), h = |x^|^2 in float64. With p the float32
 * product of x^ and y^, u = 2^-24 and d dimensions, the squared distance D^2 of x and y obeys
 *
 *     |h_x + h_y - 2p - D^2| <= g (h_x + h_y) + tiny,   g = (d + 16) u / (1 - (d + 16) u)
 *
 * because, in units of u (h_x + h_y): the product is off by d |x^||y^| at most whatever the order of its sums (Higham,
 * Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), and 2|x^||y^| <= h_x + h_y: d; moving rounds
 * each vector by u of its norm, so D by u (|x^| + |y^|) and D^2 by 4.1; the float32 sums below add 8 at most.
 * `tiny` is for products that underflow. So with low_x = (1 - g) h_x - tiny and doubt_x = 2 (g h_x + tiny), in float32,
 *
 *     low = (low_x + low_y) - 2p <= D^2 <= low + doubt_x + doubt_y.
 *
 * A row whose square could overflow gets low -infinity and doubt infinity: nothing is known of its pairs.
 */
#ifndef EK_QUALITY_PAIRS_H
#define EK_QUALITY_PAIRS_H

#include "analysis/cluster/rows.h"

enum {
	EK_PAIRS_ROWS = 1024,    /* rows of a tile at most */
	EK_PAIRS_COLUMNS = 2048, /* columns of a block at most */
	EK_PAIRS_LANES = 16      /* arrays of [size] are filled up to a multiple of it */
};

/* Consecutive rows of a view. */
struct ek_tile {
	uint64_t first;
	size_t count, capacity, size; /* size: count filled up */
	const float **row;            /* [count] as they are */
	float *room;                  /* [capacity, d] of those that are not in place */
	float *moved;                 /* [capacity, d] */
	float *low, *doubt;           /* [size]; NaN in what was filled up */
};

struct ek_pairs {
	const struct ek_rows *rows, *columns;
	size_t d;
	float *centre; /* [d] */
	double g, tiny;
	struct ek_tile block;  /* columns at hand */
	struct ek_tile *tiles; /* [slots] */
	float **products;      /* [slots] [EK_PAIRS_ROWS, block.size] */
	int slots;             /* one for each thread */
};

/* `columns` may be `rows`. EK_EDATA: dimensions differ, or a row that is not finite. Release in any case. */
int ek_pairs_init(struct ek_pairs *pairs, const struct ek_rows *rows, const struct ek_rows *columns);
void ek_pairs_release(struct ek_pairs *pairs);

/* Take the columns from `first` as the block, by all threads. */
int ek_pairs_block(struct ek_pairs *pairs, uint64_t first);
/* Take up to EK_PAIRS_ROWS rows from `first` into a slot's tile. */
void ek_pairs_tile(struct ek_pairs *pairs, int slot, uint64_t first);
/* The products of a slot's tile with the columns from `from` on; on this thread. */
void ek_pairs_multiply(struct ek_pairs *pairs, int slot, size_t from);
/* BLAS and LAPACK on the calling thread alone, until `together` with what this returns: pieces run side by side, and
 * teams of BLAS's own inside each would only fight for the processors. */
int ek_pairs_alone(void);
void ek_pairs_together(int before);
/* The squared distance in float64 of row i of a tile and row j of another. */
double ek_pairs_measure(const struct ek_pairs *pairs, const struct ek_tile *a, size_t i, const struct ek_tile *b,
                        size_t j);

/*
 * Loops over a row of products. n: a multiple of EK_PAIRS_LANES; low, doubt, limits: [n].
 *
 * Each begins with p = (low + own) - 2 p in place.
 */
/* 1 if some p <= limit; hit[j] becomes -1 where p <= limits[j]. */
int ek_pairs_within(float *p, const float *low, float own, float limit, const float *limits, int32_t *hit, size_t n);
/* The largest numerator / (p + doubt + own_doubt); 0 if there is none above. */
float ek_pairs_ratio(float *p, const float *low, float own, const float *doubt, float own_doubt, const float *numerator,
                     size_t n);
/* Of such p the places where p <= limit, p <= limits or not p ratio > numerator, ascending; how many. hits: [n] */
size_t ek_pairs_hits(uint32_t *hits, const float *p, float limit, const float *limits, float ratio,
                     const float *numerator, size_t n);

/* Float32 around a float64 that may itself be off by some roundings. */
float ek_pairs_above(double x);
float ek_pairs_below(double x);

#endif
