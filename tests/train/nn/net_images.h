/* ek_net_backward_images of a case of net_cases.h beside the twin's gradients of each image. */
#ifndef EK_TESTS_NN_NET_IMAGES_H
#define EK_TESTS_NN_NET_IMAGES_H

#include "tests/train/nn/net_cases.h"

/*
 * Squares and products of a slice of NET_IMAGES images, `together` of which are one; low: as in net_subject. Checks
 * that a network which cannot tell them, since two layers share a parameter or the layer is a codebook, says so.
 */
enum { NET_IMAGES = 4 };
void net_images_run(const struct net_case *c, enum ek_nn_precision precision, int low, int together);

/* What a device gives for a case, [2, NET_IMAGES], out; 0 if the network cannot tell. */
int net_images_of(const struct net_case *c, enum ek_nn_precision precision, int together, double *out);

#endif
