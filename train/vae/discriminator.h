/*
 * A discriminator of patches (Isola et al. 2017, PatchGAN), as VQGAN uses it, with group norms in place of batch norms:
 * convolutions of kernel 4, the first `layers` of stride 2, leaky ReLUs of slope 0.2, one number for each patch.
 */
#ifndef EK_VAE_DISCRIMINATOR_H
#define EK_VAE_DISCRIMINATOR_H

#include "train/nn/net.h"

struct ek_discriminator_options {
	int channels; /* of images */
	int width;    /* channels after the first layer, doubled up to 8 times; a multiple of 4 */
	int layers;   /* of stride 2: 1 … 6 */
};

/* Append the parameters "discriminator.…", started as VQGAN's: normal(0, 0.02). EK_EUSAGE. */
int ek_discriminator_params(struct ek_params *params, const struct ek_discriminator_options *options);
/* The layers; result [patches, patches, 1] float32: above 0 for what looks real. EK_EUSAGE: the image is too small. */
int ek_discriminator_layers(struct ek_net *net, const struct ek_params *params,
                            const struct ek_discriminator_options *options, int image);

#endif
