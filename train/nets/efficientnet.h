/*
 * EfficientNet-Lite0 (TensorFlow's models/official/efficientnet/lite; names of PyPI's efficientnet-lite-pytorch):
 * stem, 16 inverted bottlenecks in seven stages without squeeze-excitation, ReLU6, TensorFlow's SAME padding for the
 * side at hand, head. Its first stages serve a perceptual loss, all of it embedding.
 */
#ifndef EK_NETS_EFFICIENTNET_H
#define EK_NETS_EFFICIENTNET_H

#include "train/nets/weights.h"
#include "train/nn/net.h"

enum { EK_EFFICIENTNET_STAGES = 7, EK_EFFICIENTNET_PARTS = 50 };

struct ek_efficientnet {
	int stages; /* the first ones; all seven: with the head */
	int exact;  /* the stem and so many blocks stay in float32 in a bf16 net */
	int kept;   /* 1: all are convolutions (struct ek_net_conv), as the features always were */
	int weights[EK_EFFICIENTNET_PARTS]; /* of each convolution, the bias is the next parameter; 0 is the stem's */
	double variances[EK_EFFICIENTNET_STAGES]; /* of a stage's last convolution over ImageNet, as its norm tells */
};

/*
 * Take the parameters of `e->stages` stages, batch norms folded.
 *
 * `rounded`: the weights will be used as bfloat16 but for `e->exact` blocks, and biases are to make up for what that
 * does to the mean result. Rounding errors of the first layers pass through all others and are most of the error of the
 * features, so these should be exact. Of the rest, the error that all pixels share matters most, since the mean over
 * pixels does not lessen it: that of the rounded weights on the mean input, which the batch norms tell.
 * With 3 exact blocks, cosine of the mean features to float32, least / 0.1 % / median: 10,000 images of CIFAR-10 at
 * side 128 0.9995 / 0.9996 / 0.99992, 5,000 of Fashion-MNIST at 128 0.9996 / 0.9997 / 0.99993, 6,000 of UTKFace at 224
 * 0.9998 / 0.9999 / 0.99996, 150 photographs at 224 0.9999 / 0.9999 / 0.99996. With 2 blocks and without the biases, 3
 * of 4,083 of CIFAR-10 were below 0.999.
 */
int ek_efficientnet_take(struct ek_efficientnet *e, struct ek_weights *w, int rounded);

/* The layers. image: [side, side, 3], (pixel - 127) / 128. features: [EK_EFFICIENTNET_STAGES], out, the result of each
 * stage; NULL: not wanted. Returns the last value: with all stages the head's, [h, w, 1280]. */
int ek_efficientnet_layers(const struct ek_efficientnet *e, struct ek_net *net, int image, int *features);

#endif
