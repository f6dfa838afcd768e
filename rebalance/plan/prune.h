/*
 * Prune: keep a part of the images (definitions.md, section 6). One table of methods; every prune also writes two
 * baselines of the same size, NAME-random (any images) and NAME-random-within (the same fraction of each cluster).
 *
 * Of every unit u a quota is kept, the first by the method's order: the same fraction of each, by largest remainder, so
 * that the total is exact, or the paper's counts, floor(keep size). Some methods divide the same total in another way
 * (embedded.h).
 */
#ifndef EK_PLAN_PRUNE_H
#define EK_PLAN_PRUNE_H

#include <stdint.h>

#include "rebalance/plan/embedded.h"
#include "rebalance/plan/select.h"

/* How much to keep: a fraction, a count of images, or, both 0, as many as semdedup leaves by its eps. */
struct ek_keep {
	double fraction; /* in (0, 1]; 0: by count */
	uint64_t count;
};
/* "0.3"; "5000"; "1 images" (1 alone is the fraction: all). EK_EUSAGE. */
int ek_keep_parse(struct ek_keep *keep, const char *text);

enum ek_prune_rounding { EK_PRUNE_EXACT, EK_PRUNE_FLOOR };
extern const char *const ek_prune_rounding_names[]; /* "exact", "floor" */

/* Which end of a score is kept. */
enum ek_prune_order { EK_PRUNE_NO_ORDER, EK_PRUNE_HIGH, EK_PRUNE_LOW, EK_PRUNE_MIDDLE };
extern const char *const ek_prune_order_names[]; /* NULL, "high", "low", "middle" */

struct ek_prune_options {
	const char *name;   /* of the subset */
	const char *method; /* of the table; score also as "score:NAME" (RUN/scores/NAME.npy) */
	const char *by;     /* units (units.h); NULL: those of the method */
	const char *scores; /* for "score": a .npy file of [n] numbers; else NULL */
	struct ek_keep keep;
	enum ek_prune_order order; /* of a score only */
	enum ek_dedup_rule rule;   /* of semdedup only, with eps */
	double eps;                /* of semdedup only, instead of keep; 0: not given */
	double dedup;              /* of d4 only; 0: not given (embedded.h) */
	enum ek_prune_rounding rounding;
	uint64_t seed;
	int lists; /* subset.h */
};

struct ek_prune_method {
	const char *name, *help;
	const char *by;   /* units it counts by unless told otherwise */
	const char *rule; /* of rule.h, or NULL: see below, or by a score */
	ek_embedded_method *embedded;
};
/* Ends with a NULL name. */
extern const struct ek_prune_method ek_prune_methods[];
/* 0, or EK_EUSAGE: there is no such method, naming those there are. */
int ek_prune_check_method(const char *name);
/* The same where another option than 'method' was given it, which the message names. */
int ek_prune_check_method_of(const char *option, const char *name);
/* Do the options make sense together, whatever the run holds? EK_EUSAGE. */
int ek_prune_check(const struct ek_prune_options *options);

/*
 * Make the subset and its baselines, unless they are there and current (`*made` 0) and not `force`. The run must be
 * open for writing. The same bytes for any number of threads.
 *
 * EK_EUSAGE: options that make no sense together, a count above the number of images, a fraction that keeps none.
 * Images whose score is NaN are in no unit (units.h): they are left out, which is said, the first named, and
 * subset.json counts them ("without_score").
 *
 * EK_EUSAGE: there are no such scores; EK_EDATA: they are of another length, or NaN alone; files of the run damaged.
 * EK_EIO, EK_ENOMEM, EK_EINTERRUPTED: the subset of before is still there.
 */
int ek_prune(int *made, struct ek_run *run, const struct ek_prune_options *options, int force);

/* What ek_prune would keep, in memory: nothing is written. `name` and `lists` are not looked at. Release it in any
 * case. */
int ek_prune_select(struct ek_selection *out, struct ek_run *run, const struct ek_prune_options *options);

#endif
