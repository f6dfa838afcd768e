/* Whatever embeds or clusters says before how much it is, so that --device auto can take a GPU. The functions that tell
 * of it are caught by the linker: the encoder without weights is never worth one. */
#include "tests/rebalance/pipeline/embedded_run.h"
#include "tests/support/support.h"

#include "analysis/cluster/cluster.h"
#include "rebalance/base/log.h"
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

static void views_for_components(void **state)
{
	struct ek_embed *e = NULL;
	struct ek_run *run = ek_embedded_run(&e, ek_make_images(IMAGES));
	struct ek_make_components o = { .views = 4, .seed = 5, .embed = e };

	told = 0;
	assert_ok(ek_make_components(run, &o));
	assert_true(told == 3 * IMAGES);
	ek_embed_free(e);
	ek_run_close(run);
}

static void images_from_elsewhere(void **state)
{
	const char *folder = ek_make_images(IMAGES);
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
	struct ek_run *run = ek_embedded_run(&e, folder);

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
	struct ek_run *run = ek_embedded_run(&e, ek_make_images(IMAGES));

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
	struct ek_run *run = ek_embedded_run(&e, ek_make_images(IMAGES));

	ek_steps_options_init(&steps);
	told = 0;
	assert_fails(ek_steps_run(run, &steps, cluster, 0), EK_EDATA, "that is all");
	assert_true(told > 0);
	ek_steps_options_release(&steps);
	ek_embed_free(e);
	ek_run_close(run);
}

/* What auto says, on a machine that is pretended: GPUs that have a file in /dev, and that its driver sees. */

int __wrap_ek_cuda_seen(void);
int __wrap_ek_cuda_count(void);
int __wrap_ek_cuda_choose(const struct ek_device **out, int number);
int __wrap_ek_cuda_gpu(struct ek_cuda_gpu *out, int number);
void __real_ek_device_for(double work);

static int seen, usable;
static char said[256];

int __wrap_ek_cuda_seen(void)
{
	return seen;
}

int __wrap_ek_cuda_count(void)
{
	return usable ? 1 : ek_fail(EK_ENOTSUP, "the driver is too old");
}

int __wrap_ek_cuda_choose(const struct ek_device **out, int number)
{
	*out = &ek_device_cpu;
	return usable ? 0 : __wrap_ek_cuda_count();
}

int __wrap_ek_cuda_gpu(struct ek_cuda_gpu *out, int number)
{
	*out = (struct ek_cuda_gpu){ .name = "Pretended", .bytes = (uint64_t)16 << 30, .free = (uint64_t)3 << 30 };
	return 0;
}

static void keep(void *context, enum ek_log_level level, const char *text)
{
	(void)snprintf(said, sizeof said, "%s", text);
}

/* A command with this --device, and work in it: the last line that it says. */
static const char *says(const char *device, double work)
{
	said[0] = 0;
	assert_ok(ek_device_wish(device, EK_WAYS_GPU));
	__real_ek_device_for(work);
	return said;
}

static void auto_says_where(void **state)
{
	const double little = 1e6, much = 1e15;

	ek_log_set_sink(&(struct ek_log_sink){ .message = keep });
	assert_string_equal(says("auto", little), ""); /* there is no other place */
	assert_string_equal(says("auto", much), "");
	seen = 1;
	assert_string_equal(says("cpu", little), "");
	assert_string_equal(says("auto", much), "computing on the processor: the driver is too old");
	usable = 1;
	assert_string_equal(says("auto", little), "computing on the processor: too little work to be worth opening a "
	                                          "GPU, which 'device' cuda would");
	assert_string_equal(says("auto", little), ""); /* once */
	assert_string_equal(says("auto", much), "computing on GPU 0: Pretended, 3.0 of 16.0 GiB free");
	ek_log_set_sink(&(struct ek_log_sink){ 0 });
}

EK_TEST_MAIN(cmocka_unit_test(auto_says_where), cmocka_unit_test(numbers_that_only_a_gpu_may_have),
             cmocka_unit_test(clusters_of_the_default_number), cmocka_unit_test(views_for_components),
             cmocka_unit_test(images_from_elsewhere))
