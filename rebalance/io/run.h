/*
 * The run directory: where each step of the work finds its inputs and leaves its outputs, and run.json, which says
 * for each step what it was made from, so that a later command knows what is current and what is stale.
 *
 * A run says that it is one: RUN/.lock begins with the word "evenkeel", and each step in RUN/run.json, an object, has
 * the version of "evenkeel" that recorded it. A directory where neither does is none, whatever it holds, and nothing is
 * written there. A run.json that is an empty object makes a run by hand, of arrays from elsewhere: it can be opened.
 *
 * While a run is open, nothing is written through a link inside of it (base/guard.h); it may itself be a link.
 *
 * Writers hold a lock that dies with its owner (flock on RUN/.lock, which also holds the owner's process id), or, where
 * there are no locks, the file RUN/.lock.held (base/lock.h).
 */
#ifndef EK_IO_RUN_H
#define EK_IO_RUN_H

#include <glob.h>
#include <stdint.h>

#include "rebalance/base/json.h"

struct ek_run;

enum ek_run_mode {
	EK_RUN_READ,  /* must exist; not locked */
	EK_RUN_WRITE, /* must exist; locked */
	EK_RUN_CREATE /* made if it is not there; an existing directory that is neither empty nor a run is refused;
	                 locked */
};

/* EK_EUSAGE: not a run directory, or in use by another process (its id is told). EK_EDATA: damaged run.json. EK_EIO,
 * also where it cannot be written in, unless it is only read. */
int ek_run_open(struct ek_run **out, const char *path, enum ek_run_mode mode);
void ek_run_close(struct ek_run *run);

/* 1 if the folder `path` is a run directory, made or being made, also one that was copied without its lock. */
int ek_run_is_at(const char *path);

/* As given to ek_run_open. */
const char *ek_run_path(const struct ek_run *run);
/* `*out` = RUN/name, to be freed. */
int ek_run_file(char **out, const struct ek_run *run, const char *name);

/* Paths of the files RUN/pattern (as in a shell), sorted; none is fine. `*found` is always to be released with
 * globfree. The run's own path is taken literally. EK_EIO, EK_ENOMEM. */
int ek_run_glob(glob_t *found, const struct ek_run *run, const char *pattern);

/*
 * One step: its name, the options that change its result (every choice made), the files of RUN it reads and writes.
 * Files are named relative to RUN. Lists end with NULL. `options` stays the caller's.
 */
struct ek_step {
	const char *name;
	int version; /* of the method: raise it when results change */
	const cJSON *options;
	const char *const *inputs, *const *outputs;
	const char *hashed; /* one of the outputs, whose XXH64 is known from writing it: `hash`; NULL: of none it is */
	uint64_t hash;
};

/* How a recorded step stands to one that is asked for now. */
enum ek_run_match {
	EK_RUN_SAME,
	EK_RUN_UNKNOWN, /* it is not recorded */
	EK_RUN_OTHER,   /* of another version of the method, or with other options */
	EK_RUN_STALE,   /* the same of inputs that are not the same */
	EK_RUN_DAMAGED  /* the same, but its outputs are not those it left */
};

/* `recorded`: of run.json (ek_run_recorded), or an entry that ek_run_describe made and something else keeps; NULL:
 * there is none. `*reason` (static or owned by the run, valid until the next call) says why it is not the same: "not
 * made yet", "clusters was 24", "model.depth was 2", "images.jsonl has changed". Hashes only files whose size or time
 * changed since they were recorded. */
int ek_run_match(enum ek_run_match *match, const char **reason, struct ek_run *run, const struct ek_step *step,
                 const cJSON *recorded);

/* Is what is on disk what this step would make: is it EK_RUN_SAME as what run.json says? */
int ek_run_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_step *step);

/*
 * Are the files that a recorded step read and wrote still those of run.json? As ek_run_is_current, but nothing is asked
 * of its version and options; a step that is not recorded is taken as it is. `deep`: nor has anything changed that its
 * inputs were made from ("clusters/assignment.npy is stale: embeddings.npy has changed").
 */
int ek_run_is_unchanged(int *unchanged, const char **reason, struct ek_run *run, const char *step, int deep);

/* The same, with a deep look, of an object with "inputs" that lies elsewhere, as in an export. */
int ek_run_are_inputs_unchanged(int *unchanged, const char **reason, struct ek_run *run, const cJSON *object);

/* From now on, for this handle, a recorded step has changed for a reason that its files do not show: something outside
 * of the run that it was made from is not as it was. EK_ENOMEM. */
int ek_run_set_stale(struct ek_run *run, const char *step, const char *reason);

/* The step that wrote RUN/file, by run.json; NULL: none did. Belongs to the run. */
const cJSON *ek_run_writer(const struct ek_run *run, const char *file);

/* Record the step as done, with the hashes of its inputs and outputs; `started` is Unix time, `counts` (may be NULL) is
 * copied. Saves run.json. */
int ek_run_record(struct ek_run *run, const struct ek_step *step, int64_t started, double seconds, const cJSON *counts);

/* What run.json would say of the step now: {"version", "evenkeel", "options", "inputs", "outputs"}. */
int ek_run_describe(cJSON **entry, const struct ek_run *run, const struct ek_step *step);

/* Add "inputs" to an object: the hashes alone, for a document that is the same whenever it was made. */
int ek_run_add_inputs(cJSON *object, const struct ek_run *run, const char *const *inputs);

/* What is recorded of the step is true no more: its outputs are about to be replaced. Saves run.json. */
int ek_run_forget(struct ek_run *run, const char *step);

/* A step, and how it is done. */
struct ek_work {
	const struct ek_step *step;
	const char *doing; /* "measuring": for the line that says that it is done again, and why */
	/* Write the outputs, and add to `counts` what they come to. `step` may be filled in further: what it says
	 * afterwards is recorded. */
	int (*make)(void *context, struct ek_run *run, cJSON *counts);
	void *context;
	/* As ek_run_is_current, for a step that looks at more than its files; or NULL. */
	int (*is_current)(int *current, const char **reason, void *context, struct ek_run *run,
	                  const struct ek_step *step);
	int records; /* 1: `make` records the step itself */
};

/* Do the work and record it, unless what is on disk is what it would make and not `force`. `*made`: 1: it was done. The
 * run must be open for writing. Fails as `make` does. */
int ek_run_bring_up(int *made, struct ek_run *run, const struct ek_work *work, int force);

/* What the user said of the step that is recorded next, before choices were made ("auto"): kept in run.json as "asked"
 * for the next time. Borrowed until then; NULL: nothing. */
void ek_run_set_asked(struct ek_run *run, const cJSON *asked);

/* The same of a step that is recorded already, and is what was asked for: only that is kept anew. Saves run.json. */
int ek_run_ask_again(struct ek_run *run, const char *step, const cJSON *asked);

/* What run.json says of a step, or NULL: {"version", "evenkeel", "options", "asked", "inputs", "outputs", "started",
 * "seconds", "counts"}. Belongs to the run. */
const cJSON *ek_run_recorded(const struct ek_run *run, const char *step);
/* The first of all recorded steps, in the order they were done; the others are its `next`. NULL: there is none. */
const cJSON *ek_run_first(const struct ek_run *run);

#endif
