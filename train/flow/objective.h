/*
 * What a network is trained to predict, for one image at a time: a time, the noisy image, the loss and its gradient at
 * the prediction. Computed on the host in double; everything random is a function of (seed, position).
 */
#ifndef EK_FLOW_OBJECTIVE_H
#define EK_FLOW_OBJECTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "train/flow/diffusion.h"
#include "train/flow/path.h"

enum ek_objective_kind {
	EK_OBJECTIVE_FLOW,     /* a path and a prediction (path.h) */
	EK_OBJECTIVE_DIFFUSION /* DiT's (diffusion.h); needs a learned sigma */
};

/* Of the loss of noise and score, as the public SiT code weights them, and of data, as the noise it amounts to; that of
 * the velocity has no weight. */
enum ek_weighting {
	EK_WEIGHT_NONE,      /* mean (e - x0)^2, mean (sigma s + x0)^2, mean (d - x1)^2 */
	EK_WEIGHT_VELOCITY,  /* times (variance / sigma)^2 */
	EK_WEIGHT_LIKELIHOOD /* times variance / sigma^2 */
};

enum ek_times {
	EK_TIMES_UNIFORM,
	EK_TIMES_LOGIT_NORMAL /* 1 / (1 + exp(-n)), n normal (Esser et al. 2024), brought to the path's interval */
};

struct ek_objective {
	enum ek_objective_kind kind;
	enum ek_path path;
	enum ek_prediction prediction;
	enum ek_weighting weighting;
	enum ek_times times;
	double times_mean, times_deviation; /* of n; the noise is at t = 0 */
	/* Filled by ek_objective_init. */
	double t0, t1;
	struct ek_diffusion_step steps[EK_DIFFUSION_STEPS];
};

/* Set the times' interval and the schedule. EK_EUSAGE: something out of range. */
int ek_objective_init(struct ek_objective *objective);

/* For training, at a position: the time (0 … 1, or a step of the diffusion), the noise, and whether the label is
 * dropped with chance p. */
double ek_objective_time(const struct ek_objective *objective, uint64_t seed, uint64_t position);
void ek_objective_noise(float *noise, size_t count, uint64_t seed, uint64_t position);
int ek_objective_drops(double p, uint64_t seed, uint64_t position);

/* x: [count], out: the noisy image. */
void ek_objective_mix(const struct ek_objective *objective, double t, float *x, const float *x1, const float *noise,
                      size_t count);

/*
 * The loss of an image. outputs: channels of the prediction, as many as the image has, or twice that; those of a sigma
 * that is not learned from get the gradient 0. `parts`: NULL, or of the diffusion [2]: squared error and bound.
 */
double ek_objective_loss(const struct ek_objective *objective, double t, const struct ek_objective_image *image,
                         size_t outputs, double *parts);

#endif
