#include "train/nn/graph.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"

enum { BATCH_MAX = 4096, SIDE_MAX = 1 << 14 };

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

int ek_nn_value_add(struct ek_nn_graph *g, struct ek_nn_shape shape)
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
	EK_TRY(value = ek_nn_value_add(g, shape));
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

int ek_nn_graph_finish(struct ek_nn_graph *g, int value)
{
	int rc = ek_nn_check_value(g, value, "finish");

	if (rc < 0)
		return rc;
	if ((rc = ek_nn_plan(g, value)) < 0)
		g->output = -1;
	return rc;
}

void *ek_nn_data(const struct ek_nn_state *s, int value)
{
	return s->arena + s->graph->values[ek_nn_owner(s->graph, value)].offset;
}

static int bind_step(struct ek_nn_state *s, int index)
{
	const struct ek_nn_step *step = &s->graph->steps[index];
	int rc = 0;

	for (int i = 0; i < EK_NN_STEP_KERNELS && step->kernels[i] != NULL; i++) {
		struct ek_dnn_call *call;

		EK_TRY(ek_dnn_call_new(&s->calls[index][i], step->kernels[i]));
		call = s->calls[index][i];
		ek_dnn_call_set(call, EK_DNN_SCRATCH, s->scratch + ek_nn_align(step->scratch));
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
