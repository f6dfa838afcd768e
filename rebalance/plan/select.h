/* A selection: which images are kept, how often, and why the others are not. */
#ifndef EK_PLAN_SELECT_H
#define EK_PLAN_SELECT_H

#include "rebalance/plan/rank.h"

/* decision.npy. */
enum ek_decision {
	EK_DECISION_REMOVED, /* the rule kept others */
	EK_DECISION_KEPT,
	EK_DECISION_HELD_OUT,
	EK_DECISION_NO_VALUE, /* of the attribute that the plan counts by */
	EK_DECISION_COUNT
};
extern const char *const ek_decision_reasons[EK_DECISION_COUNT];

/* How often the images of a unit are taken: all of them `whole` times, and `rest` of them, those of rank `skip` and the
 * next, once more. */
struct ek_take {
	uint32_t whole, skip, rest;
};

/* What is kept of 100 million images is known by their ranks alone: nothing else of that size is held. */
struct ek_selection {
	uint64_t n;
	struct ek_units units; /* that the quotas were of; owned */
	struct ek_take *takes; /* [units.k] owned */
	uint32_t *rank;        /* [n] place in its unit by the rule, from 0; EK_NO_RANK: in no unit. Owned */
	uint64_t kept;         /* repeats counted */
	uint64_t distinct;     /* images */
	uint64_t largest_repeat;
	uint64_t counts[EK_DECISION_COUNT];
};

/*
 * Keep quota[u] images of every unit u, those of the smallest keys. A quota above the size of a unit gives every image
 * floor(quota / size) times, and the first ones by the rule once more.
 *
 * middle: not from the first on, but after a skip: floor((1 - keep) / 2 size), or with keep 0 half of what is not kept.
 * `*units` and `*keys` [n] (ek_rank) become the selection's, and are empty afterwards, also after a failure.
 * Release in any case. EK_EUSAGE: too many repeats; EK_ENOTSUP, EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_select(struct ek_selection *out, struct ek_units *units, uint32_t **keys, const uint64_t *quota, int middle,
              double keep);
void ek_selection_release(struct ek_selection *selection);

/* How often image `id` is kept. */
static inline uint64_t ek_selection_copies(const struct ek_selection *s, uint64_t id)
{
	const int32_t unit = s->units.unit[id];
	const struct ek_take *take = &s->takes[unit < 0 ? 0 : unit];

	return unit < 0 ? 0 : (uint64_t)take->whole + (s->rank[id] - take->skip < take->rest);
}

static inline enum ek_decision ek_selection_decision(const struct ek_selection *s, uint64_t id)
{
	const int32_t unit = s->units.unit[id];

	if (unit < 0)
		return unit == EK_UNIT_HELD_OUT ? EK_DECISION_HELD_OUT : EK_DECISION_NO_VALUE;
	return ek_selection_copies(s, id) > 0 ? EK_DECISION_KEPT : EK_DECISION_REMOVED;
}

#endif
