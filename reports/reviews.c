#include "reports/reviews.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/models.h"

int ek_reviews_load(struct ek_reviews *reviews, const struct ek_run *run)
{
	glob_t found = { 0 };
	int rc;

	*reviews = (struct ek_reviews){ 0 };
	EK_TRY(ek_find_named(&found, run, "reviews/*.jsonl"));
	EK_TRY(ek_alloc(&reviews->items, found.gl_pathc, sizeof *reviews->items));
	while (reviews->count < found.gl_pathc) {
		const char *path = found.gl_pathv[reviews->count];
		struct ek_review *review = &reviews->items[reviews->count++];

		EK_TRY(ek_file_stem(&review->name, path));
		EK_TRY(ek_review_log_load(&review->log, path));
	}
out:
	globfree(&found);
	return rc;
}

void ek_reviews_release(struct ek_reviews *reviews)
{
	for (size_t i = 0; i < reviews->count; i++) {
		free(reviews->items[i].name);
		ek_review_log_release(&reviews->items[i].log);
	}
	free(reviews->items);
	*reviews = (struct ek_reviews){ 0 };
}
