/*
 * Joining values side by side.
 */
#ifndef EK_NN_CONCAT_H
#define EK_NN_CONCAT_H

#include "train/nn/graph.h"

enum { EK_NN_CONCAT_MAX = 16 };

/* values: [count], 1 … 16, all images of one height and width (joined over channels) or all tokens of one
 * count (joined over features), in order. EK_EUSAGE. */
int ek_nn_concat(struct ek_nn_graph *g, const int *values, int count);

#endif
