/*
 * Sets of features whose skew is known, because it was planted, and the word that an audit of them gets.
 *
 * 64 components with variances like those of an encoder's features: j^-0.73 (EfficientNet-Lite0 on CIFAR-10), or
 * j^-1.06 (the same on UTKFace). A group is a Gaussian of these variances about a centre, whose own coordinates are
 * drawn from `separation` times them; an image's distance from its centre varies by exp(0.13 normal). Measured on those
 * components, classes of CIFAR-10 have a separation of about 0.2, races of UTKFace of 0.04, and encoders that know
 * the classes 1 and more.
 */
#ifndef EK_TESTS_CLUSTER_PLANTED_H
#define EK_TESTS_CLUSTER_PLANTED_H

#include <stdint.h>

#include "analysis/skew/finding.h"

enum ek_planted_shape {
	EK_PLANTED_GAUSSIAN,
	EK_PLANTED_LAPLACE,     /* each component with heavy tails */
	EK_PLANTED_EXPONENTIAL, /* each component with one heavy tail */
	EK_PLANTED_HEAVY        /* distances from the centre vary by exp(0.4 normal) */
};

struct ek_planted {
	const char *name;
	enum ek_planted_shape shape;
	double slope;      /* of the variances */
	double separation; /* of the centres; 0: no groups */
	int groups;        /* 1: one class */
	double ratio;      /* largest group to smallest, sizes falling by equal factors */
	uint64_t n;
};

struct ek_planted_finding {
	enum ek_finding finding;
	uint32_t k;             /* the default number of clusters */
	double stability, gini; /* of the clusters */
	double chance;          /* Gini coefficient of clusters without structure */
	uint32_t populations;
	double agreement, excess; /* of the populations */
	struct ek_interval interval;
};

/* Plant, choose the default number of clusters, cluster, repeat with 5 other seeds, measure the null: as an audit does,
 * in the step cluster, stability and audit. */
void ek_planted_find(struct ek_planted_finding *out, const struct ek_planted *planted, uint64_t seed);

/* Gini coefficient of the groups' shares as ten labels of each tell them: a probe on the components whitened by their
 * spread, its probabilities corrected, as `cluster --labels` does without views. */
double ek_planted_by_labels(const struct ek_planted *planted, uint64_t seed);

#endif
