#include "reports/label_file.h"

#include "rebalance/base/error.h"

static const char folder[] = "labels", what[] = "labels";

int ek_label_file_path(char **path, const struct ek_run *run, const char *name)
{
	return ek_journal_path(path, run, folder, name, what);
}

int ek_label_file_open(struct ek_label_file *file, const struct ek_run *run, const char *name)
{
	int rc;

	*file = (struct ek_label_file){ .journal = EK_JOURNAL_NONE };
	EK_TRY(ek_journal_open(&file->journal, run, folder, name, what));
	EK_TRY(ek_label_log_load(&file->log, file->journal.path));
	EK_TRY(ek_journal_begin(&file->journal, &file->log.lines));
out:
	return rc;
}

void ek_label_file_release(struct ek_label_file *file)
{
	ek_journal_release(&file->journal);
	ek_label_log_release(&file->log);
}

int ek_label_file_refresh(struct ek_label_file *file)
{
	struct ek_label_log log = { 0 }, old;
	uint32_t same;
	int rc;

	if ((rc = ek_journal_changed(&file->journal)) != 1)
		return rc;
	for (size_t i = 0; i < file->log.person_count; i++)
		EK_TRY(ek_label_log_person(&same, &log, file->log.people[i]));
	EK_TRY(ek_label_log_load(&log, file->journal.path));
	EK_TRY(ek_journal_begin(&file->journal, &log.lines));
	old = file->log;
	file->log = log;
	log = old;
out:
	ek_label_log_release(&log);
	return rc;
}

int ek_label_file_add(struct ek_label_file *file, const struct ek_label_act *act)
{
	struct ek_label_act dated = *act;
	struct ek_buffer line = { 0 };
	int rc;

	EK_TRY(ek_label_file_refresh(file));
	EK_TRY(ek_label_log_check(&file->log, act));
	ek_journal_now(dated.time);
	EK_TRY(ek_label_log_format(&line, &file->log, &dated, 0));
	EK_TRY(ek_journal_append(&file->journal, &line));
	EK_TRY(ek_label_log_add(&file->log, &dated));
out:
	ek_buffer_release(&line);
	return rc;
}

int ek_label_file_undo(const struct ek_label_act **undone, struct ek_label_file *file, uint32_t person)
{
	struct ek_label_act undo = { .person = person };
	struct ek_buffer line = { 0 };
	int rc;

	EK_TRY(ek_label_file_refresh(file));
	if ((*undone = ek_label_log_newest(&file->log, person)) == NULL)
		return ek_fail(EK_EUSAGE, "there is nothing to take back");
	ek_journal_now(undo.time);
	EK_TRY(ek_label_log_format(&line, &file->log, &undo, 1));
	EK_TRY(ek_journal_append(&file->journal, &line));
	EK_TRY(ek_label_log_undo(&file->log, person));
out:
	ek_buffer_release(&line);
	return rc;
}
