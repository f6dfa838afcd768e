#include "reports/thumbnails.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/resize.h"

enum { FILE_LIMIT = 1 << 28 };

static int add(struct ek_pictures *p, const struct ek_picture *picture)
{
	int rc = 0;

	if (p->count == p->capacity) {
		const size_t capacity = p->capacity == 0 ? 256 : 2 * p->capacity;

		EK_TRY(ek_resize(&p->items, capacity, sizeof *p->items));
		p->capacity = capacity;
	}
	p->items[p->count++] = *picture;
out:
	return rc;
}

int ek_pictures_want(struct ek_pictures *p, uint64_t id, int thumbnail, size_t tile)
{
	return add(p, &(struct ek_picture){ .id = id, .wanted = thumbnail != 0, .tile = tile });
}

int ek_pictures_want_file(struct ek_pictures *p, uint64_t key, const char *path, const char *name, int whole)
{
	struct ek_picture picture = { .id = key, .wanted = 1, .whole = whole };
	int rc;

	EK_TRY(ek_copy_string(&picture.path, path));
	EK_TRY(ek_copy_string(&picture.file_name, name));
	EK_TRY(add(p, &picture));
	return 0;
out:
	free(picture.path);
	free(picture.file_name);
	return rc;
}

static int by_id(const void *a, const void *b)
{
	const struct ek_picture *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void sort_and_merge(struct ek_pictures *p)
{
	size_t kept = 0;

	if (p->count == 0)
		return;
	qsort(p->items, p->count, sizeof *p->items, by_id);
	for (size_t i = 1; i < p->count; i++) {
		struct ek_picture *last = &p->items[kept], *next = &p->items[i];

		if (next->id != last->id) {
			p->items[++kept] = *next;
			continue;
		}
		last->wanted += next->wanted;
		if (next->tile != 0)
			last->tile = next->tile;
		free(next->path);
		free(next->file_name);
	}
	p->count = kept + 1;
}

/* Names, sizes and places of all wanted images: one pass over images.jsonl. */
static int read_records(struct ek_pictures *p, const struct ek_run *run)
{
	struct ek_images *images = NULL;
	int rc = 0;

	if (p->count == 0 || p->items[0].path != NULL)
		return 0;
	EK_TRY(ek_images_open(&images, run));
	/* Files come behind all images. */
	for (size_t i = 0; i < p->count && p->items[i].path == NULL; i++) {
		struct ek_picture *picture = &p->items[i];
		struct ek_image_record *record = &picture->record;

		EK_TRY(ek_images_seek(images, picture->id));
		EK_TRY(ek_images_next(images, record));
		if (rc == 0) {
			rc = ek_fail(EK_EDATA, "%s/images.jsonl ends before image %" PRIu64, ek_run_path(run),
			             picture->id);
			goto out;
		}
		EK_TRY(ek_copy_string(&picture->file_name, record->file_name));
		if (record->label != NULL)
			EK_TRY(ek_copy_string(&picture->label, record->label));
		picture->width = record->width;
		picture->height = record->height;
	}
	rc = 0;
out:
	ek_images_close(images);
	return rc;
}

struct work {
	struct ek_pictures *pictures;
	const struct ek_run *run;
	const struct ek_picture_sizes *sizes;
	struct ek_image_loader **loaders; /* one per worker */
	struct ek_image sheet;
};

/* The middle square of `image` at `side` pixels. */
static int square(struct ek_image *out, const struct ek_image *image, uint32_t side)
{
	const uint32_t shorter = image->width < image->height ? image->width : image->height;
	const uint32_t width = (uint32_t)((uint64_t)image->width * side / shorter);
	const uint32_t height = (uint32_t)((uint64_t)image->height * side / shorter);

	return ek_image_resize_window(out, image, width, height, (width - side) / 2, (height - side) / 2, side, side,
	                              EK_FILTER_BICUBIC);
}

static int put_tile(struct work *w, const struct ek_picture *picture, const struct ek_image *image)
{
	const uint32_t side = w->sizes->tile_side, columns = w->pictures->sheet_columns;
	const size_t x = (picture->tile - 1) % columns * side, y = (picture->tile - 1) / columns * side;
	struct ek_image tile = { 0 };
	int rc = 0;

	EK_TRY(square(&tile, image, side));
	for (size_t row = 0; row < side; row++)
		memcpy(w->sheet.pixels + ((y + row) * w->sheet.width + x) * 3, tile.pixels + row * side * 3, side * 3);
out:
	ek_image_release(&tile);
	return rc;
}

/* All of `image`, at most `width` pixels wide. */
static int whole(struct ek_image *out, const struct ek_image *image, uint32_t width)
{
	const uint32_t across = image->width < width ? image->width : width;
	const uint32_t down = (uint32_t)((uint64_t)image->height * across / image->width);

	return ek_image_resize_window(out, image, across, down > 0 ? down : 1, 0, 0, across, down > 0 ? down : 1,
	                              EK_FILTER_BICUBIC);
}

static int make_thumbnail(struct ek_picture *picture, const struct ek_image *image,
                          const struct ek_picture_sizes *sizes)
{
	const uint32_t shorter = image->width < image->height ? image->width : image->height;
	struct ek_image small = { 0 };
	int rc;

	EK_TRY(picture->whole ? whole(&small, image, sizes->whole)
	                      : square(&small, image, shorter < sizes->side ? shorter : sizes->side));
	EK_TRY(ek_image_encode_jpeg(&picture->jpeg, &small, sizes->quality));
	picture->side = small.width;
	picture->rise = small.height;
out:
	ek_image_release(&small);
	return rc;
}

static int decode_file(struct ek_image *image, const char *path, uint32_t smallest_side)
{
	struct ek_buffer bytes = { 0 };
	int rc;

	EK_TRY(ek_file_read(&bytes, path, FILE_LIMIT));
	EK_TRY(ek_image_decode(image, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, smallest_side));
out:
	ek_buffer_release(&bytes);
	return rc;
}

static int make_one(void *context, uint64_t i, int worker)
{
	struct work *w = context;
	struct ek_picture *picture = &w->pictures->items[i];
	const uint32_t largest = w->sizes->side > w->sizes->tile_side ? w->sizes->side : w->sizes->tile_side;
	struct ek_image image = { 0 };
	int rc = 0;

	EK_TRY(ek_check_interrupt());
	if (w->loaders[worker] == NULL && (rc = ek_image_loader_new(&w->loaders[worker], w->run)) < 0)
		return rc;
	if (picture->path != NULL)
		EK_TRY(decode_file(&image, picture->path, picture->whole ? w->sizes->whole : largest));
	else
		EK_TRY(ek_image_loader_decode(w->loaders[worker], &picture->record, largest, &image));
	if (picture->tile != 0)
		EK_TRY(put_tile(w, picture, &image));
	if (picture->wanted)
		EK_TRY(make_thumbnail(picture, &image, w->sizes));
out:
	ek_image_release(&image);
	ek_image_record_release(&picture->record);
	ek_progress_add(1);
	/* A file that changed since it was read is an empty frame, not a reason to give no report. */
	picture->missing = rc == EK_EDATA || rc == EK_EIO;
	return picture->missing ? 0 : rc;
}

static void tell_missing(const struct ek_pictures *p, const struct ek_run *run)
{
	size_t missing = 0;

	for (size_t i = 0; i < p->count; i++)
		missing += (size_t)p->items[i].missing;
	if (missing > 0)
		ek_warn("%zu of %zu pictures could not be read and are empty frames in the report of %s; once "
		        "their files are back, make it again with 'force'",
		        missing, p->count, ek_run_path(run));
}

static int prepare_sheet(struct work *w)
{
	struct ek_pictures *p = w->pictures;
	size_t tiles = 0;
	uint32_t columns = 1;
	int rc = 0;

	for (size_t i = 0; i < p->count; i++)
		tiles = p->items[i].tile > tiles ? p->items[i].tile : tiles;
	if (tiles == 0)
		return 0;
	while ((uint64_t)columns * columns < tiles)
		columns++;
	p->tile_side = w->sizes->tile_side;
	p->sheet_columns = columns;
	p->sheet_rows = (uint32_t)((tiles + columns - 1) / columns);
	w->sheet.width = columns * p->tile_side;
	w->sheet.height = p->sheet_rows * p->tile_side;
	EK_TRY(ek_alloc(&w->sheet.pixels, (size_t)w->sheet.width * w->sheet.height, 3));
	memset(w->sheet.pixels, 0x80, (size_t)w->sheet.width * w->sheet.height * 3);
out:
	return rc;
}

int ek_pictures_make(struct ek_pictures *p, const struct ek_run *run, const struct ek_picture_sizes *sizes)
{
	struct work w = { .pictures = p, .run = run, .sizes = sizes };
	int rc = 0;

	sort_and_merge(p);
	EK_TRY(read_records(p, run));
	EK_TRY(prepare_sheet(&w));
	EK_TRY(ek_alloc(&w.loaders, (size_t)ek_threads(), sizeof *w.loaders));
	ek_progress_begin("making thumbnails", "pictures", p->count);
	rc = ek_parallel(p->count, make_one, &w);
	ek_progress_end();
	if (rc == 0)
		tell_missing(p, run);
	if (rc == 0 && w.sheet.pixels != NULL)
		rc = ek_image_encode_jpeg(&p->sheet, &w.sheet, sizes->quality);
out:
	for (int i = 0; w.loaders != NULL && i < ek_threads(); i++)
		ek_image_loader_free(w.loaders[i]);
	free(w.loaders);
	ek_image_release(&w.sheet);
	return rc;
}

uint64_t ek_pictures_bytes(const struct ek_pictures *p)
{
	uint64_t bytes = p->sheet.size;

	for (size_t i = 0; i < p->count; i++)
		bytes += (p->items[i].jpeg.size + 2) * p->items[i].wanted;
	return bytes / 3 * 4;
}

const struct ek_picture *ek_pictures_find(const struct ek_pictures *p, uint64_t id)
{
	const struct ek_picture key = { .id = id };

	return p->count == 0 ? NULL : bsearch(&key, p->items, p->count, sizeof key, by_id);
}

void ek_pictures_release(struct ek_pictures *p)
{
	for (size_t i = 0; i < p->count; i++) {
		ek_image_record_release(&p->items[i].record);
		free(p->items[i].file_name);
		free(p->items[i].path);
		free(p->items[i].label);
		ek_buffer_release(&p->items[i].jpeg);
	}
	free(p->items);
	ek_buffer_release(&p->sheet);
	*p = (struct ek_pictures){ 0 };
}
