#include "train/nn/concat.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_concat(struct ek_nn_graph *g, const int *values, int count)
{
	struct ek_nn_layer layer = { .op = EK_NN_OP_CONCAT, .input_count = count };
	struct ek_nn_shape shape = { 0 };
	int rc;

	if (count < 1 || count > EK_NN_CONCAT_MAX)
		return ek_fail(EK_EUSAGE, "concatenation of %d values: must be 1 to %d", count, EK_NN_CONCAT_MAX);
	for (int i = 0; i < count; i++) {
		struct ek_nn_shape s;

		EK_TRY(ek_nn_check_value(g, values[i], "concatenation"));
		s = ek_nn_graph_shape(g, values[i]);
		if (i > 0 && (s.height != shape.height || s.width != shape.width || s.tokens != shape.tokens))
			return ek_fail(EK_EUSAGE, "concatenation: value %d has another height, width or token count",
			               i + 1);
		s.channels += shape.channels;
		s.features += shape.features;
		shape = s;
		layer.inputs[i] = values[i];
	}
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}
