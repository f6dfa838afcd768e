#include "analysis/embed/vit.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/activation.h"
#include "analysis/embed/blocks.h"
#include "analysis/embed/position.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

/* The published names of one way of writing the tensors; NULL: the network has no such part. */
struct ek_vit_names {
	const char *telltale; /* a tensor that files of these names have, and those of names tried before do not */
	const char *class_token, *registers, *positions, *patch, *before, *after, *projection;
	struct ek_block_names block;
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
	.block = EK_BLOCKS_TRANSFORMERS("vision_model.encoder.layers."),
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
	.block = EK_BLOCKS_OPENAI("visual.transformer.resblocks."),
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
	.block = {
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
	},
	.token_dimensions = 3,
	.patch_bias = 1,
	.resize = { EK_POSITION_SIZE, EK_POSITION_ANTIALIAS },
	.ignored = { "embeddings.mask_token" },
};

/* What facebookresearch's names and timm's have in common. */
#define BLOCKS                                                                                                         \
	.class_token = "cls_token", .positions = "pos_embed", .patch = "patch_embed.proj", .after = "norm",            \
	.block = { .layer = "blocks.",                                                                                 \
		   .norm1 = "norm1",                                                                                   \
		   .qkv = "attn.qkv",                                                                                  \
		   .output = "attn.proj",                                                                              \
		   .scale1 = "ls1.gamma",                                                                              \
		   .norm2 = "norm2",                                                                                   \
		   .fc1 = "mlp.fc1",                                                                                   \
		   .fc2 = "mlp.fc2",                                                                                   \
		   .scale2 = "ls2.gamma" },                                                                            \
	.token_dimensions = 3, .patch_bias = 1

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
	struct ek_blocks blocks;
	const struct ek_vit *vit;
	const struct ek_vit_names *names;
};

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

	EK_TRY(ek_weights_read(&all, b->blocks.w, b->names->positions,
	                       b->names->token_dimensions == 1 ? EK_SHAPE(tokens, v->width)
	                                                       : EK_SHAPE(1, tokens, v->width)));
	EK_TRY(number = ek_weights_room(b->blocks.w, "positions", EK_SHAPE(grid * grid, v->width)));
	out = ek_weights_values(b->blocks.w, number);
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

	EK_TRY(ek_weights_read(&token, b->blocks.w, b->names->class_token,
	                       b->names->token_dimensions == 1 ? EK_SHAPE(v->width) : EK_SHAPE(1, 1, v->width)));
	if (v->registers > 0)
		EK_TRY(ek_weights_read(&registers, b->blocks.w, b->names->registers,
		                       EK_SHAPE(1, v->registers, v->width)));
	EK_TRY(number = ek_weights_room(b->blocks.w, "prefix", EK_SHAPE(1 + v->registers, v->width)));
	out = ek_weights_values(b->blocks.w, number);
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
	EK_TRY(positions = take_positions(of_class, b, ek_net_shape(b->blocks.net, image).height / v->patch));
	EK_TRY(prefix = take_prefix(b, of_class));
	EK_TRY(l.weight = ek_blocks_take(&b->blocks, b->names->patch, ".weight",
	                                 EK_SHAPE(v->width, 3, v->patch, v->patch)));
	if (b->names->patch_bias)
		EK_TRY(l.bias = ek_blocks_take(&b->blocks, b->names->patch, ".bias", EK_SHAPE(v->width)));
	x = ek_net_linear(b->blocks.net, ek_net_patches(b->blocks.net, image, v->patch), &l);
	rc = ek_net_prepend(b->blocks.net, ek_net_positions(b->blocks.net, x, positions), prefix, 1 + v->registers);
out:
	free(of_class);
	return rc;
}

static void choose_names(struct builder *b)
{
	b->names = b->vit->names[0];
	for (int i = 0; b->vit->names[i] != NULL; i++) {
		ek_weights_find_prefix(b->blocks.w, b->vit->names[i]->telltale);
		if (ek_weights_has(b->blocks.w, b->vit->names[i]->telltale)) {
			b->names = b->vit->names[i];
			break;
		}
	}
}

int ek_vit_build(struct ek_net *net, struct ek_weights *w, int image, const struct ek_encoder *encoder)
{
	const struct ek_vit *v = encoder->vit;
	struct builder b = {
		.blocks = { .net = net, .w = w, .width = v->width, .heads = v->heads, .epsilon = v->epsilon },
		.vit = v,
	};
	struct ek_blocks *blocks = &b.blocks;
	int x, rc;

	choose_names(&b);
	blocks->names = &b.names->block;
	EK_TRY(ek_activation_choose(&blocks->activation, encoder, w->file->path, b.names->unsaid));
	EK_TRY(x = embed_patches(&b, image));
	if (b.names->before != NULL)
		EK_TRY(x = ek_blocks_norm(blocks, x, b.names->before, 1));
	for (int i = 0; i < v->layers; i++)
		EK_TRY(x = ek_blocks_layer(blocks, x, i, i == v->layers - 1 ? EK_BLOCK_FIRST_ROW : EK_BLOCK_ALL_ROWS));
	EK_TRY(x = ek_blocks_norm(blocks, x, b.names->after, b.names->projection == NULL));
	if (b.names->projection != NULL)
		EK_TRY(x = ek_blocks_project(blocks, x, b.names->projection, v->projection,
		                             b.names->projection_transposed));
	EK_TRY(ek_weights_check_all_taken(w, b.names->ignored));
	rc = x;
out:
	return rc;
}
