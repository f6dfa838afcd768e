#include "train/vae/vae_task.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/vae/vae_task_internal.h"

void ek_vae_from_pixels(float *out, const uint8_t *pixels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (float)pixels[i] / 127.5F - 1;
}

void ek_vae_to_pixels(uint8_t *out, const float *x, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const float p = (x[i] + 1) * 127.5F;

		out[i] = (uint8_t)(p > 0 ? p < 255 ? lrintf(p) : 255 : 0);
	}
}

int ek_vae_usual_slice(const struct ek_autoencoder_config *config)
{
	const int shared = ek_device_takes_batches(), pixels = shared ? 1 << 20 : 1 << 16, most = shared ? 256 : 32;
	const int fit = pixels / (config->side * config->side);

	return fit < 1 ? 1 : fit > most ? most : fit;
}

/* Mirrored left to right if `flip`. */
static void fill_image(float *out, const uint8_t *pixels, struct ek_net_shape s, int flip)
{
	const size_t width = (size_t)s.width, channels = (size_t)s.channels, row = width * channels;

	if (!flip) {
		ek_vae_from_pixels(out, pixels, (size_t)s.height * row);
		return;
	}
	for (size_t y = 0; y < (size_t)s.height; y++)
		for (size_t x = 0; x < width; x++)
			ek_vae_from_pixels(out + y * row + x * channels, pixels + y * row + (width - 1 - x) * channels,
			                   channels);
}

struct filled {
	const struct ek_vae *vae;
	const struct ek_slice *slice;
	struct ek_net_state *state;
	int judging;
};

static int fill_one(void *context, uint64_t place, int worker)
{
	const struct filled *f = context;
	const struct ek_slice *slice = f->slice;
	const struct ek_vae *v = f->vae;
	struct ek_net_state *s = f->state;
	const int judging = f->judging, j = (int)place;
	const uint64_t flips = ek_random_stream("vae flip"), seed = v->options.seed;
	const uint64_t noises = ek_random_stream(judging ? "vae judge" : "vae noise");
	const uint64_t position = slice->position + (uint64_t)j;
	const uint8_t *pixels = v->images.image(v->images.context, slice->ids[j]);
	const int flip = !judging && v->options.flip && (ek_random_u64(seed, flips, position) >> 63);
	const struct ek_net_shape shape = ek_net_shape(v->nets[0].net, v->image);

	(void)worker;
	if (pixels == NULL)
		return EK_EIO;
	fill_image((float *)ek_net_stage(s, v->image) + (size_t)j * ek_net_elements(v->nets[0].net, v->image), pixels,
	           shape, flip);
	if (v->keys > 0)
		((struct ek_net_key *)ek_net_stage(s, v->keys))[j] = (struct ek_net_key){ seed, noises, position };
	if (v->codebook != NULL) {
		double *parts = slice->parts + j * v->parts.count;

		parts[v->parts.perplexity] = ek_codebook_perplexity(v->codebook);
		parts[v->parts.used] = ek_codebook_used(v->codebook);
	}
	return 0;
}

static int fill(void *context, int worker, const struct ek_slice *slice, int judging, struct ek_net_state *s)
{
	struct filled f = { .vae = context, .slice = slice, .state = s, .judging = judging };

	(void)ek_net_stage(s, f.vae->image); /* waits for what was sent, once for all threads */
	return ek_task_each(slice->count, worker, fill_one, &f);
}

static int check(const struct ek_vae_options *o)
{
	if (o->slice < 1 || o->batch < o->slice || o->batch % o->slice != 0)
		return ek_fail(EK_EUSAGE, "a batch of %d images in slices of %d: must be a multiple", o->batch,
		               o->slice);
	if (!(o->codebook_decay >= 0 && o->codebook_decay < 1) || !(o->codebook_revive >= 0 && o->codebook_revive < 1))
		return ek_fail(EK_EUSAGE, "codebook: decay %g and revival %g must be from 0 to below 1",
		               o->codebook_decay, o->codebook_revive);
	if (o->perceptual_file != NULL && o->model.channels != 3)
		return ek_fail(EK_EUSAGE, "the perceptual loss wants images of 3 channels, not %d", o->model.channels);
	return 0;
}

static int part_add(struct ek_vae_parts *p, const char *name)
{
	p->names[p->count] = name;
	return p->count++;
}

static void name_parts(struct ek_vae *v)
{
	struct ek_vae_parts *p = &v->parts;

	(void)part_add(p, "reconstruction");
	if (v->options.model.kind == EK_AUTOENCODER_KL) {
		p->kl = part_add(p, "kl");
	} else {
		p->quantisation = part_add(p, "quantisation");
		p->perplexity = part_add(p, "perplexity");
		p->used = part_add(p, "used");
	}
	if (v->options.perceptual_file != NULL)
		p->perceptual = part_add(p, "perceptual");
	if (v->options.discriminator_weight > 0) {
		p->generator = part_add(p, "generator");
		p->discriminator = part_add(p, "discriminator");
	}
}

static int make_params(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	int rc;

	v->critic = (struct ek_discriminator_options){ .channels = o->model.channels,
		                                       .width = o->discriminator_width,
		                                       .layers = o->discriminator_layers };
	EK_TRY(ek_autoencoder_params(&v->params, &o->model));
	if (o->discriminator_weight > 0)
		EK_TRY(ek_discriminator_params(&v->params, &v->critic));
	v->codebook_parameter = ek_autoencoder_codebook(&v->params);
	if (o->model.kind == EK_AUTOENCODER_VQ && o->codebook_averages)
		v->params.items[v->codebook_parameter].frozen = 1;
out:
	return rc;
}

/* Of a worker: its states lie in one memory. */
static size_t state_bytes(const struct ek_vae *v)
{
	const size_t first = ek_net_state_bytes(v->nets[0].net);
	const size_t second = v->nets[1].net != NULL ? ek_net_state_bytes(v->nets[1].net) : 0;

	return first > second ? first : second;
}

static int make_nets(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const enum ek_net_mode learn_mode = o->recompute ? EK_NET_RECOMPUTE : EK_NET_TRAIN;
	const int critic = o->discriminator_weight > 0;
	int rc;

	/* Judged losses are without the discriminator. */
	EK_TRY(ek_vae_net_init(&v->nets[0], v, 0, critic && o->discriminator_start == 0 ? EK_NET_FORWARD : learn_mode));
	if (critic)
		EK_TRY(ek_vae_net_init(&v->nets[1], v, 1, learn_mode));
	EK_TRY(ek_trainer_check_memory(&v->params, o->slice, (uint64_t)ek_device_workers() * state_bytes(v)));
	EK_TRY(ek_vae_net_share(v->nets));
out:
	return rc;
}

static int make_codebook(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_net_shape latent = ek_autoencoder_latent_shape(&o->model);

	return ek_codebook_new(&v->codebook,
	                       &(struct ek_codebook_options){ .parameter = v->codebook_parameter,
	                                                      .codes = o->model.codes,
	                                                      .width = latent.channels,
	                                                      .slices = o->batch / o->slice,
	                                                      .rows = o->slice * latent.height * latent.width,
	                                                      .decay = o->codebook_decay,
	                                                      .averages = o->codebook_averages,
	                                                      .from_data = o->codebook_from_data,
	                                                      .revive = o->codebook_revive,
	                                                      .seed = o->seed });
}

static int make(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	int rc;

	EK_TRY(check(o));
	EK_TRY(make_params(v));
	name_parts(v);
	if (o->perceptual_file != NULL)
		EK_TRY(ek_perceptual_new(&v->perceptual, o->perceptual_file));
	if (o->model.kind == EK_AUTOENCODER_VQ)
		EK_TRY(make_codebook(v));
	EK_TRY(make_nets(v));
	v->task = (struct ek_task){ .context = v,
		                    .params = &v->params,
		                    .slice = o->slice,
		                    .part_names = v->parts.names,
		                    .nets = v->nets,
		                    .net_count = v->nets[1].net != NULL ? 2 : 1,
		                    .fill = fill,
		                    .codebook = v->codebook,
		                    .preview = ek_vae_preview,
		                    .preview_context = v };
out:
	return rc;
}

int ek_vae_new(struct ek_vae **out, const struct ek_vae_options *options, const struct ek_vae_images *images)
{
	struct ek_vae *v = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&v, 1, sizeof *v));
	v->options = *options;
	v->images = *images;
	EK_TRY(make(v));
	*out = v;
	v = NULL;
out:
	ek_vae_free(v);
	return rc;
}

void ek_vae_free(struct ek_vae *v)
{
	if (v == NULL)
		return;
	for (int i = 0; i < 2; i++)
		ek_task_net_release(&v->nets[i]);
	ek_codebook_free(v->codebook);
	ek_perceptual_free(v->perceptual);
	ek_params_release(&v->params);
	free(v);
}

const struct ek_task *ek_vae_task(struct ek_vae *vae)
{
	return &vae->task;
}

double ek_vae_flops(const struct ek_vae *vae)
{
	return ek_net_flops(vae->nets[0].net);
}

size_t ek_vae_bytes(const struct ek_vae *v)
{
	size_t weights = ek_net_weight_bytes(v->nets[0].net);

	if (v->nets[1].net != NULL)
		weights += ek_net_weight_bytes(v->nets[1].net);
	return weights + (size_t)ek_device_workers() * state_bytes(v);
}
