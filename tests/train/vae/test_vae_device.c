/* Training autoencoders on a GPU beside the CPU, with all that a loss can have: the same gradients, and the same bits
 * from two runs. Skipped where no GPU can be used. */
#include "tests/support/support.h"

#include "rebalance/base/error.h"
#include "tests/train/nn/on_device.h"
#include "tests/train/vae/steps.h"
#include "tests/train/vae/toy.h"

enum { STEPS = 20 };
static int steps = STEPS, first_type; /* 1: bfloat16 alone */

static struct ek_toy_images images;
static const struct ek_device *gpu;

struct curve {
	double losses[STEPS];
	float *values; /* of the last step, to be freed */
	size_t size;
};

static void train(struct curve *c, const struct ek_device *device, struct ek_vae_options options, int slice)
{
	const struct ek_vae_images source = ek_toy_images_of(&images);
	struct ek_steps s;
	struct ek_vae *vae;

	memset(c, 0, sizeof *c);
	ek_device_set(device);
	options.slice = slice;
	assert_ok(ek_vae_new(&vae, &options, &source));
	ek_steps_init(&s, ek_vae_task(vae), options.batch, TOY_IMAGES, 1e-3, 1);
	for (int i = 0; i < steps; i++) {
		assert_ok(ek_steps_run(&s, 1));
		c->losses[i] = s.loss;
	}
	c->size = ek_vae_task(vae)->params->size;
	c->values = malloc(c->size * sizeof *c->values);
	assert_non_null(c->values);
	ek_store_read(s.store, EK_VALUES, 0, c->size, c->values);
	ek_steps_release(&s);
	ek_vae_free(vae);
	ek_device_set(NULL);
}

/* The gradients of a first slice at this step; to be freed. */
static float *gradients_on(const struct ek_device *device, struct ek_vae_options options, uint64_t step)
{
	const struct ek_vae_images source = ek_toy_images_of(&images);
	const float weights[2] = { 0.75F, 0.25F };
	const int64_t ids[2] = { 3, 9 };
	double losses[2], parts[2 * EK_STEPS_PARTS];
	const struct ek_slice slice = {
		.step = step, .count = 2, .ids = ids, .weights = weights, .losses = losses, .parts = parts
	};
	struct ek_steps s;
	struct ek_vae *vae;
	float *got;

	ek_device_set(device);
	options.slice = 2;
	assert_ok(ek_vae_new(&vae, &options, &source));
	ek_steps_init(&s, ek_vae_task(vae), options.batch, TOY_IMAGES, 1e-3, 1);
	assert_ok(ek_task_load(ek_vae_task(vae), s.store, EK_VALUES));
	assert_ok(ek_task_learn(ek_vae_task(vae), 0, &slice, s.store));
	got = malloc(ek_vae_task(vae)->params->size * sizeof *got);
	assert_non_null(got);
	ek_store_read(s.store, EK_GRADIENTS, 0, ek_vae_task(vae)->params->size, got);
	ek_steps_release(&s);
	ek_vae_free(vae);
	ek_device_set(NULL);
	return got;
}

/*
 * In float32, as in the twin's composed cases (net_twin.c), 2^-16 of a parameter's gradient for sixty layers: here two
 * devices are off, and what judges an image is as deep again: 2^-14. Or as much of all gradients as float32's unit,
 * where one is 0 but for rounding: that of the keys' biases, which softmax does not see.
 */
static void check_gradients(const struct ek_vae_options *options, uint64_t step)
{
	const struct ek_vae_images source = ek_toy_images_of(&images);
	float *want = gradients_on(NULL, *options, step), *got = gradients_on(gpu, *options, step);
	double whole = 0;
	struct ek_vae *vae;

	assert_ok(ek_vae_new(&vae, options, &source));
	for (size_t j = 0; j < ek_vae_task(vae)->params->size; j++)
		whole += (double)want[j] * (double)want[j];
	for (int i = 0; i < ek_vae_task(vae)->params->count; i++) {
		const struct ek_param *p = &ek_vae_task(vae)->params->items[i];
		double norm = 0, off = 0;

		for (size_t j = p->offset; j < p->offset + p->count; j++) {
			norm += (double)want[j] * (double)want[j];
			off += ((double)want[j] - (double)got[j]) * ((double)want[j] - (double)got[j]);
		}
		if (!(sqrt(off) <= fmax(0x1p-14 * sqrt(norm), 0x1p-24 * sqrt(whole))))
			fail_msg("step %d, %s: a gradient of norm %g is off by %g", (int)step, p->name, sqrt(norm),
			         sqrt(off));
	}
	ek_vae_free(vae);
	free(want);
	free(got);
}

static void check(const struct ek_vae_options *options)
{
	struct curve runs[2];

	for (int i = 0; i < 2; i++)
		train(&runs[i], gpu, *options, options->batch / 2);
	print_message("losses %g to %g\n", runs[0].losses[0], runs[0].losses[steps - 1]);
	assert_true(steps < STEPS || runs[0].losses[STEPS - 1] < runs[0].losses[0]);
	assert_memory_equal(runs[0].losses, runs[1].losses, sizeof runs[0].losses);
	assert_memory_equal(runs[0].values, runs[1].values, runs[0].size * sizeof(float));
	for (int i = 0; i < 2; i++)
		free(runs[i].values);
}

/* A step with every kernel of it, which compares nothing: enough for a sanitizer. */
static void run_once(struct ek_vae_options options)
{
	struct curve run;

	options.batch = options.slice;
	train(&run, gpu, options, options.slice);
	print_message("loss %g\n", run.losses[0]);
	free(run.values);
}

static void steps_are_repeatable_and_gradients_the_cpus(enum ek_autoencoder_kind kind, int averages)
{
	const char *file = ek_toy_perceptual_file();

	for (int bf16 = first_type; bf16 < 2; bf16++) {
		struct ek_vae_options options = ek_toy_options(kind);

		options.precision = bf16 ? EK_NN_BF16 : EK_NN_F32;
		options.codebook_averages = averages;
		options.perceptual_file = file;
		options.perceptual_weight = 0.5;
		options.discriminator_weight = 0.1;
		options.discriminator_start = (uint64_t)steps / 2;
		options.discriminator_width = 8;
		options.discriminator_layers = 1;
		if (steps == 1) {
			run_once(options);
			continue;
		}
		if (!bf16) {
			check_gradients(&options, 0);
			check_gradients(&options, (uint64_t)steps / 2);
		}
		check(&options);
	}
}

static void with_kl(void **state)
{
	steps_are_repeatable_and_gradients_the_cpus(EK_AUTOENCODER_KL, 0);
}

static void with_a_codebook(void **state)
{
	steps_are_repeatable_and_gradients_the_cpus(EK_AUTOENCODER_VQ, 0);
}

static void with_a_codebook_of_averages(void **state)
{
	steps_are_repeatable_and_gradients_the_cpus(EK_AUTOENCODER_VQ, 1);
}

/* Arguments: only tests of such names; fewer steps, for a sanitizer, of 1 only that it runs; "bf16": without float32.
 */
int main(int argc, char **argv)
{
	const int left = on_gpu();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_kl),
		cmocka_unit_test(with_a_codebook),
		cmocka_unit_test(with_a_codebook_of_averages),
	};

	if (left != 0)
		return left;
	gpu = ek_device();
	ek_device_set(NULL);
	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	if (argc > 2)
		steps = (int)strtol(argv[2], NULL, 10);
	first_type = argc > 3 && strcmp(argv[3], "bf16") == 0;
	assert_true(steps >= 1 && steps <= STEPS);
	ek_toy_images_make(&images);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
