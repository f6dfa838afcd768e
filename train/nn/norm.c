#include "train/nn/norm.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_layer_norm(struct ek_nn_graph *g, int x, const struct ek_nn_layer_norm *norm)
{
	const struct ek_nn_layer layer = {
		.op = EK_NN_OP_LAYER_NORM, .inputs = { x }, .input_count = 1, .of.layer_norm = *norm
	};
	int rc;

	EK_TRY(ek_nn_check_tokens(g, x, "layer norm"));
	rc = ek_nn_layer_add(g, &layer, ek_nn_graph_shape(g, x));
out:
	return rc;
}
