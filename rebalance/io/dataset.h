/*
 * Data sets: one way to walk every form a user may have his images in, one candidate file after the other, in an order
 * that depends on names alone. Memory does not grow with the number of images (a table of attributes costs 16 to 32
 * bytes a row).
 *
 *	folder       recursive, names in byte order; label: the first folder level; metadata.jsonl or metadata.csv
 *	             gives the attributes of the images in its folder and below (Hugging Face ImageFolder)
 *	tar          one or more, also gzip, zstd, bzip2, xz; files that share a name up to the first dot of its last
 *	             part are one sample (WebDataset): image, .cls (label), .json (attributes), .txt (attribute "text");
 *	             else label: the first folder level
 *	list         a text file of paths, one a line, relative to the list's folder or absolute
 *	table        .csv or .jsonl with file_name (relative to the table's folder); the other columns are attributes
 *	idx          MNIST's format, also gzipped, the labels in the file beside it
 *	npz          arrays of uint8 [images, height, width] or [images, height, width, 3], by np.savez or
 *	             np.savez_compressed; of several those that are called so (arr_0, x_train, train_images …), their
 *	             labels beside them (arr_1, y_train, train_labels …); .npy: one such array
 *	zip          of images, as a folder of them; label: the first folder level
 *	embeddings   a .npy alone: no images
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
	EK_DATASET_EMBEDDINGS
};
const char *ek_dataset_kind_name(enum ek_dataset_kind kind);

struct ek_dataset_item {
	struct ek_buffer name;      /* relative to the root; inside a tar, the member's name without "./" */
	struct ek_buffer path;      /* the file to open; empty if the bytes are here */
	const char *source;         /* the tar, IDX or npz file, absolute, or NULL; belongs to the data set */
	uint64_t offset, size;      /* with a source: in its uncompressed stream */
	struct ek_buffer zip_entry; /* the deflated entry of a zip file that `offset` is in, or empty */
	struct ek_buffer bytes;     /* with a source: all bytes of an image; of what is none, its first 64 */
	struct ek_buffer label;
	int has_label;
	cJSON *attributes;         /* object or NULL */
	const char *problem;       /* NULL, or why there is nothing to read (static) */
	enum ek_image_format bare; /* bare pixels, as in IDX files: which; else unknown */
	uint32_t bare_width, bare_height;
};
void ek_dataset_item_clear(struct ek_dataset_item *item); /* keeps small buffers for the next item */
void ek_dataset_item_release(struct ek_dataset_item *item);

struct ek_dataset;

/* `paths`: [count] folders, files or globs; only tars and IDX files can be several. `attributes`: a table, or NULL.
 * EK_EUSAGE, EK_EDATA, EK_EIO; names what it cannot make sense of. */
int ek_dataset_open(struct ek_dataset **out, const char *const *paths, size_t count, const char *attributes);
enum ek_dataset_kind ek_dataset_kind(const struct ek_dataset *dataset);
/* Absolute; what file_name is relative to (for tars, IDX, npz and embeddings: the folder of the first file). */
const char *ek_dataset_root(const struct ek_dataset *dataset);
/* The i-th file or folder after globbing, absolute, or NULL behind the last. */
const char *ek_dataset_path(const struct ek_dataset *dataset, size_t i);

/* 1 and the next candidate (any file that might be an image; item is cleared first), 0 at the end.
 * Not thread-safe, but each call may come from another thread. */
int ek_dataset_next(struct ek_dataset *dataset, struct ek_dataset_item *item);
/* After the end. EK_EDATA if the attribute table has rows for files that are not in the data set. */
int ek_dataset_finish(struct ek_dataset *dataset);
/* Files passed over because they are no images, and warnings given, so far. */
uint64_t ek_dataset_other_files(const struct ek_dataset *dataset);
uint64_t ek_dataset_warnings(const struct ek_dataset *dataset);
void ek_dataset_close(struct ek_dataset *dataset);

/*
 * What tells cheaply whether a data set has changed: the stamps of its files, of every file in a folder, and of those
 * that a list or a table names. They are gathered on the way: whoever reads an item that is a file says with which
 * stamp he saw it. Or ek_dataset_look, of a data set just opened and instead of ek_dataset_next, sees all of them
 * without reading any. `*out`: a JSON array of {"path", "kind", "stamp"}, for each path, with "bytes" of a file.
 */
int ek_dataset_look(struct ek_dataset *dataset);
void ek_dataset_saw(struct ek_dataset *dataset, uint64_t stamp);
int ek_dataset_fingerprint(cJSON **out, const struct ek_dataset *dataset);
/* Of a file: a hash of its path, size, and the times its content and its entry changed (what puts the first back, as
 * cp -p does, cannot put back the second). status: of the file, or NULL: looked up; without the file, why. */
uint64_t ek_dataset_stamp(const char *path, const struct stat *status);

/* Does the name end as names of image files do (.jpg, .png, .gif …, any case)? */
int ek_has_image_extension(const char *name);

#endif
