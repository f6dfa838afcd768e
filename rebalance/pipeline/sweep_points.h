/* The points of a sweep: all images, and every method of prune with every fraction. */
#ifndef EK_PIPELINE_SWEEP_POINTS_H
#define EK_PIPELINE_SWEEP_POINTS_H

#include <stddef.h>

struct ek_sweep_point {
	char *name;   /* of its subset, model, samples and evaluation: "sweep-furthest-0.25" */
	char *label;  /* "furthest 0.25" */
	char *method; /* of prune; NULL: all images */
	char *order;  /* of a score: "high", "low", "middle"; or NULL */
	double keep;
};

struct ek_sweep_points {
	struct ek_sweep_point *items;
	size_t count;
};

/* All images, then every method with every fraction, each once; a fraction of 1 is the first. methods: of prune, with
 * commas; "score:NAME:high" keeps that end of RUN/scores/NAME.npy. EK_EUSAGE names what is wrong. */
int ek_sweep_points_make(struct ek_sweep_points *points, const char *prefix, const char *methods, const char *keeps);
void ek_sweep_points_release(struct ek_sweep_points *points);

#endif
