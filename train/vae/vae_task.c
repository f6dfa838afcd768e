#include "train/vae/vae_task.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/vae/vae_internal.h"

double *ek_vae_part(const struct ek_vae *v, const struct ek_slice *slice, int j, int part)
{
	return &slice->parts[j * v->parts.count + part];
}

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
	const int pixels = 1 << 16, most = 32, fit = pixels / (config->side * config->side);

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

/* Images and noise of a slice. `learning`: with flips, and noise of another stream. */
static int fill(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice, int learning)
{
	const uint64_t flips = ek_random_stream("vae flip");
	const uint64_t noises = ek_random_stream(learning ? "vae noise" : "vae judge");
	const size_t size = ek_net_elements(v->coder, v->image);
	const size_t latent = v->noise > 0 ? ek_net_elements(v->coder, v->noise) : 0;

	assert(slice->count == v->options.slice);
	for (int j = 0; j < slice->count; j++) {
		const uint64_t position = slice->position + (uint64_t)j;
		const uint8_t *pixels = v->images.image(v->images.context, slice->ids[j]);
		const int flip = learning && v->options.flip && (ek_random_u64(v->options.seed, flips, position) >> 63);
		float *noise = v->noise > 0 ? (float *)ek_net_data(w->coder, v->noise) + (size_t)j * latent : NULL;

		if (pixels == NULL)
			return EK_EIO;
		fill_image((float *)ek_net_data(w->coder, v->image) + (size_t)j * size, pixels,
		           ek_net_shape(v->coder, v->image), flip);
		for (size_t i = 0; i < latent; i++)
			noise[i] = (float)ek_random_normal(v->options.seed, noises, position * latent + i);
	}
	return 0;
}

static double extra_weight(const struct ek_vae *v)
{
	return v->noise > 0 ? v->options.kl_weight : 1;
}

/* After forward: losses and parts of the coder alone. */
static void report(const struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice)
{
	const float *errors = ek_net_data(w->coder, v->error), *extras = ek_net_data(w->coder, v->extra);

	for (int j = 0; j < slice->count; j++) {
		for (int part = 0; part < v->parts.count; part++)
			*ek_vae_part(v, slice, j, part) = 0;
		slice->losses[j] = (double)errors[j] + extra_weight(v) * (double)extras[j];
		*ek_vae_part(v, slice, j, 0) = (double)errors[j];
		*ek_vae_part(v, slice, j, v->noise > 0 ? v->parts.kl : v->parts.quantisation) = (double)extras[j];
		if (v->noise == 0) {
			*ek_vae_part(v, slice, j, v->parts.perplexity) = ek_codebook_perplexity(&v->codebook);
			*ek_vae_part(v, slice, j, v->parts.used) = ek_codebook_used(&v->codebook);
		}
	}
}

static void clear(const struct ek_vae *v, struct ek_vae_worker *w, int value)
{
	float *gradient = ek_net_gradient(w->coder, value);

	if (gradient != NULL)
		memset(gradient, 0, (size_t)v->options.slice * ek_net_elements(v->coder, value) * sizeof *gradient);
}

/* Gradients of the coder's outputs before what others add to them. */
static void begin_gradients(const struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice)
{
	float *error = ek_net_gradient(w->coder, v->error), *extra = ek_net_gradient(w->coder, v->extra);

	clear(v, w, v->decoded);
	clear(v, w, v->encoded);
	for (int j = 0; j < slice->count; j++) {
		error[j] = slice->weights[j];
		extra[j] = (float)extra_weight(v) * slice->weights[j];
	}
}

/* gradient: of the decoded images, or NULL. */
static int look(struct ek_vae *v, int worker, const struct ek_slice *slice, float *gradient)
{
	struct ek_vae_worker *w = &v->workers[worker];
	int rc;

	for (int j = 0; j < slice->count; j++)
		w->seeds[j] = (float)v->options.perceptual_weight * slice->weights[j];
	EK_TRY(ek_perceptual_run(v->perceptual, worker, ek_net_data(w->coder, v->decoded),
	                         ek_net_data(w->coder, v->image), w->losses, gradient != NULL ? w->seeds : NULL,
	                         gradient));
	for (int j = 0; j < slice->count; j++) {
		slice->losses[j] += v->options.perceptual_weight * (double)w->losses[j];
		*ek_vae_part(v, slice, j, v->parts.perceptual) = (double)w->losses[j];
	}
out:
	return rc;
}

static int learn(void *context, int worker, const struct ek_slice *slice, struct ek_store *store)
{
	struct ek_vae *v = context;
	struct ek_vae_worker *w = &v->workers[worker];
	const int criticised = v->critic != NULL && slice->step >= v->options.discriminator_start;
	int rc;

	EK_TRY(fill(v, w, slice, 1));
	EK_TRY(ek_net_forward(w->coder));
	report(v, w, slice);
	if (v->noise == 0)
		ek_codebook_note(&v->codebook, (int)slice->turn, ek_net_data(w->coder, v->encoded),
		                 ek_net_data(w->coder, v->codes));
	begin_gradients(v, w, slice);
	if (v->perceptual != NULL)
		EK_TRY(look(v, worker, slice, ek_net_gradient(w->coder, v->decoded)));
	if (criticised)
		EK_TRY(ek_vae_please_critic(v, w, slice));
	EK_TRY(ek_net_backward(w->coder, store, slice->turn));
	if (criticised)
		EK_TRY(ek_vae_teach_critic(v, w, slice, store));
out:
	return rc;
}

static int judge(void *context, int worker, const struct ek_slice *slice)
{
	struct ek_vae *v = context;
	struct ek_vae_worker *w = &v->workers[worker];
	int rc;

	EK_TRY(fill(v, w, slice, 0));
	EK_TRY(ek_net_forward(w->coder));
	report(v, w, slice);
	if (v->perceptual != NULL)
		EK_TRY(look(v, worker, slice, NULL));
out:
	return rc;
}

static int load(void *context, const struct ek_store *store, enum ek_family family)
{
	struct ek_vae *v = context;
	int rc;

	EK_TRY(ek_net_load_from(v->coder, store, family));
	if (v->critic != NULL)
		EK_TRY(ek_net_load_from(v->critic, store, family));
out:
	return rc;
}

static int after_step(void *context, uint64_t step, struct ek_store *store)
{
	struct ek_vae *v = context;
	const struct ek_param *p = &v->params.items[v->codebook_parameter];
	float *codes = NULL, *average;
	int rc;

	EK_TRY(ek_alloc(&codes, 2 * p->count, sizeof *codes));
	average = codes + p->count;
	ek_store_read(store, EK_VALUES, p->offset, p->count, codes);
	ek_store_read(store, EK_AVERAGE, p->offset, p->count, average);
	ek_codebook_step(&v->codebook, step, codes, average);
	ek_store_write(store, EK_VALUES, p->offset, p->count, codes);
	ek_store_write(store, EK_AVERAGE, p->offset, p->count, average);
out:
	free(codes);
	return rc;
}

static float *state_of(void *context, size_t *count)
{
	struct ek_vae *v = context;

	*count = v->codebook.state_count;
	return v->codebook.state;
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

static struct ek_discriminator_options critic_of(const struct ek_vae_options *o)
{
	return (struct ek_discriminator_options){ .channels = o->model.channels,
		                                  .width = o->discriminator_width,
		                                  .layers = o->discriminator_layers };
}

static int make_params(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_discriminator_options critic = critic_of(o);
	int rc;

	EK_TRY(ek_autoencoder_params(&v->params, &o->model));
	if (o->discriminator_weight > 0)
		EK_TRY(ek_discriminator_params(&v->params, &critic));
	v->codebook_parameter = ek_autoencoder_codebook(&v->params);
	if (o->model.kind == EK_AUTOENCODER_VQ && o->codebook_averages)
		v->params.items[v->codebook_parameter].frozen = 1;
out:
	return rc;
}

/* The latent between encoder and decoder. */
static int make_latent(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_net_quantise q = { .codebook = v->codebook_parameter,
		                           .commitment = (float)o->commitment,
		                           .codebook_weight = o->codebook_averages ? 0 : (float)o->codebook_weight };
	int latent, rc;

	if (o->model.kind == EK_AUTOENCODER_VQ) {
		EK_TRY(latent = ek_net_quantise(v->coder, v->encoded, &q, &v->extra, &v->codes));
		EK_TRY(ek_net_output(v->coder, v->codes));
	} else {
		EK_TRY(v->noise = ek_net_input(v->coder, ek_autoencoder_latent_shape(&o->model)));
		EK_TRY(latent = ek_net_sample(v->coder, v->encoded, v->noise));
		EK_TRY(v->extra = ek_net_kl(v->coder, v->encoded));
	}
	rc = latent;
out:
	return rc;
}

static int make_coder(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_autoencoder_config *c = &o->model;
	int latent, rc;

	EK_TRY(ek_net_new(&v->coder, NULL, &v->params, o->precision, o->slice));
	EK_TRY(v->image = ek_net_input(v->coder, (struct ek_net_shape){ c->side, c->side, c->channels }));
	EK_TRY(v->encoded = ek_autoencoder_encode(v->coder, &v->params, c, v->image));
	EK_TRY(latent = make_latent(v));
	EK_TRY(v->decoded = ek_autoencoder_decode(v->coder, &v->params, c, latent));
	EK_TRY(v->error = o->absolute ? ek_net_absolute_error(v->coder, v->decoded, v->image)
	                              : ek_net_squared_error(v->coder, v->decoded, v->image));
	EK_TRY(ek_net_output(v->coder, v->encoded));
	EK_TRY(ek_net_output(v->coder, v->decoded));
	EK_TRY(ek_net_output(v->coder, v->error));
	EK_TRY(ek_net_output(v->coder, v->extra));
	EK_TRY(ek_net_finish(v->coder, o->recompute ? EK_NET_RECOMPUTE : EK_NET_TRAIN));
out:
	return rc;
}

static int make_critic(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_discriminator_options critic = critic_of(o);
	const struct ek_net_shape shape = { o->model.side, o->model.side, o->model.channels };
	int rc;

	EK_TRY(ek_net_new(&v->critic, NULL, &v->params, o->precision, o->slice));
	EK_TRY(v->critic_image = ek_net_input_with_gradient(v->critic, shape));
	EK_TRY(v->logits = ek_discriminator_layers(v->critic, &v->params, &critic, v->critic_image));
	EK_TRY(ek_net_output(v->critic, v->logits));
	EK_TRY(ek_net_finish(v->critic, EK_NET_TRAIN));
out:
	return rc;
}

static int make_workers(struct ek_vae *v)
{
	const size_t slice = (size_t)v->options.slice;
	int rc;

	v->threads = ek_threads();
	EK_TRY(ek_trainer_check_memory(&v->params, v->options.slice,
	                               ek_runner_bytes(v->coder) +
	                                       (v->critic != NULL ? ek_runner_bytes(v->critic) : 0)));
	EK_TRY(ek_runner_init(&v->coder_runner, v->coder));
	if (v->critic != NULL)
		EK_TRY(ek_runner_init(&v->critic_runner, v->critic));
	EK_TRY(ek_alloc(&v->workers, (size_t)v->threads, sizeof *v->workers));
	for (int i = 0; i < v->threads; i++) {
		struct ek_vae_worker *w = &v->workers[i];

		w->coder = v->coder_runner.states[i];
		w->critic = v->critic != NULL ? v->critic_runner.states[i] : NULL;
		EK_TRY(ek_alloc(&w->losses, slice, sizeof *w->losses));
		EK_TRY(ek_alloc(&w->seeds, slice, sizeof *w->seeds));
	}
out:
	return rc;
}

static int make_codebook(struct ek_vae *v)
{
	const struct ek_vae_options *o = &v->options;
	const struct ek_net_shape latent = ek_autoencoder_latent_shape(&o->model);

	return ek_codebook_init(&v->codebook,
	                        &(struct ek_codebook_options){ .codes = o->model.codes,
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
	EK_TRY(make_coder(v));
	if (o->discriminator_weight > 0)
		EK_TRY(make_critic(v));
	if (o->perceptual_file != NULL)
		EK_TRY(ek_perceptual_new(&v->perceptual, o->perceptual_file, o->model.side, o->precision, o->slice));
	if (o->model.kind == EK_AUTOENCODER_VQ)
		EK_TRY(make_codebook(v));
	EK_TRY(make_workers(v));
	name_parts(v);
	v->task = (struct ek_task){ .context = v,
		                    .params = &v->params,
		                    .slice = o->slice,
		                    .part_names = v->parts.names,
		                    .load = load,
		                    .learn = learn,
		                    .judge = judge,
		                    .preview = ek_vae_preview,
		                    .preview_context = v };
	if (o->model.kind == EK_AUTOENCODER_VQ) {
		v->task.after_step = after_step;
		v->task.state = state_of;
	}
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
	for (int i = 0; v->workers != NULL && i < v->threads; i++) {
		free(v->workers[i].losses);
		free(v->workers[i].seeds);
	}
	free(v->workers);
	ek_runner_release(&v->coder_runner);
	ek_runner_release(&v->critic_runner);
	ek_codebook_release(&v->codebook);
	ek_perceptual_free(v->perceptual);
	ek_net_free(v->critic);
	ek_net_free(v->coder);
	ek_params_release(&v->params);
	free(v);
}

const struct ek_task *ek_vae_task(struct ek_vae *vae)
{
	return &vae->task;
}

double ek_vae_flops(const struct ek_vae *vae)
{
	return ek_net_flops(vae->coder);
}

size_t ek_vae_bytes(const struct ek_vae *v)
{
	size_t nets = ek_net_weight_bytes(v->coder), states = ek_net_state_bytes(v->coder);

	if (v->critic != NULL) {
		nets += ek_net_weight_bytes(v->critic);
		states += ek_net_state_bytes(v->critic);
	}
	return nets + (size_t)v->threads * states;
}
