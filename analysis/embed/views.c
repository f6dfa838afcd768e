#include "analysis/embed/views.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/embed_internal.h"
#include "analysis/embed/preprocess.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"

enum { DRAWS = 16 }; /* of a view */

struct ek_view ek_view_of(uint64_t seed, const char *sha256, int number)
{
	const uint64_t stream = ek_random_stream("view") ^ ek_random_stream(sha256);
	const uint64_t at = (uint64_t)number * DRAWS;
	double u[7];

	for (uint64_t i = 0; i < sizeof u / sizeof *u; i++)
		u[i] = ek_random_double(seed, stream, at + i);
	return (struct ek_view){ .mirror = u[0] < 0.5,
		                 .area = 0.7 + 0.3 * u[1],
		                 .x = u[2],
		                 .y = u[3],
		                 .brightness = 0.8 + 0.4 * u[4],
		                 .contrast = 0.8 + 0.4 * u[5],
		                 .saturation = 0.7 + 0.6 * u[6] };
}

/* ITU-R 601, as Pillow's grey. */
static double grey_of(const uint8_t *pixel)
{
	return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

/* Brightness about black, contrast about the mean grey, saturation about each pixel's own grey, rounded once. */
static void change_colours(struct ek_image *image, const struct ek_view *v)
{
	const size_t pixels = (size_t)image->width * image->height;
	double mean = 0;

	for (size_t i = 0; i < pixels; i++)
		mean += grey_of(image->pixels + 3 * i);
	mean *= v->brightness / (double)pixels;
	for (size_t i = 0; i < pixels; i++) {
		uint8_t *pixel = image->pixels + 3 * i;
		const double grey = mean + v->contrast * (v->brightness * grey_of(pixel) - mean);

		for (int c = 0; c < 3; c++) {
			const double x = mean + v->contrast * (v->brightness * pixel[c] - mean);
			const double y = grey + v->saturation * (x - grey) + 0.5;

			pixel[c] = y <= 0 ? 0 : y >= 255 ? 255 : (uint8_t)y;
		}
	}
}

int ek_view_make(struct ek_image *out, const struct ek_image *in, const struct ek_view *v)
{
	const double side = sqrt(v->area);
	const uint32_t width = (uint32_t)fmax(1, floor(side * in->width + 0.5));
	const uint32_t height = (uint32_t)fmax(1, floor(side * in->height + 0.5));
	const uint32_t left = (uint32_t)(v->x * (double)(in->width - width + 1));
	const uint32_t top = (uint32_t)(v->y * (double)(in->height - height + 1));
	int rc;

	EK_TRY(ek_image_allocate(out, width, height));
	for (uint32_t y = 0; y < height; y++) {
		const uint8_t *from = in->pixels + 3 * ((size_t)(top + y) * in->width + left);
		uint8_t *to = out->pixels + 3 * (size_t)y * width;

		if (!v->mirror)
			memcpy(to, from, 3 * (size_t)width);
		for (uint32_t x = 0; v->mirror && x < width; x++)
			memcpy(to + 3 * (size_t)x, from + 3 * (size_t)(width - 1 - x), 3);
	}
	change_colours(out, v);
out:
	return rc;
}

/* What one thread works with, made by itself at its first image. */
struct worker {
	struct ek_model_state *state;
	struct ek_image_loader *loader;
	uint8_t *input; /* [images at once, views] preprocessed */
};

struct ek_views {
	struct ek_model *model;
	const struct ek_run *run;
	struct ek_preprocessing preprocessing;
	int views, batch, threads;
	uint64_t seed;
	size_t dimensions;
	struct worker *workers; /* [threads] */
	pthread_mutex_t lock;   /* guards: */
	struct ek_images *images;
	/* Of the call at hand. */
	const uint64_t *ids;
	uint64_t count;
	float *out;
};

int ek_views_new(struct ek_views **out, struct ek_embed *e, const struct ek_run *run, int views, uint64_t seed)
{
	struct ek_views *v = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&v, 1, sizeof *v));
	v->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	v->run = run;
	v->views = views;
	v->seed = seed;
	v->threads = ek_threads();
	v->preprocessing = *ek_embed_preprocessing(e);
	EK_TRY(ek_embed_model(&v->model, &v->dimensions, &v->batch, e));
	EK_TRY(ek_alloc(&v->workers, (size_t)v->threads, sizeof *v->workers));
	EK_TRY(ek_images_open(&v->images, run));
out:
	if (rc < 0)
		ek_views_free(v);
	else
		*out = v;
	return rc;
}

void ek_views_free(struct ek_views *v)
{
	if (v == NULL)
		return;
	for (int i = 0; v->workers != NULL && i < v->threads; i++) {
		ek_model_state_free(v->workers[i].state);
		ek_image_loader_free(v->workers[i].loader);
		free(v->workers[i].input);
	}
	free(v->workers);
	ek_images_close(v->images);
	ek_model_free(v->model);
	(void)pthread_mutex_destroy(&v->lock);
	free(v);
}

size_t ek_views_dimensions(const struct ek_views *v)
{
	return v->dimensions;
}

/* So many images at a time that their views fill a run of the network, or one whose views take several. */
static int images_at_once(const struct ek_views *v)
{
	return v->views < v->batch ? v->batch / v->views : 1;
}

static int set_up(struct worker *w, const struct ek_views *v)
{
	int rc = 0;

	if (w->state == NULL)
		EK_TRY(ek_model_state_new(&w->state, v->model));
	if (w->loader == NULL)
		EK_TRY(ek_image_loader_new(&w->loader, v->run));
	if (w->input == NULL)
		EK_TRY(ek_alloc_aligned(&w->input, (size_t)images_at_once(v) * (size_t)v->views,
		                        ek_preprocessed_size(&v->preprocessing)));
out:
	return rc;
}

static int read_record(struct ek_image_record *record, struct ek_views *v, uint64_t id)
{
	int rc;

	(void)pthread_mutex_lock(&v->lock);
	EK_TRY(ek_images_go(v->images, id));
	EK_TRY(ek_images_next(v->images, record));
	if (rc == 0)
		rc = ek_fail(EK_EDATA, "images.jsonl ends before image %llu", (unsigned long long)id);
out:
	(void)pthread_mutex_unlock(&v->lock);
	return rc < 0 ? rc : 0;
}

/* Each view of one image, preprocessed, to the worker's input from `at` on. A picture much larger than the network's is
 * decoded at a smaller scale. */
static int load(struct worker *w, struct ek_views *v, uint64_t id, int at)
{
	const size_t size = ek_preprocessed_size(&v->preprocessing);
	struct ek_image image = { 0 }, view = { 0 };
	struct ek_image_record record = { 0 };
	int rc;

	EK_TRY(read_record(&record, v, id));
	EK_TRY(ek_image_loader_decode(w->loader, &record, 2 * (uint32_t)v->preprocessing.resize, &image));
	for (int i = 0; i < v->views; i++) {
		const struct ek_view how = ek_view_of(v->seed, record.sha256, i + 1);

		EK_TRY(ek_view_make(&view, &image, &how));
		EK_TRY(ek_preprocess(w->input + (size_t)(at + i) * size, &view, &v->preprocessing));
		ek_image_release(&view);
	}
out:
	ek_image_release(&image);
	ek_image_release(&view);
	ek_image_record_release(&record);
	return rc;
}

/* The network takes `batch` at a time. */
static int run_model(const struct worker *w, const struct ek_views *v, int count, float *out)
{
	const size_t size = ek_preprocessed_size(&v->preprocessing);
	int rc = 0;

	for (int first = 0; first < count; first += v->batch)
		EK_TRY(ek_model_run(v->model, w->state, w->input + (size_t)first * size,
		                    count - first < v->batch ? count - first : v->batch,
		                    out + (size_t)first * v->dimensions));
out:
	return rc;
}

static int run_piece(void *context, uint64_t piece, int number)
{
	struct ek_views *v = context;
	struct worker *w = &v->workers[number];
	const uint64_t step = (uint64_t)images_at_once(v), first = piece * step;
	const int count = (int)(v->count - first < step ? v->count - first : step);
	int rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(set_up(w, v));
	for (int i = 0; i < count; i++)
		EK_TRY(load(w, v, v->ids[first + (uint64_t)i], i * v->views));
	EK_TRY(run_model(w, v, count * v->views, v->out + first * (uint64_t)v->views * v->dimensions));
	ek_progress_add((uint64_t)count);
out:
	return rc;
}

int ek_views_run(struct ek_views *v, const uint64_t *ids, uint64_t count, float *out)
{
	const uint64_t step = (uint64_t)images_at_once(v);

	v->ids = ids;
	v->count = count;
	v->out = out;
	return ek_parallel((count + step - 1) / step, run_piece, v);
}
