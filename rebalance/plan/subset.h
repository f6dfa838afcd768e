/*
 * Subset files: RUN/subsets/NAME/ with keep.npy, decision.npy, rank.npy, subset.json and, where there are images and
 * they are at most a million or it is asked for, metadata.jsonl, kept.txt and removed.txt (docs/files.md has them).
 *
 * They are written beside the directory and put in its place together, so a reader sees the old ones or the new ones.
 * Each subset is recorded in run.json as the step "subset NAME" with what it was made from, so that a stale one is
 * known.
 */
#ifndef EK_PLAN_SUBSET_H
#define EK_PLAN_SUBSET_H

#include "rebalance/io/folder.h"
#include "rebalance/plan/effects.h"
#include "rebalance/plan/source.h"

struct ek_subset {
	const char *name;
	const char *command, *method; /* "prune", "furthest" */
	const cJSON *options;         /* all that change the result; borrowed */
	const char *const *inputs;    /* files of RUN it is made from; ends with NULL */
	const char *const *baselines; /* names of its baselines, or NULL; ends with NULL */
	const cJSON *report;          /* members to add to subset.json, or NULL; borrowed */
	int lists;                    /* 1: the lists also for more than a million images */
};

/* 0, or EK_EUSAGE: a name is of letters, digits, "_", "-" and "." but not at its start, at most 100 of them. */
int ek_subset_check_name(const char *name);

/* Write and record it. The run must be open for writing. `started`: seconds since 1970; `clock`: ek_clock() at the
 * start. EK_EIO, EK_EDATA, EK_ENOMEM, EK_EINTERRUPTED: the subset of before is still there. */
int ek_subset_write(struct ek_run *run, const struct ek_subset *subset, const struct ek_selection *selection,
                    const struct ek_effects *effects, int64_t started, double clock);

/* The same in two steps, so that something can be done between them without the selection in memory: the files are
 * written beside the directory, and put in its place. Release in any case, with what came of it: after a failure that
 * removes what was written, and `rc` is returned, with its message. */
struct ek_draft {
	struct ek_folder folder;
	uint64_t before, after;
};
int ek_subset_draft(struct ek_draft *draft, const struct ek_run *run, const struct ek_subset *subset,
                    const struct ek_selection *selection, const struct ek_effects *effects);
int ek_draft_publish(struct ek_draft *draft, struct ek_run *run, const struct ek_subset *subset, int64_t started,
                     double clock);
int ek_draft_release(struct ek_draft *draft, int rc);

/* Is what is on disk what `subset` would write? As ek_run_is_current. */
int ek_subset_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_subset *subset);

/* ek_run_bring_up of the step of a subset; `how`: make, which writes and records it, is_current and context. */
int ek_subset_bring_up(int *made, struct ek_run *run, const struct ek_subset *subset, const struct ek_work *how,
                       int force);

/*
 * May the subset RUN/subsets/NAME, or the weights RUN/weights/NAME, be used? EK_EUSAGE: there is none (naming those
 * there are); EK_EDATA: what it was made from has changed since. One that this program did not record is taken as it
 * is.
 */
int ek_plan_check(struct ek_run *run, enum ek_source_kind kind, const char *name);

#endif
