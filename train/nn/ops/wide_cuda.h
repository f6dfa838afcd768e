/*
 * What the CUDA operators share: numbers that are float32 or bfloat16 in memory and float32 in registers, V of them at
 * a time; activations; launching. Internal to train/nn.
 *
 * Kernels run over the images of a slice in blockIdx.y, so that places within an image fit 32 bits.
 */
#ifndef EK_NN_OPS_WIDE_CUDA_H
#define EK_NN_OPS_WIDE_CUDA_H

#include <type_traits>

#include "train/nn/ops/op_cuda.h"

typedef __nv_bfloat16 bf16;

template <typename T, int V> struct alignas(sizeof(T) * V) pack {
	T x[V];
};

static __device__ inline float widened(float x)
{
	return x;
}

static __device__ inline float widened(bf16 x)
{
	return __bfloat162float(x);
}

template <typename T> __device__ inline T narrowed(float x)
{
	if constexpr (std::is_same<T, bf16>::value)
		return __float2bfloat16(x);
	else
		return x;
}

template <int V, typename T> __device__ inline void load(float *out, const T *p)
{
	const pack<T, V> v = *reinterpret_cast<const pack<T, V> *>(p);

#pragma unroll
	for (int i = 0; i < V; i++)
		out[i] = widened(v.x[i]);
}

/* Write, or add. */
template <int V, typename T> __device__ inline void store(T *p, const float *x, int add)
{
	pack<T, V> v;
	float old[V] = { 0 };

	if (add)
		load<V>(old, p);
#pragma unroll
	for (int i = 0; i < V; i++)
		v.x[i] = narrowed<T>(add ? old[i] + x[i] : x[i]);
	*reinterpret_cast<pack<T, V> *>(p) = v;
}

/* The factor of a gated unit, x · sigmoid(g(x)), and the derivative of g. */
static __device__ inline float gate_of(float x, enum ek_nn_activation activation, float *slope)
{
	const float c = 1.5957691216057308F; /* 2 sqrt(2 / pi) */
	float g = x;

	*slope = 1;
	if (activation == EK_NN_GELU_TANH) {
		g = x * (x * x * (0.044715F * c) + c);
		*slope = x * x * (3 * 0.044715F * c) + c;
	} else if (activation == EK_NN_QUICK_GELU) {
		g = 1.702F * x;
		*slope = 1.702F;
	}
	return 1 / (1 + expf(-g));
}

/* slope: of EK_NN_RELU below 0. */
static __device__ inline float activated(float x, enum ek_nn_activation activation, float slope)
{
	float unused;

	switch (activation) {
	case EK_NN_LINEAR:
		return x;
	case EK_NN_RELU:
		return x > 0 ? x : slope * x;
	case EK_NN_RELU6:
		return x >= 6 ? 6 : x > 0 ? x : slope * x;
	case EK_NN_GELU_ERF:
		return x * (0.5F * (1 + erff(x * 0.70710678F)));
	default:
		return x * gate_of(x, activation, &unused);
	}
}

static __device__ inline float derivative(float x, enum ek_nn_activation activation, float slope)
{
	float inner, s;

	switch (activation) {
	case EK_NN_LINEAR:
		return 1;
	case EK_NN_RELU:
		return x > 0 ? 1 : slope;
	case EK_NN_RELU6:
		return x >= 6 ? 0 : x > 0 ? 1 : slope;
	case EK_NN_GELU_ERF:
		return 0.5F * (1 + erff(x * 0.70710678F)) + x * 0.39894228F * expf(-0.5F * x * x);
	default:
		s = gate_of(x, activation, &inner);
		return s + x * s * (1 - s) * inner;
	}
}

/* Calls f with a number of the type and one that says how many lie side by side: 16 bytes, or one if these counts do
 * not allow that. */
template <typename F> static void by_type(enum ek_nn_type type, size_t counts, F f)
{
	if (type == EK_NN_FLOAT32 && counts % 4 == 0)
		f(float(), std::integral_constant<int, 4>());
	else if (type == EK_NN_FLOAT32)
		f(float(), std::integral_constant<int, 1>());
	else if (counts % 8 == 0)
		f(bf16(), std::integral_constant<int, 8>());
	else
		f(bf16(), std::integral_constant<int, 1>());
}

/* Blocks for `count` places of each of `images` images. */
enum { EK_THREADS = 256 };

static inline dim3 blocks_for(size_t count, int images)
{
	return dim3((unsigned)((count + EK_THREADS - 1) / EK_THREADS), (unsigned)images);
}

#define EK_SHARED(type, name) extern __shared__ __align__(128) type name[]

#define EK_LAUNCH(kernel, blocks, threads, shared, ...)                                                                \
	kernel<<<blocks, threads, shared, ek_cuda_stream()>>>(__VA_ARGS__)

#define EK_PLACE(i, count)                                                                                             \
	const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;                                                      \
                                                                                                                       \
	if (i >= (count))                                                                                              \
	return

#endif
