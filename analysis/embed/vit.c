#include "analysis/embed/vit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/activation.h"
#include "analysis/embed/position.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { LAYER_SIZE = 64, NAME_SIZE = 256 };

/* The published names of one way of writing the tensors; NULL: the network has no such part. Layer parts follow
 * `layer`, the layer's number and a dot, and end in .weight and .bias unless they are scales or end in '_'. */
struct ek_vit_names {
	const char *telltale; /* a tensor that files of these names have, and those of names tried before do not */
	const char *class_token, *registers, *positions, *patch, *before, *after, *projection;
	const char *layer, *norm1, *query, *key, *value, *qkv, *output, *scale1, *norm2, *fc1, *fc2, *scale2;
	int token_dimensions; /* class token and positions are [width], [t, width] (1) or with ones before (3) */
	int patch_bias;
	int projection_transposed;       /* [width, features] */
	int class_position_added;        /* with registers: positions are of the patches alone */
	int unsaid;                      /* files come with either activation, and none says which */
	enum ek_position_rule resize[2]; /* of positions, without and with registers */
	const char *ignored[12];
};

static const struct ek_vit_names clip_names = {
	.telltale = "vision_model.embeddings.class_embedding",
	.class_token = "vision_model.embeddings.class_embedding",
	.positions = "vision_model.embeddings.position_embedding.weight",
	.patch = "vision_model.embeddings.patch_embedding",
	.before = "vision_model.pre_layrnorm",
	.after = "vision_model.post_layernorm",
	.projection = "visual_projection.weight",
	.layer = "vision_model.encoder.layers.",
	.norm1 = "layer_norm1",
	.query = "self_attn.q_proj",
	.key = "self_attn.k_proj",
	.value = "self_attn.v_proj",
	.output = "self_attn.out_proj",
	.norm2 = "layer_norm2",
	.fc1 = "mlp.fc1",
	.fc2 = "mlp.fc2",
	.token_dimensions = 1,
	.ignored = { "text_model.", "text_projection.", "logit_scale", "vision_model.embeddings.position_ids" },
};

static const struct ek_vit_names clip_original_names = {
	.telltale = "visual.class_embedding",
	.class_token = "visual.class_embedding",
	.positions = "visual.positional_embedding",
	.patch = "visual.conv1",
	.before = "visual.ln_pre",
	.after = "visual.ln_post",
	.projection = "visual.proj",
	.layer = "visual.transformer.resblocks.",
	.norm1 = "ln_1",
	.qkv = "attn.in_proj_",
	.output = "attn.out_proj",
	.norm2 = "ln_2",
	.fc1 = "mlp.c_fc",
	.fc2 = "mlp.c_proj",
	.token_dimensions = 1,
	.projection_transposed = 1,
	.unsaid = 1,
	.resize = { EK_POSITION_ANTIALIAS },
	.ignored = { "transformer.", "text.", "token_embedding.", "positional_embedding", "ln_final.",
	             "text_projection", "logit_scale", "logit_bias", "input_resolution", "context_length",
	             "vocab_size" },
};

static const struct ek_vit_names dinov2_names = {
	.telltale = "embeddings.cls_token",
	.class_token = "embeddings.cls_token",
	.registers = "embeddings.register_tokens",
	.positions = "embeddings.position_embeddings",
	.patch = "embeddings.patch_embeddings.projection",
	.after = "layernorm",
	.layer = "encoder.layer.",
	.norm1 = "norm1",
	.query = "attention.attention.query",
	.key = "attention.attention.key",
	.value = "attention.attention.value",
	.output = "attention.output.dense",
	.scale1 = "layer_scale1.lambda1",
	.norm2 = "norm2",
	.fc1 = "mlp.fc1",
	.fc2 = "mlp.fc2",
	.scale2 = "layer_scale2.lambda1",
	.token_dimensions = 3,
	.patch_bias = 1,
	.resize = { EK_POSITION_SIZE, EK_POSITION_ANTIALIAS },
	.ignored = { "embeddings.mask_token" },
};

/* What facebookresearch's names and timm's have in common. */
#define BLOCKS                                                                                                         \
	.class_token = "cls_token", .positions = "pos_embed", .patch = "patch_embed.proj", .after = "norm",            \
	.layer = "blocks.", .norm1 = "norm1", .qkv = "attn.qkv", .output = "attn.proj", .scale1 = "ls1.gamma",         \
	.norm2 = "norm2", .fc1 = "mlp.fc1", .fc2 = "mlp.fc2", .scale2 = "ls2.gamma", .token_dimensions = 3,            \
	.patch_bias = 1

static const struct ek_vit_names dinov2_original_names = {
	BLOCKS,
	.telltale = "mask_token",
	.registers = "register_tokens",
	.resize = { EK_POSITION_OFFSET, EK_POSITION_ANTIALIAS },
	.ignored = { "mask_token" },
};

static const struct ek_vit_names dinov2_timm_names = {
	BLOCKS,
	.telltale = "cls_token",
	.registers = "reg_token",
	.class_position_added = 1,
	.resize = { EK_POSITION_ANTIALIAS, EK_POSITION_ANTIALIAS },
};

const struct ek_vit_names *const ek_vit_clip_names[] = { &clip_names, &clip_original_names, NULL };
const struct ek_vit_names *const ek_vit_dinov2_names[] = { &dinov2_names, &dinov2_original_names, &dinov2_timm_names,
	                                                   NULL };

struct builder {
	struct ek_net *net;
	struct ek_weights *w;
	const struct ek_vit *vit;
	const struct ek_vit_names *names;
	enum ek_nn_activation activation;
	char layer[LAYER_SIZE]; /* prefix of the layer being built, or "" */
};

/* PREFIX name suffix */
static const char *full_name(char full[NAME_SIZE], const struct builder *b, const char *name, const char *suffix)
{
	if (name[strlen(name) - 1] == '_' && *suffix == '.')
		suffix++;
	(void)snprintf(full, NAME_SIZE, "%s%s%s", b->layer, name, suffix);
	return full;
}

static int take(struct builder *b, const char *name, const char *suffix, const int *shape)
{
	char full[NAME_SIZE];

	return ek_weights_take(b->w, full_name(full, b, name, suffix), shape);
}

static int norm(struct builder *b, int x, const char *name, int float32)
{
	struct ek_net_layer_norm l = { .epsilon = (float)b->vit->epsilon, .float32 = float32 };
	int rc;

	EK_TRY(l.weight = take(b, name, ".weight", EK_SHAPE(b->vit->width)));
	EK_TRY(l.bias = take(b, name, ".bias", EK_SHAPE(b->vit->width)));
	rc = ek_net_layer_norm(b->net, x, &l);
out:
	return rc;
}

/* Multiply outputs of a linear layer (LayerScale). */
static int scale_outputs(struct builder *b, const struct ek_net_linear *l, size_t in, const char *name)
{
	const size_t outputs = (size_t)l->outputs;
	float *weights = ek_weights_values(b->w, l->weight), *biases = ek_weights_values(b->w, l->bias), *scale = NULL;
	char full[NAME_SIZE];
	int rc;

	EK_TRY(ek_weights_read(&scale, b->w, full_name(full, b, name, ""), EK_SHAPE(l->outputs)));
	for (size_t o = 0; o < outputs; o++) {
		biases[o] *= scale[o];
		for (size_t i = 0; i < in; i++)
			weights[o * in + i] *= scale[o];
	}
out:
	free(scale);
	return rc;
}

/* One or three matrices of [out, in] and their biases, side by side. `scale`: a vector's name, or NULL. */
static int linear(struct builder *b, int x, const char *const *names, int parts, int outputs, const char *scale)
{
	const int in = ek_net_shape(b->net, x).channels, out = outputs / parts;
	struct ek_net_linear l = { .outputs = outputs };
	int rc;

	for (int i = 0, first = 0; i < parts; i++) {
		EK_TRY(first = take(b, names[i], ".weight", EK_SHAPE(out, in)));
		l.weight = i == 0 ? first : l.weight;
	}
	for (int i = 0, first = 0; i < parts; i++) {
		EK_TRY(first = take(b, names[i], ".bias", EK_SHAPE(out)));
		l.bias = i == 0 ? first : l.bias;
	}
	if (scale != NULL)
		EK_TRY(scale_outputs(b, &l, (size_t)in, scale));
	rc = ek_net_linear(b->net, x, &l);
out:
	return rc;
}

/* The positions of the patches at this grid as a parameter. of_class: [width], out, that of the class token, or 0 where
 * that has it. */
static int take_positions(float *of_class, struct builder *b, int grid)
{
	const struct ek_vit *v = b->vit;
	const int alone = b->names->class_position_added && v->registers > 0, tokens = v->grid * v->grid + !alone;
	const size_t width = (size_t)v->width;
	float *all = NULL, *out;
	const float *patches;
	int number, rc;

	EK_TRY(ek_weights_read(&all, b->w, b->names->positions,
	                       b->names->token_dimensions == 1 ? EK_SHAPE(tokens, v->width)
	                                                       : EK_SHAPE(1, tokens, v->width)));
	EK_TRY(number = ek_weights_room(b->w, "positions", EK_SHAPE(grid * grid, v->width)));
	out = ek_weights_values(b->w, number);
	for (size_t i = 0; i < width; i++)
		of_class[i] = alone ? 0 : all[i];
	patches = alone ? all : all + width;
	if (grid == v->grid)
		memcpy(out, patches, (size_t)grid * (size_t)grid * width * sizeof *out);
	else
		EK_TRY(ek_position_interpolate(out, grid, patches, v->grid, v->width,
		                               b->names->resize[v->registers > 0]));
	rc = number;
out:
	free(all);
	return rc;
}

/* Class token and registers as a parameter; the class token's position is added to it. */
static int take_prefix(struct builder *b, const float *of_class)
{
	const struct ek_vit *v = b->vit;
	const size_t width = (size_t)v->width;
	float *token = NULL, *registers = NULL, *out;
	int number, rc;

	EK_TRY(ek_weights_read(&token, b->w, b->names->class_token,
	                       b->names->token_dimensions == 1 ? EK_SHAPE(v->width) : EK_SHAPE(1, 1, v->width)));
	if (v->registers > 0)
		EK_TRY(ek_weights_read(&registers, b->w, b->names->registers, EK_SHAPE(1, v->registers, v->width)));
	EK_TRY(number = ek_weights_room(b->w, "prefix", EK_SHAPE(1 + v->registers, v->width)));
	out = ek_weights_values(b->w, number);
	for (size_t i = 0; i < width; i++)
		out[i] = token[i] + of_class[i];
	if (v->registers > 0)
		memcpy(out + width, registers, (size_t)v->registers * width * sizeof *out);
	rc = number;
out:
	free(token);
	free(registers);
	return rc;
}

/* Class token (with its position), registers (without), patches with theirs. */
static int embed_patches(struct builder *b, int image)
{
	const struct ek_vit *v = b->vit;
	struct ek_net_linear l = { .bias = -1, .outputs = v->width, .float32 = 1 };
	float *of_class = NULL;
	int x, positions, prefix, rc;

	EK_TRY(ek_alloc(&of_class, (size_t)v->width, sizeof *of_class));
	EK_TRY(positions = take_positions(of_class, b, ek_net_shape(b->net, image).height / v->patch));
	EK_TRY(prefix = take_prefix(b, of_class));
	EK_TRY(l.weight = take(b, b->names->patch, ".weight", EK_SHAPE(v->width, 3, v->patch, v->patch)));
	if (b->names->patch_bias)
		EK_TRY(l.bias = take(b, b->names->patch, ".bias", EK_SHAPE(v->width)));
	x = ek_net_linear(b->net, ek_net_patches(b->net, image, v->patch), &l);
	rc = ek_net_prepend(b->net, ek_net_positions(b->net, x, positions), prefix, 1 + v->registers);
out:
	free(of_class);
	return rc;
}

/* After attention nothing mixes tokens any more, so the last layer goes on with the class token alone. The stream x
 * that is added to is float32. */
static int build_layer(struct builder *b, int x, int last)
{
	const struct ek_vit_names *names = b->names;
	const char *const separate[] = { names->query, names->key, names->value };
	const int width = b->vit->width;
	int y, rc;

	EK_TRY(y = norm(b, x, names->norm1, 0));
	EK_TRY(y = linear(b, y, names->qkv != NULL ? &names->qkv : separate, names->qkv != NULL ? 1 : 3, 3 * width,
	                  NULL));
	EK_TRY(y = ek_net_attention(b->net, y, b->vit->heads));
	if (last) {
		EK_TRY(x = ek_net_rows_of(b->net, x, 0, 1));
		EK_TRY(y = ek_net_rows_of(b->net, y, 0, 1));
	}
	EK_TRY(y = linear(b, y, &names->output, 1, width, names->scale1));
	EK_TRY(x = ek_net_add(b->net, x, y));
	EK_TRY(y = norm(b, x, names->norm2, 0));
	EK_TRY(y = linear(b, y, &names->fc1, 1, 4 * width, NULL));
	EK_TRY(y = linear(b, ek_net_activation(b->net, y, b->activation), &names->fc2, 1, width, names->scale2));
	rc = ek_net_add(b->net, x, y);
out:
	return rc;
}

static int project(struct builder *b, int x)
{
	const int width = b->vit->width, features = b->vit->projection;
	struct ek_net_linear l = { .bias = -1, .outputs = features, .float32 = 1 };
	const char *name = b->names->projection;
	float *matrix = NULL, *turned;
	int rc;

	if (!b->names->projection_transposed) {
		EK_TRY(l.weight = ek_weights_take(b->w, name, EK_SHAPE(features, width)));
		return ek_net_linear(b->net, x, &l);
	}
	EK_TRY(ek_weights_read(&matrix, b->w, name, EK_SHAPE(width, features)));
	EK_TRY(l.weight = ek_weights_room(b->w, name, EK_SHAPE(features, width)));
	turned = ek_weights_values(b->w, l.weight);
	for (size_t i = 0; i < (size_t)features; i++)
		for (size_t j = 0; j < (size_t)width; j++)
			turned[i * (size_t)width + j] = matrix[j * (size_t)features + i];
	rc = ek_net_linear(b->net, x, &l);
out:
	free(matrix);
	return rc;
}

static void choose_names(struct builder *b)
{
	b->names = b->vit->names[0];
	for (int i = 0; b->vit->names[i] != NULL; i++) {
		ek_weights_find_prefix(b->w, b->vit->names[i]->telltale);
		if (ek_weights_has(b->w, b->vit->names[i]->telltale)) {
			b->names = b->vit->names[i];
			break;
		}
	}
}

static int choose_activation(struct builder *b, const struct ek_encoder *encoder)
{
	const char *path = b->w->file->path, *name;
	int said, rc;

	if ((rc = ek_activation_find(&name, &said, encoder, path)) < 0)
		return rc;
	b->activation = ek_activation_of_name(name);
	if (!said && b->names->unsaid)
		ek_warn("%s does not say its activation and no open_clip_config.json or config.json is beside it: "
		        "taken for OpenAI's, with %s. If it is one of LAION's or others of open_clip, write "
		        "{\"hidden_act\": \"gelu\"} into a config.json beside it",
		        path, name);
	return 0;
}

int ek_vit_build(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder)
{
	struct builder b = { .net = net, .w = w, .vit = encoder->vit };
	int x, rc;

	choose_names(&b);
	EK_TRY(choose_activation(&b, encoder));
	EK_TRY(x = embed_patches(&b, image));
	if (b.names->before != NULL)
		EK_TRY(x = norm(&b, x, b.names->before, 1));
	for (int i = 0; i < b.vit->layers; i++) {
		(void)snprintf(b.layer, sizeof b.layer, "%s%d.", b.names->layer, i);
		EK_TRY(x = build_layer(&b, x, i == b.vit->layers - 1));
	}
	b.layer[0] = 0;
	EK_TRY(x = norm(&b, x, b.names->after, b.names->projection == NULL));
	if (b.names->projection != NULL)
		EK_TRY(x = project(&b, x));
	EK_TRY(ek_weights_check_all_taken(w, b.names->ignored));
	rc = x;
out:
	return rc;
}
