/*
 * The latents of all images of a run, encoded once and mapped, and the way back from latents to images.
 *
 * The file is a NumPy array, float16: for KL moments [n, h, w, 2c], means then logarithms of variances; for VQ what the
 * encoder gives before quantisation, [n, h, w, c]. It holds them as they are, unscaled, and depends on the encoder's
 * weights alone, not on decoder, codebook, scale or shift. Making it goes on after a kill; images come in slices of a
 * fixed size, so the bytes do not depend on the threads. Whether it is current is for who knows the run to say
 * (rebalance/pipeline/space.h).
 */
#ifndef EK_VAE_LATENTS_H
#define EK_VAE_LATENTS_H

#include "rebalance/base/hash.h"
#include "train/vae/autoencoder.h"
#include "train/vae/vae_task.h"

struct ek_latents;

/* What the latents of given images depend on: a text that changes with the encoder's weights, its shape or the
 * precision. EK_ENOMEM. */
int ek_latents_encoder(char key[EK_SHA256_HEX], const struct ek_autoencoder *model, enum ek_nn_precision precision);

/* The same with `count` images and what their pixels are: the key of a file that is being made (npy.h). */
int ek_latents_key(char key[EK_SHA256_HEX], const struct ek_autoencoder *model, uint64_t count, const char *images_key,
                   enum ek_nn_precision precision);

/*
 * Encode all images into `path`, or go on where that was stopped with the same encoder and images.
 *
 * images:     as many as there are rows
 * images_key: text that changes when the pixels do (struct ek_pixels has one)
 *
 * EK_EINTERRUPTED, with what was encoded kept; EK_EIO, EK_EDATA (a latent that float16 cannot hold: names the image),
 * EK_ENOMEM, EK_ENOTSUP.
 */
int ek_latents_make(const char *path, const struct ek_autoencoder *model, const struct ek_vae_images *images,
                    const char *images_key, enum ek_nn_precision precision);

/* Map the latents at `path`, of `count` images, as a generator sees them by `config`. EK_EDATA: others lie there. */
int ek_latents_open(struct ek_latents **out, const char *path, const struct ek_autoencoder_config *config,
                    uint64_t count);
void ek_latents_close(struct ek_latents *l);

/* The latent of image `id`, as a generator sees it: (latent - shift) · scale of the model's configuration. For KL it is
 * a sample, a function of (seed, position). out: [h, w, c]. Thread-safe. */
void ek_latents_get(const struct ek_latents *l, int64_t id, uint64_t seed, uint64_t position, float *out);

/* How a sample is drawn: of moments [h, w, 2c], (mean + deviation · noise + shift) · scale, the noise by the key (seed,
 * stream, position). */
struct ek_latent_draw {
	float scale, shift;
	uint64_t seed, stream;
};
/* 1: latents are drawn so; 0: of VQ they are not. */
int ek_latents_draw(struct ek_latent_draw *out, const struct ek_latents *l, uint64_t seed);
/* out: the moments [h, w, 2c] of image `id`, of KL. Thread-safe. */
void ek_latents_moments(const struct ek_latents *l, int64_t id, float *out);

/* Mean and standard deviation of all numbers of all latents, unscaled; for KL with the variance of sampling. The usual
 * scale is 1 / deviation, with a shift of 0 or the mean. The same bits for any number of threads. */
int ek_latents_measure(const struct ek_latents *l, double *mean, double *deviation);

/* From latents to images. */
struct ek_latent_decoder;
/* The model's values must outlive it. EK_ENOMEM, EK_ENOTSUP. */
int ek_latent_decoder_new(struct ek_latent_decoder **out, const struct ek_autoencoder *model,
                          enum ek_nn_precision precision);
void ek_latent_decoder_free(struct ek_latent_decoder *d);
/* latents: [count, h, w, c] as ek_latents_get gives them; VQ takes the nearest codes. pixels: [count, side, side,
 * channels], out. On ek_threads() threads, not from within a piece; the bytes do not depend on how many. */
int ek_latent_decoder_run(struct ek_latent_decoder *d, const float *latents, uint64_t count, uint8_t *pixels);

#endif
