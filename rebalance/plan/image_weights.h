/*
 * Weights of single images: schemes that look at where each image lies (design.h) instead of counting units.
 *
 * The sampler deals units (sampler.h), so images of nearly the same weight are one: a level, whose images are all shown
 * as often as they are on average. Levels are EK_LEVEL_RATIO apart, so that no weight is off by more than half of that.
 */
#ifndef EK_PLAN_IMAGE_WEIGHTS_H
#define EK_PLAN_IMAGE_WEIGHTS_H

#include "rebalance/plan/units.h"

#define EK_LEVEL_RATIO 1.0218971486541166 /* 2^(1/32) */
/* Components that a design is over, at most; there are at least EK_IMAGES_PER_COMPONENT images for each. */
enum { EK_DESIGN_COMPONENTS = 128, EK_IMAGES_PER_COMPONENT = 10 };

/* The images of a plan, and how they are to be weighed. */
struct ek_image_input {
	const struct ek_run *run;
	const uint64_t *ids; /* [count] */
	uint64_t count;
	/* Of the scheme "reference". */
	int (*weigh)(void *context, double *w, const struct ek_image_input *in);
	void *context;
};

/* Each fills w [in->count] with relative weights. EK_EDATA: too few images, no components; EK_EIO, EK_ENOMEM. */
int ek_image_weights_design(double *w, const struct ek_image_input *in);
int ek_image_weights_vendi(double *w, const struct ek_image_input *in);
/* By the tree of the images (analysis/cluster/linkage.h): fine clusters (fine.h), average linkage of their centroids,
 * the weights of that tree, each shared among the images of its cluster; the geometric mean of two, over all components
 * and over the first half of them, so that neither number decides. No number of groups is asked for: images that lie
 * together share what an image by itself gets. */
int ek_image_weights_tree(double *w, const struct ek_image_input *in);
/* Tree and design together: the geometric mean of the two trees' weights and those of the design. Trees see groups that
 * lie apart, a design the directions in which images differ; which of them a skew is along, nobody knows. */
int ek_image_weights_blend(double *w, const struct ek_image_input *in);
/* Both of components x [n, k]; seed: of where the fine clusters begin, 0 for plans. */
int ek_tree_weights(double *w, const float *x, uint64_t n, size_t k, uint64_t seed);
int ek_blend_weights(double *w, const float *x, uint64_t n, size_t k, uint64_t seed);

/* So that every group that labels taught (clusters/membership.npy) is shown alike: raking (Deming and Stephan 1940) by
 * probabilities, w <- w · sum over groups of q / (groups · share), share = sum of w q / sum of w, from w = 1 on, and
 * five rounds more: the first alone gives sum of q / share, which leaves what a few labels are unsure of too even; many
 * more follow the noise of the probabilities (docs/recovery.md). EK_EDATA: not so many groups. */
int ek_image_weights_groups(double *w, const struct ek_image_input *in, uint32_t groups);

/* Ids of the images that are in a unit, to be freed. */
int ek_image_ids(uint64_t **ids, uint64_t *count, const struct ek_units *units);

/* Levels of weights w [all->total], in the order of ids: `levels` to be released, *visits [levels->k] to be freed, mean
 * over images 1. Images that are in no unit of `all` are in none of `levels`. */
int ek_levels_of(struct ek_units *levels, double **visits, const struct ek_units *all, const double *w);

#endif
