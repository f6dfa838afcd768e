/* Making a report and looking for what is in it. */
#ifndef EK_TESTS_REPORTS_READING_H
#define EK_TESTS_REPORTS_READING_H

#include "rebalance/base/memory.h"
#include "reports/report.h"

/* Make the report of a run and read it. */
void report_of(struct ek_buffer *page, const char *folder, const struct ek_report_options *options);
size_t occurrences(const char *text, const char *what);

#define assert_shows(page, text) assert_true(occurrences((page).data, text) > 0)
#define assert_lacks(page, text) assert_int_equal(occurrences((page).data, text), 0)

#endif
