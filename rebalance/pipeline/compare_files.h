/* A comparison (reports/comparison.h) as CSV and as JSON. Rows whose `shown`, [c->count], is 0 are left out. */
#ifndef EK_PIPELINE_COMPARE_FILES_H
#define EK_PIPELINE_COMPARE_FILES_H

#include "reports/comparison.h"

/* One line an evaluation (RFC 4180), of every measure NAME: NAME, NAME_low, NAME_high, NAME_std, NAME_difference,
 * NAME_verdict. Atomic. EK_EIO. */
int ek_compare_write_csv(const struct ek_comparison *c, const uint8_t *shown, const char *path);
/* `*out` = a new document, to be deleted, also after a failure. EK_ENOMEM. */
int ek_compare_json(cJSON **out, const struct ek_comparison *c, const uint8_t *shown);

#endif
