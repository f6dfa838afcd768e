/*
 * What an evaluation is made from (evaluation.h).
 */
#ifndef EK_QUALITY_EVALUATION_INPUT_H
#define EK_QUALITY_EVALUATION_INPUT_H

#include "analysis/cluster/rows.h"
#include "analysis/quality/gaussian.h"
#include "analysis/quality/memorisation.h"

/* Some of the generated rows: those of one sampling seed. */
struct ek_evaluation_set {
	const char *name;
	uint64_t first, count;
};

/* Groups that have names, to each of which an image belongs with a probability. */
struct ek_evaluation_groups {
	uint32_t count;
	char *const *names;
	const float *generated; /* [generated.count, count] */
	const float *reference; /* [reference.count, count], or NULL: there are no rows */
	const double *training; /* [count] shares of the training images */
};

struct ek_evaluation_input {
	struct ek_rows generated;
	const int32_t *generated_cluster; /* [generated.count] 0 … clusters - 1 */
	const int32_t *asked;             /* [generated.count] the cluster it was made for, -1: for none; NULL: none */
	const struct ek_evaluation_set *sets; /* [set_count] in order, together all of `generated` */
	size_t set_count;

	struct ek_rows reference; /* count 0: there are no rows, `no_reference` says why */
	const int32_t *reference_cluster;
	const char *no_reference;
	const struct ek_gaussian *statistics; /* the Fréchet distance is measured to these instead; or NULL */

	struct ek_rows training;              /* what the model saw, in the space of the others; count 0: not known */
	const struct ek_closeness *closeness; /* of the generated to `training`, or NULL: measured here */
	struct ek_rows held_out;              /* real images that it did not see; count 0: there are none */
	const char *no_training;              /* count 0: why */
	struct ek_rows logits;                /* of FID-Inception, of the generated; count 0: `no_logits` says why */
	const char *no_logits;

	uint32_t clusters;
	const double *target;                      /* [clusters] wanted shares, sum 1 */
	const uint64_t *training_counts;           /* [clusters] of the data that the clusters were frozen on */
	const struct ek_evaluation_groups *groups; /* or NULL: nothing is told by group */
};

struct ek_evaluation_options {
	size_t k;
	int closed;       /* a point on the sphere is inside (neighbours.h) */
	uint32_t subsets; /* of the kernel distance */
	uint64_t subset_size;
	uint32_t resamples; /* of the bootstrap */
	uint64_t seed;
	const double *orders; /* [order_count] of Vendi scores beside the first */
	size_t order_count;
};
#define EK_EVALUATION_DEFAULT                                                                                          \
	{                                                                                                              \
		.k = 5, .subsets = 100, .subset_size = 1000, .resamples = 1000                                         \
	}

/* Fewer images than this on a side give a cluster no kernel distance. */
enum { EK_EVALUATION_KERNEL_LEAST = 50, EK_EVALUATION_COPIES_MOST = 100 };

#endif
