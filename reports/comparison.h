/*
 * The evaluations of one run, or of several, side by side: a row each, its differences to a baseline, and whether they
 * are more than the spread. `compare` prints it and the report draws it. It reads RUN/evaluations/NAME.json
 * (docs/files.md) and, for what they are of, subset.json of its subset and config.json of its model and samples.
 *
 * A difference a − b is more than the spread when 0 lies outside its 95 % interval:
 *  - both over seeds (n ≥ 2 sample sets each): Welch's interval, the t quantile at the degrees of freedom rounded down;
 *  - otherwise from the two intervals [l, u] that there are (the evaluation's, or mean ± t s / sqrt(n)):
 *    d − sqrt((a − l_a)² + (u_b − b)²) … d + sqrt((u_a − a)² + (b − l_b)²) (Newcombe 1998; Zou and Donner 2008);
 *  - where one of them has neither, it is not known.
 * Seeds of sampling say nothing about another training with another seed. Nothing else in reports/ or cli/ judges a
 * difference of two evaluations: who tells of one asks ek_comparison_verdict, and takes the words for it from here.
 *
 * Like is compared with like: encoder, generated images, k and reference must be the same, and for what depends on
 * them the clusters and the target shares.
 */
#ifndef EK_REPORTS_COMPARISON_H
#define EK_REPORTS_COMPARISON_H

#include "rebalance/io/measures.h"
#include "rebalance/io/run.h"

enum ek_difference {
	EK_DIFFERENCE_NONE,    /* the baseline itself, or a value is missing */
	EK_DIFFERENCE_WITHIN,  /* not more than the spread */
	EK_DIFFERENCE_BEYOND,  /* more */
	EK_DIFFERENCE_UNKNOWN, /* no spread is known */
	EK_DIFFERENCE_UNLIKE   /* measured against other clusters or target shares */
};
extern const char *const ek_difference_names[];
/* "more than chance makes", to end a sentence on a difference; "" for NONE and UNLIKE. */
extern const char *const ek_difference_words[];

struct ek_compared {
	double value, low, high; /* interval NaN if none */
	double deviation;        /* over seeds; NaN if none */
	uint64_t seeds;
	double difference; /* NaN where there is none */
	enum ek_difference verdict;
};

/* In the order of rows. */
enum ek_trained {
	EK_TRAINED_NATURAL,
	EK_TRAINED_WEIGHTED,
	EK_TRAINED_BALANCED,
	EK_TRAINED_PRUNED,
	EK_TRAINED_ELSEWHERE
};

enum { EK_CMP_KEYS = 5 };

struct ek_comparison_row {
	char *run, *name;
	cJSON *json;
	enum ek_trained trained;
	char *series; /* "natural", "weighted", "balanced", "furthest", "score:grand high" */
	char *label;  /* "furthest 0.25" */
	double keep;  /* share of the images trained on; NaN if it is not known */
	uint64_t generated, training_images, reference_images, k;
	int64_t worst_cluster; /* −1: none */
	struct ek_compared values[EK_CMP_MEASURES];
	/* What must be the same, in words: encoder, generated images, k, reference, images of the run. */
	char *keys[EK_CMP_KEYS];
	char *clusters;                           /* which they are */
	const struct ek_comparison_row *baseline; /* itself, or NULL: there is none */
	char *unlike;                             /* why it is not compared, in words; NULL: it is */
	/* How it was made: network, training, sampling, from the model's and the samples' config.json. */
	cJSON *how;
	double steps; /* of training, of the model that drew the samples; NaN: not known */
	char *note;   /* what of that is not as at the baseline, in words, or NULL */
};

struct ek_comparison {
	struct ek_comparison_row *rows;
	size_t count, room;
};

/* Add the evaluations of a run that is open. EK_EDATA: one is damaged (file and member are named), unless `odd` is
 * given: then those are left out and counted. */
int ek_comparison_add(struct ek_comparison *c, const struct ek_run *run, size_t *odd);
/* Add one of them, by its path. */
int ek_comparison_add_file(struct ek_comparison *c, const struct ek_run *run, const char *path);
/* Order the rows, give each its baseline (that of the name, or the run's natural model, or another run's) and the
 * differences to it. baseline: NULL or a name. EK_EUSAGE: no evaluation has it. */
int ek_comparison_finish(struct ek_comparison *c, const char *baseline);
/* Compare one row with another, before or without ek_comparison_finish; once a row. */
int ek_comparison_against(struct ek_comparison_row *row, const struct ek_comparison_row *baseline);
void ek_comparison_release(struct ek_comparison *c);

/* 1 if the values of two rows are measured in the same way: what `keys` names is the same. */
int ek_comparison_alike(const struct ek_comparison_row *a, const struct ek_comparison_row *b);
/* 1 if the models of two rows are known to be trained for different numbers of steps: what differs between them may
 * come of that as well as of what they were shown. */
int ek_comparison_unequal(const struct ek_comparison_row *a, const struct ek_comparison_row *b);
/* 1 if two rows belong into one picture: measured in the same way, with the same baseline, made as that was. */
int ek_comparison_together(const struct ek_comparison_row *a, const struct ek_comparison_row *b);

/* Of a named group in the evaluation of a row: its coverage and its share of what is generated, with their intervals;
 * 0: the evaluation tells nothing of it. */
int ek_comparison_group(struct ek_compared *coverage, struct ek_compared *share, const struct ek_comparison_row *row,
                        const char *group);

/* How far the 95 % interval of a value, over seeds or its own, reaches below and above it; 0: it has none. */
int ek_comparison_reach(double *below, double *above, const struct ek_compared *v);
/* The 95 % interval of a.value − b.value, by the rules above; 0: it has none. */
int ek_comparison_interval(double *low, double *high, const struct ek_compared *a, const struct ek_compared *b);
/* The verdict on that difference. */
enum ek_difference ek_comparison_verdict(const struct ek_compared *a, const struct ek_compared *b);

/* `*inverse` = the method that keeps what `series` removes ("nearest" of "furthest"), to be freed; NULL: it has none.
 */
int ek_comparison_inverse(char **inverse, const char *series);
/* 1 for the random baselines of pruning. */
int ek_comparison_is_random(const char *series);

#endif
