/*
 * What reviewers decided on generated images, as the report needs it: RUN/reviews/NAME.jsonl (review_log.h), in the
 * order of the names. Internal to reports/.
 */
#ifndef EK_REPORTS_REVIEWS_H
#define EK_REPORTS_REVIEWS_H

#include "reports/review_log.h"
#include "reports/sample_sets.h"

struct ek_reviewed {
	char *name; /* of the sample set */
	struct ek_review_log log;
	uint64_t stale;   /* decisions that do not count: on images made anew since, or gone */
	int32_t *cluster; /* [count of the set] that each image lies in; NULL: not known */
};

struct ek_reviews {
	struct ek_reviewed *items;
	size_t count;
};

/* The first `full` are read. Damaged lines are left out with a warning, as review_log.h says. A damaged
 * assignment.npy of the samples is not known, and in `left_out` (ek_leave_out). Release in any case. */
int ek_reviews_load(struct ek_reviews *reviews, struct ek_buffer *left_out, const struct ek_run *run,
                    const struct ek_sample_sets *sets, size_t full);
void ek_reviews_release(struct ek_reviews *reviews);

#endif
