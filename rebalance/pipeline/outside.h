/*
 * What recorded steps were made from that does not show in the files that run.json knows: the images behind features,
 * how far a model is trained, the weights of an autoencoder, tables and labels that lie elsewhere;
 * of the data set see outside_images.h. A step of which any of it has changed is marked (ek_run_set_stale), and what
 * was made from it is stale by that, so that `info` and the report tell. What is away cannot have changed.
 */
#ifndef EK_PIPELINE_OUTSIDE_H
#define EK_PIPELINE_OUTSIDE_H

#include "rebalance/io/run.h"

/* All but latents. Reads what it looks at, to hash it. */
int ek_outside_check(struct ek_run *run);
/* Latents. Reads the weights of their autoencoders. */
int ek_outside_check_latents(struct ek_run *run);

/* A file of labels, words, shares or embeddings that a recorded step was made from and that is not there any more:
 * while it is away, that step cannot be done again. NULL: there is none. Belongs to the step. */
const char *ek_outside_missing(const cJSON *step);

#endif
