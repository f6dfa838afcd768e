/*
 * Sampling: from noise at t0 to data at t1 along the model's velocity (an ordinary differential equation), with noise
 * on the way (a stochastic one), or back through the steps of a diffusion.
 *
 * Each sample is solved on its own: it has its own seed, label and time, and the adaptive solver chooses its steps by
 * its own error. So a sample is the same whichever others are solved beside it. States are double; the model sees
 * float32.
 */
#ifndef EK_FLOW_SOLVER_H
#define EK_FLOW_SOLVER_H

#include <stdint.h>

#include "train/flow/objective.h"

enum ek_solver {
	EK_SOLVER_EULER,
	EK_SOLVER_HEUN,     /* the trapezoid rule, two evaluations a step */
	EK_SOLVER_DOPRI5,   /* Dormand and Prince 1980, order 5, steps chosen by the error (Hairer, Nørsett, Wanner) */
	EK_SOLVER_SDE,      /* Euler–Maruyama, then one step by the mean alone */
	EK_SOLVER_ANCESTRAL /* for networks trained by the diffusion objective */
};

/* D(t) of the stochastic equation dx = (v + D s) dt + sqrt(2 D) dw, as in the public SiT code. */
enum ek_sde_form {
	EK_SDE_SIGMA,      /* norm sigma(t) */
	EK_SDE_SBDM,       /* norm variance(t) */
	EK_SDE_CONSTANT,   /* norm */
	EK_SDE_LINEAR,     /* norm (1 - t) */
	EK_SDE_DECREASING, /* (norm cos(pi t) + 1)^2 / 4 */
	EK_SDE_HUMP        /* norm sin(pi t)^2, "increasing-decreasing" */
};

/* Classifier-free: m_none + scale (m_label - m_none) where low <= t <= high, m_label elsewhere. t is 0 … 1, also of a
 * diffusion (1 - step / 1000). */
struct ek_guidance {
	double scale;     /* 1: none, one evaluation where others take two */
	int channels;     /* the first so many; 0: all of the image's. A learned sigma is never guided */
	double low, high; /* 0 and 1 for everywhere */
};

struct ek_solver_options {
	enum ek_solver solver;
	enum ek_path path;
	enum ek_prediction prediction;
	int steps;     /* of fixed-step solvers; evaluations of the stochastic one; steps kept of a diffusion, ≥ 2 */
	double t0, t1; /* 0 ≤ t0 < t1 ≤ 1; both 0: those of path.h */
	double relative, absolute; /* tolerances of DOPRI5; 1e-5 and 1e-5 are usual */
	enum ek_sde_form form;
	double norm, last_step; /* of the stochastic one: 1 and 0.04 are usual; last_step 0: no last step */
	struct ek_guidance guidance;
};

/* EK_EUSAGE naming what is out of range. */
int ek_solver_check(const struct ek_solver_options *options);

/* What is sampled from. Images are [pixels, channels]. */
struct ek_solver_model {
	void *context;
	size_t pixels, channels, outputs; /* outputs: channels of the prediction, channels or twice that */
	int no_label;
	/* The prediction for each of `count` images: x [count, pixels, channels], t, labels [count], out [count,
	 * pixels, outputs]. Sample i of a call is always image i here. */
	int (*predict)(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out);
	/* The same with two labels for each image in one call; NULL: one is made after the other. Guidance wants it. */
	int (*predict_both)(void *context, const float *x, const float *t, const int32_t *labels, const int32_t *others,
	                    int count, float *out, float *other);
	/* x and out of these are the chosen device's (nn/device.h), where all but DOPRI5 then solve: nothing comes to
	 * the host before the end. */
	int on_device;
	/* Normal numbers of sample `i`, [pixels · channels], out, for step `step`, 0 being the start. NULL: by seeds.
	 * Not on a device. */
	void (*noise)(void *context, int i, int step, double *out);
};

/*
 * Solve `count` samples. seeds, labels: [count]. out: [count, pixels, channels] float32. evaluations: NULL, or out:
 * predictions made. EK_EDATA: a sample is no longer a number (which one is said), or the adaptive solver's steps became
 * too small; and what predict returns.
 */
int ek_solve(const struct ek_solver_options *options, const struct ek_solver_model *model, int count,
             const uint64_t *seeds, const int32_t *labels, float *out, uint64_t *evaluations);

#endif
