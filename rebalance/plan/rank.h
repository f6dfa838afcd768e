/*
 * Ranks: the place of every image within its unit, from 0, when the smallest key goes first and of equal keys the lower
 * id. The result is the same for any number of threads.
 *
 * Time is linear in the images: the entries (key, id) are cut into segments, whole units or parts of a large one, which
 * are sorted by radix one by one, side by side. Memory beyond the keys, whose place the ranks take, is 8 bytes for each
 * of at most EK_RANK_ROOM images and a bit for each of all: more images than that take several passes over the keys.
 */
#ifndef EK_PLAN_RANK_H
#define EK_PLAN_RANK_H

#include "rebalance/plan/units.h"

#define EK_NO_RANK UINT32_MAX

enum { EK_RANK_ROOM = 1 << 25 };

/* ranks: [units->n], in: keys, out: ranks; EK_NO_RANK of images in no unit. Fewer than 2^32 images. EK_ENOTSUP,
 * EK_ENOMEM, EK_EINTERRUPTED. */
int ek_rank(uint32_t *ranks, const struct ek_units *units);
/* The same with segments of about `segment` images and room for `room` entries, so that tests can take every path. */
int ek_rank_in(uint32_t *ranks, const struct ek_units *units, uint64_t segment, uint64_t room);

#endif
