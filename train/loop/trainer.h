/*
 * The training loop, whatever is trained: batches, learning rate, gradients over threads, AdamW with an average, log,
 * checkpoints, resuming, stopping. What is trained is a task (task.h).
 *
 * A step: the batch's ids and everything random are a pure function of (seed, step). The batch is cut into slices of a
 * fixed number of images, which threads take in order, and whose gradients the store adds up in order (nn/store.h). So
 * a run is the same bytes for any number of threads, and a run that was stopped and resumed the same as one that was
 * not.
 *
 * Files in RUN/models/NAME: config.json (the task's and the loop's options), log.jsonl, step-00001234.safetensors
 * (checkpoint.h), preview-00001234.png of each, losses.npy (losses.h) where it is asked for. The log up to a
 * checkpoint's step and the checkpoint belong together: what a killed training wrote after it is cut, and its preview
 * is made if it is not there.
 */
#ifndef EK_LOOP_TRAINER_H
#define EK_LOOP_TRAINER_H

#include <stdint.h>

#include "rebalance/base/json.h"
#include "train/loop/losses.h"
#include "train/nn/store.h"

/* Which images come: the ids and loss weights of positions first … first + count - 1 of the endless sequence of a
 * training, a pure function of the position. Called from one thread. */
struct ek_source_of_ids {
	void *context;
	uint64_t epoch; /* positions of an epoch */
	int (*draw)(void *context, uint64_t first, uint64_t count, int64_t *ids, float *weights);
};

enum ek_schedule { EK_SCHEDULE_CONSTANT, EK_SCHEDULE_LINEAR, EK_SCHEDULE_COSINE };

struct ek_trainer_options {
	uint64_t batch;    /* images of a step, a multiple of the task's slice */
	uint64_t steps;    /* the last step; 0: until time_limit */
	uint64_t stop;     /* end after this step for now, though the training is longer; 0: no */
	double time_limit; /* seconds of training over all sessions; 0: none. Without steps the schedule goes by it */
	struct ek_adamw adamw;     /* rate: the highest */
	enum ek_schedule schedule; /* after warm-up, down to 0 */
	uint64_t warmup;           /* steps of rising rate */
	uint64_t log_every;        /* steps a line of the log */
	uint64_t judge_every;      /* steps between validations; 0: at checkpoints and the end only */
	double checkpoint_seconds; /* of training between checkpoints; 0: one a step */
	int checkpoints_kept;      /* ≥ 1 */
	/* Per image of the data set: which group's loss it counts for in the log; NULL: none. */
	const int32_t *groups;
	int group_count;
	/* Held-out images to judge: all the same every time. */
	const int64_t *held_out;
	uint64_t held_out_count;
	struct ek_loss_log losses;
	const char *folder; /* RUN/models/NAME, there already */
	/* Says what a checkpoint was made by: options that change the result. A checkpoint of another one is refused.
	 */
	const char *identity;
};

/* The learning rate of a step, 0 being the first, of a training that ends by steps. */
double ek_trainer_rate(const struct ek_trainer_options *options, uint64_t step);

struct ek_training {
	uint64_t step;  /* steps done */
	double seconds; /* of training, over all sessions */
	double loss;    /* mean over the last line of the log */
	double judged;  /* held-out loss, NaN if there is none */
};

/* For tasks, before they make the states of their workers, `states` bytes for slices of `slice` images: EK_ENOMEM,
 * saying what would fit, if that and a training are more than the memory that is free. */
int ek_trainer_check_memory(const struct ek_params *params, int slice, uint64_t states);

/* The usual size of a slice: a power of two that divides the batch, at most `most` images, so many that the slices of
 * a batch keep some tens of threads at work where that leaves at least `least` images to each. On a device that takes
 * whole batches (nn/device.h) as much of the batch as a network takes. At least `parts` slices make a batch: their
 * gradients are added in order, so that more of them take less memory and change the sums by rounding alone. batch > 0,
 * a multiple of parts > 0. */
int ek_trainer_slice(uint64_t batch, uint64_t parts, int least, int most);

/*
 * Train from the newest checkpoint in the folder that is whole (damaged ones are warned of, and removed when there is a
 * newer one), or from `start` [params->size] if there is none, to the end. EK_EDATA: all checkpoints are damaged or
 * gone. EK_EINTERRUPTED with a checkpoint written after ek_interrupt; EK_EDATA naming the step, with the last good
 * checkpoint kept, when loss or gradient stop being numbers or the loss runs away (mean of a log line above ten times
 * the first line's).
 */
int ek_train(struct ek_training *result, const struct ek_task *task, const struct ek_source_of_ids *source,
             const struct ek_trainer_options *options, const float *start);

#endif
