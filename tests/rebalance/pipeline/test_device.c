/* Whatever embeds or clusters says before how much it is, so that --device auto can take a GPU. The functions that tell
 * of it are caught by the linker: the encoder without weights is never worth one. */
#include "tests/support/support.h"

#include "analysis/cluster/cluster.h"
#include "rebalance/io/image.h"
#include "rebalance/io/scan.h"
#include "rebalance/pipeline/components.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/features.h"
#include "rebalance/pipeline/steps.h"

enum { IMAGES = 40, ALL = 1000000 };

double __wrap_ek_embed_work(const struct ek_embed *e, uint64_t images);
void __wrap_ek_device_for(double work);
int __wrap_ek_cluster_choose(struct ek_choice_of_k *choice, const struct ek_run *run,
                             const struct ek_cluster_options *options);

void __wrap_ek_device_for_precision(enum ek_nn_precision precision);

static double told;
static enum ek_nn_precision told_precision;

double __wrap_ek_embed_work(const struct ek_embed *e, uint64_t images)
{
	assert_non_null(e);
	return images > 0 ? (double)images : ALL;
}

void __wrap_ek_device_for(double work)
{
	told += work;
}

/* The first work of a clustering whose number nobody said. */
int __wrap_ek_cluster_choose(struct ek_choice_of_k *choice, const struct ek_run *run,
                             const struct ek_cluster_options *options)
{
	return ek_fail(EK_EDATA, "that is all");
}

void __wrap_ek_device_for_precision(enum ek_nn_precision precision)
{
	told_precision = precision;
}

static const char *make_images(void)
{
	const char *folder = ek_scratch();

	for (int i = 0; i < IMAGES; i++) {
		struct ek_image image = { 0 };
		struct ek_buffer png = { 0 };
		char name[32];

		assert_ok(ek_image_allocate(&image, 9, 9));
		for (int j = 0; j < 9 * 9 * 3; j++)
			image.pixels[j] = (uint8_t)((i * 37 + j * (i % 7 + 1) * 11) % 256);
		assert_ok(ek_image_encode_png(&png, &image));
		(void)snprintf(name, sizeof name, "%03d.png", i);
		ek_write_file(ek_join(folder, name), png.data, png.size);
		ek_buffer_release(&png);
		ek_image_release(&image);
	}
	return folder;
}

static struct ek_run *embedded(struct ek_embed **e, const char *folder)
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

static void views_for_components(void **state)
{
	struct ek_embed *e = NULL;
	struct ek_run *run = embedded(&e, make_images());
	struct ek_make_components o = { .views = 4, .seed = 5, .embed = e };

	told = 0;
	assert_ok(ek_make_components(run, &o));
	assert_true(told == 3 * IMAGES);
	ek_embed_free(e);
	ek_run_close(run);
}

static void images_from_elsewhere(void **state)
{
	const char *folder = make_images();
	const struct ek_feature_source source = { .dataset = folder,
		                                  .place = "others",
		                                  .array = "cache/features/others/embeddings.npy" };
	struct ek_feature_maker maker = { .encoder = (char *)(uintptr_t) "pixels",
		                          .input_size = 4,
		                          .resize = 4,
		                          .precision = EK_NN_F32,
		                          .storage = EK_F32 };
	struct ek_features features;
	struct ek_embed *e = NULL;
	struct ek_run *run = embedded(&e, folder);

	told = 0;
	assert_ok(ek_features_of_dataset(&features, run, &maker, &source));
	ek_features_release(&features);
	assert_true(told == ALL);
	assert_ok(ek_features_of_dataset(&features, run, &maker, &source)); /* they are there */
	ek_features_release(&features);
	assert_true(told == ALL);
	ek_embed_free(e);
	ek_run_close(run);
}

/* As a run was embedded on a GPU, where this processor may not be able to. */
static void numbers_that_only_a_gpu_may_have(void **state)
{
	struct ek_feature_maker maker = { .encoder = (char *)(uintptr_t) "pixels",
		                          .input_size = 4,
		                          .resize = 4,
		                          .precision = EK_NN_BF16,
		                          .storage = EK_F32 };
	struct ek_embed *e = NULL, *others = NULL;
	struct ek_run *run = embedded(&e, make_images());

	told_precision = EK_NN_AUTO;
	(void)ek_feature_maker_prepare(&others, &maker, run); /* fails where it cannot */
	assert_int_equal(told_precision, EK_NN_BF16);
	ek_embed_free(others);
	ek_embed_free(e);
	ek_run_close(run);
}

static void clusters_of_the_default_number(void **state)
{
	static const enum ek_step_id cluster[] = { EK_STEP_CLUSTER, EK_STEP_END };
	struct ek_steps_options steps;
	struct ek_embed *e = NULL;
	struct ek_run *run = embedded(&e, make_images());

	ek_steps_options_init(&steps);
	told = 0;
	assert_fails(ek_steps_run(run, &steps, cluster, 0), EK_EDATA, "that is all");
	assert_true(told > 0);
	ek_steps_options_release(&steps);
	ek_embed_free(e);
	ek_run_close(run);
}

EK_TEST_MAIN(cmocka_unit_test(numbers_that_only_a_gpu_may_have), cmocka_unit_test(clusters_of_the_default_number),
             cmocka_unit_test(views_for_components), cmocka_unit_test(images_from_elsewhere))
