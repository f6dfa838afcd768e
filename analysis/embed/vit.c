#include "analysis/embed/vit.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "analysis/embed/position.h"
#include "rebalance/base/error.h"

enum { LAYER_SIZE = 64, NAME_SIZE = 256 };

/* The published names of one way of writing the tensors; NULL: the network has no such part. Layer parts follow
 * `layer`, the layer's number and a dot, and end in .weight and .bias unless they are scales. */
struct names {
	const char *class_token, *registers, *positions, *patch, *before, *after, *projection;
	const char *layer, *norm1, *query, *key, *value, *qkv, *output, *scale1, *norm2, *fc1, *fc2, *scale2;
	int token_dimensions; /* class token and positions are [width], [t, width] (1) or with ones before (3) */
	const char *ignored[8];
};

static const struct names clip_names = {
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

static const struct names dinov2_names = {
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
	.ignored = { "embeddings.mask_token" },
};

static const struct names dinov2_original_names = {
	.class_token = "cls_token",
	.registers = "register_tokens",
	.positions = "pos_embed",
	.patch = "patch_embed.proj",
	.after = "norm",
	.layer = "blocks.",
	.norm1 = "norm1",
	.qkv = "attn.qkv",
	.output = "attn.proj",
	.scale1 = "ls1.gamma",
	.norm2 = "norm2",
	.fc1 = "mlp.fc1",
	.fc2 = "mlp.fc2",
	.scale2 = "ls2.gamma",
	.token_dimensions = 3,
	.ignored = { "mask_token" },
};

static const struct vit {
	const char *encoder;
	int width, layers, heads, patch, grid; /* grid: patches on a side of the published positions */
	int registers, projection;
	enum ek_nn_activation activation;
	double epsilon;
	int antialias;                /* of the positions' interpolation */
	const struct names *names[3]; /* ends with NULL */
} vits[] = {
#define CLIP(name, width, layers, heads, patch, projection)                                                            \
	{                                                                                                              \
		name, width, layers, heads, patch, 224 / (patch), 0, projection, EK_NN_QUICK_GELU, 1e-5, 0,            \
		{                                                                                                      \
			&clip_names                                                                                    \
		}                                                                                                      \
	}
#define DINOV2(name, width, layers, heads, registers)                                                                  \
	{                                                                                                              \
		name, width, layers, heads, 14, 37, registers, 0, EK_NN_GELU_ERF, 1e-6, (registers) > 0,               \
		{                                                                                                      \
			&dinov2_names, &dinov2_original_names                                                          \
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
	char layer[LAYER_SIZE]; /* prefix of the layer being built, or "" */
};

/* PREFIX name suffix, as a vector or a matrix. */
static int take(const float **out, struct builder *b, const char *name, const char *suffix, const int *shape)
{
	char full[NAME_SIZE];

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

/* The positions of the patches at this grid; `*of_class`: of the class token. */
static int take_positions(const float **patches, const float **of_class, struct builder *b, int grid)
{
	const struct vit *v = b->vit;
	const int tokens = v->grid * v->grid + 1;
	const float *all;
	float *room;
	int rc;

	EK_TRY(take(&all, b, b->names->positions, "",
	            b->names->token_dimensions == 1 ? EK_SHAPE(tokens, v->width) : EK_SHAPE(1, tokens, v->width)));
	*of_class = all;
	*patches = all + v->width;
	if (grid != v->grid) {
		EK_TRY(ek_network_room(&room, b->n, (size_t)grid * (size_t)grid * (size_t)v->width));
		EK_TRY(ek_position_interpolate(room, grid, *patches, v->grid, v->width, v->antialias));
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
		prefix[i] = token[i] + of_class[i];
	if (v->registers > 0)
		memcpy(prefix + width, registers, (size_t)v->registers * (size_t)width * sizeof *prefix);
	s.prefix = prefix;
	s.positions = patches;

	EK_TRY(take(&l.weight[0], b, b->names->patch, ".weight", EK_SHAPE(width, 3, v->patch, v->patch)));
	if (b->names != &clip_names)
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
	                  (struct ek_nn_linear){ .out_features = 4 * width, .activation = b->vit->activation }, NULL));
	rc = linear(b, y, &names->fc2, 1, (struct ek_nn_linear){ .out_features = width, .residual = x }, names->scale2);
out:
	return rc;
}

static int project(struct builder *b, int x)
{
	struct ek_nn_linear l = { .out_features = b->vit->projection };
	int rc;

	EK_TRY(take(&l.weight[0], b, b->names->projection, "", EK_SHAPE(l.out_features, b->vit->width)));
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

int ek_vit_build(struct ek_network *n, int image, const char *encoder)
{
	struct builder b = { .n = n, .vit = find_vit(encoder) };
	int x, rc;

	assert(b.vit != NULL);
	b.names = b.vit->names[0];
	for (int i = 1; b.vit->names[i] != NULL; i++)
		if (ek_network_has(n, b.vit->names[i]->class_token))
			b.names = b.vit->names[i];
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
