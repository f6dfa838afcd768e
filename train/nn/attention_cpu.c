#include <math.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"
#include "train/nn/vector.h"

/*
 * One head of one image at a time, so that its scores [t, t] stay in the cache. Queries, keys and values are
 * first copied out of the rows of all heads, with tokens rounded up to whole vectors: oneDNN's fast products
 * take dense matrices only, and like even sizes.
 */
enum { HEADS, PADDED, WIDTH, ROUND = 16 }; /* in numbers: heads, rounded-up tokens, features of a head */

/* Scratch of one head. keys, values: [padded, width], the rest zeros; shares: scores as probabilities in the
 * graph's type, the same memory if that is float32. */
struct head {
	unsigned char *queries, *keys, *values, *result;
	float *scores;
	void *shares;
};

static size_t head_place(struct head *out, unsigned char *scratch, enum ek_nn_type type, size_t padded, size_t width)
{
	const size_t rows = ek_nn_align(padded * width * ek_nn_type_size(type)),
		     scores = ek_nn_align(padded * padded * sizeof(float));

	if (out != NULL)
		*out = (struct head){ .queries = scratch,
			              .keys = scratch + rows,
			              .values = scratch + 2 * rows,
			              .result = scratch + 3 * rows,
			              .scores = (float *)(void *)(scratch + 4 * rows),
			              .shares = scratch + 4 * rows + (type == EK_NN_FLOAT32 ? 0 : scores) };
	return 4 * rows + 2 * scores;
}

static void copy_rows(unsigned char *out, size_t out_step, const unsigned char *x, size_t x_step, size_t size,
                      size_t rows)
{
	for (size_t i = 0; i < rows; i++)
		memcpy(out + i * out_step, x + i * x_step, size);
}

static int run_head(const struct ek_nn_step *step, const struct head *h, struct ek_dnn_call *const *calls,
                    enum ek_nn_type type, size_t tokens)
{
	const struct ek_nn_vector *vector = ek_nn_vector();
	const size_t padded = (size_t)step->numbers[PADDED];
	int rc;

	EK_TRY(ek_dnn_call_run(calls[0]));
	for (size_t i = 0; i < tokens; i++) {
		float *row = h->scores + i * padded;

		vector->softmax(row, tokens, step->epsilon);
		memset(row + tokens, 0, (padded - tokens) * sizeof *row);
		if (type == EK_NN_BFLOAT16)
			vector->bf16_from_float((ek_bf16 *)h->shares + i * padded, row, padded);
	}
	EK_TRY(ek_dnn_call_run(calls[1]));
out:
	return rc;
}

static void bind(const struct head *h, struct ek_dnn_call *const *calls)
{
	ek_dnn_call_set(calls[0], EK_DNN_SOURCE, h->queries);
	ek_dnn_call_set(calls[0], EK_DNN_WEIGHTS, h->keys);
	ek_dnn_call_set(calls[0], EK_DNN_RESULT, h->scores);
	ek_dnn_call_set(calls[1], EK_DNN_SOURCE, h->shares);
	ek_dnn_call_set(calls[1], EK_DNN_WEIGHTS, h->values);
	ek_dnn_call_set(calls[1], EK_DNN_RESULT, h->result);
}

static int run(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
               struct ek_dnn_call *const *calls)
{
	const enum ek_nn_type type = g->values[step->output].type;
	const size_t tokens = (size_t)g->values[step->output].shape.tokens, heads = (size_t)step->numbers[HEADS];
	const size_t padded = (size_t)step->numbers[PADDED], features = (size_t)step->numbers[WIDTH];
	const size_t width = features * ek_nn_type_size(type), row = heads * width;
	const unsigned char *qkv = ek_nn_data(s, step->inputs[0]);
	unsigned char *result = ek_nn_data(s, step->output);
	struct head h;
	int rc = 0;

	(void)head_place(&h, s->scratch, type, padded, features);
	bind(&h, calls);
	memset(h.keys + tokens * width, 0, (padded - tokens) * width);
	memset(h.values + tokens * width, 0, (padded - tokens) * width);
	for (size_t i = 0; i < (size_t)g->batch * heads; i++) {
		const unsigned char *first = qkv + i / heads * tokens * 3 * row + i % heads * width;

		copy_rows(h.queries, width, first, 3 * row, width, tokens);
		copy_rows(h.keys, width, first + row, 3 * row, width, tokens);
		copy_rows(h.values, width, first + 2 * row, 3 * row, width, tokens);
		EK_TRY(run_head(step, &h, calls, type, tokens));
		copy_rows(result + i / heads * tokens * row + i % heads * width, row, h.result, width, width, tokens);
	}
out:
	return rc;
}

/* scores [t, p] = queries [t, d] · keys^T [d, p]; result [t, d] = shares [t, p] · values [p, d]. */
static int make_kernels(struct ek_nn_step *step, enum ek_nn_type type, int64_t t)
{
	const int64_t p = step->numbers[PADDED], d = step->numbers[WIDTH], turned[2] = { 1, d };
	const int64_t rows[2] = { t, d }, columns[2] = { d, p }, square[2] = { t, p }, padded[2] = { p, d };
	struct ek_dnn_layout *queries = NULL, *keys = NULL, *scores = NULL, *shares = NULL, *values = NULL;
	int rc;

	EK_TRY(ek_dnn_layout_new(&queries, type, 2, rows, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_strided(&keys, type, 2, columns, turned));
	EK_TRY(ek_dnn_layout_new(&scores, EK_NN_FLOAT32, 2, square, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&shares, type, 2, square, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_layout_new(&values, type, 2, padded, EK_DNN_PLAIN));
	EK_TRY(ek_dnn_matmul(&step->kernels[0], queries, keys, NULL, scores, NULL));
	EK_TRY(ek_dnn_matmul(&step->kernels[1], shares, values, NULL, queries, NULL));
out:
	ek_dnn_layout_free(queries);
	ek_dnn_layout_free(keys);
	ek_dnn_layout_free(scores);
	ek_dnn_layout_free(shares);
	ek_dnn_layout_free(values);
	return rc;
}

int ek_nn_plan_attention(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_shape shape = g->values[layer->output].shape;
	const int heads = layer->of.heads, d = shape.features / heads;
	const int padded = (shape.tokens + ROUND - 1) / ROUND * ROUND;
	struct ek_nn_step step = { .input_count = 1,
		                   .output = layer->output,
		                   .numbers = { [HEADS] = heads, [PADDED] = padded, [WIDTH] = d },
		                   .epsilon = (float)(1 / sqrt(d)),
		                   .run = run };
	int rc, added = 0;

	step.scratch = head_place(NULL, NULL, g->type, (size_t)padded, (size_t)d);
	EK_TRY(make_kernels(&step, g->type, shape.tokens));
	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], g->type, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, g->type, EK_DNN_PLAIN));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}
