/* What the solvers share. Internal to train/flow. */
#ifndef EK_FLOW_SOLVER_INTERNAL_H
#define EK_FLOW_SOLVER_INTERNAL_H

#include "train/flow/solver.h"

enum { EK_SOLVER_STAGES = 9 };

/* Samples being solved. */
struct ek_solver_run {
	const struct ek_solver_options *options;
	const struct ek_solver_model *model;
	int count;
	size_t elements; /* numbers of a sample */
	const uint64_t *seeds;
	const int32_t *labels;
	int32_t *no_labels;
	double t0, t1;
	double *x;                   /* [count, elements] */
	double *k[EK_SOLVER_STAGES]; /* each [count, elements]: for the solver */
	double *t;                   /* [count]: for the solver */
	float *x32, *t32;            /* as the model takes them */
	float *prediction, *unguided;
	uint64_t evaluations;
};

/* sample(context, i, worker) for every sample: on all threads where a device takes the batch, and waits for them. */
int ek_solver_each(const struct ek_solver_run *r, int (*sample)(void *context, uint64_t i, int worker), void *context);
/* Guided predictions at x and the times t. Guidance goes by from + factor · t. */
int ek_solver_predict(struct ek_solver_run *r, const double *x, const double *t, double from, double factor);
/* The velocity at x and the times t. out: [count, elements]. */
int ek_solver_drift(struct ek_solver_run *r, const double *x, const double *t, double *out);
/* Normal numbers. out: [elements]. */
void ek_solver_noise(const struct ek_solver_run *r, int i, int step, double *out);

int ek_solver_dopri5(struct ek_solver_run *r);

#endif
