/*
 * Laying out what reviewers accepted: DIR/000017.png …, copies byte for byte, and DIR/metadata.jsonl in the manner of
 * Hugging Face's ImageFolder, a line per image in the order of sample numbers: file_name, sample, seed, cluster, what
 * it was made for (made_for, or null), nearest (id of the nearest real image, or null), nearest_distance, copied,
 * reviewers (who accepted it or are unsure) and, in the same order, their decisions and notes.
 */
#ifndef EK_PIPELINE_REVIEW_EXPORT_H
#define EK_PIPELINE_REVIEW_EXPORT_H

#include "reports/review.h"

/* Write every sample whose outcome is EK_REVIEW_ACCEPTED, whole or not at all (plan/export_folder.h). `name`: of the
 * review. EK_EDATA: none is accepted, or an image has changed since it was judged. EK_EUSAGE, EK_EIO. */
int ek_review_export(uint64_t *images, struct ek_review *review, const struct ek_review_log *log, const char *name,
                     const char *output, int force);

#endif
