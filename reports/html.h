/*
 * Writing HTML: a text that grows, escapes what comes from the data, and remembers its first failure, so that a page
 * is written as a column of plain calls and checked once (`rc`).
 *
 * Text from the data is shown as it is and never means anything to the browser: & < > " ' become references, control
 * characters \xNN, bytes that are not UTF-8 U+FFFD.
 */
#ifndef EK_REPORTS_HTML_H
#define EK_REPORTS_HTML_H

#include <stdint.h>

#include "rebalance/base/memory.h"

struct ek_html {
	struct ek_buffer text;
	int rc; /* 0, or the first failure; nothing is written after it */
};
void ek_html_release(struct ek_html *h);

/* Printf whose format is markup and whose %s are escaped, whatever they hold. Knows %s %d %zu %lu (PRIu64) %f %g with
 * flags and precision, and %%. */
void ek_html(struct ek_html *h, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Markup of our own, as it is. */
void ek_html_raw(struct ek_html *h, const void *bytes, size_t size);
/* Text from the data, escaped. */
void ek_html_text(struct ek_html *h, const char *text, size_t size);
void ek_html_base64(struct ek_html *h, const void *bytes, size_t size);

/* Numbers as people read them. The result is a value: ek_html(h, "%s images", ek_count(n).s). */
struct ek_words {
	char s[64];
};
struct ek_words ek_count(uint64_t n);                      /* 12,345 */
struct ek_words ek_decimal(double x, int places);          /* 1,234.50; "–" if not finite */
struct ek_words ek_percent(double share);                  /* 12.3 %, 0.45 %, < 0.01 %; 0 … 1 in */
struct ek_words ek_percent_whole(double share);            /* 41 %, as in a sentence; below 1.5 % as ek_percent */
struct ek_words ek_percent_range(double low, double high); /* 3.1–4.2 % */
struct ek_words ek_duration(double seconds);               /* 0.4 s, 2 min 5 s, 3 h 10 min */
struct ek_words ek_bytes(uint64_t bytes);                  /* 1.2 GB, in thousands */

#endif
