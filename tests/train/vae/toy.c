#include "tests/train/vae/toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/io/safetensors.h"
#include "tests/analysis/embed/random_weights.h"

void ek_toy_images_make(struct ek_toy_images *t)
{
	for (int i = 0; i < TOY_IMAGES; i++)
		ek_random_image(t->pixels[i], i, TOY_SIDE, TOY_SIDE);
	t->count = TOY_IMAGES;
}

static const uint8_t *image(void *context, int64_t id)
{
	struct ek_toy_images *t = context;

	if (id >= 0 && id < t->count)
		return t->pixels[id];
	(void)ek_fail(EK_EIO, "no image %d", (int)id);
	return NULL;
}

struct ek_vae_images ek_toy_images_of(struct ek_toy_images *t)
{
	return (struct ek_vae_images){ .image = image, .context = t, .count = TOY_IMAGES };
}

struct ek_autoencoder_config ek_toy_config(enum ek_autoencoder_kind kind)
{
	struct ek_autoencoder_config c = { .kind = kind,
		                           .side = TOY_SIDE,
		                           .channels = 3,
		                           .latent_channels = 4,
		                           .levels = 2,
		                           .widths = { 16, 32 },
		                           .blocks = 1,
		                           .groups = 8,
		                           .scale = 1 };

	if (kind == EK_AUTOENCODER_VQ) {
		c.codes = 32;
		c.code_width = 4;
	}
	return c;
}

struct ek_vae_options ek_toy_options(enum ek_autoencoder_kind kind)
{
	return (struct ek_vae_options){ .model = ek_toy_config(kind),
		                        .batch = 8,
		                        .slice = 2,
		                        .precision = EK_NN_F32,
		                        .seed = 5,
		                        .kl_weight = 1e-6,
		                        .commitment = 0.25,
		                        .codebook_weight = 1,
		                        .codebook_decay = 0.9,
		                        .codebook_from_data = 1,
		                        .codebook_revive = 0.1 };
}

void ek_toy_model(struct ek_autoencoder *m, enum ek_autoencoder_kind kind)
{
	*m = (struct ek_autoencoder){ .config = ek_toy_config(kind) };
	assert_ok(ek_autoencoder_params(&m->params, &m->config));
	assert_ok(ek_alloc_aligned(&m->values, m->params.size, sizeof *m->values));
	ek_params_initialise(&m->params, 3, m->values);
}

enum { TENSORS_MAX = 128, NAME_SIZE = 64 };

struct file {
	struct ek_tensor_spec specs[TENSORS_MAX];
	char names[TENSORS_MAX][NAME_SIZE];
	size_t count;
};

static void add(struct file *f, const char *prefix, const char *name, const char *part, int rank, const int *shape)
{
	struct ek_tensor_spec *s = &f->specs[f->count];

	assert_true(f->count < TENSORS_MAX);
	(void)snprintf(f->names[f->count], NAME_SIZE, "%s%s.%s", prefix, name, part);
	*s = (struct ek_tensor_spec){ .name = f->names[f->count], .type = EK_F32, .dimensions = rank };
	for (int i = 0; i < rank; i++)
		s->shape[i] = (uint64_t)shape[i];
	f->count++;
}

static void add_conv(struct file *f, const char *prefix, const char *conv, const char *norm, int out, int in,
                     int kernel)
{
	static const char *const parts[] = { "weight", "bias", "running_mean", "running_var" };

	add(f, prefix, conv, "weight", 4, (const int[]){ out, in, kernel, kernel });
	for (int i = 0; i < 4; i++)
		add(f, prefix, norm, parts[i], 1, &out);
}

const char *ek_toy_perceptual_file(void)
{
	static const struct {
		int kernel, expand, in, out;
	} blocks[] = { { 3, 1, 32, 16 }, { 3, 6, 16, 24 }, { 3, 6, 24, 24 }, { 5, 6, 24, 40 }, { 5, 6, 40, 40 } };
	const char *path = ek_join(ek_scratch(), "lite0.safetensors");
	struct ek_safetensors_writer *w;
	struct file *f = calloc(1, sizeof *f);

	assert_non_null(f);
	add_conv(f, "", "_conv_stem", "_bn0", 32, 3, 3);
	for (int i = 0; i < 5; i++) {
		const int wide = blocks[i].in * blocks[i].expand;
		char prefix[NAME_SIZE];

		(void)snprintf(prefix, sizeof prefix, "_blocks.%d.", i);
		if (blocks[i].expand > 1)
			add_conv(f, prefix, "_expand_conv", "_bn0", wide, blocks[i].in, 1);
		add_conv(f, prefix, "_depthwise_conv", "_bn1", wide, 1, blocks[i].kernel);
		add_conv(f, prefix, "_project_conv", "_bn2", blocks[i].out, wide, 1);
	}
	assert_ok(ek_safetensors_writer_open(&w, path, f->specs, f->count, NULL));
	for (size_t i = 0; i < f->count; i++) {
		size_t count = 1;
		float *x;

		for (int j = 0; j < f->specs[i].dimensions; j++)
			count *= f->specs[i].shape[j];
		x = malloc(count * sizeof *x);
		assert_non_null(x);
		ek_random_tensor(x, f->specs[i].name, f->specs[i].shape, f->specs[i].dimensions);
		assert_ok(ek_safetensors_writer_append(w, x, count * sizeof *x));
		free(x);
	}
	assert_ok(ek_safetensors_writer_commit(w));
	ek_safetensors_writer_free(w);
	free(f);
	return path;
}
