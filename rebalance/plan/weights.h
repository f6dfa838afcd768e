/*
 * Weights: how often each image is to be shown, written to RUN/weights/NAME/ (docs/files.md):
 *
 *	weights.npy   [images] float64, sum 1; 0 for held-out images and those without a value
 *	members.npy   [images in a unit] uint32 (int64 from 2^32 images on), ids unit after unit, each in rising order;
 *	              with it the sampler opens at once, whatever the size
 *	groups.csv    one row a unit, for people
 *	weights.json  what it was made from, and what it does: visits, effective sample size, largest repeat
 *
 * and recorded in run.json as the step "weights NAME", so that stale ones are known. The files take the place of those
 * of before together (folder.h). One pass over the units and two over what is written; files are mapped or streamed,
 * memory is that of the units.
 */
#ifndef EK_PLAN_WEIGHTS_H
#define EK_PLAN_WEIGHTS_H

#include "rebalance/plan/schemes.h"

/* An image shown more often than this in an epoch, in which others are shown once, is warned of: a generator learns
 * such images by heart. A rule of thumb; what really is copied, the memorisation measures tell. */
enum { EK_REPEAT_WARNING = 10 };

struct ek_weights_options {
	const char *name;   /* as of a file */
	const char *scheme; /* schemes.h */
	const char *by;     /* units.h; NULL: not asked */
	double cap;         /* most visits of an image in an epoch, >= 1; 0: no limit */
	int normalise;      /* target shares need not sum to 1 */
	/* Of the scheme "reference": weighs the images of a plan, and a file of the run that its weights are made from.
	 */
	int (*weigh)(void *context, double *w, const struct ek_image_input *in);
	void *context;
	const char *made_from;
	double worth; /* of schemes of single images: the least effective sample size as a share of the images, to which
	                 they are tempered (w^a); 0: 0.5 */
};

struct ek_weights;

/* Make ready: every choice made, nothing done. EK_EUSAGE: a bad name, scheme or cap; EK_EIO: no target file. */
int ek_weights_prepare(struct ek_weights **out, const struct ek_weights_options *options);
void ek_weights_free(struct ek_weights *weights);
/* 1: it weighs single images by the whitened components of the run, which have to be there. */
int ek_weights_need_components(const struct ek_weights *weights);
/* As ek_run_is_current wants it; belongs to `weights`. */
const struct ek_step *ek_weights_step(const struct ek_weights *weights);
/* Do it and record it, unless it is there and current (`*made` 0) and not `force`; the run must be open for writing.
 * Warns of repeats and of units without images.
 * EK_EDATA, EK_EUSAGE, EK_EIO, EK_ENOMEM, EK_EINTERRUPTED. */
int ek_weights_run(int *made, struct ek_weights *weights, struct ek_run *run, int force);

#endif
