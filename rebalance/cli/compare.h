/* A comparison as a table a person reads, as CSV and as JSON. Rows whose `shown` is 0 are left out. */
#ifndef EK_CLI_COMPARE_H
#define EK_CLI_COMPARE_H

#include "reports/comparison.h"

/* shown: [c->count]. Prints to stdout. */
int ek_compare_print(const struct ek_comparison *c, const uint8_t *shown);
/* The one line of a sweep: what the row measured. */
void ek_compare_print_line(const struct ek_comparison_row *row);

/* One line an evaluation (RFC 4180), of every measure NAME: NAME, NAME_low, NAME_high, NAME_std, NAME_difference,
 * NAME_verdict. Atomic. EK_EIO. */
int ek_compare_write_csv(const struct ek_comparison *c, const uint8_t *shown, const char *path);
/* Prints one document. */
int ek_compare_print_json(const struct ek_comparison *c, const uint8_t *shown);

#endif
