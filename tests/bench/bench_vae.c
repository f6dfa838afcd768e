/*
 * Training steps of a small KL autoencoder, 28 x 28 x 3 to 7 x 7 x 4, on all threads: images a second, and the
 * products' GFLOP (forward and backward) per second and per second of processor time, which other programs disturb
 * less. Arguments: [slice] [batch] [steps] [widths as 32,64,128] [blocks] [side] [cuda: bf16 only] [ops | all: where
 * the time goes, operators.h].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/bench/operators.h"
#include "tests/train/vae/steps.h"
#include "train/nn/cuda.h"
#include "train/vae/vae_task.h"

enum { IMAGES = 64, SIDE_MAX = 256 };

static uint8_t pixels[IMAGES][SIDE_MAX * SIDE_MAX * 3];

static const uint8_t *image(void *context, int64_t id)
{
	(void)context;
	return pixels[id];
}

static int run(enum ek_nn_precision precision, const struct ek_autoencoder_config *config, int slice, int batch,
               int steps, const char *mode)
{
	const struct ek_vae_images images = { .image = image, .count = IMAGES };
	const struct ek_vae_options options = {
		.model = *config, .batch = batch, .slice = slice, .precision = precision, .flip = 1, .kl_weight = 1e-6
	};
	struct ek_steps s = { 0 };
	struct ek_vae *vae;
	double start, seconds;
	clock_t cpu;
	int rc;

	EK_TRY(ek_vae_new(&vae, &options, &images));
	ek_steps_init(&s, ek_vae_task(vae), batch, IMAGES, 1e-3, 0);
	EK_TRY(ek_steps_run(&s, 2));
	start = ek_clock();
	cpu = clock();
	EK_TRY(ek_steps_run(&s, steps));
	seconds = ek_clock() - start;
	cpu = clock() - cpu;
	(void)printf("vae %s slice %d batch %d: %.1f images/s, %.1f GFLOP/s, %.1f GFLOP per CPU second, %.1f MFLOP an "
	             "image, %zu parameters, "
	             "%.0f MiB, loss %.4f\n",
	             precision == EK_NN_BF16 ? "bf16" : "f32", slice, batch, batch * steps / seconds,
	             3e-9 * ek_vae_flops(vae) * batch * steps / seconds,
	             3e-9 * ek_vae_flops(vae) * batch * steps / ((double)cpu / CLOCKS_PER_SEC),
	             3e-6 * ek_vae_flops(vae), ek_vae_task(vae)->params->size, (double)ek_vae_bytes(vae) / (1 << 20),
	             s.loss);
	if (mode != NULL)
		EK_TRY(ek_bench_operators(ek_vae_task(vae)->nets[0].runner.states[0], s.store,
		                          strcmp(mode, "all") == 0));
	ek_steps_release(&s);
	ek_vae_free(vae);
out:
	if (rc < 0)
		(void)fprintf(stderr, "%s\n", ek_error_message());
	return rc;
}

/* Images of a batch to what the encoder gives of them, brought to the device first. */
static int encode(const struct ek_autoencoder_config *config, int batch, int times)
{
	struct ek_params params = { 0 };
	struct ek_net *net = NULL;
	struct ek_net_state *s = NULL;
	float *values = NULL;
	double start = 0;
	int rc, image, encoded;

	EK_TRY(ek_autoencoder_params(&params, config));
	EK_TRY(ek_alloc(&values, params.size, sizeof *values));
	ek_params_initialise(&params, 1, values);
	EK_TRY(ek_net_new(&net, &params, EK_NN_BF16, batch));
	EK_TRY(image = ek_net_input(net, (struct ek_net_shape){ config->side, config->side, config->channels }));
	EK_TRY(encoded = ek_autoencoder_encode(net, &params, config, image));
	EK_TRY(ek_net_output(net, encoded));
	EK_TRY(ek_net_finish(net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(net, values));
	EK_TRY(ek_net_state_new(&s, net));
	for (size_t i = 0; i < (size_t)batch * ek_net_elements(net, image); i++)
		((float *)ek_net_stage(s, image))[i] = (float)(i * 2654435761U >> 8 & 0xffff) / 32768 - 1;
	for (int i = -2; i < times; i++) {
		if (i == 0)
			start = ek_clock();
		EK_TRY(ek_net_forward(s));
		(void)ek_net_view(s, encoded);
	}
	(void)printf("vae encode bf16 batch %d: %.1f images/s\n", batch, batch * times / (ek_clock() - start));
out:
	ek_net_state_free(s);
	ek_net_free(net);
	ek_params_release(&params);
	free(values);
	return rc;
}

int main(int argc, char **argv)
{
	struct ek_autoencoder_config config = { .channels = 3, .latent_channels = 4, .groups = 16, .scale = 1 };
	const int slice = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 16,
		  batch = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 128;
	const int steps = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 20;
	char *rest = argc > 4 ? argv[4] : NULL;
	const struct ek_device *gpu = NULL;

	while (rest != NULL && *rest != 0 && config.levels < EK_AUTOENCODER_MAX_LEVELS) {
		config.widths[config.levels++] = (int)strtol(rest, &rest, 10);
		rest += *rest == ',';
	}
	if (config.levels == 0)
		for (; config.levels < 3; config.levels++)
			config.widths[config.levels] = 32 << config.levels;
	config.blocks = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 1;
	config.side = argc > 6 ? (int)strtol(argv[6], NULL, 10) : 28;
	if (argc > 7 && ek_cuda_choose(&gpu, 0) < 0) {
		(void)fprintf(stderr, "%s\n", ek_error_message());
		return 1;
	}
	ek_device_set(gpu);
	if (config.side > SIDE_MAX)
		return 2;
	for (int i = 0; i < IMAGES; i++)
		ek_random_image(pixels[i], i, config.side, config.side);
	if (gpu == NULL && run(EK_NN_F32, &config, slice, batch, steps, NULL) < 0)
		return 1;
	if (ek_device_has_bf16() && encode(&config, slice, steps) < 0)
		return 1;
	return ek_device_has_bf16() && run(EK_NN_BF16, &config, slice, batch, steps, argc > 8 ? argv[8] : NULL) < 0 ? 1
	                                                                                                            : 0;
}
