/* Making a report and looking for what is in it. */
#ifndef EK_TESTS_REPORTS_READING_H
#define EK_TESTS_REPORTS_READING_H

#include "rebalance/base/memory.h"
#include "reports/report.h"

/* Make the report of a run and read it. */
void report_of(struct ek_buffer *page, const char *folder, const struct ek_report_options *options);
size_t occurrences(const char *text, const char *what);

/* A file of a run that says something else, and how the page then names it. */
struct damage {
	const char *file, *content, *message;
};
/* One after the other, each mended again: the page is there and names what was left out. */
void assert_left_out(const char *folder, const struct damage *cases, size_t count);
/* The report, the same bytes on 1 and 16 threads. */
void report_of_threads(struct ek_buffer *page, const char *folder);

/* Is the name among those, the last of which is NULL? */
int holds(const char *const *names, const char *name);

#define assert_shows(page, text) assert_true(occurrences((page).data, text) > 0)
#define assert_lacks(page, text) assert_int_equal(occurrences((page).data, text), 0)

#endif
