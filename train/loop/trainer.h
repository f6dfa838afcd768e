/*
 * The training loop, whatever is trained: batches, learning rate, gradients over threads, AdamW with an average, log,
 * checkpoints, resuming, stopping. What is trained is a task (struct ek_task); train/vae and train/flow each have one.
 *
 * A step: the batch's ids and everything random are a pure function of (seed, step). The batch is cut into slices of a
 * fixed number of images; slice i adds its gradients to lane i mod lanes; lanes are added up in order. So a run is the
 * same bytes for any number of threads, and a run that was stopped and resumed the same as one that was not.
 *
 * Files in RUN/models/NAME: config.json (the task's and the loop's options), log.jsonl, step-00001234.safetensors
 * (model.*, ema.*, optimizer.first.*, optimizer.second.*; metadata: step, seconds, position), written atomically.
 */
#ifndef EK_LOOP_TRAINER_H
#define EK_LOOP_TRAINER_H

#include <stdint.h>

#include "rebalance/base/json.h"
#include "train/nn/optimizer.h"
#include "train/nn/params.h"

/* Images of a step that one worker takes at once. */
struct ek_slice {
	uint64_t step;     /* 0 is the first */
	uint64_t position; /* of the first image among all that the run has taken: step · batch + offset. A key for random
	                      numbers: image j of the slice has position + j */
	int count;         /* = the task's slice */
	const int64_t *ids;   /* [count] */
	const float *weights; /* [count]: what to multiply the loss and its gradient of each image with (sums to 1 over a
	                         batch, but for loss weighting) */
	double *losses;       /* [count], out: the unweighted loss of each image */
	double *parts;        /* [count, parts], out: what else the log shows, per image, as the task names it */
};

struct ek_task {
	void *context;
	const struct ek_params *params;
	int slice; /* images of a slice, the batch of its nets */
	const char *const *part_names; /* of ek_slice.parts; ends with NULL; at most 8 */
	/* Take new parameter values into the nets. Between slices only. */
	int (*load)(void *context, const float *values);
	/* Forward and backward of one slice; adds weights · gradients to gradients [params->size]. Thread-safe for
	 * different workers (0 … ek_threads() - 1). */
	int (*learn)(void *context, int worker, const struct ek_slice *slice, float *gradients);
	/* Only the losses, with times and noises fixed by position (validation). NULL: there is no validation. */
	int (*judge)(void *context, int worker, const struct ek_slice *slice);
	/* After each optimizer step, on one thread, in order: may change `values` and `average` (codebooks moved by
	 * averages, dead codes). NULL: nothing to do. */
	int (*after_step)(void *context, uint64_t step, float *values, float *average);
	/* A picture of how far it is, written to `path` (PNG), made with these (averaged) values. NULL: none. */
	int (*preview)(void *context, const float *values, const char *path);
	/* State beyond parameters that a checkpoint must hold: `count` floats at `state`. NULL: none. */
	float *(*state)(void *context, size_t *count);
};

#endif
