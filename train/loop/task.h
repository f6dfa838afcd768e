/*
 * What is trained, for the training loop (trainer.h): networks over one table of parameters, and how the host fills
 * their inputs. The loop runs them; train/vae and train/flow each have a task.
 */
#ifndef EK_LOOP_TASK_H
#define EK_LOOP_TASK_H

#include <stdint.h>

#include "train/nn/codebook.h"
#include "train/nn/runner.h"

enum { EK_TASK_PARTS = 8 };

/* So many draws of what is random about a loss (a time and a noise), the same for every image. */
struct ek_grid {
	int draws; /* 1 … EK_GRID_DRAWS_MAX */
	uint64_t seed;
};
enum { EK_GRID_DRAWS_MAX = 1024 };

/* Images of a step that one worker takes at once. */
struct ek_slice {
	uint64_t step;        /* 0 is the first */
	uint64_t position;    /* of the first image among all that the run has taken: step · batch + offset. A key for
	                         random numbers: image j of the slice has position + j */
	uint64_t turn;        /* number of the slice in its batch */
	int count;            /* = the task's slice */
	const int64_t *ids;   /* [count] */
	const float *weights; /* [count]: what to multiply the loss and its gradient of each image with (sums to 1 over
	                         a batch, but for loss weighting) */
	double *losses;       /* [count], out: the unweighted loss of each image */
	double *parts;        /* [count, parts], out: what else the log shows, per image, as the task names it */
	/* NULL, or the images are judged on a grid: image j at draw (position + j) % draws. */
	const struct ek_grid *grid;
	int unread; /* losses and parts are not waited for: ek_task_report brings them */
};

/* A network, finished, and its states. */
struct ek_task_net {
	struct ek_net *net;
	struct ek_runner runner;
	int loss;                 /* of an image, [1, 1, 1], kept */
	int learned;              /* the output: the sum over images of weight · this is what its gradients are of */
	int parts[EK_TASK_PARTS]; /* kept, [1, 1, 1] float32; 0: the net does not make this part */
	uint64_t from;            /* the step from which it learns in place of the one before it */
};
/* `= { 0 }` can be released. */
void ek_task_net_release(struct ek_task_net *n);

struct ek_task {
	void *context;
	const struct ek_params *params;
	int slice;                      /* images of a slice, the batch of its nets */
	const char *const *part_names;  /* of ek_slice.parts; ends with NULL; at most EK_TASK_PARTS */
	const struct ek_task_net *nets; /* [net_count]; the first judges, and learns from step 0 on */
	int net_count;
	/* Fill the staged inputs of a state of any of the nets, and of slice->parts, all 0, those that no net makes.
	 * judging: times and noises are those of every validation, or of slice->grid; a task whose losses are logged
	 * (trainer.h) or scored knows grids. Thread-safe for different workers
	 * (0 … ek_device_workers() - 1). */
	int (*fill)(void *context, int worker, const struct ek_slice *slice, int judging, struct ek_net_state *s);
	int fills_ahead; /* fill writes staged inputs alone, so that ek_task_ahead can */
	/* Moved after each step of the store; a checkpoint holds its state. NULL: none. */
	struct ek_codebook *codebook;
	/* A picture of how far it is, written to `path` (PNG), made with these (averaged) values [params->size]; nets
	 * are loaded anew afterwards. NULL: none. */
	int (*preview)(void *preview_context, const float *values, const char *path);
	void *preview_context;
};

/* image(context, j, worker) for j in 0 … count - 1, as `fill` needs it: in order on the caller's thread, whose worker
 * this is; on a device that takes whole batches, which waits for them, on all ek_threads(). */
int ek_task_each(int count, int worker, int (*image)(void *context, uint64_t j, int worker), void *context);

/* Take new parameter values into the nets. Between slices only. */
int ek_task_load(const struct ek_task *task, const struct ek_store *store, enum ek_family family);
/* Forward and backward of one slice; weights · gradients go to the store, in the slice's turn. Thread-safe for
 * different workers. */
int ek_task_learn(const struct ek_task *task, int worker, const struct ek_slice *slice, struct ek_store *store);
/* On a device that works by itself: fill what this worker learns from next, without room for losses, meanwhile, if the
 * task can. */
void ek_task_ahead(const struct ek_task *task, int worker, const struct ek_slice *next);
/* Losses and parts of a slice that was left unread, before this worker takes another one; the host waits for them. */
void ek_task_report(const struct ek_task *task, int worker, const struct ek_slice *slice);
/* Only losses and parts, with times and noises fixed by position (validation). */
int ek_task_judge(const struct ek_task *task, int worker, const struct ek_slice *slice);

#endif
