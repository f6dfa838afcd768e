/*
 * Embeddings of other encoders: when another encoder takes the place of embeddings.npy, the old one stays as
 * embeddings-ENCODER.npy, so that the clusters can be compared across encoders (stability).
 */
#ifndef EK_PIPELINE_OTHER_ENCODERS_H
#define EK_PIPELINE_OTHER_ENCODERS_H

#include "rebalance/io/run.h"

/* Before the step "embed" runs: put aside what is there if it was made from the same images with another encoder than
 * `encoder`; remove what was put aside if the images have changed since. EK_EIO. */
int ek_other_encoders_keep(struct ek_run *run, const char *encoder);

#endif
