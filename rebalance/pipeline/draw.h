/* The order in which a trainer visits the images of an epoch: ids by weights or of a subset (rebalance/plan/sampler.h).
 */
#ifndef EK_PIPELINE_DRAW_H
#define EK_PIPELINE_DRAW_H

#include "rebalance/io/run.h"

struct ek_draw_options {
	const char *weights, *subset; /* names in the run; one of them */
	const char *output;           /* .npy to write, int64; NULL: each piece goes to `take` */
	int64_t epoch, rank;          /* from 0 on */
	int64_t world;                /* processes; rank r takes positions r, r + world, … */
	int64_t start;                /* position of the epoch, counted over all processes */
	int64_t count;                /* ids; 0: to the end of the epoch */
	int64_t seed;
	void (*take)(void *context, const int64_t *ids, uint64_t count);
	void *context;
};

struct ek_drawn {
	uint64_t count, length; /* ids that were drawn; positions of the epoch */
};

/* EK_EUSAGE: neither or both of weights and subset, a rank or count that does not fit; EK_EDATA: no such plan, or a
 * stale one; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED: `output` is as it was. */
int ek_do_draw(struct ek_drawn *out, struct ek_run *run, const struct ek_draw_options *options);

#endif
