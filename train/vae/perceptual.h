/*
 * A perceptual loss (Johnson, Alahi, Fei-Fei 2016): the squared difference of features of two images, by the first
 * stages of EfficientNet-Lite0 with the weights that the step "embed" uses. Each stage's difference is divided by the
 * variance of its features over ImageNet, which its batch norm tells, and the stages are averaged, so that unrelated
 * images are about 2 apart.
 */
#ifndef EK_VAE_PERCEPTUAL_H
#define EK_VAE_PERCEPTUAL_H

#include "train/nn/net.h"

struct ek_perceptual;

/* weights: the file of EfficientNet-Lite0, as published. EK_EIO; EK_EDATA naming a tensor that is missing, misshapen or
 * not finite; EK_ENOMEM. */
int ek_perceptual_new(struct ek_perceptual **out, const char *weights);
/* After the nets that it is in. */
void ek_perceptual_free(struct ek_perceptual *p);

/* The layers. made, wanted: [side, side, 3] in -1 … 1, the side at least 8; result: [1, 1, 1] float32. The gradient
 * goes to both images if they want it, to no weight. EK_EUSAGE: the image is too small. */
int ek_perceptual_loss(const struct ek_perceptual *p, struct ek_net *net, int made, int wanted);

#endif
