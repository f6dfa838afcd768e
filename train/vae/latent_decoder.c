/* From latents to images. */
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "train/vae/latents.h"
#include "train/vae/vae_internal.h"

struct ek_latent_decoder {
	struct ek_autoencoder_config config;
	struct ek_net *net;
	struct ek_net_state **states; /* [threads] */
	int latent, image, slice, threads;
	/* Of the call in progress. */
	const float *latents;
	uint64_t count;
	uint8_t *pixels;
};

static int build(struct ek_latent_decoder *d, const struct ek_autoencoder *model, enum ek_nn_precision precision)
{
	const struct ek_autoencoder_config *c = &d->config;
	int x, loss, codes, rc;

	EK_TRY(ek_net_new(&d->net, NULL, &model->params, precision, d->slice));
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
	EK_TRY(ek_alloc(&d->states, (size_t)d->threads, sizeof(struct ek_net_state *)));
	for (int i = 0; i < d->threads; i++)
		EK_TRY(ek_net_state_new(&d->states[i], d->net));
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
	d->slice = ek_vae_usual_slice(&model->config);
	d->threads = ek_threads();
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
	for (int i = 0; d->states != NULL && i < d->threads; i++)
		ek_net_state_free(d->states[i]);
	free(d->states);
	ek_net_free(d->net);
	free(d);
}

static int decode_slice(void *context, uint64_t piece, int worker)
{
	struct ek_latent_decoder *d = context;
	struct ek_net_state *s = d->states[worker];
	const size_t size = ek_net_elements(d->net, d->latent), image = ek_net_elements(d->net, d->image);
	const uint64_t first = piece * (uint64_t)d->slice, left = d->count - first;
	const size_t count = left < (uint64_t)d->slice ? (size_t)left : (size_t)d->slice;
	const float unscale = (float)(1 / d->config.scale), shift = (float)d->config.shift;
	float *x = ek_net_data(s, d->latent);
	int rc;

	for (size_t i = 0; i < count * size; i++)
		x[i] = d->latents[first * size + i] * unscale + shift;
	memset(x + count * size, 0, ((size_t)d->slice - count) * size * sizeof *x);
	EK_TRY(ek_net_forward(s));
	ek_vae_to_pixels(d->pixels + first * image, ek_net_data(s, d->image), count * image);
out:
	return rc;
}

int ek_latent_decoder_run(struct ek_latent_decoder *d, const float *latents, uint64_t count, uint8_t *pixels)
{
	d->latents = latents;
	d->count = count;
	d->pixels = pixels;
	return ek_parallel((count + (uint64_t)d->slice - 1) / (uint64_t)d->slice, decode_slice, d);
}
