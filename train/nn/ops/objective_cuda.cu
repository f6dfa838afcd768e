/* Noise, mixing it with data, what a prediction of either is off by, and means; products and sums in double, as
 * on the CPU. A sum over an image is that of one block. */
#include "train/nn/ops/op_cuda.h"
#include "train/nn/ops/random_cuda.h"

static __global__ void make_noise(float *out, const ek_net_key *keys, size_t image, size_t count)
{
	EK_CUDA_EACH(i, count)
	{
		const ek_net_key k = keys[i / image];

		out[i] = (float)ek_cuda_normal(k.seed, k.stream, k.position * image + i % image);
	}
}

static int forward_noise(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->outputs[0]);

	make_noise<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		(float *)ek_net_out(s, op, 0), (const ek_net_key *)ek_net_in(s, op, 0),
		ek_net_elements(s->net, op->outputs[0]), count);
	return ek_cuda_launched("noise");
}

const struct ek_net_code ek_net_cuda_noise = { NULL, NULL, forward_noise, NULL, 0, NULL };

/* Factors of images: those of image b begin at x + b · stride. */
struct factors {
	const float *x;
	size_t stride;
};

static factors factors_of(const ek_net_state *s, const ek_net_op *op, int input)
{
	return { (const float *)ek_net_in(s, op, input) + op->of.first, ek_net_elements(s->net, op->inputs[input]) };
}

static __global__ void mix(float *out, const float *x, const float *y, factors f, size_t image, size_t count)
{
	EK_CUDA_EACH(i, count)
	{
		const float *k = f.x + i / image * f.stride;

		out[i] = (float)((double)k[0] * (double)x[i] + (double)k[1] * (double)y[i]);
	}
}

/* One input's gradient: its factor times dy. */
static __global__ void mix_backward(ek_cuda_view dx, const float *dy, factors f, int which, size_t image, size_t count)
{
	EK_CUDA_EACH(i, count)
	ek_put(dx, i, f.x[i / image * f.stride + which] * dy[i]);
}

static int forward_mix(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->outputs[0]);

	mix<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		(float *)ek_net_out(s, op, 0), (const float *)ek_net_in(s, op, 0), (const float *)ek_net_in(s, op, 1),
		factors_of(s, op, 2), ek_net_elements(s->net, op->outputs[0]), count);
	return ek_cuda_launched("mix");
}

static int backward_mix(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->outputs[0]);

	for (int j = 0; j < 2; j++)
		if (op->wants[j])
			mix_backward<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
				ek_cuda_grad_input(s, op, j), (const float *)ek_net_grad_out(s, op, 0),
				factors_of(s, op, 2), j, ek_net_elements(s->net, op->outputs[0]), count);
	return ek_cuda_launched("mix's gradient");
}

const struct ek_net_code ek_net_cuda_mix = { NULL, NULL, forward_mix, backward_mix, 0, NULL };

/* A prediction and what it is compared with: number i of an image of a and b is at `at` of the prediction's. */
struct comparison {
	const float *prediction, *a, *b;
	factors f;
	size_t image, channels, width; /* numbers of an image, channels, of a and b; channels of the prediction */
};

static comparison comparison_of(const ek_net_state *s, const ek_net_op *op)
{
	return { (const float *)ek_net_in(s, op, 0),         (const float *)ek_net_in(s, op, 1),
		 (const float *)ek_net_in(s, op, 2),         factors_of(s, op, 3),
		 ek_net_elements(s->net, op->inputs[1]),     ek_net_channel_count(s->net, op->inputs[1]),
		 ek_net_channel_count(s->net, op->inputs[0]) };
}

/* i: over all images. */
static __device__ size_t at(const comparison &m, size_t i)
{
	return i / m.channels * m.width + i % m.channels;
}

static __device__ double mix_miss(const comparison &m, size_t i)
{
	const float *k = m.f.x + i / m.image * m.f.stride;

	return (double)k[0] * (double)m.prediction[at(m, i)] - (double)k[1] * (double)m.a[i] -
	       (double)k[2] * (double)m.b[i];
}

static __global__ void mix_error(float *out, comparison m)
{
	__shared__ double shared[32];
	double sum = 0;

	for (size_t i = threadIdx.x; i < m.image; i += blockDim.x) {
		const double miss = mix_miss(m, blockIdx.x * m.image + i);

		sum += miss * miss;
	}
	sum = ek_block_sum(sum, shared);
	if (threadIdx.x == 0)
		out[blockIdx.x] = (float)((double)m.f.x[blockIdx.x * m.f.stride + 3] * sum / (double)m.image);
}

/* The gradient of the prediction's channels that are compared with nothing, from `first` on, is 0. */
static __device__ void forget(const ek_cuda_view &dp, const comparison &m, size_t i, size_t first)
{
	if (dp.x != NULL && !dp.add && i % m.channels == 0)
		for (size_t c = first; c < m.width; c++)
			ek_put(dp, i / m.channels * m.width + c, 0);
}

static __global__ void mix_error_backward(ek_cuda_view dp, ek_cuda_view da, ek_cuda_view db, const float *dy,
                                          comparison m, size_t count)
{
	EK_CUDA_EACH(i, count)
	{
		const float *k = m.f.x + i / m.image * m.f.stride;
		const double d = 2 * (double)dy[i / m.image] * (double)k[3] / (double)m.image * mix_miss(m, i);

		forget(dp, m, i, m.channels);
		if (dp.x != NULL)
			ek_put(dp, at(m, i), (float)(d * (double)k[0]));
		if (da.x != NULL)
			ek_put(da, i, (float)(-d * (double)k[1]));
		if (db.x != NULL)
			ek_put(db, i, (float)(-d * (double)k[2]));
	}
}

static int forward_mix_error(ek_net_state *s, const ek_net_op *op)
{
	mix_error<<<(unsigned)s->net->batch, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>((float *)ek_net_out(s, op, 0),
	                                                                           comparison_of(s, op));
	return ek_cuda_launched("mix error");
}

static int backward_mix_error(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[1]);

	mix_error_backward<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		ek_cuda_grad_input(s, op, 0), ek_cuda_grad_input(s, op, 1), ek_cuda_grad_input(s, op, 2),
		(const float *)ek_net_grad_out(s, op, 0), comparison_of(s, op), count);
	return ek_cuda_launched("mix error's gradient");
}

const struct ek_net_code ek_net_cuda_mix_error = { NULL, NULL, forward_mix_error, backward_mix_error, 0, NULL };

/* guided-diffusion's approximation of the normal distribution function, and its derivative. */
static __device__ double normal(double z, double *slope)
{
	const double root = 0.79788456080286535588, t = tanh(root * (z + 0.044715 * z * z * z));

	*slope = 0.5 * (1 - t * t) * root * (1 + 3 * 0.044715 * z * z);
	return 0.5 * (1 + t);
}

/* Error of e; how far the log variance is above the posterior's; the bound in nats and its derivative by that. */
struct miss {
	double error, above, bound, slope;
};

static __device__ miss miss_of(const comparison &m, size_t i)
{
	const double bin = 1.0 / 255, edge = 0.999, least = 1e-12;
	const float *k = m.f.x + i / m.image * m.f.stride, *p = m.prediction + at(m, i);
	miss r;

	r.error = (double)p[0] - (double)m.b[i];
	r.above = (double)k[2] * (1 + (double)p[m.channels]);
	if (k[3] > 0.5F) { /* -log of the chance of the data's bin */
		const double scale = (double)k[1] * exp(-r.above / 2), x = (double)m.a[i];
		const double distance = (double)k[0] * r.error;
		const double high = scale * (distance + bin), low = scale * (distance - bin);
		double high_slope, low_slope, upper = normal(high, &high_slope), lower = normal(low, &low_slope), p_bin;

		if (x < -edge) {
			lower = low_slope = 0;
		} else if (x > edge) {
			upper = 1;
			high_slope = 0;
		}
		p_bin = upper - lower;
		r.slope = p_bin > least ? (high_slope * high - low_slope * low) / (2 * p_bin) : 0;
		r.bound = -log(p_bin > least ? p_bin : least);
	} else { /* divergence from the posterior */
		const double distance = (double)k[0] * (double)k[1] * r.error, ratio = exp(-r.above);
		const double square = distance * distance * ratio;

		r.slope = (1 - ratio - square) / 2;
		r.bound = (r.above - 1 + ratio + square) / 2;
	}
	return r;
}

static __global__ void diffusion(float *errors, float *bounds, comparison m)
{
	__shared__ double shared[32];
	double sum = 0, nats = 0;

	for (size_t i = threadIdx.x; i < m.image; i += blockDim.x) {
		const miss r = miss_of(m, blockIdx.x * m.image + i);

		sum += r.error * r.error;
		nats += r.bound;
	}
	sum = ek_block_sum(sum, shared);
	nats = ek_block_sum(nats, shared);
	if (threadIdx.x == 0) {
		errors[blockIdx.x] = (float)(sum / (double)m.image);
		bounds[blockIdx.x] = (float)(nats / (double)m.image / log(2.0));
	}
}

static __global__ void diffusion_backward(ek_cuda_view dp, const float *derror, const float *dbound, comparison m,
                                          size_t count)
{
	EK_CUDA_EACH(i, count)
	{
		const size_t b = i / m.image;
		const double to_error = derror != NULL ? 2 * (double)derror[b] / (double)m.image : 0;
		const double to_bound = dbound != NULL ? (double)dbound[b] / (double)m.image / log(2.0) : 0;
		const miss r = miss_of(m, i);

		forget(dp, m, i, 2 * m.channels);
		ek_put(dp, at(m, i), (float)(to_error * r.error));
		ek_put(dp, at(m, i) + m.channels, (float)(to_bound * r.slope * (double)m.f.x[b * m.f.stride + 2]));
	}
}

static int forward_diffusion(ek_net_state *s, const ek_net_op *op)
{
	diffusion<<<(unsigned)s->net->batch, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		(float *)ek_net_out(s, op, 0), (float *)ek_net_out(s, op, 1), comparison_of(s, op));
	return ek_cuda_launched("diffusion");
}

static int backward_diffusion(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[1]);

	diffusion_backward<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		ek_cuda_grad_input(s, op, 0), (const float *)ek_net_grad_out(s, op, 0),
		(const float *)ek_net_grad_out(s, op, 1), comparison_of(s, op), count);
	return ek_cuda_launched("diffusion's gradient");
}

const struct ek_net_code ek_net_cuda_diffusion = { NULL, NULL, forward_diffusion, backward_diffusion, 0, NULL };

/* Mean over an image, or of max(0, 1 - sign x). */
static __global__ void mean(float *out, ek_cuda_view x, int sign, size_t image)
{
	__shared__ double shared[32];
	double sum = 0;

	for (size_t j = threadIdx.x; j < image; j += blockDim.x) {
		const double a = (double)ek_get(x, blockIdx.x * image + j);

		sum += sign == 0 ? a : fmax(0.0, 1 - sign * a);
	}
	sum = ek_block_sum(sum, shared);
	if (threadIdx.x == 0)
		out[blockIdx.x] = (float)(sum / (double)image);
}

static __global__ void mean_backward(ek_cuda_view dx, const float *dy, ek_cuda_view x, int sign, size_t image,
                                     size_t count)
{
	EK_CUDA_EACH(i, count)
	{
		const float factor = dy[i / image] / (float)image;

		ek_put(dx, i, sign == 0 ? factor : 1 - sign * ek_get(x, i) > 0 ? -sign * factor : 0);
	}
}

static int forward_mean(ek_net_state *s, const ek_net_op *op)
{
	mean<<<(unsigned)s->net->batch, EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>((float *)ek_net_out(s, op, 0),
	                                                                      ek_cuda_input(s, op, 0), op->of.sign,
	                                                                      ek_net_elements(s->net, op->inputs[0]));
	return ek_cuda_launched("mean");
}

static int backward_mean(ek_net_state *s, const ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[0]);

	mean_backward<<<ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_stream()>>>(
		ek_cuda_grad_input(s, op, 0), (const float *)ek_net_grad_out(s, op, 0), ek_cuda_input(s, op, 0),
		op->of.sign, ek_net_elements(s->net, op->inputs[0]), count);
	return ek_cuda_launched("mean's gradient");
}

const struct ek_net_code ek_net_cuda_mean = { NULL, NULL, forward_mean, backward_mean, 0, NULL };
