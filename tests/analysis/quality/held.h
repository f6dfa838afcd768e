/*
 * How often do 95 % intervals hold the truth? Samples of known shares are drawn over and over, and measured as audits
 * and evaluations do.
 */
#ifndef EK_TESTS_HELD_H
#define EK_TESTS_HELD_H

#include <stddef.h>
#include <stdint.h>

#include "analysis/quality/fairness.h"
#include "analysis/skew/inequality.h"

enum { EK_HELD_MEASURES = EK_INEQUALITY_MEASURES + EK_FAIRNESS_MEASURES + 1 };
/* Of EK_INEQUALITY_MEASURES and EK_FAIRNESS_MEASURES, and, last, "ratio": that of each cluster. */
const char *ek_held_name(int measure);

enum ek_held_shape { EK_HELD_EQUAL, EK_HELD_MILD, EK_HELD_STRONG, EK_HELD_SHAPES };
extern const char *const ek_held_shapes[EK_HELD_SHAPES];

struct ek_held_case {
	enum ek_held_shape shape;
	size_t k;
	uint64_t images;
	int as_data; /* a target that is skewed as the data, not an even one */
	uint32_t runs, resamples;
};

struct ek_held {
	double truth, held;      /* the share of intervals that hold it */
	double corrected;        /* mean of the corrected values */
	double width, unbounded; /* mean width of those that have two ends, and the share of the others */
	double normal;           /* width of a normal interval, 3.92 standard deviations of the plain values */
	int has;                 /* any of the above */
};

void ek_held_run(struct ek_held out[EK_HELD_MEASURES], const struct ek_held_case *c);

#endif
