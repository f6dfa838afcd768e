#include "reports/review_file.h"

#include <string.h>

#include "rebalance/base/error.h"

static const char *const folders[] = { "reviews", "label-reviews" };
static const char what[] = "a review";

int ek_review_file_path(char **path, const struct ek_run *run, int of_labels, const char *name)
{
	return ek_journal_path(path, run, folders[of_labels], name, what);
}

int ek_review_file_open(struct ek_review_file *file, const struct ek_run *run, int of_labels, const char *name)
{
	int rc;

	*file = (struct ek_review_file){ .journal = EK_JOURNAL_NONE };
	EK_TRY(ek_journal_open(&file->journal, run, folders[of_labels], name, what));
	EK_TRY(ek_review_log_load(&file->log, file->journal.path));
	EK_TRY(ek_journal_begin(&file->journal, &file->log.lines));
out:
	return rc;
}

void ek_review_file_release(struct ek_review_file *file)
{
	ek_journal_release(&file->journal);
	ek_review_log_release(&file->log);
}

int ek_review_file_refresh(struct ek_review_file *file)
{
	struct ek_review_log log = { 0 }, old;
	uint32_t same;
	int rc;

	if ((rc = ek_journal_changed(&file->journal)) != 1)
		return rc;
	/* A reviewer keeps the number. */
	for (size_t i = 0; i < file->log.reviewer_count; i++)
		EK_TRY(ek_review_log_reviewer(&same, &log, file->log.reviewers[i]));
	EK_TRY(ek_review_log_load(&log, file->journal.path));
	EK_TRY(ek_journal_begin(&file->journal, &log.lines));
	old = file->log;
	file->log = log;
	log = old;
out:
	ek_review_log_release(&log);
	return rc;
}

static int same_text(const char *stands, const char *text)
{
	return strcmp(stands, text != NULL ? text : "") == 0;
}

int ek_review_file_decide(struct ek_review_file *file, const struct ek_review_entry *entry)
{
	const struct ek_review_entry *stands;
	struct ek_review_entry dated = *entry;
	struct ek_buffer line = { 0 };
	int rc;

	EK_TRY(ek_review_file_refresh(file));
	stands = ek_review_log_standing(&file->log, entry->sample, entry->reviewer);
	/* A page that did not hear the answer asks again. */
	if (stands != NULL && stands->verdict == entry->verdict && strcmp(stands->note, entry->note) == 0 &&
	    strcmp(stands->sha256, entry->sha256) == 0 && same_text(stands->given, entry->given) &&
	    same_text(stands->label, entry->label))
		return 0;
	ek_journal_now(dated.time);
	EK_TRY(ek_review_log_format(&line, &file->log, &dated));
	EK_TRY(ek_journal_append(&file->journal, &line));
	EK_TRY(ek_review_log_add(&file->log, &dated));
out:
	ek_buffer_release(&line);
	return rc;
}

int ek_review_file_undo(struct ek_review_file *file, uint32_t reviewer, uint32_t *sample)
{
	const struct ek_review_entry *newest;
	struct ek_review_entry dated;
	struct ek_buffer line = { 0 };
	int rc;

	EK_TRY(ek_review_file_refresh(file));
	if ((newest = ek_review_log_newest(&file->log, reviewer)) == NULL)
		return ek_fail(EK_EUSAGE, "there is no decision to take back");
	dated = *newest;
	*sample = newest->sample;
	ek_journal_now(dated.time);
	EK_TRY(ek_review_log_format_undo(&line, &file->log, &dated));
	EK_TRY(ek_journal_append(&file->journal, &line));
	EK_TRY(ek_review_log_undo(&file->log, *sample, reviewer));
out:
	ek_buffer_release(&line);
	return rc;
}
