/* All layers of a graph, for code that builds networks. */
#ifndef EK_NN_LAYERS_H
#define EK_NN_LAYERS_H

#include "train/nn/attention.h"
#include "train/nn/concat.h"
#include "train/nn/conv.h"
#include "train/nn/graph.h"
#include "train/nn/linear.h"
#include "train/nn/norm.h"
#include "train/nn/pool.h"
#include "train/nn/tokens.h"

#endif
