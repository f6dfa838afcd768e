#include "rebalance/io/dataset_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"

enum { SHOWN_WARNINGS = 20, KEPT_BUFFER = 1 << 16 };

static const struct ek_dataset_form *const forms[] = {
	[EK_DATASET_FOLDER] = &ek_dataset_folder,   [EK_DATASET_TAR] = &ek_dataset_tar,
	[EK_DATASET_LIST] = &ek_dataset_list,       [EK_DATASET_TABLE] = &ek_dataset_table,
	[EK_DATASET_IDX] = &ek_dataset_idx,         [EK_DATASET_NPZ] = &ek_dataset_npz,
	[EK_DATASET_NPY] = &ek_dataset_npy,         [EK_DATASET_ZIP] = &ek_dataset_zip,
	[EK_DATASET_PARQUET] = &ek_dataset_parquet, [EK_DATASET_EMBEDDINGS] = &ek_dataset_embeddings,
	[EK_DATASET_SEVERAL] = &ek_dataset_several,
};

const char *ek_dataset_kind_name(enum ek_dataset_kind kind)
{
	return forms[kind]->name;
}

static void clear_buffer(struct ek_buffer *b)
{
	if (b->capacity > KEPT_BUFFER)
		ek_buffer_release(b);
	else
		ek_buffer_clear(b);
}

void ek_dataset_item_clear(struct ek_dataset_item *item)
{
	struct ek_dataset_item kept;

	clear_buffer(&item->name);
	clear_buffer(&item->path);
	clear_buffer(&item->bytes);
	clear_buffer(&item->label);
	clear_buffer(&item->zip_entry);
	clear_buffer(&item->parquet_column);
	cJSON_Delete(item->attributes);
	kept = (struct ek_dataset_item){ .name = item->name,
		                         .path = item->path,
		                         .bytes = item->bytes,
		                         .label = item->label,
		                         .zip_entry = item->zip_entry,
		                         .parquet_column = item->parquet_column };
	*item = kept;
}

void ek_dataset_item_release(struct ek_dataset_item *item)
{
	ek_buffer_release(&item->name);
	ek_buffer_release(&item->path);
	ek_buffer_release(&item->bytes);
	ek_buffer_release(&item->label);
	ek_buffer_release(&item->zip_entry);
	ek_buffer_release(&item->parquet_column);
	cJSON_Delete(item->attributes);
	*item = (struct ek_dataset_item){ 0 };
}

void ek_dataset_warn(struct ek_dataset *dataset, const char *format, ...)
{
	char text[900];
	va_list args;

	dataset->warnings++;
	if (dataset->looks || dataset->warnings > SHOWN_WARNINGS)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ek_warn("%s%s", text, dataset->warnings == SHOWN_WARNINGS ? " (more of these are only counted)" : "");
}

int ek_dataset_locate(const struct ek_dataset *dataset, struct ek_dataset_item *item)
{
	int rc = 0;

	if (item->name.data[0] != '/') {
		EK_TRY(ek_buffer_text(&item->path, dataset->root));
		EK_TRY(ek_buffer_text(&item->path, "/"));
	}
	EK_TRY(ek_buffer_append(&item->path, item->name.data, item->name.size));
out:
	return rc;
}

static int set_root(struct ek_dataset *d)
{
	char *slash;
	int rc;

	EK_TRY(ek_copy_string(&d->root, d->paths[0]));
	if (d->kind == EK_DATASET_FOLDER)
		return 0;
	slash = strrchr(d->root, '/');
	slash[slash == d->root] = 0;
out:
	return rc;
}

int ek_dataset_open_form(struct ek_dataset *d)
{
	int rc;

	if (d->kind != EK_DATASET_SEVERAL)
		EK_TRY(set_root(d));
	d->form = forms[d->kind];
	EK_TRY(d->form->open(d));
out:
	return rc;
}

int ek_dataset_open(struct ek_dataset **out, const char *const *paths, size_t count, const char *attributes,
                    const char *key)
{
	struct ek_dataset *d;
	int rc;

	*out = NULL;
	if (count == 0)
		return ek_fail(EK_EUSAGE, "no data set was given");
	if ((rc = ek_alloc(&d, 1, sizeof *d)) < 0)
		return rc;
	d->key = key;
	for (size_t i = 0; i < count; i++)
		EK_TRY(ek_dataset_add(d, paths[i]));
	d->kind = ek_dataset_part_end(d, 0) < d->path_count ? EK_DATASET_SEVERAL : d->kinds[0];
	if (attributes != NULL) {
		EK_TRY(ek_copy_string(&d->attributes_path, attributes));
		EK_TRY(ek_attributes_open(&d->attributes, attributes, key));
		d->keyed = 1;
	}
	EK_TRY(ek_dataset_open_form(d));
out:
	if (rc < 0) {
		ek_dataset_close(d);
		d = NULL;
	}
	*out = d;
	return rc;
}

struct ek_dataset *ek_dataset_whole(struct ek_dataset *d)
{
	while (d->whole != NULL)
		d = d->whole;
	return d;
}

enum ek_dataset_kind ek_dataset_kind(const struct ek_dataset *d)
{
	return d->kind;
}

const char *ek_dataset_root(const struct ek_dataset *d)
{
	return d->root;
}

const char *ek_dataset_path(const struct ek_dataset *d, size_t i)
{
	return i < d->path_count ? d->paths[i] : NULL;
}

int ek_dataset_select(struct ek_dataset *d, const char *const *include, size_t include_count,
                      const char *const *exclude, size_t exclude_count)
{
	ek_patterns_release(&d->patterns);
	return ek_patterns_init(&d->patterns, include, include_count, exclude, exclude_count);
}

void ek_dataset_note(struct ek_tally *tally, const char *name)
{
	if (tally->count++ == 0)
		ek_one_line(tally->first, sizeof tally->first, name);
}

void ek_dataset_leave_out(struct ek_dataset *d, enum ek_left_out reason, const char *name, int is_folder)
{
	if (is_folder || ek_has_image_extension(name) || reason == EK_LEFT_SYSTEM || reason >= EK_LEFT_NOT_INCLUDED)
		ek_dataset_note(&d->left_out[reason], name);
	else
		d->other_files++;
}

int ek_dataset_leave_out_member(struct ek_dataset *d, enum ek_left_out reason, const char *name, size_t folder)
{
	const uint64_t hash = ek_hash64(name, folder);
	struct ek_buffer path = { 0 };
	int rc = 0;

	if (folder == 0)
		ek_dataset_leave_out(d, reason, name, 0);
	if (folder == 0 || hash == d->left_folder)
		return 0;
	d->left_folder = hash;
	EK_TRY(ek_buffer_append(&path, name, folder));
	ek_dataset_leave_out(d, reason, path.data, 1);
out:
	ek_buffer_release(&path);
	return rc;
}

int ek_dataset_next_selected(struct ek_dataset *d, struct ek_dataset_item *item)
{
	int rc, reason;

	for (;;) {
		size_t folder = 0;

		if ((rc = d->form->next(d, item)) <= 0 || d->form->selects)
			return rc;
		reason = d->form->packs ? ek_patterns_of_member(&d->patterns, item->name.data, &folder)
		                        : ek_patterns_of_path(&d->patterns, item->name.data);
		if (reason <= 0)
			return reason < 0 ? reason : 1;
		if ((rc = ek_dataset_leave_out_member(d, (enum ek_left_out)reason, item->name.data, folder)) < 0)
			return rc;
		ek_dataset_item_clear(item);
	}
}

/* Show the attributes the names of all files, so that a row can be found by the last part of its name: asked for when
 * the first file is not found by its whole name. */
static int match_names(struct ek_dataset *d)
{
	struct ek_dataset_item item = { 0 };
	struct ek_dataset *names = NULL;
	int rc;

	d->matched = 1;
	EK_TRY(ek_dataset_open_names(&names, d));
	for (;;) {
		ek_dataset_item_clear(&item);
		EK_TRY(ek_dataset_next_selected(names, &item));
		if (rc == 0)
			break;
		EK_TRY(ek_attributes_match(d->attributes, item.name.data));
	}
out:
	ek_dataset_close_names(names);
	ek_dataset_item_release(&item);
	return rc;
}

static int find_attributes(struct ek_dataset *d, const char *name, cJSON **found)
{
	int rc;

	EK_TRY(ek_attributes_find(d->attributes, name, found));
	if (*found == NULL && !d->matched && ek_has_image_extension(name)) {
		EK_TRY(match_names(d));
		EK_TRY(ek_attributes_find(d->attributes, name, found));
	}
out:
	return rc;
}

int ek_dataset_next(struct ek_dataset *d, struct ek_dataset_item *item)
{
	cJSON *found;
	int rc;

	ek_dataset_item_clear(item);
	EK_TRY(ek_dataset_next_selected(d, item));
	if (rc == 0)
		return 0;
	if (d->attributes != NULL) {
		EK_TRY(find_attributes(d, item->name.data, &found));
		d->without_attributes += found == NULL && ek_has_image_extension(item->name.data);
		EK_TRY(ek_merge_attributes(&item->attributes, found));
	}
	if (item->dataset != NULL && !d->renamed && !d->looks &&
	    cJSON_GetObjectItemCaseSensitive(item->attributes, "dataset") != NULL) {
		d->renamed = 1;
		ek_dataset_warn(d,
		                "%s: its attribute dataset is called dataset_ here: dataset says which data set an "
		                "image is of",
		                item->dataset);
	}
	rc = 1;
out:
	return rc;
}

int ek_dataset_again(struct ek_dataset *d)
{
	if (d->form->again == NULL || !d->form->again(d))
		return 0;
	d->other_files = d->warnings = d->without_attributes = d->seen = d->left_folder = d->mask_like = 0;
	memset(d->left_out, 0, sizeof d->left_out);
	memset(d->unused, 0, sizeof d->unused);
	return 1;
}

uint64_t ek_dataset_other_files(const struct ek_dataset *d)
{
	return d->other_files;
}

uint64_t ek_dataset_warnings(const struct ek_dataset *d)
{
	return d->warnings;
}

void ek_dataset_close(struct ek_dataset *d)
{
	if (d == NULL)
		return;
	if (d->form != NULL)
		d->form->close(d);
	for (size_t i = 0; i < d->path_count; i++)
		free(d->paths[i]);
	free(d->paths);
	free(d->stamps);
	free(d->kinds);
	free(d->root);
	ek_buffer_release(&d->shared);
	for (size_t i = 0; i < d->table_count; i++)
		free(d->tables[i]);
	free(d->tables);
	free(d->first_mask);
	free(d->attributes_path);
	ek_attributes_close(d->attributes);
	ek_patterns_release(&d->patterns);
	free(d);
}
