/*
 * Numbers of single images from a model as it is: the loss of each (EL2N of Paul, Ganguli and Dziugaite 2021, with a
 * generator's loss in the place of a classifier's error), the norm of its gradient (GraNd, there), or what MoSo (Tan et
 * al. 2023) takes. Every image is judged at the same draws of what is random about its loss, a grid
 * (train/loop/task.h).
 *
 * An image's numbers depend on the model, the grid and the size of the task's slices, not on the other images or the
 * number of threads.
 */
#ifndef EK_SCORE_PASS_H
#define EK_SCORE_PASS_H

#include "train/loop/task.h"

enum ek_score_of {
	EK_SCORE_LOSS, /* l_d at each draw */
	EK_SCORE_NORM, /* |g_d|, g_d the gradient of l_d; the net is one for images (net.h) */
	EK_SCORE_MOSO  /* the same net; g the gradient of the mean over draws; slices are a multiple of the draws */
};

struct ek_score_pass {
	const struct ek_task *task; /* its first net is loaded with what is judged */
	struct ek_grid grid;
	enum ek_score_of of;
	const unsigned char *counts;      /* of a norm: parameters that count (net.h), or NULL: all */
	const struct ek_store *direction; /* of MoSo: its EK_FIRST is the direction */
};

/* What an image comes to: the sum over draws, and that of the squares; or, for MoSo, <direction, g> and |g|^2. */
struct ek_score_sums {
	double first, second;
};

/*
 * sums: [count], out, of images ids[0 … count - 1]. A number that is not finite stays as it is. EK_EINTERRUPTED within
 * a slice; what the task's fill returns.
 */
int ek_score_images(const struct ek_score_pass *pass, const int64_t *ids, uint64_t count, struct ek_score_sums *sums);

/*
 * Add to `sum` [params->size] the gradients of images ids[0 … count - 1], of the mean over draws each, summed over the
 * images: in double, by blocks of EK_SCORE_BLOCK slices whose own sums are float32. store: over the task's table; its
 * gradients are used. The sum is the same whatever the threads; calls with counts that end blocks add up to the same
 * bytes as one.
 */
enum { EK_SCORE_BLOCK = 64 };
int ek_score_gradient(const struct ek_score_pass *pass, const int64_t *ids, uint64_t count, struct ek_store *store,
                      double *sum);

#endif
