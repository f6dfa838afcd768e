/* The layer functions: what fits, and what shape and type comes out. */
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/nn/net_internal.h"

enum { SIDE_MAX = 1 << 16, CHANNELS_MAX = 1 << 20, PIXEL_CHANNELS_MAX = 4 };

static const struct ek_net_shape number = { 1, 1, 1 };

int ek_net_check_value(const struct ek_net *net, int x, const char *what)
{
	if (x < 0)
		return x;
	if (net->finished)
		return ek_fail(EK_EUSAGE, "%s: the network is finished", what);
	return x > 0 && x < net->value_count ? 0 : ek_fail(EK_EUSAGE, "%s: %d is no value of this network", what, x);
}

int ek_net_check_floats(const struct ek_net *net, int x, const char *what)
{
	const int rc = ek_net_check_value(net, x, what);

	if (rc < 0)
		return rc;
	return !net->values[x].ids ? 0 : ek_fail(EK_EUSAGE, "%s: wants numbers, has ids", what);
}

int ek_net_same_shape(struct ek_net_shape a, struct ek_net_shape b)
{
	return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

int ek_net_check_same(const struct ek_net *net, int a, int b, const char *what)
{
	int rc;

	EK_TRY(ek_net_check_floats(net, a, what));
	EK_TRY(ek_net_check_floats(net, b, what));
	if (!ek_net_same_shape(net->values[a].shape, net->values[b].shape))
		rc = ek_fail(EK_EUSAGE, "%s: the shapes differ", what);
out:
	return rc;
}

int ek_net_check_parameter(const struct ek_net *net, int p, size_t count, const char *what)
{
	const struct ek_params *table = net->table;

	if (p < 0 || p >= table->count)
		return ek_fail(EK_EUSAGE, "%s: %d is no parameter", what, p);
	if (table->size - table->items[p].offset < count)
		return ek_fail(EK_EUSAGE, "%s: the parameter %s is too small", what, table->items[p].name);
	return 0;
}

static int value_add(struct ek_net *net, struct ek_net_shape shape, enum ek_nn_type type, int maker)
{
	struct ek_net_value v = { .shape = shape, .type = type, .maker = maker };
	int rc;

	if (shape.height < 1 || shape.width < 1 || shape.channels < 1 || shape.height > SIDE_MAX ||
	    shape.width > SIDE_MAX || shape.channels > CHANNELS_MAX)
		return ek_fail(EK_EUSAGE, "a value of %d x %d x %d: sizes out of range", shape.height, shape.width,
		               shape.channels);
	v.bytes = (size_t)net->batch * (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels *
	          ek_nn_type_size(type);
	EK_TRY(ek_resize(&net->values, (size_t)net->value_count + 1, sizeof *net->values));
	net->values[net->value_count] = v;
	rc = net->value_count++;
out:
	return rc;
}

int ek_net_op_add(struct ek_net *net, const struct ek_net_op *op, int outputs, const struct ek_net_shape *shapes,
                  const enum ek_nn_type *types, int *numbers)
{
	struct ek_net_op *added;
	int rc = 0;

	EK_TRY(ek_resize(&net->ops, (size_t)net->op_count + 1, sizeof *net->ops));
	added = &net->ops[net->op_count];
	*added = *op;
	added->segment = net->segment;
	added->table = net->table;
	added->constants = net->constants;
	added->frozen = net->frozen;
	for (int i = 0; i < outputs; i++) {
		int v;

		EK_TRY(v = value_add(net, shapes[i], types[i], net->op_count));
		added->outputs[i] = v;
		if (numbers != NULL)
			numbers[i] = v;
	}
	net->op_count++;
	rc = added->outputs[0];
out:
	return rc;
}

static int add_one(struct ek_net *net, const struct ek_net_op *op, struct ek_net_shape shape, enum ek_nn_type type)
{
	return ek_net_op_add(net, op, 1, &shape, &type, NULL);
}

int ek_net_cast(struct ek_net *net, int x, enum ek_nn_type type)
{
	if (net->values[x].type == type)
		return x;
	return add_one(net, &(struct ek_net_op){ .kind = EK_NET_CAST, .inputs = { x }, .parameters = { -1, -1 } },
	               net->values[x].shape, type);
}

int ek_net_input(struct ek_net *net, struct ek_net_shape shape)
{
	if (net->finished)
		return ek_fail(EK_EUSAGE, "input: the network is finished");
	return value_add(net, shape, EK_NN_FLOAT32, -1);
}

int ek_net_input_with_gradient(struct ek_net *net, struct ek_net_shape shape)
{
	const int x = ek_net_input(net, shape);

	if (x > 0)
		net->values[x].gradient = 1;
	return x;
}

int ek_net_input_ids(struct ek_net *net)
{
	const int x = ek_net_input(net, number);

	if (x > 0)
		net->values[x].ids = 1;
	return x;
}

int ek_net_input_keys(struct ek_net *net)
{
	enum { INTS = sizeof(struct ek_net_key) / sizeof(int32_t) };
	int x;

	if (net->finished)
		return ek_fail(EK_EUSAGE, "input: the network is finished");
	x = value_add(net, (struct ek_net_shape){ 1, 1, INTS }, EK_NN_FLOAT32, -1);
	if (x > 0)
		net->values[x].ids = 1;
	return x;
}

size_t ek_net_pixels_stride(struct ek_net_shape shape)
{
	return ((size_t)shape.height * (size_t)shape.width * (size_t)shape.channels + 3) / 4 * 4;
}

int ek_net_input_pixels(struct ek_net *net, struct ek_net_shape shape)
{
	size_t ints;
	int x;

	if (net->finished)
		return ek_fail(EK_EUSAGE, "input: the network is finished");
	if (shape.height < 1 || shape.width < 1 || shape.height > SIDE_MAX || shape.width > SIDE_MAX ||
	    shape.channels < 1 || shape.channels > PIXEL_CHANNELS_MAX)
		return ek_fail(EK_EUSAGE, "pixels: %d x %d of %d channels", shape.height, shape.width, shape.channels);
	ints = ek_net_pixels_stride(shape) / sizeof(int32_t);
	if (ints > CHANNELS_MAX)
		return ek_fail(EK_EUSAGE, "pixels: images of %d x %d are too large", shape.height, shape.width);
	x = value_add(net, (struct ek_net_shape){ 1, 1, (int)ints }, EK_NN_FLOAT32, -1);
	if (x > 0)
		net->values[x].ids = 1;
	return x;
}

int ek_net_pixels(struct ek_net *net, int input, const struct ek_net_pixels *pixels)
{
	int rc;

	EK_TRY(ek_net_check_value(net, input, "pixels"));
	if (!net->values[input].ids ||
	    ek_net_elements(net, input) * sizeof(int32_t) != ek_net_pixels_stride(pixels->shape))
		EK_TRY(ek_fail(EK_EUSAGE, "pixels: wants images of bytes of this shape"));
	rc = add_one(
		net,
		&(struct ek_net_op){
			.kind = EK_NET_PIXELS, .inputs = { input }, .parameters = { -1, -1 }, .of.pixels = *pixels },
		pixels->shape, EK_NN_FLOAT32);
out:
	return rc;
}

int ek_net_linear(struct ek_net *net, int x, const struct ek_net_linear *linear)
{
	struct ek_net_shape shape;
	size_t count;
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "linear"));
	shape = net->values[x].shape;
	if (linear->outputs < 1)
		return ek_fail(EK_EUSAGE, "linear: %d outputs", linear->outputs);
	count = (size_t)shape.channels * (size_t)linear->outputs;
	EK_TRY(ek_net_check_parameter(net, linear->weight, count, "linear"));
	if (linear->bias >= 0)
		EK_TRY(ek_net_check_parameter(net, linear->bias, (size_t)linear->outputs, "linear"));
	EK_TRY(x = ek_net_cast(net, x, linear->exact ? EK_NN_FLOAT32 : net->type));
	shape.channels = linear->outputs;
	rc = add_one(net,
	             &(struct ek_net_op){ .kind = EK_NET_LINEAR,
	                                  .inputs = { x },
	                                  .parameters = { linear->weight, linear->bias },
	                                  .counts = { count, (size_t)linear->outputs },
	                                  .of.linear = *linear },
	             shape, linear->float32 || linear->exact ? EK_NN_FLOAT32 : net->type);
out:
	return rc;
}

int ek_net_window(int size, int low, int high, int kernel, int stride)
{
	const int room = size + low + high - kernel;

	return room < 0 ? 0 : room / stride + 1;
}

int ek_net_conv(struct ek_net *net, int x, const struct ek_net_conv *conv)
{
	struct ek_net_op op = { .kind = EK_NET_CONV, .parameters = { conv->weight, conv->bias }, .of.conv = *conv };
	struct ek_net_conv *c = &op.of.conv;
	struct ek_net_shape shape;
	int rc;

	for (int i = 0; i < 2; i++)
		c->stride[i] = c->stride[i] == 0 ? 1 : c->stride[i];
	c->groups = c->groups == 0 ? 1 : c->groups;
	EK_TRY(ek_net_check_floats(net, x, "convolution"));
	shape = net->values[x].shape;
	for (int i = 0; i < 4; i++)
		if (c->pad[i] < 0 || c->pad[i] > SIDE_MAX)
			return ek_fail(EK_EUSAGE, "convolution: a pad of %d", c->pad[i]);
	for (int i = 0; i < 2; i++)
		if (c->kernel[i] < 1 || c->kernel[i] > SIDE_MAX || c->stride[i] < 1)
			return ek_fail(EK_EUSAGE, "convolution: a kernel of %d x %d, stride %d x %d", c->kernel[0],
			               c->kernel[1], c->stride[0], c->stride[1]);
	if (c->groups < 1 || c->outputs < 1 || shape.channels % c->groups != 0 || c->outputs % c->groups != 0)
		return ek_fail(EK_EUSAGE, "convolution of %d to %d channels in %d groups", shape.channels, c->outputs,
		               c->groups);
	op.counts[0] =
		(size_t)c->outputs * (size_t)(shape.channels / c->groups) * (size_t)c->kernel[0] * (size_t)c->kernel[1];
	op.counts[1] = (size_t)c->outputs;
	EK_TRY(ek_net_check_parameter(net, c->weight, op.counts[0], "convolution"));
	if (c->bias >= 0)
		EK_TRY(ek_net_check_parameter(net, c->bias, (size_t)c->outputs, "convolution"));
	/* One pixel to one pixel is a linear layer. */
	if (!c->kept && c->kernel[0] == 1 && c->kernel[1] == 1 && c->stride[0] == 1 && c->stride[1] == 1 &&
	    c->groups == 1 && (c->pad[0] | c->pad[1] | c->pad[2] | c->pad[3]) == 0)
		return ek_net_linear(net, x,
		                     &(struct ek_net_linear){ .weight = c->weight,
		                                              .bias = c->bias,
		                                              .outputs = c->outputs,
		                                              .float32 = c->float32,
		                                              .exact = c->exact });
	EK_TRY(x = ek_net_cast(net, x, c->exact ? EK_NN_FLOAT32 : net->type));
	op.inputs[0] = x;
	shape = (struct ek_net_shape){ ek_net_window(shape.height, c->pad[0], c->pad[1], c->kernel[0], c->stride[0]),
		                       ek_net_window(shape.width, c->pad[2], c->pad[3], c->kernel[1], c->stride[1]),
		                       c->outputs };
	rc = add_one(net, &op, shape, c->float32 || c->exact ? EK_NN_FLOAT32 : net->type);
out:
	return rc;
}

int ek_net_group_norm(struct ek_net *net, int x, const struct ek_net_group_norm *norm)
{
	int rc, channels;

	EK_TRY(ek_net_check_floats(net, x, "group norm"));
	channels = net->values[x].shape.channels;
	if (norm->groups < 1 || channels % norm->groups != 0)
		return ek_fail(EK_EUSAGE, "group norm: %d channels in %d groups", channels, norm->groups);
	EK_TRY(ek_net_check_parameter(net, norm->weight, (size_t)channels, "group norm"));
	EK_TRY(ek_net_check_parameter(net, norm->bias, (size_t)channels, "group norm"));
	rc = add_one(net,
	             &(struct ek_net_op){ .kind = EK_NET_GROUP_NORM,
	                                  .inputs = { x },
	                                  .parameters = { norm->weight, norm->bias },
	                                  .counts = { (size_t)channels, (size_t)channels },
	                                  .of.group_norm = *norm },
	             net->values[x].shape, net->type);
out:
	return rc;
}

int ek_net_layer_norm(struct ek_net *net, int x, const struct ek_net_layer_norm *norm)
{
	size_t channels;
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "layer norm"));
	channels = (size_t)net->values[x].shape.channels;
	for (int i = 0; i < 2; i++) {
		const int parameter = i == 0 ? norm->weight : norm->bias;

		if (parameter != -1)
			EK_TRY(ek_net_check_parameter(net, parameter, channels, "layer norm"));
	}
	rc = add_one(net,
	             &(struct ek_net_op){ .kind = EK_NET_LAYER_NORM,
	                                  .inputs = { x },
	                                  .parameters = { norm->weight, norm->bias },
	                                  .counts = { channels, channels },
	                                  .of.layer_norm = *norm },
	             net->values[x].shape, norm->float32 ? EK_NN_FLOAT32 : net->type);
out:
	return rc;
}

static int check_modulate(const struct ek_net *net, int x, const struct ek_net_modulate *m, int with_normal)
{
	const int parts[3] = { m->gate, m->shift, m->scale };
	struct ek_net_shape vector;
	int rc, channels;

	EK_TRY(ek_net_check_floats(net, x, "modulate"));
	EK_TRY(ek_net_check_floats(net, m->vector, "modulate"));
	if (m->branch != 0)
		EK_TRY(ek_net_check_same(net, x, m->branch, "modulate"));
	if (m->branch == 0 && !with_normal)
		return ek_fail(EK_EUSAGE, "modulate: nothing is wanted");
	if (m->vector == x || m->vector == m->branch)
		return ek_fail(EK_EUSAGE, "modulate: the vector is the value that it modulates");
	vector = net->values[m->vector].shape;
	channels = net->values[x].shape.channels;
	for (int i = m->branch > 0 ? 0 : 1; i < (with_normal ? 3 : 1); i++)
		if (parts[i] < 0 || parts[i] > vector.channels - channels || vector.height * vector.width != 1)
			return ek_fail(EK_EUSAGE, "modulate: %d features from %d on are not in the vector", channels,
			               parts[i]);
out:
	return rc;
}

void ek_net_narrow_stream(struct ek_net *net)
{
	net->stream = net->type;
}

int ek_net_modulate(struct ek_net *net, int x, const struct ek_net_modulate *m, int *stream, int *normal)
{
	struct ek_net_op op = { .kind = EK_NET_MODULATE, .parameters = { -1, -1 }, .of.modulate = *m };
	const enum ek_nn_type types[2] = { net->stream, net->type };
	const int gated = m->branch > 0, first = gated ? 0 : 1;
	struct ek_net_shape shapes[2];
	int rc, numbers[2] = { 0 };

	EK_TRY(check_modulate(net, x, m, normal != NULL));
	shapes[0] = shapes[1] = net->values[x].shape;
	EK_TRY(x = ek_net_cast(net, x, net->stream));
	EK_TRY(op.inputs[2] = ek_net_cast(net, m->vector, EK_NN_FLOAT32));
	op.inputs[0] = x;
	op.inputs[1] = m->branch;
	EK_TRY(ek_net_op_add(net, &op, (normal != NULL) + gated, shapes + first, types + first, numbers + first));
out:
	if (stream != NULL)
		*stream = rc < 0 ? rc : gated ? numbers[0] : x;
	if (normal != NULL)
		*normal = rc < 0 ? rc : numbers[1];
	return rc;
}

static int attention(struct ek_net *net, int qkv, int heads, enum ek_net_kind kind)
{
	struct ek_net_shape shape;
	int rc;

	EK_TRY(ek_net_check_floats(net, qkv, "attention"));
	shape = net->values[qkv].shape;
	if (heads < 1 || shape.channels % (3 * heads) != 0)
		return ek_fail(EK_EUSAGE, "attention: %d features are not 3 x %d heads", shape.channels, heads);
	EK_TRY(qkv = ek_net_cast(net, qkv, net->type));
	shape.channels /= 3;
	rc = add_one(
		net,
		&(struct ek_net_op){ .kind = kind, .inputs = { qkv }, .parameters = { -1, -1 }, .of.heads = heads },
		shape, net->type);
out:
	return rc;
}

int ek_net_attention(struct ek_net *net, int qkv, int heads)
{
	return attention(net, qkv, heads, EK_NET_ATTENTION);
}

int ek_net_causal_attention(struct ek_net *net, int qkv, int heads)
{
	return attention(net, qkv, heads, EK_NET_CAUSAL);
}

static int activation(struct ek_net *net, int x, enum ek_nn_activation kind, float slope)
{
	struct ek_net_op op = { .kind = EK_NET_ACTIVATION, .inputs = { x }, .parameters = { -1, -1 } };
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "activation"));
	op.of.activation.activation = kind;
	op.of.activation.slope = slope;
	rc = kind == EK_NN_LINEAR ? x : add_one(net, &op, net->values[x].shape, net->values[x].type);
out:
	return rc;
}

int ek_net_activation(struct ek_net *net, int x, enum ek_nn_activation kind)
{
	return activation(net, x, kind, 0);
}

int ek_net_leaky_relu(struct ek_net *net, int x, float slope)
{
	return activation(net, x, EK_NN_RELU, slope);
}

int ek_net_simple(struct ek_net *net, enum ek_net_kind kind, int a, int b, int number_of, struct ek_net_shape shape,
                  enum ek_nn_type type)
{
	struct ek_net_op op = { .kind = kind, .inputs = { a, b }, .parameters = { -1, -1 } };

	op.of.p = number_of;
	return add_one(net, &op, shape, type);
}

int ek_net_add(struct ek_net *net, int a, int b)
{
	const int rc = ek_net_check_same(net, a, b, "add");

	return rc < 0 ? rc : ek_net_simple(net, EK_NET_ADD, a, b, 0, net->values[a].shape, net->values[a].type);
}

int ek_net_positions(struct ek_net *net, int x, int parameter)
{
	int rc;

	EK_TRY(ek_net_check_floats(net, x, "positions"));
	EK_TRY(ek_net_check_parameter(net, parameter, ek_net_elements(net, x), "positions"));
	rc = add_one(net,
	             &(struct ek_net_op){ .kind = EK_NET_POSITIONS,
	                                  .inputs = { x },
	                                  .parameters = { parameter, -1 },
	                                  .counts = { ek_net_elements(net, x) } },
	             net->values[x].shape, net->stream);
out:
	return rc;
}

int ek_net_embedding(struct ek_net *net, int ids, int parameter)
{
	int rc;

	EK_TRY(ek_net_check_value(net, ids, "embedding"));
	EK_TRY(ek_net_check_parameter(net, parameter, 0, "embedding"));
	if (!net->values[ids].ids || net->table->items[parameter].rank != 2)
		return ek_fail(EK_EUSAGE, "embedding: wants ids and a parameter [count, features]");
	rc = add_one(
		net,
		&(struct ek_net_op){ .kind = EK_NET_EMBEDDING, .inputs = { ids }, .parameters = { parameter, -1 } },
		(struct ek_net_shape){ 1, 1, (int)net->table->items[parameter].dims[1] }, EK_NN_FLOAT32);
out:
	return rc;
}

int ek_net_times(struct ek_net *net, int t, int features, float scale)
{
	struct ek_net_op op = { .kind = EK_NET_TIMES, .inputs = { t }, .parameters = { -1, -1 } };
	int rc;

	EK_TRY(ek_net_check_floats(net, t, "times"));
	if (features < 2 || features % 2 != 0 || ek_net_elements(net, t) != 1)
		return ek_fail(EK_EUSAGE, "times: wants one number and an even number of features");
	op.of.affine.scale = scale;
	EK_TRY(op.inputs[0] = ek_net_cast(net, t, EK_NN_FLOAT32));
	rc = add_one(net, &op, (struct ek_net_shape){ 1, 1, features }, EK_NN_FLOAT32);
out:
	return rc;
}

int ek_net_upsample(struct ek_net *net, int x)
{
	const int rc = ek_net_check_floats(net, x, "upsample");
	struct ek_net_shape s;

	if (rc < 0)
		return rc;
	s = net->values[x].shape;
	return ek_net_simple(net, EK_NET_UPSAMPLE, x, 0, 0,
	                     (struct ek_net_shape){ 2 * s.height, 2 * s.width, s.channels }, net->values[x].type);
}

int ek_net_unpatch(struct ek_net *net, int x, int p)
{
	const int rc = ek_net_check_floats(net, x, "unpatch");
	struct ek_net_shape s;

	if (rc < 0)
		return rc;
	s = net->values[x].shape;
	if (p < 1 || p > 1024 || s.channels % (p * p) != 0)
		return ek_fail(EK_EUSAGE, "unpatch: %d features are not patches of side %d", s.channels, p);
	return ek_net_simple(net, EK_NET_UNPATCH, x, 0, p,
	                     (struct ek_net_shape){ s.height * p, s.width * p, s.channels / (p * p) },
	                     net->values[x].type);
}

int ek_net_channels(struct ek_net *net, int x, int first, int count)
{
	const int rc = ek_net_check_floats(net, x, "channels");
	struct ek_net_shape s;

	if (rc < 0)
		return rc;
	s = net->values[x].shape;
	if (first < 0 || count < 1 || first > s.channels - count)
		return ek_fail(EK_EUSAGE, "channels: %d from %d on of %d", count, first, s.channels);
	return ek_net_simple(net, EK_NET_CHANNELS, x, 0, first, (struct ek_net_shape){ s.height, s.width, count },
	                     net->values[x].type);
}

int ek_net_affine(struct ek_net *net, int x, float scale, float shift)
{
	struct ek_net_op op = { .kind = EK_NET_AFFINE, .inputs = { x }, .parameters = { -1, -1 } };
	const int rc = ek_net_check_floats(net, x, "affine");

	op.of.affine.scale = scale;
	op.of.affine.shift = shift;
	return rc < 0 ? rc : add_one(net, &op, net->values[x].shape, EK_NN_FLOAT32);
}

int ek_net_detach(struct ek_net *net, int x)
{
	const int rc = ek_net_check_floats(net, x, "detach");

	return rc < 0 ? rc : ek_net_simple(net, EK_NET_DETACH, x, 0, 0, net->values[x].shape, net->values[x].type);
}

int ek_net_constants(struct ek_net *net, const struct ek_params *params, const float *values)
{
	net->table = params != NULL ? params : net->params;
	net->constants = values;
	net->frozen = params != NULL;
	return 0;
}

int ek_net_segment(struct ek_net *net)
{
	net->segment++;
	return 0;
}

int ek_net_keep(struct ek_net *net, int value)
{
	const int rc = ek_net_check_value(net, value, "output");

	if (rc == 0)
		net->values[value].kept = 1;
	else if (net->failed == 0)
		net->failed = rc;
	return rc;
}

int ek_net_output(struct ek_net *net, int value)
{
	const int rc = ek_net_keep(net, value);

	if (rc == 0)
		net->values[value].output = 1;
	return rc;
}
