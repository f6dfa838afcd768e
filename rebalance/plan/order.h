/*
 * The images of every unit in the order in which a rule would keep them. A rule is a 32-bit key for each image: the
 * smallest goes first, and of equal keys the lower id (rank.h).
 */
#ifndef EK_PLAN_ORDER_H
#define EK_PLAN_ORDER_H

#include "rebalance/io/npy.h"
#include "rebalance/plan/rank.h"

struct ek_order {
	uint32_t *ids;   /* [start[k]] the images of unit 0, then of unit 1, …; owned */
	uint64_t *start; /* [k + 1] owned */
};

/* keys: [n]. Fewer than 2^32 images. EK_ENOTSUP, EK_ENOMEM, EK_EINTERRUPTED. Release in any case. */
int ek_order_make(struct ek_order *order, const struct ek_units *units, const uint32_t *keys);
void ek_order_release(struct ek_order *order);

/* Keys that sort as the numbers of `array` [n] do, any integer or floating type up to 64 bits (a larger one first if
 * `falling`). Only images that are in a unit are looked at: EK_EDATA, beginning with `path`, names the first that is
 * not a number. keys: [n], out. EK_ENOMEM, EK_EINTERRUPTED. */
int ek_order_keys(uint32_t *keys, const struct ek_npy *array, int falling, const struct ek_units *units,
                  const char *path);

/* Images whose number is none (NaN) are dropped from their units: `*count` of them, `*first` the first (not set if
 * there is none). EK_EDATA: the array does not fit; EK_ENOMEM, EK_EINTERRUPTED. */
int ek_order_drop(uint64_t *count, uint64_t *first, struct ek_units *units, const struct ek_npy *array,
                  const char *path);

/* Keys drawn by (seed, stream, id): a random order. */
int ek_order_random(uint32_t *keys, uint64_t n, uint64_t seed, uint64_t stream);

#endif
