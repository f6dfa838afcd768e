/* Is what a run holds what would be made now: the options those, and the files? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/run_internal.h"

enum { DEEPEST = 64 }; /* steps that a step is made from, one after the other; more are not looked at */

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

static int stat_file(struct ek_fingerprint *print, const char *path)
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

static int is_hash_known(struct ek_fingerprint *print, const cJSON *known)
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

int ek_run_fingerprint(struct ek_fingerprint *print, const struct ek_run *run, const char *name, const uint64_t *given)
{
	char *path = NULL;
	const cJSON *step;
	uint64_t hash = given != NULL ? *given : 0;
	int rc, known = 0;

	*print = (struct ek_fingerprint){ 0 };
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
		EK_TRY(given != NULL ? 0 : ek_hash64_file(&hash, path));
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
		struct ek_fingerprint print;

		EK_TRY(ek_run_fingerprint(&print, run, *names, NULL));
		if (rc == 1 && cJSON_IsString(hash) && strcmp(hash->valuestring, print.hash) == 0)
			continue;
		/* An input that was not there then and is not there now is the same. */
		if (rc == 0 && hash == NULL) {
			rc = 1;
			continue;
		}
		EK_TRY(ek_buffer_printf(&why, "%s %s", *names,
		                        rc == 0        ? "is missing"
		                        : hash == NULL ? "is new"
		                                       : "has changed"));
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

int ek_run_as_read_back(cJSON **out, const cJSON *json)
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

	EK_TRY(ek_run_as_read_back(&now, step->options));
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
