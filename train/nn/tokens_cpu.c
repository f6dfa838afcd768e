#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/backend.h"
#include "train/nn/vector.h"

/* The caller's pixels to float32 [batch, c, h, w], scaled and shifted; missing images are zeros.
 * weights, bias: scale and shift [c]. numbers: enum ek_nn_pixels. */
static int run_image(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                     struct ek_dnn_call *const *calls)
{
	const struct ek_nn_shape shape = g->values[step->output].shape;
	const size_t channels = (size_t)shape.channels, area = (size_t)shape.height * (size_t)shape.width;
	const size_t given = (size_t)s->count * channels * area;
	const float *scale = step->weights, *shift = step->bias, *floats = s->input;
	const uint8_t *bytes = s->input;
	float *out = ek_nn_data(s, step->output);

	(void)calls;
	memset(out + given, 0, ((size_t)g->batch * channels * area - (size_t)given) * sizeof *out);
	for (size_t plane = 0; plane < (size_t)s->count * channels; plane++, out += area) {
		const size_t c = plane % channels, first = plane / channels * channels * area + c;

		if (step->numbers[0] == EK_NN_PIXELS_U8_NHWC)
			for (size_t i = 0; i < area; i++)
				out[i] = (float)bytes[first + i * channels] * scale[c] + shift[c];
		else
			for (size_t i = 0; i < area; i++)
				out[i] = floats[plane * area + i] * scale[c] + shift[c];
	}
	return 0;
}

int ek_nn_plan_image(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_image *image = &layer->of.image;
	const size_t channels = (size_t)image->channels;
	struct ek_nn_step step = { .output = layer->output, .numbers = { (int)image->pixels }, .run = run_image };
	int rc, added = 0;

	EK_TRY(ek_nn_constants(&step.weights, g, image->scale, channels, 1));
	EK_TRY(ek_nn_constants(&step.bias, g, image->shift, channels, 0));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, EK_NN_FLOAT32, EK_DNN_PLAIN));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}

/* numbers: side, channels, height, width. */
static int run_patches(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                       struct ek_dnn_call *const *calls)
{
	const struct ek_nn_vector *vector = ek_nn_vector();
	const size_t side = (size_t)step->numbers[0], channels = (size_t)step->numbers[1];
	const size_t height = (size_t)step->numbers[2], width = (size_t)step->numbers[3];
	const int narrow = g->values[step->output].type == EK_NN_BFLOAT16;
	const float *x = ek_nn_data(s, step->inputs[0]);
	float *out = ek_nn_data(s, step->output);
	ek_bf16 *out_narrow = ek_nn_data(s, step->output);
	size_t place = 0;

	(void)calls;
	for (size_t i = 0; i < (size_t)g->batch; i++, x += channels * height * width)
		for (size_t row = 0; row < height; row += side)
			for (size_t column = 0; column < width; column += side)
				for (size_t line = 0; line < channels * side; line++, place += side) {
					const size_t y = line / side * height + row + line % side;

					if (narrow)
						vector->bf16_from_float(out_narrow + place, x + y * width + column,
						                        side);
					else
						memcpy(out + place, x + y * width + column, side * sizeof *out);
				}
	return 0;
}

int ek_nn_plan_patches(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_shape in = g->values[layer->inputs[0]].shape;
	struct ek_nn_step step = { .input_count = 1,
		                   .output = layer->output,
		                   .numbers = { layer->of.side, in.channels, in.height, in.width },
		                   .run = run_patches };
	int rc;

	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], EK_NN_FLOAT32, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, g->type, EK_DNN_PLAIN));
	EK_TRY(ek_nn_step_add(g, &step));
out:
	return rc;
}

/* weights: prefix tokens; bias: positions. numbers: prefix tokens. */
static int run_sequence(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                        struct ek_dnn_call *const *calls)
{
	const struct ek_nn_shape shape = g->values[step->output].shape;
	const size_t features = (size_t)shape.features, prefix = (size_t)step->numbers[0] * features;
	const size_t rest = (size_t)shape.tokens * features - prefix;
	const float *x = ek_nn_data(s, step->inputs[0]);
	float *out = ek_nn_data(s, step->output);

	(void)calls;
	for (size_t i = 0; i < (size_t)g->batch; i++, x += rest, out += prefix + rest) {
		memcpy(out, step->weights, prefix * sizeof *out);
		ek_nn_vector()->add(out + prefix, x, step->bias, rest);
	}
	return 0;
}

int ek_nn_plan_sequence(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	const struct ek_nn_sequence *sequence = &layer->of.sequence;
	const struct ek_nn_shape in = g->values[layer->inputs[0]].shape;
	const size_t features = (size_t)in.features;
	struct ek_nn_step step = {
		.input_count = 1, .output = layer->output, .numbers = { sequence->prefix_count }, .run = run_sequence
	};
	int rc, added = 0;

	EK_TRY(ek_nn_constants(&step.weights, g, sequence->prefix, (size_t)sequence->prefix_count * features, 0));
	EK_TRY(ek_nn_constants(&step.bias, g, sequence->positions, (size_t)in.tokens * features, 0));
	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], EK_NN_FLOAT32, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, EK_NN_FLOAT32, EK_DNN_PLAIN));
	added = 1;
	EK_TRY(ek_nn_step_add(g, &step));
out:
	if (!added)
		ek_nn_step_release(&step);
	return rc;
}

/* numbers: first token, tokens, tokens of x, features. */
static int run_take(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                    struct ek_dnn_call *const *calls)
{
	const size_t features = (size_t)step->numbers[3], taken = (size_t)step->numbers[1] * features;
	const float *x = ek_nn_data(s, step->inputs[0]);
	float *out = ek_nn_data(s, step->output);

	(void)calls;
	x += (size_t)step->numbers[0] * features;
	for (size_t i = 0; i < (size_t)g->batch; i++, out += taken, x += (size_t)step->numbers[2] * features)
		memcpy(out, x, taken * sizeof *out);
	return 0;
}

int ek_nn_run_mean(const struct ek_nn_graph *g, const struct ek_nn_step *step, struct ek_nn_state *s,
                   struct ek_dnn_call *const *calls)
{
	const struct ek_nn_vector *vector = ek_nn_vector();
	const size_t features = (size_t)step->numbers[3], count = (size_t)step->numbers[1];
	const float *x = ek_nn_data(s, step->inputs[0]);
	float *out = ek_nn_data(s, step->output);

	(void)calls;
	x += (size_t)step->numbers[0] * features;
	for (size_t i = 0; i < (size_t)g->batch; i++, out += features, x += (size_t)step->numbers[2] * features) {
		memset(out, 0, features * sizeof *out);
		for (size_t t = 0; t < count; t++)
			vector->accumulate(out, x + t * features, features);
		vector->scale(out, features, 1 / (float)count);
	}
	return 0;
}

static int plan_range(struct ek_nn_graph *g, const struct ek_nn_layer *layer,
                      int (*run)(const struct ek_nn_graph *, const struct ek_nn_step *, struct ek_nn_state *,
                                 struct ek_dnn_call *const *))
{
	const struct ek_nn_shape in = g->values[layer->inputs[0]].shape;
	struct ek_nn_step step = { .input_count = 1,
		                   .output = layer->output,
		                   .numbers = { layer->of.range.first, layer->of.range.count, in.tokens, in.features },
		                   .run = run };
	int rc;

	EK_TRY(ek_nn_convert_order(&step.inputs[0], g, layer->inputs[0], EK_NN_FLOAT32, EK_DNN_PLAIN));
	EK_TRY(ek_nn_value_settle_order(g, layer->output, EK_NN_FLOAT32, EK_DNN_PLAIN));
	EK_TRY(ek_nn_step_add(g, &step));
out:
	return rc;
}

int ek_nn_plan_take(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	return plan_range(g, layer, run_take);
}

int ek_nn_plan_mean(struct ek_nn_graph *g, const struct ek_nn_layer *layer)
{
	return plan_range(g, layer, ek_nn_run_mean);
}
