/*
 * Convolutions on the GPU as products of matrices that are never written: a row is a pixel of what is made, a column
 * one of its channels, and what is added up runs over the taps of the kernel and the channels read. Forward, and the
 * gradient of the input, which for a stride s is made of s · s such products with the taps of each phase. Internal to
 * train/nn.
 */
#ifndef EK_NN_OPS_CONV_CUDA_H
#define EK_NN_OPS_CONV_CUDA_H

#include "train/nn/ops/wide_cuda.h"

/* Division of numbers below 2^31 by one that is the same for a whole launch (Granlund and Montgomery 1994). */
struct divisor {
	unsigned by, magic, shift;
};

static inline struct divisor divisor_of(int by)
{
	struct divisor d = { (unsigned)by, 0, 0 };

	while (1u << d.shift < d.by)
		d.shift++;
	d.magic = (unsigned)((((1ull << d.shift) - d.by) << 32) / d.by + 1);
	return d;
}

static __device__ inline unsigned quotient(unsigned n, const struct divisor &d)
{
	return (__umulhi(n, d.magic) + n) >> d.shift;
}

/* One product. In height [0] and width [1]: pixel p of what is made reads p · stride + first + t · way for each tap t,
 * and lies at p · step + phase of the image. */
struct product {
	int images, groups, in, out; /* in, out: channels of a group */
	int pitch;                   /* numbers from pixel to pixel of what is made */
	int read[2], made[2], pixels[2], taps[2];
	int stride[2], first[2], way[2], step[2], phase[2];
	int rows, depth; /* images · pixels; taps · in */
	int dense;       /* row after row lies as it is counted */
	int cached;      /* neighbours read the same numbers */
	struct divisor by_image, by_line;
};

/* What happens to a sum before it is written: + bias, + residual, activation. Where out is added to, there is neither
 * residual nor activation. */
struct ending {
	const float *bias; /* or NULL */
	ek_cuda_view residual, out;
	enum ek_nn_activation then;
};

static __device__ inline void split_row(const struct product &p, unsigned row, unsigned *image, unsigned *y,
                                        unsigned *x)
{
	unsigned rest;

	*image = quotient(row, p.by_image);
	rest = row - *image * p.by_image.by;
	*y = quotient(rest, p.by_line);
	*x = rest - *y * p.by_line.by;
}

/* The first channel of the pixel that row `row` makes. */
static __device__ inline size_t made_at(const struct product &p, unsigned row)
{
	unsigned image, y, x;

	if (p.dense)
		return (size_t)row * (unsigned)p.pitch;
	split_row(p, row, &image, &y, &x);
	y = y * (unsigned)p.step[0] + (unsigned)p.phase[0];
	x = x * (unsigned)p.step[1] + (unsigned)p.phase[1];
	return (((size_t)image * (unsigned)p.made[0] + y) * (unsigned)p.made[1] + x) * (unsigned)p.pitch;
}

template <int V> static __device__ inline void load_view(float *out, const ek_cuda_view &v, size_t i)
{
	if (v.bf16)
		load<V>(out, (const bf16 *)v.x + i);
	else
		load<V>(out, (const float *)v.x + i);
}

/* Activations that are bounds: least … most of what they leave as it is; NaN stays. */
static inline __host__ __device__ bool is_bounded(enum ek_nn_activation then)
{
	return then == EK_NN_LINEAR || then == EK_NN_RELU || then == EK_NN_RELU6;
}

template <int V> static __device__ inline void bound(float *sum, enum ek_nn_activation then)
{
	const float least = then == EK_NN_LINEAR ? -INFINITY : 0, most = then == EK_NN_RELU6 ? 6 : INFINITY;

#pragma unroll
	for (int j = 0; j < V; j++) {
		sum[j] = sum[j] <= least ? least : sum[j];
		sum[j] = sum[j] >= most ? most : sum[j];
	}
}

/* The biases of V channels. To be loaded before the sums are made: once results are stored, each load waits for the
 * last.
 */
template <int V> static __device__ inline void load_bias(float *bias, const struct ending &e, unsigned channel)
{
#pragma unroll
	for (int j = 0; j < V; j++)
		bias[j] = e.bias != NULL ? e.bias[channel + j] : 0;
}

/* What is added to V sums beside the bias; at: of the first of them in what is made. */
template <int V> static __device__ inline void load_other(float *other, const struct ending &e, size_t at)
{
#pragma unroll
	for (int j = 0; j < V; j++)
		other[j] = 0;
	if (e.residual.x != NULL)
		load_view<V>(other, e.residual, at);
	else if (e.out.add)
		load_view<V>(other, e.out, at);
}

/* BOUNDED: no other activation occurs. */
template <int V, bool BOUNDED>
static __device__ inline void end(const struct ending &e, size_t at, const float *bias, const float *other, float *sum)
{
#pragma unroll
	for (int j = 0; j < V; j++)
		sum[j] += bias[j] + other[j];
	if (BOUNDED || is_bounded(e.then))
		bound<V>(sum, e.then);
	else
#pragma unroll
		for (int j = 0; j < V; j++)
			sum[j] = activated(sum[j], e.then, 0);
	if (e.out.bf16)
		store<V>((bf16 *)e.out.x + at, sum, 0);
	else
		store<V>((float *)e.out.x + at, sum, 0);
}

template <int V, bool BOUNDED = false>
static __device__ inline void finish(const struct ending &e, size_t at, const float *bias, float *sum)
{
	float other[V];

	load_other<V>(other, e, at);
	end<V, BOUNDED>(e, at, bias, other, sum);
}

/* conv_product_cuda.cu. x: of type; weights [groups · out, taps, in] of that type. */
int ek_cuda_conv(const struct product *p, enum ek_nn_type type, const void *x, const void *weights,
                 const struct ending *e);

/* conv_product_hopper.cu: on a GPU of compute capability 9.0, in bfloat16, p->in being a multiple of 8. */
void ek_cuda_conv_hopper(const struct product *p, const void *x, const void *weights, const struct ending *e);

/* conv_deep_hopper.cu: the same of many channels and pixels. */
bool ek_cuda_conv_is_deep(const struct product *p, const struct ending *e);
int ek_cuda_conv_deep(const struct product *p, const void *x, const void *weights, const struct ending *e);

/* conv_weights_cuda.cu. dw [groups · out, in, taps] += the gradient, of the product forward; x, dy: of type. scratch:
 * so many bytes. */
size_t ek_cuda_conv_weights_scratch(const struct product *p, enum ek_nn_type type);
int ek_cuda_conv_weights(float *dw, const struct product *p, enum ek_nn_type type, const void *x, const void *dy,
                         void *scratch);

#endif
