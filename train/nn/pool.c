#include "train/nn/pool.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

int ek_nn_pool(struct ek_nn_graph *g, int x, const struct ek_nn_pool *pool)
{
	struct ek_nn_layer layer = { .op = EK_NN_OP_POOL, .inputs = { x }, .input_count = 1, .of.pool = *pool };
	struct ek_nn_pool *p = &layer.of.pool;
	struct ek_nn_shape in, shape;
	int rc;

	EK_TRY(ek_nn_check_image(g, x, "pooling"));
	in = shape = ek_nn_graph_shape(g, x);
	for (int i = 0; i < 4; i++)
		if (p->kernel[i / 2] < 1 || p->stride[i / 2] < 0 || p->pad[i] < 0 || p->pad[i] >= p->kernel[i / 2])
			return ek_fail(EK_EUSAGE, "pooling: kernel must be 1 or more, padding 0 or more and below it");
	p->stride[0] = ek_nn_at_least_one(p->stride[0]);
	p->stride[1] = ek_nn_at_least_one(p->stride[1]);
	shape.height = ek_nn_window_count(in.height, p->pad[0], p->pad[1], p->kernel[0], p->stride[0]);
	shape.width = ek_nn_window_count(in.width, p->pad[2], p->pad[3], p->kernel[1], p->stride[1]);
	if (shape.height < 1 || shape.width < 1)
		return ek_fail(EK_EUSAGE, "pooling: a kernel of %d x %d does not fit an image of %d x %d", p->kernel[0],
		               p->kernel[1], in.height, in.width);
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}

int ek_nn_global_average(struct ek_nn_graph *g, int x)
{
	const struct ek_nn_layer layer = { .op = EK_NN_OP_GLOBAL_AVERAGE, .inputs = { x }, .input_count = 1 };
	struct ek_nn_shape shape = { .tokens = 1 };
	int rc;

	EK_TRY(ek_nn_check_image(g, x, "global average"));
	shape.features = ek_nn_graph_shape(g, x).channels;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}
