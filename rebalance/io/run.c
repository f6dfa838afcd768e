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
#include "rebalance/base/hash.h"
#include "rebalance/base/lock.h"
#include "rebalance/base/log.h"
#include "rebalance/base/version.h"

enum { DEEPEST = 64 }; /* steps that a step is made from, one after the other; more are not looked at */

struct ek_run {
	char *path;
	char *record_path; /* RUN/run.json */
	cJSON *record;
	struct ek_lock lock;
	int is_guarded;
	char *reason;
	const cJSON *asked; /* borrowed, for the next record */
	cJSON *stale;       /* reasons by step, or NULL */
};

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

/* A new directory that we made and then could not lock or fill stays: it is empty and harms nobody. */
static int prepare_directory(const struct ek_run *run, enum ek_run_mode mode)
{
	struct stat status;
	int rc;

	EK_TRY(ek_file_status(&status, run->path));
	if (rc == 0) {
		if (mode == EK_RUN_CREATE)
			return ek_make_directories(run->path);
		return ek_fail(EK_EUSAGE, "%s: no such run directory (evenkeel audit DATASET -o RUN makes one)",
		               run->path);
	}
	if (!S_ISDIR(status.st_mode))
		return ek_fail(EK_EUSAGE, "%s is a file, not a run directory", run->path);
	if (ek_run_is_at(run->path))
		return 0;
	if (mode == EK_RUN_CREATE) {
		EK_TRY(may_begin_in(run->path));
		return rc ? 0
		          : ek_fail(EK_EUSAGE, "%s holds other files; name a new or empty directory for the run",
		                    run->path);
	}
	if (!ek_file_exists(run->record_path))
		return ek_fail(EK_EUSAGE, "%s is not a run directory: it has no run.json", run->path);
	EK_TRY(judge_record_at(run->record_path));
	if (rc != EMPTY)
		return ek_fail(EK_EUSAGE, "%s is not a run directory: its run.json is none that evenkeel wrote",
		               run->path);
	rc = 0;
out:
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
	if (mode != EK_RUN_READ)
		EK_TRY(take_lock(run));
	if (ek_file_exists(run->record_path)) {
		EK_TRY(ek_json_load(&run->record, run->record_path));
		if (!cJSON_IsObject(run->record))
			rc = ek_fail(EK_EDATA, "%s: not an object", run->record_path);
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
	ek_lock_release(&run->lock);
	if (run->is_guarded)
		ek_guard_end(run->path);
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

/* What is known of a file: {"bytes", "mtime_ns", "xxh64"}; the first two say whether the hash must be taken again. */
struct fingerprint {
	uint64_t bytes, mtime_ns;
	char hash[17];
};

/* 1 if RUN/name leaves the run, as no step names a file. */
static int leaves_run(const char *name)
{
	for (; name != NULL && *name != 0; name = strchr(name, '/')) {
		name += *name == '/';
		if (*name == 0 || *name == '/' || (strncmp(name, "..", 2) == 0 && (name[2] == '/' || name[2] == 0)))
			return 1;
	}
	return 0;
}

static int stat_file(struct fingerprint *print, const char *path)
{
	struct stat status;
	const int rc = ek_file_status(&status, path);

	if (rc <= 0)
		return rc;
	/* A device or a FIFO could be read for ever. */
	if (!S_ISREG(status.st_mode))
		return 0;
	print->bytes = (uint64_t)status.st_size;
	print->mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000u + (uint64_t)status.st_mtim.tv_nsec;
	return 1;
}

static int is_hash_known(struct fingerprint *print, const cJSON *known)
{
	const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(known, "bytes");
	const cJSON *mtime = cJSON_GetObjectItemCaseSensitive(known, "mtime_ns");
	const cJSON *hash = cJSON_GetObjectItemCaseSensitive(known, "xxh64");
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRIu64, print->mtime_ns);
	if (!cJSON_IsNumber(bytes) || !cJSON_IsString(mtime) || !cJSON_IsString(hash) ||
	    bytes->valuedouble != (double)print->bytes || strcmp(mtime->valuestring, text) != 0)
		return 0;
	(void)snprintf(print->hash, sizeof print->hash, "%s", hash->valuestring);
	return 1;
}

/* 1 and the file's fingerprint, 0 if there is no such file in the run, or a negative code. Any step that recorded it
 * may know its hash. */
static int fingerprint_file(struct fingerprint *print, const struct ek_run *run, const char *name)
{
	char *path = NULL;
	const cJSON *step;
	uint64_t hash;
	int rc, known = 0;

	*print = (struct fingerprint){ 0 };
	if (leaves_run(name))
		return 0;
	EK_TRY(ek_run_file(&path, run, name));
	if ((rc = stat_file(print, path)) <= 0)
		goto out;
	cJSON_ArrayForEach(step, run->record)
	{
		static const char *const lists[] = { "inputs", "outputs" };

		for (int i = 0; i < 2 && !known; i++) {
			const cJSON *files = cJSON_GetObjectItemCaseSensitive(step, lists[i]);

			known = is_hash_known(print, cJSON_GetObjectItemCaseSensitive(files, name));
		}
	}
	if (!known) {
		EK_TRY(ek_hash64_file(&hash, path));
		(void)snprintf(print->hash, sizeof print->hash, "%016" PRIx64, hash);
	}
	rc = 1;
out:
	free(path);
	return rc;
}

static int set_reason(struct ek_run *run, const char *text)
{
	free(run->reason);
	return ek_copy_string(&run->reason, text);
}

/* 1 if all files are as recorded, else 0 with the reason. */
static int compare_files(struct ek_run *run, const cJSON *recorded, const char *list, const char *const *names)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(recorded, list);
	struct ek_buffer why = { 0 };
	int rc = 1;

	for (; *names != NULL; names++) {
		const cJSON *hash =
			cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(files, *names), "xxh64");
		struct fingerprint print;

		EK_TRY(fingerprint_file(&print, run, *names));
		if (rc == 1 && cJSON_IsString(hash) && strcmp(hash->valuestring, print.hash) == 0)
			continue;
		/* An input that was not there then and is not there now is the same. */
		if (rc == 0 && hash == NULL) {
			rc = 1;
			continue;
		}
		EK_TRY(ek_buffer_printf(&why, "%s %s", *names, rc == 0 ? "is missing" : "has changed"));
		EK_TRY(set_reason(run, why.data));
		rc = 0;
		break;
	}
out:
	ek_buffer_release(&why);
	return rc;
}

/* Text that says nothing to people. */
static int is_hash(const cJSON *item)
{
	const char *text = cJSON_GetStringValue(item);

	return text != NULL && strlen(text) >= 16 && strspn(text, "0123456789abcdef") == strlen(text);
}

/* The first member in which `now` differs, as "model.depth was 2"; of lists only that they do, of a hash that what has
 * it does. 1: there is one. */
static int name_difference(struct ek_buffer *why, const char *prefix, const cJSON *was, const cJSON *now)
{
	struct ek_buffer path = { 0 };
	const cJSON *item;
	int rc = 0;

	cJSON_ArrayForEach(item, now)
	{
		const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, item->string);
		char *text;

		if (cJSON_Compare(old, item, 1))
			continue;
		if (is_hash(old) && *prefix != 0)
			break;
		EK_TRY(ek_buffer_printf(&path, "%s%s", prefix, item->string));
		if (cJSON_IsObject(old) && cJSON_IsObject(item)) {
			EK_TRY(ek_buffer_text(&path, "."));
			EK_TRY(name_difference(why, path.data, old, item));
			if (rc == 0) /* a hash, or what there was has more */
				EK_TRY(ek_buffer_printf(why, "%s%s changed", prefix, item->string));
		} else if (is_hash(old) || (old != NULL && (old->type & (cJSON_Array | cJSON_Object)) != 0)) {
			EK_TRY(ek_buffer_printf(why, "%s changed", path.data)); /* not for people in full */
		} else {
			text = old != NULL ? cJSON_PrintUnformatted(old) : NULL;
			rc = ek_buffer_printf(why, "%s was %s", path.data, text != NULL ? text : "not set");
			cJSON_free(text);
		}
		rc = rc < 0 ? rc : 1;
		break;
	}
out:
	ek_buffer_release(&path);
	return rc;
}

/* Through text once, so that exact integers (raw items) are as what run.json holds. */
static int as_read_back(cJSON **out, const cJSON *json)
{
	char *printed = cJSON_PrintUnformatted(json);
	int rc;

	*out = NULL;
	if (printed == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	rc = ek_json_parse(out, printed, strlen(printed), "run.json");
	cJSON_free(printed);
	return rc;
}

/* 1 if the options are as recorded, else 0 with the reason. */
static int compare_options(struct ek_run *run, const cJSON *recorded, const struct ek_step *step)
{
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(recorded, "options");
	struct ek_buffer why = { 0 };
	cJSON *now;
	int rc;

	EK_TRY(as_read_back(&now, step->options));
	if (cJSON_Compare(options, now, 1)) {
		rc = 1;
		goto out;
	}
	EK_TRY(name_difference(&why, "", options, now));
	EK_TRY(set_reason(run, rc > 0 ? why.data : "its options have changed"));
	rc = 0;
out:
	ek_buffer_release(&why);
	cJSON_Delete(now);
	return rc;
}

/* enum ek_run_match, or a negative code. */
static int match_recorded(struct ek_run *run, const struct ek_step *step, const cJSON *recorded)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(recorded, "version");
	int rc;

	if (!cJSON_IsObject(recorded))
		return (rc = set_reason(run, "not made yet")) < 0 ? rc : EK_RUN_UNKNOWN;
	if (!cJSON_IsNumber(version) || version->valueint != step->version) {
		rc = set_reason(run, "this version of evenkeel does it differently");
		return rc < 0 ? rc : EK_RUN_OTHER;
	}
	if ((rc = compare_options(run, recorded, step)) <= 0)
		return rc < 0 ? rc : EK_RUN_OTHER;
	if ((rc = compare_files(run, recorded, "inputs", step->inputs)) <= 0)
		return rc < 0 ? rc : EK_RUN_STALE;
	if ((rc = compare_files(run, recorded, "outputs", step->outputs)) <= 0)
		return rc < 0 ? rc : EK_RUN_DAMAGED;
	return (rc = set_reason(run, "current")) < 0 ? rc : EK_RUN_SAME;
}

int ek_run_match(enum ek_run_match *match, const char **reason, struct ek_run *run, const struct ek_step *step,
                 const cJSON *recorded)
{
	const int rc = match_recorded(run, step, recorded);

	*match = rc < 0 ? EK_RUN_UNKNOWN : (enum ek_run_match)rc;
	*reason = run->reason != NULL ? run->reason : "";
	return rc < 0 ? rc : 0;
}

int ek_run_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_step *step)
{
	enum ek_run_match match;
	const int rc = ek_run_match(&match, reason, run, step, ek_run_recorded(run, step->name));

	*current = rc == 0 && match == EK_RUN_SAME;
	return rc;
}

const cJSON *ek_run_writer(const struct ek_run *run, const char *file)
{
	const cJSON *step;

	cJSON_ArrayForEach(step, run->record)
	{
		if (cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(step, "outputs"), file) != NULL)
			return step;
	}
	return NULL;
}

/* The names of the files that run.json records of a step, ended by NULL. */
static int recorded_names(const char ***out, const cJSON *recorded, const char *list)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(recorded, list), *file;
	size_t count = 0;
	int rc;

	EK_TRY(ek_alloc(out, (size_t)cJSON_GetArraySize(files) + 1, sizeof **out));
	cJSON_ArrayForEach(file, files)(*out)[count++] = file->string;
out:
	return rc;
}

/* Steps that need no second look: each is compared once, however many lead to it. */
struct compared {
	const cJSON **steps; /* [count] */
	size_t count;
};

static int is_compared(const struct compared *all, const cJSON *step)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->steps[i] == step)
			return 1;
	return 0;
}

/* 1: unchanged; 0, with the reason; or a negative code. What `all` has is taken as unchanged: it is, or what is looked
 * at now was come to from it. */
static int compare_recorded(struct ek_run *run, struct compared *all, const cJSON *recorded, int depth)
{
	const char **inputs = NULL, **outputs = NULL;
	const cJSON *stale =
		recorded->string != NULL ? cJSON_GetObjectItemCaseSensitive(run->stale, recorded->string) : NULL;
	struct ek_buffer why = { 0 };
	int rc;

	if (stale != NULL)
		return set_reason(run, stale->valuestring);
	EK_TRY(ek_resize(&all->steps, all->count + 1, sizeof *all->steps));
	all->steps[all->count++] = recorded;
	EK_TRY(recorded_names(&inputs, recorded, "inputs"));
	EK_TRY(recorded_names(&outputs, recorded, "outputs"));
	if ((rc = compare_files(run, recorded, "inputs", inputs)) <= 0 ||
	    (rc = compare_files(run, recorded, "outputs", outputs)) <= 0)
		goto out;
	for (const char **input = inputs; depth > 0 && *input != NULL; input++) {
		const cJSON *writer = ek_run_writer(run, *input);

		if (writer == NULL || is_compared(all, writer) ||
		    (rc = compare_recorded(run, all, writer, depth - 1)) > 0)
			continue;
		if (rc == 0) {
			EK_TRY(ek_buffer_printf(&why, "%s is stale: %s", *input, run->reason));
			EK_TRY(set_reason(run, why.data));
			rc = 0;
		}
		goto out;
	}
	rc = 1;
out:
	ek_buffer_release(&why);
	free(inputs);
	free(outputs);
	return rc;
}

int ek_run_set_stale(struct ek_run *run, const char *step, const char *reason)
{
	if (run->stale == NULL && (run->stale = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for JSON");
	cJSON_DeleteItemFromObjectCaseSensitive(run->stale, step);
	return ek_json_add_string(run->stale, step, reason);
}

static int is_unchanged(int *unchanged, const char **reason, struct ek_run *run, const cJSON *entry, int depth)
{
	struct compared all = { 0 };
	int rc = 1;

	if (entry != NULL)
		rc = compare_recorded(run, &all, entry, depth);
	free(all.steps);
	*unchanged = rc > 0;
	*reason = rc == 0 ? run->reason : "";
	return rc < 0 ? rc : 0;
}

int ek_run_is_unchanged(int *unchanged, const char **reason, struct ek_run *run, const char *step, int deep)
{
	return is_unchanged(unchanged, reason, run, ek_run_recorded(run, step), deep ? DEEPEST : 0);
}

int ek_run_are_inputs_unchanged(int *unchanged, const char **reason, struct ek_run *run, const cJSON *object)
{
	return is_unchanged(unchanged, reason, run, object, DEEPEST);
}

static int record_files(cJSON *entry, const struct ek_run *run, const char *list, const char *const *names)
{
	cJSON *files, *file;
	char text[24];
	int rc;

	EK_TRY(ek_json_add_object(&files, entry, list));
	for (; *names != NULL; names++) {
		struct fingerprint print;

		if ((rc = fingerprint_file(&print, run, *names)) < 0)
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
	EK_TRY(record_files(made, run, "inputs", step->inputs));
	EK_TRY(record_files(made, run, "outputs", step->outputs));
	EK_TRY(as_read_back(entry, made));
out:
	cJSON_Delete(made);
	return rc;
}

int ek_run_add_inputs(cJSON *object, const struct ek_run *run, const char *const *inputs)
{
	const cJSON *files;
	cJSON *file;
	int rc;

	EK_TRY(record_files(object, run, "inputs", inputs));
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
