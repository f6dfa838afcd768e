/* What the files of the autoencoder's task share. Internal to train/vae. */
#ifndef EK_VAE_VAE_INTERNAL_H
#define EK_VAE_VAE_INTERNAL_H

#include "train/nn/runner.h"
#include "train/vae/codebook.h"
#include "train/vae/discriminator.h"
#include "train/vae/perceptual.h"
#include "train/vae/vae_task.h"

enum { EK_VAE_PARTS = 8 };

/* Where each part is in ek_slice.parts, or -1. */
struct ek_vae_parts {
	const char *names[EK_VAE_PARTS + 1];
	int count;
	int kl, quantisation, perplexity, used, perceptual, generator, discriminator; /* reconstruction is 0 */
};

struct ek_vae_worker {
	struct ek_net_state *coder, *critic;
	float *losses, *seeds; /* [slice] */
};

struct ek_vae {
	struct ek_vae_options options;
	struct ek_vae_images images;
	struct ek_params params;
	struct ek_task task;
	struct ek_vae_parts parts;

	struct ek_net *coder;
	struct ek_runner coder_runner;
	int image, noise, encoded, decoded, error, extra, codes; /* values; extra: kl or quantisation */
	int codebook_parameter;
	struct ek_codebook codebook; /* VQ */

	struct ek_net *critic; /* NULL: no discriminator */
	struct ek_runner critic_runner;
	int critic_image, logits;

	struct ek_perceptual *perceptual; /* NULL: none */

	struct ek_vae_worker *workers; /* [threads] */
	int threads;
};

/* The discriminator's part of a step: adds the generator's gradient to that of the decoded image … */
int ek_vae_please_critic(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice);
/* … and lets the discriminator learn from images and decoded ones. */
int ek_vae_teach_critic(struct ek_vae *v, struct ek_vae_worker *w, const struct ek_slice *slice,
                        struct ek_store *store);

int ek_vae_preview(void *context, const float *values, const char *path);

/* Part `part` of image j of a slice. */
double *ek_vae_part(const struct ek_vae *v, const struct ek_slice *slice, int j, int part);

#endif
