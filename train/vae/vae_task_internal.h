/* What the files of the autoencoder's task share. Internal to train/vae. */
#ifndef EK_VAE_VAE_TASK_INTERNAL_H
#define EK_VAE_VAE_TASK_INTERNAL_H

#include "train/nn/codebook.h"
#include "train/nn/runner.h"
#include "train/vae/discriminator.h"
#include "train/vae/perceptual.h"
#include "train/vae/vae_task.h"

/* Where each part is in ek_slice.parts, or -1. */
struct ek_vae_parts {
	const char *names[EK_TASK_PARTS + 1];
	int count;
	int kl, quantisation, perplexity, used, perceptual, generator, discriminator; /* reconstruction is 0 */
};

struct ek_vae {
	struct ek_vae_options options;
	struct ek_vae_images images;
	struct ek_params params;
	struct ek_task task;
	struct ek_vae_parts parts;
	struct ek_task_net nets[2]; /* without the discriminator, and with it if there is one */
	int image, keys;            /* inputs of both; keys: of a KL latent's noise */
	int codebook_parameter;
	struct ek_codebook *codebook; /* VQ */
	struct ek_discriminator_options critic;
	struct ek_perceptual *perceptual; /* NULL: none */
};

/* The net, with the discriminator if `critic`. */
int ek_vae_net_init(struct ek_task_net *n, struct ek_vae *v, int critic, enum ek_net_mode mode);
/* States for the nets [2], each worker's in one memory: a step runs one of them. */
int ek_vae_net_share(struct ek_task_net *nets);

int ek_vae_preview(void *context, const float *values, const char *path);

#endif
