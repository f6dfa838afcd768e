/* Where a generator works: in the pixels of the images, or in the latents of an autoencoder. */
#ifndef EK_PIPELINE_SPACE_H
#define EK_PIPELINE_SPACE_H

#include "rebalance/io/run.h"
#include "train/loop/pixels.h"
#include "train/nn/tensor.h"
#include "train/vae/latents.h"

struct ek_space {
	int side, channels; /* of a sample */
	int image_side;     /* of an image, in pixels */
	char *autoencoder;  /* its folder, in the run if it lies there; NULL: pixels */
	char *kept;         /* the same as the run keeps it (kept_path.h) */
	struct ek_pixels pixels;
	struct ek_autoencoder model;
	struct ek_latents *latents;
	struct ek_latent_decoder *decoder; /* made when it is first needed */
	uint64_t seed;
	int flip;
	char key[200]; /* what the samples were made from */
};

/* After a training: the averaged parameters of its newest checkpoint as a model that diffusers loads, in the same
 * folder, with all latents of the run encoded and the scale that makes their deviation 1. */
int ek_space_publish(struct ek_run *run, const char *name, const struct ek_autoencoder_config *config,
                     enum ek_nn_precision precision);

/* autoencoder: NULL for pixels; else the name of a model of the run, or a folder that diffusers wrote. image_side: of
 * pixels, 0: the autoencoder's. EK_EUSAGE: no such autoencoder. Release in any case. */
int ek_space_open(struct ek_space *space, const struct ek_run *run, const char *autoencoder, int image_side);
/* Ready to give samples: pixels ("pixels SIDE" of run.json) are read, latents ("latents FILE") encoded, unless they are
 * current and not `force`. The run must be open for writing. */
int ek_space_fill(struct ek_space *space, struct ek_run *run, enum ek_nn_precision precision, int force);
void ek_space_release(struct ek_space *space);

/* Are recorded latents, a step "latents FILE", not those any more that their autoencoder makes? `*reason`, to be freed,
 * says so, or is NULL, also where the autoencoder is away. Reads it. */
int ek_space_latents_changed(char **reason, const struct ek_run *run, const cJSON *step);

/* Is the autoencoder the one that `key` (of a space that was filled) says? */
int ek_space_made(const struct ek_space *space, const char *key);

/* Sample of an image, [side, side, channels]. Thread-safe. */
int ek_space_get(const struct ek_space *space, int64_t id, uint64_t position, float *sample);
/* samples: [count, side, side, channels]; pixels: [count, image_side, image_side, 3], out. Over threads. */
int ek_space_decode(struct ek_space *space, const float *samples, uint64_t count, uint8_t *pixels,
                    enum ek_nn_precision precision);

#endif
