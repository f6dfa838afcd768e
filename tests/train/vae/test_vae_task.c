/* Training autoencoders: what is learned, what it depends on, and what is refused. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/image.h"
#include "tests/train/nn/fake_device.h"
#include "tests/train/vae/steps.h"
#include "tests/train/vae/toy.h"
#include "train/nn/bf16.h"

static struct ek_toy_images images;

static void start(struct ek_vae **vae, struct ek_steps *s, const struct ek_vae_options *options, int count)
{
	const struct ek_vae_images source = ek_toy_images_of(&images);

	assert_ok(ek_vae_new(vae, options, &source));
	ek_steps_init(s, ek_vae_task(*vae), options->batch, count, 2e-3, 1);
}

static void stop(struct ek_vae *vae, struct ek_steps *s)
{
	ek_steps_release(s);
	ek_vae_free(vae);
}

/* The variance of the numbers of the first `count` images: the squared error of an answer that knows the mean alone. */
static double variance(int count)
{
	const size_t n = (size_t)count * TOY_SIZE;
	const uint8_t *x = images.pixels[0];
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		const double value = x[i] / 127.5 - 1;

		sum += value;
		squares += value * value;
	}
	return squares / (double)n - sum / (double)n * (sum / (double)n);
}

static int part_of(const struct ek_task *task, const char *name)
{
	for (int i = 0; task->part_names[i] != NULL; i++)
		if (strcmp(task->part_names[i], name) == 0)
			return i;
	fail_msg("no part %s", name);
	return -1;
}

/* A model that knows nothing of single images cannot come below their variance; one that learns does, by far. */
static void a_batch_is_learned(void **state)
{
	static const struct {
		enum ek_autoencoder_kind kind;
		enum ek_nn_precision precision;
		int averages;
	} cases[] = { { EK_AUTOENCODER_KL, EK_NN_F32, 0 },
		      { EK_AUTOENCODER_KL, EK_NN_BF16, 0 },
		      { EK_AUTOENCODER_VQ, EK_NN_F32, 0 },
		      { EK_AUTOENCODER_VQ, EK_NN_F32, 1 } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ek_vae_options options = ek_toy_options(cases[i].kind);
		struct ek_steps s;
		struct ek_vae *vae;

		if (cases[i].precision == EK_NN_BF16 && !ek_nn_cpu_has_bf16())
			continue;
		options.precision = cases[i].precision;
		options.codebook_averages = cases[i].averages;
		start(&vae, &s, &options, options.batch);
		assert_ok(ek_steps_run(&s, 100));
		print_message("case %d: reconstruction %g, variance %g\n", (int)i, s.part[0], variance(8));
		assert_true(s.part[0] < 0.1 * variance(8));
		stop(vae, &s);
	}
}

/* The loss of a slice is what its gradient says: along the gradient it changes by its squared norm. */
static void gradients_are_of_the_reported_loss(void **state)
{
	const char *file = ek_toy_perceptual_file();

	for (int kind = 0; kind < 2; kind++) {
		struct ek_vae_options options = ek_toy_options((enum ek_autoencoder_kind)kind);
		const float weights[2] = { 0.75F, 0.25F };
		const int64_t ids[2] = { 3, 9 };
		double losses[2], parts[2 * EK_STEPS_PARTS], norm = 0, change[2];
		struct ek_slice slice = {
			.count = 2, .ids = ids, .weights = weights, .losses = losses, .parts = parts
		};
		const struct ek_task *task;
		struct ek_steps s;
		struct ek_vae *vae;
		float *moved, *gradients;
		size_t trained = 0;

		options.commitment = 0; /* straight through, the loss and its gradient differ in the codes by design */
		options.codebook_weight = 0;
		options.kl_weight = 1e-3;
		options.perceptual_file = file;
		options.perceptual_weight = 0.5;
		options.discriminator_weight = 0.1;
		options.discriminator_width = 8;
		options.discriminator_layers = 1;
		start(&vae, &s, &options, 8);
		task = ek_vae_task(vae);
		assert_ok(ek_task_load(task, s.store, EK_VALUES));
		assert_ok(ek_task_learn(task, 0, &slice, s.store));
		assert_ok(ek_alloc(&gradients, task->params->size, sizeof *gradients));
		ek_store_read(s.store, EK_GRADIENTS, 0, task->params->size, gradients);
		/* The decoder's parameters: those before the discriminator's, after the latent. */
		for (int i = ek_params_find(task->params, "post_quant_conv.weight");
		     i < ek_params_find(task->params, "discriminator.0.weight"); i++) {
			const struct ek_param *p = &task->params->items[i];

			for (size_t j = p->offset; j < p->offset + p->count; j++)
				norm += (double)gradients[j] * (double)gradients[j];
			trained += p->count;
		}
		assert_true(trained > 1000);
		assert_ok(ek_alloc(&moved, task->params->size, sizeof *moved));
		for (int side = 0; side < 2; side++) {
			/* A move of the loss by about 2 · 1e-3: the third order is far below, float32's rounding, 1e-7
			 * of a loss of about 1, is 1e-4 of it. */
			const float step = (float)((side == 0 ? 1e-3 : -1e-3) / norm);

			memcpy(moved, s.values, task->params->size * sizeof *moved);
			for (int i = ek_params_find(task->params, "post_quant_conv.weight");
			     i < ek_params_find(task->params, "discriminator.0.weight"); i++) {
				const struct ek_param *p = &task->params->items[i];

				for (size_t j = p->offset; j < p->offset + p->count; j++)
					moved[j] += step * gradients[j];
			}
			ek_store_clear_gradients(s.store);
			ek_store_write(s.store, EK_AVERAGE, 0, task->params->size, moved);
			assert_ok(ek_task_load(task, s.store, EK_AVERAGE));
			assert_ok(ek_task_learn(task, 0, &slice, s.store));
			change[side] = 0.75 * losses[0] + 0.25 * losses[1];
		}
		print_message("kind %d: %g of 2e-3\n", kind, change[0] - change[1]);
		assert_true(fabs(change[0] - change[1] - 2e-3) <= 0.02 * 2e-3);
		free(moved);
		free(gradients);
		stop(vae, &s);
	}
}

/* Everything at once, with another number of threads, and on a device whose memory the host cannot reach. */
static void threads_and_device_change_no_byte(void **state)
{
	const char *file = ek_toy_perceptual_file();

	for (int kind = 0; kind < 2; kind++) {
		struct ek_vae_options options = ek_toy_options((enum ek_autoencoder_kind)kind);
		enum { TIMES = 3 };
		struct ek_steps s[TIMES];
		struct ek_vae *vae[TIMES];
		float *state_of[TIMES] = { NULL }, *values[TIMES];
		size_t counts[TIMES] = { 0 }, size = 0;
		double judged[TIMES];

		options.flip = 1;
		options.codebook_averages = 1;
		options.perceptual_file = file;
		options.perceptual_weight = 0.1;
		options.discriminator_weight = 0.1;
		options.discriminator_width = 8;
		options.discriminator_layers = 1;
		options.discriminator_start = 2;
		for (int i = 0; i < TIMES; i++) {
			const struct ek_task *task;

			ek_threads_set(1 + i % 2);
			ek_device_set(i == 2 ? fake_device() : NULL);
			start(&vae[i], &s[i], &options, TOY_IMAGES);
			assert_ok(ek_steps_run(&s[i], 6));
			assert_ok(ek_steps_judge(&s[i], 2, &judged[i]));
			task = ek_vae_task(vae[i]);
			if (task->codebook != NULL) {
				counts[i] = ek_codebook_state_count(task->codebook);
				assert_ok(ek_alloc(&state_of[i], counts[i], sizeof *state_of[i]));
				ek_codebook_read(task->codebook, state_of[i]);
			}
			size = task->params->size;
			assert_ok(ek_alloc(&values[i], 2 * size, sizeof *values[i]));
			ek_store_read(s[i].store, EK_VALUES, 0, size, values[i]);
			ek_store_read(s[i].store, EK_AVERAGE, 0, size, values[i] + size);
		}
		ek_threads_set(0);
		ek_device_set(NULL);
		assert_int_equal(counts[0] > 0, kind == EK_AUTOENCODER_VQ);
		for (int i = 1; i < TIMES; i++) {
			assert_memory_equal(values[0], values[i], 2 * size * sizeof(float));
			assert_true(s[0].loss == s[i].loss && judged[0] == judged[i]);
			assert_int_equal(counts[0], counts[i]);
			if (counts[0] > 0)
				assert_memory_equal(state_of[0], state_of[i], counts[0] * sizeof(float));
		}
		for (int i = 0; i < TIMES; i++) {
			free(values[i]);
			free(state_of[i]);
		}
		for (int i = 0; i < TIMES; i++)
			stop(vae[i], &s[i]);
	}
}

static void the_discriminator_learns_from_its_step_on(void **state)
{
	struct ek_vae_options options = ek_toy_options(EK_AUTOENCODER_KL);
	const struct ek_param *first;
	struct ek_steps s;
	struct ek_vae *vae;
	float before;
	int part;

	options.discriminator_weight = 1e-9; /* the decoder does not heed it */
	options.discriminator_width = 16;
	options.discriminator_layers = 1;
	options.discriminator_start = 3;
	start(&vae, &s, &options, 8);
	first = &s.task->params->items[ek_params_find(s.task->params, "discriminator.0.weight")];
	before = s.values[first->offset];
	part = part_of(s.task, "discriminator");
	assert_ok(ek_steps_run(&s, 3));
	assert_true(s.values[first->offset] == before);
	assert_true(s.part[part] == 0 && s.part[part_of(s.task, "generator")] == 0);
	assert_ok(ek_steps_run(&s, 1));
	assert_true(s.values[first->offset] != before);
	/* Who answers 0 to everything loses 1; who tells images from blurred ones loses less. */
	assert_ok(ek_steps_run(&s, 40));
	print_message("discriminator %g\n", s.part[part]);
	assert_true(s.part[part] < 0.8);
	stop(vae, &s);
}

static void flips_mirror_half_of_the_images(void **state)
{
	struct ek_vae_options options = ek_toy_options(EK_AUTOENCODER_KL);
	double losses[2][8];
	struct ek_steps s;
	struct ek_vae *vae;
	int other = 0;

	options.kl_weight = 0;
	for (int flip = 0; flip < 2; flip++) {
		options.flip = flip;
		start(&vae, &s, &options, 8);
		assert_ok(ek_steps_run(&s, 1));
		memcpy(losses[flip], s.losses, sizeof losses[flip]);
		stop(vae, &s);
	}
	for (int i = 0; i < 8; i++)
		other += losses[0][i] != losses[1][i];
	assert_in_range(other, 1, 7); /* all or none: 1 in 128 seeds */
}

static void a_preview_is_a_picture(void **state)
{
	struct ek_vae_options options = ek_toy_options(EK_AUTOENCODER_VQ);
	const char *path = ek_join(ek_scratch(), "preview.png");
	struct ek_buffer bytes = { 0 };
	struct ek_image image = { 0 };
	struct ek_steps s;
	struct ek_vae *vae;

	start(&vae, &s, &options, 8);
	assert_ok(s.task->preview(s.task->preview_context, s.values, path));
	assert_ok(ek_file_read(&bytes, path, 1 << 20));
	assert_ok(ek_image_decode(&image, bytes.data, bytes.size, EK_MAX_PIXELS_DEFAULT, 0));
	assert_int_equal(image.width, 8 * TOY_SIDE);
	assert_int_equal(image.height, 2 * TOY_SIDE);
	for (int column = 0; column < 8; column++)
		assert_memory_equal(image.pixels + (size_t)column * TOY_SIDE * 3,
		                    images.pixels[column * TOY_IMAGES / 8], TOY_SIDE * 3);
	ek_image_release(&image);
	ek_buffer_release(&bytes);
	stop(vae, &s);
}

static void wrong_options_are_refused(void **state)
{
	const struct ek_vae_images source = ek_toy_images_of(&images);
	struct ek_vae_options options = ek_toy_options(EK_AUTOENCODER_KL);
	struct ek_steps s;
	struct ek_vae *vae;

	options.slice = 3;
	assert_fails(ek_vae_new(&vae, &options, &source), EK_EUSAGE, "must be a multiple");
	options = ek_toy_options(EK_AUTOENCODER_KL);
	options.discriminator_weight = 1;
	options.discriminator_width = 6;
	options.discriminator_layers = 1;
	assert_fails(ek_vae_new(&vae, &options, &source), EK_EUSAGE, "discriminator");
	options.discriminator_width = 8;
	options.discriminator_layers = 4;
	assert_fails(ek_vae_new(&vae, &options, &source), EK_EUSAGE, "side 48 or more, not 16");
	options = ek_toy_options(EK_AUTOENCODER_KL);
	options.perceptual_file = ek_join(ek_scratch(), "none");
	assert_fails(ek_vae_new(&vae, &options, &source), EK_EIO, "none");
	options = ek_toy_options(EK_AUTOENCODER_KL);
	start(&vae, &s, &options, 8);
	images.count = 2;
	assert_fails(ek_steps_run(&s, 1), EK_EIO, "no image");
	images.count = TOY_IMAGES;
	stop(vae, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_learned),
		cmocka_unit_test(gradients_are_of_the_reported_loss),
		cmocka_unit_test(threads_and_device_change_no_byte),
		cmocka_unit_test(the_discriminator_learns_from_its_step_on),
		cmocka_unit_test(flips_mirror_half_of_the_images),
		cmocka_unit_test(a_preview_is_a_picture),
		cmocka_unit_test(wrong_options_are_refused),
	};

	ek_toy_images_make(&images);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
