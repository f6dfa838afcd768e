/* `evenkeel info PATH`: what a file or directory of ours is, in words. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/text.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/tensors.h"

/* Files of a run directory, by the end of their path. */
static const struct {
	const char *name, *text;
} known_files[] = {
	{ "run.json", "what each step of the run was made from" },
	{ "images.jsonl", "one line per usable image, in id order" },
	{ "rejected.jsonl", "one line per unusable image, with the reason" },
	{ "embeddings.npy", "the feature vector of each image; row i is image id i" },
	{ "embeddings.json", "how the embeddings were made" },
	{ "clusters/assignment.npy", "the cluster of each image" },
	{ "clusters/distance.npy", "the distance of each image to the centroid of its cluster" },
	{ "clusters/centroids.npy", "the centroid of each cluster" },
	{ "clusters/clusters.json", "how the clusters were made, and their sizes" },
	{ "clusters/map.json", "a 2-D picture of the images" },
	{ "clusters/stability.json", "how far the clusters agree across seeds, numbers of clusters and encoders" },
	{ "clusters/duplicates.json", "groups of near-duplicate images" },
	{ "clusters/duplicate_similarity.npy", "the largest cosine of each image to an earlier one" },
	{ "clusters/duplicate_partner.npy", "that earlier image, or -1" },
	{ "audit.json", "the measures of skew, with intervals" },
	{ "report.html", "the report, one page that opens in a browser" },
};

static int ends_with(const char *path, const char *end)
{
	const size_t length = strlen(path), tail = strlen(end);

	return length >= tail && strcmp(path + length - tail, end) == 0 &&
	       (length == tail || path[length - tail - 1] == '/');
}

/* `*out` = the run directory that holds `path` (at most one folder up), or NULL. */
static int find_run(char **out, const char *path)
{
	char *absolute = realpath(path, NULL), *record = NULL;
	int rc = 0;

	*out = NULL;
	for (int up = 0; absolute != NULL && up < 2 && *out == NULL; up++) {
		char *slash = strrchr(absolute, '/');

		if (slash == NULL || slash == absolute)
			break;
		*slash = 0;
		EK_TRY(ek_format(&record, "%s/run.json", absolute));
		if (ek_file_exists(record))
			EK_TRY(ek_copy_string(out, absolute));
		free(record);
		record = NULL;
	}
out:
	free(record);
	free(absolute);
	return rc;
}

static void print_options(const cJSON *options)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, options)
	{
		char *text = cJSON_PrintUnformatted(item);

		if (text != NULL && !cJSON_IsNull(item))
			(void)printf("    %-16s %s\n", item->string, text);
		cJSON_free(text);
	}
}

static void print_step(const cJSON *step)
{
	const cJSON *started = cJSON_GetObjectItemCaseSensitive(step, "started");
	const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(step, "seconds");
	const time_t when = cJSON_IsNumber(started) ? (time_t)started->valuedouble : 0;
	char date[32] = "", took[32];
	struct tm parts;

	if (gmtime_r(&when, &parts) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &parts);
	(void)printf("\n  %s: %s, took %s\n", step->string, date,
	             ek_text_duration(took, cJSON_IsNumber(seconds) ? seconds->valuedouble : 0));
	print_options(cJSON_GetObjectItemCaseSensitive(step, "options"));
	print_options(cJSON_GetObjectItemCaseSensitive(step, "counts"));
}

/* What run.json says of the file: the step that writes it. */
static void print_origin(const cJSON *record, const char *path)
{
	const cJSON *step, *file;

	cJSON_ArrayForEach(step, record)
	{
		cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(step, "outputs"))
		{
			if (!ends_with(path, file->string))
				continue;
			(void)printf("Written by the step:\n");
			print_step(step);
			return;
		}
	}
}

static int show_run(const char *path, int json)
{
	struct ek_run *run = NULL;
	cJSON *record = NULL, *step;
	char *file = NULL, *text = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, path, EK_RUN_READ));
	EK_TRY(ek_run_file(&file, run, "run.json"));
	if (!ek_file_exists(file)) {
		(void)printf("%s: a run directory in which no step has finished yet\n", path);
		goto out;
	}
	EK_TRY(ek_json_load(&record, file));
	if (json) {
		if ((text = cJSON_Print(record)) != NULL)
			(void)printf("%s\n", text);
		goto out;
	}
	(void)printf("%s: a run directory of evenkeel\n", path);
	cJSON_ArrayForEach(step, record) print_step(step);
out:
	cJSON_free(text);
	free(file);
	cJSON_Delete(record);
	ek_run_close(run);
	return rc;
}

static int describe_npy(struct ek_buffer *text, const char *path)
{
	struct ek_npy array;
	int rc;

	EK_TRY(ek_npy_open(&array, path));
	EK_TRY(ek_buffer_printf(text, "a NumPy array, %s [", ek_dtype_name(array.type)));
	for (int i = 0; i < array.dimensions; i++)
		EK_TRY(ek_buffer_printf(text, "%s%llu", i > 0 ? ", " : "", (unsigned long long)array.shape[i]));
	EK_TRY(ek_buffer_printf(text, "]%s%s", array.fortran_order ? ", column-major" : "",
	                        array.big_endian ? ", big-endian" : ""));
	ek_npy_close(&array);
out:
	return rc;
}

static int describe_lines(struct ek_buffer *text, const char *path)
{
	struct ek_map map;
	uint64_t lines = 0;
	char count[32];
	int rc;

	EK_TRY(ek_map_open(&map, path));
	for (size_t i = 0; i < map.size; i++)
		lines += map.data[i] == '\n';
	ek_map_close(&map);
	EK_TRY(ek_buffer_printf(text, "a table of %s JSON lines", ek_text_count(count, lines)));
out:
	return rc;
}

static int describe_json(struct ek_buffer *text, const char *path)
{
	cJSON *value;
	const cJSON *item;
	int rc, first = 1;

	EK_TRY(ek_json_load(&value, path));
	rc = ek_buffer_text(text, "a JSON document with ");
	cJSON_ArrayForEach(item, value)
	{
		if (rc == 0 && item->string != NULL)
			rc = ek_buffer_printf(text, "%s%s", first ? "" : ", ", item->string);
		first = 0;
	}
	cJSON_Delete(value);
out:
	return rc;
}

static int describe_tensors(struct ek_buffer *text, const char *path)
{
	static const char *const formats[] = { "safetensors", "PyTorch, zip form", "PyTorch, stream form" };
	struct ek_tensor_file file;
	uint64_t numbers = 0;
	char count[32];
	int rc;

	EK_TRY(ek_tensor_file_open(&file, path));
	for (size_t i = 0; i < file.count; i++)
		numbers += file.tensors[i].count;
	rc = ek_buffer_printf(text, "a weight file (%s) of %zu tensors, %s numbers", formats[file.format], file.count,
	                      ek_text_count(count, numbers));
	ek_tensor_file_close(&file);
out:
	return rc;
}

static const struct {
	const char *suffix;
	int (*describe)(struct ek_buffer *text, const char *path);
} kinds[] = {
	{ ".npy", describe_npy },     { ".jsonl", describe_lines },
	{ ".json", describe_json },   { ".safetensors", describe_tensors },
	{ ".pth", describe_tensors }, { ".pt", describe_tensors },
};

static int show_file(const char *path, uint64_t bytes, int json)
{
	struct ek_buffer text = { 0 };
	const char *what = NULL;
	char *folder = NULL, *record_path = NULL, size[32];
	cJSON *record = NULL, *out = NULL;
	int rc;

	for (size_t i = 0; i < sizeof known_files / sizeof *known_files; i++)
		if (ends_with(path, known_files[i].name))
			what = known_files[i].text;
	EK_TRY(find_run(&folder, path));
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && text.size == 0; i++) {
		const size_t length = strlen(path), tail = strlen(kinds[i].suffix);

		if (length > tail && strcmp(path + length - tail, kinds[i].suffix) == 0)
			EK_TRY(kinds[i].describe(&text, path));
	}
	if (text.size == 0 && what == NULL) {
		rc = ek_fail(EK_EUSAGE, "%s is not a file that evenkeel knows", path);
		goto out;
	}
	if (json) {
		char *printed;

		if ((out = cJSON_CreateObject()) == NULL)
			rc = ek_fail(EK_ENOMEM, "no memory for JSON");
		EK_TRY(rc);
		EK_TRY(ek_json_add_string(out, "path", path));
		EK_TRY(ek_json_add_u64(out, "bytes", bytes));
		EK_TRY(ek_json_add_string(out, "format", text.size > 0 ? text.data : ""));
		EK_TRY(ek_json_add_string(out, "content", what != NULL ? what : ""));
		if ((printed = cJSON_Print(out)) != NULL)
			(void)printf("%s\n", printed);
		cJSON_free(printed);
		goto out;
	}
	(void)printf("%s: %s%s%s (%s)\n", path, what != NULL && folder != NULL ? what : "",
	             what != NULL && folder != NULL && text.size > 0 ? "; " : "", text.size > 0 ? text.data : "",
	             ek_text_bytes(size, bytes));
	if (folder != NULL) {
		EK_TRY(ek_format(&record_path, "%s/run.json", folder));
		EK_TRY(ek_json_load(&record, record_path));
		print_origin(record, path);
	}
out:
	cJSON_Delete(out);
	cJSON_Delete(record);
	free(record_path);
	free(folder);
	ek_buffer_release(&text);
	return rc;
}

int ek_cmd_info(struct ek_invocation *invocation)
{
	const struct ek_arguments *arguments = &invocation->arguments;
	const int json = invocation->settings.common.json;
	struct stat status;
	const char *path;

	if (arguments->count != 1)
		return ek_fail(EK_EUSAGE, "info takes one path, not %d; see evenkeel help info", arguments->count);
	path = arguments->positional[0];
	if (stat(path, &status) != 0)
		return ek_fail(EK_EUSAGE, "%s: %s", path, strerror(errno));
	return S_ISDIR(status.st_mode) ? show_run(path, json) : show_file(path, (uint64_t)status.st_size, json);
}
