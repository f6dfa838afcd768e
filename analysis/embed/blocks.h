/*
 * The blocks of transformers whose norms come first (ViT, CLIP's text tower), and what is around them, taken by the
 * published names of their tensors (train/nets/weights.h).
 *
 * Functions return the number of a value or a parameter, or a negative code, as net.h's.
 */
#ifndef EK_EMBED_BLOCKS_H
#define EK_EMBED_BLOCKS_H

#include "train/nets/weights.h"
#include "train/nn/net.h"

/* Names of a block's parts, which follow `layer`, its number and a dot, and end in .weight and .bias unless they are
 * scales or end in '_'. NULL: it has no such part. */
struct ek_block_names {
	const char *layer, *norm1, *query, *key, *value, *qkv, *output, *scale1, *norm2, *fc1, *fc2, *scale2;
};

/* CLIP's in transformers; in OpenAI's code and open_clip. */
#define EK_BLOCKS_TRANSFORMERS(layer_)                                                                                 \
	{                                                                                                              \
		.layer = (layer_), .norm1 = "layer_norm1", .query = "self_attn.q_proj", .key = "self_attn.k_proj",     \
		.value = "self_attn.v_proj", .output = "self_attn.out_proj", .norm2 = "layer_norm2", .fc1 = "mlp.fc1", \
		.fc2 = "mlp.fc2",                                                                                      \
	}
#define EK_BLOCKS_OPENAI(layer_)                                                                                       \
	{                                                                                                              \
		.layer = (layer_), .norm1 = "ln_1", .qkv = "attn.in_proj_", .output = "attn.out_proj",                 \
		.norm2 = "ln_2", .fc1 = "mlp.c_fc", .fc2 = "mlp.c_proj",                                               \
	}

struct ek_blocks {
	struct ek_net *net;
	struct ek_weights *w;
	int width, heads;
	double epsilon;
	enum ek_nn_activation activation;
	const struct ek_block_names *names;
	char layer[64]; /* prefix of the block being built; "" outside */
};

/* The tensor `name``suffix` as a parameter. */
int ek_blocks_take(const struct ek_blocks *b, const char *name, const char *suffix, const int *shape);

/* float32: 1: the result is, in a bf16 net, too. */
int ek_blocks_norm(const struct ek_blocks *b, int x, const char *name, int float32);

enum ek_block_rows {
	EK_BLOCK_ALL_ROWS,
	EK_BLOCK_FIRST_ROW, /* the result is of the first alone: after attention nothing mixes rows any more */
	EK_BLOCK_CAUSAL     /* all, each of which sees those up to itself */
};
/* Block `number`. The stream x that is added to is float32. */
int ek_blocks_layer(struct ek_blocks *b, int x, int number, enum ek_block_rows rows);

/* x by the matrix `name` [features, width], or, transposed, [width, features]; float32. */
int ek_blocks_project(const struct ek_blocks *b, int x, const char *name, int features, int transposed);

#endif
