/* The inside of a run: what run.c opens and records, and run_current.c compares. */
#ifndef EK_IO_RUN_INTERNAL_H
#define EK_IO_RUN_INTERNAL_H

#include "rebalance/base/lock.h"
#include "rebalance/io/run.h"

struct ek_run {
	char *path;
	char *record_path; /* RUN/run.json */
	cJSON *record;
	struct ek_lock lock;
	int is_guarded;
	int is_new;       /* nothing lay here; what it consists of goes again if nothing was recorded */
	size_t was_there; /* of a new run: the length of the beginning of its path that was there */
	unsigned missing; /* bit i: of the folders of results, i was not there */
	char *reason;
	const cJSON *asked; /* borrowed, for the next record */
	cJSON *stale;       /* reasons by step, or NULL */
};

/* What is known of a file: {"bytes", "mtime_ns", "xxh64"}; the first two say whether the hash must be taken again. */
struct ek_fingerprint {
	uint64_t bytes, mtime_ns;
	char hash[17];
};

/* 1 and the file's fingerprint, 0 if there is no such file in the run, or a negative code. Any step that recorded it
 * may know its hash, and so may the caller: `hash`, or NULL. */
int ek_run_fingerprint(struct ek_fingerprint *print, const struct ek_run *run, const char *name, const uint64_t *hash);
/* Through text once, so that exact integers (raw items) are as what run.json holds. */
int ek_run_as_read_back(cJSON **out, const cJSON *json);

#endif
