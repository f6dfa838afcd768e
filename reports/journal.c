#include "reports/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/utf8.h"

enum { WARNINGS_MOST = 20 };
static const size_t file_limit = (size_t)1 << 30;

int ek_journal_check_name(const char *name, size_t most, const char *what)
{
	const size_t size = strlen(name);
	int is_good = size > 0 && size <= most && name[0] != ' ' && name[size - 1] != ' ' &&
	              ek_utf8_valid_prefix(name, size) == size;

	for (size_t i = 0; i < size && is_good; i++)
		is_good = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
	return is_good ? 0
	               : ek_fail(EK_EUSAGE,
	                         "\"%.64s\" is no name of %s: 1 to %zu bytes of UTF-8 without control "
	                         "characters or spaces at its ends",
	                         name, what, most);
}

int ek_journal_check_time(const char *time, const char *where)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	int is_good = strlen(time) == sizeof form - 1;

	for (size_t i = 0; is_good && form[i] != 0; i++)
		is_good = form[i] == 'd' ? time[i] >= '0' && time[i] <= '9' : time[i] == form[i];
	return is_good ? 0 : ek_fail(EK_EDATA, "%s: time is \"%.40s\", not as 2026-11-25T19:00:00Z", where, time);
}

void ek_journal_now(char text[21])
{
	const time_t now = time(NULL);
	struct tm utc;

	(void)gmtime_r(&now, &utc);
	(void)strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

int ek_journal_member(struct ek_buffer *out, const char *name, const char *value)
{
	int rc;

	EK_TRY(ek_buffer_printf(out, ", \"%s\": ", name));
	EK_TRY(ek_json_append_string(out, value, strlen(value)));
out:
	return rc;
}

static int take_line(const char *text, size_t size, const char *where, ek_journal_take take, void *context)
{
	cJSON *object = NULL;
	int rc;

	/* cJSON would take it for the end of the text. */
	if (memchr(text, 0, size) != NULL)
		return ek_fail(EK_EDATA, "%s: not JSON: a NUL byte", where);
	if (ek_utf8_valid_prefix(text, size) != size)
		return ek_fail(EK_EDATA, "%s: not JSON: not UTF-8 at byte %zu", where,
		               ek_utf8_valid_prefix(text, size));
	EK_TRY(ek_json_parse(&object, text, size, where));
	if (cJSON_IsObject(object))
		rc = take(context, object, where);
	else
		rc = ek_fail(EK_EDATA, "%s: not a JSON object", where);
out:
	cJSON_Delete(object);
	return rc;
}

static void note_damage(struct ek_journal_lines *lines, uint64_t line, const char *where)
{
	const char *message = ek_error_message();
	const size_t length = strlen(where);

	if (lines->damaged++ == 0)
		lines->first_damaged = line;
	if (lines->damaged > WARNINGS_MOST)
		return;
	if (strncmp(message, where, length) == 0)
		ek_warn("%s; this line is left out", message);
	else
		ek_warn("%s: %s; this line is left out", where, message);
}

/* The beginning of a line as the program writes it: what a kill leaves. Anything else was no decision of anybody. */
static int is_begun(const char *line, size_t size)
{
	return line[0] == '{' && memchr(line, 0, size) == NULL;
}

int ek_journal_parse(struct ek_journal_lines *lines, const char *text, size_t size, const char *where,
                     ek_journal_take take, void *context)
{
	struct ek_buffer place = { 0 };
	const char *line = text;
	int rc = 0;

	*lines = (struct ek_journal_lines){ 0 };
	for (uint64_t number = 1; line < text + size; number++) {
		const size_t rest = (size_t)(text + size - line);
		const char *end = memchr(line, '\n', rest);
		const size_t length = end != NULL ? (size_t)(end - line) : rest;

		ek_buffer_clear(&place);
		EK_TRY(ek_buffer_printf(&place, "%s:%" PRIu64, where, number));
		/* The NUL behind the text ends the last line. */
		rc = strspn(line, " \t\r") >= length ? 0 : take_line(line, length, place.data, take, context);
		lines->is_cut = rc != 0 && end == NULL && is_begun(line, length);
		lines->ends_open = end == NULL && !lines->is_cut;
		if (rc == EK_ENOMEM)
			goto out;
		if (rc < 0 && !lines->is_cut)
			note_damage(lines, number, place.data);
		rc = 0;
		if (!lines->is_cut)
			lines->whole_bytes += end != NULL ? length + 1 : length;
		line += end != NULL ? length + 1 : length;
	}
	if (lines->damaged > WARNINGS_MOST)
		ek_warn("%s: %" PRIu64 " damaged lines in all are left out", where, lines->damaged);
out:
	ek_buffer_release(&place);
	return rc;
}

int ek_journal_load(struct ek_journal_lines *lines, const char *path, ek_journal_take take, void *context)
{
	struct ek_buffer text = { 0 };
	int rc = 0;

	*lines = (struct ek_journal_lines){ 0 };
	if (!ek_file_exists(path))
		return 0;
	EK_TRY(ek_file_read(&text, path, file_limit));
	if (text.size > 0)
		EK_TRY(ek_journal_parse(lines, text.data, text.size, path, take, context));
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_journal_path(char **path, const struct ek_run *run, const char *folder, const char *name, const char *what)
{
	if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
		return ek_fail(EK_EUSAGE, "\"%s\" is no name for %s: it becomes a file in RUN/%s", name, what, folder);
	return ek_format(path, "%s/%s/%s.jsonl", ek_run_path(run), folder, name);
}

int ek_journal_open(struct ek_journal *j, const struct ek_run *run, const char *folder, const char *name,
                    const char *what)
{
	char *lock = NULL;
	int rc;

	*j = (struct ek_journal)EK_JOURNAL_NONE;
	EK_TRY(ek_journal_path(&j->path, run, folder, name, what));
	EK_TRY(ek_run_file(&j->folder, run, folder));
	EK_TRY(ek_make_directories(j->folder));
	EK_TRY(ek_format(&lock, "%s/.%s.lock", j->folder, name));
	EK_TRY(ek_lock_take(&j->lock, lock, j->path));
out:
	free(lock);
	return rc;
}

void ek_journal_release(struct ek_journal *j)
{
	if (j->fd >= 0)
		(void)close(j->fd);
	ek_lock_release(&j->lock);
	free(j->folder);
	free(j->path);
	*j = (struct ek_journal)EK_JOURNAL_NONE;
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
static int mend_end(int fd, const char *path, const struct ek_journal_lines *loaded, int before)
{
	if (loaded->is_cut && before) {
		ek_info("%s: the last line is cut short: a decision that was never confirmed; it is taken out", path);
		return ftruncate(fd, (off_t)loaded->whole_bytes) == 0 ? 0 : ek_fail_errno("cannot write %s", path);
	}
	if (loaded->is_cut)
		ek_warn("%s: somebody has cut the last line short; it stays, but does not count", path);
	return loaded->is_cut || loaded->ends_open ? ek_write_all(fd, "\n", 1, path) : 0;
}

/* What the file looks like that this process has left. */
static int remember(struct ek_journal *j)
{
	return fstat(j->fd, &j->left) == 0 ? 0 : ek_fail_errno("cannot read %s", j->path);
}

int ek_journal_begin(struct ek_journal *j, const struct ek_journal_lines *loaded)
{
	const int is_first = j->fd < 0;
	int fd = -1, rc;

	EK_TRY(ek_open_writable(&fd, j->path, O_WRONLY | O_APPEND | (is_first ? O_CREAT : 0)));
	EK_TRY(mend_end(fd, j->path, loaded, is_first));
	if (is_first)
		EK_TRY(sync_directory(j->folder));
	else
		(void)close(j->fd);
	j->fd = fd;
	fd = -1;
	j->edits += !is_first;
	EK_TRY(remember(j));
out:
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

int ek_journal_changed(const struct ek_journal *j)
{
	const struct stat *left = &j->left;
	struct stat now;

	if (stat(j->path, &now) != 0)
		return ek_fail_errno("cannot find %s", j->path);
	if (!S_ISREG(now.st_mode))
		return ek_fail(EK_EIO, "%s is no regular file any more", j->path);
	if (now.st_ino == left->st_ino && now.st_dev == left->st_dev && now.st_size == left->st_size &&
	    now.st_mtim.tv_sec == left->st_mtim.tv_sec && now.st_mtim.tv_nsec == left->st_mtim.tv_nsec)
		return 0;
	ek_warn("%s is not as this page left it: somebody else has changed it; it is read again", j->path);
	return 1;
}

/* One write, one sync; or nothing. The file is as it was left. */
int ek_journal_append(struct ek_journal *j, const struct ek_buffer *line)
{
	const off_t size = j->left.st_size;
	char message[512];
	int rc;

	rc = ek_write_all(j->fd, line->data, line->size, j->path);
	if (rc == 0 && fdatasync(j->fd) != 0)
		rc = ek_fail_errno("cannot sync %s", j->path);
	if (rc < 0) {
		ek_one_line(message, sizeof message, ek_error_message());
		if (ftruncate(j->fd, size) == 0)
			(void)remember(j); /* else what is left of the line is found the next time */
		return ek_fail(rc, "%s", message);
	}
	EK_TRY(remember(j));
	/* Somebody wrote between the look and the line: it is to be read. */
	if (j->left.st_size != size + (off_t)line->size)
		j->left.st_size = -1;
out:
	return rc;
}
