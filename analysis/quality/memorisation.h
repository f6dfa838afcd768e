/*
 * Are generated images copies of training images? Flags for people to look at, not proofs.
 *
 * Distances are neighbours.h's; so are the decisions, for any number of threads.
 *
 * `copied` is nearer to a training image than training images are to each other: its distance to the nearest training
 * row is below half of that row's distance to its fifth nearest other one (the last, if there are fewer), or 0. The
 * factor 1/2 is Carlini et al.'s (2023, "Extracting Training Data from Diffusion Models"), who compare with the mean
 * distance of 50 neighbours; with few neighbours fewer fresh images are flagged where the data have few dimensions
 * (about 5 / 2^D for D). The fifth and not the first, because a training image that is there two or three times, nearly
 * the same, is learned by heart most easily, and its own nearest is then no measure: up to five such copies are seen
 * through. `held_out_copied` is the control: how often the rule is wrong about images that nothing was trained on.
 */
#ifndef EK_QUALITY_MEMORISATION_H
#define EK_QUALITY_MEMORISATION_H

#include "analysis/cluster/rows.h"

enum { EK_MEMORISATION_NEAR = 5 };

/* What rows are near to among the training rows; arrays owned. */
struct ek_closeness {
	uint64_t count;
	size_t k;         /* neighbours of each: as asked, or all training rows */
	uint32_t *index;  /* [count, k] training rows, nearest first */
	double *distance; /* [count, k] to them */
	double *own;      /* [count] of the nearest training row to its own nearest other one */
	uint8_t *copied;  /* [count] 1: flagged, as above */
};

/* EK_EDATA: fewer than 2 training rows, dimensions differ, not finite. EK_EINTERRUPTED. Release in any case. */
int ek_closeness_measure(struct ek_closeness *out, const struct ek_rows *rows, const struct ek_rows *training,
                         size_t k);
void ek_closeness_release(struct ek_closeness *closeness);

struct ek_memorisation {
	uint64_t generated, held_out; /* held_out 0: what needs it is NaN */
	double mean, median;          /* of the distance of a generated row to the nearest training row */
	double held_out_mean, held_out_median;
	double ratio;     /* of the medians: 1 is like fresh images, well below is copying */
	double authentic; /* AuthPct / 100 (Alaa et al. 2022): share of generated rows that are farther
	                     from their nearest training row than that is from its own nearest */
	double c_t;       /* Meehan, Chaudhuri and Dasgupta 2020; < 0 copying, > 0 underfitting; NaN: no cell had
	                     more than 20 generated rows and one held out */
	double copied_share, held_out_copied; /* share of the generated, and of the held-out rows, flagged */
	uint32_t *nearest;                    /* [generated] the nearest training row */
	double *distance;                     /* [generated] to it */
	double *own;     /* [generated] distance of that training row to its own nearest other one */
	uint8_t *copied; /* [generated] 1: flagged */
};

/* held_out: NULL where there are none. `seed` is of C_T's k-means. EK_EDATA: fewer than 2 training rows, dimensions
 * differ, not finite. EK_EINTERRUPTED. Release in any case. Reports progress. */
int ek_memorisation(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                    const struct ek_rows *held_out, uint64_t seed);
/* The same where it is known what the generated rows are near to; closeness->count is generated->count. */
int ek_memorisation_of(struct ek_memorisation *out, const struct ek_rows *training, const struct ek_rows *generated,
                       const struct ek_closeness *closeness, const struct ek_rows *held_out, uint64_t seed);
void ek_memorisation_release(struct ek_memorisation *memorisation);

/*
 * C_T alone, as dgm-eval: the training rows' first 64 principal components if there are more dimensions; 3 cells by
 * k-means of the training rows (fewer if fewer of them differ); in each cell, with n held-out and m generated rows and
 * U the pairs of them whose generated one is farther from the cell's training rows (half of those equally far),
 * Z = (U - (nm/2 - 1/2)) / sqrt(nm (n+m+1) / 12); the mean of Z weighted by n, over the cells with m > 20.
 */
int ek_c_t(double *out, const struct ek_rows *training, const struct ek_rows *generated, const struct ek_rows *held_out,
           uint64_t seed);

#endif
