#include "rebalance/pipeline/review_table.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/csv.h"
#include "rebalance/io/images.h"

/* What a rejected label is instead: by those who know, the one who said so last. "": nobody knows. */
static const char *instead_of(const struct ek_review_log *log, uint64_t id)
{
	const struct ek_review_entry *newest = NULL;

	for (uint32_t who = 0; who < log->reviewer_count; who++) {
		const struct ek_review_entry *entry = ek_review_log_standing(log, id, who);

		if (entry != NULL && entry->verdict == EK_VERDICT_REJECT && entry->label[0] != 0 && entry > newest)
			newest = entry;
	}
	return newest != NULL ? newest->label : "";
}

static const char column[] = "corrected_label";

struct work {
	const struct ek_review *review;
	const struct ek_review_log *log;
	struct ek_atomic_file file;
	struct ek_buffer row;
	char **attributes; /* [attribute_count] that images have beside their label */
	size_t attribute_count;
	uint64_t changed;
};

/* The table takes the place of the one that the attributes are from, and so has them, too. */
static int is_attribute(const struct work *w, const char *name)
{
	size_t i = 0;

	if (ek_images_is_ours(name) || strcmp(name, "label") == 0 || strcmp(name, column) == 0)
		return 0;
	while (i < w->attribute_count && strcmp(w->attributes[i], name) != 0)
		i++;
	return i == w->attribute_count;
}

static int find_attributes(struct work *w, const struct ek_image_record *record)
{
	const cJSON *member;
	int rc = 0;

	cJSON_ArrayForEach(member, record->row)
	{
		if (!is_attribute(w, member->string))
			continue;
		EK_TRY(ek_resize(&w->attributes, w->attribute_count + 1, sizeof *w->attributes));
		w->attributes[w->attribute_count] = NULL;
		EK_TRY(ek_copy_string(&w->attributes[w->attribute_count++], member->string));
	}
out:
	return rc;
}

static int append_value(struct ek_buffer *row, const cJSON *value)
{
	if (cJSON_IsString(value))
		return ek_csv_append(row, value->valuestring);
	if (cJSON_IsNumber(value))
		return ek_json_append_double(row, value->valuedouble);
	return cJSON_IsBool(value) ? ek_buffer_text(row, cJSON_IsTrue(value) ? "true" : "false") : 0;
}

static int make_row(struct work *w, const struct ek_image_record *record)
{
	const int rejected = ek_review_log_outcome(w->log, record->id) == EK_REVIEW_REJECTED;
	const char *label = ek_review_label_of(w->review, record);
	int rc;

	w->changed += rejected != 0;
	ek_buffer_clear(&w->row);
	EK_TRY(ek_csv_append(&w->row, record->file_name));
	EK_TRY(ek_buffer_text(&w->row, ","));
	EK_TRY(ek_csv_append(&w->row, rejected ? instead_of(w->log, record->id) : label != NULL ? label : ""));
	for (size_t i = 0; i < w->attribute_count; i++) {
		EK_TRY(ek_buffer_text(&w->row, ","));
		EK_TRY(append_value(&w->row, ek_json_member(record->row, w->attributes[i])));
	}
	EK_TRY(ek_buffer_text(&w->row, "\n"));
	EK_TRY(ek_atomic_write(&w->file, w->row.data, w->row.size));
out:
	return rc;
}

static int make_head(struct work *w)
{
	int rc;

	EK_TRY(ek_buffer_printf(&w->row, "file_name,%s", column));
	for (size_t i = 0; i < w->attribute_count; i++) {
		EK_TRY(ek_buffer_text(&w->row, ","));
		EK_TRY(ek_csv_append(&w->row, w->attributes[i]));
	}
	EK_TRY(ek_buffer_text(&w->row, "\n"));
	EK_TRY(ek_atomic_write(&w->file, w->row.data, w->row.size));
out:
	return rc;
}

static int each_image(struct work *w, int (*take)(struct work *, const struct ek_image_record *))
{
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc;

	EK_TRY(ek_images_open(&images, w->review->run));
	while ((rc = ek_images_next(images, &record)) == 1) {
		EK_TRY(take(w, &record));
		ek_image_record_release(&record);
	}
out:
	ek_image_record_release(&record);
	ek_images_close(images);
	return rc;
}

static int check(const struct ek_review *review, const char *path, int force)
{
	if (strncmp(review->labels->by, "labels of ", 10) == 0)
		return ek_fail(EK_EUSAGE, "the scores %s judge the %s, which are not the run's: correct them there",
		               review->name, review->labels->by);
	if (!force && ek_file_exists(path))
		return ek_fail(EK_EUSAGE, "%s is there already; it is replaced with 'force'", path);
	return 0;
}

int ek_review_table(uint64_t *changed, struct ek_review *review, const struct ek_review_log *log, const char *path,
                    int force)
{
	struct work w = { .review = review, .log = log };
	int rc;

	*changed = 0;
	EK_TRY(check(review, path, force));
	EK_TRY(each_image(&w, find_attributes));
	EK_TRY(ek_atomic_open(&w.file, path));
	EK_TRY(make_head(&w));
	EK_TRY(each_image(&w, make_row));
	EK_TRY(ek_atomic_commit(&w.file));
	*changed = w.changed;
out:
	for (size_t i = 0; i < w.attribute_count; i++)
		free(w.attributes[i]);
	free(w.attributes);
	ek_atomic_discard(&w.file);
	ek_buffer_release(&w.row);
	return rc;
}
