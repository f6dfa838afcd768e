/* The inside of near.c: a search, a row of it (near_scan.c), its screen of few numbers a row (near_screen.c), its part
 * on a device (near_device.c). */
#ifndef EK_CLUSTER_NEAR_INTERNAL_H
#define EK_CLUSTER_NEAR_INTERNAL_H

#include <math.h>
#include <stdatomic.h>

#include "analysis/cluster/near.h"

struct ek_nn_matmul;

enum {
	EK_NEAR_TILE = 128,
	EK_NEAR_COLUMNS = 1024,
	EK_NEAR_LEFT = 4096 /* pairs of a tile, at most, that are decided one by one */
};

struct ek_near_worker {
	float *rows, *hats; /* [TILE, d] rows, and less the block's centre */
	float *products;    /* [TILE, COLUMNS] */
	int32_t *codes;     /* [COLUMNS] */
	void *matmul;
	struct {
		uint16_t row, column;
	} * left; /* [EK_NEAR_LEFT] pairs of a tile that the screen leaves; NULL without a screen */
	uint64_t pairs[EK_NEAR_MOST_EPS]; /* by level */
};

struct ek_near_search {
	struct ek_near *out;
	const struct ek_rows *rows;
	const uint32_t *order;
	size_t d;
	double *best;     /* [n] exact cosine to the partner, by row */
	uint32_t *place;  /* [n] the partner's in the order */
	double *units2;   /* [n] squared norms by place, of segments that go to a device; NULL: of none */
	uint8_t *counted; /* [n] 1: the component of this root is counted */
	int near_only;    /* 1: pairs of a cosine of `least` or less are nothing */

	/* Levels: the eps from the smallest on. A pair of a level counts at that eps and at all later ones. */
	int levels, eps_at[EK_NEAR_MOST_EPS];
	double above[EK_NEAR_MOST_EPS];   /* 1 - eps */
	uint32_t masks[EK_NEAR_MOST_EPS]; /* bits of the eps that a pair of the level counts at */
	double least;                     /* 1 - largest eps */
	_Atomic uint32_t *parent;         /* [levels, n] the components: no root is above what leads to it */

	double gamma; /* of near_scan.c */
	double rest;  /* what cosines in float64 may be off, made in two ways */
	double work;  /* of a block */
	struct ek_nn_matmul *plan;
	struct ek_near_worker *workers;
	int worker_count;

	/* the block of columns at hand: places first … first + count - 1 of the order */
	uint64_t first, count, segment_end;
	float *columns, *hats; /* [COLUMNS, d] rows, and less the centre */
	float *centre;         /* [d] near the block's mean */
	double *norms2;        /* [COLUMNS] */
	double *radii;         /* [COLUMNS] norms of the hats */
	float *screen2;        /* [COLUMNS] squares of them; infinite: not of unit length, its pairs are measured */
	double largest;        /* of the radii */
	uint32_t *labels;      /* [levels, COLUMNS] components when the block was taken */
	uint32_t *column_kept; /* [COLUMNS] what is kept of it, once that is settled */
	int odd;               /* 1: some column is not of unit length */
	void *packed;
	uint32_t *hits; /* [COLUMNS, COLUMNS] bit e: the pair counts at eps e; of pairs inside the block */

	struct ek_near_screen *screen; /* NULL until one is needed */
	int screened;                  /* 1: the segment at hand is */
};

/* Are rows of this squared norm of unit length, but for rounding? Others, of zeros, have all their pairs measured. */
#define EK_NEAR_UNIT 1e-6
static inline int ek_near_is_unit(double norm2)
{
	return fabs(norm2 - 1) <= EK_NEAR_UNIT;
}

double ek_near_cosine(const float *a, const float *b, double norm2_a, double norm2_b, size_t d);

/*
 * The rows at two places of the order, the second the earlier one, have a cosine of low to high: noted, but for what
 * greedy keeps, if that says all there is to say. One worker at a time for a place.
 * 0: it does not, so take their cosine as both; 1: *mask bit e: the pair counts at eps e.
 */
int ek_near_note(uint32_t *mask, struct ek_near_search *s, int worker, uint64_t place, uint64_t earlier, double low,
                 double high);

/* The row at a place and column c of the block have this cosine. */
void ek_near_take(struct ek_near_search *s, int worker, uint64_t place, uint64_t c, double cosine);
/* Two rows are of one component from this level on. */
void ek_near_join(struct ek_near_search *s, uint32_t a, uint32_t b, int level);

/* Once, for rows of d numbers. */
void ek_near_aim(struct ek_near_search *s);
/* Row i of the worker's tile, at `place`, against the columns before it, of which there are products. */
void ek_near_scan(struct ek_near_search *s, int worker, size_t i, uint64_t place);

/* Make the screen of the rows at start … end - 1 of the order, a segment, if it is worth one: s->screened. */
int ek_near_screen_rows(struct ek_near_search *s, uint64_t start, uint64_t end);
/* Take the block of columns at hand. */
int ek_near_screen_columns(struct ek_near_search *s);
/* The pairs of `count` rows from a place on with columns before them that may be near, row by row, to the worker's
 * `left`; *left = how many, or more than EK_NEAR_LEFT. */
int ek_near_screen_tile(size_t *left, struct ek_near_search *s, uint64_t place, size_t count, int worker);
void ek_near_screen_free(struct ek_near_search *s);

/* 1: the halves of these rows are worth comparing on a device. */
int ek_near_is_worth_device(const struct ek_near_search *s, uint64_t start, uint64_t end);

/* Norms of a segment's rows, for the device; *units 0: some row is not of unit length (zeros), and none goes there. */
int ek_near_measure(int *units, struct ek_near_search *s, uint64_t start, uint64_t end);

/* On the device, the rows at middle … end - 1 against those at start … middle - 1, of which it is decided whether they
 * are kept. What ek_nn_rows_within returns. */
int ek_near_across(struct ek_near_search *s, uint64_t start, uint64_t middle, uint64_t end);

#endif
