#include "rebalance/io/dataset_form.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/filename.h"

/* Tables of images that lie beside them and are not read, so that who forgot them is told: whose first row names an
 * image. */

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

	while (d->whole != NULL)
		d = d->whole;
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
