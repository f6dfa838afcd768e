/* The short table a command prints of audit.json. */
#ifndef EK_CLI_SUMMARY_H
#define EK_CLI_SUMMARY_H

#include "rebalance/pipeline/document.h"

/* Print RUN/audit.json: as it is (json 1), or as a table a person reads, with the place of the report. */
int ek_summary_print(const struct ek_run *run, int json);

/* The groups that labels taught, if there are any. */
int ek_summary_print_groups(const struct ek_run *run);
/* Print what run.json says of a step: its counts as a table, or all of it as JSON. */
int ek_summary_print_step(const struct ek_run *run, const char *step, int json);

/* Print a document of the run (document.h) as it is. */
int ek_summary_print_file(const struct ek_run *run, const char *pattern, const char *name);

#endif
