/* The inside of near.c: a search, its screen of few numbers a row (near_screen.c), its part on a device
 * (near_device.c). */
#ifndef EK_CLUSTER_NEAR_INTERNAL_H
#define EK_CLUSTER_NEAR_INTERNAL_H

#include <pthread.h>

#include "analysis/cluster/near.h"

struct ek_nn_matmul;

enum {
	EK_NEAR_TILE = 128,
	EK_NEAR_COLUMNS = 1024,
	EK_NEAR_LEFT = 4096 /* pairs of a tile, at most, that are decided one by one */
};

struct ek_near_worker {
	float *rows;     /* [TILE, d] */
	float *products; /* [TILE, COLUMNS] */
	void *matmul;
	struct {
		uint16_t row, column;
	} * left; /* [EK_NEAR_LEFT] pairs of a tile that the screen leaves; NULL without a screen */
	uint64_t pairs[EK_NEAR_MOST_EPS];
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
	double least;     /* 1 - largest eps */
	int near_only;    /* 1: pairs of a smaller cosine than that are nothing */
	double doubt;     /* what a product may be off */
	double work;      /* of a block */
	struct ek_nn_matmul *plan;
	struct ek_near_worker *workers;
	int worker_count;
	pthread_mutex_t lock; /* of components */

	/* the block of columns at hand: places first … first + count - 1 of the order */
	uint64_t first, count, segment_end;
	float *columns; /* [COLUMNS, d] */
	double *norms2; /* [COLUMNS] */
	void *packed;
	uint32_t *hits; /* [COLUMNS, COLUMNS] bit e: the pair counts at eps e; of pairs inside the block */

	struct ek_near_screen *screen; /* NULL until one is needed */
	int screened;                  /* 1: the segment at hand is */
};

double ek_near_cosine(const float *a, const float *b, double norm2_a, double norm2_b, size_t d);

/* The rows at two places of the order, the second the earlier one, have this cosine: noted, but for what greedy keeps.
 * Bit e of what it returns: the pair counts at eps e. One worker at a time for a place. */
uint32_t ek_near_note(struct ek_near_search *s, int worker, uint64_t place, uint64_t earlier, double cosine);

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
