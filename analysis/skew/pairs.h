/*
 * Two attributes together: how many images have each combination of their values, and which combinations are rare.
 * What is common alone may be rare together, and that no share of a single attribute shows.
 */
#ifndef EK_SKEW_PAIRS_H
#define EK_SKEW_PAIRS_H

#include "analysis/skew/attributes.h"

struct ek_combination {
	size_t first, second; /* values */
	uint64_t count;
	double share;    /* of the images that have both values known */
	double expected; /* images, if the two had nothing to do with each other, > 0 */
};

struct ek_pair {
	uint64_t images;             /* that have a value of both */
	size_t combinations, empty;  /* of values that occur among them; those without an image */
	double gini;                 /* of the combinations' counts; NaN: there is one combination alone */
	struct ek_combination *rare; /* [rare_count] by rising count, then by rising count / expected; owned */
	size_t rare_count;           /* at most as many as asked for */
};

/* n: images. Returns 0, EK_ENOMEM, EK_EINTERRUPTED. Release `*out` in any case. */
int ek_pair_measure(struct ek_pair *out, const struct ek_categories *a, const struct ek_categories *b, uint64_t n,
                    size_t most);
void ek_pair_release(struct ek_pair *pair);

#endif
