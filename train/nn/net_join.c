/* Layers that pool pixels, or put values and rows together: what fits, and what shape and type comes out. */
#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"

int ek_net_pool(struct ek_net *net, int x, const struct ek_net_pool *pool)
{
	struct ek_net_op op = { .kind = EK_NET_POOL, .inputs = { x }, .parameters = { -1, -1 }, .of.pool = *pool };
	struct ek_net_pool *p = &op.of.pool;
	struct ek_net_shape in, out;
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "pooling"));
	in = out = net->values[x].shape;
	for (int i = 0; i < 2; i++)
		p->stride[i] = p->stride[i] == 0 ? 1 : p->stride[i];
	for (int i = 0; i < 4; i++)
		if (p->kernel[i / 2] < 1 || p->stride[i / 2] < 1 || p->pad[i] < 0 || p->pad[i] >= p->kernel[i / 2])
			return ek_fail(EK_EUSAGE, "pooling: kernel must be 1 or more, padding 0 or more and below it");
	out.height = ek_net_window(in.height, p->pad[0], p->pad[1], p->kernel[0], p->stride[0]);
	out.width = ek_net_window(in.width, p->pad[2], p->pad[3], p->kernel[1], p->stride[1]);
	rc = ek_net_op_add(net, &op, 1, &out, &net->values[x].type, NULL);
out:
	return rc;
}

int ek_net_average(struct ek_net *net, int x)
{
	const int rc = ek_net_check_floats(net, x, "average");

	return rc < 0 ? rc
	              : ek_net_simple(net, EK_NET_AVERAGE, x, 0, 0,
	                              (struct ek_net_shape){ 1, 1, net->values[x].shape.channels }, EK_NN_FLOAT32);
}

int ek_net_concat(struct ek_net *net, const int *values, int count)
{
	struct ek_net_op op = { .kind = EK_NET_CONCAT, .parameters = { -1, -1 } };
	const struct ek_net_value *first;
	struct ek_net_shape shape;
	int rc = 0;

	if (count < 2 || count > EK_NET_CONCAT_MAX)
		return ek_fail(EK_EUSAGE, "concatenation of %d values: must be 2 to %d", count, EK_NET_CONCAT_MAX);
	for (int i = 0; i < count; i++)
		EK_TRY(ek_net_check_floats(net, values[i], "concatenation"));
	first = &net->values[values[0]];
	shape = first->shape;
	shape.channels = 0;
	for (int i = 0; i < count; i++) {
		const struct ek_net_value *v = &net->values[values[i]];

		if (v->shape.height != shape.height || v->shape.width != shape.width || v->type != first->type)
			return ek_fail(EK_EUSAGE, "concatenation: height, width or type differ");
		shape.channels += v->shape.channels;
		op.inputs[i] = values[i];
	}
	rc = ek_net_op_add(net, &op, 1, &shape, &first->type, NULL);
out:
	return rc;
}

static int row_count(const struct ek_net *net, int x)
{
	return net->values[x].shape.height * net->values[x].shape.width;
}

int ek_net_rows_of(struct ek_net *net, int x, int first, int count)
{
	const int rc = ek_net_check_floats(net, x, "rows");

	if (rc < 0)
		return rc;
	if (first < 0 || count < 1 || first > row_count(net, x) - count)
		return ek_fail(EK_EUSAGE, "rows: %d from %d on of %d", count, first, row_count(net, x));
	return ek_net_simple(net, EK_NET_ROWS, x, 0, first,
	                     (struct ek_net_shape){ 1, count, net->values[x].shape.channels }, net->values[x].type);
}

int ek_net_prepend(struct ek_net *net, int x, int parameter, int count)
{
	struct ek_net_op op = { .kind = EK_NET_PREPEND, .inputs = { x }, .parameters = { parameter, -1 } };
	struct ek_net_shape shape = { .height = 1 };
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "prepend"));
	if (count < 1)
		return ek_fail(EK_EUSAGE, "prepend: %d rows", count);
	shape.channels = net->values[x].shape.channels;
	shape.width = count + row_count(net, x);
	EK_TRY(ek_net_check_parameter(net, parameter, (size_t)count * (size_t)shape.channels, "prepend"));
	op.counts[0] = (size_t)count * (size_t)shape.channels;
	rc = ek_net_op_add(net, &op, 1, &shape, &net->values[x].type, NULL);
out:
	return rc;
}

int ek_net_patches(struct ek_net *net, int x, int p)
{
	const int rc = ek_net_check_floats(net, x, "patches");
	struct ek_net_shape s;

	if (rc < 0)
		return rc;
	s = net->values[x].shape;
	if (p < 1 || p > 1024 || s.height % p != 0 || s.width % p != 0)
		return ek_fail(EK_EUSAGE, "patches: %d x %d pixels are not squares of side %d", s.height, s.width, p);
	return ek_net_simple(net, EK_NET_PATCHES, x, 0, p,
	                     (struct ek_net_shape){ s.height / p, s.width / p, s.channels * p * p }, net->type);
}
