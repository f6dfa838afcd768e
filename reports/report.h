/*
 * The report: one self-contained HTML page from the files of a run. It is rebuilt from them at any time, and the same
 * files give the same bytes.
 *
 * The page loads nothing from anywhere: its Content-Security-Policy allows its own style, its own script (both by
 * their SHA-256) and pictures written into it, and forbids the rest.
 */
#ifndef EK_REPORTS_REPORT_H
#define EK_REPORTS_REPORT_H

#include <stdint.h>

#include "rebalance/io/run.h"

struct ek_report_options {
	uint64_t picture_bytes; /* of all pictures together, as written into the page; 0: 6,000,000 */
	int times; /* 1: say how long each step took and the memory, which differ from run to run; else run.json has
	              them */
};

/*
 * Write RUN/report.html, atomically. Each chapter appears when the files it needs are there (the table in report.c).
 * An image that can no longer be read leaves an empty frame. The result does not depend on the number of threads.
 * EK_EDATA: there is nothing to report on, or a file of the run is damaged (named). EK_EIO.
 */
int ek_report(struct ek_run *run, const struct ek_report_options *options);

/* The files of RUN a report is made from: fixed ones, there or not; those of every plan, model, sample set,
 * evaluation and review there is; and those of them that the last report was made from and that are gone. Ends with
 * NULL; one block, to be freed. */
int ek_report_inputs(const char ***inputs, const struct ek_run *run);

#endif
