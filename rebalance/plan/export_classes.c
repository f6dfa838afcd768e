/* Classes: the folders of an imagefolder, the numbers in a tar's .cls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/plan/export_internal.h"

/* Distinct texts. */
struct texts {
	char **items; /* [count] */
	size_t count, capacity;
	size_t *index; /* [2 * capacity] open addressing, place in items + 1 */
};

static size_t find_slot(const struct texts *t, const char *text)
{
	size_t at = (size_t)ek_hash64(text, strlen(text)) & (2 * t->capacity - 1);

	while (t->index[at] != 0 && strcmp(t->items[t->index[at] - 1], text) != 0)
		at = (at + 1) & (2 * t->capacity - 1);
	return at;
}

static int grow(struct texts *t)
{
	const size_t capacity = t->capacity > 0 ? 2 * t->capacity : 64;
	int rc;

	EK_TRY(ek_resize(&t->items, capacity, sizeof *t->items));
	free(t->index);
	t->index = NULL;
	EK_TRY(ek_alloc(&t->index, 2 * capacity, sizeof *t->index));
	t->capacity = capacity;
	for (size_t i = 0; i < t->count; i++)
		t->index[find_slot(t, t->items[i])] = i + 1;
out:
	return rc;
}

/* 1, or 0 if it is there already. */
static int add(struct texts *t, const char *text)
{
	size_t slot;
	int rc;

	if (t->count == t->capacity)
		EK_TRY(grow(t));
	slot = find_slot(t, text);
	if (t->index[slot] != 0)
		return 0;
	EK_TRY(ek_copy_string(&t->items[t->count], text));
	t->index[slot] = ++t->count;
	rc = 1;
out:
	return rc;
}

static void texts_release(struct texts *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->items[i]);
	free(t->items);
	free(t->index);
}

/* The distinct labels of the run (not of the subset alone, so that all its subsets agree on the numbers), sorted. */
static int load_labels(struct ek_export *x)
{
	struct texts texts = { 0 };
	struct ek_images *images = NULL;
	struct ek_image_record record;
	int rc;

	EK_TRY(ek_images_open(&images, x->run));
	ek_progress_begin("reading labels", "images", x->images);
	while ((rc = ek_images_next(images, &record)) == 1) {
		rc = record.label != NULL ? add(&texts, record.label) : 0;
		x->classes.has_none |= record.label == NULL;
		ek_image_record_release(&record);
		if (rc < 0 || (rc = ek_check_interrupt()) < 0)
			break;
		ek_progress_add(1);
	}
	ek_progress_end();
	EK_TRY(rc);
	if (texts.count > 0)
		qsort(texts.items, texts.count, sizeof *texts.items, ek_compare_texts);
out:
	x->classes.names = texts.items;
	x->classes.count = texts.count;
	free(texts.index);
	ek_images_close(images);
	return rc;
}

/* A whole number as one would write it, below 10^18; else -1. */
static int64_t number_of(const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18 || text[digits] != 0 || (text[0] == '0' && digits > 1))
		return -1;
	return strtoll(text, NULL, 10);
}

static const char none[] = "none";

/* A folder for each class, distinct as the classes are: one whose safe name is taken gets "~2", "~3" … behind it, and
 * those come last whose name had to be made safe, so that no other class loses its own to them. */
static int name_folders(struct ek_export_classes *c)
{
	static const char *const taken[] = { "metadata.jsonl", "metadata.jsonl.tmp", "missing.jsonl",
		                             "missing.jsonl.tmp" };
	struct ek_buffer safe = { 0 }, name = { 0 };
	struct texts folders = { 0 };
	int rc = 0;

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		EK_TRY(add(&folders, taken[i]));
	if (c->has_none)
		EK_TRY(add(&folders, none));
	c->folder_count = c->is_label ? c->count : c->units.k;
	EK_TRY(ek_alloc(&c->folders, c->folder_count, sizeof *c->folders));
	for (int changed = 0; changed < 2; changed++)
		for (size_t k = 0; k < c->folder_count; k++) {
			char number[16];
			const char *class = c->is_label ? c->names[k] : ek_unit_name(number, &c->units, (uint32_t)k);

			ek_buffer_clear(&safe);
			EK_TRY(ek_export_safe_part(&safe, class, strlen(class)));
			if ((strcmp(safe.data, class) != 0) != changed)
				continue;
			ek_buffer_clear(&name);
			EK_TRY(ek_buffer_text(&name, safe.data));
			for (int again = 2; (rc = add(&folders, name.data)) == 0; again++) {
				ek_buffer_clear(&name);
				EK_TRY(ek_buffer_printf(&name, "%s~%d", safe.data, again));
			}
			EK_TRY(rc);
			EK_TRY(ek_copy_string(&c->folders[k], name.data));
		}
	rc = 0;
out:
	texts_release(&folders);
	ek_buffer_release(&safe);
	ek_buffer_release(&name);
	return rc;
}

int ek_export_classes_load(struct ek_export *x, const char *by)
{
	struct ek_export_classes *c = &x->classes;
	const int is_tar = x->options->form == EK_EXPORT_TAR;
	int rc;

	c->is_label = by == NULL || strcmp(by, "label") == 0;
	if (!c->is_label)
		EK_TRY(ek_units_load(&c->units, x->run, by));
	else
		EK_TRY(load_labels(x));
	for (uint64_t i = 0; !c->is_label && !is_tar && i < c->units.n; i++)
		c->has_none |= c->units.unit[i] < 0;
	if (!is_tar)
		EK_TRY(name_folders(c));
	if (is_tar && c->is_label && c->count == 0)
		return by == NULL ? 0 : ek_fail(EK_EDATA, "no image of %s has a label", ek_run_path(x->run));
	EK_TRY(ek_copy_string(&c->by, by != NULL ? by : "label"));
	c->are_numbers = c->is_label || c->units.names == NULL;
	for (size_t i = 0; i < c->count; i++)
		c->are_numbers &= number_of(c->names[i]) >= 0;
out:
	return rc;
}

/* Its place among the names, or -1. */
static int64_t label_index(const struct ek_export *x)
{
	const struct ek_export_classes *c = &x->classes;
	char *const *found = x->record.label == NULL || c->count == 0 ? NULL
	                                                              : bsearch(&x->record.label, c->names, c->count,
	                                                                        sizeof *c->names, ek_compare_texts);

	return found != NULL ? found - c->names : -1;
}

const char *ek_export_class_folder(const struct ek_export *x)
{
	const struct ek_export_classes *c = &x->classes;
	const int64_t k = c->is_label ? label_index(x) : c->units.unit[x->record.id];

	return k >= 0 ? c->folders[k] : none;
}

int64_t ek_export_class_number(const struct ek_export *x)
{
	const struct ek_export_classes *c = &x->classes;

	if (c->by == NULL)
		return -1;
	if (!c->is_label)
		return c->units.unit[x->record.id];
	if (x->record.label == NULL)
		return -1;
	if (c->are_numbers)
		return number_of(x->record.label);
	return label_index(x);
}

int ek_export_classes_write(const struct ek_export *x)
{
	const struct ek_export_classes *c = &x->classes;
	const size_t count = c->is_label ? c->count : c->units.k;
	char *const *names = c->is_label ? c->names : c->units.names;
	cJSON *out = NULL, *list;
	char *path = NULL;
	int rc = 0;

	if (c->by == NULL || c->are_numbers)
		return 0;
	out = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(out, "by", c->by));
	EK_TRY(ek_json_add_array(&list, out, "classes"));
	for (size_t i = 0; i < count; i++)
		EK_TRY(ek_json_add_string(list, NULL, names[i]));
	EK_TRY(ek_format(&path, "%s/classes.json", x->folder.partial));
	EK_TRY(ek_json_save(out, path));
out:
	cJSON_Delete(out);
	free(path);
	return rc;
}

void ek_export_classes_release(struct ek_export_classes *c)
{
	ek_units_release(&c->units);
	for (size_t i = 0; i < c->count; i++)
		free(c->names[i]);
	free(c->names);
	for (size_t i = 0; c->folders != NULL && i < c->folder_count; i++)
		free(c->folders[i]);
	free(c->folders);
	free(c->by);
}
