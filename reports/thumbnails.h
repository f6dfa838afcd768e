/*
 * The pictures of a report: small square JPEGs (the middle of each image) and one sheet of tiles for the map. Images of
 * the run go by their ids; other files, such as generated images, by keys above all ids.
 */
#ifndef EK_REPORTS_THUMBNAILS_H
#define EK_REPORTS_THUMBNAILS_H

#include "rebalance/io/images.h"

struct ek_picture {
	uint64_t id;
	char *file_name;        /* owned; the true bytes */
	char *label;            /* owned, or NULL */
	char *path;             /* owned; of a file that is no image of the run, or NULL */
	int whole;              /* all of the image is shown, not its middle */
	uint32_t width, height; /* of the image */
	uint32_t side, rise;    /* width and height of the picture; 0 if the image could not be read */
	struct ek_buffer jpeg;
	size_t tile;                   /* its place on the sheet plus 1; 0: none */
	size_t wanted;                 /* so often as a thumbnail */
	struct ek_image_record record; /* while the pictures are made */
	int missing;                   /* its file could not be read any more */
};

struct ek_pictures {
	struct ek_picture *items; /* by id */
	size_t count, capacity;
	struct ek_buffer sheet; /* JPEG of tiles, row by row; empty if there are none */
	uint32_t tile_side, sheet_columns, sheet_rows;
};

struct ek_picture_sizes {
	uint32_t side, tile_side; /* at most; pixels, tile_side a multiple of 16 so that tiles do not bleed */
	uint32_t whole;           /* at most: the width of a picture that shows all of its image */
	int quality;
};

/* Ask for a thumbnail of `id`, or for tile `tile` (1, 2, …) of the sheet, or both. Ids may come twice. */
int ek_pictures_want(struct ek_pictures *p, uint64_t id, int thumbnail, size_t tile);
/* Ask for a thumbnail of the image file `path`, or with `whole` for a picture of all of it; `name` is what it is
 * called. key: EK_PICTURE_FILE or above, the same for the same file. */
#define EK_PICTURE_FILE (UINT64_C(1) << 63)
int ek_pictures_want_file(struct ek_pictures *p, uint64_t key, const char *path, const char *name, int whole);
/* Read, shrink and encode all that was asked for, on all threads. An image that cannot be read is left blank. */
int ek_pictures_make(struct ek_pictures *p, const struct ek_run *run, const struct ek_picture_sizes *sizes);
/* Bytes of all pictures in base64, each as often as it was asked for. */
uint64_t ek_pictures_bytes(const struct ek_pictures *p);
/* NULL if it was not asked for. */
const struct ek_picture *ek_pictures_find(const struct ek_pictures *p, uint64_t id);
void ek_pictures_release(struct ek_pictures *p);

#endif
