#include "reports/sample_sets.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/jsonl.h"
#include "rebalance/io/run_files.h"
#include "reports/documents.h"

/* What is read of samples.jsonl: the class of each sample, by its place in `names`. */
struct reading {
	char **names;
	size_t name_count, name_room;
	size_t *class; /* [count] */
	uint64_t count, room;
};

static void release(struct reading *r)
{
	for (size_t i = 0; i < r->name_count; i++)
		free(r->names[i]);
	free(r->names);
	free(r->class);
}

/* The place of a class name. Samples come class after class, so the last one is mostly it. */
static int place_of(size_t *place, struct reading *r, const char *name)
{
	int rc = 0;

	for (*place = r->name_count; *place > 0; --*place)
		if (strcmp(r->names[*place - 1], name) == 0)
			break;
	if (*place > 0) {
		--*place;
		return 0;
	}
	if (r->name_count == r->name_room) {
		EK_TRY(ek_resize(&r->names, 2 * r->name_room + 16, sizeof *r->names));
		r->name_room = 2 * r->name_room + 16;
	}
	EK_TRY(ek_copy_string(&r->names[r->name_count], name));
	*place = r->name_count++;
out:
	return rc;
}

static int read_samples(struct reading *r, const char *path, const char *condition)
{
	struct ek_jsonl jsonl = { 0 };
	cJSON *row = NULL;
	int rc;

	EK_TRY(ek_jsonl_open(&jsonl, path));
	while ((rc = ek_jsonl_next(&jsonl, &row)) > 0) {
		if (r->count == r->room) {
			EK_TRY(ek_resize(&r->class, 2 * r->room + 256, sizeof *r->class));
			r->room = 2 * r->room + 256;
		}
		EK_TRY(place_of(&r->class[r->count], r, ek_text_of(row, condition, "")));
		if (ek_number_of(row, "id") != (double)r->count) {
			rc = ek_fail(EK_EDATA, "%s:%" PRIu64 ": id is not %" PRIu64 ", as its place wants", path,
			             jsonl.lines.line, r->count);
			goto out;
		}
		r->count++;
		cJSON_Delete(row);
		row = NULL;
	}
out:
	cJSON_Delete(row);
	ek_jsonl_close(&jsonl);
	return rc;
}

/* A class with what its place goes by. */
struct ranked {
	struct ek_sample_class class;
	uint64_t size;
	size_t at;
};

static int smaller_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static int64_t cluster_of(const char *name, const char *condition, size_t k)
{
	char *end;
	const unsigned long cluster = strtoul(name, &end, 10);

	return strcmp(condition, "cluster") == 0 && end != name && *end == 0 && cluster < k ? (int64_t)cluster : -1;
}

/* Class after class, smallest first. */
static int arrange(struct ek_sample_set *set, struct reading *r, const char *condition, const uint64_t *sizes, size_t k)
{
	struct ranked *ranked = NULL;
	size_t *place = NULL, next = 0;
	int rc = 0;

	EK_TRY(ek_alloc(&ranked, r->name_count, sizeof *ranked));
	EK_TRY(ek_alloc(&place, r->name_count, sizeof *place));
	EK_TRY(ek_alloc(&set->classes, r->name_count, sizeof *set->classes));
	EK_TRY(ek_alloc(&set->order, r->count, sizeof *set->order));
	for (uint64_t i = 0; i < r->count; i++)
		ranked[r->class[i]].class.count++;
	for (size_t i = 0; i < r->name_count; i++) {
		const int64_t cluster = cluster_of(r->names[i], condition, k);

		ranked[i].class.cluster = cluster;
		ranked[i].size = cluster >= 0 ? sizes[cluster] : ranked[i].class.count;
		ranked[i].at = i;
	}
	qsort(ranked, r->name_count, sizeof *ranked, smaller_first);
	for (size_t i = 0; i < r->name_count; i++) {
		set->classes[i] = ranked[i].class;
		set->classes[i].first = next;
		place[ranked[i].at] = next;
		next += ranked[i].class.count;
		EK_TRY(ek_copy_string(&set->classes[set->class_count++].name, r->names[ranked[i].at]));
	}
	for (set->count = 0; set->count < r->count; set->count++)
		set->order[place[r->class[set->count]]++] = set->count;
out:
	free(ranked);
	free(place);
	return rc;
}

static int load_set(struct ek_sample_set *set, const struct ek_run *run, const char *path, const uint64_t *sizes,
                    size_t k, int full)
{
	struct reading reading = { 0 };
	const char *condition;
	char *name = NULL, *config = NULL;
	int rc;

	EK_TRY(ek_folder_name(&set->name, path));
	EK_TRY(ek_format(&name, "samples/%s/config.json", set->name));
	EK_TRY(ek_run_file(&config, run, name));
	free(name);
	name = NULL;
	EK_TRY(ek_format(&name, "reviews/%s.jsonl", set->name));
	if (ek_file_exists(config))
		EK_TRY(ek_load_object(&set->json, config));
	if (!full && !ek_run_has(run, name))
		goto out;
	condition = ek_text_of(set->json, "condition", "cluster");
	EK_TRY(read_samples(&reading, path, condition));
	EK_TRY(arrange(set, &reading, condition, sizes, k));
out:
	release(&reading);
	free(name);
	free(config);
	return rc;
}

static void release_set(struct ek_sample_set *set)
{
	for (size_t j = 0; j < set->class_count; j++)
		free(set->classes[j].name);
	free(set->classes);
	free(set->order);
	free(set->name);
	cJSON_Delete(set->json);
	*set = (struct ek_sample_set){ 0 };
}

int ek_sample_sets_load(struct ek_sample_sets *sets, struct ek_buffer *left_out, const struct ek_run *run,
                        const uint64_t *sizes, size_t k, size_t full)
{
	glob_t found = { 0 };
	int rc;

	*sets = (struct ek_sample_sets){ 0 };
	EK_TRY(ek_find_named(&found, run, "samples/*/samples.jsonl"));
	EK_TRY(ek_alloc(&sets->items, found.gl_pathc, sizeof *sets->items));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_sample_set *set = &sets->items[sets->count++];

		EK_TRY(ek_leave_out(left_out, load_set(set, run, found.gl_pathv[i], sizes, k, sets->count <= full),
		                    found.gl_pathv[i]));
		if (rc > 0)
			release_set(&sets->items[--sets->count]);
	}
	rc = 0;
out:
	globfree(&found);
	return rc;
}

void ek_sample_sets_release(struct ek_sample_sets *sets)
{
	for (size_t i = 0; i < sets->count; i++)
		release_set(&sets->items[i]);
	free(sets->items);
	*sets = (struct ek_sample_sets){ 0 };
}

int64_t ek_sample_sets_find(const struct ek_sample_sets *sets, const char *name)
{
	for (size_t i = 0; name != NULL && i < sets->count; i++)
		if (strcmp(sets->items[i].name, name) == 0)
			return (int64_t)i;
	return -1;
}

int ek_sample_picture_name(char **name, const struct ek_sample_set *set, uint64_t i)
{
	return ek_format(name, "samples/%s/images/%06" PRIu64 ".png", set->name, i);
}
