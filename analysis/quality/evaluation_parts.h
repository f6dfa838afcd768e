/*
 * The ground that evaluation*.c stand on: what is measured, what is counted of each cluster, and how a number without a
 * value is told of. Internal to quality/.
 */
#ifndef EK_QUALITY_EVALUATION_PARTS_H
#define EK_QUALITY_EVALUATION_PARTS_H

#include "analysis/quality/evaluation_input.h"
#include "analysis/quality/neighbours.h"
#include "analysis/skew/intervals.h"
#include "rebalance/base/json.h"

/* All images of a side are the same one, so that their balls have no size. */
enum { EK_NO_REAL_BALLS = 1, EK_NO_GENERATED_BALLS = 2 };

/* What is counted of a cluster. */
struct ek_evaluation_tally {
	uint64_t reference, covered; /* images of the reference, and those of them in a ball of a generated one */
	uint64_t generated, precise, copies; /* generated images that lie in it, in a ball of a real one, near-copies */
	uint64_t asked, in_own;              /* made for it, and those of them that lie in it */
	int in_tail;                         /* less than half of an even share of the data (skew/inequality.h) */
};

/* The rows of cluster c: rows[first[c]] … rows[first[c + 1] - 1]. */
struct ek_evaluation_order {
	uint64_t *rows, *first;
};

/* An evaluation that is being made. */
struct ek_evaluating {
	const struct ek_evaluation_input *in;
	const struct ek_evaluation_options *o;
	cJSON *json, *reasons;
	struct ek_fidelity fidelity;   /* real 0: not measured */
	int no_balls;                  /* EK_NO_REAL_BALLS, EK_NO_GENERATED_BALLS */
	struct ek_memorisation memory; /* generated 0: not measured */
	/* By cluster, [clusters]; there when all is measured. */
	struct ek_evaluation_tally *tally;
	uint64_t *counts; /* generated images */
	double *training; /* shares of the data */
	double *weights;  /* images of the reference */
	struct ek_evaluation_order generated, reference;
};

/* Add a number; NaN and infinities are null, and need a reason. */
int ek_evaluation_number(cJSON *parent, const char *name, double value);
/* Add a number, or null and why, to `reasons` as GROUP_NAME where other members of the document have the same name. */
int ek_evaluation_grouped(cJSON *parent, cJSON *reasons, const char *group, const char *name, double value,
                          const char *why);
/* Add a null and why, to `reasons`. */
int ek_evaluation_none(cJSON *parent, cJSON *reasons, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The rows first … first + count - 1, or those of a cluster, of a view; `*ids` is to be freed. */
int ek_evaluation_slice(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, uint64_t first,
                        uint64_t count);
int ek_evaluation_members(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows,
                          const struct ek_evaluation_order *order, uint32_t cluster);

/* The median of values [count], which are sorted; NaN for none. */
double ek_evaluation_median(double *values, uint64_t count);

/* Bootstrap interval of the mean of `scores` [cells], each of which counts[cell] rows have; in [0, most]. */
int ek_evaluation_mean_interval(struct ek_interval *out, const double *scores, const uint64_t *counts, size_t cells,
                                double most, const struct ek_evaluating *e, const char *name);

/* Fill what is kept by cluster, in one pass over the rows, from `fidelity` and `memory`. */
int ek_evaluation_count(struct ek_evaluating *e);
void ek_evaluating_release(struct ek_evaluating *e);

/* The covered share of the reference by cluster: [clusters] out, NaN where a cluster has no image of the reference. */
void ek_evaluation_coverage(double *coverage, const struct ek_evaluating *e, const struct ek_fidelity *fidelity);

#endif
