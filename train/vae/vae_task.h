/*
 * Training an autoencoder: the task for the trainer (train/loop/trainer.h).
 *
 * The loss of an image is
 *     reconstruction                       mean of |decoded - image| or (decoded - image)^2
 *     + kl_weight · kl                     KL: divergence of the latent from the standard normal, summed over it
 *     + quantisation                       VQ: mean of commitment (z - sg(e))^2 + codebook_weight (sg(z) - e)^2
 *     + perceptual_weight · perceptual     perceptual.h, if there is a file of weights
 *     + discriminator_weight · generator   -mean D(decoded), from a step on (discriminator.h)
 * and the discriminator learns (mean max(0, 1 - D(image)) + mean max(0, 1 + D(decoded))) / 2 in the same step, with the
 * same optimizer. Flips and noise are functions of (seed, position); judged losses know no flips.
 */
#ifndef EK_VAE_VAE_TASK_H
#define EK_VAE_VAE_TASK_H

#include "train/loop/trainer.h"
#include "train/vae/autoencoder.h"

/* Where pixels come from. Thread-safe. */
struct ek_vae_images {
	/* uint8 [side, side, channels] of image `id`, valid while the source is; NULL after ek_fail. */
	const uint8_t *(*image)(void *context, int64_t id);
	void *context;
	uint64_t count;
};

struct ek_vae_options {
	struct ek_autoencoder_config model;
	int batch, slice; /* images of a step, a multiple of those of a slice */
	enum ek_nn_precision precision;
	uint64_t seed;
	int flip;      /* 1: half of the images are mirrored left to right */
	int absolute;  /* 1: the reconstruction's error is absolute, 0: squared */
	int recompute; /* 1: less memory, a third more work */
	double kl_weight;
	double commitment, codebook_weight; /* 0.25 and 1 are usual; VQModel of diffusers has 1 and 0.25 */
	double codebook_decay;              /* of averages of use, and of codes if codebook_averages; 0.99 is usual */
	int codebook_averages;              /* 1: averages move the codes, not the loss */
	int codebook_from_data;             /* 1: codes start as latents of the first batch */
	double codebook_revive;             /* see codebook.h */
	const char *perceptual_file;        /* of EfficientNet-Lite0; NULL: no perceptual loss. 3 channels */
	double perceptual_weight;
	double discriminator_weight;  /* 0: there is none */
	uint64_t discriminator_start; /* the step from which it takes part */
	int discriminator_width, discriminator_layers;
};

/* Images of a slice that make full use of a core: 2^16 pixels, at most 32; or of a device that threads share: 2^20, at
 * most 256. */
int ek_vae_usual_slice(const struct ek_autoencoder_config *config);

struct ek_vae;
/* `images` is copied. Makes everything a step needs for ek_threads() workers. EK_EUSAGE, EK_EIO, EK_EDATA, EK_ENOMEM.
 */
int ek_vae_new(struct ek_vae **out, const struct ek_vae_options *options, const struct ek_vae_images *images);
void ek_vae_free(struct ek_vae *vae);

/* Belongs to vae. The parameters are those of the autoencoder, then those of the discriminator. Parts, per image:
 * "reconstruction"; "kl", or "quantisation" and, of the step before, "perplexity" and "used" (codebook.h);
 * "perceptual"; "generator" and "discriminator". The preview has images above, what comes back of them below. */
const struct ek_task *ek_vae_task(struct ek_vae *vae);

/* Forward operations of autoencoder and perceptual loss for one image, in FLOP. Learning takes three times as many. */
double ek_vae_flops(const struct ek_vae *vae);
/* Bytes of the nets and of all workers. */
size_t ek_vae_bytes(const struct ek_vae *vae);

/* uint8 0 … 255 to -1 … 1, and back, rounded and cut. */
void ek_vae_from_pixels(float *out, const uint8_t *pixels, size_t count);
void ek_vae_to_pixels(uint8_t *out, const float *x, size_t count);

#endif
