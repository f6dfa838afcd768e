/* A sweep: at each point the work of the commands that do it alone, each by its entry point. */
#ifndef EK_PIPELINE_SWEEP_H
#define EK_PIPELINE_SWEEP_H

#include "rebalance/pipeline/steps.h"
#include "rebalance/pipeline/sweep_points.h"

struct ek_sweep_wish {
	const char *methods, *keeps, *name, *autoencoder;
	const char *vae, *train, *generate, *evaluate, *score; /* more words for these commands, or NULL */
	int space, dry_run;
	int64_t seeds, steps, count, score_steps;
};

/* What one of the commands is told beside what the sweep sets: the struct of its entry point, and of its steps. */
struct ek_sweep_told {
	const void *options;
	struct ek_steps_options *steps;
};

/* What is told after each point. */
struct ek_sweep_news {
	const struct ek_sweep_point *point;
	size_t number; /* from 1 */
	int failed;    /* ek_error_message() says why */
	double seconds,
		seconds_left; /* left: over the whole, from the points made so far; NaN: none left, or none made */
};

struct ek_sweep {
	const char *run;                                                        /* its path; each function opens it */
	void (*tell)(struct ek_sweep *sweep, const struct ek_sweep_news *news); /* or NULL */
	const struct ek_sweep_wish *wish;
	struct ek_sweep_points points;
	int64_t seed;
	int force;
	struct ek_sweep_told prune, vae, train, score, generate, evaluate;
};

/* The run has images, and no point has samples of another number of steps, or a longer training, from a sweep before:
 * it could not be set beside the others. EK_EUSAGE says so. Files and references that generate and evaluate are told
 * are there: EK_EIO, EK_EDATA. */
int ek_sweep_check(const struct ek_sweep *sweep);
/* Trains the autoencoder that all points share, unless it is finished or lies elsewhere, then does every point:
 * `points` gets one object each, `*failed` is how many failed. A stop ends it (EK_EINTERRUPTED), anything else is told
 * and the rest goes on. */
int ek_do_sweep(cJSON *points, size_t *failed, struct ek_sweep *sweep);
/* Prune, train flow, generate, evaluate: each goes on where it was, or does nothing. */
int ek_do_sweep_point(struct ek_sweep *sweep, const struct ek_sweep_point *point);
/* What would be done, without doing it: points, and the seconds that one of them trains. */
int ek_sweep_plan(cJSON *json, struct ek_sweep *sweep);
/* Seconds that one point trains, by a step of it; NaN, with a message, if that cannot be told. */
double ek_sweep_expected_training(struct ek_sweep *sweep);

#endif
