#include "train/nn/tokens.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

enum { FEATURES_MAX = 1 << 20 };

int ek_nn_patches(struct ek_nn_graph *g, int x, int side)
{
	const struct ek_nn_layer layer = { .op = EK_NN_OP_PATCHES, .inputs = { x }, .input_count = 1, .of.side = side };
	struct ek_nn_shape in, shape = { 0 };
	int rc;

	EK_TRY(ek_nn_check_image(g, x, "patches"));
	in = ek_nn_graph_shape(g, x);
	if (side < 1 || in.height % side != 0 || in.width % side != 0 ||
	    (int64_t)in.channels * side * side > FEATURES_MAX)
		return ek_fail(EK_EUSAGE, "patches of %d pixels from an image of %d x %d", side, in.height, in.width);
	shape.tokens = in.height / side * (in.width / side);
	shape.features = in.channels * side * side;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}

int ek_nn_sequence(struct ek_nn_graph *g, int x, const struct ek_nn_sequence *sequence)
{
	const struct ek_nn_layer layer = {
		.op = EK_NN_OP_SEQUENCE, .inputs = { x }, .input_count = 1, .of.sequence = *sequence
	};
	struct ek_nn_shape shape;
	int rc;

	EK_TRY(ek_nn_check_tokens(g, x, "token sequence"));
	shape = ek_nn_graph_shape(g, x);
	if (sequence->prefix_count < 0 || sequence->prefix_count > 1024 ||
	    (sequence->prefix_count > 0 && sequence->prefix == NULL))
		return ek_fail(EK_EUSAGE, "token sequence with %d tokens before it", sequence->prefix_count);
	shape.tokens += sequence->prefix_count;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}

static int range_add(struct ek_nn_graph *g, int x, int first, int count, enum ek_nn_op op, int mean)
{
	const struct ek_nn_layer layer = {
		.op = op, .inputs = { x }, .input_count = 1, .of.range = { .first = first, .count = count }
	};
	struct ek_nn_shape shape;
	int rc;

	EK_TRY(ek_nn_check_tokens(g, x, "choice of tokens"));
	shape = ek_nn_graph_shape(g, x);
	if (first < 0 || count < 1 || first >= shape.tokens || count > shape.tokens - first)
		return ek_fail(EK_EUSAGE, "%d tokens from %d on, of %d", count, first, shape.tokens);
	shape.tokens = mean ? 1 : count;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}

int ek_nn_take_tokens(struct ek_nn_graph *g, int x, int first, int count)
{
	return range_add(g, x, first, count, EK_NN_OP_TAKE, 0);
}

int ek_nn_mean_tokens(struct ek_nn_graph *g, int x, int first, int count)
{
	return range_add(g, x, first, count, EK_NN_OP_MEAN, 1);
}
