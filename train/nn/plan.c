#include <limits.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

enum { ALIGNMENT = 64 };

static const char *const op_names[EK_NN_OP_COUNT] = {
	[EK_NN_OP_IMAGE] = "image",
	[EK_NN_OP_CONV] = "convolution",
	[EK_NN_OP_POOL] = "pooling",
	[EK_NN_OP_GLOBAL_AVERAGE] = "global average",
	[EK_NN_OP_LINEAR] = "linear layer",
	[EK_NN_OP_LAYER_NORM] = "layer norm",
	[EK_NN_OP_ATTENTION] = "attention",
	[EK_NN_OP_PATCHES] = "patches",
	[EK_NN_OP_SEQUENCE] = "token sequence",
	[EK_NN_OP_TAKE] = "choice of tokens",
	[EK_NN_OP_MEAN] = "mean of tokens",
	[EK_NN_OP_CONCAT] = "concatenation",
};

void ek_nn_step_release(struct ek_nn_step *step)
{
	for (int i = 0; i < EK_NN_STEP_KERNELS; i++)
		ek_dnn_kernel_free(step->kernels[i]);
	free(step->weights);
	free(step->bias);
}

int ek_nn_value_layout(struct ek_dnn_layout **out, const struct ek_nn_graph *g, int value, enum ek_nn_type type,
                       enum ek_dnn_order order)
{
	const struct ek_nn_shape s = g->values[value].shape;
	const int64_t image[4] = { g->batch, s.channels, s.height, s.width };
	const int64_t tokens[2] = { (int64_t)g->batch * s.tokens, s.features };

	if (s.tokens > 0)
		return ek_dnn_layout_new(out, type, 2, tokens, order);
	return ek_dnn_layout_new(out, type, 4, image, order);
}

int ek_nn_value_settle(struct ek_nn_graph *g, int value, enum ek_nn_type type, const struct ek_dnn_layout *layout)
{
	struct ek_nn_value *v = &g->values[value];

	v->type = type;
	v->bytes = ek_dnn_layout_size(layout);
	return ek_dnn_layout_copy(&v->layout, layout);
}

int ek_nn_value_settle_order(struct ek_nn_graph *g, int value, enum ek_nn_type type, enum ek_dnn_order order)
{
	struct ek_dnn_layout *layout = NULL;
	int rc;

	EK_TRY(ek_nn_value_layout(&layout, g, value, type, order));
	EK_TRY(ek_nn_value_settle(g, value, type, layout));
out:
	ek_dnn_layout_free(layout);
	return rc;
}

int ek_nn_step_add(struct ek_nn_graph *g, const struct ek_nn_step *step)
{
	struct ek_nn_step given = *step;
	int rc;

	if ((rc = ek_resize(&g->steps, (size_t)g->step_count + 1, sizeof *g->steps)) < 0) {
		ek_nn_step_release(&given);
		return rc;
	}
	for (int i = 0; i < given.input_count; i++)
		g->values[given.inputs[i]].last_step = g->step_count;
	g->values[given.output].first_step = g->step_count;
	g->values[given.output].last_step = g->step_count;
	g->steps[g->step_count++] = given;
	return 0;
}

/* A new value with the content of `value` in another place, layout and type. */
static int copy_to(int *out, struct ek_nn_graph *g, int value, enum ek_nn_type type, const struct ek_dnn_layout *layout)
{
	struct ek_nn_step step = { .inputs = { value }, .input_count = 1 };
	int rc;

	EK_TRY(step.output = ek_nn_value_add(g, g->values[value].shape));
	EK_TRY(ek_nn_value_settle(g, step.output, type, layout));
	EK_TRY(ek_dnn_reorder(&step.kernels[0], g->values[value].layout, layout));
	EK_TRY(ek_nn_step_add(g, &step));
	*out = step.output;
out:
	return rc;
}

int ek_nn_convert(int *out, struct ek_nn_graph *g, int value, enum ek_nn_type type, const struct ek_dnn_layout *layout)
{
	int rc;

	*out = value;
	if (ek_dnn_layout_equal(g->values[value].layout, layout))
		return 0;
	for (int v = 1; v < g->value_count; v++)
		if (g->values[v].converted_from == value && ek_dnn_layout_equal(g->values[v].layout, layout)) {
			*out = v;
			return 0;
		}
	EK_TRY(copy_to(out, g, value, type, layout));
	g->values[*out].converted_from = value;
out:
	return rc;
}

int ek_nn_convert_order(int *out, struct ek_nn_graph *g, int value, enum ek_nn_type type, enum ek_dnn_order order)
{
	struct ek_dnn_layout *layout = NULL;
	int rc;

	EK_TRY(ek_nn_value_layout(&layout, g, value, type, order));
	EK_TRY(ek_nn_convert(out, g, value, type, layout));
out:
	ek_dnn_layout_free(layout);
	return rc;
}

int ek_nn_share_residual(struct ek_nn_graph *g, int value, int residual)
{
	const struct ek_nn_layer *layer = &g->layers[g->planning];
	const struct ek_nn_value *v = &g->values[value];
	int place = residual, used = g->values[residual].last_layer > g->planning, rc = 0;

	for (int i = 0; i < layer->input_count; i++)
		used = used || layer->inputs[i] == residual;
	if (used || !ek_dnn_layout_equal(g->values[residual].layout, v->layout))
		EK_TRY(copy_to(&place, g, residual, v->type, v->layout));
	g->values[value].shares = place;
out:
	return rc;
}

int ek_nn_pack(void **out, struct ek_nn_graph *g, const float *data, const struct ek_dnn_layout *from,
               const struct ek_dnn_kernel *kernel, int slot)
{
	const struct ek_dnn_layout *to = ek_dnn_kernel_layout(kernel, slot);
	struct ek_dnn_kernel *reorder = NULL;
	int rc;

	EK_TRY(ek_alloc_aligned(out, 1, ek_dnn_layout_size(to)));
	EK_TRY(ek_dnn_reorder(&reorder, from, to));
	EK_TRY(ek_dnn_once(reorder, data, NULL, *out, NULL));
	g->weight_bytes += ek_dnn_layout_size(to);
out:
	ek_dnn_kernel_free(reorder);
	return rc;
}

int ek_nn_constants(void **out, struct ek_nn_graph *g, const float *data, size_t count, float fill)
{
	float *values = NULL;
	int rc;

	EK_TRY(ek_alloc(&values, count, sizeof *values));
	for (size_t i = 0; i < count; i++)
		values[i] = data != NULL ? data[i] : fill;
	g->weight_bytes += count * sizeof *values;
	*out = values;
out:
	return rc;
}

static void note_uses(struct ek_nn_graph *g)
{
	for (int i = 0; i < g->layer_count; i++) {
		const struct ek_nn_layer *l = &g->layers[i];
		const int wants = l->op == EK_NN_OP_LAYER_NORM || l->op == EK_NN_OP_SEQUENCE;

		for (int j = 0; j < l->input_count; j++) {
			g->values[l->inputs[j]].last_layer = i;
			g->values[l->inputs[j]].wants_float |= wants;
		}
		if (l->residual > 0)
			g->values[l->residual].last_layer = i;
	}
}

int ek_nn_owner(const struct ek_nn_graph *g, int value)
{
	while (g->values[value].shares > 0)
		value = g->values[value].shares;
	return value;
}

size_t ek_nn_align(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int larger_first(const void *a, const void *b, void *context)
{
	const struct ek_nn_graph *g = context;
	const int x = *(const int *)a, y = *(const int *)b;

	if (g->values[x].bytes != g->values[y].bytes)
		return g->values[x].bytes > g->values[y].bytes ? -1 : 1;
	return x - y;
}

/* Each value, the largest first, goes to the lowest place that no value living at the same time overlaps. */
static int place_values(struct ek_nn_graph *g)
{
	int *order = NULL, count = 0, rc;

	EK_TRY(ek_alloc(&order, (size_t)g->value_count, sizeof *order));
	for (int v = 1; v < g->value_count; v++) {
		struct ek_nn_value *owner = &g->values[ek_nn_owner(g, v)];

		if (g->values[v].last_step > owner->last_step)
			owner->last_step = g->values[v].last_step;
		if (owner == &g->values[v] && owner->first_step >= 0)
			order[count++] = v;
	}
	qsort_r(order, (size_t)count, sizeof *order, larger_first, g);
	for (int i = 0; i < count; i++) {
		struct ek_nn_value *v = &g->values[order[i]];

		for (int j = 0; j < i; j++) {
			const struct ek_nn_value *w = &g->values[order[j]];

			if (v->first_step <= w->last_step && w->first_step <= v->last_step &&
			    v->offset < w->offset + ek_nn_align(w->bytes) &&
			    w->offset < v->offset + ek_nn_align(v->bytes)) {
				v->offset = w->offset + ek_nn_align(w->bytes);
				j = -1;
			}
		}
		if (g->arena < v->offset + ek_nn_align(v->bytes))
			g->arena = v->offset + ek_nn_align(v->bytes);
	}
out:
	free(order);
	return rc;
}

size_t ek_nn_step_scratch(const struct ek_nn_step *step)
{
	size_t most = 0;

	for (int i = 0; i < EK_NN_STEP_KERNELS; i++)
		if (step->kernels[i] != NULL && ek_dnn_kernel_scratch(step->kernels[i]) > most)
			most = ek_dnn_kernel_scratch(step->kernels[i]);
	return ek_nn_align(step->scratch) + ek_nn_align(most);
}

static int plan_layers(struct ek_nn_graph *g)
{
	int rc = 0;

	for (g->planning = 0; g->planning < g->layer_count; g->planning++) {
		const struct ek_nn_layer *l = &g->layers[g->planning];

		if (g->backend->plan[l->op] == NULL)
			return ek_fail(EK_ENOTSUP, "the %s back end has no %s", g->backend->name, op_names[l->op]);
		EK_TRY(g->backend->plan[l->op](g, l));
	}
out:
	return rc;
}

int ek_nn_plan(struct ek_nn_graph *g, int value)
{
	int rc, output;

	note_uses(g);
	g->values[value].last_layer = INT_MAX;
	g->values[value].wants_float = 1;
	EK_TRY(plan_layers(g));
	EK_TRY(ek_nn_convert_order(&output, g, value, EK_NN_FLOAT32, EK_DNN_PLAIN));
	g->values[output].last_step = g->step_count;
	EK_TRY(place_values(g));
	for (int i = 0; i < g->step_count; i++)
		if (ek_nn_step_scratch(&g->steps[i]) > g->scratch)
			g->scratch = ek_nn_step_scratch(&g->steps[i]);
	free(g->layers);
	g->layers = NULL;
	g->layer_count = 0;
	g->output = output;
out:
	return rc;
}
