#include "train/nn/attention.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_attention(struct ek_nn_graph *g, int qkv, int heads)
{
	const struct ek_nn_layer layer = {
		.op = EK_NN_OP_ATTENTION, .inputs = { qkv }, .input_count = 1, .of.heads = heads
	};
	struct ek_nn_shape shape;
	int rc;

	EK_TRY(ek_nn_check_tokens(g, qkv, "attention"));
	shape = ek_nn_graph_shape(g, qkv);
	if (heads < 1 || shape.features % 3 != 0 || shape.features / 3 % heads != 0)
		return ek_fail(EK_EUSAGE, "attention of %d heads over %d features of queries, keys and values", heads,
		               shape.features);
	shape.features /= 3;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}
