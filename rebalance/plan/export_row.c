/* A row of metadata.jsonl, and KEY.json of a tar: what the run knows of an image. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/run_files.h"
#include "rebalance/plan/export_internal.h"
#include "rebalance/plan/select.h"

/* Arrays of [n] that a row takes a member from, where they are there. */
static const struct {
	const char *name, *path; /* %s: a name of the options */
	enum ek_dtype type;
} sources[EK_EXPORT_COLUMNS] = {
	{ "cluster", "clusters/assignment.npy", EK_I32 },
	{ "distance", "clusters/distance.npy", EK_F32 },
	{ "rank", "subsets/%s/rank.npy", EK_U32 },
	{ "weight", "weights/%s/weights.npy", EK_F64 },
};
enum { WEIGHT = EK_EXPORT_COLUMNS - 1 };

/* Members of images.jsonl that say where the image lies: they mean nothing in DIR. */
static const char *const left_out[] = { "id",    "file_name", "file_name_bytes", "source", "source_bytes", "offset",
	                                "bytes", "width",     "height",          "format", "sha256",       "held_out",
	                                NULL };
/* Members that a row has of its own. */
static const char *const own[] = { "file_name", "id",   "original", "original_bytes", "cluster",
	                           "distance",  "rank", "weight",   "repeat",         NULL };

static int is_in(const char *const *list, const char *name)
{
	while (*list != NULL && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

/* `*file` = the column's file in the run, or NULL where nothing fills the hole in its name. */
static int name_file(char **file, const struct ek_export *x, int column)
{
	const char *start = sources[column].path, *hole = strstr(start, "%s");
	const char *filling = column == WEIGHT ? x->options->weights : x->options->subset;

	*file = NULL;
	if (hole == NULL)
		return ek_copy_string(file, start);
	return filling == NULL ? 0 : ek_format(file, "%.*s%s%s", (int)(hole - start), start, filling, hole + 2);
}

int ek_export_columns_open(struct ek_export *x)
{
	int rc = 0;

	for (int i = 0; i < EK_EXPORT_COLUMNS; i++) {
		struct ek_export_column *c = &x->columns[i];

		c->name = sources[i].name;
		EK_TRY(name_file(&c->file, x, i));
		if (c->file == NULL)
			continue;
		if (ek_run_has(x->run, c->file)) {
			EK_TRY(ek_run_npy_open(&c->array, x->run, c->file, sources[i].type, 1, &x->images));
			continue;
		}
		if (i == WEIGHT)
			EK_TRY(ek_fail(EK_EUSAGE, "%s has no weights %s (no %s)", ek_run_path(x->run),
			               x->options->weights, c->file));
		free(c->file);
		c->file = NULL;
	}
out:
	return rc;
}

void ek_export_columns_close(struct ek_export *x)
{
	for (int i = 0; i < EK_EXPORT_COLUMNS; i++) {
		ek_npy_close(&x->columns[i].array);
		free(x->columns[i].file);
	}
}

static int append_column(struct ek_buffer *out, const struct ek_npy *array, uint64_t id)
{
	switch (array->type) {
	case EK_I32:
		return ek_buffer_printf(out, "%" PRId32, ((const int32_t *)array->data)[id]);
	case EK_U32:
		return ek_buffer_printf(out, "%" PRIu32, ((const uint32_t *)array->data)[id]);
	case EK_F32:
		return ek_json_append_double(out, (double)((const float *)array->data)[id]);
	default:
		return ek_json_append_double(out, ((const double *)array->data)[id]);
	}
}

static int append_attribute(struct ek_buffer *out, const cJSON *item)
{
	char *value = cJSON_PrintUnformatted(item);
	int rc = value != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for JSON");

	EK_TRY(rc);
	EK_TRY(ek_buffer_text(out, ", "));
	EK_TRY(ek_json_append_string(out, item->string, strlen(item->string)));
	if (is_in(own, item->string)) { /* the quote goes behind the "_" */
		out->size--;
		EK_TRY(ek_buffer_text(out, "_\""));
	}
	EK_TRY(ek_buffer_printf(out, ": %s", value));
out:
	cJSON_free(value);
	return rc;
}

/* A column that is not there, but for the weight, and the rank of an image that the subset's rule did not look at. */
static int is_left_out(const struct ek_npy *array, int column, uint64_t id)
{
	return array->data == NULL ? column != WEIGHT
	                           : array->type == EK_U32 && ((const uint32_t *)array->data)[id] == EK_NO_RANK;
}

int ek_export_row(struct ek_buffer *out, const struct ek_export *x, const char *file_name)
{
	const uint64_t id = x->record.id;
	const cJSON *item;
	int rc;

	EK_TRY(ek_buffer_text(out, "{"));
	if (file_name != NULL) {
		EK_TRY(ek_buffer_text(out, "\"file_name\": "));
		EK_TRY(ek_json_append_string(out, file_name, strlen(file_name)));
		EK_TRY(ek_buffer_text(out, ", "));
	}
	EK_TRY(ek_buffer_printf(out, "\"id\": %" PRIu64 ", ", id));
	EK_TRY(ek_filename_append(out, "original", x->record.file_name));
	for (int i = 0; i < EK_EXPORT_COLUMNS; i++) {
		if (is_left_out(&x->columns[i].array, i, id))
			continue;
		EK_TRY(ek_buffer_printf(out, ", \"%s\": ", x->columns[i].name));
		EK_TRY(x->columns[i].array.data != NULL ? append_column(out, &x->columns[i].array, id)
		                                        : ek_buffer_text(out, "1"));
	}
	if (file_name != NULL)
		EK_TRY(ek_buffer_printf(out, ", \"repeat\": %" PRIu64, x->repeat));
	cJSON_ArrayForEach(item, x->record.row) if (!is_in(left_out, item->string)) EK_TRY(append_attribute(out, item));
	EK_TRY(ek_buffer_text(out, "}"));
out:
	return rc;
}
