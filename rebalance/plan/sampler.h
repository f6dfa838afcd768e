/*
 * The sampler: in what order a trainer visits images so that every unit (cluster, label, group …) gets its share of the
 * visits and the images of a unit are visited evenly.
 *
 * The image at position i of epoch e is a pure function of (seed, e, i). Rank r of R takes the positions r, r + R,
 * r + 2 R, …; any start costs the same; nothing of the size of the data set is read or made.
 *
 * Which unit. An epoch is cut into blocks of EK_SAMPLER_BLOCK positions (the last one may be shorter). A block of b
 * positions has b slots; slot s goes to the unit whose part of the cumulative shares holds (s + u) / b: systematic
 * sampling (Madow 1949), exact in integers of 2^-62. The offsets u of successive blocks are a van der Corput sequence
 * with a random digital shift, so a share too small for a slot in every block gets one in the right fraction of them.
 * The slots of a block then lie on its positions in an order shuffled by (seed, block).
 *
 * Which image. Each unit has a deck; its t-th visit, counted from the first epoch on, takes card t mod size of pass
 * t / size, and each pass is shuffled anew (deck.h). How many visits a unit had before a block is known in closed form,
 * by counting van der Corput points below a bound, one step a binary digit.
 *
 * Why not an alias table: independent draws of units would give the same shares on average, but how often a unit came
 * before position i could then only be known by drawing all of them, and with it which card is next. Here
 *  - every unit has its share over all seeds at every position, and in each epoch up to a few visits (log2 of its
 *    blocks), instead of the square root of its visits;
 *  - within a pass no image of a unit comes twice, in the order of positions, over the ends of epochs too: a unit of
 *    which an epoch shows a third is seen whole in three epochs;
 *  - units of successive positions are independent up to 1 / EK_SAMPLER_BLOCK.
 * A plain subset is one unit: every epoch is one pass, each image (or repeat) once, in another order.
 */
#ifndef EK_PLAN_SAMPLER_H
#define EK_PLAN_SAMPLER_H

#include <stdint.h>

#include "rebalance/io/dtype.h"

enum { EK_SAMPLER_BLOCK = 4096 };

struct ek_sampler_units {
	uint32_t count;
	const uint64_t *sizes;      /* [count] images of each */
	const double *shares;       /* [count] of the visits, >= 0, sum 1 up to 1e-6; 0 where a unit is empty */
	const void *members;        /* [sum of sizes] ids, unit after unit; borrowed; NULL: 0, 1, 2, … */
	enum ek_dtype members_type; /* EK_U32 or EK_I64 */
};

/* Not to be shared between threads: it remembers the block it was in. Memory: 56 bytes a unit and 0.5 MB. */
struct ek_sampler;

/* length: positions of an epoch, 1 … 2^52. sizes and shares are copied, members must stay.
 * EK_EDATA: a share that is negative, not finite, or of an empty unit; shares that do not sum to 1. EK_ENOMEM. */
int ek_sampler_new(struct ek_sampler **out, const struct ek_sampler_units *units, uint64_t length, uint64_t seed);
void ek_sampler_free(struct ek_sampler *sampler);

/* Positions of an epoch. */
uint64_t ek_sampler_length(const struct ek_sampler *sampler);

/* ids[j] = the image at position first + j stride of `epoch`, j < count. stride >= 1.
 * EK_EUSAGE: a position beyond the epoch, or an epoch that begins at 2^60 positions or later. */
int ek_sampler_draw(struct ek_sampler *sampler, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count,
                    int64_t *ids);

/* As ek_sampler_draw: the unit of each position, and which of its visits it is, from 0 on; either may be NULL. */
int ek_sampler_visits(struct ek_sampler *sampler, uint64_t epoch, uint64_t first, uint64_t stride, uint64_t count,
                      uint32_t *units, uint64_t *visits);

#endif
