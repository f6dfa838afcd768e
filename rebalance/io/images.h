/*
 * images.jsonl: one line per usable image of a run, in id order; and the bytes and pixels behind a line.
 *
 * A line: {"id": 0, "file_name": "cats/a b.jpg", "source": "/data/x.tar", "offset": 512, "bytes": 1234,
 *          "width": 32, "height": 32, "format": "jpeg", "sha256": "…", "label": "cats", ATTRIBUTE: value, …}
 * `source` and `offset` are there when the image lies inside another file (tar, IDX; offset in the uncompressed
 * stream; with a `zip_entry` in the uncompressed bytes of that entry of a zip or .npz; with a `parquet_column` it is
 * the number of the row of that column, whose pages are packed). `file_name` is relative to the data set's root
 * (run.json, step scan, counts.root). A name that is not UTF-8 shows U+FFFD in `file_name` and its bytes, in hex, in
 * `file_name_bytes`.
 */
#ifndef EK_IO_IMAGES_H
#define EK_IO_IMAGES_H

#include "rebalance/io/image.h"
#include "rebalance/io/run.h"

struct ek_image_record {
	uint64_t id;
	char *file_name;      /* the true bytes, NUL-terminated */
	char *source;         /* absolute path of the containing file, or NULL */
	char *zip_entry;      /* the entry of a zip file that it lies in, deflated, or NULL */
	char *parquet_column; /* the column that it is packed in, or NULL */
	uint64_t offset;      /* bytes, in source, or in that entry; the row of that column */
	uint64_t bytes;       /* of the encoded image */
	uint32_t width, height;
	enum ek_image_format format;
	char sha256[65];
	char *label; /* or NULL */
	cJSON *row;  /* the whole line, for attributes */
};
void ek_image_record_release(struct ek_image_record *record);

/* Is a member of a line about the file, and so no attribute and no label? */
int ek_images_is_ours(const char *name);

/* A pass over images.jsonl. */
struct ek_images;
int ek_images_open(struct ek_images **out, const struct ek_run *run);
/* EK_EUSAGE, and what to do: nothing was scanned yet, or the run is of embeddings alone. */
int ek_images_need(const struct ek_run *run);
/* 1 and a record (release it), 0 at the end, or a negative code. */
int ek_images_next(struct ek_images *images, struct ek_image_record *record);
/* Skip to the row of this id; ids only grow. EK_EDATA if there is none. */
int ek_images_seek(struct ek_images *images, uint64_t id);
/* The same in any order. Notes where every 64th line up to there starts: n / 8 bytes in all. */
int ek_images_go(struct ek_images *images, uint64_t id);
void ek_images_close(struct ek_images *images);

/* The number of images of a run (run.json, step scan, counts.images). */
int ek_images_count(uint64_t *count, const struct ek_run *run);

/* Reads image bytes; keeps the last file open. One per thread. Inside a compressed file it goes forward cheaply. */
struct ek_image_loader;
int ek_image_loader_new(struct ek_image_loader **out, const struct ek_run *run);
void ek_image_loader_free(struct ek_image_loader *loader);
/* `*out` = the path of an image that is a file of its own (source is NULL), to be freed. */
int ek_image_loader_path(char **out, const struct ek_image_loader *loader, const struct ek_image_record *record);
/* `bytes` is cleared first. EK_EIO, EK_EDATA (the file is gone or shorter: named). */
int ek_image_loader_bytes(struct ek_image_loader *loader, const struct ek_image_record *record,
                          struct ek_buffer *bytes);
/* Load and decode; `smallest_side` as in ek_image_decode. */
int ek_image_loader_decode(struct ek_image_loader *loader, const struct ek_image_record *record, uint32_t smallest_side,
                           struct ek_image *image);

/* An attribute (or the label) of all images as category codes. */
struct ek_column {
	char *name;     /* "label", or the attribute's name */
	int32_t *codes; /* [images]; -1: no value */
	char **values;  /* [value_count] category names, in the order of first appearance, numbers by range */
	size_t value_count;
	int ordered; /* 1: numbers; the order of the values means something */
	char *note;  /* NULL, or what was done to it: "1 to 116 in steps of 20" */
};
struct ek_columns {
	struct ek_column *items;
	size_t count;
	uint64_t images;
};
/* All label and attribute columns of images.jsonl. Numbers are cut as RUN/ranges.json asks (ranges.h); else those with
 * more than 20 distinct values are cut into at most 8 ranges by whole steps (1, 2 or 5 × 10^e) over the middle 98 % of
 * the images, and what lies beyond falls into the first and the last. Ranges without an image are left out. A text with
 * more than 1,000 distinct values, or, of more than 20 images, another one for each, is left out with a warning. */
int ek_columns_load(struct ek_columns *columns, const struct ek_run *run);
/* The same with other ranges than the run's; NULL: none. */
int ek_columns_load_by(struct ek_columns *columns, const struct ek_run *run, const cJSON *ranges);
void ek_columns_release(struct ek_columns *columns);
/* The one of this name, or NULL. */
const struct ek_column *ek_column_find(const struct ek_columns *columns, const char *name);

#endif
