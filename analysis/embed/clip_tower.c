#include "analysis/embed/clip_tower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/activation.h"
#include "analysis/embed/blocks.h"
#include "analysis/embed/clip_tokenizer.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/tensors.h"
#include "train/nn/runner.h"

enum { HEAD = 64, WIDEST = 1 << 14, MOST_LAYERS = 256, BATCH = 4 };
#define EPSILON 1e-5

/* The published names of one way of writing the tensors. */
struct names {
	const char *tokens, *positions, *after, *projection;
	struct ek_block_names block;
	int projection_transposed; /* [width, features] */
	int unsaid;                /* files come with either activation, and none says which */
};

static const struct names all_names[] = {
	{ .tokens = "text_model.embeddings.token_embedding.weight",
	  .positions = "text_model.embeddings.position_embedding.weight",
	  .after = "text_model.final_layer_norm",
	  .projection = "text_projection.weight",
	  .block = EK_BLOCKS_TRANSFORMERS("text_model.encoder.layers.") },
	{ .tokens = "token_embedding.weight",
	  .positions = "positional_embedding",
	  .after = "ln_final",
	  .projection = "text_projection",
	  .block = EK_BLOCKS_OPENAI("transformer.resblocks."),
	  .projection_transposed = 1,
	  .unsaid = 1 },
	{ .tokens = "text.token_embedding.weight",
	  .positions = "text.positional_embedding",
	  .after = "text.ln_final",
	  .projection = "text.text_projection",
	  .block = EK_BLOCKS_OPENAI("text.transformer.resblocks."),
	  .projection_transposed = 1,
	  .unsaid = 1 },
};

struct ek_clip_tower {
	struct ek_tensor_file file;
	struct ek_weights weights;
	const struct names *names;
	enum ek_nn_activation activation;
	int width, layers, features;
	double scale;
};

static const struct ek_tensor *find(const struct ek_clip_tower *t, const char *name)
{
	char full[EK_TENSOR_MAX_NAME + 1];

	(void)snprintf(full, sizeof full, "%s%s", t->weights.prefix, name);
	return ek_tensor_find(&t->file, full);
}

/* One dimension of a matrix, as a size that networks have. */
static int size_of(int *out, const struct ek_clip_tower *t, const char *name, int dimension)
{
	const struct ek_tensor *tensor = find(t, name);

	if (tensor == NULL || tensor->dimensions != 2 || tensor->shape[dimension] == 0 ||
	    tensor->shape[dimension] > WIDEST)
		return ek_fail(EK_EDATA, "%s: %s, which its text tower needs, is no matrix of up to %d", t->file.path,
		               name, WIDEST);
	*out = (int)tensor->shape[dimension];
	return 0;
}

static int choose_names(struct ek_clip_tower *t)
{
	for (size_t i = 0; i < sizeof all_names / sizeof *all_names; i++) {
		ek_weights_find_prefix(&t->weights, all_names[i].tokens);
		t->names = &all_names[i];
		if (ek_weights_has(&t->weights, t->names->tokens))
			return 0;
	}
	return ek_fail(EK_EDATA, "%s has no text tower of CLIP's: no tensor is called %s or %s", t->file.path,
	               all_names[0].tokens, all_names[1].tokens);
}

static int measure(struct ek_clip_tower *t)
{
	const struct names *n = t->names;
	const struct ek_tensor *tokens = find(t, n->tokens);
	char norm[128];
	int rc;

	if (tokens->dimensions != 2 || tokens->shape[0] != EK_CLIP_VOCABULARY)
		return ek_fail(EK_EDATA, "%s: %s has not the %d rows of CLIP's vocabulary", t->file.path, n->tokens,
		               EK_CLIP_VOCABULARY);
	EK_TRY(size_of(&t->width, t, n->positions, 1));
	EK_TRY(size_of(&t->features, t, n->projection, n->projection_transposed));
	if (t->width % HEAD != 0)
		return ek_fail(EK_EDATA, "%s: the text tower's width %d is no multiple of %d", t->file.path, t->width,
		               HEAD);
	for (; t->layers < MOST_LAYERS; t->layers++) {
		(void)snprintf(norm, sizeof norm, "%s%d.%s.weight", n->block.layer, t->layers, n->block.norm1);
		if (find(t, norm) == NULL)
			break;
	}
	if (t->layers == 0)
		rc = ek_fail(EK_EDATA, "%s: %s, which its text tower needs, is not there", t->file.path, norm);
out:
	return rc;
}

static int read_scale(struct ek_clip_tower *t)
{
	static const char name[] = "logit_scale";
	const struct ek_tensor *tensor = find(t, name);
	float value;
	int rc;

	if (tensor == NULL || tensor->count != 1)
		return ek_fail(EK_EDATA, "%s: %s, one number, is not there", t->file.path, name);
	EK_TRY(ek_tensor_to_finite_f32(&value, tensor, &t->file));
	t->scale = exp((double)value);
	if (!(t->scale >= 1e-3 && t->scale <= 1e4))
		rc = ek_fail(EK_EDATA, "%s: %s is %g, which no CLIP was trained to", t->file.path, name, (double)value);
out:
	return rc;
}

int ek_clip_tower_open(struct ek_clip_tower **out, const char *weights)
{
	const struct ek_encoder *clip;
	struct ek_clip_tower *t;
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	t = *out;
	EK_TRY(ek_tensor_file_open(&t->file, weights));
	EK_TRY(ek_weights_init(&t->weights, &t->file));
	EK_TRY(choose_names(t));
	EK_TRY(measure(t));
	EK_TRY(read_scale(t));
	EK_TRY(ek_encoder_find(&clip, "clip-vit-b32"));
	EK_TRY(ek_activation_choose(&t->activation, clip, weights, t->names->unsaid));
out:
	if (rc < 0) {
		ek_clip_tower_close(*out);
		*out = NULL;
	}
	return rc;
}

void ek_clip_tower_close(struct ek_clip_tower *t)
{
	if (t == NULL)
		return;
	ek_weights_release(&t->weights);
	ek_tensor_file_close(&t->file);
	free(t);
}

int ek_clip_tower_features(const struct ek_clip_tower *t)
{
	return t->features;
}

double ek_clip_tower_scale(const struct ek_clip_tower *t)
{
	return t->scale;
}

struct encode {
	const struct ek_clip_tower *tower;
	float *embedding, *position; /* [vocabulary, width], [context, width] */
	const int32_t *tokens;
	float *features;
	int length; /* tokens of the longest prompt: what comes after its end token changes nothing */
	int input, output;
};

/* Where the end token is: the largest number, as OpenAI's code finds it. */
static int end_of(const int32_t *tokens)
{
	int end = 0;

	for (int i = 1; i < EK_CLIP_CONTEXT; i++)
		end = tokens[i] > tokens[end] ? i : end;
	return end;
}

static int fill(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct encode *e = context;
	const size_t width = (size_t)e->tower->width;
	float *x = ek_net_stage(s, e->input);

	for (int i = 0; i < count; i++)
		for (int j = 0; j < e->length; j++) {
			const size_t token = (size_t)e->tokens[(first + (uint64_t)i) * EK_CLIP_CONTEXT + (uint64_t)j];

			for (size_t k = 0; k < width; k++)
				*x++ = e->embedding[token * width + k] + e->position[(size_t)j * width + k];
		}
	return 0;
}

static int take(void *context, uint64_t first, int count, struct ek_net_state *s)
{
	const struct encode *e = context;
	const size_t features = (size_t)e->tower->features, row = (size_t)e->length * features;
	const float *y = ek_net_view(s, e->output);

	for (uint64_t i = 0; i < (uint64_t)count; i++) {
		const size_t end = (size_t)end_of(e->tokens + (first + i) * EK_CLIP_CONTEXT);

		memcpy(e->features + (first + i) * features, y + i * row + end * features, features * sizeof *y);
	}
	return 0;
}

static int build(struct encode *e, struct ek_clip_tower *t, struct ek_net *net)
{
	const struct names *n = t->names;
	struct ek_blocks b = { .net = net,
		               .w = &t->weights,
		               .width = t->width,
		               .heads = t->width / HEAD,
		               .epsilon = EPSILON,
		               .activation = t->activation,
		               .names = &n->block };
	int x, rc;

	EK_TRY(x = e->input = ek_net_input(net, (struct ek_net_shape){ 1, e->length, t->width }));
	for (int i = 0; i < t->layers; i++)
		EK_TRY(x = ek_blocks_layer(&b, x, i, EK_BLOCK_CAUSAL));
	EK_TRY(x = ek_blocks_norm(&b, x, n->after, 0));
	EK_TRY(e->output = ek_blocks_project(&b, x, n->projection, t->features, n->projection_transposed));
	EK_TRY(ek_net_output(net, e->output));
	rc = ek_net_finish(net, EK_NET_FORWARD);
out:
	return rc;
}

int ek_clip_tower_encode(struct ek_clip_tower *t, float *features, const int32_t *tokens, size_t count)
{
	struct encode e = { .tower = t, .tokens = tokens, .features = features };
	const struct ek_runner_work work = { .context = &e, .fill = fill, .take = take };
	struct ek_runner runner = { 0 };
	struct ek_net *net = NULL;
	int rc;

	for (size_t i = 0; i < count; i++) {
		const int length = end_of(tokens + i * EK_CLIP_CONTEXT) + 1;

		e.length = length > e.length ? length : e.length;
	}
	ek_params_release(&t->weights.params); /* of an encoding before this */
	EK_TRY(ek_weights_read(&e.embedding, &t->weights, t->names->tokens, EK_SHAPE(EK_CLIP_VOCABULARY, t->width)));
	EK_TRY(ek_weights_read(&e.position, &t->weights, t->names->positions, EK_SHAPE(EK_CLIP_CONTEXT, t->width)));
	EK_TRY(ek_net_new(&net, &t->weights.params, EK_NN_F32, BATCH));
	EK_TRY(build(&e, t, net));
	EK_TRY(ek_net_load(net, t->weights.values));
	EK_TRY(ek_runner_init(&runner, net));
	EK_TRY(ek_runner_map(&runner, count, &work));
out:
	ek_runner_release(&runner);
	ek_net_free(net);
	free(e.embedding);
	free(e.position);
	return rc;
}
