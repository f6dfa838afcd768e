#include "train/flow/sit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

enum { TIME_FEATURES = 256, MLP_RATIO = 4, BLOCK_PARTS = 6, FINAL_PARTS = 2, NAME_SIZE = 64 };
/* Parts of a block's share of the modulation, in features of `width`. */
enum { SHIFT_1, SCALE_1, GATE_1, SHIFT_2, SCALE_2, GATE_2 };

static const float EPSILON = 1e-6f;

int ek_sit_no_label(const struct ek_sit_config *config)
{
	return config->classes > 1 ? config->classes : 1;
}

double ek_sit_work(const struct ek_sit_config *config)
{
	const double width = config->width, side = (double)config->side / config->patch, tokens = side * side;

	return tokens * config->depth * ((4 + 2 * MLP_RATIO) * width * width + 2 * tokens * width);
}

int ek_sit_outputs(const struct ek_sit_config *config)
{
	return config->channels * (config->learned_sigma ? 2 : 1);
}

size_t ek_sit_elements(const struct ek_sit_config *config)
{
	return (size_t)config->side * (size_t)config->side * (size_t)config->channels;
}

static void name_of(char name[NAME_SIZE], int block, const char *part, const char *end)
{
	if (block >= 0)
		(void)snprintf(name, NAME_SIZE, "blocks.%d.%s%s", block, part, end);
	else
		(void)snprintf(name, NAME_SIZE, "%s%s", part, end);
}

static int add(struct ek_params *params, int block, const char *part, const char *end, int rank, const int64_t *dims,
               struct ek_init init)
{
	char name[NAME_SIZE];

	name_of(name, block, part, end);
	return ek_params_add(params, name, rank, dims, init);
}

static int add_weight(struct ek_params *params, int block, const char *part, int64_t outputs, int64_t inputs,
                      struct ek_init init)
{
	return add(params, block, part, ".weight", 2, (int64_t[]){ outputs, inputs }, init);
}

static int add_bias(struct ek_params *params, int block, const char *part, int64_t outputs)
{
	return add(params, block, part, ".bias", 1, &outputs, (struct ek_init){ EK_INIT_CONSTANT, 0 });
}

static int add_linear(struct ek_params *params, int block, const char *part, int64_t outputs, int64_t inputs,
                      struct ek_init init)
{
	int rc;

	EK_TRY(add_weight(params, block, part, outputs, inputs, init));
	EK_TRY(add_bias(params, block, part, outputs));
out:
	return rc;
}

static int add_embedders(struct ek_params *params, const struct ek_sit_config *c)
{
	const struct ek_init normal = { EK_INIT_NORMAL, 0.02f };
	const int64_t d = c->width, tokens = (int64_t)(c->side / c->patch) * (c->side / c->patch);
	const int64_t inputs = (int64_t)c->channels * c->patch * c->patch;
	/* Xavier, with fans as of the linear layer on a patch that this is. */
	const struct ek_init patches = { EK_INIT_UNIFORM, (float)sqrt(6.0 / (double)(inputs + d)) };
	int rc;

	EK_TRY(ek_params_add(params, "x_embedder.proj.weight", 4, (int64_t[]){ d, c->channels, c->patch, c->patch },
	                     patches));
	EK_TRY(add_bias(params, -1, "x_embedder.proj", d));
	EK_TRY(ek_params_add(params, "pos_embed", 3, (int64_t[]){ 1, tokens, d },
	                     (struct ek_init){ EK_INIT_POSITIONS, 0 }));
	EK_TRY(add_linear(params, -1, "t_embedder.mlp.0", d, TIME_FEATURES, normal));
	EK_TRY(add_linear(params, -1, "t_embedder.mlp.2", d, d, normal));
	EK_TRY(add_weight(params, -1, "y_embedder.embedding_table", ek_sit_no_label(c) + 1, d, normal));
out:
	return rc;
}

int ek_sit_params(struct ek_params *params, const struct ek_sit_config *c)
{
	static const char modulation[] = "adaLN_modulation.1", final_modulation[] = "final_layer.adaLN_modulation.1";
	const struct ek_init xavier = { EK_INIT_XAVIER_UNIFORM, 1 }, zero = { EK_INIT_CONSTANT, 0 };
	const int64_t d = c->width;
	int rc;

	EK_TRY(ek_sit_config_check(c));
	EK_TRY(add_embedders(params, c));
	for (int i = 0; i < c->depth; i++) {
		EK_TRY(add_linear(params, i, "attn.qkv", 3 * d, d, xavier));
		EK_TRY(add_linear(params, i, "attn.proj", d, d, xavier));
		EK_TRY(add_linear(params, i, "mlp.fc1", MLP_RATIO * d, d, xavier));
		EK_TRY(add_linear(params, i, "mlp.fc2", d, MLP_RATIO * d, xavier));
	}
	EK_TRY(add_linear(params, -1, "final_layer.linear", (int64_t)c->patch * c->patch * ek_sit_outputs(c), d, zero));
	/* All modulations see the same vector: as neighbours they are one product. */
	for (int i = 0; i < c->depth; i++)
		EK_TRY(add_weight(params, i, modulation, BLOCK_PARTS * d, d, zero));
	EK_TRY(add_weight(params, -1, final_modulation, FINAL_PARTS * d, d, zero));
	for (int i = 0; i < c->depth; i++)
		EK_TRY(add_bias(params, i, modulation, BLOCK_PARTS * d));
	EK_TRY(add_bias(params, -1, final_modulation, FINAL_PARTS * d));
	rc = 0;
out:
	return rc;
}

/* Layers. */

struct build {
	struct ek_net *net;
	const struct ek_params *params;
	const struct ek_sit_config *config;
	int vector; /* of all modulations */
};

static int find(const struct build *b, int block, const char *part, const char *end)
{
	char name[NAME_SIZE];

	name_of(name, block, part, end);
	return ek_params_find(b->params, name);
}

static int linear(const struct build *b, int x, int block, const char *part, int outputs, int float32)
{
	return ek_net_linear(b->net, x,
	                     &(struct ek_net_linear){ .weight = find(b, block, part, ".weight"),
	                                              .bias = find(b, block, part, ".bias"),
	                                              .outputs = outputs,
	                                              .float32 = float32 });
}

/* The modulation vector of every block and the final layer. */
static int condition(const struct build *b, int t, int labels)
{
	const struct ek_sit_config *c = b->config;
	const int table = find(b, -1, "y_embedder.embedding_table", ".weight");
	int x;

	x = linear(b, ek_net_times(b->net, t, TIME_FEATURES, 1), -1, "t_embedder.mlp.0", c->width, 1);
	x = linear(b, ek_net_activation(b->net, x, EK_NN_SILU), -1, "t_embedder.mlp.2", c->width, 1);
	x = ek_net_add(b->net, x, ek_net_embedding(b->net, labels, table));
	return linear(b, ek_net_activation(b->net, x, EK_NN_SILU), 0, "adaLN_modulation.1",
	              (BLOCK_PARTS * c->depth + FINAL_PARTS) * c->width, 1);
}

static int embed_patches(const struct build *b, int x)
{
	const struct ek_sit_config *c = b->config;

	/* The convolution of patches that do not overlap. */
	x = linear(b, ek_net_patches(b->net, x, c->patch), -1, "x_embedder.proj", c->width, 0);
	return ek_net_positions(b->net, x, find(b, -1, "pos_embed", ""));
}

/* stream += gate · branch; the result is the modulated norm of it. gate: a feature of the vector. */
static int modulated(const struct build *b, int *stream, int branch, int gate, int shift, int scale)
{
	int normal;
	const int rc = ek_net_modulate(b->net, *stream,
	                               &(struct ek_net_modulate){ .branch = branch,
	                                                          .vector = b->vector,
	                                                          .gate = gate,
	                                                          .shift = shift,
	                                                          .scale = scale,
	                                                          .epsilon = EPSILON },
	                               stream, &normal);

	return rc < 0 ? rc : normal;
}

/* `branch`: that of the layer before, added on the way in, and of this block's MLP, on the way out. */
static int block(const struct build *b, int i, int *stream, int branch)
{
	const struct ek_sit_config *c = b->config;
	const int d = c->width, first = BLOCK_PARTS * d * i, before = first - BLOCK_PARTS * d;
	int x;

	x = modulated(b, stream, branch, branch > 0 ? before + GATE_2 * d : 0, first + SHIFT_1 * d,
	              first + SCALE_1 * d);
	x = ek_net_attention(b->net, linear(b, x, i, "attn.qkv", 3 * d, 0), c->heads);
	x = linear(b, x, i, "attn.proj", d, 0);
	if (x < 0)
		return x;
	x = modulated(b, stream, x, first + GATE_1 * d, first + SHIFT_2 * d, first + SCALE_2 * d);
	x = ek_net_activation(b->net, linear(b, x, i, "mlp.fc1", MLP_RATIO * d, 0), EK_NN_GELU_TANH);
	return linear(b, x, i, "mlp.fc2", d, 0);
}

int ek_sit_build(struct ek_net *net, const struct ek_params *params, const struct ek_sit_config *c, int x, int t,
                 int labels)
{
	struct build b = { .net = net, .params = params, .config = c };
	const int d = c->width, last = BLOCK_PARTS * d * c->depth;
	int stream, branch = 0, rc;

	EK_TRY(ek_sit_config_check(c));
	EK_TRY(b.vector = condition(&b, t, labels));
	EK_TRY(stream = embed_patches(&b, x));
	for (int i = 0; i < c->depth; i++) {
		EK_TRY(ek_net_segment(net));
		EK_TRY(branch = block(&b, i, &stream, branch));
	}
	EK_TRY(ek_net_segment(net));
	EK_TRY(x = modulated(&b, &stream, branch, last - d, last, last + d));
	x = linear(&b, x, -1, "final_layer.linear", c->patch * c->patch * ek_sit_outputs(c), 1);
	rc = ek_net_unpatch(net, x, c->patch);
out:
	return rc;
}
