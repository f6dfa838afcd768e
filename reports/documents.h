/*
 * The JSON documents of a run, as all of reports/ reads them: found, loaded, and their members taken. What is missing
 * is NULL, NaN or the text for it, so that a run made by an older or newer version can still be told of. Internal to
 * reports/.
 */
#ifndef EK_REPORTS_DOCUMENTS_H
#define EK_REPORTS_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/json.h"
#include "rebalance/io/run.h"

/* As ek_run_glob, in the order of the names that stand for `*`: "a" before "a-b", whatever follows them. */
int ek_find_named(glob_t *found, const struct ek_run *run, const char *pattern);
/* The name of the folder that a path ends with: ".../NAME/file". */
int ek_folder_name(char **out, const char *path);
/* The name of the file that a path ends with, without what follows its last dot: "…/NAME.json". */
int ek_file_stem(char **out, const char *path);
/* Load a document that must be an object. EK_EDATA names it. */
int ek_load_object(cJSON **out, const char *path);

/* `rc` is what came of reading a part of the run that a page can go without, of the file `path`. EK_EDATA is said as a
 * warning, with what makes the file again, kept as a line of `left_out` (once), and 1 is returned; else `rc`. */
int ek_leave_out(struct ek_buffer *left_out, int rc, const char *path);

/* A number of a document, with its interval and the value corrected for bias where it has them. NaN where it is
 * missing; a high end that is missing where there is a low one: there is no bound. */
struct ek_measure {
	double value, low, high, corrected;
};
struct ek_measure ek_measure_of(const cJSON *object, const char *name);
double ek_number_of(const cJSON *object, const char *name);
/* The interval of an object that is a measure under another name. */
struct ek_measure ek_interval_of(const cJSON *object);
/* Text of a member, or `otherwise`. */
const char *ek_text_of(const cJSON *object, const char *name, const char *otherwise);

#endif
