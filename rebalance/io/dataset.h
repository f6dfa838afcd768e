/*
 * Data sets: one way to walk every form a user may have his images in, one candidate file after the other, in an order
 * that depends on names alone. Memory does not grow with the number of images (a table of attributes costs 16 to 32
 * bytes a row).
 *
 *	folder       recursive, names in byte order; label: see below; metadata.jsonl or metadata.csv
 *	             gives the attributes of the images in its folder and below (Hugging Face ImageFolder)
 *	tar          one or more (shards-{00000..00010}.tar, or a folder with nothing else in or below it), also gzip,
 *	             zstd, bzip2, xz, and several archives written one behind the other;
 *	             NAME.cls (label), NAME.json (attributes) and NAME.txt (attribute "text") belong to the images
 *	             whose name is NAME, a dot, and more (WebDataset), see below; else label: by folder
 *	list         a text file of paths, one a line, relative to the list's folder or absolute
 *	table        .csv or .jsonl with file_name (relative to the table's folder); the other columns are attributes
 *	idx          MNIST's format, also gzipped, the labels in the file beside it
 *	npz          arrays of uint8 [images, height, width] or [images, height, width, 3], by np.savez or
 *	             np.savez_compressed; of several those that are called so (arr_0, x_train, train_images …), their
 *	             labels beside them (arr_1, y_train, train_labels …); .npy: one such array
 *	zip          of images, as a folder of them; label: by folder
 *	parquet      one or more of Hugging Face's shards (shards-{00000..00010}.parquet, or a folder with nothing else
 *	             in or below it): the column of bytes that datasets calls an Image, or that is called image, img
 *	             or X.bytes; a row is called SHARD/ROW/NAME, by X.path, or SHARD/ROW.jpg; label: the column label,
 *	             else the only one of classes (ClassLabel, by name; -1: none); the other columns of numbers, texts
 *	             and classes are attributes. Where a page is damaged, the rest of its row group is one rejected
 *	             row; a shard that cannot be opened is another, unless it is the first. Needs a module (parquet.h)
 *	embeddings   a .npy alone: no images
 *
 * A label by folder is the first folder level behind those that all files with names of images share: cats of
 * photos/cats/1.jpg and photos/dogs/2.jpg; of 1.jpg to 9.jpg in one folder img_align_celeba, none.
 *
 * What a sample of a tar is. NAME.cls belongs to every image of the same tar that is called NAME.anything, whatever
 * dots NAME itself has: x.cls to x.jpg and x.left.png, v1.0_3.cls to v1.0_3.jpg and not to v1.0_4.jpg. Where several
 * of a kind fit, the longest NAME counts, then the one that lies nearest: neighbours in the tar whose names agree up
 * to the first dot of the last part come first, and a name that is there again begins a new sample. Only if none is
 * beside the image, one that lies elsewhere in the tar without an image beside it is taken: before the image, or behind
 * it (then the data set is walked twice, ek_dataset_again). Two such of one name that say different things are not
 * used, nor such a one and what lies beside an image, where another image of this name came before without any: whose
 * is which? Of a label in front of the image that has another beside it, the one beside counts. Memory: none for what
 *has an image beside it, 40 bytes for what waits (sidecars.h).
 *
 * Of a sample with an image NAME.EXT, images NAME.WORD.EXT are left out if WORD says that they are a mask or another
 * map of it: seg, mask, depth, … (dataset_tar.c has the list), also with a number behind.
 *
 * Several data sets are walked in the order given. Tars, or IDX files, or Parquet shards, of one folder that follow
 *each other are one. Each has its own rules for labels and attributes; patterns are of the names within each. All names
 *are relative to the deepest folder that all of them have in common, inside a tar, zip or the like that file's name
 *comes first, and `dataset` of an item is the name of its data set, relative to the same folder ("x.tar and 2 more" of
 *three tars).
 *
 * What else is left out: patterns.h. All that was left out, or read and not used, is counted and told in one line.
 */
#ifndef EK_IO_DATASET_H
#define EK_IO_DATASET_H

#include <sys/stat.h>

#include "rebalance/base/json.h"
#include "rebalance/io/image.h"

enum ek_dataset_kind {
	EK_DATASET_FOLDER,
	EK_DATASET_TAR,
	EK_DATASET_LIST,
	EK_DATASET_TABLE,
	EK_DATASET_IDX,
	EK_DATASET_NPZ,
	EK_DATASET_NPY,
	EK_DATASET_ZIP,
	EK_DATASET_PARQUET,
	EK_DATASET_EMBEDDINGS,
	EK_DATASET_SEVERAL /* data sets of these kinds, one behind the other */
};
const char *ek_dataset_kind_name(enum ek_dataset_kind kind);

struct ek_dataset_item {
	struct ek_buffer name;      /* relative to the root; inside a tar, the member's name without "./" */
	struct ek_buffer path;      /* the file to open; empty if the bytes are here */
	const char *source;         /* the tar, IDX, npz or Parquet file, absolute, or NULL; belongs to the data set */
	uint64_t offset, size;      /* with a source: in its uncompressed stream */
	struct ek_buffer zip_entry; /* the deflated entry of a zip file that `offset` is in, or empty */
	struct ek_buffer parquet_column; /* the column that it is packed in, at the row `offset`, or empty */
	struct ek_buffer bytes;          /* with a source: all bytes of an image; of what is none, its first 64 */
	struct ek_buffer label;
	int has_label;
	const char *dataset;       /* of several: the name of the one it is of (belongs to the data set), else NULL */
	size_t part;               /* and which one */
	cJSON *attributes;         /* object or NULL */
	const char *problem;       /* NULL, or why there is nothing to read (static, or in `bytes`) */
	int unread;                /* with a problem: it could not be read, which may pass */
	enum ek_image_format bare; /* bare pixels, as in IDX files: which; else unknown */
	uint32_t bare_width, bare_height;
};
void ek_dataset_item_clear(struct ek_dataset_item *item); /* keeps small buffers for the next item */
void ek_dataset_item_release(struct ek_dataset_item *item);

struct ek_dataset;

/* `paths`: [count] folders, files or globs; none twice, no folder in another, embeddings only alone. `attributes`: a
 * table, or NULL; its rows are matched as ek_attributes_find says, by the column `key` (NULL: see table.h), which must
 * outlive the data set. EK_EUSAGE, EK_EDATA, EK_EIO; names what it cannot make sense of. */
int ek_dataset_open(struct ek_dataset **out, const char *const *paths, size_t count, const char *attributes,
                    const char *key);
/* Which files are taken (patterns.h); before the first ek_dataset_next. The patterns are copied. Of lists and tables,
 * which name each file, and of IDX, npz and Parquet files only patterns leave something out. EK_EUSAGE, EK_ENOMEM. */
int ek_dataset_select(struct ek_dataset *dataset, const char *const *include, size_t include_count,
                      const char *const *exclude, size_t exclude_count);
enum ek_dataset_kind ek_dataset_kind(const struct ek_dataset *dataset);
/* Absolute; what file_name is relative to (for tars, IDX, npz, Parquet and embeddings: the folder of the first file).
 */
const char *ek_dataset_root(const struct ek_dataset *dataset);
/* The i-th file or folder after globbing, absolute, or NULL behind the last. */
const char *ek_dataset_path(const struct ek_dataset *dataset, size_t i);

/* Of several: how many they are and the name and kind of one; 0 of one alone. */
size_t ek_dataset_parts(const struct ek_dataset *dataset);
const char *ek_dataset_part(const struct ek_dataset *dataset, size_t part, enum ek_dataset_kind *kind);

/* 1 and the next candidate (any file that might be an image; item is cleared first), 0 at the end.
 * Not thread-safe, but each call may come from another thread. */
int ek_dataset_next(struct ek_dataset *dataset, struct ek_dataset_item *item);
/* After the end. 1: labels or attributes lie behind their images, which were given without them; forget these items and
 * counts and call ek_dataset_next again, which starts from the front and knows. Else 0; it is never 1 twice. */
int ek_dataset_again(struct ek_dataset *dataset);
/* After the end: tells what was left out and what was not used. EK_EDATA if the attribute table has rows for files that
 * are not in the data set. */
int ek_dataset_finish(struct ek_dataset *dataset);
/* Add what was left out, {"left_out": {"hidden": …}}, what was not used, {"unused": {"orphans": …}}, and tables of
 * images that lie beside them and were not asked for, {"tables": [{"path"}]}, to an object: what there is any of. */
int ek_dataset_add_counts(cJSON *counts, const struct ek_dataset *dataset);
/* Files passed over because they are no images, and warnings given, so far. */
uint64_t ek_dataset_other_files(const struct ek_dataset *dataset);
uint64_t ek_dataset_warnings(const struct ek_dataset *dataset);
void ek_dataset_close(struct ek_dataset *dataset);

/*
 * What tells cheaply whether a data set has changed: the stamps of its files, of every file in a folder, and of those
 * that a list or a table names. They are gathered on the way: whoever reads an item that is a file says with which
 * stamp he saw it. Or ek_dataset_look, of a data set just opened and instead of ek_dataset_next, sees all of them
 * without reading any. ek_dataset_look_once, likewise: 0 if it has no item at all, which such a form shows at once; 1
 * if it has, or another form would have to be read to tell. `*out`: a JSON array of {"path", "kind", "stamp"}, for each
 * path, with "bytes" of a file.
 */
int ek_dataset_look(struct ek_dataset *dataset);
int ek_dataset_look_once(struct ek_dataset *dataset);
void ek_dataset_saw(struct ek_dataset *dataset, uint64_t stamp);
int ek_dataset_fingerprint(cJSON **out, const struct ek_dataset *dataset);
/* Of a file: a hash of its path, size, and the times its content and its entry changed (what puts the first back, as
 * cp -p does, cannot put back the second). status: of the file, or NULL: looked up; without the file, why. */
uint64_t ek_dataset_stamp(const char *path, const struct stat *status);

#endif
