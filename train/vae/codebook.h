/*
 * How a codebook follows the latents of its images, beside or in place of the gradient: moving averages (van den Oord,
 * Vinyals, Kavukcuoglu 2017, appendix A), a start from latents, and codes that nothing uses put back to work.
 *
 * The slices of a batch note their latents, in any order and on any thread; a step then goes through them in order, so
 * its results do not depend on the threads.
 */
#ifndef EK_VAE_CODEBOOK_H
#define EK_VAE_CODEBOOK_H

#include <stddef.h>
#include <stdint.h>

struct ek_codebook_options {
	int codes, width;
	int slices, rows; /* slices of a batch, latent vectors of a slice */
	double decay;     /* of the averages of use and, if `averages`, of latents; [0, 1) */
	int averages;     /* 1: each code is the average of the latents that it was nearest to */
	int from_data;    /* 1: the first step sets the codes to latents of its batch */
	/* A code whose average use falls below this share of even use becomes a latent of the batch; 0: never. */
	double revive;
	uint64_t seed;
};

struct ek_codebook {
	struct ek_codebook_options options;
	/* What a checkpoint must hold: 1 if begun, perplexity, share in use, averages of use [codes], and of latents
	 * times use [codes, width] if `averages`. */
	float *state;
	size_t state_count;
	float *latents;    /* [slices · rows, width] of this batch */
	int32_t *nearest;  /* [slices · rows] */
	double *use, *sum; /* [codes], [codes, width]: of this batch */
};

/* EK_ENOMEM. */
int ek_codebook_init(struct ek_codebook *c, const struct ek_codebook_options *options);
void ek_codebook_release(struct ek_codebook *c);

/* Slice `slice` of the batch had these latents [rows, width] and took these codes [rows]. */
void ek_codebook_note(struct ek_codebook *c, int slice, const float *latents, const int32_t *nearest);

/* After all slices of step `step` noted theirs: move the codes. codes, average: [codes, width], in and out; average
 * may be NULL. */
void ek_codebook_step(struct ek_codebook *c, uint64_t step, float *codes, float *average);

/* Of the last batch: exp of the entropy of the codes' use, and the share of codes that were used. */
double ek_codebook_perplexity(const struct ek_codebook *c);
double ek_codebook_used(const struct ek_codebook *c);

#endif
