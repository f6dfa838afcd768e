/*
 * Samples of a model, over all threads. Sample i is a function of the model, the options, its seed and its label: it is
 * the same in whatever range it is asked for, and for any number of threads.
 */
#ifndef EK_FLOW_FLOW_SAMPLE_H
#define EK_FLOW_FLOW_SAMPLE_H

#include "train/flow/sit.h"
#include "train/flow/solver.h"

struct ek_flow_sampler;

/* values: [params->size], usually the averaged ones; both must live as long. batch: samples a thread solves at once,
 * part of what determines the bytes. guided: a device that takes batches makes both predictions that guidance wants in
 * one pass, of twice as many images. EK_EUSAGE, EK_ENOMEM, EK_ENOTSUP. */
int ek_flow_sampler_new(struct ek_flow_sampler **out, const struct ek_sit_config *config,
                        const struct ek_params *params, const float *values, enum ek_nn_precision precision, int batch,
                        int guided);
/* Samples that the chosen device is best given at once, of so many. */
int ek_flow_sampler_batch(const struct ek_sit_config *config, uint64_t count);
void ek_flow_sampler_free(struct ek_flow_sampler *s);
/* Take other values of the same table. */
int ek_flow_sampler_load(struct ek_flow_sampler *s, const float *values);

struct ek_flow_samples {
	uint64_t count;
	const uint64_t *seeds; /* [count] */
	const int32_t *labels; /* [count]: 0 … classes - 1, or the one for none */
	int silent;            /* 1: part of other work, whose progress is told */
	/* Samples first … first + count - 1 of these, [count, side, side, channels] float32, in order, on the caller's
	 * thread: what was taken is done, and a later call may go on behind it. */
	void *context;
	int (*take)(void *context, uint64_t first, int count, const float *samples);
};

/* Solve samples first … count - 1. Progress is told; EK_EINTERRUPTED within one evaluation of the model; EK_EUSAGE: a
 * label or an option out of range; what ek_solve and `take` return. */
int ek_flow_sample(struct ek_flow_sampler *s, const struct ek_solver_options *options,
                   const struct ek_flow_samples *samples, uint64_t first);

#endif
