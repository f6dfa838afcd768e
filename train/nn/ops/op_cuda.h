/*
 * What the operators on GPUs share: views of values, loops, and sums in a fixed order.
 *
 * An operator is added so: a file ops/NAME_cuda.cu (or one that has its relatives) with kernels and a
 *
 *     const struct ek_net_code ek_net_cuda_NAME = { prepare or NULL, load or NULL, forward, backward or NULL, 1,
 *                                                   images or NULL };
 *
 * and the file named in CMakeLists.txt. What the functions get is as on the
 * CPU (net_internal.h), all pointers being the GPU's, with these differences:
 *
 * - Everything is launched on ek_cuda_stream() and nothing waits: slices run one after another. The last line of a
 *   function is `return ek_cuda_launched("name")`.
 * - `sparse`, the number, is 1 wherever there are parameters: ek_net_parameter_gradient is the sum over slices, and
 *   backward adds to it. No ek_net_parameter_sum and nothing else of net.c that touches numbers (ek_net_copy, …).
 * - What is kept for the operator's life is a struct at op->prepared that begins with a struct ek_cuda_plan.
 * - Sums are in an order that does not depend on what runs first: no atomic additions of floats.
 *
 * A view's type is looked at when a number is taken: all threads go the same way, so it costs little beside memory.
 */
#ifndef EK_NN_OPS_OP_CUDA_H
#define EK_NN_OPS_OP_CUDA_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "rebalance/base/error.h"
#include "train/nn/net_internal.h"
}
#include "train/nn/cuda_internal.h"

enum { EK_CUDA_BLOCK = 256 };

/* Numbers of either type. x NULL: there are none, or they are not wanted. add: writing adds to what is there. */
struct ek_cuda_view {
	void *x;
	int bf16, add;
};

static inline ek_cuda_view ek_cuda_input(const ek_net_state *s, const ek_net_op *op, int i)
{
	return { const_cast<void *>(ek_net_in(s, op, i)), ek_net_in_type(s->net, op, i) == EK_NN_BFLOAT16, 0 };
}

static inline ek_cuda_view ek_cuda_output(const ek_net_state *s, const ek_net_op *op, int i)
{
	return { ek_net_out(s, op, i), ek_net_out_type(s->net, op, i) == EK_NN_BFLOAT16, 0 };
}

/* The gradient of output i, to be read, and of input i, to be written or added to. */
static inline ek_cuda_view ek_cuda_grad_output(const ek_net_state *s, const ek_net_op *op, int i)
{
	return { const_cast<void *>(ek_net_grad_out(s, op, i)), ek_net_out_type(s->net, op, i) == EK_NN_BFLOAT16, 0 };
}

static inline ek_cuda_view ek_cuda_grad_input(const ek_net_state *s, const ek_net_op *op, int i)
{
	return { ek_net_grad_in(s, op, i), ek_net_in_type(s->net, op, i) == EK_NN_BFLOAT16, op->adds[i] };
}

static inline ek_cuda_view ek_cuda_floats(const float *x)
{
	return { const_cast<float *>(x), 0, 0 };
}

static inline size_t ek_cuda_numbers(const ek_net *net, int value)
{
	return (size_t)net->batch * ek_net_elements(net, value);
}

/* Blocks of EK_CUDA_BLOCK threads for a loop over `count` numbers (EK_CUDA_EACH), `each` of them a thread at a time. */
static inline unsigned ek_cuda_blocks(size_t count, size_t each = 1)
{
	const size_t wanted = (count + each * EK_CUDA_BLOCK - 1) / (each * EK_CUDA_BLOCK);
	const size_t most = (size_t)ek_cuda_processors() * 32;

	return (unsigned)(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

#define EK_CUDA_EACH(i, count)                                                                                         \
	for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += (size_t)gridDim.x * blockDim.x)

static __device__ inline float ek_get(const ek_cuda_view &v, size_t i)
{
	return v.bf16 ? __bfloat162float(((const __nv_bfloat16 *)v.x)[i]) : ((const float *)v.x)[i];
}

static __device__ inline void ek_put(const ek_cuda_view &v, size_t i, float x)
{
	if (v.add)
		x += ek_get(v, i);
	if (v.bf16)
		((__nv_bfloat16 *)v.x)[i] = __float2bfloat16_rn(x);
	else
		((float *)v.x)[i] = x;
}

/* Eight numbers from i on, which is a multiple of 8; ek_cuda_by_eights says whether a view may be taken so. */
static __device__ inline void ek_get8(float out[8], const ek_cuda_view &v, size_t i)
{
	if (v.bf16) {
		const uint4 raw = *(const uint4 *)((const __nv_bfloat16 *)v.x + i);
		const unsigned pairs[4] = { raw.x, raw.y, raw.z, raw.w };

		for (int j = 0; j < 4; j++) {
			out[2 * j] = __uint_as_float(pairs[j] << 16);
			out[2 * j + 1] = __uint_as_float(pairs[j] & 0xffff0000U);
		}
	} else {
		const float4 low = *(const float4 *)((const float *)v.x + i),
			     high = *(const float4 *)((const float *)v.x + i + 4);

		out[0] = low.x;
		out[1] = low.y;
		out[2] = low.z;
		out[3] = low.w;
		out[4] = high.x;
		out[5] = high.y;
		out[6] = high.z;
		out[7] = high.w;
	}
}

static __device__ inline unsigned ek_pair(float low, float high)
{
	const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);

	return *(const unsigned *)&pair;
}

static __device__ inline void ek_put8(const ek_cuda_view &v, size_t i, float x[8])
{
	if (v.add) {
		float before[8];

		ek_get8(before, v, i);
		for (int j = 0; j < 8; j++)
			x[j] += before[j];
	}
	if (v.bf16) {
		*(uint4 *)((__nv_bfloat16 *)v.x + i) =
			make_uint4(ek_pair(x[0], x[1]), ek_pair(x[2], x[3]), ek_pair(x[4], x[5]), ek_pair(x[6], x[7]));
	} else {
		*(float4 *)((float *)v.x + i) = make_float4(x[0], x[1], x[2], x[3]);
		*(float4 *)((float *)v.x + i + 4) = make_float4(x[4], x[5], x[6], x[7]);
	}
}

static inline int ek_cuda_by_eights(const ek_cuda_view &v, size_t count)
{
	return count % 8 == 0 && (uintptr_t)v.x % 16 == 0;
}

/* The sum over a block of whole warps, in every thread; `shared`: [32]. Every thread must come here. */
template <typename T> static __device__ inline T ek_block_sum(T x, T *shared)
{
	const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
	T sum = 0;

	for (int step = 16; step > 0; step /= 2)
		x += __shfl_xor_sync(0xffffffffU, x, step);
	if (warps == 1)
		return x;
	__syncthreads(); /* the sum before has been read */
	if (lane == 0)
		shared[threadIdx.x / 32] = x;
	__syncthreads();
	for (unsigned i = 0; i < warps; i++)
		sum += shared[i];
	return sum;
}

/* The sum over a warp, in every lane. */
static __device__ inline float ek_warp_sum(float x)
{
	for (int step = 16; step > 0; step /= 2)
		x += __shfl_xor_sync(0xffffffffU, x, step);
	return x;
}

/* x[0 … COUNT - 1] of the lanes that differ in bit BIT are added up; half of the sums stay in each. */
template <int COUNT, int BIT> static __device__ inline void ek_halve(float *x)
{
	const int high = (int)threadIdx.x & BIT;

#pragma unroll
	for (int i = 0; i < COUNT / 2; i++) {
		const float given = high ? x[i] : x[i + COUNT / 2], kept = high ? x[i + COUNT / 2] : x[i];

		x[i] = kept + __shfl_xor_sync(0xffffffffU, given, BIT);
	}
}

/* 2^x, to 2 units in the last place of what is later rounded to bfloat16. */
static __device__ inline float ek_power_of_2(float x)
{
	float y;

	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

/* pointwise_cuda.cu: y [count] = x, y = activation(x); either may be of either type, and be the other. */
int ek_cuda_copy(const ek_cuda_view &y, const ek_cuda_view &x, size_t count);
int ek_cuda_activate(const ek_cuda_view &y, const ek_cuda_view &x, size_t count, int activation, float slope);

/* conv_cuda.cu: y [rows, outputs] = activation(x [rows, inputs] · weights [outputs, inputs]' + bias [outputs] or NULL),
 * rounded once; all but the bias bfloat16; inputs a multiple of 8, rows below 2^31. */
int ek_cuda_dense(const ek_cuda_view &y, const void *x, const void *weights, const float *bias, size_t rows, int inputs,
                  int outputs, enum ek_nn_activation activation);

/* sum_cuda.cu: sum [columns] += the rows of x [rows, columns], in a fixed order; scratch: so many bytes. Of float32
 * rows that are few, parts of sums: without. */
size_t ek_cuda_add_rows_scratch(size_t rows, size_t columns);
int ek_cuda_add_rows(float *sum, const ek_cuda_view &x, size_t rows, size_t columns, void *scratch);
int ek_cuda_add_parts(float *sum, const float *parts, size_t rows, size_t columns);

/* Uses of a value by layers, and by the caller. */
static inline int ek_cuda_uses_of(const ek_net *net, int value)
{
	int uses = net->values[value].kept;

	for (int i = 0; i < net->op_count; i++)
		for (int j = 0; j < EK_NET_INPUTS; j++)
			uses += net->ops[i].inputs[j] == value;
	return uses;
}

/* Where the gradient of another layer's bias goes that this one makes (bias_of), or NULL. */
static inline float *ek_cuda_bias_of(const ek_net_state *s, const ek_net_op *op)
{
	return op->bias_of > 0 ? ek_net_parameter_gradient(s, &s->net->ops[op->bias_of - 1], 1) : NULL;
}

extern "C" {
#define EK_CUDA_DECLARE(kind, column, name, needs) extern const struct ek_net_code ek_net_cuda_##column;
EK_NET_OPERATORS(EK_CUDA_DECLARE)
}

#endif
