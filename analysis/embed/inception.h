/*
 * Inception v3 as pytorch-fid has it (pt_inception-2015-12-05, names of torchvision's Inception3): average pools that
 * leave the padding out of the mean, and a max pool in the last block. Up to pool3, the mean over the last map.
 */
#ifndef EK_EMBED_INCEPTION_H
#define EK_EMBED_INCEPTION_H

#include "analysis/embed/network.h"

/* image: [3, 299, 299] in -1 … 1. Result: one token of 2048. */
int ek_inception_build(struct ek_network *n, int image);

#endif
