#include "rebalance/io/scan_internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/lines.h"

enum { VERSION = 3 };

int ek_scan_check(const struct ek_scan_options *o)
{
	if (!(o->held_out >= 0 && o->held_out < 1))
		return ek_fail(EK_EUSAGE, "the held-out share is %g, not in 0 … 1", o->held_out);
	if (o->max_pixels == 0)
		return ek_fail(EK_EUSAGE, "no image has 0 pixels");
	return 0;
}

static int add_patterns(cJSON *options, const char *name, const char *const *patterns, size_t count)
{
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_array(&list, options, name));
	for (size_t i = 0; i < count; i++)
		EK_TRY(ek_json_add_string(list, NULL, patterns[i]));
out:
	return rc;
}

int ek_scan_describe(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *o,
                     const struct ek_dataset *dataset)
{
	static const char *const none[] = { NULL };
	static const char *const outputs[] = { "images.jsonl", "rejected.jsonl", NULL };
	cJSON *list = NULL;
	char text[17], *path = NULL;
	int rc;

	*options_json = cJSON_CreateObject();
	EK_TRY(ek_dataset_fingerprint(&list, dataset));
	EK_TRY(ek_json_add_item(*options_json, "dataset", list));
	if (o->attributes != NULL) {
		if ((path = realpath(o->attributes, NULL)) == NULL) {
			rc = ek_fail_errno("cannot read %s", o->attributes);
			goto out;
		}
		EK_TRY(ek_hash64_file_hex(text, path));
		EK_TRY(ek_filename_add(*options_json, "attributes", path));
		EK_TRY(ek_json_add_string(*options_json, "attributes_hash", text));
	}
	if (o->key != NULL)
		EK_TRY(ek_json_add_string(*options_json, "key", o->key));
	EK_TRY(ek_json_add_u64(*options_json, "max_pixels", o->max_pixels));
	EK_TRY(ek_json_add_string(*options_json, "check", o->check == EK_SCAN_HEADER ? "header" : "decode"));
	EK_TRY(ek_json_add_double(*options_json, "held_out", o->held_out));
	EK_TRY(add_patterns(*options_json, "include", o->include, o->include_count));
	EK_TRY(add_patterns(*options_json, "exclude", o->exclude, o->exclude_count));
	*step = (struct ek_step){
		.name = "scan",
		.version = VERSION,
		.options = *options_json,
		.inputs = none,
		.outputs = ek_dataset_kind(dataset) == EK_DATASET_EMBEDDINGS ? none : outputs,
	};
out:
	free(path);
	if (rc < 0) {
		cJSON_Delete(*options_json);
		*options_json = NULL;
	}
	return rc;
}

int ek_scan_step(struct ek_step *step, cJSON **options_json, const struct ek_scan_options *o, int look)
{
	struct ek_dataset *dataset = NULL;
	int rc;

	*options_json = NULL;
	EK_TRY(ek_scan_check(o));
	/* The table of attributes is hashed, not read. */
	EK_TRY(ek_dataset_open(&dataset, o->datasets, o->dataset_count, NULL, o->key));
	EK_TRY(ek_dataset_select(dataset, o->include, o->include_count, o->exclude, o->exclude_count));
	if (look)
		EK_TRY(ek_dataset_look(dataset));
	EK_TRY(ek_scan_describe(step, options_json, o, dataset));
	if (!look)
		EK_TRY(ek_dataset_look_once(dataset));
	rc = !look && rc == 0;
out:
	ek_dataset_close(dataset);
	return rc;
}

/* 1 if the file or folder can be read now, else 0 and the message says why. */
static int can_be_read(struct ek_buffer *bytes, const char *path)
{
	uint64_t stamp;
	const int rc = ek_candidate_read(bytes, path, &stamp);
	DIR *directory = rc == EK_EDATA ? opendir(path) : NULL;

	if (directory != NULL)
		(void)closedir(directory);
	else if (rc == EK_EDATA)
		(void)ek_fail_errno("cannot read the folder %s", path);
	return rc >= 0 || directory != NULL;
}

/* Of the files that could not be read, can any be read now? */
static int try_unread(int *readable, const struct ek_run *run, const cJSON *counts)
{
	struct ek_buffer path = { 0 }, bytes = { 0 };
	struct ek_jsonl rows = { 0 };
	char *rejected = NULL, *root = NULL, *name = NULL;
	uint64_t unread = 0;
	cJSON *row = NULL;
	int rc;

	EK_TRY(ek_filename_get(&root, counts, "root", "run.json, step scan"));
	EK_TRY(ek_run_file(&rejected, run, "rejected.jsonl"));
	EK_TRY(ek_jsonl_open(&rows, rejected));
	for (*readable = 0; !*readable;) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_jsonl_next(&rows, &row));
		if (rc == 0)
			break;
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "unread"))) {
			EK_TRY(ek_filename_get(&name, row, "file_name", rejected));
			ek_buffer_clear(&path);
			EK_TRY(ek_buffer_printf(&path, "%s/%s", *name != '/' ? root : "", name));
			*readable = can_be_read(&bytes, path.data);
			unread++;
			free(name);
			name = NULL;
		}
		cJSON_Delete(row);
		row = NULL;
	}
	if (!*readable && unread > 0)
		ek_warn("%" PRIu64 " %s still cannot be read, the last: %s", unread, unread == 1 ? "file" : "files",
		        ek_error_message());
out:
	cJSON_Delete(row);
	ek_jsonl_close(&rows);
	ek_buffer_release(&path);
	ek_buffer_release(&bytes);
	free(rejected);
	free(root);
	free(name);
	return rc;
}

int ek_scan_is_current(int *current, const char **reason, struct ek_run *run, const struct ek_step *step)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const cJSON *unread = cJSON_GetObjectItemCaseSensitive(counts, "unread");
	int readable = 0, rc;

	EK_TRY(ek_run_is_current(current, reason, run, step));
	if (!*current || !cJSON_IsNumber(unread) || !(unread->valuedouble > 0))
		return 0;
	EK_TRY(try_unread(&readable, run, counts));
	if (readable) {
		*current = 0;
		*reason = "files that could not be read can be read now";
	}
out:
	return rc;
}
