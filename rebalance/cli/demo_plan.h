/* The second half of `evenkeel demo`: from the audit to a balanced subset and a sampler. */
#ifndef EK_CLI_DEMO_PLAN_H
#define EK_CLI_DEMO_PLAN_H

#include "rebalance/pipeline/document.h"

/* Make RUN/subsets/balanced and RUN/weights/inverse, as the commands do, unless they are current and not `force`. */
int ek_demo_plan(struct ek_run *run, uint64_t seed, int force);
/* Make RUN/weights/without-labels and ten-labels, once the groups that ten labels a class teach are there. */
int ek_demo_mend(struct ek_run *run, int force);
/* What they changed, for the smallest clusters and for the hidden `attribute`, a sentence each; and how much of its
 * skew each way mended. */
int ek_demo_plan_print(const struct ek_run *run, const char *attribute);

#endif
