/*
 * EfficientNet-Lite0 (TensorFlow's models/official/efficientnet/lite; names of PyPI's efficientnet-lite-pytorch):
 * stem, 16 inverted bottlenecks without squeeze-excitation, ReLU6, TensorFlow's SAME padding for the side at hand,
 * head, mean over the last map.
 */
#ifndef EK_EMBED_EFFICIENTNET_H
#define EK_EMBED_EFFICIENTNET_H

#include "analysis/embed/network.h"

/* image: [3, side, side]. Result: one token of 1280. */
int ek_efficientnet_build(struct ek_network *n, int image);

#endif
