#include "train/vae/latents.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/npy.h"
#include "train/nn/runner.h"
#include "train/vae/vae_task_internal.h"

enum { DIMENSIONS = 4, MEASURED_AT_ONCE = 1024 };

struct ek_latents {
	struct ek_autoencoder_config config;
	struct ek_net_shape shape;
	size_t elements; /* of a latent */
	struct ek_npy array;
};

int ek_latents_key(char key[EK_SHA256_HEX], const struct ek_autoencoder *model, uint64_t count, const char *images_key,
                   enum ek_nn_precision precision)
{
	const struct ek_autoencoder_config *c = &model->config;
	const int end =
		ek_params_find(&model->params, c->no_post_quant ? "decoder.conv_in.weight" : "post_quant_conv.weight");
	const int book = ek_autoencoder_codebook(&model->params);
	const size_t size = model->params.items[book >= 0 ? book : end].offset; /* the encoder comes first */
	struct ek_buffer text = { 0 };
	uint8_t hash[EK_SHA256_SIZE];
	int rc;

	EK_TRY(ek_buffer_printf(&text, "latents 1 %d %d %d %d %d %d %d %d %d", (int)c->kind, c->side, c->channels,
	                        c->latent_channels, c->levels, c->blocks, c->attention, c->groups, c->code_width));
	for (int i = 0; i < c->levels; i++)
		EK_TRY(ek_buffer_printf(&text, " %d", c->widths[i]));
	EK_TRY(ek_buffer_printf(&text, " %016llx %d %llu %s",
	                        (unsigned long long)ek_hash64(model->values, size * sizeof *model->values),
	                        (int)ek_nn_precision_type(precision), (unsigned long long)count, images_key));
	EK_TRY(ek_sha256(hash, text.data, text.size));
	ek_hex(key, hash, sizeof hash);
out:
	ek_buffer_release(&text);
	return rc;
}

/* Images through the encoder. */
struct encoding {
	const struct ek_autoencoder *model;
	const struct ek_vae_images *images;
	struct ek_net *net;
	struct ek_runner runner;
	int image, encoded, slice;
	size_t elements;          /* of what is kept of an image */
	uint64_t first, in_chunk; /* the chunk's first image, and images of a chunk */
	uint16_t *chunk;          /* [in_chunk, elements] */
};

static int encoding_init(struct encoding *e, enum ek_nn_precision precision)
{
	const struct ek_autoencoder_config *c = &e->model->config;
	int rc;

	e->slice = ek_vae_usual_slice(c);
	EK_TRY(ek_net_new(&e->net, &e->model->params, precision, e->slice));
	EK_TRY(e->image = ek_net_input(e->net, (struct ek_net_shape){ c->side, c->side, c->channels }));
	EK_TRY(e->encoded = ek_autoencoder_encode(e->net, &e->model->params, c, e->image));
	EK_TRY(ek_net_output(e->net, e->encoded));
	EK_TRY(ek_net_finish(e->net, EK_NET_FORWARD));
	EK_TRY(ek_net_load(e->net, e->model->values));
	e->elements = ek_net_elements(e->net, e->encoded);
	EK_TRY(ek_runner_init(&e->runner, e->net));
	e->in_chunk = 4 * (uint64_t)e->runner.workers * (uint64_t)e->slice;
	EK_TRY(ek_alloc(&e->chunk, (size_t)e->in_chunk * e->elements, sizeof *e->chunk));
out:
	return rc;
}

static void encoding_release(struct encoding *e)
{
	ek_runner_release(&e->runner);
	free(e->chunk);
	ek_net_free(e->net);
}

static int to_halves(uint16_t *out, const float *x, size_t count, uint64_t id)
{
	const float largest = 65504; /* of float16 */

	for (size_t i = 0; i < count; i++) {
		if (!(fabsf(x[i]) <= largest))
			return ek_fail(EK_EDATA, "the latent of image %llu has the number %g, beyond float16",
			               (unsigned long long)id, (double)x[i]);
		out[i] = ek_float_to_half(x[i]);
	}
	return 0;
}

static int fill(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct encoding *e = context;
	const size_t size = ek_net_elements(e->net, e->image);
	float *x = ek_net_stage(s, e->image);

	for (int j = 0; j < count; j++) {
		const uint8_t *pixels = e->images->image(e->images->context, (int64_t)(e->first + first) + j);

		if (pixels == NULL)
			return EK_EIO;
		ek_vae_from_pixels(x + (size_t)j * size, pixels, size);
	}
	return 0;
}

static int take(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct encoding *e = context;
	const float *y = ek_net_view(s, e->encoded);
	int rc = 0;

	for (int j = 0; j < count; j++)
		EK_TRY(to_halves(e->chunk + ((size_t)first + (size_t)j) * e->elements, y + (size_t)j * e->elements,
		                 e->elements, e->first + first + (uint64_t)j));
out:
	return rc;
}

/* Encode images from `done` on, whole slices at a time, and append what is not there. */
static int encode(struct encoding *e, struct ek_npy_writer *writer, uint64_t done)
{
	const struct ek_runner_work work = { .context = e, .fill = fill, .take = take };
	const uint64_t slice = (uint64_t)e->slice, all = e->images->count;
	int rc = 0;

	for (e->first = done / slice * slice; e->first < all; e->first += e->in_chunk) {
		const uint64_t count = all - e->first < e->in_chunk ? all - e->first : e->in_chunk;
		const uint64_t skip = done > e->first ? done - e->first : 0;

		EK_TRY(ek_check_interrupt());
		EK_TRY(ek_runner_map(&e->runner, count, &work));
		EK_TRY(ek_npy_writer_append(writer, e->chunk + (size_t)skip * e->elements, count - skip));
		EK_TRY(ek_npy_writer_sync(writer));
		ek_progress_add(count - skip);
	}
out:
	return rc;
}

static void shape_of(uint64_t shape[DIMENSIONS], const struct ek_autoencoder_config *config, uint64_t count)
{
	const struct ek_net_shape s = ek_autoencoder_encoded_shape(config);

	shape[0] = count;
	shape[1] = (uint64_t)s.height;
	shape[2] = (uint64_t)s.width;
	shape[3] = (uint64_t)s.channels;
}

int ek_latents_encoder(char key[EK_SHA256_HEX], const struct ek_autoencoder *model, enum ek_nn_precision precision)
{
	return ek_latents_key(key, model, 0, "", precision);
}

int ek_latents_make(const char *path, const struct ek_autoencoder *model, const struct ek_vae_images *images,
                    const char *images_key, enum ek_nn_precision precision)
{
	struct encoding e = { .model = model, .images = images };
	struct ek_npy_writer *writer = NULL;
	uint64_t shape[DIMENSIONS], done;
	char key[EK_SHA256_HEX];
	int rc;

	shape_of(shape, &model->config, images->count);
	EK_TRY(ek_latents_key(key, model, images->count, images_key, precision));
	EK_TRY(ek_npy_writer_open(&writer, &done, path, EK_F16, DIMENSIONS, shape, key));
	EK_TRY(encoding_init(&e, precision));
	ek_progress_begin("latents", "images", images->count);
	ek_progress_add(done);
	rc = encode(&e, writer, done);
	ek_progress_end();
	EK_TRY(rc);
	EK_TRY(ek_npy_writer_commit(writer));
out:
	ek_npy_writer_free(writer);
	encoding_release(&e);
	return rc;
}

int ek_latents_open(struct ek_latents **out, const char *path, const struct ek_autoencoder_config *config,
                    uint64_t count)
{
	struct ek_latents *l = NULL;
	uint64_t shape[DIMENSIONS];
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&l, 1, sizeof *l));
	l->config = *config;
	l->shape = ek_autoencoder_latent_shape(config);
	l->elements = (size_t)l->shape.height * (size_t)l->shape.width * (size_t)l->shape.channels;
	shape_of(shape, config, count);
	EK_TRY(ek_npy_open_as(&l->array, path, EK_F16, DIMENSIONS, shape));
	*out = l;
	l = NULL;
out:
	ek_latents_close(l);
	return rc;
}

void ek_latents_close(struct ek_latents *l)
{
	if (l == NULL)
		return;
	ek_npy_close(&l->array);
	free(l);
}

static float cut_variance(float logvar)
{
	return logvar < -30 ? -30 : logvar > 20 ? 20 : logvar; /* as ek_net_sample */
}

void ek_latents_get(const struct ek_latents *l, int64_t id, uint64_t seed, uint64_t position, float *out)
{
	const uint64_t stream = ek_random_stream("latent noise");
	const float scale = (float)l->config.scale, shift = (float)l->config.shift;
	const size_t channels = (size_t)l->shape.channels;
	const int kl = l->config.kind == EK_AUTOENCODER_KL;
	const uint16_t *row = (const uint16_t *)l->array.data + (size_t)id * l->elements * (kl ? 2 : 1);

	for (size_t i = 0; i < l->elements; i++) {
		const size_t at = kl ? i / channels * 2 * channels + i % channels : i;
		float x = ek_half_to_float(row[at]);

		if (kl)
			x += expf(0.5F * cut_variance(ek_half_to_float(row[at + channels]))) *
			     (float)ek_random_normal(seed, stream, position * l->elements + i);
		out[i] = (x - shift) * scale;
	}
}

int ek_latents_draw(struct ek_latent_draw *out, const struct ek_latents *l, uint64_t seed)
{
	*out = (struct ek_latent_draw){ .scale = (float)l->config.scale,
		                        .shift = -(float)l->config.shift,
		                        .seed = seed,
		                        .stream = ek_random_stream("latent noise") };
	return l->config.kind == EK_AUTOENCODER_KL;
}

void ek_latents_moments(const struct ek_latents *l, int64_t id, float *out)
{
	const size_t count = 2 * l->elements;
	const uint16_t *row = (const uint16_t *)l->array.data + (size_t)id * count;

	for (size_t i = 0; i < count; i++)
		out[i] = ek_half_to_float(row[i]);
}

struct measuring {
	const struct ek_latents *l;
	double (*sums)[2]; /* [pieces]: of means, of their squares plus variances */
};

static int measure_piece(void *context, uint64_t piece, int worker)
{
	struct measuring *m = context;
	const struct ek_latents *l = m->l;
	const int kl = l->config.kind == EK_AUTOENCODER_KL;
	const size_t channels = (size_t)l->shape.channels, row = kl ? 2 * channels : channels;
	const size_t all = (size_t)l->array.shape[0] * l->elements / channels;
	const size_t pixels = MEASURED_AT_ONCE * (l->elements / channels);
	const size_t first = (size_t)piece * pixels, end = first + pixels < all ? first + pixels : all;
	const uint16_t *data = l->array.data;

	(void)worker;
	for (size_t i = first; i < end; i++)
		for (size_t j = 0; j < channels; j++) {
			const double x = (double)ek_half_to_float(data[i * row + j]);
			const float logvar = kl ? ek_half_to_float(data[i * row + channels + j]) : 0;

			m->sums[piece][0] += x;
			m->sums[piece][1] += x * x + (kl ? exp((double)cut_variance(logvar)) : 0);
		}
	return 0;
}

int ek_latents_measure(const struct ek_latents *l, double *mean, double *deviation)
{
	const uint64_t pieces = (l->array.shape[0] + MEASURED_AT_ONCE - 1) / MEASURED_AT_ONCE;
	const double count = (double)l->array.shape[0] * (double)l->elements;
	struct measuring m = { .l = l };
	double sum = 0, squares = 0;
	int rc;

	EK_TRY(ek_alloc(&m.sums, (size_t)pieces, sizeof *m.sums));
	EK_TRY(ek_parallel(pieces, measure_piece, &m));
	for (uint64_t i = 0; i < pieces; i++) {
		sum += m.sums[i][0];
		squares += m.sums[i][1];
	}
	*mean = sum / count;
	*deviation = sqrt(fmax(squares / count - *mean * *mean, 0));
	if (!(*deviation > 0))
		rc = ek_fail(EK_EDATA, "all latents are the same: the encoder has learned nothing");
out:
	free(m.sums);
	return rc;
}
