/* Numbers as people read them: each is written into `out` (32 bytes), which is returned. */
#ifndef EK_BASE_TEXT_H
#define EK_BASE_TEXT_H

#include <stdint.h>

#include "rebalance/base/json.h"

/* Behind a noun: "s", or "" of one: "%s image%s". */
const char *ek_text_s(uint64_t count);

const char *ek_text_count(char out[32], uint64_t count);    /* "1,234,567" */
const char *ek_text_duration(char out[32], double seconds); /* "0.4 s", "46 s", "3 min 20 s", "2 h 5 min" */
const char *ek_text_rate(char out[32], double per_second);  /* "0.53", "42", "1,204" */
const char *ek_text_bytes(char out[32], uint64_t bytes);    /* "512 bytes", "1.5 MB" (powers of 1000) */
const char *ek_text_percent(char out[32], double share);    /* "41 %", "3.2 %", "0.04 %" */

/* A number, or a measure {"value", "corrected", "ci95"}: "0.05", "0.05 (0.04 to 0.06)", "0.05, corrected 0.02 (0 to
 * 0.04)" where that reads as another number, "12 (at least 7.5)" where there is no upper end; into 96 bytes. */
const char *ek_text_measure(char out[96], const cJSON *measure);

/* What something mostly is, the texts of a list: `before`, "frog, 1–20" on one line, `after`; "" of none. */
const char *ek_text_mostly(char out[256], const cJSON *texts, const char *before, const char *after);

/* What the data call something, on one line: ek_one_line of the first 255 bytes, returned. */
const char *ek_text_plain(char out[256], const char *text);

#endif
