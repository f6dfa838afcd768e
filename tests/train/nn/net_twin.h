/* Runs a case of net_cases.h in every mode, on the chosen device, and holds it against the twin. */
#ifndef EK_TESTS_NN_NET_TWIN_H
#define EK_TESTS_NN_NET_TWIN_H

#include "tests/train/nn/net_trial.h"

enum { NET_TWIN_BATCH = 3 };

int net_twin_is_allowed(float got, const struct ref_number *want);
/* How many times the allowed error the largest error is; above 1, or NaN, fails the test. */
double net_twin_compare(const char *name, const float *got, const struct ref_number *want, size_t count);

/* TRAIN against the twin, the same bits from a second run and from RECOMPUTE, and FORWARD, where layers are joined,
 * against the twin. low: as in net_subject. */
void net_twin_run(const struct net_case *c, enum ek_nn_precision precision, int low);

#endif
