/*
 * The directory of an export, made whole or not at all: written as DIR.evenkeel-partial, synced, and renamed to DIR. A
 * file DIR/.evenkeel-export says which run it came from and how many files it has; a directory without it, or of
 * another run, or with anything that its own list (metadata.jsonl, or the names of its form) does not have, is never
 * replaced.
 */
#ifndef EK_PLAN_EXPORT_FOLDER_H
#define EK_PLAN_EXPORT_FOLDER_H

#include "rebalance/base/json.h"
#include "rebalance/base/lock.h"

struct ek_export_folder {
	char *target;        /* DIR without slashes at its end */
	char *partial;       /* where it is written */
	char *run;           /* absolute path of the run */
	size_t there;        /* of the path of its parent, what was there before */
	struct ek_lock lock; /* of the marker in `partial`, or of DIR.evenkeel-held */
};
/* Check DIR, clear what a dead export left, make the partial directory and take its lock. EK_EUSAGE: DIR may not be
 * replaced (an export of ours only with `force`), or is being exported to. EK_EIO. Release in any case. */
int ek_export_folder_open(struct ek_export_folder *f, const char *output, const char *run_path, int force);
/* Write the marker (with the members of `about`, among them "run", f->run), sync, and put the partial directory in
 * DIR's place. */
int ek_export_folder_commit(struct ek_export_folder *f, const cJSON *about);
/* Remove what is not committed, and folders that were made for it. */
void ek_export_folder_release(struct ek_export_folder *f);

#endif
