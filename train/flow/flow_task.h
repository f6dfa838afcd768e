/*
 * Training of a SiT or DiT as a task of the training loop (train/loop/trainer.h). Weights of the loss, by class or
 * cluster, come with the slices; held-out losses with the same times and noises every time, for every model and seed.
 */
#ifndef EK_FLOW_FLOW_TASK_H
#define EK_FLOW_FLOW_TASK_H

#include "train/flow/objective.h"
#include "train/flow/sit.h"
#include "train/loop/trainer.h"
#include "train/vae/latents.h"

/* What it learns from: latents or pixels. */
struct ek_flow_source {
	void *context;
	/* The sample [side, side, channels] of an image, and its label 0 … classes - 1 (or the one for none). position:
	 * a key for random numbers, that of the image among all that were taken. Thread-safe for different workers. */
	int (*get)(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label);
	/* NULL, or `get` gives moments instead, [side, side, 2 channels], of which the net draws the sample. */
	const struct ek_latent_draw *drawn;
};

/* What the net is for. */
enum ek_flow_use {
	EK_FLOW_LEARN,
	EK_FLOW_JUDGE, /* losses alone */
	EK_FLOW_IMAGES /* learning, and the gradients of single images (net.h) */
};

struct ek_flow_task_options {
	struct ek_sit_config model;
	struct ek_objective objective; /* ek_objective_init has been called */
	enum ek_nn_precision precision;
	int slice; /* images that a worker takes at once */
	enum ek_flow_use use;
	int recompute; /* of learning: 1: less memory for a third more work */
	double drop;   /* chance that a label is dropped, 0 … 1; 0.1 is usual with guidance */
	uint64_t seed;
};

struct ek_flow_task;

/*
 * Make the net, a state for each of ek_threads() workers, and the table of parameters; fill `task`, but for preview.
 * *params: the table, which lives as long as the task. Parts of the log: none, or the diffusion's two terms, "error"
 * and "bound". EK_EUSAGE, EK_ENOMEM, EK_ENOTSUP.
 */
int ek_flow_task_new(struct ek_flow_task **out, struct ek_task *task, const struct ek_flow_task_options *options,
                     const struct ek_flow_source *source);
void ek_flow_task_free(struct ek_flow_task *t);

/* Bytes of all workers' states and of the weights in the net's form. */
uint64_t ek_flow_task_bytes(const struct ek_flow_task *t);
/* Floating-point operations of training on one image: 3 times those of forward. */
double ek_flow_task_flops(const struct ek_flow_task *t);

#endif
