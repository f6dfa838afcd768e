#include "train/nn/linear.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

enum { FEATURES_MAX = 1 << 20 };

int ek_nn_linear(struct ek_nn_graph *g, int x, const struct ek_nn_linear *linear)
{
	struct ek_nn_layer layer = { .op = EK_NN_OP_LINEAR,
		                     .inputs = { x },
		                     .input_count = 1,
		                     .residual = linear->residual,
		                     .of.linear = *linear };
	struct ek_nn_shape shape;
	int rc, parts = 0;

	EK_TRY(ek_nn_check_tokens(g, x, "linear layer"));
	shape = ek_nn_graph_shape(g, x);
	while (parts < EK_NN_LINEAR_PARTS && linear->weight[parts] != NULL)
		parts++;
	if (parts == 0 || linear->out_features < 1 || linear->out_features > FEATURES_MAX ||
	    linear->out_features % parts != 0)
		return ek_fail(EK_EUSAGE, "linear layer of %d features from %d weight matrices", linear->out_features,
		               parts);
	shape.features = linear->out_features;
	EK_TRY(ek_nn_check_residual(g, linear->residual, shape, "linear layer"));
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}
