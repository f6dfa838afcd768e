/*
 * make_clip WEIGHTS.safetensors EMBEDDINGS.npy NOISE COUNT=PROMPT...
 *
 * A text tower as small as can be, with random weights, and embeddings as its image tower might make them: COUNT images
 * of each prompt, its features and noise of so many times their length, in turn as long as there are any. For tests of
 * groups that words describe.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/clip_tokenizer.h"
#include "analysis/embed/clip_tower.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/npy.h"
#include "rebalance/io/safetensors.h"
#include "tests/analysis/embed/random_weights.h"

enum { WIDTH = 64, FEATURES = 16, MOST = 16 };
#define LAYER "transformer.resblocks.0."

static const struct ek_tensor_spec tensors[] = {
	{ .name = "token_embedding.weight", .type = EK_F32, .dimensions = 2, .shape = { EK_CLIP_VOCABULARY, WIDTH } },
	{ .name = "positional_embedding", .type = EK_F32, .dimensions = 2, .shape = { EK_CLIP_CONTEXT, WIDTH } },
	{ .name = LAYER "ln_1.weight", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = LAYER "ln_1.bias", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = LAYER "attn.in_proj_weight", .type = EK_F32, .dimensions = 2, .shape = { 3 * WIDTH, WIDTH } },
	{ .name = LAYER "attn.in_proj_bias", .type = EK_F32, .dimensions = 1, .shape = { 3 * WIDTH } },
	{ .name = LAYER "attn.out_proj.weight", .type = EK_F32, .dimensions = 2, .shape = { WIDTH, WIDTH } },
	{ .name = LAYER "attn.out_proj.bias", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = LAYER "ln_2.weight", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = LAYER "ln_2.bias", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = LAYER "mlp.c_fc.weight", .type = EK_F32, .dimensions = 2, .shape = { 4 * WIDTH, WIDTH } },
	{ .name = LAYER "mlp.c_fc.bias", .type = EK_F32, .dimensions = 1, .shape = { 4 * WIDTH } },
	{ .name = LAYER "mlp.c_proj.weight", .type = EK_F32, .dimensions = 2, .shape = { WIDTH, 4 * WIDTH } },
	{ .name = LAYER "mlp.c_proj.bias", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = "ln_final.weight", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = "ln_final.bias", .type = EK_F32, .dimensions = 1, .shape = { WIDTH } },
	{ .name = "text_projection", .type = EK_F32, .dimensions = 2, .shape = { WIDTH, FEATURES } },
	{ .name = "logit_scale", .type = EK_F32, .dimensions = 0 },
};
enum { TENSORS = sizeof tensors / sizeof *tensors };

static int write_tensor(struct ek_safetensors_writer *w, const struct ek_tensor_spec *t)
{
	const float scale = (float)log(100);
	float *numbers = NULL;
	size_t count = 1;
	int rc;

	for (int i = 0; i < t->dimensions; i++)
		count *= (size_t)t->shape[i];
	EK_TRY(ek_alloc(&numbers, count, sizeof *numbers));
	if (t->dimensions == 0)
		numbers[0] = scale;
	else
		ek_random_tensor(numbers, t->name, t->shape, t->dimensions);
	EK_TRY(ek_safetensors_writer_append(w, numbers, count * sizeof *numbers));
out:
	free(numbers);
	return rc;
}

static int write_weights(const char *path)
{
	struct ek_safetensors_writer *w = NULL;
	int rc;

	EK_TRY(ek_safetensors_writer_open(&w, path, tensors, TENSORS, NULL));
	for (int i = 0; i < TENSORS; i++)
		EK_TRY(write_tensor(w, &tensors[i]));
	EK_TRY(ek_safetensors_writer_commit(w));
out:
	ek_safetensors_writer_free(w);
	return rc;
}

static int encode(float *features, const char *weights, char **words, int count)
{
	struct ek_clip_tokenizer *tokenizer = NULL;
	struct ek_clip_tower *tower = NULL;
	int32_t tokens[MOST * EK_CLIP_CONTEXT];
	int rc;

	EK_TRY(ek_clip_tokenizer_new(&tokenizer));
	EK_TRY(ek_clip_tower_open(&tower, weights));
	for (int i = 0; i < count; i++) {
		const char *prompt = strchr(words[i], '=') + 1;

		EK_TRY(ek_clip_tokenize(tokens + i * EK_CLIP_CONTEXT, NULL, tokenizer, prompt, strlen(prompt)));
	}
	EK_TRY(ek_clip_tower_encode(tower, features, tokens, (size_t)count));
out:
	ek_clip_tower_close(tower);
	ek_clip_tokenizer_free(tokenizer);
	return rc;
}

static void make_image(float *out, const float *text, double noise, int number)
{
	float u[FEATURES];
	char name[32];
	double squares = 0;

	(void)snprintf(name, sizeof name, "image %d", number);
	ek_random_units(u, name, FEATURES);
	for (int j = 0; j < FEATURES; j++)
		squares += (double)text[j] * (double)text[j];
	for (int j = 0; j < FEATURES; j++)
		out[j] = text[j] + (float)(noise * sqrt(3 * squares / FEATURES)) * u[j];
}

int main(int argc, char **argv)
{
	const int prompts = argc - 4;
	long left[MOST], images = 0;
	float features[MOST * FEATURES], *all = NULL;
	int rc;

	if (prompts < 1 || prompts > MOST)
		return 2;
	for (int i = 0; i < prompts; i++)
		images += left[i] = strtol(argv[4 + i], NULL, 10);
	EK_TRY(write_weights(argv[1]));
	EK_TRY(encode(features, argv[1], argv + 4, prompts));
	EK_TRY(ek_alloc(&all, (size_t)images * FEATURES, sizeof *all));
	for (int number = 0, i = 0; number < images; i = (i + 1) % prompts)
		if (left[i]-- > 0) {
			make_image(all + number * FEATURES, features + i * FEATURES, strtod(argv[3], NULL), number);
			number++;
		}
	EK_TRY(ek_npy_write(argv[2], EK_F32, 2, (const uint64_t[]){ (uint64_t)images, FEATURES }, all));
out:
	if (rc < 0)
		(void)fprintf(stderr, "make_clip: %s\n", ek_error_message());
	free(all);
	return rc < 0;
}
