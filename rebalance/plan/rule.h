/*
 * Rules: in which order the images of a unit are kept, by their distance to the centroid of their cluster or at random.
 * One table, for prune and for balance.
 */
#ifndef EK_PLAN_RULE_H
#define EK_PLAN_RULE_H

#include "rebalance/plan/order.h"

struct ek_rule {
	const char *name, *help;
	int random;  /* 1: drawn by the seed; 0: by distance.npy */
	int falling; /* 1: the furthest first */
	int middle;  /* 1: neither end (ek_select) */
};

/* furthest, nearest, middle, random; ends with a NULL name. */
extern const struct ek_rule ek_rules[];
/* NULL if there is none. */
const struct ek_rule *ek_rule_find(const char *name);
/* 0, or EK_EUSAGE: there is none, naming those there are. */
int ek_rule_check(const char *name);

/* keys: [units->n], out. `stream` separates draws of one seed. EK_EDATA, EK_EIO (distance.npy), EK_ENOMEM,
 * EK_EINTERRUPTED. */
int ek_rule_keys(uint32_t *keys, const struct ek_rule *rule, const struct ek_run *run, const struct ek_units *units,
                 uint64_t seed, const char *stream);

#endif
