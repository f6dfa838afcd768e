#include "train/nets/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { NAME_SIZE = 256 };

int ek_weights_init(struct ek_weights *w, const struct ek_tensor_file *file)
{
	*w = (struct ek_weights){ .file = file, .prefix = "" };
	return ek_alloc(&w->used, file->count, sizeof *w->used);
}

void ek_weights_release(struct ek_weights *w)
{
	ek_params_release(&w->params);
	free(w->values);
	free(w->used);
	*w = (struct ek_weights){ 0 };
}

int ek_weights_has(const struct ek_weights *w, const char *name)
{
	char full[EK_TENSOR_MAX_NAME + 1];

	(void)snprintf(full, sizeof full, "%s%s", w->prefix, name);
	return ek_tensor_find(w->file, full) != NULL;
}

void ek_weights_find_prefix(struct ek_weights *w, const char *name)
{
	w->prefix = ek_tensor_prefix(w->file, name);
}

float *ek_weights_values(const struct ek_weights *w, int parameter)
{
	return w->values + w->params.items[parameter].offset;
}

int ek_weights_room(struct ek_weights *w, const char *name, const int *shape)
{
	int64_t dims[EK_PARAM_MAX_RANK];
	int rank = 0, number, rc;

	for (; rank < EK_PARAM_MAX_RANK && shape[rank] != 0; rank++)
		dims[rank] = shape[rank];
	EK_TRY(number = ek_params_add(&w->params, name, rank, dims, (struct ek_init){ 0 }));
	w->params.items[number].frozen = 1;
	if (w->params.size > w->capacity) {
		const size_t capacity = w->params.size + w->params.size / 2;

		EK_TRY(ek_resize(&w->values, capacity, sizeof *w->values));
		w->capacity = capacity;
	}
	memset(ek_weights_values(w, number), 0, w->params.items[number].count * sizeof *w->values);
	rc = number;
out:
	return rc;
}

static int find(const struct ek_tensor **out, struct ek_weights *w, const char *name, const int *shape)
{
	uint64_t wanted[EK_TENSOR_MAX_DIMENSIONS];
	char *full = NULL;
	int dimensions = 0, rc;

	for (; dimensions < EK_TENSOR_MAX_DIMENSIONS && shape[dimensions] != 0; dimensions++)
		wanted[dimensions] = (uint64_t)shape[dimensions];
	EK_TRY(ek_format(&full, "%s%s", w->prefix, name));
	EK_TRY(ek_tensor_get(out, w->file, full, dimensions, wanted));
	w->used[*out - w->file->tensors] = 1;
out:
	free(full);
	return rc;
}

int ek_weights_take(struct ek_weights *w, const char *name, const int *shape)
{
	const struct ek_tensor *t;
	int number, rc;

	EK_TRY(find(&t, w, name, shape));
	EK_TRY(number = ek_weights_room(w, name, shape));
	EK_TRY(ek_tensor_to_finite_f32(ek_weights_values(w, number), t, w->file));
	rc = number;
out:
	return rc;
}

int ek_weights_read(float **out, struct ek_weights *w, const char *name, const int *shape)
{
	const struct ek_tensor *t;
	int rc;

	*out = NULL;
	EK_TRY(find(&t, w, name, shape));
	EK_TRY(ek_alloc(out, (size_t)t->count, sizeof **out));
	EK_TRY(ek_tensor_to_finite_f32(*out, t, w->file));
out:
	return rc;
}

/* gamma, beta, mean and variance, [outputs] each. */
static int read_norm(float *out[4], struct ek_weights *w, const struct ek_folded *f)
{
	static const char *const names[] = { "weight", "bias", "running_mean", "running_var" };
	char name[NAME_SIZE];
	int rc = 0;

	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof name, "%s.%s", f->norm, names[i]);
		EK_TRY(ek_weights_read(&out[i], w, name, EK_SHAPE(f->shape[0])));
	}
out:
	return rc;
}

int ek_weights_fold(struct ek_weights *w, const struct ek_folded *f, float *gamma, float *beta)
{
	const size_t outputs = (size_t)f->shape[0], window = (size_t)(f->shape[1] * f->shape[2] * f->shape[3]);
	char weight_name[NAME_SIZE], bias_name[NAME_SIZE];
	float *norm[4] = { NULL }, *weights, *biases;
	int weight, bias, rc;

	(void)snprintf(weight_name, sizeof weight_name, "%s.weight", f->conv);
	(void)snprintf(bias_name, sizeof bias_name, "%s.bias", f->conv);
	EK_TRY(weight = ek_weights_take(w, weight_name, EK_SHAPE(f->shape[0], f->shape[1], f->shape[2], f->shape[3])));
	EK_TRY(bias = ek_weights_room(w, bias_name, EK_SHAPE(f->shape[0])));
	EK_TRY(read_norm(norm, w, f));
	weights = ek_weights_values(w, weight);
	biases = ek_weights_values(w, bias);
	for (size_t o = 0; o < outputs; o++) {
		const double s = (double)norm[0][o] / sqrt((double)norm[3][o] + f->epsilon);

		biases[o] = (float)((double)norm[1][o] - (double)norm[2][o] * s);
		for (size_t i = 0; i < window; i++)
			weights[o * window + i] = (float)((double)weights[o * window + i] * s);
	}
	if (gamma != NULL)
		memcpy(gamma, norm[0], outputs * sizeof *gamma);
	if (beta != NULL)
		memcpy(beta, norm[1], outputs * sizeof *beta);
	rc = weight;
out:
	for (int i = 0; i < 4; i++)
		free(norm[i]);
	return rc;
}

int ek_weights_check_all_taken(const struct ek_weights *w, const char *const *ignored)
{
	const size_t length = strlen(w->prefix);

	for (size_t i = 0; i < w->file->count; i++) {
		const char *name = w->file->tensors[i].name;

		if (!w->used[i] && strncmp(name, w->prefix, length) == 0 &&
		    !ek_tensor_name_matches(name + length, ignored))
			return ek_fail(EK_EDATA,
			               "%s: the encoder has no tensor %s: this file belongs to another network",
			               w->file->path, name);
	}
	return 0;
}
