#include "analysis/embed/vit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "analysis/embed/activation.h"
#include "analysis/embed/position.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"

enum { LAYER_SIZE = 64, NAME_SIZE = 256 };

/* The published names of one way of writing the tensors; NULL: the network has no such part. Layer parts follow
 * `layer`, the layer's number and a dot, and end in .weight and .bias unless they are scales or end in '_'. */
struct names {
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

static const struct names clip_names = {
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

static const struct names clip_original_names = {
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

static const struct names dinov2_names = {
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

static const struct names dinov2_original_names = {
	BLOCKS,
	.telltale = "mask_token",
	.registers = "register_tokens",
	.resize = { EK_POSITION_OFFSET, EK_POSITION_ANTIALIAS },
	.ignored = { "mask_token" },
};

static const struct names dinov2_timm_names = {
	BLOCKS,
	.telltale = "cls_token",
	.registers = "reg_token",
	.class_position_added = 1,
	.resize = { EK_POSITION_ANTIALIAS, EK_POSITION_ANTIALIAS },
};

static const struct vit {
	const char *encoder;
	int width, layers, heads, patch, grid; /* grid: patches on a side of the published positions */
	int registers, projection;
	double epsilon;
	const struct names *names[4]; /* the first that a file has, or else the first; ends with NULL */
} vits[] = {
#define CLIP(name, width, layers, heads, patch, projection)                                                            \
	{                                                                                                              \
		name, width, layers, heads, patch, 224 / (patch), 0, projection, 1e-5,                                 \
		{                                                                                                      \
			&clip_names, &clip_original_names                                                              \
		}                                                                                                      \
	}
#define DINOV2(name, width, layers, heads, registers)                                                                  \
	{                                                                                                              \
		name, width, layers, heads, 14, 37, registers, 0, 1e-6,                                                \
		{                                                                                                      \
			&dinov2_names, &dinov2_original_names, &dinov2_timm_names                                      \
		}                                                                                                      \
	}
	CLIP("clip-vit-b32", 768, 12, 12, 32, 512), CLIP("clip-vit-l14", 1024, 24, 16, 14, 768),
	DINOV2("dinov2-vits14", 384, 12, 6, 0),     DINOV2("dinov2-vits14-reg", 384, 12, 6, 4),
	DINOV2("dinov2-vitb14", 768, 12, 12, 0),    DINOV2("dinov2-vitb14-reg", 768, 12, 12, 4),
	DINOV2("dinov2-vitl14", 1024, 24, 16, 0),   DINOV2("dinov2-vitl14-reg", 1024, 24, 16, 4),
};

struct builder {
	struct ek_network *n;
	const struct vit *vit;
	const struct names *names;
	enum ek_nn_activation activation;
	char layer[LAYER_SIZE]; /* prefix of the layer being built, or "" */
};

/* PREFIX name suffix, as a vector or a matrix. */
static int take(const float **out, struct builder *b, const char *name, const char *suffix, const int *shape)
{
	char full[NAME_SIZE];

	if (name[strlen(name) - 1] == '_' && *suffix == '.')
		suffix++;
	(void)snprintf(full, sizeof full, "%s%s%s", b->layer, name, suffix);
	return ek_network_take(out, b->n, full, shape);
}

static int norm(struct builder *b, int x, const char *name)
{
	struct ek_nn_layer_norm l = { .epsilon = b->vit->epsilon };
	int rc;

	EK_TRY(take(&l.gamma, b, name, ".weight", EK_SHAPE(b->vit->width)));
	EK_TRY(take(&l.beta, b, name, ".bias", EK_SHAPE(b->vit->width)));
	rc = ek_nn_layer_norm(b->n->graph, x, &l);
out:
	return rc;
}

/* One or three matrices of [out, in] and their biases, side by side. `scale`: a vector's name, or NULL. */
static int linear(struct builder *b, int x, const char *const *names, int parts, struct ek_nn_linear l,
                  const char *scale)
{
	const int in = ek_nn_graph_shape(b->n->graph, x).features, out = l.out_features / parts;
	int rc;

	for (int i = 0; i < parts; i++) {
		EK_TRY(take(&l.weight[i], b, names[i], ".weight", EK_SHAPE(out, in)));
		EK_TRY(take(&l.bias[i], b, names[i], ".bias", EK_SHAPE(out)));
	}
	if (scale != NULL)
		EK_TRY(take(&l.scale, b, scale, "", EK_SHAPE(l.out_features)));
	rc = ek_nn_linear(b->n->graph, x, &l);
out:
	return rc;
}

/* The positions of the patches at this grid; `*of_class`: of the class token, NULL where that has it. */
static int take_positions(const float **patches, const float **of_class, struct builder *b, int grid)
{
	const struct vit *v = b->vit;
	const int alone = b->names->class_position_added && v->registers > 0, tokens = v->grid * v->grid + !alone;
	const float *all;
	float *room;
	int rc;

	EK_TRY(take(&all, b, b->names->positions, "",
	            b->names->token_dimensions == 1 ? EK_SHAPE(tokens, v->width) : EK_SHAPE(1, tokens, v->width)));
	*of_class = alone ? NULL : all;
	*patches = alone ? all : all + v->width;
	if (grid != v->grid) {
		EK_TRY(ek_network_room(&room, b->n, (size_t)grid * (size_t)grid * (size_t)v->width));
		EK_TRY(ek_position_interpolate(room, grid, *patches, v->grid, v->width,
		                               b->names->resize[v->registers > 0]));
		*patches = room;
	}
out:
	return rc;
}

/* Class token (with its position), registers (without), patches with theirs. */
static int embed_patches(struct builder *b, int image)
{
	const struct vit *v = b->vit;
	const int width = v->width, grid = ek_nn_graph_shape(b->n->graph, image).height / v->patch;
	const float *patches, *of_class, *token, *registers = NULL;
	struct ek_nn_linear l = { .out_features = width };
	struct ek_nn_sequence s = { .prefix_count = 1 + v->registers };
	float *prefix;
	int x, rc;

	EK_TRY(take_positions(&patches, &of_class, b, grid));
	EK_TRY(take(&token, b, b->names->class_token, "",
	            b->names->token_dimensions == 1 ? EK_SHAPE(width) : EK_SHAPE(1, 1, width)));
	if (v->registers > 0)
		EK_TRY(take(&registers, b, b->names->registers, "", EK_SHAPE(1, v->registers, width)));
	EK_TRY(ek_network_room(&prefix, b->n, (size_t)s.prefix_count * (size_t)width));
	for (int i = 0; i < width; i++)
		prefix[i] = token[i] + (of_class != NULL ? of_class[i] : 0);
	if (v->registers > 0)
		memcpy(prefix + width, registers, (size_t)v->registers * (size_t)width * sizeof *prefix);
	s.prefix = prefix;
	s.positions = patches;

	EK_TRY(take(&l.weight[0], b, b->names->patch, ".weight", EK_SHAPE(width, 3, v->patch, v->patch)));
	if (b->names->patch_bias)
		EK_TRY(take(&l.bias[0], b, b->names->patch, ".bias", EK_SHAPE(width)));
	EK_TRY(x = ek_nn_patches(b->n->graph, image, v->patch));
	EK_TRY(x = ek_nn_linear(b->n->graph, x, &l));
	rc = ek_nn_sequence(b->n->graph, x, &s);
out:
	return rc;
}

/* After attention nothing mixes tokens any more, so the last layer goes on with the class token alone. */
static int build_layer(struct builder *b, int x, int last)
{
	const struct names *names = b->names;
	const char *const separate[] = { names->query, names->key, names->value };
	const int width = b->vit->width;
	struct ek_nn_graph *g = b->n->graph;
	int y, rc;

	EK_TRY(y = norm(b, x, names->norm1));
	EK_TRY(y = linear(b, y, names->qkv != NULL ? &names->qkv : separate, names->qkv != NULL ? 1 : 3,
	                  (struct ek_nn_linear){ .out_features = 3 * width }, NULL));
	EK_TRY(y = ek_nn_attention(g, y, b->vit->heads));
	if (last) {
		EK_TRY(x = ek_nn_take_tokens(g, x, 0, 1));
		EK_TRY(y = ek_nn_take_tokens(g, y, 0, 1));
	}
	EK_TRY(x = linear(b, y, &names->output, 1, (struct ek_nn_linear){ .out_features = width, .residual = x },
	                  names->scale1));
	EK_TRY(y = norm(b, x, names->norm2));
	EK_TRY(y = linear(b, y, &names->fc1, 1,
	                  (struct ek_nn_linear){ .out_features = 4 * width, .activation = b->activation }, NULL));
	rc = linear(b, y, &names->fc2, 1, (struct ek_nn_linear){ .out_features = width, .residual = x }, names->scale2);
out:
	return rc;
}

static int project(struct builder *b, int x)
{
	const int width = b->vit->width, features = b->vit->projection;
	struct ek_nn_linear l = { .out_features = features };
	const float *matrix;
	float *turned;
	int rc;

	EK_TRY(take(&matrix, b, b->names->projection, "",
	            b->names->projection_transposed ? EK_SHAPE(width, features) : EK_SHAPE(features, width)));
	l.weight[0] = matrix;
	if (b->names->projection_transposed) {
		EK_TRY(ek_network_room(&turned, b->n, (size_t)width * (size_t)features));
		for (int i = 0; i < features; i++)
			for (int j = 0; j < width; j++)
				turned[(size_t)i * (size_t)width + (size_t)j] =
					matrix[(size_t)j * (size_t)features + (size_t)i];
		l.weight[0] = turned;
	}
	rc = ek_nn_linear(b->n->graph, x, &l);
out:
	return rc;
}

static const struct vit *find_vit(const char *encoder)
{
	for (size_t i = 0; i < sizeof vits / sizeof *vits; i++)
		if (strcmp(vits[i].encoder, encoder) == 0)
			return &vits[i];
	return NULL;
}

static void choose_names(struct builder *b)
{
	b->names = b->vit->names[0];
	for (int i = 0; b->vit->names[i] != NULL; i++) {
		ek_network_find_prefix(b->n, b->vit->names[i]->telltale);
		if (ek_network_has(b->n, b->vit->names[i]->telltale)) {
			b->names = b->vit->names[i];
			break;
		}
	}
}

static int choose_activation(struct builder *b, const struct ek_encoder *encoder)
{
	const char *path = b->n->file->path, *name;
	int said, rc;

	if ((rc = ek_activation_find(&name, &said, encoder, path)) < 0)
		return rc;
	b->activation = ek_activation_of_name(name);
	if (!said && b->names->unsaid)
		ek_warn("%s does not say its activation and no open_clip_config.json or config.json is beside it: "
		        "taken "
		        "for OpenAI's, with %s. If it is one of LAION's or others of open_clip, write {\"hidden_act\": "
		        "\"gelu\"} into a config.json beside it",
		        path, name);
	return 0;
}

int ek_vit_build(struct ek_network *n, int image, const struct ek_encoder *encoder)
{
	struct builder b = { .n = n, .vit = find_vit(encoder->name) };
	int x, rc;

	assert(b.vit != NULL);
	choose_names(&b);
	EK_TRY(choose_activation(&b, encoder));
	EK_TRY(x = embed_patches(&b, image));
	if (b.names->before != NULL)
		EK_TRY(x = norm(&b, x, b.names->before));
	for (int i = 0; i < b.vit->layers; i++) {
		(void)snprintf(b.layer, sizeof b.layer, "%s%d.", b.names->layer, i);
		EK_TRY(x = build_layer(&b, x, i == b.vit->layers - 1));
	}
	b.layer[0] = 0;
	EK_TRY(x = norm(&b, x, b.names->after));
	if (b.names->projection != NULL)
		EK_TRY(x = project(&b, x));
	EK_TRY(ek_network_check_all_taken(n, b.names->ignored));
	rc = x;
out:
	return rc;
}
