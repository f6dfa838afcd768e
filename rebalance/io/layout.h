/*
 * What every file and folder that the program writes is, and where it lies: one table. `info` says its words,
 * docs/files.md lists the same names (a test compares them), and paths are made from its patterns.
 */
#ifndef EK_IO_LAYOUT_H
#define EK_IO_LAYOUT_H

#include <stddef.h>

#include "rebalance/io/run.h"

enum ek_layout_place { EK_PLACE_RUN, EK_PLACE_EXPORT };

struct ek_layout {
	enum ek_layout_place place;
	const char *pattern;  /* of the path in it, as fnmatch with FNM_PATHNAME; "": the place itself */
	const char *text;     /* what it is */
	const char *document; /* JSON whose plain members tell more: "" itself, "a.json" beside it or in it, "*": as it,
	                         but .json; or NULL */
	const char *step;     /* that wrote it, "%s" for the folder's name; NULL: look for the file in run.json */
};

/* All rows; the first that fits a path counts. Ends with a NULL pattern. */
extern const struct ek_layout ek_layout[];

/* The row of a path. NULL: nothing of this name is known; in an export, any other file is an image. */
const struct ek_layout *ek_layout_find(enum ek_layout_place place, const char *path);

/* `*out` = RUN/pattern, to be freed, with `name` in the place of the only "*" of `pattern`, which is one of the
 * table's; name: NULL where there is none. EK_ENOMEM. */
int ek_layout_path(char **out, const struct ek_run *run, const char *pattern, const char *name);
/* The same from the run's path alone. */
int ek_layout_path_at(char **out, const char *run, const char *pattern, const char *name);
/* The same within the run, as run.json names files: "samples/NAME/embeddings.npy". */
int ek_layout_name(char **out, const char *pattern, const char *name);

#endif
