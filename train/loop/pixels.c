#include "train/loop/pixels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"
#include "rebalance/io/resize.h"

enum { VERSION = 1, CHUNK = 512 };
static const double sync_seconds = 2;

struct work {
	const struct ek_run *run;
	int side;
	struct ek_image_loader **loaders; /* [threads] */
	struct ek_buffer *bytes;          /* [threads] */
	struct ek_image_record *records;  /* [CHUNK] */
	uint8_t *out;                     /* [CHUNK, side, side, 3] */
};

/* The middle of the image with its shorter side resized. */
static int fit(struct ek_image *out, const void *bytes, size_t size, uint32_t side)
{
	struct ek_image_info info;
	struct ek_image_window window = { .width = side, .height = side };
	uint32_t width = side, height = side;
	int rc;

	EK_TRY(ek_image_probe(&info, bytes, size, EK_MAX_PIXELS_DEFAULT));
	if (info.width < info.height)
		height = (uint32_t)((uint64_t)side * info.height / info.width);
	else
		width = (uint32_t)((uint64_t)side * info.width / info.height);
	window.x = (width - side) / 2;
	window.y = (height - side) / 2;
	EK_TRY(ek_image_decode_resized(out, bytes, size, EK_MAX_PIXELS_DEFAULT, width, height, &window,
	                               EK_FILTER_BICUBIC));
out:
	return rc;
}

/* Bare pixels, as in IDX files. */
static int fit_bare(struct ek_image *out, const struct ek_image_record *record, const struct ek_buffer *bytes,
                    uint32_t side)
{
	struct ek_image whole = { 0 };
	const uint32_t shorter = record->width < record->height ? record->width : record->height;
	const uint32_t width = (uint32_t)((uint64_t)side * record->width / shorter);
	const uint32_t height = (uint32_t)((uint64_t)side * record->height / shorter);
	int rc;

	EK_TRY(ek_image_from_bare(&whole, record->format, bytes->data, bytes->size, record->width, record->height));
	EK_TRY(ek_image_resize_window(out, &whole, width, height, (width - side) / 2, (height - side) / 2, side, side,
	                              EK_FILTER_BICUBIC));
out:
	ek_image_release(&whole);
	return rc;
}

static int one(void *context, uint64_t i, int worker)
{
	struct work *w = context;
	const struct ek_image_record *record = &w->records[i];
	const size_t size = 3 * (size_t)w->side * (size_t)w->side;
	struct ek_buffer *bytes = &w->bytes[worker];
	struct ek_image image = { 0 };
	int rc;

	if (w->loaders[worker] == NULL)
		EK_TRY(ek_image_loader_new(&w->loaders[worker], w->run));
	EK_TRY(ek_image_loader_bytes(w->loaders[worker], record, bytes));
	if (ek_image_bare_pixel(record->format) > 0)
		EK_TRY(fit_bare(&image, record, bytes, (uint32_t)w->side));
	else
		EK_TRY(fit(&image, bytes->data, bytes->size, (uint32_t)w->side));
	memcpy(w->out + i * size, image.pixels, size);
out:
	ek_image_release(&image);
	return rc;
}

/* Fill the chunk; returns how many images are left to come: 0 at the end. */
static int next_chunk(struct ek_images *images, struct ek_image_record *records, uint64_t *count)
{
	int rc = 1;

	for (*count = 0; *count < CHUNK; ++*count) {
		ek_image_record_release(&records[*count]);
		if ((rc = ek_images_next(images, &records[*count])) <= 0)
			break;
	}
	return rc < 0 ? rc : 0;
}

static int fill(struct work *w, struct ek_npy_writer *writer, uint64_t rows)
{
	struct ek_images *images = NULL;
	uint64_t count = CHUNK;
	double synced = ek_clock();
	int rc;

	EK_TRY(ek_images_open(&images, w->run));
	if (rows > 0)
		EK_TRY(ek_images_seek(images, rows));
	while (count == CHUNK) {
		EK_TRY(ek_check_interrupt());
		EK_TRY(next_chunk(images, w->records, &count));
		EK_TRY(ek_parallel(count, one, w));
		EK_TRY(ek_npy_writer_append(writer, w->out, count));
		ek_progress_add(count);
		if (ek_clock() - synced > sync_seconds) {
			EK_TRY(ek_npy_writer_sync(writer));
			synced = ek_clock();
		}
	}
	EK_TRY(ek_npy_writer_commit(writer));
out:
	ek_images_close(images);
	return rc;
}

static int make(const struct ek_run *run, const char *path, uint64_t images, int side)
{
	const uint64_t shape[4] = { images, (uint64_t)side, (uint64_t)side, 3 };
	const int threads = ek_threads();
	struct work w = { .run = run, .side = side };
	struct ek_npy_writer *writer = NULL;
	uint64_t rows;
	int rc;

	EK_TRY(ek_alloc(&w.loaders, (size_t)threads, sizeof(struct ek_image_loader *)));
	EK_TRY(ek_alloc(&w.bytes, (size_t)threads, sizeof *w.bytes));
	EK_TRY(ek_alloc(&w.records, CHUNK, sizeof *w.records));
	EK_TRY(ek_alloc(&w.out, CHUNK, 3 * (size_t)side * (size_t)side));
	EK_TRY(ek_npy_writer_open(&writer, &rows, path, EK_U8, 4, shape, "pixels"));
	ek_progress_begin("reading images", "images", images - rows);
	rc = fill(&w, writer, rows);
	ek_progress_end();
out:
	ek_npy_writer_free(writer);
	for (int i = 0; i < threads; i++) {
		if (w.loaders != NULL)
			ek_image_loader_free(w.loaders[i]);
		if (w.bytes != NULL)
			ek_buffer_release(&w.bytes[i]);
	}
	for (int i = 0; w.records != NULL && i < CHUNK; i++)
		ek_image_record_release(&w.records[i]);
	free(w.loaders);
	free(w.bytes);
	free(w.records);
	free(w.out);
	return rc;
}

/* Pixels of this size made from another images.jsonl. */
static int remove_stale(const struct ek_run *run, const char *path, int side)
{
	char pattern[64];
	glob_t found = { 0 };
	int rc;

	(void)snprintf(pattern, sizeof pattern, "cache/pixels-%d-*", side);
	EK_TRY(ek_run_glob(&found, run, pattern));
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (strncmp(found.gl_pathv[i], path, strlen(path)) != 0)
			(void)ek_remove(found.gl_pathv[i]);
out:
	globfree(&found);
	return rc;
}

struct wanted {
	const char *path, *step;
	uint64_t images;
	int side, force;
};

static int make_anew(void *context, struct ek_run *run, cJSON *counts)
{
	const struct wanted *w = context;
	int rc;

	EK_TRY(remove_stale(run, w->path, w->side));
	/* Versions that did not record them named the list that they are of in the same way. */
	if (w->force || ek_run_recorded(run, w->step) != NULL || !ek_file_exists(w->path))
		EK_TRY(make(run, w->path, w->images, w->side));
	EK_TRY(ek_json_add_u64(counts, "images", w->images));
out:
	return rc;
}

static int bring_up(struct ek_run *run, const char *file, struct wanted *wanted)
{
	static const char *const inputs[] = { "images.jsonl", NULL };
	const char *const outputs[] = { file, NULL };
	struct ek_step step = { .version = VERSION, .inputs = inputs, .outputs = outputs };
	const struct ek_work work = { .step = &step, .doing = "reading pixels", .make = make_anew, .context = wanted };
	cJSON *options = cJSON_CreateObject();
	char name[32];
	int made, rc;

	(void)snprintf(name, sizeof name, "pixels %d", wanted->side);
	EK_TRY(ek_json_add_u64(options, "side", (uint64_t)wanted->side));
	step.name = wanted->step = name;
	step.options = options;
	EK_TRY(ek_run_bring_up(&made, run, &work, wanted->force));
out:
	cJSON_Delete(options);
	return rc;
}

int ek_pixels_open(struct ek_pixels *pixels, struct ek_run *run, int side, int force)
{
	const uint64_t shape[4] = { UINT64_MAX, (uint64_t)side, (uint64_t)side, 3 };
	char *list = NULL, *folder = NULL, *path = NULL, *file = NULL;
	uint64_t hash;
	int rc;

	*pixels = (struct ek_pixels){ .side = side };
	if (side < 4 || side > EK_PIXELS_SIDE_MAX)
		return ek_fail(EK_EUSAGE, "images of side %d: must be 4 to %d", side, EK_PIXELS_SIDE_MAX);
	EK_TRY(ek_run_file(&list, run, "images.jsonl"));
	if (!ek_file_exists(list)) {
		rc = ek_fail(EK_EUSAGE, "%s has no images, only embeddings: nothing to train on", ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_images_count(&pixels->count, run));
	EK_TRY(ek_hash64_file(&hash, list));
	(void)snprintf(pixels->key, sizeof pixels->key, "%d-%016" PRIx64, side, hash);
	EK_TRY(ek_run_file(&folder, run, "cache"));
	EK_TRY(ek_make_directories(folder));
	EK_TRY(ek_format(&file, "cache/pixels-%s.npy", pixels->key));
	EK_TRY(ek_run_file(&path, run, file));
	EK_TRY(bring_up(run, file,
	                &(struct wanted){ .path = path, .images = pixels->count, .side = side, .force = force }));
	EK_TRY(ek_npy_open_as(&pixels->array, path, EK_U8, 4, shape));
	if (pixels->array.shape[0] != pixels->count)
		rc = ek_fail(EK_EDATA, "%s has %" PRIu64 " images, the run %" PRIu64, path, pixels->array.shape[0],
		             pixels->count);
out:
	free(list);
	free(folder);
	free(path);
	free(file);
	return rc;
}

void ek_pixels_close(struct ek_pixels *pixels)
{
	ek_npy_close(&pixels->array);
	*pixels = (struct ek_pixels){ 0 };
}

const uint8_t *ek_pixels_of(const struct ek_pixels *pixels, int64_t id)
{
	return (const uint8_t *)pixels->array.data + (size_t)id * 3 * (size_t)pixels->side * (size_t)pixels->side;
}
