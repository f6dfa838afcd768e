/*
 * What a training keeps of its parameters, each a flat array as the parameter table says (params.h): values, their
 * moving average, AdamW's two moments, and the gradients of the step that runs. Only calls of this header look into it:
 * the arrays lie where the device computes.
 *
 * Gradients are sums over the slices of a batch, which run on many threads and are added in their order: turn 0, 1, …
 * of a network's backward (net.h). A slice waits for its turn parameter by parameter, so there is one array of
 * gradients and its bytes do not depend on the number of threads.
 *
 * The step is AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW) with an exponential moving average of the
 * parameters in one pass, and clipping of the gradient by its norm. It runs on ek_threads() threads; the results do not
 * depend on how many.
 */
#ifndef EK_NN_STORE_H
#define EK_NN_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/params.h"

struct ek_store;

enum ek_family { EK_VALUES, EK_AVERAGE, EK_FIRST, EK_SECOND, EK_GRADIENTS, EK_FAMILIES };

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

/* On the chosen device (device.h), everything 0. params must outlive it; frozen parameters are left alone by steps.
 * EK_ENOMEM. */
int ek_store_new(struct ek_store **out, const struct ek_params *params);
void ek_store_free(struct ek_store *s);
/* Bytes of a store over this table. */
uint64_t ek_store_bytes(const struct ek_params *params);

/* Floats first … first + count - 1 of a family, from and to the host. Not while a network runs. */
void ek_store_write(struct ek_store *s, enum ek_family family, size_t first, size_t count, const float *x);
void ek_store_read(const struct ek_store *s, enum ek_family family, size_t first, size_t count, float *out);
/* A whole family on the host, until the store is used again. EK_ENOMEM. */
int ek_store_view(struct ek_store *s, enum ek_family family, const float **out);

/* Gradients 0, and turns from 0 again, as after a step. */
void ek_store_clear_gradients(struct ek_store *s);
/* A slice failed and will not take its turn: those that wait for it fail, too. 1 for the first that gives up, which is
 * the one to report, 0 for all others. */
int ek_store_give_up(struct ek_store *s);

/*
 * Takes the gradients, and clears them. step: 1 for the first. `*norm` = the gradient's norm before clipping. EK_EDATA
 * if that is not finite: nothing is changed then but the gradients. Allocates nothing.
 */
int ek_store_step(struct ek_store *s, const struct ek_adamw *adamw, uint64_t step, double *norm);
/* The same in two: between them a device that works by itself can be given what follows, which finds the step done. */
int ek_store_begin_step(struct ek_store *s, const struct ek_adamw *adamw, uint64_t step);
int ek_store_end_step(struct ek_store *s, uint64_t step, double *norm);

#endif
