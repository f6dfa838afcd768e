/* The lists beside a subset's arrays: metadata.jsonl, kept.txt and removed.txt (docs/files.md). */
#ifndef EK_PLAN_SUBSET_LISTS_H
#define EK_PLAN_SUBSET_LISTS_H

#include "rebalance/plan/select.h"

/* Write them into `folder`, in one pass over images.jsonl. `clusters` may have k 0. EK_EIO, EK_EDATA, EK_ENOMEM,
 * EK_EINTERRUPTED. */
int ek_subset_write_lists(const struct ek_run *run, const char *folder, const struct ek_selection *selection,
                          const struct ek_units *clusters);

#endif
