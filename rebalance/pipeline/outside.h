/*
 * What recorded steps were made from that lies outside of the files that run.json knows: images and tables that
 * evaluations measured, the images behind a run's samples, the data set. A step of which any of it has changed is
 * marked (ek_run_set_stale), so that `info` and the report tell. What is away cannot have changed.
 */
#ifndef EK_PIPELINE_OUTSIDE_H
#define EK_PIPELINE_OUTSIDE_H

#include "rebalance/pipeline/steps.h"
#include "rebalance/io/run.h"

/* The steps scan and embed. Looks at every file of the data set, and reads none. */
int ek_outside_check_images(struct ek_run *run, struct ek_steps_options *options);
/* Evaluations, and comparisons of samples. Reads embeddings, to hash them. */
int ek_outside_check_evaluations(struct ek_run *run);

#endif
