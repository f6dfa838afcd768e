/*
 * Units: what a plan counts. A unit is a cluster, a group, a label, an attribute's value, or an intersection of those;
 * nothing else in this folder assumes that it is a cluster. Held-out images, and images without a value, belong to no
 * unit and are in no plan.
 *
 * Clusters need RUN/clusters/assignment.npy only, which is mapped, not read (so a run may be made from embeddings or
 * an assignment alone, of any size); clusters.json, where it is there, says how many there are, empty ones included.
 */
#ifndef EK_PLAN_UNITS_H
#define EK_PLAN_UNITS_H

#include <stdint.h>

#include "rebalance/io/groups.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/run.h"

enum {
	EK_UNIT_NONE = -1,    /* the image has no value of the attribute */
	EK_UNIT_HELD_OUT = -2 /* kept out of every plan (images.jsonl: "held_out": true) */
};

struct ek_units {
	uint64_t n;          /* images of the run */
	uint32_t k;          /* units, empty ones included */
	const int32_t *unit; /* [n] 0 … k-1, or one of the above, both < 0; valid until release */
	uint64_t *sizes;     /* [k] images of each, owned */
	uint64_t total;      /* images that are in a unit */
	uint64_t held_out;   /* images that are held out */
	char **names;        /* [k] owned; NULL: numbers, as those of clusters */
	char *by;            /* as asked: "cluster", "label", "gender×race", "all"; owned */
	/* The rest is private. */
	int32_t *owned, *likeliest; /* likeliest: [n] group of each image, or NULL */
	struct ek_groups groups;
	struct ek_npy map;
};

/*
 * `by`: "cluster"; "group" (the likeliest of the run's groups, io/groups.h); "all" (one unit of all images); "label";
 * the name of an attribute; or several of these joined by "×" or "*", whose units are the combinations that occur,
 * named "female×asian", in the order of the values.
 * `*units` need not be initialised; release it in any case.
 *
 * EK_EUSAGE: no such attribute (naming what there is); EK_EDATA: no cluster files, a cluster number out of range, files
 * that count different images; EK_EIO, EK_ENOMEM, EK_EINTERRUPTED.
 */
int ek_units_load(struct ek_units *units, const struct ek_run *run, const char *by);
/* Units by number alone: unit [n] as in ek_units, taken (also where it fails). EK_ENOMEM. */
int ek_units_of(struct ek_units *units, int32_t *unit, uint64_t n, uint32_t k, const char *by);
void ek_units_release(struct ek_units *units);
/* Image `id` belongs to no unit any more: it has no value. EK_ENOMEM. */
int ek_units_drop(struct ek_units *units, uint64_t id);
/* `unit` of the images begin … end-1 has been passed: see ek_map_forget. */
void ek_units_forget(const struct ek_units *units, uint64_t begin, uint64_t end);

/* The name of unit k; `out` is room for a number. */
const char *ek_unit_name(char out[16], const struct ek_units *units, uint32_t k);
/* `*k` = the unit of this name. EK_EDATA starts with `where` and says what there is. */
int ek_unit_find(uint32_t *k, const struct ek_units *units, const char *name, const char *where);

/*
 * Images without a value of what is counted by cannot be balanced: they belong to no unit, so a subset leaves them out
 * and a sampler never shows them. How many they are is a member of subset.json and weights.json, and is said wherever
 * the plan is.
 */
uint64_t ek_units_without_value(const struct ek_units *units);

/*
 * How much evening out moves: the total variation between the units' shares before and after, sum over u of
 * |after[u] / sum(after) - sizes[u] / total| / 2, which is the share of the images (or visits) that lie in another unit
 * than before, 0 ... 1. after: [k] images, or visits, of each unit.
 *
 * Below EK_UNITS_LITTLE it changes next to nothing: the skew was hardly there, or is not in these units.
 */
#define EK_UNITS_LITTLE 0.01
double ek_units_moved(const struct ek_units *units, const double *after);
/* Add "without_value" and, unless `after` is NULL, "moved" and "changes_little" (docs/files.md). */
int ek_units_add(cJSON *json, const struct ek_units *units, const double *after);

/*
 * What a plan is by where nobody said: `*by` (static) is "group" where the run has two groups or more, be they learned
 * from labels or found, else "cluster". An attribute is never taken unasked. EK_EDATA, EK_EIO.
 */
int ek_units_best(const char **by, const struct ek_run *run);

/* The files of the run that units by `by` are made from, for ek_step: ends with NULL, static. */
const char *const *ek_units_inputs(const char *by);

#endif
