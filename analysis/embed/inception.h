/*
 * Inception v3 as pytorch-fid has it (pt_inception-2015-12-05, names of torchvision's Inception3): average pools that
 * leave the padding out of the mean, and a max pool in the last block. Up to pool3, the mean over the last map.
 */
#ifndef EK_EMBED_INCEPTION_H
#define EK_EMBED_INCEPTION_H

#include "analysis/embed/encoder.h"
#include "rebalance/io/npy.h"
#include "train/nets/weights.h"
#include "train/nn/net.h"

enum { EK_INCEPTION_CLASSES = 1008 };

/* Adds the layers to `net`, whose parameters are those of `w`. image: [299, 299, 3] in -1 … 1. Result: a vector of
 * 2048, float32. */
int ek_inception_build(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder);

/* The logits without bias that the Inception score takes (torch-fidelity's logits_unbiased): features times fc.weight
 * of the weight file, in float32, a tile of rows on each thread. The same for any number of threads.
 *
 * out:      [rows, EK_INCEPTION_CLASSES] float32
 * features: [rows, 2048] of the encoder inception-fid, any floating type
 * weights:  the path of its weight file
 *
 * EK_EDATA: other features, or no such tensor in the file. EK_EIO. */
int ek_inception_logits(float *out, const struct ek_npy *features, const char *weights);

#endif
