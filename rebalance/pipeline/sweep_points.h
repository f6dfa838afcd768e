/* The points of a sweep: all images, and every method of prune with every fraction. */
#ifndef EK_PIPELINE_SWEEP_POINTS_H
#define EK_PIPELINE_SWEEP_POINTS_H

#include <stddef.h>
#include <stdint.h>

struct ek_sweep_point {
	char *name;   /* of its subset, model, samples and evaluation: "sweep-furthest-0.25" */
	char *label;  /* "furthest 0.25" */
	char *method; /* of prune; NULL: all images */
	char *order;  /* of a score: "high", "low", "middle"; or NULL */
	/* A method of score that makes the scores of `method`, NULL: they are there, or none are needed. */
	const char *scored_by;
	double keep;
};

struct ek_sweep_points {
	struct ek_sweep_point *items;
	size_t count;
	char *scorer; /* PREFIX-scorer: the generator that scores are made by */
};

/*
 * All images, then every method with every fraction, each once; a fraction of 1 is the first. methods: of prune, with
 * commas; "score:NAME:high" keeps that end of RUN/scores/NAME.npy. Where NAME is a method of score, what is hard
 * is kept unless an end is said; scores that need a generator, "score:grand", are then the sweep's own, PREFIX-grand,
 * unless RUN/scores/grand.npy is there. "inverse" is low. EK_EUSAGE names what is wrong.
 */
int ek_sweep_points_make(struct ek_sweep_points *points, const char *run, const char *prefix, const char *methods,
                         const char *keeps);
void ek_sweep_points_release(struct ek_sweep_points *points);

/* What a sweep of the run (a path) has done: 1: the evaluation of a point is there. */
int ek_sweep_is_evaluated(const char *run, const char *name);
/* `*steps`: after how many the samples of a point were drawn, or, where there are none, what it was trained for if that
 * is more than `most`; 0: neither. */
int ek_sweep_steps_before(uint64_t *steps, const char *run, const char *name, uint64_t most);
/* 1 if train flow would find no autoencoder of this name, neither a finished model of the run nor a folder. */
int ek_sweep_lacks_autoencoder(const char *run, const char *name);

#endif
