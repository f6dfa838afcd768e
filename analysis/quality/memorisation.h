/*
 * Are generated images copies of training images? Flags for people to look at, not proofs.
 */
#ifndef EK_QUALITY_MEMORISATION_H
#define EK_QUALITY_MEMORISATION_H

#include "analysis/cluster/rows.h"

struct ek_memorisation {
	uint64_t generated, held_out; /* held_out 0: what needs it is NaN */
	double mean, median;          /* of the distance of a generated row to the nearest training row */
	double held_out_mean, held_out_median;
	double ratio;      /* of the medians: 1 is like fresh images, well below is copying */
	double authentic;  /* AuthPct / 100 (Alaa et al. 2022): share of generated rows that are farther
	                      from their nearest training row than that is from its own nearest */
	double c_t;        /* Meehan, Chaudhuri and Dasgupta 2020; < 0 copying, > 0 underfitting; NaN: no cell had
	                      more than 20 generated rows */
	uint32_t *nearest; /* [generated] the nearest training row */
	double *distance;  /* [generated] to it */
	double *own;       /* [generated] distance of that training row to its own nearest other one */
	uint8_t *copied;   /* [generated] 1: distance < own / 2, nearer to a training image than
	                      training images are to each other */
};

/* held_out: NULL where there are none. `seed` is of C_T's k-means. EK_EDATA: fewer than 2 training rows, dimensions
 * differ, not finite. EK_EINTERRUPTED. Release in any case. */
int ek_memorisation(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                    const struct ek_rows *held_out, uint64_t seed);
void ek_memorisation_release(struct ek_memorisation *memorisation);

/* C_T alone: PCA to 64 dimensions if there are more (of the training rows), 3 cells, as dgm-eval. */
int ek_c_t(double *out, const struct ek_rows *training, const struct ek_rows *generated, const struct ek_rows *held_out,
           uint64_t seed);

#endif
