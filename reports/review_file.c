#include "reports/review_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"

int ek_review_file_path(char **path, const struct ek_run *run, const char *name)
{
	if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
		return ek_fail(EK_EUSAGE, "\"%s\" is no name for a review: it becomes a file in RUN/reviews", name);
	return ek_format(path, "%s/reviews/%s.jsonl", ek_run_path(run), name);
}

/* The name of a new file is on disk only once its directory is. */
static int sync_directory(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ek_fail_errno("cannot open %s", path);
	(void)fsync(fd); /* some file systems cannot */
	(void)close(fd);
	return 0;
}

/* End the file with a whole line. What is cut short was never confirmed if that happened `before` this process had the
 * file; else somebody else cut it, and it stays. */
static int mend_end(int fd, const char *path, const struct ek_review_log *log, int before)
{
	if (log->is_cut && before) {
		ek_info("%s: the last line is cut short: a decision that was never confirmed; it is taken out", path);
		return ftruncate(fd, (off_t)log->whole_bytes) == 0 ? 0 : ek_fail_errno("cannot write %s", path);
	}
	if (log->is_cut)
		ek_warn("%s: somebody has cut the last line short; it stays, but does not count", path);
	return log->is_cut || log->ends_open ? ek_write_all(fd, "\n", 1, path) : 0;
}

/* What the file looks like that this process has left. */
static int remember(struct ek_review_file *file)
{
	return fstat(file->fd, &file->left) == 0 ? 0 : ek_fail_errno("cannot read %s", file->path);
}

int ek_review_file_open(struct ek_review_file *file, const struct ek_run *run, const char *name)
{
	char *lock = NULL, *folder = NULL;
	int rc;

	*file = (struct ek_review_file){ .fd = -1, .lock = EK_LOCK_NONE };
	EK_TRY(ek_review_file_path(&file->path, run, name));
	EK_TRY(ek_run_file(&folder, run, "reviews"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_format(&lock, "%s/.%s.lock", folder, name));
	EK_TRY(ek_lock_take(&file->lock, lock, file->path));
	EK_TRY(ek_review_log_load(&file->log, file->path));
	EK_TRY(ek_open_writable(&file->fd, file->path, O_WRONLY | O_CREAT | O_APPEND));
	EK_TRY(mend_end(file->fd, file->path, &file->log, 1));
	EK_TRY(sync_directory(folder));
	EK_TRY(remember(file));
out:
	free(lock);
	free(folder);
	return rc;
}

void ek_review_file_release(struct ek_review_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	ek_lock_release(&file->lock);
	ek_review_log_release(&file->log);
	free(file->path);
	*file = (struct ek_review_file){ .fd = -1, .lock = EK_LOCK_NONE };
}

/* 1 if the file with the name is as this process has left it. */
static int is_as_left(const struct ek_review_file *file)
{
	const struct stat *left = &file->left;
	struct stat now;

	if (stat(file->path, &now) != 0)
		return ek_fail_errno("cannot find %s", file->path);
	if (!S_ISREG(now.st_mode))
		return ek_fail(EK_EIO, "%s is no regular file any more", file->path);
	return now.st_ino == left->st_ino && now.st_dev == left->st_dev && now.st_size == left->st_size &&
	       now.st_mtim.tv_sec == left->st_mtim.tv_sec && now.st_mtim.tv_nsec == left->st_mtim.tv_nsec;
}

int ek_review_file_refresh(struct ek_review_file *file)
{
	struct ek_review_log log = { 0 }, old;
	uint32_t same;
	int fd = -1, rc;

	if ((rc = is_as_left(file)) != 0)
		return rc < 0 ? rc : 0;
	ek_warn("%s is not as this review left it: somebody else has changed it; it is read again", file->path);
	/* A reviewer keeps the number. */
	for (size_t i = 0; i < file->log.reviewer_count; i++)
		EK_TRY(ek_review_log_reviewer(&same, &log, file->log.reviewers[i]));
	EK_TRY(ek_review_log_load(&log, file->path));
	EK_TRY(ek_open_writable(&fd, file->path, O_WRONLY | O_APPEND));
	EK_TRY(mend_end(fd, file->path, &log, 0));
	old = file->log;
	file->log = log;
	log = old;
	(void)close(file->fd);
	file->fd = fd;
	fd = -1;
	file->edits++;
	EK_TRY(remember(file));
out:
	if (fd >= 0)
		(void)close(fd);
	ek_review_log_release(&log);
	return rc;
}

/* One write, one sync; or nothing. The file is as it was left. */
static int append(struct ek_review_file *file, const struct ek_buffer *line)
{
	const off_t size = file->left.st_size;
	char message[512];
	int rc;

	rc = ek_write_all(file->fd, line->data, line->size, file->path);
	if (rc == 0 && fdatasync(file->fd) != 0)
		rc = ek_fail_errno("cannot sync %s", file->path);
	if (rc < 0) {
		ek_one_line(message, sizeof message, ek_error_message());
		if (ftruncate(file->fd, size) == 0)
			(void)remember(file); /* else what is left of the line is found the next time */
		return ek_fail(rc, "%s", message);
	}
	EK_TRY(remember(file));
	/* Somebody wrote between the look and the line: it is to be read. */
	if (file->left.st_size != size + (off_t)line->size)
		file->left.st_size = -1;
out:
	return rc;
}

static void set_time(struct ek_review_entry *entry)
{
	const time_t now = time(NULL);
	struct tm utc;

	(void)gmtime_r(&now, &utc);
	(void)strftime(entry->time, sizeof entry->time, "%Y-%m-%dT%H:%M:%SZ", &utc);
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
	    strcmp(stands->sha256, entry->sha256) == 0)
		return 0;
	set_time(&dated);
	EK_TRY(ek_review_log_format(&line, &file->log, &dated));
	EK_TRY(append(file, &line));
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
	set_time(&dated);
	EK_TRY(ek_review_log_format_undo(&line, &file->log, &dated));
	EK_TRY(append(file, &line));
	EK_TRY(ek_review_log_undo(&file->log, *sample, reviewer));
out:
	ek_buffer_release(&line);
	return rc;
}
