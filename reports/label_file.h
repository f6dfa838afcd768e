/* Writing RUN/labels/NAME.jsonl (label_log.h, journal.h). */
#ifndef EK_REPORTS_LABEL_FILE_H
#define EK_REPORTS_LABEL_FILE_H

#include "reports/label_log.h"

struct ek_label_file {
	struct ek_label_log log; /* what is in the file, and stands by it */
	struct ek_journal journal;
};

/* `*path` = RUN/labels/NAME.jsonl, to be freed. EK_EUSAGE: no name for a file. */
int ek_label_file_path(char **path, const struct ek_run *run, const char *name);
/* Open or make the file, lock it and replay it. Release in any case. EK_EUSAGE: another process has it. EK_EIO. */
int ek_label_file_open(struct ek_label_file *file, const struct ek_run *run, const char *name);
void ek_label_file_release(struct ek_label_file *file);
/* Read the file again if somebody else has changed it. People keep their numbers, groups do not. */
int ek_label_file_refresh(struct ek_label_file *file);
/* Refresh, check, append and sync an act, whose time is now. After a failure it does not count. */
int ek_label_file_add(struct ek_label_file *file, const struct ek_label_act *act);
/* Refresh, then take the person's newest act back: `*undone`, the log's. EK_EUSAGE: there is none. */
int ek_label_file_undo(const struct ek_label_act **undone, struct ek_label_file *file, uint32_t person);

#endif
