#include <math.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"
#include "train/nn/vector.h"

/*
 * One head of one image at a time: scores [t, t] in float32, which stay in the cache, softmax, and the sum of
 * values. Scratch: the scores, then the probabilities in the graph's type.
 * numbers: heads, row length of scores and probabilities (in elements).
 */
static int run_head(const struct ek_nn_step *step, struct ek_nn_state *s, struct ek_dnn_call *const *calls,
                    unsigned char *query, size_t width, unsigned char *result, enum ek_nn_type type, size_t tokens)
{
	const struct ek_nn_vector *vector = ek_nn_vector();
	const size_t row = (size_t)step->numbers[1];
	float *scores = (float *)(void *)s->scratch;
	ek_bf16 *narrow = (ek_bf16 *)(void *)(s->scratch + tokens * row * sizeof(float));
	int rc;

	ek_dnn_call_set(calls[0], EK_DNN_SOURCE, query);
	ek_dnn_call_set(calls[0], EK_DNN_WEIGHTS, query + width);
	ek_dnn_call_set(calls[0], EK_DNN_RESULT, scores);
	EK_TRY(ek_dnn_call_run(calls[0]));
	for (size_t i = 0; i < tokens; i++) {
		vector->softmax(scores + i * row, tokens, step->epsilon);
		if (type == EK_NN_BFLOAT16)
			vector->bf16_from_float(narrow + i * row, scores + i * row, tokens);
	}
	ek_dnn_call_set(calls[1], EK_DNN_SOURCE, type == EK_NN_BFLOAT16 ? (void *)narrow : (void *)scores);
	ek_dnn_call_set(calls[1], EK_DNN_WEIGHTS, query + 2 * width);
	ek_dnn_call_set(calls[1], EK_DNN_RESULT, result);
	EK_TRY(ek_dnn_call_run(calls[1]));
out:
	return rc;
}

static int run(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
               struct ek_dnn_call *const *calls)
{
	const struct ek_nn_shape shape = g->values[step->output].shape;
	const enum ek_nn_type type = g->values[step->output].type;
	const size_t size = ek_nn_type_size(type), tokens = (size_t)shape.tokens, heads = (size_t)step->numbers[0];
	const size_t width = (size_t)shape.features * size, head = width / heads;
	unsigned char *qkv = ek_nn_data(s, step->inputs[0]), *result = ek_nn_data(s, step->output);
	int rc = 0;

	for (size_t i = 0; i < (size_t)g->batch; i++)
		for (size_t h = 0; h < heads; h++)
			EK_TRY(run_head(step, s, calls, qkv + i * tokens * 3 * width + h * head, width,
			                result + i * tokens * width + h * head, type, tokens));
out:
	return rc;
}

/* Views of one head: queries [t, d], keys [d, t], scores [t, t], values [t, d], result [t, d]. */
static int make_kernels(struct ek_nn_step *step, enum ek_nn_type type, int64_t t, int64_t d, int64_t width)
{
	const int64_t row = step->numbers[1], tokens_by_d[2] = { t, d }, d_by_tokens[2] = { d, t },
		      square[2] = { t, t };
	const int64_t strides[2] = { 3 * width, 1 }, turned[2] = { 1, 3 * width }, rows[2] = { row, 1 };
	const int64_t out_strides[2] = { width, 1 };
	struct ek_dnn_layout *queries = NULL, *keys = NULL, *scores = NULL, *shares = NULL, *values = NULL;
	struct ek_dnn_layout *result = NULL;
	int rc;

	EK_TRY(ek_dnn_layout_strided(&queries, type, 2, tokens_by_d, strides));
	EK_TRY(ek_dnn_layout_strided(&keys, type, 2, d_by_tokens, turned));
	EK_TRY(ek_dnn_layout_strided(&scores, EK_NN_FLOAT32, 2, square, rows));
	EK_TRY(ek_dnn_layout_strided(&shares, type, 2, square, rows));
	EK_TRY(ek_dnn_layout_strided(&values, type, 2, tokens_by_d, strides));
	EK_TRY(ek_dnn_layout_strided(&result, type, 2, tokens_by_d, out_strides));
	EK_TRY(ek_dnn_matmul(&step->kernels[0], queries, keys, NULL, scores, NULL));
	EK_TRY(ek_dnn_matmul(&step->kernels[1], shares, values, NULL, result, NULL));
out:
	ek_dnn_layout_free(queries);
	ek_dnn_layout_free(keys);
	ek_dnn_layout_free(scores);
	ek_dnn_layout_free(shares);
	ek_dnn_layout_free(values);
	ek_dnn_layout_free(result);
	return rc;
}

int ek_nn_plan_attention(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_shape shape = g->values[layer->output].shape;
	const int heads = layer->of.heads, d = shape.features / heads, row = (shape.tokens + 31) / 32 * 32;
	struct ek_nn_step step = { .input_count = 1,
		                   .output = layer->output,
		                   .numbers = { heads, row },
		                   .epsilon = (float)(1 / sqrt(d)),
		                   .run = run };
	int rc, added = 0;

	step.scratch = (size_t)shape.tokens * (size_t)row * (sizeof(float) + sizeof(ek_bf16));
	EK_TRY(make_kernels(&step, g->type, shape.tokens, d, shape.features));
	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], g->type, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, g->type, EK_DNN_PLAIN));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}
