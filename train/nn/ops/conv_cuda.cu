/* Convolutions on the GPU; as conv_cpu.c. Weights are packed by load: [outputs, taps, inputs], then those that the
 * gradient of the input takes: for each phase [inputs, taps, outputs] of its group. Where groups have one channel:
 * [taps, channels]. */
#include "train/nn/ops/conv_cuda.h"
#include "train/nn/ops/images_cuda.h"

/* What is the same for every product of a layer. */
static struct product start(const struct ek_net *net, const struct ek_net_op *op, int from, int to)
{
	const struct ek_net_shape read = net->values[from].shape, made = net->values[to].shape;
	const int groups = op->of.conv.groups;
	struct product p = {};

	p.images = net->batch;
	p.groups = groups;
	p.in = read.channels / groups;
	p.out = made.channels / groups;
	p.pitch = (int)ek_net_pitch(net, to);
	p.read[0] = read.height;
	p.read[1] = read.width;
	p.made[0] = made.height;
	p.made[1] = made.width;
	return p;
}

static void complete(struct product *p)
{
	p->rows = p->images * p->pixels[0] * p->pixels[1];
	p->depth = p->taps[0] * p->taps[1] * p->in;
	p->dense = p->step[0] == 1 && p->step[1] == 1;
	p->cached = p->taps[0] * p->taps[1] > 1;
	p->by_image = divisor_of(p->pixels[0] * p->pixels[1]);
	p->by_line = divisor_of(p->pixels[1]);
}

int ek_cuda_dense(const ek_cuda_view &y, const void *x, const void *weights, const float *bias, size_t rows, int inputs,
                  int outputs, enum ek_nn_activation activation)
{
	const struct ending e = { bias, {}, y, activation };
	struct product p = {};

	p.images = p.groups = 1;
	p.in = inputs;
	p.out = p.pitch = outputs;
	p.read[0] = p.made[0] = p.pixels[0] = (int)rows;
	p.read[1] = p.made[1] = p.pixels[1] = 1;
	for (int i = 0; i < 2; i++)
		p.taps[i] = p.stride[i] = p.way[i] = p.step[i] = 1;
	complete(&p);
	return ek_cuda_conv(&p, EK_NN_BFLOAT16, x, weights, &e);
}

static struct product product_forward(const struct ek_net *net, const struct ek_net_op *op)
{
	const struct ek_net_conv *c = &op->of.conv;
	struct product p = start(net, op, op->inputs[0], op->outputs[0]);

	for (int i = 0; i < 2; i++) {
		p.pixels[i] = p.made[i];
		p.taps[i] = c->kernel[i];
		p.stride[i] = c->stride[i];
		p.first[i] = -c->pad[2 * i];
		p.way[i] = p.step[i] = 1;
	}
	complete(&p);
	return p;
}

static int phase_count(const struct ek_net_op *op)
{
	return op->of.conv.stride[0] * op->of.conv.stride[1];
}

/* The tap of the kernel that tap 0 of this phase is; the others are a stride apart. */
static int first_tap(const struct ek_net_op *op, int way, int phase)
{
	return (phase + op->of.conv.pad[2 * way]) % op->of.conv.stride[way];
}

/* Pixel y · stride + phase of the input is read at tap r by pixel y + (phase + pad - r) / stride of the output. */
static struct product product_backward(const struct ek_net *net, const struct ek_net_op *op, int phase)
{
	const struct ek_net_conv *c = &op->of.conv;
	struct product p = start(net, op, op->outputs[0], op->inputs[0]);

	p.phase[0] = phase / c->stride[1];
	p.phase[1] = phase % c->stride[1];
	for (int i = 0; i < 2; i++) {
		const int tap = first_tap(op, i, p.phase[i]);

		p.pixels[i] = p.made[i] > p.phase[i] ? (p.made[i] - p.phase[i] + c->stride[i] - 1) / c->stride[i] : 0;
		p.taps[i] = c->kernel[i] > tap ? (c->kernel[i] - tap + c->stride[i] - 1) / c->stride[i] : 0;
		p.stride[i] = 1;
		p.first[i] = (p.phase[i] + c->pad[2 * i] - tap) / c->stride[i];
		p.way[i] = -1;
		p.step[i] = c->stride[i];
	}
	complete(&p);
	return p;
}

/* Bytes of a product's weights. */
static size_t packed_size(const struct ek_net *net, const struct ek_net_op *op, const struct product *p)
{
	return ek_net_align((size_t)p->groups * (size_t)p->out * (size_t)p->depth *
	                    ek_nn_type_size(ek_net_in_type(net, op, 0)));
}

/* What the next layer adds to the result, or 0. */
static int added_to(const struct ek_net_op *op)
{
	const struct ek_net_op *next = op + 1;

	return next->inputs[next->inputs[0] == op->outputs[0]];
}

/* That sum, if it is the next layer and nothing else takes the result, is made here. */
static void take_sum(struct ek_net *net, struct ek_net_op *op)
{
	struct ek_net_op *next = op + 1;

	if (op == net->ops + net->op_count - 1 || next->kind != EK_NET_ADD || next->segment != op->segment ||
	    (next->inputs[0] != op->outputs[0] && next->inputs[1] != op->outputs[0]) ||
	    ek_cuda_uses_of(net, op->outputs[0]) != 1 || op->inputs[1] > 0 || op->then != EK_NN_LINEAR ||
	    net->values[next->outputs[0]].type != net->values[op->outputs[0]].type ||
	    net->values[added_to(op)].type != net->values[op->outputs[0]].type)
		return;
	op->makes = next->outputs[0];
	next->idle[0] = 1;
}

static int prepare_conv(struct ek_net *net, struct ek_net_op *op)
{
	const struct product p = product_forward(net, op);
	const enum ek_nn_type type = ek_net_in_type(net, op, 0);
	const size_t outs = ek_cuda_numbers(net, op->outputs[0]), ins = ek_cuda_numbers(net, op->inputs[0]);
	const size_t columns = ek_net_channel_count(net, op->outputs[0]);
	size_t sums, bias;

	if ((size_t)p.groups * (size_t)p.out * (size_t)p.in * (size_t)(op->of.conv.kernel[0] * op->of.conv.kernel[1]) >=
	    1u << 31)
		return ek_fail(EK_ENOTSUP, "a convolution of 2^31 weights or more");
	if (outs / columns >= 1u << 31 || ins / ek_net_channel_count(net, op->inputs[0]) >= 1u << 31)
		return ek_fail(EK_ENOTSUP, "a convolution of 2^31 pixels or more in a slice");
	op->flops = 2.0 * (double)p.rows * (double)p.groups * (double)p.out * (double)p.depth;
	op->packed = packed_size(net, op, &p);
	take_sum(net, op);
	if (!op->backward)
		return 0;
	for (int i = 0; i < phase_count(op) && op->wants[0]; i++) {
		const struct product back = product_backward(net, op, i);

		op->packed += packed_size(net, op, &back);
	}
	/* dy in the net's type, then the parts of sums. */
	if (ek_net_out_type(net, op, 0) != type)
		op->scratch = ek_net_align(outs * ek_nn_type_size(type));
	sums = ek_cuda_conv_weights_scratch(&p, type);
	bias = ek_cuda_add_rows_scratch(outs / columns, columns);
	op->scratch += sums > bias ? sums : bias;
	if (net->mode == EK_NET_IMAGES)
		op->scratch += ek_cuda_images_scratch(net->batch, (size_t)(p.rows / p.images), (size_t)p.depth,
		                                      (size_t)p.out, (size_t)p.groups);
	return 0;
}

/* The weights of a product: to [groups · out, taps, in], or [taps, channels]. In the table, [o, i, kernel]; this one's
 * taps are first, first + step, …; back: o and i are the other way around. */
struct packing {
	int groups, in, out, taps[2], kernel[2], first[2], step[2], back;
};

template <typename T> static __global__ void pack_weights(T *to, const float *weights, struct packing p, unsigned count)
{
	for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
		const unsigned pixel = i / (unsigned)p.in, from = i - pixel * (unsigned)p.in;
		const unsigned line = pixel / (unsigned)p.taps[1], column = pixel - line * (unsigned)p.taps[1];
		const unsigned made = line / (unsigned)p.taps[0], row = line - made * (unsigned)p.taps[0];
		const unsigned group = p.groups > 1 ? made / (unsigned)p.out : 0, of = made - group * (unsigned)p.out;
		const unsigned output = p.back ? group * p.in + from : made;
		const unsigned at = p.back ? output * p.out + of : output * p.in + from;
		const float w = weights[(at * p.kernel[0] + p.first[0] + row * p.step[0]) * p.kernel[1] + p.first[1] +
		                        column * p.step[1]];
		const unsigned single = (row * p.taps[1] + column) * p.groups + group;

		to[p.in == 1 && p.out == 1 ? single : i] = narrowed<T>(w);
	}
}

static void pack_product(struct ek_net *net, struct ek_net_op *op, const struct product *p, int back, unsigned char *to)
{
	const struct ek_net_conv *c = &op->of.conv;
	const size_t count = (size_t)p->groups * (size_t)p->out * (size_t)p->depth;
	struct packing k = { .groups = p->groups,
		             .in = p->in,
		             .out = p->out,
		             .taps = { p->taps[0], p->taps[1] },
		             .kernel = { c->kernel[0], c->kernel[1] },
		             .first = { 0, 0 },
		             .step = { 1, 1 },
		             .back = back };

	for (int i = 0; i < 2 && back; i++) {
		k.first[i] = first_tap(op, i, p->phase[i]);
		k.step[i] = c->stride[i];
	}
	if (count > 0)
		by_type(ek_net_in_type(net, op, 0), 1, [&](auto zero, auto) {
			typedef decltype(zero) T;

			EK_LAUNCH(pack_weights<T>, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, (T *)to,
			          ek_net_loaded(net, op, 0), k, (unsigned)count);
		});
}

static int load_conv(struct ek_net *net, struct ek_net_op *op)
{
	const struct product p = product_forward(net, op);
	unsigned char *to = net->packed + op->packed_offset;

	pack_product(net, op, &p, 0, to);
	to += packed_size(net, op, &p);
	for (int i = 0; i < phase_count(op) && op->backward && op->wants[0]; i++) {
		const struct product back = product_backward(net, op, i);

		pack_product(net, op, &back, 1, to);
		to += packed_size(net, op, &back);
	}
	return ek_cuda_launched("packing weights");
}

static int forward_conv(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct product p = product_forward(s->net, op);
	struct ending e = {};

	e.out = ek_cuda_output(s, op, 0);
	e.then = op->then;
	if (op->parameters[1] >= 0)
		e.bias = ek_net_parameter(s, op, 1);
	if (op->inputs[1] > 0)
		e.residual = ek_cuda_input(s, op, 1);
	if (op->makes > 0) {
		e.residual = { ek_net_value_in(s, added_to(op)), e.out.bf16, 0 };
		e.out.x = ek_net_value_in(s, op->makes);
	}
	return ek_cuda_conv(&p, ek_net_in_type(s->net, op, 0), ek_net_in(s, op, 0), s->net->packed + op->packed_offset,
	                    &e);
}

static int to_input(struct ek_net_state *s, const struct ek_net_op *op, const void *dy)
{
	const struct product p = product_forward(s->net, op);
	const unsigned char *weights = s->net->packed + op->packed_offset + packed_size(s->net, op, &p);
	struct ending e = {};
	int rc = 0;

	e.out = ek_cuda_grad_input(s, op, 0);
	for (int i = 0; i < phase_count(op); i++) {
		const struct product back = product_backward(s->net, op, i);

		EK_TRY(ek_cuda_conv(&back, ek_net_in_type(s->net, op, 0), dy, weights, &e));
		weights += packed_size(s->net, op, &back);
	}
out:
	return rc;
}

static __global__ void narrow(bf16 *to, const float *x, size_t count)
{
	EK_CUDA_EACH(i, count)
	to[i] = narrowed<bf16>(x[i]);
}

static int backward_conv(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct product p = product_forward(s->net, op);
	const enum ek_nn_type type = ek_net_in_type(s->net, op, 0);
	const size_t outs = ek_cuda_numbers(s->net, op->outputs[0]);
	const size_t columns = ek_net_channel_count(s->net, op->outputs[0]);
	const void *dy = ek_net_grad_out(s, op, 0);
	float *dw = ek_net_parameter_gradient(s, op, 0), *db = ek_net_parameter_gradient(s, op, 1);
	unsigned char *scratch = s->scratch;
	int rc = 0;

	if (ek_net_out_type(s->net, op, 0) != type) {
		EK_LAUNCH(narrow, ek_cuda_blocks(outs), EK_CUDA_BLOCK, 0, (bf16 *)(void *)scratch, (const float *)dy,
		          outs);
		dy = scratch;
		scratch += ek_net_align(outs * ek_nn_type_size(type));
	}
	if (op->wants[0])
		EK_TRY(to_input(s, op, dy));
	if (dw != NULL)
		EK_TRY(ek_cuda_conv_weights(dw, &p, type, ek_net_in(s, op, 0), dy, scratch));
	if (db != NULL && !op->bias_apart)
		EK_TRY(ek_cuda_add_rows(db, ek_cuda_grad_output(s, op, 0), outs / columns, columns, scratch));
out:
	return rc;
}

/* dy is not rounded to the net's type here. */
static int images_conv(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct product p = product_forward(s->net, op);
	struct ek_image_product q = {};
	int rc = 0;

	q.x = ek_cuda_input(s, op, 0);
	q.dy = ek_cuda_grad_output(s, op, 0);
	q.rows = (int)ek_net_image_rows(s, op->outputs[0]);
	q.inputs = p.depth;
	q.outputs = p.out;
	q.groups = p.groups;
	q.channels = p.groups * p.in;
	for (int i = 0; i < 2; i++) {
		q.kernel[i] = p.taps[i];
		q.stride[i] = p.stride[i];
		q.pad[i] = -p.first[i];
		q.read[i] = p.read[i];
		q.made[i] = p.made[i];
	}
	if (ek_net_measures(s, op, 0)) {
		q.direction = ek_net_direction(s, op, 0);
		EK_TRY(ek_cuda_image_weights(s, &q, s->scratch));
	}
	EK_TRY(ek_cuda_image_bias(s, op));
out:
	return rc;
}

const struct ek_net_code ek_net_cuda_conv = { prepare_conv, load_conv, forward_conv, backward_conv, 1, images_conv };
