/*
 * The labels of all images as they are after a review of those that were doubted: a CSV of file_name and
 * corrected_label, which scan takes as attributes. A label that is rejected is what it was said to be instead, by the
 * newest of those who reject it and know; nothing where nobody does, so that plans and trainings by corrected_label
 * leave the image out. All others are as they were given. Attributes that the images have stand behind it, since a run
 * has those of one table.
 */
#ifndef EK_PIPELINE_REVIEW_TABLE_H
#define EK_PIPELINE_REVIEW_TABLE_H

#include "reports/review.h"

/* `*changed`: images whose label is another, or none. A file at `path` is only replaced with `force`. EK_EUSAGE: it is
 * there; labels that images.jsonl does not have. EK_EIO. */
int ek_review_table(uint64_t *changed, struct ek_review *review, const struct ek_review_log *log, const char *path,
                    int force);

#endif
