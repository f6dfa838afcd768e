/* Noise, mixing it with data, and what a prediction of either is off by; products and sums in double. */
#include <math.h>

#include "rebalance/base/random.h"
#include "train/nn/net_internal.h"

static const double BIN = 1.0 / 255, EDGE = 0.999, LEAST = 1e-12;

static int forward_noise(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->outputs[0]);
	const struct ek_net_key *keys = ek_net_in(s, op, 0);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++)
		for (size_t i = 0; i < count; i++)
			out[b * count + i] =
				(float)ek_random_normal(keys[b].seed, keys[b].stream, keys[b].position * count + i);
	return 0;
}

const struct ek_net_code ek_net_cpu_noise = {
	.forward = forward_noise,
};

/* The factors of image b. */
static const float *factors_of(const struct ek_net_state *s, const struct ek_net_op *op, int input, size_t b)
{
	return (const float *)ek_net_in(s, op, input) + b * ek_net_elements(s->net, op->inputs[input]) + op->of.first;
}

static void put(float *out, double x, int add)
{
	*out = add ? *out + (float)x : (float)x;
}

static int forward_mix(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->outputs[0]);
	const float *x = ek_net_in(s, op, 0), *y = ek_net_in(s, op, 1);
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		const double f0 = (double)factors_of(s, op, 2, b)[0], f1 = (double)factors_of(s, op, 2, b)[1];

		for (size_t i = b * count; i < (b + 1) * count; i++)
			out[i] = (float)(f0 * (double)x[i] + f1 * (double)y[i]);
	}
	return 0;
}

static int backward_mix(struct ek_net_state *s, const struct ek_net_op *op)
{
	const size_t count = ek_net_elements(s->net, op->outputs[0]);
	const float *dy = ek_net_grad_out(s, op, 0);

	for (int j = 0; j < 2; j++) {
		float *dx = ek_net_grad_in(s, op, j);

		for (size_t i = 0; dx != NULL && i < (size_t)s->net->batch * count; i++)
			put(&dx[i], (double)(factors_of(s, op, 2, i / count)[j] * dy[i]), op->adds[j]);
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_mix = {
	.forward = forward_mix,
	.backward = backward_mix,
};

/* A prediction of one image and what it is compared with: number i of them is at `at` of the prediction. */
struct image {
	const float *prediction, *a, *b, *factors;
	size_t count, channels, width; /* numbers, and channels of a pixel, of a and b; channels of the prediction */
};

static struct image image_of(const struct ek_net_state *s, const struct ek_net_op *op, size_t b)
{
	struct image m = { .count = ek_net_elements(s->net, op->inputs[1]),
		           .channels = ek_net_channel_count(s->net, op->inputs[1]),
		           .width = ek_net_channel_count(s->net, op->inputs[0]),
		           .factors = factors_of(s, op, 3, b) };

	m.prediction = (const float *)ek_net_in(s, op, 0) + b * ek_net_elements(s->net, op->inputs[0]);
	m.a = (const float *)ek_net_in(s, op, 1) + b * m.count;
	m.b = (const float *)ek_net_in(s, op, 2) + b * m.count;
	return m;
}

static size_t at(const struct image *m, size_t i)
{
	return i / m->channels * m->width + i % m->channels;
}

/* Where the gradient of input j of an image goes; NULL if it is not wanted. */
static float *gradient_of(const struct ek_net_state *s, const struct ek_net_op *op, int j, size_t b)
{
	float *d = ek_net_grad_in(s, op, j);

	return d != NULL ? d + b * ek_net_elements(s->net, op->inputs[j]) : NULL;
}

static double mix_error(const struct image *m, size_t i)
{
	return (double)m->factors[0] * (double)m->prediction[at(m, i)] - (double)m->factors[1] * (double)m->a[i] -
	       (double)m->factors[2] * (double)m->b[i];
}

static int forward_mix_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	float *out = ek_net_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		const struct image m = image_of(s, op, b);
		double sum = 0;

		for (size_t i = 0; i < m.count; i++)
			sum += mix_error(&m, i) * mix_error(&m, i);
		out[b] = (float)((double)m.factors[3] * sum / (double)m.count);
	}
	return 0;
}

/* The channels of the prediction from `first` on learn nothing. */
static void forget(float *d, const struct image *m, size_t first)
{
	for (size_t i = 0; i < m->count / m->channels; i++)
		memset(d + i * m->width + first, 0, (m->width - first) * sizeof *d);
}

static int backward_mix_error(struct ek_net_state *s, const struct ek_net_op *op)
{
	const float *dy = ek_net_grad_out(s, op, 0);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		const struct image m = image_of(s, op, b);
		const double factor = 2 * (double)dy[b] * (double)m.factors[3] / (double)m.count;
		float *dp = gradient_of(s, op, 0, b), *da = gradient_of(s, op, 1, b), *db = gradient_of(s, op, 2, b);

		if (dp != NULL && !op->adds[0])
			forget(dp, &m, m.channels);
		for (size_t i = 0; i < m.count; i++) {
			const double d = factor * mix_error(&m, i);

			if (dp != NULL)
				put(&dp[at(&m, i)], d * (double)m.factors[0], op->adds[0]);
			if (da != NULL)
				put(&da[i], -d * (double)m.factors[1], op->adds[1]);
			if (db != NULL)
				put(&db[i], -d * (double)m.factors[2], op->adds[2]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_mix_error = {
	.forward = forward_mix_error,
	.backward = backward_mix_error,
};

/* guided-diffusion's approximation of the normal distribution function, and its derivative. */
static double normal(double z, double *slope)
{
	const double root = sqrt(2 / acos(-1.0)), t = tanh(root * (z + 0.044715 * z * z * z));

	*slope = 0.5 * (1 - t * t) * root * (1 + 3 * 0.044715 * z * z);
	return 0.5 * (1 + t);
}

/* What one number is off by: the error of e; how far the log variance is above that of the posterior. */
struct miss {
	double error, above;
};

static struct miss miss_of(const struct image *m, size_t i)
{
	const float *p = m->prediction + at(m, i);

	return (struct miss){ (double)p[0] - (double)m->b[i], (double)m->factors[2] * (1 + (double)p[m->channels]) };
}

/* -log of the chance of the data's bin, and its derivative by the log variance. */
static double likelihood(const struct image *m, size_t i, const struct miss *miss, double *slope)
{
	const double scale = (double)m->factors[1] * exp(-miss->above / 2), x = (double)m->a[i];
	const double distance = (double)m->factors[0] * miss->error;
	const double high = scale * (distance + BIN), low = scale * (distance - BIN);
	double high_slope, low_slope, upper = normal(high, &high_slope), lower = normal(low, &low_slope), p;

	if (x < -EDGE) {
		lower = low_slope = 0;
	} else if (x > EDGE) {
		upper = 1;
		high_slope = 0;
	}
	p = upper - lower;
	/* d z / d log variance = -z / 2; a chance cut off at the least has no slope. */
	*slope = p > LEAST ? (high_slope * high - low_slope * low) / (2 * p) : 0;
	return -log(p > LEAST ? p : LEAST);
}

/* Divergence of the network's normal distribution from the posterior, and its derivative likewise. */
static double divergence(const struct image *m, const struct miss *miss, double *slope)
{
	const double distance = (double)m->factors[0] * (double)m->factors[1] * miss->error;
	const double ratio = exp(-miss->above), square = distance * distance * ratio;

	*slope = (1 - ratio - square) / 2;
	return (miss->above - 1 + ratio + square) / 2;
}

static double bound_of(const struct image *m, size_t i, const struct miss *miss, double *slope)
{
	return m->factors[3] > 0.5F ? likelihood(m, i, miss, slope) : divergence(m, miss, slope);
}

static int forward_diffusion(struct ek_net_state *s, const struct ek_net_op *op)
{
	float *errors = ek_net_out(s, op, 0), *bounds = ek_net_out(s, op, 1);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		const struct image m = image_of(s, op, b);
		double sum = 0, nats = 0, slope;

		for (size_t i = 0; i < m.count; i++) {
			const struct miss miss = miss_of(&m, i);

			sum += miss.error * miss.error;
			nats += bound_of(&m, i, &miss, &slope);
		}
		errors[b] = (float)(sum / (double)m.count);
		bounds[b] = (float)(nats / (double)m.count / log(2));
	}
	return 0;
}

static int backward_diffusion(struct ek_net_state *s, const struct ek_net_op *op)
{
	const float *derror = ek_net_grad_out(s, op, 0), *dbound = ek_net_grad_out(s, op, 1);

	for (size_t b = 0; b < (size_t)s->net->batch; b++) {
		const struct image m = image_of(s, op, b);
		const double to_error = derror != NULL ? 2 * (double)derror[b] / (double)m.count : 0;
		const double to_bound = dbound != NULL ? (double)dbound[b] / (double)m.count / log(2) : 0;
		float *dp = gradient_of(s, op, 0, b);

		if (!op->adds[0])
			forget(dp, &m, 2 * m.channels);
		for (size_t i = 0; i < m.count; i++) {
			const struct miss miss = miss_of(&m, i);
			double slope;

			(void)bound_of(&m, i, &miss, &slope);
			put(&dp[at(&m, i)], to_error * miss.error, op->adds[0]);
			put(&dp[at(&m, i) + m.channels], to_bound * slope * (double)m.factors[2], op->adds[0]);
		}
	}
	return 0;
}

const struct ek_net_code ek_net_cpu_diffusion = {
	.forward = forward_diffusion,
	.backward = backward_diffusion,
};
