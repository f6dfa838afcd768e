/*
 * AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW) with an exponential moving average of the parameters in one
 * pass, and clipping of the gradient by its norm. Arrays lie as the parameter table says (params.h). Runs on
 * ek_threads() threads; the results do not depend on how many.
 */
#ifndef EK_NN_OPTIMIZER_H
#define EK_NN_OPTIMIZER_H

#include <stdint.h>

#include "train/nn/params.h"

struct ek_adamw {
	double rate;         /* learning rate of this step, ≥ 0 */
	double beta1, beta2; /* [0, 1) */
	double epsilon;
	double decay;   /* weight decay, on parameters of two or more dimensions and others alike, as in torch */
	double average; /* of the moving average: average · old + (1 - average) · new */
	double clip;    /* largest norm of the gradient; 0: none */
};

/* What one step multiplies with; for the kernel. */
struct ek_adamw_factors {
	float rate, decay, epsilon;         /* decay: 1 - rate · decay */
	float beta1, fresh1, beta2, fresh2; /* fresh: 1 - beta, rounded once */
	float average, fresh;
	float gradient;        /* scale of the gradient */
	float inverse1, root2; /* 1 / (1 - beta1^step), 1 / sqrt(1 - beta2^step) */
};

struct ek_optimizer;
/* Moments start at 0. params must outlive it; frozen parameters are left alone. EK_ENOMEM. */
int ek_optimizer_new(struct ek_optimizer **out, const struct ek_params *params);
void ek_optimizer_free(struct ek_optimizer *o);

/* The first (which = 0) or second moments, [params->size]: for checkpoints. */
float *ek_optimizer_moments(struct ek_optimizer *o, int which);

/*
 * gradients: `lanes` arrays [params->size], the sums over the parts of a batch; they are added up in order, and set to
 * 0. values, average: [params->size], in and out; average may be NULL. step: 1 for the first.
 * `*norm` = the gradient's norm before clipping. EK_EDATA if that is not finite: nothing is changed then but the
 * gradients. Allocates nothing.
 */
int ek_optimizer_step(struct ek_optimizer *o, const struct ek_adamw *adamw, float *const *gradients, int lanes,
                      uint64_t step, float *values, float *average, double *norm);

#endif
