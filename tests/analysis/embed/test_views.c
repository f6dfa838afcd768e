#include "analysis/embed/preprocess.h"
#include "analysis/embed/views.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/images.h"
#include "rebalance/io/scan.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"

enum {
	IMAGES = 13,
	VIEWS = 3,
	SIDE = 200 /* so that a run of the network is two images, fewer than views */,
	FEATURES = 3 * SIDE * SIDE
};
static const struct ek_view neutral = { .area = 1, .brightness = 1, .contrast = 1, .saturation = 1 };

static void test_draws(void **state)
{
	double least = 1, most = 0;
	int mirrored = 0;

	for (int i = 1; i <= 1000; i++) {
		const struct ek_view v = ek_view_of(3, "abc", i), again = ek_view_of(3, "abc", i);

		assert_memory_equal(&v.area, &again.area, sizeof v - offsetof(struct ek_view, area));
		assert_true(v.area >= 0.7 && v.area < 1 && v.x >= 0 && v.x < 1 && v.y >= 0 && v.y < 1);
		assert_true(v.brightness >= 0.8 && v.brightness < 1.2 && v.contrast >= 0.8 && v.contrast < 1.2);
		assert_true(v.saturation >= 0.7 && v.saturation < 1.3);
		least = v.brightness < least ? v.brightness : least;
		most = v.brightness > most ? v.brightness : most;
		mirrored += v.mirror;
	}
	assert_true(least < 0.81 && most > 1.19 && mirrored > 400 && mirrored < 600);
	assert_true(ek_view_of(3, "abc", 1).area != ek_view_of(3, "abc", 2).area);
	assert_true(ek_view_of(3, "abc", 1).area != ek_view_of(4, "abc", 1).area);
	assert_true(ek_view_of(3, "abc", 1).area != ek_view_of(3, "abd", 1).area);
}

static void test_pixels(void **state)
{
	uint8_t pixels[2 * 2 * 3] = { 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120 };
	const struct ek_image image = { .width = 2, .height = 2, .pixels = pixels };
	const uint8_t flipped[2 * 2 * 3] = { 40, 50, 60, 10, 20, 30, 100, 110, 120, 70, 80, 90 };
	struct ek_view view = neutral;
	struct ek_image out = { 0 };

	assert_ok(ek_view_make(&out, &image, &view));
	assert_memory_equal(out.pixels, pixels, sizeof pixels);
	ek_image_release(&out);
	view.mirror = 1;
	assert_ok(ek_view_make(&out, &image, &view));
	assert_memory_equal(out.pixels, flipped, sizeof flipped);
	ek_image_release(&out);
	view = neutral;
	view.brightness = 1.2;
	assert_ok(ek_view_make(&out, &image, &view));
	assert_int_equal(out.pixels[0], 12);
	assert_int_equal(out.pixels[11], 144);
	ek_image_release(&out);
	/* Without saturation a pixel is its own grey, 0.299 · 10 + 0.587 · 20 + 0.114 · 30 = 18.15. */
	view = neutral;
	view.saturation = 0;
	assert_ok(ek_view_make(&out, &image, &view));
	assert_int_equal(out.pixels[0], 18);
	assert_int_equal(out.pixels[2], 18);
	ek_image_release(&out);
	/* Without contrast all is the mean grey, 18.15 + 45. */
	view = neutral;
	view.contrast = 0;
	view.area = 0.25;
	view.x = view.y = 0.9;
	assert_ok(ek_view_make(&out, &image, &view));
	assert_int_equal(out.width * out.height, 1);
	assert_int_equal(out.pixels[0], 108); /* of the lower right pixel alone, which is what is left */
	ek_image_release(&out);
}

static struct ek_run *scanned(void)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	const char *folder = ek_scratch();
	struct ek_run *run = NULL;

	for (int i = 0; i < IMAGES; i++) {
		struct ek_image image = { .width = 40 + (uint32_t)i % 5 * 9, .height = 40 };
		struct ek_buffer png = { 0 };
		char name[32];

		assert_ok(ek_image_allocate(&image, image.width, image.height));
		ek_random_image(image.pixels, i, (int)image.width, (int)image.height);
		assert_ok(ek_image_encode_png(&png, &image));
		(void)snprintf(name, sizeof name, "image %02d.png", i);
		ek_write_file(ek_join(folder, name), png.data, png.size);
		ek_buffer_release(&png);
		ek_image_release(&image);
	}
	o.datasets = &folder;
	o.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	return run;
}

static float *features_of(const struct ek_run *run, const uint64_t *ids, uint64_t count, int threads)
{
	const struct ek_embed_options o = { .encoder = "pixels", .input_size = SIDE, .storage = EK_F32 };
	struct ek_embed *e = NULL;
	struct ek_views *v = NULL;
	float *out = NULL;

	ek_threads_set(threads);
	assert_ok(ek_embed_prepare(&e, run, &o));
	assert_ok(ek_views_new(&v, e, run, VIEWS, 7));
	assert_int_equal(ek_views_dimensions(v), FEATURES);
	assert_ok(ek_alloc(&out, count * VIEWS * FEATURES, sizeof *out));
	assert_ok(ek_views_run(v, ids, count, out));
	ek_views_free(v);
	ek_embed_free(e);
	ek_threads_set(0);
	return out;
}

/* What the second view of an image is by hand. */
static void check_one(const struct ek_run *run, const float *features, uint64_t id)
{
	struct ek_image_loader *loader = NULL;
	struct ek_preprocessing p;
	const struct ek_encoder *encoder;
	struct ek_image image = { 0 }, view = { 0 };
	struct ek_images *images = NULL;
	struct ek_image_record record = { 0 };
	struct ek_view how;
	uint8_t *seen = NULL;

	assert_ok(ek_encoder_find(&encoder, "pixels"));
	assert_ok(ek_encoder_preprocessing(&p, encoder, SIDE, 40));
	assert_ok(ek_images_open(&images, run));
	assert_ok(ek_images_seek(images, id));
	assert_int_equal(ek_images_next(images, &record), 1);
	assert_ok(ek_image_loader_new(&loader, run));
	assert_ok(ek_image_loader_decode(loader, &record, 0, &image));
	how = ek_view_of(7, record.sha256, 2);
	assert_ok(ek_view_make(&view, &image, &how));
	assert_int_equal(ek_preprocessed_size(&p), FEATURES);
	assert_ok(ek_alloc(&seen, FEATURES, 1));
	assert_ok(ek_preprocess(seen, &view, &p));
	for (int j = 0; j < FEATURES; j++)
		assert_true(features[j] == (float)seen[j] / 255 || fabsf(features[j] - (float)seen[j] / 255) < 1e-6F);
	ek_image_release(&image);
	ek_image_release(&view);
	ek_image_record_release(&record);
	free(seen);
	ek_image_loader_free(loader);
	ek_images_close(images);
}

static void test_run(void **state)
{
	static const uint64_t some[] = { 11, 2, 5 };
	uint64_t all[IMAGES];
	struct ek_run *run = scanned();
	float *one, *three, *few;

	for (uint64_t i = 0; i < IMAGES; i++)
		all[i] = i;
	one = features_of(run, all, IMAGES, 1);
	three = features_of(run, all, IMAGES, 3);
	few = features_of(run, some, 3, 2);
	assert_memory_equal(one, three, sizeof *one * IMAGES * VIEWS * FEATURES);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(few + i * VIEWS * FEATURES, one + some[i] * VIEWS * FEATURES,
		                    sizeof *one * VIEWS * FEATURES);
	check_one(run, one + (5 * VIEWS + 1) * FEATURES, 5);
	assert_memory_not_equal(one, one + FEATURES, sizeof *one * FEATURES);
	free(one);
	free(three);
	free(few);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(test_draws), cmocka_unit_test(test_pixels), cmocka_unit_test(test_run))
