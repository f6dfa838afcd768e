/*
 * Paths that a run keeps. What lies in the run is named relative to it, so that a run that was moved or copied finds
 * its own; what lies elsewhere has its absolute path, so that it is found from any working directory.
 */
#ifndef EK_IO_KEPT_PATH_H
#define EK_IO_KEPT_PATH_H

#include "rebalance/io/run.h"

/* `*kept` (to be freed) = how the run keeps `path`, a file or folder that is there. EK_EIO: it is not. */
int ek_kept_path(char **kept, const struct ek_run *run, const char *path);

/*
 * The other way; `*path` is to be freed, NULL if nothing is there. Earlier versions kept paths into the run as they
 * were given, "../R/models/ae" or "/data/R/models/ae": of a folder R that is a run, or is gone, the rest is looked for
 * in this run, but what an absolute path still leads to, perhaps in another run, is meant.
 */
int ek_kept_path_find(char **path, const struct ek_run *run, const char *kept);

#endif
