/* A comparison as a table a person reads. Rows whose `shown` is 0 are left out. */
#ifndef EK_CLI_COMPARE_H
#define EK_CLI_COMPARE_H

#include "rebalance/pipeline/compare.h"

/* shown: [c->count]. Prints to stdout. */
int ek_compare_print(const struct ek_comparison *c, const uint8_t *shown);
/* The one line of a sweep: what the row measured. */
void ek_compare_print_line(const struct ek_comparison_row *row);

#endif
