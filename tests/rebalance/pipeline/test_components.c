#include "tests/rebalance/pipeline/embedded_run.h"
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/threads.h"
#include "rebalance/pipeline/components.h"

enum { IMAGES = 300 }; /* more than are read at once */

/* Stopped in the second block by an image that is away, then gone on with, although the first image is away now: what
 * was summed is not read again, and the files are those of an undisturbed step on other threads. */
static void a_stopped_step_goes_on(void **state)
{
	const char *folder = ek_make_images(IMAGES);
	struct ek_embed *e[2] = { 0 };
	struct ek_make_components o = { .views = 3, .seed = 5, .keep_every_block = 1 };
	struct ek_run *whole, *stopped;

	whole = ek_embedded_run(&e[0], folder);
	stopped = ek_embedded_run(&e[1], folder);
	o.embed = e[0];
	ek_threads_set(1);
	assert_ok(ek_make_components(whole, &o));

	o.embed = e[1];
	ek_threads_set(3);
	assert_ok(ek_remove(ek_join(folder, "290.png")));
	assert_fails(ek_make_components(stopped, &o), EK_EIO, "290.png");
	assert_true(ek_file_exists(ek_join(ek_run_path(stopped), "components/partial.npy")));
	ek_write_image(folder, 290);
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
	const char *folder = ek_make_images(IMAGES);
	struct ek_embed *e = NULL;
	struct ek_make_components o = { .views = 2, .seed = 5, .keep_every_block = 1 };
	struct ek_run *run;

	run = ek_embedded_run(&e, folder);
	o.embed = e;
	assert_ok(ek_remove(ek_join(folder, "290.png")));
	assert_fails(ek_make_components(run, &o), EK_EIO, "290.png");
	ek_write_image(folder, 290);
	assert_ok(ek_remove(ek_join(folder, "000.png")));
	o.seed = 6;
	assert_fails(ek_make_components(run, &o), EK_EIO, "000.png");
	ek_embed_free(e);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(a_stopped_step_goes_on), cmocka_unit_test(other_views_are_summed_anew))
