/*
 * What reviewers decided on generated images, as the report needs it: RUN/reviews/NAME.jsonl (review_log.h), in the
 * order of the names. Internal to reports/.
 */
#ifndef EK_REPORTS_REVIEWS_H
#define EK_REPORTS_REVIEWS_H

#include "rebalance/io/run.h"
#include "reports/review_log.h"

struct ek_review {
	char *name; /* of the sample set */
	struct ek_review_log log;
};

struct ek_reviews {
	struct ek_review *items;
	size_t count;
};

/* Damaged lines are left out with a warning, as review_log.h says. Release in any case. */
int ek_reviews_load(struct ek_reviews *reviews, const struct ek_run *run);
void ek_reviews_release(struct ek_reviews *reviews);

#endif
