/* From latents to images. */
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/runner.h"
#include "train/vae/latents.h"
#include "train/vae/vae_task_internal.h"

struct ek_latent_decoder {
	struct ek_autoencoder_config config;
	struct ek_net *net;
	struct ek_runner runner;
	int latent, image;
	/* Of the call in progress. */
	const float *latents;
	uint8_t *pixels;
};

static int build(struct ek_latent_decoder *d, const struct ek_autoencoder *model, enum ek_nn_precision precision)
{
	const struct ek_autoencoder_config *c = &d->config;
	int x, loss, codes, rc;

	EK_TRY(ek_net_new(&d->net, &model->params, precision, ek_vae_usual_slice(c)));
	EK_TRY(d->latent = x = ek_net_input(d->net, ek_autoencoder_latent_shape(c)));
	if (c->kind == EK_AUTOENCODER_VQ)
		EK_TRY(x = ek_net_quantise(
			       d->net, x,
			       &(struct ek_net_quantise){ .codebook = ek_autoencoder_codebook(&model->params) }, &loss,
			       &codes));
	EK_TRY(d->image = ek_autoencoder_decode(d->net, &model->params, c, x));
	EK_TRY(ek_net_output(d->net, d->image));
	EK_TRY(ek_net_finish(d->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(d->net, model->values));
	EK_TRY(ek_runner_init(&d->runner, d->net));
out:
	return rc;
}

int ek_latent_decoder_new(struct ek_latent_decoder **out, const struct ek_autoencoder *model,
                          enum ek_nn_precision precision)
{
	struct ek_latent_decoder *d = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&d, 1, sizeof *d));
	d->config = model->config;
	EK_TRY(build(d, model, precision));
	*out = d;
	d = NULL;
out:
	ek_latent_decoder_free(d);
	return rc;
}

void ek_latent_decoder_free(struct ek_latent_decoder *d)
{
	if (d == NULL)
		return;
	ek_runner_release(&d->runner);
	ek_net_free(d->net);
	free(d);
}

static int fill(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct ek_latent_decoder *d = context;
	const size_t size = ek_net_elements(d->net, d->latent);
	const float unscale = (float)(1 / d->config.scale), shift = (float)d->config.shift;
	float *x = ek_net_stage(s, d->latent);

	for (size_t i = 0; i < (size_t)count * size; i++)
		x[i] = d->latents[first * size + i] * unscale + shift;
	return 0;
}

static int take(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct ek_latent_decoder *d = context;
	const size_t size = ek_net_elements(d->net, d->image);

	ek_vae_to_pixels(d->pixels + first * size, ek_net_view(s, d->image), (size_t)count * size);
	return 0;
}

int ek_latent_decoder_run(struct ek_latent_decoder *d, const float *latents, uint64_t count, uint8_t *pixels)
{
	d->latents = latents;
	d->pixels = pixels;
	return ek_runner_map(&d->runner, count, &(struct ek_runner_work){ .context = d, .fill = fill, .take = take });
}
