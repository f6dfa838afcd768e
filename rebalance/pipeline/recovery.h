/*
 * Balance recovery of weights against labels that they did not see (docs/recovery.md): R = (H(w) - H) / (H(labels) -
 * H), H the normalised entropy of the shares of the values, as they are, under the weights, and under weights inverse
 * to the values' sizes. 0: nothing mended, 1: as good as the labels of all images, below 0: worse than before.
 */
#ifndef EK_PIPELINE_RECOVERY_H
#define EK_PIPELINE_RECOVERY_H

#include "rebalance/io/run.h"

/* Of RUN/weights/NAME against `by` (plan/units.h). NaN where the values are even, or there is one. EK_EDATA, EK_EIO. */
int ek_balance_recovery(double *recovery, const struct ek_run *run, const char *name, const char *by);

#endif
