/*
 * The classic diffusion objective of DiT (Ho et al. 2020; Nichol and Dhariwal 2021, guided-diffusion): 1000 steps, beta
 * rising linearly from 1e-4 to 0.02, a network that predicts the noise e and, with v in -1 … 1, how to interpolate the
 * logarithm of the variance of a step. Steps here run from 0 (least noise) to 999; the network is given the step.
 */
#ifndef EK_FLOW_DIFFUSION_H
#define EK_FLOW_DIFFUSION_H

#include "train/nn/samples.h"

enum { EK_DIFFUSION_STEPS = 1000 };

/* One step of a schedule: x_t = sqrt(bar) x1 + sqrt(1 - bar) noise. */
struct ek_diffusion_step {
	int time; /* what the network is given */
	double bar;
	double log_beta, log_posterior; /* the two ends of the logarithm of the variance */
	double from_x1, from_x;         /* mean of the posterior: from_x1 x1 + from_x x_t */
};

/*
 * A schedule of `count` (2 … 1000) of the 1000 steps, as even as guided-diffusion's space_timesteps spaces them (a
 * single section), betas worked out again for the steps that are left. steps: [count], out.
 */
void ek_diffusion_schedule(struct ek_diffusion_step *steps, int count);

/* One step of ancestral sampling: x to the x of the step before. Without a learned variance the upper end, beta, is
 * taken. noisy: 0 at the schedule's step 0. */
void ek_diffusion_back(const struct ek_diffusion_step *step, int noisy, struct ek_move *move);

#endif
