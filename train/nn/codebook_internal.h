/* The codebook as networks and devices see it. Internal to train/nn. */
#ifndef EK_NN_CODEBOOK_INTERNAL_H
#define EK_NN_CODEBOOK_INTERNAL_H

#include "train/nn/codebook.h"

/* Of the state: what comes before the averages. */
enum { EK_CODEBOOK_BEGUN, EK_CODEBOOK_PERPLEXITY, EK_CODEBOOK_USED, EK_CODEBOOK_HEAD };

struct ek_codebook {
	struct ek_codebook_options options;
	const struct ek_device *device;
	float head[EK_CODEBOOK_HEAD]; /* the host's copy of the state's */
	size_t state_count;
	/* The device's. */
	float *state;
	float *latents;    /* [slices · rows, width] of this batch */
	int32_t *nearest;  /* [slices · rows] */
	double *use, *sum; /* [codes], [codes, width]: of this batch */
};

/* Latent vectors of a batch. */
static inline size_t ek_codebook_vectors(const struct ek_codebook *c)
{
	return (size_t)c->options.slices * (size_t)c->options.rows;
}

#endif
