/*
 * Steps of training without the trainer, as trainer.h says they go: slices over the threads, AdamW.
 */
#ifndef EK_TESTS_VAE_STEPS_H
#define EK_TESTS_VAE_STEPS_H

#include "train/loop/trainer.h"

enum { EK_STEPS_PARTS = 8 };

struct ek_steps {
	const struct ek_task *task;
	struct ek_store *store;
	float *values, *average; /* the store's */
	float *weights;
	double *losses, *parts;
	int64_t *ids;
	int batch, images;
	uint64_t step;
	double rate;
	double loss, part[EK_STEPS_PARTS]; /* means over the last batch */
};

/* ids go round 0 … images - 1. Aborts if something fails. */
void ek_steps_init(struct ek_steps *s, const struct ek_task *task, int batch, int images, double rate, uint64_t seed);
void ek_steps_release(struct ek_steps *s);
/* 0 or the failing call's code. */
int ek_steps_run(struct ek_steps *s, int count);
/* The mean loss of the task's judge over the first `count` slices. */
int ek_steps_judge(struct ek_steps *s, int count, double *loss);

#endif
