#include "analysis/embed/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

enum { NAME_SIZE = 256 };

/* PREFIX name suffix */
static const char *full_name(char full[NAME_SIZE], const struct ek_blocks *b, const char *name, const char *suffix)
{
	if (name[strlen(name) - 1] == '_' && *suffix == '.')
		suffix++;
	(void)snprintf(full, NAME_SIZE, "%s%s%s", b->layer, name, suffix);
	return full;
}

int ek_blocks_take(const struct ek_blocks *b, const char *name, const char *suffix, const int *shape)
{
	char full[NAME_SIZE];

	return ek_weights_take(b->w, full_name(full, b, name, suffix), shape);
}

int ek_blocks_norm(const struct ek_blocks *b, int x, const char *name, int float32)
{
	struct ek_net_layer_norm l = { .epsilon = (float)b->epsilon, .float32 = float32 };
	int rc;

	EK_TRY(l.weight = ek_blocks_take(b, name, ".weight", EK_SHAPE(b->width)));
	EK_TRY(l.bias = ek_blocks_take(b, name, ".bias", EK_SHAPE(b->width)));
	rc = ek_net_layer_norm(b->net, x, &l);
out:
	return rc;
}

/* Multiply outputs of a linear layer (LayerScale). */
static int scale_outputs(const struct ek_blocks *b, const struct ek_net_linear *l, size_t in, const char *name)
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
static int linear(const struct ek_blocks *b, int x, const char *const *names, int parts, int outputs, const char *scale)
{
	const int in = ek_net_shape(b->net, x).channels, out = outputs / parts;
	struct ek_net_linear l = { .outputs = outputs };
	int rc;

	for (int i = 0, first = 0; i < parts; i++) {
		EK_TRY(first = ek_blocks_take(b, names[i], ".weight", EK_SHAPE(out, in)));
		l.weight = i == 0 ? first : l.weight;
	}
	for (int i = 0, first = 0; i < parts; i++) {
		EK_TRY(first = ek_blocks_take(b, names[i], ".bias", EK_SHAPE(out)));
		l.bias = i == 0 ? first : l.bias;
	}
	if (scale != NULL)
		EK_TRY(scale_outputs(b, &l, (size_t)in, scale));
	rc = ek_net_linear(b->net, x, &l);
out:
	return rc;
}

int ek_blocks_layer(struct ek_blocks *b, int x, int number, enum ek_block_rows rows)
{
	const struct ek_block_names *names = b->names;
	const char *const separate[] = { names->query, names->key, names->value };
	const int width = b->width;
	int y, rc;

	(void)snprintf(b->layer, sizeof b->layer, "%s%d.", names->layer, number);
	EK_TRY(y = ek_blocks_norm(b, x, names->norm1, 0));
	EK_TRY(y = linear(b, y, names->qkv != NULL ? &names->qkv : separate, names->qkv != NULL ? 1 : 3, 3 * width,
	                  NULL));
	EK_TRY(y = rows == EK_BLOCK_CAUSAL ? ek_net_causal_attention(b->net, y, b->heads)
	                                   : ek_net_attention(b->net, y, b->heads));
	if (rows == EK_BLOCK_FIRST_ROW) {
		EK_TRY(x = ek_net_rows_of(b->net, x, 0, 1));
		EK_TRY(y = ek_net_rows_of(b->net, y, 0, 1));
	}
	EK_TRY(y = linear(b, y, &names->output, 1, width, names->scale1));
	EK_TRY(x = ek_net_add(b->net, x, y));
	EK_TRY(y = ek_blocks_norm(b, x, names->norm2, 0));
	EK_TRY(y = linear(b, y, &names->fc1, 1, 4 * width, NULL));
	EK_TRY(y = linear(b, ek_net_activation(b->net, y, b->activation), &names->fc2, 1, width, names->scale2));
	rc = ek_net_add(b->net, x, y);
out:
	b->layer[0] = 0;
	return rc;
}

int ek_blocks_project(const struct ek_blocks *b, int x, const char *name, int features, int transposed)
{
	const int width = b->width;
	struct ek_net_linear l = { .bias = -1, .outputs = features, .float32 = 1 };
	float *matrix = NULL, *turned;
	int rc;

	if (!transposed) {
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
