/* Layers that treat each number on its own. */
#include "train/nn/ops/op_cuda.h"

/* 1 / (1 + e^-g) of the gated units, x · that, and the derivative of g. */
static __device__ inline float gate_of(float x, int activation, float *slope)
{
	const float c = 1.5957691216057308F; /* 2 sqrt(2 / pi) */
	float g;

	if (activation == EK_NN_GELU_TANH) {
		*slope = c * (1 + 3 * 0.044715F * x * x);
		g = c * x * (1 + 0.044715F * x * x);
	} else {
		*slope = activation == EK_NN_QUICK_GELU ? 1.702F : 1;
		g = *slope * x;
	}
	return 1 / (1 + expf(-g));
}

static __device__ float activated(float x, int activation, float slope)
{
	float unused;

	switch (activation) {
	case EK_NN_RELU:
		return x > 0 ? x : x * slope;
	case EK_NN_RELU6:
		return x >= 6 ? 6 : x > 0 ? x : x * slope;
	case EK_NN_GELU_ERF:
		return x * 0.5F * (1 + erff(x * 0.70710678F));
	case EK_NN_LINEAR:
		return x;
	default:
		return x * gate_of(x, activation, &unused);
	}
}

static __device__ float activated_slope(float x, int activation, float slope)
{
	float inner, s;

	switch (activation) {
	case EK_NN_RELU:
		return x > 0 ? 1 : slope;
	case EK_NN_RELU6:
		return x >= 6 ? 0 : x > 0 ? 1 : slope;
	case EK_NN_GELU_ERF:
		return 0.5F * (1 + erff(x * 0.70710678F)) + x * 0.39894228F * expf(-0.5F * x * x);
	case EK_NN_LINEAR:
		return 1;
	default:
		s = gate_of(x, activation, &inner);
		return s + x * s * (1 - s) * inner;
	}
}

/* Runs its body, which makes y from x and z of VEC numbers, from number i on; z may be none. */
template <int VEC, typename F>
static __device__ inline void each(const ek_cuda_view &y, const ek_cuda_view &x, const ek_cuda_view &z, size_t count,
                                   F body)
{
	EK_CUDA_EACH(k, count / VEC)
	{
		const size_t i = k * VEC;
		float a[VEC], b[VEC];

		if constexpr (VEC == 8) {
			ek_get8(a, x, i);
			if (z.x != NULL)
				ek_get8(b, z, i);
		} else {
			a[0] = ek_get(x, i);
			b[0] = z.x != NULL ? ek_get(z, i) : 0;
		}
		for (int j = 0; j < VEC; j++)
			a[j] = body(a[j], b[j]);
		if constexpr (VEC == 8)
			ek_put8(y, i, a);
		else
			ek_put(y, i, a[0]);
	}
}

/* Launches KERNEL<8> or KERNEL<1>: (y, x, z, count, …). */
#define LAUNCH(KERNEL, y, x, z, count, ...)                                                                            \
	do {                                                                                                           \
		if (ek_cuda_by_eights(y, count) && ek_cuda_by_eights(x, count) && ek_cuda_by_eights(z, count))         \
			KERNEL<8><<<ek_cuda_blocks(count, 8), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(y, x, z, count,    \
			                                                                            __VA_ARGS__);      \
		else                                                                                                   \
			KERNEL<1><<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(y, x, z, count,       \
			                                                                         __VA_ARGS__);         \
	} while (0)

template <int VEC>
static __global__ void activate(ek_cuda_view y, ek_cuda_view x, ek_cuda_view z, size_t count, int activation,
                                float slope)
{
	each<VEC>(y, x, z, count, [=](float a, float) { return activated(a, activation, slope); });
}

/* dx from x and dy. */
template <int VEC>
static __global__ void activate_backward(ek_cuda_view dx, ek_cuda_view x, ek_cuda_view dy, size_t count, int activation,
                                         float slope)
{
	each<VEC>(dx, x, dy, count, [=](float a, float d) { return d * activated_slope(a, activation, slope); });
}

int ek_cuda_activate(const ek_cuda_view &y, const ek_cuda_view &x, size_t count, int activation, float slope)
{
	const ek_cuda_view none = {};

	LAUNCH(activate, y, x, none, count, activation, slope);
	return ek_cuda_launched("activation");
}

static int forward_activation(ek_net_state *s, const ek_net_op *op)
{
	return ek_cuda_activate(ek_cuda_output(s, op, 0), ek_cuda_input(s, op, 0),
	                        ek_cuda_numbers(s->net, op->inputs[0]), op->of.activation.activation,
	                        op->of.activation.slope);
}

static int backward_activation(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[0]);

	LAUNCH(activate_backward, ek_cuda_grad_input(s, op, 0), ek_cuda_input(s, op, 0), ek_cuda_grad_output(s, op, 0),
	       count, op->of.activation.activation, op->of.activation.slope);
	return ek_cuda_launched("activation's gradient");
}

const struct ek_net_code ek_net_cuda_activation = { NULL, NULL, forward_activation, backward_activation, 0, NULL };

/* y = (x + z or shift) · scale; z may be none. */
template <int VEC>
static __global__ void combine(ek_cuda_view y, ek_cuda_view x, ek_cuda_view z, size_t count, float shift, float scale)
{
	const int two = z.x != NULL;

	each<VEC>(y, x, z, count, [=](float a, float b) { return (a + (two ? b : shift)) * scale; });
}

static int launch_combine(const ek_cuda_view &y, const ek_cuda_view &x, const ek_cuda_view &z, size_t count,
                          float shift, float scale)
{
	LAUNCH(combine, y, x, z, count, shift, scale);
	return ek_cuda_launched("a sum");
}

int ek_cuda_copy(const ek_cuda_view &y, const ek_cuda_view &x, size_t count)
{
	return launch_combine(y, x, {}, count, 0, 1);
}

/* The gradient of the first output goes to input j, `scale` times, unless it is there already. */
static int pass_gradient(ek_net_state *s, const ek_net_op *op, int j, float scale)
{
	if (!op->wants[j] || op->aliased[j])
		return 0;
	return launch_combine(ek_cuda_grad_input(s, op, j), ek_cuda_grad_output(s, op, 0), {},
	                      ek_cuda_numbers(s->net, op->inputs[j]), 0, scale);
}

static int forward_add(ek_net_state *s, const ek_net_op *op)
{
	return launch_combine(ek_cuda_output(s, op, 0), ek_cuda_input(s, op, 0), ek_cuda_input(s, op, 1),
	                      ek_cuda_numbers(s->net, op->inputs[0]), 0, 1);
}

static int backward_add(ek_net_state *s, const ek_net_op *op)
{
	/* In the order of the inputs: if both are one value, the first sets and the second adds. */
	const int rc = pass_gradient(s, op, 0, 1);

	return rc < 0 ? rc : pass_gradient(s, op, 1, 1);
}

const struct ek_net_code ek_net_cuda_add = { NULL, NULL, forward_add, backward_add, 0, NULL };

static int forward_copy(ek_net_state *s, const ek_net_op *op)
{
	return launch_combine(ek_cuda_output(s, op, 0), ek_cuda_input(s, op, 0), {},
	                      ek_cuda_numbers(s->net, op->inputs[0]), 0, 1);
}

static int backward_copy(ek_net_state *s, const ek_net_op *op)
{
	return pass_gradient(s, op, 0, 1);
}

const struct ek_net_code ek_net_cuda_cast = { NULL, NULL, forward_copy, backward_copy, 0, NULL };
const struct ek_net_code ek_net_cuda_detach = { NULL, NULL, forward_copy, NULL, 0, NULL };

static int forward_affine(ek_net_state *s, const ek_net_op *op)
{
	return launch_combine(ek_cuda_output(s, op, 0), ek_cuda_input(s, op, 0), {},
	                      ek_cuda_numbers(s->net, op->inputs[0]), op->of.affine.shift, op->of.affine.scale);
}

static int backward_affine(ek_net_state *s, const ek_net_op *op)
{
	return pass_gradient(s, op, 0, op->of.affine.scale);
}

const struct ek_net_code ek_net_cuda_affine = { NULL, NULL, forward_affine, backward_affine, 0, NULL };

/* Parameters that are rounded, many in one launch: a step has a hundred of them. */

enum { PARTS = 120, PART = 1 << 20, PART_BLOCKS = 32 };

struct packing {
	struct {
		void *to;
		const float *from;
		size_t count;
	} parts[PARTS];
	int count;
};
static packing waiting;

static __global__ void pack(packing p)
{
	const size_t count = p.parts[blockIdx.y].count;
	const ek_cuda_view to = { p.parts[blockIdx.y].to, 1, 0 },
			   from = { const_cast<float *>(p.parts[blockIdx.y].from), 0, 0 };

	if (((uintptr_t)to.x | (uintptr_t)from.x) % 16 == 0 && count % 8 == 0)
		EK_CUDA_EACH(i, count / 8)
		{
			float x[8];

			ek_get8(x, from, 8 * i);
			ek_put8(to, 8 * i, x);
		}
	else
		EK_CUDA_EACH(i, count)
		{
			ek_put(to, i, ek_get(from, i));
		}
}

int ek_cuda_pack_all(void)
{
	if (waiting.count == 0)
		return 0;
	ek_cuda_enter();
	pack<<<dim3(PART_BLOCKS, (unsigned)waiting.count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(waiting);
	waiting.count = 0;
	return ek_cuda_launched("rounding parameters");
}

int ek_cuda_pack(void *to, const float *x, size_t count)
{
	int rc = 0;

	for (size_t first = 0; first < count; first += PART) {
		if (waiting.count == PARTS)
			EK_TRY(ek_cuda_pack_all());
		waiting.parts[waiting.count++] = { (__nv_bfloat16 *)to + first, x + first,
			                           count - first < PART ? count - first : (size_t)PART };
	}
out:
	return rc;
}
