#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"
#include "train/nn/vector.h"

/* numbers: type of the result. */
static int run(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
               struct ek_dnn_call *const *calls)
{
	const struct ek_nn_shape shape = g->values[step->output].shape;
	const struct ek_nn_vector *vector = ek_nn_vector();
	const size_t rows = (size_t)g->batch * (size_t)shape.tokens, features = (size_t)shape.features;
	const float *x = ek_nn_data(s, step->inputs[0]), *gamma = step->weights, *beta = step->bias;
	float *wide = ek_nn_data(s, step->output), *row = (float *)(void *)s->scratch;
	ek_bf16 *narrow = ek_nn_data(s, step->output);

	(void)calls;
	for (size_t i = 0; i < rows; i++)
		if (step->numbers[0] == EK_NN_FLOAT32) {
			vector->layer_norm(wide + i * features, x + i * features, features, gamma, beta, step->epsilon);
		} else {
			vector->layer_norm(row, x + i * features, features, gamma, beta, step->epsilon);
			vector->bf16_from_float(narrow + i * features, row, features);
		}
	return 0;
}

int ek_nn_plan_layer_norm(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_layer_norm *norm = &layer->of.layer_norm;
	const size_t features = (size_t)g->values[layer->output].shape.features;
	const enum ek_nn_type type = g->values[layer->output].wants_float ? EK_NN_FLOAT32 : g->type;
	struct ek_nn_step step = { .input_count = 1,
		                   .output = layer->output,
		                   .scratch = features * sizeof(float),
		                   .numbers = { (int)type },
		                   .epsilon = (float)norm->epsilon,
		                   .run = run };
	int rc, added = 0;

	EK_TRY(ek_nn_constants(&step.weights, g, norm->gamma, features, 1));
	EK_TRY(ek_nn_constants(&step.bias, g, norm->beta, features, 0));
	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], EK_NN_FLOAT32, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, type, EK_DNN_PLAIN));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}
