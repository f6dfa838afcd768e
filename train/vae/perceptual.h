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

/* weights: the file of EfficientNet-Lite0, as published. side: of images, at least 8. batch: images of a slice.
 * EK_EIO; EK_EDATA naming a tensor that is missing, misshapen or not finite; EK_ENOMEM. */
int ek_perceptual_new(struct ek_perceptual **out, const char *weights, int side, enum ek_nn_precision precision,
                      int batch);
void ek_perceptual_free(struct ek_perceptual *p);

/*
 * On one worker, 0 … ek_threads() - 1.
 *
 * made, wanted: [batch, side, side, 3] float32 in -1 … 1
 * losses:       [batch], out
 * weights:      [batch]: what the gradients are multiplied with; NULL: no gradient is wanted
 * gradient:     [batch, side, side, 3], added to: the gradient with respect to `made`
 */
int ek_perceptual_run(struct ek_perceptual *p, int worker, const float *made, const float *wanted, float *losses,
                      const float *weights, float *gradient);

#endif
