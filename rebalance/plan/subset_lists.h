/* The lists beside a subset's arrays: metadata.jsonl, kept.txt and removed.txt (docs/files.md). */
#ifndef EK_PLAN_SUBSET_LISTS_H
#define EK_PLAN_SUBSET_LISTS_H

#include "rebalance/plan/select.h"

/* Write them into `folder`, in one pass over images.jsonl. `clusters` may have k 0. EK_EIO, EK_EDATA, EK_ENOMEM,
 * EK_EINTERRUPTED. */
int ek_subset_write_lists(const struct ek_run *run, const char *folder, const struct ek_selection *selection,
                          const struct ek_units *clusters);

/* Append a line of kept.txt or removed.txt: the bytes of the name. One with a newline or a carriage return, or that
 * begins with a backslash, is written as sha256sum does: a backslash first, then \n, \r and \\ for these three. */
int ek_subset_append_name(struct ek_buffer *out, const char *name);

#endif
