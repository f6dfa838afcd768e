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

/* End the file with a whole line. */
static int mend_end(struct ek_review_file *file)
{
	const struct ek_review_log *log = &file->log;

	if (log->is_cut) {
		ek_info("%s: the last line is cut short: a decision that was never confirmed; it is taken out",
		        file->path);
		if (ftruncate(file->fd, (off_t)log->whole_bytes) != 0)
			return ek_fail_errno("cannot write %s", file->path);
	}
	return log->ends_open ? ek_write_all(file->fd, "\n", 1, file->path) : 0;
}

int ek_review_file_open(struct ek_review_file *file, const struct ek_run *run, const char *name)
{
	char *lock = NULL, *folder = NULL;
	int rc;

	*file = (struct ek_review_file){ .fd = -1, .lock = -1 };
	EK_TRY(ek_review_file_path(&file->path, run, name));
	EK_TRY(ek_run_file(&folder, run, "reviews"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_format(&lock, "%s/.%s.lock", folder, name));
	EK_TRY(ek_lock_take(&file->lock, lock, file->path));
	EK_TRY(ek_review_log_load(&file->log, file->path));
	file->fd = open(file->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (file->fd < 0) {
		rc = ek_fail_errno("cannot write %s", file->path);
		goto out;
	}
	EK_TRY(mend_end(file));
	EK_TRY(sync_directory(folder));
out:
	free(lock);
	free(folder);
	return rc;
}

void ek_review_file_release(struct ek_review_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	if (file->lock >= 0)
		(void)close(file->lock);
	ek_review_log_release(&file->log);
	free(file->path);
	*file = (struct ek_review_file){ .fd = -1, .lock = -1 };
}

/* EK_EIO unless the open file is still the one with the name, or decisions would vanish. */
static int check_in_place(const struct ek_review_file *file, off_t *size)
{
	struct stat open_one, named;

	if (fstat(file->fd, &open_one) != 0)
		return ek_fail_errno("cannot read %s", file->path);
	*size = open_one.st_size;
	if (stat(file->path, &named) != 0)
		return ek_fail_errno("cannot find %s", file->path);
	if (named.st_ino != open_one.st_ino || named.st_dev != open_one.st_dev)
		return ek_fail(EK_EIO, "%s has been replaced while it was in use; start the review again", file->path);
	return 0;
}

/* One write, one sync; or nothing. */
static int append(struct ek_review_file *file, const struct ek_buffer *line)
{
	char message[512];
	off_t size = 0;
	int rc;

	if (file->is_broken)
		return ek_fail(EK_EIO, "%s ends with half a line since a write failed; start the review again",
		               file->path);
	EK_TRY(check_in_place(file, &size));
	rc = ek_write_all(file->fd, line->data, line->size, file->path);
	if (rc == 0 && fdatasync(file->fd) != 0)
		rc = ek_fail_errno("cannot sync %s", file->path);
	if (rc < 0) {
		ek_one_line(message, sizeof message, ek_error_message());
		file->is_broken = ftruncate(file->fd, size) != 0;
		return ek_fail(rc, "%s", message);
	}
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
	const struct ek_review_entry *stands = ek_review_log_standing(&file->log, entry->sample, entry->reviewer);
	struct ek_review_entry dated = *entry;
	struct ek_buffer line = { 0 };
	int rc;

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
	const struct ek_review_entry *newest = ek_review_log_newest(&file->log, reviewer);
	struct ek_review_entry dated;
	struct ek_buffer line = { 0 };
	int rc;

	if (newest == NULL)
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
