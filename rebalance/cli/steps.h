/*
 * The steps of the work. A step is a row: how it is prepared (every choice made, so that it is known what it would
 * make) and how it is done. A command names the steps it needs; each runs if what is on disk is not what it would make.
 */
#ifndef EK_CLI_STEPS_H
#define EK_CLI_STEPS_H

#include "rebalance/cli/settings.h"
#include "rebalance/io/run.h"

const char *ek_step_name(enum ek_step_id id);  /* "embed" */
const char *ek_step_title(enum ek_step_id id); /* "Embedding": a heading */

/*
 * Bring the steps (ends with EK_STEP_END) of an open run up to date, in order. Options that the user did not give are
 * those of the last time. Says what it does and why. With settings->common.force the last `forced` steps run even if
 * they are current.
 */
int ek_steps_run(struct ek_run *run, struct ek_settings *settings, struct ek_arguments *arguments,
                 const enum ek_step_id *steps, int forced);

/* Would the step scan list what it listed? `*reason` (of the run, until its next call) says why not. A data set that is
 * away is taken as it was, and so is a run without a scan. */
int ek_steps_scan_is_current(int *current, const char **reason, struct ek_run *run, struct ek_settings *settings,
                             struct ek_arguments *arguments);

#endif
