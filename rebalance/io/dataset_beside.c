#include "rebalance/io/dataset_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/filename.h"

/* What lies beside the images and may be meant otherwise. Tables of images that lie beside them and are not read, so
 * that who forgot them is told: whose first row names an image. */

enum { MOST_TRIED = 16, MOST_NOTED = 8 };

static int names_an_image(const char *path, const char *key)
{
	struct ek_table table;
	int found = 0;

	if (ek_table_open(&table, path, key) < 0)
		return 0;
	found = ek_table_next(&table, NULL) == 1 && ek_has_image_extension(table.name.data);
	ek_table_close(&table);
	return found;
}

int ek_dataset_note_table(struct ek_dataset *d, const char *path)
{
	static const char *const endings[] = { ".txt", ".csv", ".tsv", ".jsonl" };
	size_t i = 0;
	int rc;

	d = ek_dataset_whole(d);
	while (i < 4 && !ek_name_ends_with(path, endings[i]))
		i++;
	if (i == 4 || d->looks || d->attributes != NULL || d->tables_tried >= MOST_TRIED ||
	    d->table_count >= MOST_NOTED)
		return 0;
	d->tables_tried++;
	if (!names_an_image(path, d->key))
		return 0;
	EK_TRY(ek_resize(&d->tables, d->table_count + 1, sizeof *d->tables));
	EK_TRY(ek_copy_string(&d->tables[d->table_count], path));
	d->table_count++;
out:
	return rc;
}

int ek_dataset_note_siblings(struct ek_dataset *d)
{
	static const char *const patterns[] = { "list_attr_*", "list_bbox_*", "list_eval_partition.*",
		                                "identity_CelebA.txt" };
	char *folder = NULL;
	glob_t found;
	int rc;

	if (d->path_count != 1)
		return 0;
	EK_TRY(ek_copy_string(&folder, d->paths[0]));
	*strrchr(folder, '/') = 0;
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		rc = ek_glob(&found, folder, patterns[i]);
		for (size_t j = 0; rc == 0 && j < found.gl_pathc; j++)
			rc = ek_dataset_note_table(d, found.gl_pathv[j]);
		globfree(&found);
		if (rc == EK_ENOMEM)
			goto out;
	}
	rc = 0; /* a folder above that cannot be listed is none of ours */
out:
	free(folder);
	return rc;
}

int ek_dataset_add_tables(cJSON *counts, const struct ek_dataset *d)
{
	cJSON *list, *object;
	int rc = 0;

	if (d->table_count > 0)
		EK_TRY(ek_json_add_array(&list, counts, "tables"));
	for (size_t i = 0; i < d->table_count; i++) {
		EK_TRY(ek_json_add_object(&object, list, NULL));
		EK_TRY(ek_filename_add(object, "path", d->tables[i]));
	}
out:
	return rc;
}

int ek_dataset_is_mask_word(const char *text, size_t size)
{
	static const char *const words[] = { "alpha",         "annotation", "annotations", "depth",     "edge",
		                             "edges",         "gt",         "instance",    "instances", "label",
		                             "labels",        "map",        "mask",        "masks",     "matte",
		                             "normal",        "normals",    "panoptic",    "seg",       "segmentation",
		                             "segmentations", "semantic",   "thumb",       "thumbnail", "trimap",
		                             "trimaps" };

	while (size > 0 && strchr("0123456789_-", text[size - 1]) != NULL)
		size--;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == size && strncasecmp(text, words[i], size) == 0)
			return 1;
	return 0;
}

/* The parts of FOLDERS/FOLDER/STEM.EXT, and of STEM = NAME_WORD. */
struct parts {
	size_t folders, folder, name, stem, word; /* where they end; `word`: where it starts, or 0 */
};

static struct parts cut_path(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.'), *above = slash, *at;
	struct parts p = { .folder = (size_t)(slash - path) };

	while (above > path && above[-1] != '/')
		above--;
	p.folders = above > path ? (size_t)(above - path) - 1 : 0;
	p.stem = dot != NULL && dot > slash ? (size_t)(dot - path) : strlen(path);
	for (at = path + p.stem; at > slash + 1 && strchr("_-.", at[-1]) == NULL; at--)
		;
	p.word = at > slash + 2 ? (size_t)(at - path) : 0;
	p.name = p.word > 0 ? p.word - 1 : p.stem;
	return p;
}

static int is_mask_folder(const char *path, const struct parts *p)
{
	return p->folder > p->folders + 1 && ek_dataset_is_mask_word(path + p->folders + 1, p->folder - p->folders - 1);
}

int ek_dataset_note_mask(struct ek_dataset *d, const char *path)
{
	const struct parts p = cut_path(path);

	if (d->looks ||
	    (!is_mask_folder(path, &p) && (p.word == 0 || !ek_dataset_is_mask_word(path + p.word, p.stem - p.word))))
		return 0;
	d = ek_dataset_whole(d);
	d->mask_like++;
	return d->first_mask == NULL ? ek_copy_string(&d->first_mask, path) : 0;
}

/* Is there an image of its name: beside it, or in a folder beside its folder that is not called so? */
static int has_partner(const char *path, const struct parts *p, int by_folder)
{
	const size_t folder = by_folder ? p->folders : p->folder, end = by_folder ? p->stem : p->name;
	char *above = NULL, *pattern = NULL;
	glob_t found = { 0 };
	int rc, has = 0;

	EK_TRY(ek_format(&above, "%.*s", (int)folder, path));
	EK_TRY(ek_format(&pattern, "%s%.*s.*", by_folder ? "*/" : "", (int)(end - p->folder - 1),
	                 path + p->folder + 1));
	if (strpbrk(pattern + (by_folder ? 2 : 0), "?[]\\") == NULL && ek_glob(&found, above, pattern) == 0)
		for (size_t i = 0; i < found.gl_pathc && !has; i++) {
			const struct parts other = cut_path(found.gl_pathv[i]);

			has = ek_has_image_extension(found.gl_pathv[i]) && strcmp(found.gl_pathv[i], path) != 0 &&
			      (!by_folder || !is_mask_folder(found.gl_pathv[i], &other));
		}
	globfree(&found);
out:
	free(above);
	free(pattern);
	return has;
}

int ek_dataset_add_masks(cJSON *counts, const struct ek_dataset *d)
{
	const char *path = d->first_mask;
	char *pattern = NULL;
	cJSON *object;
	struct parts p;
	int rc = 0, by_folder;

	if (d->mask_like == 0 || path == NULL)
		return 0;
	p = cut_path(path);
	by_folder = is_mask_folder(path, &p);
	if (!has_partner(path, &p, by_folder))
		return 0;
	EK_TRY(by_folder ? ek_format(&pattern, "%.*s", (int)(p.folder - p.folders - 1), path + p.folders + 1)
	                 : ek_format(&pattern, "*%.*s.*", (int)(p.stem - p.name), path + p.name));
	EK_TRY(ek_json_add_object(&object, counts, "mask_like"));
	EK_TRY(ek_json_add_u64(object, "images", d->mask_like));
	EK_TRY(ek_filename_add(object, "first", path));
	EK_TRY(ek_filename_add(object, "pattern", pattern));
out:
	free(pattern);
	return rc;
}
