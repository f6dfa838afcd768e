/* What outside.h does of the data set: the steps scan and embed are marked where it has changed. */
#ifndef EK_PIPELINE_OUTSIDE_IMAGES_H
#define EK_PIPELINE_OUTSIDE_IMAGES_H

#include "rebalance/io/run.h"
#include "rebalance/pipeline/steps.h"

/* Looks at every file of the data set, and reads none. */
int ek_outside_check_images(struct ek_run *run, struct ek_steps_options *options);

#endif
