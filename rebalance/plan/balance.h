/*
 * Balance: the same, or asked-for, numbers of images of every unit (definitions.md, sections 5 and 6).
 *
 * to smallest: every unit cut to the smallest of at least min_size images; smaller ones are left whole.
 * total N: water-filling with a repeat cap (Vo et al. 2024); over the tree of clusters from its top down, if the
 *   clusters were made in levels.
 * target FILE: the shares of the file, of `total` images or, without it, of as many as meet every share exactly.
 */
#ifndef EK_PLAN_BALANCE_H
#define EK_PLAN_BALANCE_H

#include <stdint.h>

#include "rebalance/plan/select.h"

struct ek_balance_options {
	const char *name;    /* of the subset */
	const char *by;      /* units (units.h) */
	const char *rule;    /* of rule.h: which images of a unit go first */
	int smallest;        /* 1: to the smallest */
	const char *target;  /* file (target.h), or NULL */
	int normalise;       /* divide its shares by their sum */
	uint64_t total;      /* 0: not given */
	uint64_t max_repeat; /* an image at most so often, >= 1 */
	uint64_t min_size;   /* units below it do not set the size of `smallest` */
	uint64_t seed;
	int lists; /* subset.h */
};

/* Make the subset unless it is there and current (`*made` 0) and not `force`. The run must be open for writing. The
 * same bytes for any number of threads. EK_EUSAGE: options that make no sense together; EK_EDATA: a target file that is
 * wrong (target.h), a target that the images cannot reach, damaged files; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED: the
 * subset of before is still there. */
int ek_balance(int *made, struct ek_run *run, const struct ek_balance_options *options, int force);

/* What ek_balance would keep, in memory: nothing is written. `lists` is not looked at. Release it in any case. */
int ek_balance_select(struct ek_selection *out, const struct ek_run *run, const struct ek_balance_options *options);

#endif
