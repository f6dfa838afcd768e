/*
 * Between images and tokens: patches, class tokens, positions, picking and averaging.
 */
#ifndef EK_NN_TOKENS_H
#define EK_NN_TOKENS_H

#include "train/nn/graph.h"

/* x: an image whose sides are multiples of `side`. Result: tokens [(height/side)·(width/side), channels·side·side],
 * patches row by row, features in the order channel, row, column: a linear layer after it, with a convolution's
 * weight [D, channels, side, side] read as [D, channels·side·side], is the patch embedding of a ViT. */
int ek_nn_patches(struct ek_nn_graph *g, int x, int side);

/* Put `prefix_count` constant tokens before x and add positions to x. Positions of the prefix tokens are
 * constants too: add them to `prefix` beforehand. The result is kept in float32. */
struct ek_nn_sequence {
	int prefix_count;       /* may be 0 */
	const float *prefix;    /* [prefix_count, features]: class token, registers */
	const float *positions; /* [tokens of x, features] or NULL */
};
int ek_nn_sequence(struct ek_nn_graph *g, int x, const struct ek_nn_sequence *sequence);

/* Tokens first … first+count-1 of x. */
int ek_nn_take_tokens(struct ek_nn_graph *g, int x, int first, int count);
/* One token: the mean of tokens first … first+count-1 of x. */
int ek_nn_mean_tokens(struct ek_nn_graph *g, int x, int first, int count);

#endif
