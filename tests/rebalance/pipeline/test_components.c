#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/image.h"
#include "rebalance/io/scan.h"
#include "rebalance/pipeline/components.h"

enum { IMAGES = 300 }; /* more than are read at once */

static void write_image(const char *folder, int i)
{
	struct ek_image image = { 0 };
	struct ek_buffer png = { 0 };
	char name[32];

	assert_ok(ek_image_allocate(&image, 12, 9));
	for (int j = 0; j < 12 * 9 * 3; j++)
		image.pixels[j] = (uint8_t)((i * 37 + j * (i % 7 + 1) * 11) % 256);
	assert_ok(ek_image_encode_png(&png, &image));
	(void)snprintf(name, sizeof name, "%03d.png", i);
	ek_write_file(ek_join(folder, name), png.data, png.size);
	ek_buffer_release(&png);
	ek_image_release(&image);
}

static struct ek_run *embedded(const char *folder, struct ek_embed **e)
{
	const struct ek_embed_options pixels = { .encoder = "pixels", .input_size = 4, .storage = EK_F32 };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run = NULL;

	o.datasets = &folder;
	o.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	assert_ok(ek_embed_prepare(e, run, &pixels));
	assert_ok(ek_embed_run(*e, run));
	return run;
}

/* Stopped in the second block by an image that is away, then gone on with, although the first image is away now: what
 * was summed is not read again, and the files are those of an undisturbed step on other threads. */
static void a_stopped_step_goes_on(void **state)
{
	const char *folder = ek_scratch();
	struct ek_embed *e[2] = { 0 };
	struct ek_make_components o = { .views = 3, .seed = 5, .keep_every_block = 1 };
	struct ek_run *whole, *stopped;

	for (int i = 0; i < IMAGES; i++)
		write_image(folder, i);
	whole = embedded(folder, &e[0]);
	stopped = embedded(folder, &e[1]);
	o.embed = e[0];
	ek_threads_set(1);
	assert_ok(ek_make_components(whole, &o));

	o.embed = e[1];
	ek_threads_set(3);
	assert_ok(ek_remove(ek_join(folder, "290.png")));
	assert_fails(ek_make_components(stopped, &o), EK_EIO, "290.png");
	assert_true(ek_file_exists(ek_join(ek_run_path(stopped), "components/partial.npy")));
	write_image(folder, 290);
	assert_ok(ek_remove(ek_join(folder, "000.png")));
	assert_ok(ek_make_components(stopped, &o));
	assert_false(ek_file_exists(ek_join(ek_run_path(stopped), "components/partial.npy")));
	ek_threads_set(0);
	ek_assert_same_files(ek_join(ek_run_path(whole), "components/axes.npy"),
	                     ek_join(ek_run_path(stopped), "components/axes.npy"));
	ek_assert_same_files(ek_join(ek_run_path(whole), "components/mean.npy"),
	                     ek_join(ek_run_path(stopped), "components/mean.npy"));
	ek_assert_same_files(ek_join(ek_run_path(whole), "components/components.json"),
	                     ek_join(ek_run_path(stopped), "components/components.json"));
	ek_embed_free(e[0]);
	ek_embed_free(e[1]);
	ek_run_close(whole);
	ek_run_close(stopped);
}

/* Sums of another seed are not gone on with. */
static void other_views_are_summed_anew(void **state)
{
	const char *folder = ek_scratch();
	struct ek_embed *e = NULL;
	struct ek_make_components o = { .views = 2, .seed = 5, .keep_every_block = 1 };
	struct ek_run *run;

	for (int i = 0; i < IMAGES; i++)
		write_image(folder, i);
	run = embedded(folder, &e);
	o.embed = e;
	assert_ok(ek_remove(ek_join(folder, "290.png")));
	assert_fails(ek_make_components(run, &o), EK_EIO, "290.png");
	write_image(folder, 290);
	assert_ok(ek_remove(ek_join(folder, "000.png")));
	o.seed = 6;
	assert_fails(ek_make_components(run, &o), EK_EIO, "000.png");
	ek_embed_free(e);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(a_stopped_step_goes_on), cmocka_unit_test(other_views_are_summed_anew))
