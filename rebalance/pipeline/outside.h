/*
 * What recorded steps were made from that does not show in the files that run.json knows: the images behind features,
 * how far a model is trained, the weights of an autoencoder, tables that evaluations measured or that labels are from;
 * of the data set see outside_images.h. A step of which any of it has changed is marked (ek_run_set_stale), and what
 * was made from it is stale by that, so that `info` and the report tell. What is away cannot have changed.
 */
#ifndef EK_PIPELINE_OUTSIDE_H
#define EK_PIPELINE_OUTSIDE_H

#include "rebalance/io/run.h"

/* Samples, features, evaluations and scores. Reads embeddings, to hash them. */
int ek_outside_check_evaluations(struct ek_run *run);
/* Latents. Reads the weights of their autoencoders. */
int ek_outside_check_latents(struct ek_run *run);

#endif
