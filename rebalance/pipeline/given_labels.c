#include "rebalance/pipeline/given_labels.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/images.h"
#include "rebalance/io/table.h"

/* One labelled image, while they are collected. */
struct row {
	uint64_t id;
	char *label;
	uint8_t random;
};

struct rows {
	struct row *items;
	size_t count, room;
};

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->items[i].label);
	free(rows->items);
}

/* A field of a table: what looks like a number is raw. */
static const char *text_of(const cJSON *item)
{
	return cJSON_IsString(item) || cJSON_IsRaw(item) ? item->valuestring : NULL;
}

static int is_yes(const cJSON *item)
{
	const char *text = text_of(item);

	return cJSON_IsTrue(item) || (cJSON_IsNumber(item) && item->valuedouble == 1) ||
	       (text != NULL &&
	        (strcmp(text, "1") == 0 || strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0));
}

/* The label of a row of the table as text, to be freed; NULL: it has none. */
static int label_of(char **out, const cJSON *row)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, "label");

	*out = NULL;
	if (item == NULL)
		item = cJSON_GetObjectItemCaseSensitive(row, "group");
	if (cJSON_IsNumber(item))
		return ek_format(out, "%g", item->valuedouble);
	return text_of(item) != NULL && *text_of(item) != 0 ? ek_copy_string(out, text_of(item)) : 0;
}

static int add(struct rows *rows, uint64_t id, const cJSON *attributes)
{
	struct row row = { .id = id,
		           .random = (uint8_t)is_yes(cJSON_GetObjectItemCaseSensitive(attributes, "random")) };
	struct row *grown;
	int rc;

	EK_TRY(label_of(&row.label, attributes));
	if (row.label == NULL)
		return 0;
	if (rows->count == rows->room) {
		rows->room = rows->room > 0 ? 2 * rows->room : 64;
		if ((grown = realloc(rows->items, rows->room * sizeof *grown)) == NULL) {
			free(row.label);
			return ek_fail(EK_ENOMEM, "no memory for %zu labels", rows->room);
		}
		rows->items = grown;
	}
	rows->items[rows->count++] = row;
out:
	return rc;
}

static int tell_unused(struct ek_attributes *table, const char *path)
{
	uint64_t count, line;
	char *name = NULL;
	int rc;

	EK_TRY(ek_attributes_unused(table, &count, &line, &name));
	if (count > 0)
		ek_warn(count == 1 ? "%s: %" PRIu64 " row fits no image, on line %" PRIu64 ": %s"
		                   : "%s: %" PRIu64 " rows fit no image, the first on line %" PRIu64 ": %s",
		        path, count, line, name);
out:
	free(name);
	return rc;
}

/* Every image's row, by its name. tell: of rows that fit no image, which is told in any case where none does. */
static int read_by_name(struct rows *rows, const struct ek_run *run, const char *path, int tell)
{
	struct ek_attributes *table = NULL;
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	cJSON *found = NULL;
	int rc;

	EK_TRY(ek_attributes_open(&table, path, NULL));
	for (int pass = 0; pass < 2; pass++) {
		EK_TRY(ek_images_open(&images, run));
		while ((rc = ek_images_next(images, &record)) > 0) {
			if (pass == 0) {
				EK_TRY(ek_attributes_match(table, record.file_name));
			} else {
				EK_TRY(ek_attributes_find(table, record.file_name, &found));
				if (found != NULL)
					EK_TRY(add(rows, record.id, found));
				cJSON_Delete(found);
				found = NULL;
			}
			ek_image_record_release(&record);
		}
		EK_TRY(rc);
		ek_images_close(images);
		images = NULL;
	}
	if (tell || rows->count == 0)
		EK_TRY(tell_unused(table, path));
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	ek_attributes_close(table);
	cJSON_Delete(found);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int read_by_id(struct rows *rows, const char *path, uint64_t images)
{
	struct ek_table table = { 0 };
	cJSON *attributes = NULL;
	char *end;
	int rc;

	EK_TRY(ek_table_open(&table, path, "id"));
	while ((rc = ek_table_next(&table, &attributes)) > 0) {
		const unsigned long long id = strtoull(table.name.data, &end, 10);

		if (*end != 0 || end == table.name.data || id >= images) {
			rc = ek_fail(EK_EDATA, "%s:%" PRIu64 ": the id is \"%s\", expected 0 to %" PRIu64, path,
			             table.line, table.name.data, images - 1);
			goto out;
		}
		EK_TRY(add(rows, id, attributes));
		cJSON_Delete(attributes);
		attributes = NULL;
	}
	if (rows->count > 0)
		qsort(rows->items, rows->count, sizeof *rows->items, by_id);
	for (size_t i = 1; rc == 0 && i < rows->count; i++)
		if (rows->items[i].id == rows->items[i - 1].id)
			rc = ek_fail(EK_EDATA, "%s: the id %" PRIu64 " has two rows", path, rows->items[i].id);
out:
	cJSON_Delete(attributes);
	ek_table_close(&table);
	return rc;
}

/* The different labels, sorted, and each image's among them. */
static int number_groups(struct ek_given_labels *out, const struct rows *rows, const char *path, uint32_t most)
{
	char **all = NULL;
	int rc;

	EK_TRY(ek_alloc(&all, rows->count + 1, sizeof *all));
	for (size_t i = 0; i < rows->count; i++)
		all[i] = rows->items[i].label;
	if (rows->count > 0)
		qsort(all, rows->count, sizeof *all, ek_compare_texts);
	EK_TRY(ek_alloc(&out->names, most, sizeof *out->names));
	EK_TRY(ek_alloc(&out->group, rows->count + 1, sizeof *out->group));
	for (size_t i = 0; i < rows->count; i++) {
		if (i > 0 && strcmp(all[i], all[i - 1]) == 0)
			continue;
		if (out->groups == most) {
			rc = ek_fail(EK_EDATA, "%s: more than %" PRIu32 " different labels are no groups", path, most);
			goto out;
		}
		EK_TRY(ek_copy_string(&out->names[out->groups], all[i]));
		out->groups++;
	}
	if (out->groups < 2) {
		rc = ek_fail(EK_EDATA, "%s: %zu image%s with a label, of %u group%s; expected two groups at least",
		             path, rows->count, rows->count == 1 ? "" : "s", out->groups, out->groups == 1 ? "" : "s");
		goto out;
	}
	for (size_t i = 0; i < rows->count; i++) {
		const char *label = rows->items[i].label;
		char **found = bsearch(&label, out->names, out->groups, sizeof *out->names, ek_compare_texts);

		out->group[i] = (uint32_t)(found - out->names);
	}
out:
	free(all);
	return rc;
}

/* A table without names of files, but with a column id. */
static int has_ids_only(const char *path)
{
	struct ek_table table = { 0 };
	int ids = 0;

	if (ek_table_open(&table, path, NULL) < 0) {
		ek_table_close(&table);
		ids = ek_table_open(&table, path, "id") == 0;
	}
	ek_table_close(&table);
	return ids;
}

int ek_given_labels_check(const char *path)
{
	const char *const key = has_ids_only(path) ? "id" : NULL;
	struct ek_given_labels labels = { 0 };
	struct ek_attributes *whole = NULL;
	struct ek_table table = { 0 };
	struct rows rows = { 0 };
	cJSON *attributes = NULL;
	int rc;

	EK_TRY(ek_attributes_open(&whole, path, key));
	EK_TRY(ek_table_open(&table, path, key));
	while ((rc = ek_table_next(&table, &attributes)) > 0) {
		EK_TRY(add(&rows, rows.count, attributes));
		cJSON_Delete(attributes);
		attributes = NULL;
	}
	EK_TRY(rc);
	EK_TRY(number_groups(&labels, &rows, path, (uint32_t)rows.count + 1));
out:
	cJSON_Delete(attributes);
	ek_table_close(&table);
	ek_attributes_close(whole);
	ek_given_labels_release(&labels);
	free_rows(&rows);
	return rc;
}

static int load(struct ek_given_labels *out, const struct ek_run *run, const char *path, uint64_t images, uint32_t most,
                int tell)
{
	struct rows rows = { 0 };
	char *list = NULL;
	int rc;

	*out = (struct ek_given_labels){ 0 };
	EK_TRY(ek_run_file(&list, run, "images.jsonl"));
	EK_TRY(ek_file_exists(list) && !has_ids_only(path) ? read_by_name(&rows, run, path, tell)
	                                                   : read_by_id(&rows, path, images));
	EK_TRY(ek_alloc(&out->ids, rows.count + 1, sizeof *out->ids));
	EK_TRY(ek_alloc(&out->random, rows.count + 1, 1));
	out->count = rows.count;
	for (size_t i = 0; i < rows.count; i++) {
		out->ids[i] = rows.items[i].id;
		out->random[i] = rows.items[i].random;
	}
	EK_TRY(number_groups(out, &rows, path, most));
out:
	free_rows(&rows);
	free(list);
	return rc;
}

int ek_given_labels_fit(const struct ek_run *run, const char *path, uint64_t images, uint32_t most)
{
	struct ek_given_labels labels;
	const int rc = load(&labels, run, path, images, most, 0);

	ek_given_labels_release(&labels);
	return rc;
}

int ek_given_labels_load(struct ek_given_labels *out, const struct ek_run *run, const char *path, uint64_t images,
                         uint32_t most)
{
	return load(out, run, path, images, most, 1);
}

void ek_given_labels_release(struct ek_given_labels *labels)
{
	for (uint32_t g = 0; g < labels->groups; g++)
		free(labels->names[g]);
	free(labels->names);
	free(labels->ids);
	free(labels->group);
	free(labels->random);
	*labels = (struct ek_given_labels){ 0 };
}
