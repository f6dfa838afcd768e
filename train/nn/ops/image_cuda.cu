/* Layers that make numbers of bytes, and move them between pixels, on the GPU; as image_cpu.c. */
#include "train/nn/ops/wide_cuda.h"

/* A thread has four bytes, of N channels; count: numbers of an image. */
template <unsigned N>
static __global__ void __launch_bounds__(EK_THREADS)
	see_pixels(float *out, const uchar4 *x, const __grid_constant__ struct ek_net_pixels p, unsigned count)
{
	const unsigned ints = (count + 3) / 4;

	EK_PLACE(i, ints);
	const uchar4 bytes = x[blockIdx.y * (size_t)ints + i];
	const unsigned char each[4] = { bytes.x, bytes.y, bytes.z, bytes.w };
	const unsigned first = 4 * i % N;
	float seen[4];

	out += blockIdx.y * (size_t)count + 4 * i;
#pragma unroll
	for (unsigned j = 0; j < 4; j++) {
		const unsigned channel = (first + j) % N;

		seen[j] = (float)each[j] * p.scale[channel] + p.shift[channel];
	}
	if (count % 4 == 0) {
		store<4>(out, seen, 0);
		return;
	}
#pragma unroll
	for (unsigned j = 0; j < 4; j++)
		if (4 * i + j < count)
			out[j] = seen[j];
}

static int forward_pixels(struct ek_net_state *s, const struct ek_net_op *op)
{
	static void (*const kernels[])(float *, const uchar4 *, struct ek_net_pixels,
	                               unsigned) = { see_pixels<1>, see_pixels<2>, see_pixels<3>, see_pixels<4> };
	const size_t count = ek_net_elements(s->net, op->outputs[0]);

	EK_LAUNCH(kernels[op->of.pixels.shape.channels - 1], blocks_for((count + 3) / 4, s->net->batch), EK_THREADS, 0,
	          (float *)ek_net_out(s, op, 0), (const uchar4 *)ek_net_in(s, op, 0), op->of.pixels, (unsigned)count);
	return ek_cuda_launched("pixels");
}

const struct ek_net_code ek_net_cuda_pixels = { NULL, NULL, forward_pixels, NULL, 0, NULL };

/* Moving: a thread has V channels of a pixel. */

/* Of a pixel's channels number i of an image of this shape, V at a time. */
struct pixel {
	unsigned row, column, channel;
};

template <int V> __device__ inline struct pixel pixel_of(unsigned i, struct ek_net_shape s)
{
	const unsigned vectors = (unsigned)s.channels / V, place = i / vectors;

	return (struct pixel){ place / (unsigned)s.width, place % (unsigned)s.width, i % vectors * V };
}

__device__ inline size_t place_of(struct ek_net_shape s, unsigned row, unsigned column, unsigned channel)
{
	return ((size_t)blockIdx.y * (unsigned)s.height + row) * (unsigned)s.width * (size_t)s.channels +
	       (size_t)column * (unsigned)s.channels + channel;
}

/* out[i] = or += x[from(i)] */
template <typename T, int V, typename From>
__global__ void __launch_bounds__(EK_THREADS)
	gather(T *out, const T *x, struct ek_net_shape shape, unsigned count, int add, From from)
{
	float v[V];

	EK_PLACE(i, count);
	const struct pixel p = pixel_of<V>(i, shape);

	load<V>(v, x + from(p));
	store<V>(out + place_of(shape, p.row, p.column, p.channel), v, add);
}

struct from_half {
	struct ek_net_shape in;

	__device__ size_t operator()(struct pixel p) const
	{
		return place_of(in, p.row / 2, p.column / 2, p.channel);
	}
};

/* Of a patch: row, column, channel. */
struct from_patch {
	struct ek_net_shape in;
	unsigned p, channels;

	__device__ size_t operator()(struct pixel at) const
	{
		return place_of(in, at.row / p, at.column / p,
		                (at.row % p * p + at.column % p) * channels + at.channel);
	}
};

struct to_patch {
	struct ek_net_shape out;
	unsigned p, channels;

	__device__ size_t operator()(struct pixel at) const
	{
		const unsigned place = at.channel / channels;

		return place_of(out, at.row * p + place / p, at.column * p + place % p, at.channel % channels);
	}
};

/* counts: what V must divide. */
template <typename From>
static int run_gather(struct ek_net_state *s, void *out, const void *x, enum ek_nn_type type, struct ek_net_shape shape,
                      size_t counts, int add, From from)
{
	const size_t count = (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;

	by_type(type, counts, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;

		EK_LAUNCH((gather<T, V, From>), blocks_for(count / V, s->net->batch), EK_THREADS, 0, (T *)out,
		          (const T *)x, shape, (unsigned)(count / V), add, from);
	});
	return ek_cuda_launched("moving pixels");
}

static int forward_unpatch(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape in = s->net->values[op->inputs[0]].shape, out = s->net->values[op->outputs[0]].shape;
	const struct from_patch from = { in, (unsigned)op->of.p, (unsigned)out.channels };

	return run_gather(s, ek_net_out(s, op, 0), ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0), out,
	                  (size_t)out.channels, 0, from);
}

static int backward_unpatch(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape in = s->net->values[op->inputs[0]].shape, out = s->net->values[op->outputs[0]].shape;
	const struct to_patch from = { out, (unsigned)op->of.p, (unsigned)out.channels };

	return run_gather(s, ek_net_grad_in(s, op, 0), ek_net_grad_out(s, op, 0), ek_net_in_type(s->net, op, 0), in,
	                  (size_t)out.channels, op->adds[0], from);
}

const struct ek_net_code ek_net_cuda_unpatch = { NULL, NULL, forward_unpatch, backward_unpatch, 0, NULL };

static int forward_upsample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape in = s->net->values[op->inputs[0]].shape, out = s->net->values[op->outputs[0]].shape;
	const struct from_half from = { in };

	return run_gather(s, ek_net_out(s, op, 0), ek_net_in(s, op, 0), ek_net_in_type(s->net, op, 0), out,
	                  (size_t)out.channels, 0, from);
}

/* A pixel of small = or += factor · the sum of the 2 × 2 of large that it became. */
template <typename T, int V>
__global__ void __launch_bounds__(EK_THREADS)
	shrink(T *small, const T *large, struct ek_net_shape shape, unsigned count, float factor, int add)
{
	const struct ek_net_shape whole = { 2 * shape.height, 2 * shape.width, shape.channels };
	float sum[V] = { 0 }, v[V];

	EK_PLACE(i, count);
	const struct pixel p = pixel_of<V>(i, shape);

	for (unsigned k = 0; k < 4; k++) {
		load<V>(v, large + place_of(whole, 2 * p.row + k / 2, 2 * p.column + k % 2, p.channel));
#pragma unroll
		for (int j = 0; j < V; j++)
			sum[j] += v[j];
	}
#pragma unroll
	for (int j = 0; j < V; j++)
		sum[j] *= factor;
	store<V>(small + place_of(shape, p.row, p.column, p.channel), sum, add);
}

static int backward_upsample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const struct ek_net_shape shape = s->net->values[op->inputs[0]].shape;
	const size_t count = (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;

	by_type(ek_net_in_type(s->net, op, 0), (size_t)shape.channels, [&](auto zero, auto width) {
		typedef decltype(zero) T;
		constexpr int V = decltype(width)::value;

		EK_LAUNCH((shrink<T, V>), blocks_for(count / V, s->net->batch), EK_THREADS, 0,
		          (T *)ek_net_grad_in(s, op, 0), (const T *)ek_net_grad_out(s, op, 0), shape,
		          (unsigned)(count / V), 1.0F, op->adds[0]);
	});
	return ek_cuda_launched("the gradient of larger images");
}

const struct ek_net_code ek_net_cuda_upsample = { NULL, NULL, forward_upsample, backward_upsample, 0, NULL };
