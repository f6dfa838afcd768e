#include "train/nn/conv.h"

#include "rebalance/base/error.h"
#include "train/nn/backend.h"

enum { KERNEL_MAX = 1024 };

static int check_window(const struct ek_nn_conv *c, struct ek_nn_shape in, int groups)
{
	if (c->out_channels < 1 || groups < 1 || in.channels % groups != 0 || c->out_channels % groups != 0)
		return ek_fail(EK_EUSAGE, "convolution of %d to %d channels in %d groups", in.channels, c->out_channels,
		               c->groups);
	for (int i = 0; i < 4; i++)
		if (c->kernel[i / 2] < 1 || c->kernel[i / 2] > KERNEL_MAX || c->stride[i / 2] < 0 ||
		    c->stride[i / 2] > KERNEL_MAX || c->pad[i] < 0 || c->pad[i] > KERNEL_MAX)
			return ek_fail(EK_EUSAGE, "convolution: kernel, stride and padding must be 1, 0 and 0 to %d",
			               KERNEL_MAX);
	if (c->weight == NULL || (c->norm.mean != NULL && c->norm.variance == NULL))
		return ek_fail(EK_EUSAGE, "convolution without weights");
	return 0;
}

int ek_nn_conv(struct ek_nn_graph *g, int x, const struct ek_nn_conv *conv)
{
	struct ek_nn_layer layer = { .op = EK_NN_OP_CONV, .inputs = { x }, .input_count = 1, .of.conv = *conv };
	struct ek_nn_conv *c = &layer.of.conv;
	struct ek_nn_shape in, shape;
	int rc;

	EK_TRY(ek_nn_check_image(g, x, "convolution"));
	in = ek_nn_graph_shape(g, x);
	c->groups = ek_nn_at_least_one(c->groups);
	EK_TRY(check_window(c, in, c->groups));
	c->stride[0] = ek_nn_at_least_one(c->stride[0]);
	c->stride[1] = ek_nn_at_least_one(c->stride[1]);
	shape = (struct ek_nn_shape){
		.channels = c->out_channels,
		.height = ek_nn_window_count(in.height, c->pad[0], c->pad[1], c->kernel[0], c->stride[0]),
		.width = ek_nn_window_count(in.width, c->pad[2], c->pad[3], c->kernel[1], c->stride[1]),
	};
	if (shape.height < 1 || shape.width < 1)
		return ek_fail(EK_EUSAGE, "convolution: a kernel of %d x %d does not fit an image of %d x %d",
		               c->kernel[0], c->kernel[1], in.height, in.width);
	EK_TRY(ek_nn_check_residual(g, c->residual, shape, "convolution"));
	layer.residual = c->residual;
	rc = ek_nn_layer_add(g, &layer, shape);
out:
	return rc;
}
