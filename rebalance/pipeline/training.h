/*
 * What the trainings of autoencoders and generators have in common: what is asked for, the folder of the model with
 * what it says of itself, and the end.
 */
#ifndef EK_PIPELINE_TRAINING_H
#define EK_PIPELINE_TRAINING_H

#include "rebalance/pipeline/feed.h"
#include "rebalance/pipeline/option.h"
#include "train/loop/pixels.h"
#include "train/nn/tensor.h"

struct ek_training_options {
	const char *name;                            /* of the model */
	const char *subset, *weights, *loss_weights; /* feed.h */
	const char *time_limit, *checkpoint_every;   /* "90", "90s", "10m", "2h", "1d"; NULL: none */
	const char *from;                            /* path of what it starts from, or NULL */
	int64_t steps;                               /* 0: by epochs or the time */
	int64_t batch, warmup, log_every, keep;
	int64_t slice;       /* 0: by the model */
	int64_t accumulate;  /* parts of a batch, at least, one after another on a GPU; 0: one */
	double epochs, rate; /* 0: none; by the model */
	double decay, average, clip, validate;
	int schedule, precision; /* enum ek_schedule, enum ek_nn_precision */
	int dry_run, flip, recompute;
	int64_t seed;
	int force; /* a model of this name that is there is begun anew */
};
#define EK_TRAINING_DEFAULT(batch_, average_)                                                                          \
	.batch = (batch_), .average = (average_), .clip = 1, .warmup = 100, .schedule = EK_SCHEDULE_COSINE,            \
	.validate = 0.02, .checkpoint_every = "5m", .keep = 2, .log_every = 50

/* What can be told wrong before any work is done: EK_EUSAGE. */
int ek_training_check(const struct ek_training_options *options);

/* Choices in the order of enum ek_schedule and enum ek_nn_precision. */
extern const struct ek_choice ek_schedules[], ek_precisions[];

/* Images that are taken at once: 'slice', or what is usual (ek_trainer_slice with `least` and `most`) in as many parts
 * of the batch as 'accumulate' says. EK_EUSAGE. */
int ek_training_slice(const struct ek_training_options *options, int least, int most);

/* As ek_feed_open. */
int ek_training_feed(struct ek_feed *feed, struct ek_run *run, const struct ek_training_options *options,
                     uint64_t seed);

/* Where the training starts from, with --from, as the run keeps it: "from". */
int ek_training_add_from(cJSON *config, const struct ek_run *run, const struct ek_training_options *options);

/* The other way: what of the loop's options config.json says a model was trained with, for a training like it of so
 * many steps; the rest is as if nothing were asked for, with no log but of the loss. EK_EDATA. */
int ek_training_again(struct ek_trainer_options *out, const cJSON *config, uint64_t steps, const char *where);

/* One model in training. */
struct ek_training_job {
	struct ek_run *run;
	const struct ek_training_options *options;
	const struct ek_task *task;
	struct ek_feed *feed;
	double rate; /* what `auto` comes to */
	/* Object: what the model is and is made from. Every member changes the result; "identity" and what can be
	 * extended is added. */
	cJSON *config;
	const float *start;
	const int32_t *groups; /* of each image, for the log; NULL: none */
	int group_count;
	struct ek_loss_log losses; /* of all images, while it learns */
	double flops;              /* forward, of one image */
	uint64_t bytes;            /* of nets, states and caches */
	int by_cluster, by_group;  /* conditioned on clusters, on groups */
	const char *autoencoder;   /* as the run keeps it, or NULL: pixels */
};

/* What a training would take. */
struct ek_training_estimate {
	uint64_t parameters, bytes, batch, steps, epoch; /* steps: 0: by the time; epoch: images of one */
	int tensors, slice, threads;                     /* threads: 0: a GPU's speed */
	double flops;                                    /* of one image and step, forward and backward */
	double image_seconds, seconds, time_limit;
};

struct ek_training_result {
	char *folder;                         /* RUN/models/NAME; NULL: it was a dry run */
	struct ek_training training;          /* what came out */
	struct ek_training_estimate estimate; /* of a dry run */
};

/* Write config.json and train, or go on with it; or, with options->dry_run, measure one step. run.json has the step
 * "model NAME" from the beginning, so that it is known what a model was made from that is not finished. Release the
 * result in any case. */
int ek_training_do(struct ek_training_result *out, const struct ek_training_job *job);
/* Record the model as it is now, after ek_training_do. Nothing after a dry run. */
int ek_training_record(const struct ek_training_job *job, const struct ek_training_result *result);
void ek_training_result_release(struct ek_training_result *result);

#endif
