/* Minimising a smooth convex function of many variables: limited-memory BFGS (Nocedal 1980; Liu and Nocedal 1989), 10
 * pairs, backtracking to sufficient decrease (Armijo). One thread; the same bytes everywhere. */
#ifndef EK_CLUSTER_LBFGS_H
#define EK_CLUSTER_LBFGS_H

#include <stddef.h>

/* x: [n] where it starts, and where it ended. value(context, x, gradient) returns the value and fills gradient [n].
 * Ends when no entry of the gradient is above `tolerance`, when no step lowers the value, or after `rounds`.
 * EK_ENOMEM, EK_EINTERRUPTED. */
int ek_lbfgs(double *x, size_t n, double (*value)(void *context, const double *x, double *gradient), void *context,
             int rounds, double tolerance);

#endif
