/*
 * What a network is trained to predict: a time, the noisy image, the loss. The noisy image and the loss are layers of
 * the net (train/nn/net.h: mix, mix error, diffusion); the host gives each image's time and the factors that come of
 * it, worked out in double. Everything random is a function of (seed, position).
 */
#ifndef EK_FLOW_OBJECTIVE_H
#define EK_FLOW_OBJECTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "train/flow/diffusion.h"
#include "train/flow/path.h"
#include "train/loop/task.h"
#include "train/nn/net.h"

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

/* For training, at a position: the time (0 … 1, or a step of the diffusion), and whether the label is dropped with
 * chance p. */
double ek_objective_time(const struct ek_objective *objective, uint64_t seed, uint64_t position);
int ek_objective_drops(double p, uint64_t seed, uint64_t position);
/* What the noise of an image at a position is a function of. */
struct ek_net_key ek_objective_key(uint64_t seed, uint64_t position);

/*
 * A grid: of its times one lies in each of as many equal parts of the interval that is safe to train on, whatever
 * ek_times says (stratified); where in it, and the noise, are functions of the seed and the draw.
 */
double ek_objective_grid_time(const struct ek_objective *objective, const struct ek_grid *grid, int draw);
struct ek_net_key ek_objective_grid_key(const struct ek_grid *grid, int draw);

/* What mixing and loss are multiplied with at time t. factors: [EK_OBJECTIVE_FACTORS], out, in float32. */
enum { EK_OBJECTIVE_FACTORS = 6 };
void ek_objective_factors(const struct ek_objective *objective, double t, float *factors);

/*
 * Layers. data, noise: values [side, side, channels]; factors: a value [1, 1, EK_OBJECTIVE_FACTORS].
 *
 * mix: the noisy image. loss: that of an image, [1, 1, 1]; `prediction` has as many channels as the image, or twice
 * that; those of a sigma that is not learned from get the gradient 0. parts: out, of the diffusion its two terms,
 * squared error and bound, which add up to the loss; else 0.
 */
int ek_objective_mix(struct ek_net *net, int data, int noise, int factors);
int ek_objective_loss(struct ek_net *net, const struct ek_objective *objective, int prediction, int data, int noise,
                      int factors, int parts[2]);

#endif
