/* A selection: which images are kept, how often, and why the others are not. */
#ifndef EK_PLAN_SELECT_H
#define EK_PLAN_SELECT_H

#include "rebalance/plan/order.h"

/* decision.npy. */
enum ek_decision {
	EK_DECISION_REMOVED, /* the rule kept others */
	EK_DECISION_KEPT,
	EK_DECISION_HELD_OUT,
	EK_DECISION_NO_VALUE, /* of the attribute that the plan counts by */
	EK_DECISION_COUNT
};
extern const char *const ek_decision_reasons[EK_DECISION_COUNT];

#define EK_NO_RANK UINT32_MAX

struct ek_selection {
	uint64_t n;
	uint8_t *decision; /* [n] owned */
	uint32_t *rank;    /* [n] place in its unit by the rule, from 0; EK_NO_RANK: in no unit. Owned */
	int64_t *keep;     /* [kept] ids, rising; one that is repeated stands there so often. Owned */
	uint64_t kept;     /* repeats counted */
	uint64_t distinct; /* images */
	uint64_t largest_repeat;
	uint64_t counts[EK_DECISION_COUNT];
};

/*
 * Keep quota[u] images of every unit u, the first of its order. A quota above the size of a unit gives every image
 * floor(quota / size) times, and the first ones by the rule once more.
 *
 * middle: not from the first on, but after a skip: floor((1 - keep) / 2 size), or with keep 0 half of what is not kept.
 * Release in any case. EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_select(struct ek_selection *out, const struct ek_units *units, const struct ek_order *order,
              const uint64_t *quota, int middle, double keep);
void ek_selection_release(struct ek_selection *selection);

#endif
