/* Training a generator of images like those of a run (train/flow). */
#ifndef EK_PIPELINE_TRAIN_FLOW_H
#define EK_PIPELINE_TRAIN_FLOW_H

#include "rebalance/pipeline/flow_model.h"
#include "rebalance/pipeline/steps.h"
#include "rebalance/pipeline/training.h"

/* In the order of `space`. */
extern const struct ek_choice ek_flow_spaces[];

struct ek_train_flow_options {
	struct ek_training_options common;
	const char *model;       /* "SiT-S/2" */
	const char *autoencoder; /* a model of the run, or a folder that diffusers wrote; NULL: pixels */
	const char *condition;   /* "none", "cluster", "group", "label" or an attribute */
	int space;               /* 0: latents of `autoencoder`; 1: pixels */
	int objective, path, prediction, weighting, times; /* choices of flow_model.h */
	int64_t width, depth, heads, patch, side;          /* 0: the model's */
	int64_t log_losses, draws; /* every so many steps the losses of all images, at so many draws; 0: never */
	double drop;               /* chance that the condition is not told */
};
extern const struct ek_train_flow_options ek_train_flow_default;

/* Train RUN/models/NAME, or go on where it was. The run must be open for writing; what it learns from is brought up to
 * date (`steps`: steps.h). Release the result in any case. Fails as ek_do_train_vae does. */
int ek_do_train_flow(struct ek_training_result *out, struct ek_run *run, struct ek_steps_options *steps,
                     const struct ek_train_flow_options *options);

#endif
