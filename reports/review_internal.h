/* The inside of review.c: a review of labels (review_labels.c). */
#ifndef EK_REPORTS_REVIEW_INTERNAL_H
#define EK_REPORTS_REVIEW_INTERNAL_H

#include "reports/review.h"

void ek_review_labels_free(struct ek_review_labels *labels);
/* As the functions of review.h without "labels". */
int64_t ek_review_labels_index(const struct ek_review *review, uint64_t sample);
int ek_review_labels_image(struct ek_buffer *bytes, char sha256[65], struct ek_review *review, uint64_t sample);
/* `*is` = the image of this number is still that which was judged, and has the label that was. */
int ek_review_labels_fresh(int *is, const struct ek_review_entry *entry, struct ek_review *review);

#endif
