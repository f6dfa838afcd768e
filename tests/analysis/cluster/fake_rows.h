/*
 * Rows on a device (train/nn/rows.h) by plain loops of the host, for tests of what is asked of them: pairs come in two
 * calls a row, the last columns first, and some that nobody asked for with them.
 */
#ifndef EK_TESTS_CLUSTER_FAKE_ROWS_H
#define EK_TESTS_CLUSTER_FAKE_ROWS_H

#include "train/nn/rows.h"

/* Squared distances that were measured since. */
uint64_t fake_rows_measured(void);

#endif
