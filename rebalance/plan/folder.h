/*
 * A folder of results, as RUN/subsets/NAME or RUN/weights/NAME: its files are written into one beside it,
 * RUN/subsets/.NAME.new, that takes its place when all are there, so a reader sees the old files or the new ones. What
 * a killed command left in the folder beside goes when the same name is written again.
 */
#ifndef EK_PLAN_FOLDER_H
#define EK_PLAN_FOLDER_H

#include "rebalance/io/run.h"

struct ek_folder {
	char *path, *fresh; /* owned; `fresh` is where to write */
};

/* Make `fresh`, empty. `kind`: "subsets". EK_EIO, EK_ENOMEM. Release in any case. */
int ek_folder_begin(struct ek_folder *folder, const struct ek_run *run, const char *kind, const char *name);
/* Put it in its place. EK_EIO; EK_EUSAGE: there is something that is no folder. */
int ek_folder_publish(struct ek_folder *folder);
/* `rc`: what came of it. After a failure `fresh` goes, and `rc` is returned, with its message. */
int ek_folder_release(struct ek_folder *folder, int rc);

#endif
