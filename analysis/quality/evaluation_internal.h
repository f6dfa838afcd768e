/* Inside of evaluation: what its files share. Included by evaluation*.c only. */
#ifndef EK_QUALITY_EVALUATION_INTERNAL_H
#define EK_QUALITY_EVALUATION_INTERNAL_H

#include "analysis/quality/evaluation.h"
#include "analysis/quality/memorisation.h"
#include "analysis/quality/neighbours.h"
#include "analysis/skew/intervals.h"

/* All images of a side are the same one, so that their balls have no size. */
enum { EK_NO_REAL_BALLS = 1, EK_NO_GENERATED_BALLS = 2 };

struct ek_evaluation {
	const struct ek_evaluation_input *in;
	const struct ek_evaluation_options *o;
	cJSON *json, *reasons;
	struct ek_fidelity fidelity;   /* real 0: not measured */
	int no_balls;                  /* EK_NO_REAL_BALLS, EK_NO_GENERATED_BALLS */
	struct ek_memorisation memory; /* generated 0: not measured */
	uint64_t *counts;              /* [clusters] generated images */
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
int ek_evaluation_members(struct ek_rows *out, uint64_t **ids, const struct ek_rows *rows, const int32_t *cluster,
                          int32_t which);

/* Is a cluster one of the small ones: less than half of an even share of the data (skew/inequality.h)? */
int ek_evaluation_in_tail(const struct ek_evaluation *e, uint32_t cluster);

/* The median of values [count], which are sorted; NaN for none. */
double ek_evaluation_median(double *values, uint64_t count);

/* Bootstrap interval of the mean of `scores` [cells], each of which counts[cell] rows have; in [0, most]. */
int ek_evaluation_mean_interval(struct ek_interval *out, const double *scores, const uint64_t *counts, size_t cells,
                                double most, const struct ek_evaluation *e, const char *name);

/* The parts, in the order of the file. */
int ek_evaluate_distribution(struct ek_evaluation *e);
int ek_evaluate_fidelity(struct ek_evaluation *e);
int ek_evaluate_memory(struct ek_evaluation *e);
int ek_evaluate_clusters(struct ek_evaluation *e);
int ek_evaluate_sets(struct ek_evaluation *e);

/* As "coverage" and the others by cluster: [clusters] out, NaN where a cluster has no image of the reference. */
void ek_evaluation_coverage(double *coverage, uint64_t *images, const struct ek_evaluation *e,
                            const struct ek_fidelity *fidelity);

#endif
