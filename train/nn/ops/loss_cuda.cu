/* Sampling, divergences and errors on the GPU; as loss_cpu.c: in float32, with sums in double. */
#include "train/nn/ops/wide_cuda.h"

enum { LOWEST = -30, HIGHEST = 20 }; /* of the log variance */
enum { WHOLE_BLOCK = 1024 };         /* threads that add up an image */

static __device__ inline float cut(float logvar)
{
	return logvar < LOWEST ? LOWEST : logvar > HIGHEST ? HIGHEST : logvar;
}

static __device__ inline int inside(float logvar)
{
	return logvar >= LOWEST && logvar <= HIGHEST;
}

static __device__ inline void put(float *out, float x, int add)
{
	*out = add ? *out + x : x;
}

/* Number i of [rows, n] in moments [rows, 2, n]: its mean; n further, its log variance. */
static __device__ inline size_t mean_at(size_t i, unsigned n)
{
	return i + i / n * n;
}

static __global__ void sample(float *out, const float *moments, const float *noise, size_t count, unsigned n)
{
	EK_CUDA_EACH(i, count)
	{
		const size_t at = mean_at(i, n);

		out[i] = moments[at] + expf(0.5F * cut(moments[at + n])) * noise[i];
	}
}

static int forward_sample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[1]);

	EK_LAUNCH(sample, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, (float *)ek_net_out(s, op, 0),
	          (const float *)ek_net_in(s, op, 0), (const float *)ek_net_in(s, op, 1), count,
	          (unsigned)ek_net_channel_count(s->net, op->inputs[1]));
	return ek_cuda_launched("sampling");
}

static __global__ void sample_gradient(float *dm, float *dn, const float *dy, const float *moments, const float *noise,
                                       size_t count, unsigned n, int add_m, int add_n)
{
	EK_CUDA_EACH(i, count)
	{
		const size_t at = mean_at(i, n);
		const float logvar = moments[at + n], deviation = expf(0.5F * cut(logvar));

		if (dm != NULL) {
			put(&dm[at], dy[i], add_m);
			put(&dm[at + n], inside(logvar) ? 0.5F * deviation * noise[i] * dy[i] : 0, add_m);
		}
		if (dn != NULL)
			put(&dn[i], deviation * dy[i], add_n);
	}
}

static int backward_sample(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[1]);

	EK_LAUNCH(sample_gradient, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, (float *)ek_net_grad_in(s, op, 0),
	          (float *)ek_net_grad_in(s, op, 1), (const float *)ek_net_grad_out(s, op, 0),
	          (const float *)ek_net_in(s, op, 0), (const float *)ek_net_in(s, op, 1), count,
	          (unsigned)ek_net_channel_count(s->net, op->inputs[1]), op->adds[0], op->adds[1]);
	return ek_cuda_launched("sampling's gradient");
}

const struct ek_net_code ek_net_cuda_sample = { NULL, NULL, forward_sample, backward_sample, 0, NULL };

/* A block for an image of `count` means. */
static __global__ void __launch_bounds__(WHOLE_BLOCK)
	divergence(float *out, const float *moments, size_t count, unsigned n)
{
	__shared__ double room[32];
	double sum = 0;

	moments += blockIdx.x * 2 * count;
	for (size_t i = threadIdx.x; i < count; i += WHOLE_BLOCK) {
		const size_t at = mean_at(i, n);
		const double mean = (double)moments[at], logvar = (double)cut(moments[at + n]);

		sum += mean * mean + exp(logvar) - 1 - logvar;
	}
	sum = ek_block_sum(sum, room);
	if (threadIdx.x == 0)
		out[blockIdx.x] = (float)(0.5 * sum);
}

static int forward_kl(struct ek_net_state *s, const struct ek_net_op *op)
{
	EK_LAUNCH(divergence, (unsigned)s->net->batch, WHOLE_BLOCK, 0, (float *)ek_net_out(s, op, 0),
	          (const float *)ek_net_in(s, op, 0), ek_net_elements(s->net, op->inputs[0]) / 2,
	          (unsigned)ek_net_channel_count(s->net, op->inputs[0]) / 2);
	return ek_cuda_launched("divergence");
}

/* image: means of one. */
static __global__ void divergence_gradient(float *dm, const float *dy, const float *moments, size_t count, size_t image,
                                           unsigned n, int add)
{
	EK_CUDA_EACH(i, count)
	{
		const size_t at = mean_at(i, n);
		const float d = dy[i / image], logvar = moments[at + n];

		put(&dm[at], moments[at] * d, add);
		put(&dm[at + n], inside(logvar) ? 0.5F * (expf(logvar) - 1) * d : 0, add);
	}
}

static int backward_kl(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t image = ek_net_elements(s->net, op->inputs[0]) / 2, count = (size_t)s->net->batch * image;

	EK_LAUNCH(divergence_gradient, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, (float *)ek_net_grad_in(s, op, 0),
	          (const float *)ek_net_grad_out(s, op, 0), (const float *)ek_net_in(s, op, 0), count, image,
	          (unsigned)ek_net_channel_count(s->net, op->inputs[0]) / 2, op->adds[0]);
	return ek_cuda_launched("divergence's gradient");
}

const struct ek_net_code ek_net_cuda_kl = { NULL, NULL, forward_kl, backward_kl, 0, NULL };

/* A block for each image: the mean of (a - b)^2, or of |a - b|. */
static __global__ void __launch_bounds__(WHOLE_BLOCK)
	difference(float *out, ek_cuda_view a, ek_cuda_view b, size_t count, int power)
{
	__shared__ double room[32];
	const size_t first = blockIdx.x * count;
	double sum = 0;

	for (size_t i = threadIdx.x; i < count; i += WHOLE_BLOCK) {
		const double d = (double)ek_get(a, first + i) - (double)ek_get(b, first + i);

		sum += power == 2 ? d * d : fabs(d);
	}
	sum = ek_block_sum(sum, room);
	if (threadIdx.x == 0)
		out[blockIdx.x] = (float)(sum / (double)count);
}

static int forward_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	EK_LAUNCH(difference, (unsigned)s->net->batch, WHOLE_BLOCK, 0, (float *)ek_net_out(s, op, 0),
	          ek_cuda_input(s, op, 0), ek_cuda_input(s, op, 1), ek_net_elements(s->net, op->inputs[0]),
	          op->of.power);
	return ek_cuda_launched("an error");
}

static __global__ void difference_gradient(ek_cuda_view da, ek_cuda_view db, const float *dy, ek_cuda_view a,
                                           ek_cuda_view b, size_t count, size_t image, int power)
{
	EK_CUDA_EACH(i, count)
	{
		const float factor = dy[i / image] / (float)image, e = ek_get(a, i) - ek_get(b, i);
		const float d = factor * (power == 2 ? 2 * e : e > 0 ? 1 : e < 0 ? -1 : 0);

		if (da.x != NULL)
			ek_put(da, i, d);
		if (db.x != NULL)
			ek_put(db, i, -d);
	}
}

static int backward_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_cuda_numbers(s->net, op->inputs[0]);

	EK_LAUNCH(difference_gradient, ek_cuda_blocks(count), EK_CUDA_BLOCK, 0, ek_cuda_grad_input(s, op, 0),
	          ek_cuda_grad_input(s, op, 1), (const float *)ek_net_grad_out(s, op, 0), ek_cuda_input(s, op, 0),
	          ek_cuda_input(s, op, 1), count, ek_net_elements(s->net, op->inputs[0]), op->of.power);
	return ek_cuda_launched("an error's gradient");
}

const struct ek_net_code ek_net_cuda_error = { NULL, NULL, forward_error, backward_error, 0, NULL };
