/*
 * What is measured of generated images: one table of names and words. analysis/quality writes the measures into
 * evaluations/NAME.json, `compare`, `evaluate` and the report tell of them; docs/files.md and docs/evaluation.md list
 * them (a test compares). What each is, and its formula, is in analysis/quality.
 */
#ifndef EK_IO_MEASURES_H
#define EK_IO_MEASURES_H

enum ek_better { EK_BETTER_LOWER = -1, EK_BETTER_NEITHER, EK_BETTER_HIGHER };

/* What a measure depends on beside the images. */
enum { EK_OF_CLUSTERS = 1, EK_OF_TARGET = 2 };

/* In the order of the columns of compare's files. */
enum ek_compared_measure {
	EK_CMP_FD,
	EK_CMP_PRECISION,
	EK_CMP_RECALL,
	EK_CMP_COVERAGE,
	EK_CMP_EXPECTED,
	EK_CMP_WORST,
	EK_CMP_MASS,
	EK_CMP_NEAREST,
	EK_CMP_RATIO,
	EK_CMP_COPIES,
	EK_CMP_FD_INFINITY,
	EK_CMP_KID,
	EK_CMP_INCEPTION,
	EK_CMP_DENSITY,
	EK_CMP_REALISM,
	EK_CMP_VENDI,
	EK_CMP_HIT,
	EK_CMP_COVERAGE_MACRO,
	EK_CMP_NEAREST_MEAN,
	EK_CMP_AUTHENTIC,
	EK_CMP_C_T,
	EK_CMP_DISCREPANCY,
	EK_CMP_VARIATION,
	EK_CMP_KL,
	EK_CMP_IMPACT,
	EK_CMP_WORST_RATIO,
	EK_CMP_DIFFERENCE,
	EK_CMP_AMPLIFICATION,
	EK_CMP_DISPARITY,
	EK_CMP_VENDI_REFERENCE,
	EK_CMP_GROUP_COVERAGE,
	EK_CMP_GROUP_WORST,
	EK_CMP_MEASURES
};

struct ek_comparison_measure {
	const char *name;  /* in CSV, JSON and the evaluation's "spread" */
	const char *label; /* the term */
	const char *path;  /* in the evaluation */
	enum ek_better better;
	int depends;
	const char *head; /* the term at the head of a column; NULL: label */
	/* In the report's table of one evaluation; words NULL: it is not in it. */
	const char *title;    /* plainly; NULL: label */
	const char *words;    /* what it says */
	const char *expected; /* the measure that says what equal distributions would give, or NULL */
	const char *constant; /* or that number, or NULL */
	int is_share;         /* shown there in percent */
};

extern const struct ek_comparison_measure ek_comparison_measures[EK_CMP_MEASURES];

#endif
