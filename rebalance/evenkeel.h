/*
 * libevenkeel: what a trainer needs of a run directory at run time. Subsets, weights and every other array by pointer,
 * and the sampler: which image comes at position i of epoch e. docs/library.md shows it in C and in Python.
 *
 * A function that can fail returns 0 or a negative evenkeel_code; evenkeel_error() then says why, in one line, for the
 * calling thread. Nothing is printed, nothing is written, no thread is started. Runs are read-only and may be used from
 * several threads once they are open, but for evenkeel_array, evenkeel_subset and evenkeel_weights, which remember what
 * they have mapped. A sampler belongs to one thread; any number may be open on one run.
 */
#ifndef EVENKEEL_H
#define EVENKEEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum evenkeel_code {
	EVENKEEL_OK = 0,
	EVENKEEL_EUSAGE = -1,      /* the caller asked for something that makes no sense */
	EVENKEEL_EDATA = -2,       /* a file is wrong or damaged, or files do not fit each other */
	EVENKEEL_EIO = -3,         /* reading failed, or there is no such file */
	EVENKEEL_ENOMEM = -4,      /* no memory */
	EVENKEEL_ENOTSUP = -5,     /* an array in a form that a C pointer cannot show */
	EVENKEEL_EINTERRUPTED = -6 /* not returned by these functions */
};

/* "0.1.0". */
const char *evenkeel_version(void);

/* The last failure of this thread; never NULL, valid until its next one. */
const char *evenkeel_error(void);

/* A run directory. */
struct evenkeel_run;
int evenkeel_open(struct evenkeel_run **run, const char *path);
/* Pointers from the run are valid until here. Close its samplers first. NULL is fine. */
void evenkeel_close(struct evenkeel_run *run);

/* An array in C order, mapped read-only. */
struct evenkeel_array {
	const void *data;
	const char *type; /* as NumPy calls it: "float32", "int64", … */
	int32_t dimensions;
	uint64_t shape[4];
};

/* Any .npy file of the run, by its path in it: "embeddings.npy", "clusters/assignment.npy". */
int evenkeel_array(struct evenkeel_run *run, const char *file, struct evenkeel_array *array);

/* The ids of RUN/subsets/NAME, in order. */
int evenkeel_subset(struct evenkeel_run *run, const char *name, const int64_t **ids, uint64_t *count);

/* The weight of each image in RUN/weights/NAME; they sum to 1. */
int evenkeel_weights(struct evenkeel_run *run, const char *name, const double **weights, uint64_t *count);

/*
 * The sampler. source: "weights/NAME" or "subsets/NAME". The image at a position of an epoch depends on the seed, the
 * epoch and the position alone. By weights, every unit (cluster, label, …) has its share in every epoch, and an image
 * comes again only when all of its unit have been shown; of a subset, every epoch has each entry once.
 */
struct evenkeel_sampler;
int evenkeel_sampler_open(struct evenkeel_sampler **sampler, struct evenkeel_run *run, const char *source,
                          uint64_t seed);
/* NULL is fine. */
void evenkeel_sampler_close(struct evenkeel_sampler *sampler);

/* Positions of an epoch. */
uint64_t evenkeel_sampler_length(const struct evenkeel_sampler *sampler);

/* The id at one position, or a negative code. */
int64_t evenkeel_sampler_next(struct evenkeel_sampler *sampler, uint64_t epoch, uint64_t position);

/* ids[j] = the id at position first + j stride, j < count: rank r of R takes first r and stride R. Many times as fast
 * as one by one. */
int evenkeel_sampler_draw(struct evenkeel_sampler *sampler, uint64_t epoch, uint64_t first, uint64_t stride,
                          uint64_t count, int64_t *ids);

#ifdef __cplusplus
}
#endif

#endif
