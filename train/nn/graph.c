#include "train/nn/graph.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

enum { BATCH_MAX = 4096, ALIGNMENT = 64, SIDE_MAX = 1 << 16 };

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

int ek_nn_graph_new(struct ek_nn_graph **out, enum ek_nn_precision precision, int batch)
{
	struct ek_nn_graph *g = NULL;
	int rc;

	*out = NULL;
	if (batch < 1 || batch > BATCH_MAX)
		return ek_fail(EK_EUSAGE, "batch of %d images: must be 1 to %d", batch, BATCH_MAX);
	if (precision == EK_NN_BF16 && !ek_nn_cpu_has_bf16())
		return ek_fail(EK_ENOTSUP, "this processor has no bfloat16 products");
	EK_TRY(ek_alloc(&g, 1, sizeof *g));
	g->backend = &ek_nn_cpu;
	g->type = ek_nn_precision_type(precision);
	g->batch = batch;
	if ((rc = ek_alloc(&g->values, 1, sizeof *g->values)) < 0) {
		free(g);
		goto out;
	}
	g->value_count = 1;
	*out = g;
out:
	return rc;
}

void ek_nn_step_release(struct ek_nn_step *step)
{
	for (int i = 0; i < EK_NN_STEP_KERNELS; i++)
		ek_dnn_kernel_free(step->kernels[i]);
	free(step->weights);
	free(step->bias);
}

void ek_nn_graph_free(struct ek_nn_graph *g)
{
	if (g == NULL)
		return;
	for (int i = 0; i < g->step_count; i++)
		ek_nn_step_release(&g->steps[i]);
	for (int i = 0; i < g->value_count; i++)
		ek_dnn_layout_free(g->values[i].layout);
	free(g->layers);
	free(g->values);
	free(g->steps);
	free(g);
}

int ek_nn_check_value(const struct ek_nn_graph *g, int x, const char *what)
{
	if (x < 0)
		return x;
	if (x == 0 || x >= g->value_count)
		return ek_fail(EK_EUSAGE, "%s: %d is no value of this graph", what, x);
	return g->output == 0 ? 0 : ek_fail(EK_EUSAGE, "%s: the graph is finished", what);
}

int ek_nn_check_image(const struct ek_nn_graph *g, int x, const char *what)
{
	const int rc = ek_nn_check_value(g, x, what);

	if (rc < 0)
		return rc;
	return g->values[x].shape.tokens == 0 ? 0 : ek_fail(EK_EUSAGE, "%s: wants an image, has tokens", what);
}

int ek_nn_check_tokens(const struct ek_nn_graph *g, int x, const char *what)
{
	const int rc = ek_nn_check_value(g, x, what);

	if (rc < 0)
		return rc;
	return g->values[x].shape.tokens > 0 ? 0 : ek_fail(EK_EUSAGE, "%s: wants tokens, has an image", what);
}

int ek_nn_check_residual(const struct ek_nn_graph *g, int residual, struct ek_nn_shape shape, const char *what)
{
	const int rc = residual == 0 ? 0 : ek_nn_check_value(g, residual, what);

	if (rc < 0 || residual == 0)
		return rc;
	if (memcmp(&g->values[residual].shape, &shape, sizeof shape) != 0)
		return ek_fail(EK_EUSAGE, "%s: the residual has another shape than the result", what);
	return 0;
}

static int value_add(struct ek_nn_graph *g, struct ek_nn_shape shape)
{
	int rc;

	EK_TRY(ek_resize(&g->values, (size_t)g->value_count + 1, sizeof *g->values));
	g->values[g->value_count] = (struct ek_nn_value){ .shape = shape, .first_step = -1, .last_step = -1 };
	rc = g->value_count++;
out:
	return rc;
}

int ek_nn_layer_add(struct ek_nn_graph *g, const struct ek_nn_layer *layer, struct ek_nn_shape shape)
{
	int rc, value;

	EK_TRY(ek_resize(&g->layers, (size_t)g->layer_count + 1, sizeof *g->layers));
	EK_TRY(value = value_add(g, shape));
	g->layers[g->layer_count] = *layer;
	g->layers[g->layer_count++].output = value;
	rc = value;
out:
	return rc;
}

int ek_nn_window_count(int size, int pad_low, int pad_high, int kernel, int stride)
{
	const int room = size + pad_low + pad_high - kernel;

	return room < 0 ? 0 : room / stride + 1;
}

int ek_nn_at_least_one(int x)
{
	return x == 0 ? 1 : x;
}

int ek_nn_image(struct ek_nn_graph *g, const struct ek_nn_image *image)
{
	const struct ek_nn_shape shape = { .channels = image->channels,
		                           .height = image->height,
		                           .width = image->width };

	if (g->layer_count > 0)
		return ek_fail(EK_EUSAGE, "the image must be the first layer, and the only one");
	if (image->channels < 1 || image->channels > SIDE_MAX || image->height < 1 || image->height > SIDE_MAX ||
	    image->width < 1 || image->width > SIDE_MAX)
		return ek_fail(EK_EUSAGE, "image of %d x %d x %d: sides must be 1 to %d", image->channels,
		               image->height, image->width, SIDE_MAX);
	return ek_nn_layer_add(g, &(struct ek_nn_layer){ .op = EK_NN_OP_IMAGE, .of.image = *image }, shape);
}

struct ek_nn_shape ek_nn_graph_shape(const struct ek_nn_graph *g, int value)
{
	return g->values[value].shape;
}

static size_t elements(struct ek_nn_shape s)
{
	return s.tokens > 0 ? (size_t)s.tokens * (size_t)s.features
	                    : (size_t)s.channels * (size_t)s.height * (size_t)s.width;
}

size_t ek_nn_graph_output_size(const struct ek_nn_graph *g)
{
	return g->output > 0 ? elements(g->values[g->output].shape) : 0;
}

size_t ek_nn_graph_weight_bytes(const struct ek_nn_graph *g)
{
	return g->weight_bytes;
}

size_t ek_nn_graph_state_bytes(const struct ek_nn_graph *g)
{
	return g->arena + g->scratch;
}

enum ek_nn_type ek_nn_graph_type(const struct ek_nn_graph *g)
{
	return g->type;
}

/* Planning */

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

	EK_TRY(step.output = value_add(g, g->values[value].shape));
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

/* The value whose memory this one has. */
static int owner_of(const struct ek_nn_graph *g, int value)
{
	while (g->values[value].shares > 0)
		value = g->values[value].shares;
	return value;
}

static size_t align(size_t size)
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
		struct ek_nn_value *owner = &g->values[owner_of(g, v)];

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
			    v->offset < w->offset + align(w->bytes) && w->offset < v->offset + align(v->bytes)) {
				v->offset = w->offset + align(w->bytes);
				j = -1;
			}
		}
		if (g->arena < v->offset + align(v->bytes))
			g->arena = v->offset + align(v->bytes);
	}
out:
	free(order);
	return rc;
}

/* A step's scratch: its own first, then one region that its kernels use in turn. */
static size_t kernel_scratch(const struct ek_nn_step *step)
{
	size_t most = 0;

	for (int i = 0; i < EK_NN_STEP_KERNELS; i++)
		if (step->kernels[i] != NULL && ek_dnn_kernel_scratch(step->kernels[i]) > most)
			most = ek_dnn_kernel_scratch(step->kernels[i]);
	return align(most);
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

int ek_nn_graph_finish(struct ek_nn_graph *g, int value)
{
	int rc, output;

	if ((rc = ek_nn_check_value(g, value, "finish")) < 0)
		return rc;
	note_uses(g);
	g->values[value].last_layer = INT_MAX;
	g->values[value].wants_float = 1;
	EK_TRY(plan_layers(g));
	EK_TRY(ek_nn_convert_order(&output, g, value, EK_NN_FLOAT32, EK_DNN_PLAIN));
	g->values[output].last_step = g->step_count;
	EK_TRY(place_values(g));
	for (int i = 0; i < g->step_count; i++) {
		const size_t scratch = align(g->steps[i].scratch) + kernel_scratch(&g->steps[i]);

		g->scratch = scratch > g->scratch ? scratch : g->scratch;
	}
	free(g->layers);
	g->layers = NULL;
	g->layer_count = 0;
	g->output = output;
out:
	if (rc < 0)
		g->output = -1;
	return rc;
}

/* Running */

void *ek_nn_data(const struct ek_nn_state *s, int value)
{
	return s->arena + s->graph->values[owner_of(s->graph, value)].offset;
}

static int bind_step(struct ek_nn_state *s, int index)
{
	const struct ek_nn_step *step = &s->graph->steps[index];
	int rc = 0;

	for (int i = 0; i < EK_NN_STEP_KERNELS && step->kernels[i] != NULL; i++) {
		struct ek_dnn_call *call;

		EK_TRY(ek_dnn_call_new(&s->calls[index][i], step->kernels[i]));
		call = s->calls[index][i];
		ek_dnn_call_set(call, EK_DNN_SCRATCH, s->scratch + align(step->scratch));
		if (step->run != NULL)
			continue;
		ek_dnn_call_set(call, EK_DNN_SOURCE, ek_nn_data(s, step->inputs[0]));
		for (int j = 0; j < step->input_count; j++)
			ek_dnn_call_set(call, EK_DNN_SOURCES + j, ek_nn_data(s, step->inputs[j]));
		ek_dnn_call_set(call, EK_DNN_WEIGHTS, step->weights);
		ek_dnn_call_set(call, EK_DNN_BIAS, step->bias);
		ek_dnn_call_set(call, EK_DNN_RESULT, ek_nn_data(s, step->output));
	}
out:
	return rc;
}

int ek_nn_state_new(struct ek_nn_state **out, const struct ek_nn_graph *g)
{
	struct ek_nn_state *s = NULL;
	int rc;

	*out = NULL;
	if (g->output <= 0)
		return ek_fail(EK_EUSAGE, "the graph is not finished");
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->graph = g;
	EK_TRY(ek_alloc(&s->calls, (size_t)g->step_count, sizeof *s->calls));
	EK_TRY(ek_alloc_aligned(&s->arena, 1, g->arena + g->scratch));
	s->scratch = s->arena + g->arena;
	for (int i = 0; i < g->step_count; i++)
		EK_TRY(bind_step(s, i));
	*out = s;
	s = NULL;
out:
	ek_nn_state_free(s);
	return rc;
}

void ek_nn_state_free(struct ek_nn_state *s)
{
	if (s == NULL)
		return;
	for (int i = 0; s->calls != NULL && i < s->graph->step_count; i++)
		for (int j = 0; j < EK_NN_STEP_KERNELS; j++)
			ek_dnn_call_free(s->calls[i][j]);
	free(s->calls);
	free(s->arena);
	free(s);
}

int ek_nn_run(const struct ek_nn_graph *g, struct ek_nn_state *s, const void *input, int count, float *output)
{
	int rc = 0, before;

	if (count < 1 || count > g->batch)
		return ek_fail(EK_EUSAGE, "%d images for a batch of %d", count, g->batch);
	s->input = input;
	s->count = count;
	before = ek_dnn_enter();
	for (int i = 0; i < g->step_count; i++) {
		const struct ek_nn_step *step = &g->steps[i];

		EK_TRY(step->run != NULL ? step->run(g, step, s, s->calls[i]) : ek_dnn_call_run(s->calls[i][0]));
	}
	memcpy(output, ek_nn_data(s, g->output), (size_t)count * ek_nn_graph_output_size(g) * sizeof *output);
out:
	ek_dnn_leave(before);
	return rc;
}
