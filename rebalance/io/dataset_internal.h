/* Inside of dataset: what the forms of a data set share. Included by dataset*.c only. */
#ifndef EK_IO_DATASET_INTERNAL_H
#define EK_IO_DATASET_INTERNAL_H

#include "rebalance/io/dataset.h"
#include "rebalance/io/patterns.h"
#include "rebalance/io/table.h"

struct ek_dataset_form {
	const char *name;
	int (*open)(struct ek_dataset *dataset);
	/* 1 and an item (cleared before), 0 at the end. */
	int (*next)(struct ek_dataset *dataset, struct ek_dataset_item *item);
	void (*close)(struct ek_dataset *dataset);
	/* Instead of `next`: see every file behind those of paths. NULL: there is none. */
	int (*look)(struct ek_dataset *dataset);
	int (*again)(struct ek_dataset *dataset);  /* as ek_dataset_again, or NULL: never */
	int (*finish)(struct ek_dataset *dataset); /* in ek_dataset_finish, or NULL */
	int selects;    /* 1: `next` asks the patterns itself, else they are asked of each item */
	int names_file; /* 1: names begin with that of the file they are in */
	int packs;      /* 1: the names are as somebody packed them: what is left out without being told may be there */
};
extern const struct ek_dataset_form ek_dataset_folder, ek_dataset_tar, ek_dataset_list, ek_dataset_table,
	ek_dataset_idx, ek_dataset_npz, ek_dataset_npy, ek_dataset_zip, ek_dataset_parquet, ek_dataset_embeddings,
	ek_dataset_several;

/* Files beside images in tars (.cls, .json, .txt) that were not used, and names that were there twice. */
enum ek_unused { EK_UNUSED_ORPHANS, EK_UNUSED_UNREADABLE, EK_UNUSED_AMBIGUOUS, EK_UNUSED_REPEATED, EK_UNUSED_COUNT };

/* How many, and which was the first. */
struct ek_tally {
	uint64_t count;
	char first[160];
};

struct ek_dataset {
	enum ek_dataset_kind kind;
	const struct ek_dataset_form *form;
	void *state; /* the form's */
	char *root;
	char **paths;                /* absolute */
	uint64_t *stamps;            /* [path_count] as ek_dataset_stamp, when it was opened */
	enum ek_dataset_kind *kinds; /* [path_count] */
	size_t path_count;
	uint64_t seen; /* the sum of the stamps of all files behind them that were seen */
	int looks;     /* only files' stamps are wanted: nothing is read or warned of */
	struct ek_attributes *attributes;
	char *attributes_path;
	const char *key; /* of tables, or NULL */
	int keyed;       /* of the whole: a table was opened by it */
	int matched;     /* the names of all files were shown to the attributes */
	uint64_t other_files, warnings, without_attributes;
	struct ek_patterns patterns;
	struct ek_dataset *whole; /* of which this is a part, or NULL */
	int again;                /* as a part: its form goes on at the front by itself */
	int renamed;              /* it was said that an attribute has another name */
	char **tables;            /* [table_count] noted */
	size_t table_count, tables_tried;
	uint64_t mask_like;
	char *first_mask;
	struct ek_buffer shared; /* folders, with their last slash, that all files with names of images are in */
	int shared_known;
	uint64_t left_folder; /* a hash: the folder of an archive that was left out last */
	struct ek_tally left_out[EK_LEFT_OUT_COUNT], unused[EK_UNUSED_COUNT];
};

/* Bytes read of a file to tell what it is. */
enum { EK_DATASET_HEAD = 64 };
/* A larger image is rejected: memory stays bounded. */
#define EK_DATASET_LARGEST ((uint64_t)1 << 30)

/* Add the files that a user's word names, a file, a folder or a pattern, to `paths`, `stamps` and `kinds`. */
int ek_dataset_add(struct ek_dataset *dataset, const char *word);
/* Behind the last path of the data set that the path `first` begins: tars, or IDX files, or Parquet shards, of one
 * folder that follow each other are one, whatever else is one alone. */
size_t ek_dataset_part_end(const struct ek_dataset *dataset, size_t first);
/* Is a file of this name likely a data set of its own? */
int ek_dataset_may_hold_images(const char *name);
/* The data set that this is a part of, or itself. */
struct ek_dataset *ek_dataset_whole(struct ek_dataset *dataset);
/* Start at the front of dataset->paths, which are of dataset->kind. */
int ek_dataset_open_form(struct ek_dataset *dataset);
/* The next item that the patterns take, whatever attributes it has. */
int ek_dataset_next_selected(struct ek_dataset *dataset, struct ek_dataset_item *item);

/* ek_warn the first 20 times; always counted. */
void ek_dataset_warn(struct ek_dataset *dataset, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Count one more; what is no folder, has no name of an image and was not put there by a system is another file. */
void ek_dataset_leave_out(struct ek_dataset *dataset, enum ek_left_out reason, const char *name, int is_folder);
/* The same of a member of an archive, by ek_patterns_of_member; its folder counts once while members of it follow each
 * other, or only others between them. EK_ENOMEM. */
int ek_dataset_leave_out_member(struct ek_dataset *dataset, enum ek_left_out reason, const char *name, size_t folder);
void ek_dataset_note(struct ek_tally *tally, const char *name);
/* Set the label to the first folder level of the item's name behind those that all images share, if there is one. */
int ek_dataset_label_by_folder(struct ek_dataset *dataset, struct ek_dataset_item *item);
/* Note the file if it is a table of images: the first 8 among the first 16 that may be one. EK_ENOMEM. */
int ek_dataset_note_table(struct ek_dataset *dataset, const char *path);
/* The same of files beside a data set of one path that are called as CelebA's are. */
int ek_dataset_note_siblings(struct ek_dataset *dataset);
/* Add those noted, {"tables": [{"path"}]}, if there are any. */
int ek_dataset_add_tables(cJSON *counts, const struct ek_dataset *dataset);
/* Does a word, perhaps with a number behind, say that an image is a mask or another map of one? */
int ek_dataset_is_mask_word(const char *text, size_t size);
/* Count the image if its folder or the end of its name is such a word. EK_ENOMEM. */
int ek_dataset_note_mask(struct ek_dataset *dataset, const char *path);
/* Add them, {"mask_like": {"images", "first", "pattern"}}, if the first has an image that it may be the mask of. */
int ek_dataset_add_masks(cJSON *counts, const struct ek_dataset *dataset);
/* The same files once more, for their names; its `next` reads none of them and gives no label. */
int ek_dataset_open_names(struct ek_dataset **out, const struct ek_dataset *dataset);
void ek_dataset_close_names(struct ek_dataset *names);
/* See every item that is a file of its own: `look` of most forms. */
int ek_dataset_look_at_items(struct ek_dataset *dataset);
/* item->path = root/name, or name if it is absolute. */
int ek_dataset_locate(const struct ek_dataset *dataset, struct ek_dataset_item *item);

#endif
