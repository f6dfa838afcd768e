#include "rebalance/io/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/guard.h"
#include "rebalance/base/log.h"
#include "rebalance/base/version.h"
#include "rebalance/io/run_internal.h"

int ek_run_file(char **out, const struct ek_run *run, const char *name)
{
	return ek_format(out, "%s/%s", run->path, name);
}

int ek_run_glob(glob_t *found, const struct ek_run *run, const char *pattern)
{
	return ek_glob(found, run->path, pattern);
}

const char *ek_run_path(const struct ek_run *run)
{
	return run->path;
}

/* May a run be made there? 1 if nothing lies there but what a kill left of its very beginning: a lock that was never
 * written to or, by older versions, one with a number beside a scan's temporary files; else 0. EK_EIO. */
static int may_begin_in(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int others = 0, begun = 0, rc = 0;
	off_t lock = -1;

	if (directory == NULL)
		return ek_fail_errno("cannot read %s", path);
	while ((errno = 0, entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;
		struct stat status;

		if (strcmp(name, ".lock") == 0 && fstatat(dirfd(directory), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(status.st_mode))
			lock = status.st_size;
		else if (strcmp(name, "images.jsonl.tmp") == 0 || strcmp(name, "rejected.jsonl.tmp") == 0)
			begun++;
		else if (strncmp(name, ".lock.held", strlen(".lock.held")) != 0)
			others += strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
	}
	if (errno != 0)
		rc = ek_fail_errno("cannot read %s", path);
	(void)closedir(directory);
	return rc < 0 ? rc : others == 0 && (begun > 0 ? lock >= 0 : lock <= 0);
}

/* What a document is that might be the run.json of a run. */
enum record { FOREIGN, EMPTY, OURS };

static enum record judge_record(const cJSON *record)
{
	const cJSON *step;

	if (!cJSON_IsObject(record))
		return FOREIGN;
	cJSON_ArrayForEach(step, record)
	{
		if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(step, "evenkeel")) ||
		    !cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(step, "version")))
			return FOREIGN;
	}
	return record->child != NULL ? OURS : EMPTY;
}

/* enum record, or EK_EIO, EK_EDATA. */
static int judge_record_at(const char *path)
{
	cJSON *record;
	const int rc = ek_json_load(&record, path);
	const enum record is = judge_record(record);

	cJSON_Delete(record);
	return rc < 0 ? rc : (int)is;
}

int ek_run_is_at(const char *path)
{
	struct ek_buffer name = { 0 };
	int is_run = 0;

	if (ek_buffer_printf(&name, "%s/.lock", path) == 0)
		is_run = ek_lock_is_at(name.data);
	ek_buffer_clear(&name);
	if (!is_run && ek_buffer_printf(&name, "%s/run.json", path) == 0)
		is_run = judge_record_at(name.data) == OURS;
	ek_buffer_release(&name);
	return is_run;
}

static int is_read_only(int error)
{
	return error == EACCES || error == EPERM || error == EROFS;
}

static int take_lock(struct ek_run *run)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, ".lock"));
	rc = ek_lock_take(&run->lock, path, run->path);
	if (rc == EK_EIO && is_read_only(ek_error_number()))
		rc = ek_fail(EK_EIO,
		             "%s cannot be written in (%s): to read it needs no more, but whatever makes or changes a "
		             "run keeps its results there; take another place, or a copy of the run",
		             run->path, strerror(ek_error_number()));
out:
	free(path);
	return rc;
}

/* What a new run consists of before its first step is recorded. */
static const char *const beginning[] = { ".lock", "list.txt" };

/* 1: nothing lies in the new run but what it begins with. */
static int is_but_begun(const struct ek_run *run)
{
	DIR *directory = opendir(run->path);
	const struct dirent *entry;
	int others = directory == NULL;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		others += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		          strncmp(entry->d_name, ".lock.held", strlen(".lock.held")) != 0 &&
		          strcmp(entry->d_name, beginning[0]) != 0 && strcmp(entry->d_name, beginning[1]) != 0;
	if (directory != NULL)
		(void)closedir(directory);
	return others == 0;
}

/* A command that was refused, or stopped before anything was recorded, leaves nothing that it made. What it failed of
 * is the message to tell. */
static void undo_beginning(struct ek_run *run)
{
	char *file;

	if (!is_but_begun(run))
		return;
	for (size_t i = 0; i < sizeof beginning / sizeof *beginning; i++)
		if (ek_run_file(&file, run, beginning[i]) == 0) {
			(void)unlink(file);
			free(file);
		}
	ek_lock_release(&run->lock);
	ek_unmake_directories(run->path, run->was_there);
}

/* Folders of results, of which a command may make one before it is refused. */
static const char *const folders[] = { "cache/features", "cache",   "clusters", "components", "evaluations",
	                               "models",         "samples", "scores",   "subsets",    "weights" };
enum { FOLDERS = sizeof folders / sizeof *folders };

static void note_missing(struct ek_run *run)
{
	char *path;

	for (int i = 0; i < FOLDERS; i++)
		if (ek_run_file(&path, run, folders[i]) == 0) {
			run->missing |= (unsigned)(ek_file_exists(path) == 0) << i;
			free(path);
		}
}

/* Those that were missing and are there, empty. */
static void remove_empty(const struct ek_run *run)
{
	char *path;

	for (int i = 0; i < FOLDERS; i++)
		if ((run->missing >> i & 1) != 0 && ek_run_file(&path, run, folders[i]) == 0) {
			(void)rmdir(path);
			free(path);
		}
}

static int prepare_directory(struct ek_run *run, enum ek_run_mode mode)
{
	struct stat status;
	int rc;

	EK_TRY(ek_file_status(&status, run->path));
	if (rc == 0) {
		run->is_new = mode == EK_RUN_CREATE;
		if (run->is_new)
			return ek_make_new_directories(&run->was_there, run->path);
		return ek_fail(EK_EUSAGE, "%s: no such run directory (evenkeel audit DATASET -o RUN makes one)",
		               run->path);
	}
	if (!S_ISDIR(status.st_mode))
		return ek_fail(EK_EUSAGE, "%s is a file, not a run directory (evenkeel audit DATASET -o RUN makes one)",
		               run->path);
	if (ek_run_is_at(run->path))
		return 0;
	if (mode == EK_RUN_CREATE) {
		EK_TRY(may_begin_in(run->path));
		if (rc == 0)
			return ek_fail(EK_EUSAGE, "%s holds other files; name a new or empty directory for the run",
			               run->path);
		run->is_new = 1;
		run->was_there = strlen(run->path);
		return 0;
	}
	if (!ek_file_exists(run->record_path))
		return ek_fail(
			EK_EUSAGE,
			"%s is not a run directory: it has no run.json (evenkeel audit DATASET -o RUN makes one)",
			run->path);
	EK_TRY(judge_record_at(run->record_path));
	if (rc != EMPTY)
		return ek_fail(EK_EUSAGE, "%s is not a run directory: its run.json is none that evenkeel wrote",
		               run->path);
	rc = 0;
out:
	return rc;
}

/* If it is damaged, the message says what to do. */
static int load_record(struct ek_run *run)
{
	int rc = ek_json_load(&run->record, run->record_path);

	if (rc == 0 && !cJSON_IsObject(run->record))
		rc = ek_fail(EK_EDATA, "%s: not an object", run->record_path);
	if (rc == EK_EDATA)
		rc = ek_fail(EK_EDATA,
		             "%s; put a copy of it back, or remove it: evenkeel audit DATASET -o %s then makes the run "
		             "again",
		             ek_error_message(), run->path);
	return rc;
}

int ek_run_open(struct ek_run **out, const char *path, enum ek_run_mode mode)
{
	struct ek_run *run = NULL;
	size_t length;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&run, 1, sizeof *run));
	run->lock = (struct ek_lock)EK_LOCK_NONE;
	EK_TRY(ek_copy_string(&run->path, path));
	length = strlen(run->path);
	while (length > 1 && run->path[length - 1] == '/')
		run->path[--length] = 0;
	if (length == 0) {
		rc = ek_fail(EK_EUSAGE, "the run directory has no name");
		goto out;
	}
	EK_TRY(ek_run_file(&run->record_path, run, "run.json"));
	EK_TRY(prepare_directory(run, mode));
	EK_TRY(ek_guard_begin(run->path));
	run->is_guarded = 1;
	if (mode != EK_RUN_READ) {
		EK_TRY(take_lock(run));
		note_missing(run);
	}
	if (ek_file_exists(run->record_path)) {
		EK_TRY(load_record(run));
	} else if ((run->record = cJSON_CreateObject()) == NULL)
		rc = ek_fail(EK_ENOMEM, "no memory for %s", run->record_path);
out:
	if (rc < 0)
		ek_run_close(run);
	else
		*out = run;
	return rc;
}

void ek_run_close(struct ek_run *run)
{
	if (run == NULL)
		return;
	if (run->is_guarded)
		ek_guard_end(run->path);
	remove_empty(run);
	if (run->is_new && (run->record == NULL || run->record->child == NULL))
		undo_beginning(run);
	ek_lock_release(&run->lock);
	cJSON_Delete(run->record);
	cJSON_Delete(run->stale);
	free(run->path);
	free(run->record_path);
	free(run->reason);
	free(run);
}

void ek_run_set_asked(struct ek_run *run, const cJSON *asked)
{
	run->asked = asked;
}

const cJSON *ek_run_recorded(const struct ek_run *run, const char *step)
{
	return cJSON_GetObjectItemCaseSensitive(run->record, step);
}

const cJSON *ek_run_first(const struct ek_run *run)
{
	return run->record != NULL ? run->record->child : NULL;
}

/* step: whose outputs they are, or NULL. */
static int record_files(cJSON *entry, const struct ek_run *run, const char *list, const char *const *names,
                        const struct ek_step *step)
{
	cJSON *files, *file;
	char text[24];
	int rc;

	EK_TRY(ek_json_add_object(&files, entry, list));
	for (; *names != NULL; names++) {
		const int hashed = step != NULL && step->hashed != NULL && strcmp(*names, step->hashed) == 0;
		struct ek_fingerprint print;

		if ((rc = ek_run_fingerprint(&print, run, *names, hashed ? &step->hash : NULL)) < 0)
			goto out;
		if (rc == 0)
			continue;
		EK_TRY(ek_json_add_object(&file, files, *names));
		EK_TRY(ek_json_add_u64(file, "bytes", print.bytes));
		(void)snprintf(text, sizeof text, "%" PRIu64, print.mtime_ns);
		EK_TRY(ek_json_add_string(file, "mtime_ns", text)); /* beyond 2^53 */
		EK_TRY(ek_json_add_string(file, "xxh64", print.hash));
	}
	rc = 0;
out:
	return rc;
}

/* Keep the tree as it will be read back, so that raw numbers become ordinary ones. */
static int save(struct ek_run *run)
{
	cJSON *again;
	int rc;

	EK_TRY(ek_json_save(run->record, run->record_path));
	EK_TRY(ek_json_load(&again, run->record_path));
	cJSON_Delete(run->record);
	run->record = again;
out:
	return rc;
}

int ek_run_describe(cJSON **entry, const struct ek_run *run, const struct ek_step *step)
{
	cJSON *made = cJSON_CreateObject();
	int rc;

	*entry = NULL;
	EK_TRY(ek_json_add_u64(made, "version", (uint64_t)step->version));
	EK_TRY(ek_json_add_string(made, "evenkeel", EK_VERSION));
	EK_TRY(ek_json_add_item(made, "options", cJSON_Duplicate(step->options, 1)));
	if (run->asked != NULL)
		EK_TRY(ek_json_add_item(made, "asked", cJSON_Duplicate(run->asked, 1)));
	EK_TRY(record_files(made, run, "inputs", step->inputs, NULL));
	EK_TRY(record_files(made, run, "outputs", step->outputs, step));
	EK_TRY(ek_run_as_read_back(entry, made));
out:
	cJSON_Delete(made);
	return rc;
}

int ek_run_add_inputs(cJSON *object, const struct ek_run *run, const char *const *inputs)
{
	const cJSON *files;
	cJSON *file;
	int rc;

	EK_TRY(record_files(object, run, "inputs", inputs, NULL));
	files = cJSON_GetObjectItemCaseSensitive(object, "inputs");
	cJSON_ArrayForEach(file, files)
	{
		cJSON_DeleteItemFromObjectCaseSensitive(file, "bytes");
		cJSON_DeleteItemFromObjectCaseSensitive(file, "mtime_ns");
	}
out:
	return rc;
}

int ek_run_record(struct ek_run *run, const struct ek_step *step, int64_t started, double seconds, const cJSON *counts)
{
	cJSON *entry = NULL;
	int rc;

	/* What was recorded of the outputs is no longer true, and must not lend its hashes. */
	cJSON_DeleteItemFromObjectCaseSensitive(run->record, step->name);
	EK_TRY(ek_run_describe(&entry, run, step));
	EK_TRY(ek_json_add_item(run->record, step->name, entry));
	EK_TRY(ek_json_add_u64(entry, "started", (uint64_t)(started > 0 ? started : 0)));
	EK_TRY(ek_json_add_double(entry, "seconds", seconds));
	if (counts != NULL)
		EK_TRY(ek_json_add_item(entry, "counts", cJSON_Duplicate(counts, 1)));
	EK_TRY(save(run));
out:
	return rc;
}

int ek_run_forget(struct ek_run *run, const char *step)
{
	if (ek_run_recorded(run, step) == NULL)
		return 0;
	cJSON_DeleteItemFromObjectCaseSensitive(run->record, step);
	return save(run);
}

int ek_run_bring_up(int *made, struct ek_run *run, const struct ek_work *w, int force)
{
	const int64_t started = (int64_t)time(NULL);
	const double clock = ek_clock();
	cJSON *counts = NULL;
	const char *reason;
	int current, rc;

	*made = 0;
	if (w->is_current != NULL)
		EK_TRY(w->is_current(&current, &reason, w->context, run, w->step));
	else
		EK_TRY(ek_run_is_current(&current, &reason, run, w->step));
	if (current && !force)
		goto out;
	if (ek_run_recorded(run, w->step->name) != NULL)
		ek_info("%s again: %s", w->doing, current ? "forced" : reason);
	if ((counts = cJSON_CreateObject()) == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory for counts");
		goto out;
	}
	EK_TRY(w->make(w->context, run, counts));
	if (!w->records)
		EK_TRY(ek_run_record(run, w->step, started, ek_clock() - clock, counts->child != NULL ? counts : NULL));
	*made = 1;
out:
	cJSON_Delete(counts);
	return rc;
}

int ek_run_ask_again(struct ek_run *run, const char *step, const cJSON *asked)
{
	cJSON *entry = cJSON_GetObjectItemCaseSensitive(run->record, step), *copy = cJSON_Duplicate(asked, 1);
	int rc = 0;

	/* In its place. */
	if (copy == NULL || !cJSON_ReplaceItemInObjectCaseSensitive(entry, "asked", copy))
		EK_TRY(ek_json_add_item(entry, "asked", copy));
	EK_TRY(save(run));
out:
	return rc;
}
