/* A review of labels that are doubted: RUN/scores/NAME, of label errors. */
#include "reports/review_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "reports/scores.h"

void ek_review_labels_free(struct ek_review_labels *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->name_count; i++)
		free(l->names[i].name);
	free(l->names);
	free(l->doubts);
	free(l->order);
	free(l->by);
	free(l);
}

static int add_name(struct ek_review_labels *l, const char *name)
{
	int rc;

	EK_TRY(ek_resize(&l->names, l->name_count + 1, sizeof *l->names));
	l->names[l->name_count] = (struct ek_review_label){ 0 };
	EK_TRY(ek_copy_string(&l->names[l->name_count].name, name));
	l->name_count++;
out:
	return rc;
}

/* One that no image has may be suggested all the same. */
static int find_name(uint32_t *index, struct ek_review_labels *l, const char *name)
{
	int rc = 0;

	for (*index = 0; *index < l->name_count; ++*index)
		if (strcmp(l->names[*index].name, name) == 0)
			return 0;
	EK_TRY(add_name(l, name));
out:
	return rc;
}

static int read_name(struct ek_review *r, const cJSON *row, const char *where)
{
	struct ek_review_labels *l = r->labels;
	struct ek_review_label *label;
	const char *name;
	const cJSON *id;
	int rc;

	EK_TRY(ek_json_get_string(&name, row, "label", where));
	EK_TRY(add_name(l, name));
	label = &l->names[l->name_count - 1];
	EK_TRY(ek_json_get_u64(&label->images, row, "images", where));
	/* Scores of before have none. */
	cJSON_ArrayForEach(id, ek_json_member(row, "surest")) if (label->surest_count < EK_REVIEW_SUREST &&
	                                                          cJSON_IsNumber(id) && id->valuedouble >= 0 &&
	                                                          id->valuedouble < (double)r->real.count)
		label->surest[label->surest_count++] = (uint64_t)id->valuedouble;
out:
	return rc;
}

static int read_names(struct ek_review *r)
{
	const char *by;
	const cJSON *errors, *row;
	cJSON *json = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/scores/%s.json", ek_run_path(r->run), r->name));
	if (!ek_file_exists(path)) {
		rc = ek_fail(EK_EUSAGE, "%s is not there: RUN/scores has no scores %s", path, r->name);
		goto out;
	}
	EK_TRY(ek_json_load(&json, path));
	errors = ek_json_member(json, "label_errors");
	if (errors == NULL) {
		rc = ek_fail(EK_EUSAGE, "the scores %s are not of label-errors: they doubt no labels", r->name);
		goto out;
	}
	EK_TRY(ek_json_get_string(&by, json, "by", path));
	EK_TRY(ek_copy_string(&r->labels->by, by));
	cJSON_ArrayForEach(row, ek_json_member(errors, "labels")) EK_TRY(read_name(r, row, path));
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

struct place {
	uint32_t id, place;
};

static int by_id(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int order_places(struct ek_review *r)
{
	struct place *places = NULL;
	int rc;

	EK_TRY(ek_alloc(&places, r->count, sizeof *places));
	EK_TRY(ek_alloc(&r->labels->order, r->count, sizeof *r->labels->order));
	for (uint32_t i = 0; i < r->count; i++)
		places[i] = (struct place){ r->queue[i], i };
	qsort(places, r->count, sizeof *places, by_id);
	for (uint64_t i = 0; i < r->count; i++)
		r->labels->order[i] = places[i].place;
out:
	free(places);
	return rc;
}

static int read_doubts(struct ek_review *r)
{
	struct ek_review_labels *l = r->labels;
	struct ek_suspect *suspects = NULL;
	size_t count = 0;
	int rc;

	EK_TRY(ek_suspects_load(&suspects, &count, r->run, r->name, r->real.count, SIZE_MAX));
	EK_TRY(ek_alloc(&r->queue, count, sizeof *r->queue));
	EK_TRY(ek_alloc(&l->doubts, count, sizeof *l->doubts));
	for (size_t i = 0; i < count; i++) {
		struct ek_review_doubt *doubt = &l->doubts[i];

		if (suspects[i].id >= EK_REVIEW_SAMPLES_MAX)
			EK_TRY(ek_fail(EK_EUSAGE, "a review has room for images up to %d, not for %" PRIu64,
			               EK_REVIEW_SAMPLES_MAX, suspects[i].id));
		r->queue[i] = (uint32_t)suspects[i].id;
		doubt->probability = suspects[i].probability;
		doubt->of_given = suspects[i].of_label;
		EK_TRY(find_name(&doubt->given, l, suspects[i].label));
		EK_TRY(find_name(&doubt->suggested, l, suspects[i].suggested));
		l->names[doubt->given].doubted++;
	}
	r->count = count;
	if (count == 0)
		rc = ek_fail(EK_EUSAGE, "no label is doubted by the scores %s: there is nothing to review", r->name);
out:
	ek_suspects_release(suspects, count);
	return rc;
}

int ek_review_open_labels(struct ek_review *r, const struct ek_run *run, const char *name)
{
	int rc;

	*r = (struct ek_review){ .run = run, .held = -1 };
	if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
		return ek_fail(EK_EUSAGE, "\"%s\" is no name of scores: they are files in RUN/scores", name);
	EK_TRY(ek_copy_string(&r->name, name));
	EK_TRY(ek_alloc(&r->labels, 1, sizeof *r->labels));
	EK_TRY(ek_real_images_open(&r->real, run));
	EK_TRY(read_names(r));
	EK_TRY(read_doubts(r));
	EK_TRY(order_places(r));
	EK_TRY(ek_alloc(&r->given, r->count, sizeof *r->given));
out:
	return rc;
}

int64_t ek_review_labels_index(const struct ek_review *r, uint64_t sample)
{
	uint64_t first = 0, end = r->count;

	while (first < end) {
		const uint64_t middle = first + (end - first) / 2;
		const uint32_t place = r->labels->order[middle];

		if (r->queue[place] == sample)
			return place;
		if (r->queue[place] < sample)
			first = middle + 1;
		else
			end = middle;
	}
	return -1;
}

int ek_review_labels_image(struct ek_buffer *bytes, char sha256[65], struct ek_review *r, uint64_t sample)
{
	struct ek_image_record row = { 0 };
	const char *type;
	int rc;

	if (ek_review_index(r, sample) < 0)
		return ek_fail(EK_EUSAGE, "the label of image %" PRIu64 " is not doubted", sample);
	EK_TRY(ek_real_images_picture(bytes, &type, &r->real, sample));
	if (sha256 != NULL) {
		EK_TRY(ek_real_images_row(&row, &r->real, sample));
		memcpy(sha256, row.sha256, sizeof row.sha256);
	}
out:
	ek_image_record_release(&row);
	return rc;
}

const char *ek_review_label_of(const struct ek_review *r, const struct ek_image_record *row)
{
	return strcmp(r->labels->by, "label") == 0 ? row->label
	                                           : cJSON_GetStringValue(ek_json_member(row->row, r->labels->by));
}

int ek_review_labels_fresh(int *is, const struct ek_review_entry *entry, struct ek_review *r)
{
	struct ek_image_record row = { 0 };
	const char *label;
	int rc = 0;

	*is = entry->sample < r->real.count;
	if (!*is)
		return 0;
	EK_TRY(ek_real_images_row(&row, &r->real, entry->sample));
	label = ek_review_label_of(r, &row);
	*is = (entry->sha256[0] == 0 || strcmp(entry->sha256, row.sha256) == 0) &&
	      (entry->given[0] == 0 || label == NULL || strcmp(entry->given, label) == 0);
out:
	ek_image_record_release(&row);
	return rc;
}
