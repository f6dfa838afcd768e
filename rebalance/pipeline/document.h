/* JSON documents of a run, found by their pattern in the table of its layout (io/layout.h), for commands to show. */
#ifndef EK_PIPELINE_DOCUMENT_H
#define EK_PIPELINE_DOCUMENT_H

#include "rebalance/io/run.h"

/* `*out` = RUN/pattern with `name` in the place of its "*" (NULL where there is none), to be deleted. EK_EDATA:
 * damaged; EK_EIO, EK_ENOMEM. */
int ek_document_load(cJSON **out, const struct ek_run *run, const char *pattern, const char *name);
/* The same as text, appended. */
int ek_document_read(struct ek_buffer *out, const struct ek_run *run, const char *pattern, const char *name);
/* What each cluster mostly is (clusters.mostly of audit.json), to be deleted; NULL where there is no audit of the
 * clusters as they are now. */
int ek_document_cluster_names(cJSON **out, const struct ek_run *run);
/* The same of each group, in their order: by audit.json, or, before there is an audit of these groups, groups.json. */
int ek_document_group_names(cJSON **out, const struct ek_run *run);

#endif
