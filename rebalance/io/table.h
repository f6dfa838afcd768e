/*
 * Tables keyed by the name of a file: CSV with a header (separated by commas, semicolons or tabs), JSON lines, or
 * CelebA's lists, told by content: a number of rows, a line of names, then a file and its values (list_attr_celeba.txt,
 * list_bbox_celeba.txt), or without these two lines (list_eval_partition.txt, identity_CelebA.txt), the values then
 * called as the table's file is. Read row by row, or by name through an index of 16 bytes a row.
 *
 * The key is the column file_name, else the first there is of filename, file, file_path, filepath, path, image_path,
 * image_file_name, image_name, image_id, image, img_path, img, image_file and image_index, in any spelling (ImageID,
 * "File Name"), or one that the caller names. Of a CSV, names with backslashes and no slash are paths of Windows.
 *
 * EK_EDATA, with file and line: no such column, the same column or the same key twice, a row with more or fewer fields
 * than the header, a row without a key, a JSON array instead of one object a line.
 */
#ifndef EK_IO_TABLE_H
#define EK_IO_TABLE_H

#include "rebalance/io/csv.h"
#include "rebalance/io/jsonl.h"

enum ek_table_kind { EK_TABLE_CSV, EK_TABLE_JSONL, EK_TABLE_CELEBA };

struct ek_table {
	uint64_t line, offset; /* of the row last read */
	struct ek_buffer name; /* its key, without a leading "./" */
	/* The rest is private. */
	enum ek_table_kind kind;
	struct ek_csv csv;
	struct ek_jsonl jsonl; /* and CelebA's lines */
	char **columns;        /* names of the fields; of CelebA, without the file name */
	size_t column_count, key;
	const char *key_name; /* the asked one, or that of the row last read; NULL: none yet */
	uint64_t promised;    /* CelebA: rows, as its first line says */
	int is_bare;          /* CelebA: without the lines of the number and the names */
};

/* `key`: the column, which must outlive the table, or NULL. */
int ek_table_open(struct ek_table *table, const char *path, const char *key);
/* 1 and a row, 0 at the end. `attributes` (NULL: not wanted) gets a new object of the other fields: a number where the
 * text of a CSV field is one, nothing where it is empty. */
int ek_table_next(struct ek_table *table, cJSON **attributes);
void ek_table_seek(struct ek_table *table, uint64_t offset, uint64_t line);
void ek_table_close(struct ek_table *table);

/* A table with its index. */
struct ek_attributes;

/* Reads the whole table once, to check it. `key` as in ek_table_open. */
int ek_attributes_open(struct ek_attributes **out, const char *path, const char *key);
/*
 * The attributes of this file, as a new object; NULL if the table has no row for it. The row counts as used. A row is
 * found by the whole name, or by that without its ending if it names a folder, too; else, once ek_attributes_match has
 * seen all names, by the last part of the name, or that without its ending, where just one row and one file have it.
 */
int ek_attributes_find(struct ek_attributes *attributes, const char *name, cJSON **found);
/* Prepare for finding by the last part: call it with the name of every file. EK_ENOMEM, EK_EIO, EK_EDATA. */
int ek_attributes_match(struct ek_attributes *attributes, const char *name);
uint64_t ek_attributes_rows(const struct ek_attributes *attributes);
/* How many rows were never found, and the line and name (to be freed) of the first of them. */
int ek_attributes_unused(struct ek_attributes *attributes, uint64_t *count, uint64_t *line, char **name);
void ek_attributes_close(struct ek_attributes *attributes);

/* `name` without any leading "./". */
const char *ek_plain_name(const char *name);
/* Move the members of `from` into `*into` (NULL: a new object), replacing those of the same name; frees `from`. */
int ek_merge_attributes(cJSON **into, cJSON *from);

#endif
