/* Target shares: a CSV file of units and the share that each is to have. */
#ifndef EK_PLAN_TARGET_H
#define EK_PLAN_TARGET_H

#include "rebalance/plan/units.h"

/*
 * shares: [units->k], out; 0 for units that the file does not name.
 * The file has lines "unit,share"; a first line whose second field is no number is a heading. Shares are >= 0 and sum
 * to 1 within 1e-6, or are divided by their sum if `normalise`.
 *
 * EK_EDATA, with file and line: an unknown unit, one named twice, a share that is no number or negative; another number
 * of fields; shares that do not sum to 1. EK_EIO, EK_ENOMEM.
 */
int ek_target_load(double *shares, const struct ek_units *units, const char *path, int normalise);

#endif
