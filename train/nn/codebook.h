/*
 * How a codebook follows the latents of its images, beside or in place of the gradient: moving averages (van den Oord,
 * Vinyals, Kavukcuoglu 2017, appendix A), a start from latents, and codes that nothing uses put back to work.
 *
 * A network's quantise layer (net.h) notes the latents of its slice in backward, in any order and on any thread; a step
 * then goes through them in order, so its results do not depend on the threads. All of it lies, and is computed, on the
 * chosen device (device.h).
 */
#ifndef EK_NN_CODEBOOK_H
#define EK_NN_CODEBOOK_H

#include "train/nn/store.h"

struct ek_codebook_options {
	int parameter; /* of the table: [codes, width] */
	int codes, width;
	int slices, rows; /* slices of a batch, latent vectors of a slice */
	double decay;     /* of the averages of use and, if `averages`, of latents; [0, 1) */
	int averages;     /* 1: each code is the average of the latents that it was nearest to */
	int from_data;    /* 1: the first step sets the codes to latents of its batch */
	/* A code whose average use falls below this share of even use becomes a latent of the batch; 0: never. */
	double revive;
	uint64_t seed;
};

struct ek_codebook;

/* EK_ENOMEM; EK_ENOTSUP if the device has none. */
int ek_codebook_new(struct ek_codebook **out, const struct ek_codebook_options *options);
void ek_codebook_free(struct ek_codebook *c);

/* After all slices of step `step`, and the store's step: move the codes, values and average. */
int ek_codebook_step(struct ek_codebook *c, struct ek_store *store, uint64_t step);

/* What a checkpoint must hold, from and to the host, [ek_codebook_state_count]: 1 if begun, perplexity, share in use,
 * averages of use [codes], and of latents times use [codes, width] if `averages`. */
size_t ek_codebook_state_count(const struct ek_codebook *c);
void ek_codebook_read(const struct ek_codebook *c, float *state);
void ek_codebook_write(struct ek_codebook *c, const float *state);

/* Of the last batch: exp of the entropy of the codes' use, and the share of codes that were used. */
double ek_codebook_perplexity(const struct ek_codebook *c);
double ek_codebook_used(const struct ek_codebook *c);

#endif
