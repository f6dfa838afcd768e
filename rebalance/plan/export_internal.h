/* What the files of export share: the pass (export.c), the forms, names (export_name.c), rows (export_row.c). */
#ifndef EK_PLAN_EXPORT_INTERNAL_H
#define EK_PLAN_EXPORT_INTERNAL_H

#include "rebalance/io/images.h"
#include "rebalance/io/tar_writer.h"
#include "rebalance/plan/export.h"
#include "rebalance/plan/export_folder.h"
#include "rebalance/plan/units.h"

/* --- classes --- */
struct ek_export_classes {
	char *by;              /* owned; NULL: no classes */
	int is_label;          /* the class is the label, read from each row */
	struct ek_units units; /* else */
	char **names;          /* is_label: [count] sorted, owned */
	size_t count;
	int has_none;   /* images of the run are in no class */
	char **folders; /* not tar: [folder_count] of each class, owned */
	size_t folder_count;
	int are_numbers; /* every name is a whole number, which is then the class */
};

/* --- rows --- */
enum { EK_EXPORT_COLUMNS = 4 };
struct ek_export_column {
	const char *name;
	char *file;          /* in the run; owned; NULL: there is no such file */
	struct ek_npy array; /* of it */
};

struct ek_export {
	const struct ek_export_options *options;
	struct ek_run *run;
	struct ek_export_folder folder;
	struct ek_export_result *result;
	uint64_t images; /* of the run */
	struct ek_npy keep;
	const int64_t *ids; /* [count] in the order of the pass */
	int64_t *sorted;    /* owned, or NULL */
	uint64_t count;
	struct ek_export_column columns[EK_EXPORT_COLUMNS];
	struct ek_export_classes classes;
	struct ek_images *rows;
	struct ek_image_loader *loader;
	struct ek_atomic_file metadata, missing; /* lines; open where path is not NULL */
	struct ek_atomic_file list;
	struct ek_tar_writer *shard;
	uint64_t shard_bytes, shard_images;
	struct ek_buffer text, path, directory; /* scratch; the directory made last */
	/* The entry at hand. */
	struct ek_image_record record;
	struct ek_buffer first; /* what is missing or changed: the first, and why */
	struct ek_buffer bytes; /* of the image as it is written */
	char *source;           /* path of its file, or NULL if it lies in another */
	uint64_t place, repeat; /* in ids; how many of the same id came right before */
};

/* Append the members of the row of the entry at hand, "{" to "}". `file_name`: in DIR, or NULL. */
int ek_export_row(struct ek_buffer *out, const struct ek_export *x, const char *file_name);
int ek_export_columns_open(struct ek_export *x);
void ek_export_columns_close(struct ek_export *x);

/* --- names --- */
/* Append a relative path made of the safe parts of `name`. `is_flat`: only its last part. */
int ek_export_safe_path(struct ek_buffer *out, const char *name, int is_flat);
/* Append one safe part. */
int ek_export_safe_part(struct ek_buffer *out, const char *part, size_t size);
/* `out` = the path (relative to DIR) of the entry at hand, the try-th choice: 0 for the name it should have, 1 and 2
 * for names that are free unless somebody wants trouble. `folder`: "", or a class's folder with its slash. */
enum { EK_EXPORT_NAME_TRIES = 3 };
int ek_export_name(struct ek_buffer *out, const struct ek_export *x, const char *folder, int try);
const char *ek_export_extension(enum ek_image_format format); /* "jpg", "png" */

/* --- classes --- */
int ek_export_classes_load(struct ek_export *x, const char *by);
/* The folder of the class of the entry at hand ("none" if it is in no class), another for each class. */
const char *ek_export_class_folder(const struct ek_export *x);
/* Its number (for .cls), or -1. */
int64_t ek_export_class_number(const struct ek_export *x);
/* Write DIR/classes.json unless the numbers say all. */
int ek_export_classes_write(const struct ek_export *x);
void ek_export_classes_release(struct ek_export_classes *classes);

/* --- forms --- */
struct ek_export_form_row {
	const char *name;
	int needs_file;  /* only images that are files of their own */
	int needs_bytes; /* the image's bytes are read, and made ready in x->bytes */
	int is_ordered;  /* the order of keep.npy counts */
	int (*begin)(struct ek_export *x);
	int (*put)(struct ek_export *x); /* the entry at hand */
	int (*end)(struct ek_export *x);
};
int ek_export_tree_begin(struct ek_export *x);
int ek_export_tree_put_copy(struct ek_export *x);
int ek_export_tree_put_link(struct ek_export *x);
int ek_export_tree_end(struct ek_export *x);
int ek_export_tar_begin(struct ek_export *x);
int ek_export_tar_put(struct ek_export *x);
int ek_export_tar_end(struct ek_export *x);
int ek_export_list_begin(struct ek_export *x);
int ek_export_list_put(struct ek_export *x);
int ek_export_list_end(struct ek_export *x);

#endif
