/* What the solvers share. Internal to train/flow. */
#ifndef EK_FLOW_SOLVER_INTERNAL_H
#define EK_FLOW_SOLVER_INTERNAL_H

#include "train/flow/solver.h"
#include "train/nn/samples.h"

enum { EK_SOLVER_ARRAYS = 9 };

/* Samples being solved. */
struct ek_solver_run {
	const struct ek_solver_options *options;
	const struct ek_solver_model *model;
	int count;
	size_t elements; /* numbers of a sample */
	const uint64_t *seeds;
	const int32_t *labels;
	int32_t *no_labels;
	int labelled; /* some sample has a label */
	double t0, t1;
	struct ek_samples samples;
	double *x; /* [count, elements], the host's, in the end */
	float *t32;
	double *k[EK_SOLVER_ARRAYS], *t; /* of the adaptive solver: [count, elements] each; [count] */
	uint64_t evaluations;
};

/* Is there guidance at t? A sample without a label is as it was then. */
int ek_solver_guides(const struct ek_solver_run *r, double t);
/* What guidance makes of two predictions. */
void ek_solver_guide(const struct ek_solver_run *r, struct ek_move *move);
/* The velocity at t, and `extra` scores, from a prediction there. */
void ek_solver_slope(const struct ek_solver_run *r, double t, double extra, struct ek_move *move);

/* Its samples are the host's. */
int ek_solver_dopri5(struct ek_solver_run *r);

#endif
