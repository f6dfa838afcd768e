/*
 * Writing RUN/reviews/NAME.jsonl (review_log.h): one process at a time, each line written at once and synced, so that a
 * decision that was confirmed outlives a kill and a power cut.
 */
#ifndef EK_REPORTS_REVIEW_FILE_H
#define EK_REPORTS_REVIEW_FILE_H

#include "reports/journal.h"
#include "reports/review_log.h"

struct ek_review_file {
	struct ek_review_log log; /* what is in the file, and stands by it */
	struct ek_journal journal;
};

/* `*path` = RUN/reviews/NAME.jsonl, or that in label-reviews, to be freed. EK_EUSAGE: no name for a file. */
int ek_review_file_path(char **path, const struct ek_run *run, int of_labels, const char *name);

/* Open or make the file, lock it (.NAME.lock beside it, which holds the process id) and replay it. A line that a kill
 * cut short is taken out. Release in any case. EK_EUSAGE: another process has it. EK_EIO. */
int ek_review_file_open(struct ek_review_file *file, const struct ek_run *run, int of_labels, const char *name);
void ek_review_file_release(struct ek_review_file *file);

/* Read the file again if somebody else has changed or replaced it since: what it says now counts. A last line that has
 * no newline gets one, so that the next is a line of its own; one that is cut short stays as a damaged line. Reviewers
 * keep their numbers; entries do not stay valid. Warns. EK_EIO: the file is gone, or cannot be read. */
int ek_review_file_refresh(struct ek_review_file *file);

/* Refresh, then append a decision and sync it; `entry->time` is not looked at, it is now. The same decision with the
 * same texts again is no new line. After a failure (EK_EIO: a full disk, a file that is gone) nothing counts as
 * decided.
 */
int ek_review_file_decide(struct ek_review_file *file, const struct ek_review_entry *entry);
/* Refresh, then take the reviewer's newest decision back; `*sample` is whose it was. EK_EUSAGE: there is none. */
int ek_review_file_undo(struct ek_review_file *file, uint32_t reviewer, uint32_t *sample);

#endif
