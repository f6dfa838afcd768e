#include "train/flow/diffusion.h"

#include <math.h>

static const double BETA_FIRST = 1e-4, BETA_LAST = 0.02, BIN = 1.0 / 255, EDGE = 0.999, LEAST = 1e-12;

static double bar_at(int time)
{
	double bar = 1;

	for (int i = 0; i <= time; i++)
		bar *= 1 - (BETA_FIRST + (BETA_LAST - BETA_FIRST) * i / (EK_DIFFUSION_STEPS - 1));
	return bar;
}

void ek_diffusion_schedule(struct ek_diffusion_step *steps, int count)
{
	const double stride = (double)(EK_DIFFUSION_STEPS - 1) / (double)(count - 1);
	double before = 1, place = 0;

	for (int i = 0; i < count; i++, place += stride) { /* added up, as the reference does: ties round as there */
		struct ek_diffusion_step *s = &steps[i];
		double beta;

		s->time = (int)nearbyint(place);
		s->bar = bar_at(s->time);
		beta = 1 - s->bar / before;
		s->log_beta = log(beta);
		s->log_posterior = log(beta * (1 - before) / (1 - s->bar));
		s->from_x1 = beta * sqrt(before) / (1 - s->bar);
		s->from_x = (1 - before) * sqrt(1 - beta) / (1 - s->bar);
		before = s->bar;
	}
	steps[0].log_posterior = steps[1].log_posterior; /* that of step 0 is the logarithm of 0 */
}

/* The mean of the step before, as the network sees it. */
static double mean_of(const struct ek_diffusion_step *s, double x, double e)
{
	const double x1 = x / sqrt(s->bar) - sqrt(1 / s->bar - 1) * e;

	return s->from_x1 * x1 + s->from_x * x;
}

/* guided-diffusion's approximation of the normal distribution function, and its derivative. */
static double normal(double z, double *slope)
{
	const double root = sqrt(2 / acos(-1.0)), t = tanh(root * (z + 0.044715 * z * z * z));

	*slope = 0.5 * (1 - t * t) * root * (1 + 3 * 0.044715 * z * z);
	return 0.5 * (1 + t);
}

/* -log of the chance of x1's bin, and its derivative by the logarithm of the variance. distance: from the mean to x1.
 */
static double likelihood(double x1, double distance, double log_variance, double *slope)
{
	const double scale = exp(-log_variance / 2), high = scale * (distance + BIN), low = scale * (distance - BIN);
	double high_slope, low_slope, upper = normal(high, &high_slope), lower = normal(low, &low_slope), p;

	if (x1 < -EDGE) {
		lower = low_slope = 0;
	} else if (x1 > EDGE) {
		upper = 1;
		high_slope = 0;
	}
	p = upper - lower;
	/* d z / d log_variance = -z / 2; a chance cut off at the least has no slope. */
	*slope = p > LEAST ? (high_slope * high - low_slope * low) / (2 * p) : 0;
	return -log(p > LEAST ? p : LEAST);
}

/* Divergence of the network's normal distribution from the posterior, and its derivative likewise. */
static double divergence(const struct ek_diffusion_step *s, double distance, double log_variance, double *slope)
{
	const double ratio = exp(s->log_posterior - log_variance), square = distance * distance * exp(-log_variance);

	*slope = (1 - ratio - square) / 2;
	return (log_variance - s->log_posterior - 1 + ratio + square) / 2;
}

double ek_diffusion_loss(const struct ek_diffusion_step *s, const struct ek_objective_image *image, double *bound)
{
	const size_t channels = image->channels, count = image->pixels * channels;
	const double spread = (s->log_beta - s->log_posterior) / 2, middle = (s->log_beta + s->log_posterior) / 2;
	/* From the mean of the network to that of the posterior, or to x1 at step 0, where they are the same. */
	const double reach = s->from_x1 * sqrt(1 / s->bar - 1), mean_weight = image->weight / (double)count;
	double sum = 0, bits = 0;

	for (size_t i = 0; i < count; i++) {
		const size_t at = i / channels * 2 * channels + i % channels;
		const double error = (double)image->out[at] - (double)image->noise[i];
		const double log_variance = middle + spread * (double)image->out[at + channels];
		double slope;

		sum += error * error;
		bits += s->time == 0 ? likelihood((double)image->x1[i], reach * error, log_variance, &slope)
		                     : divergence(s, reach * error, log_variance, &slope);
		if (image->gradient != NULL) {
			image->gradient[at] = (float)(mean_weight * 2 * error);
			image->gradient[at + channels] = (float)(mean_weight * slope * spread / log(2));
		}
	}
	*bound = bits / (double)count / log(2);
	return sum / (double)count;
}

void ek_diffusion_back(const struct ek_diffusion_step *s, double *x, const float *out, const double *noise,
                       size_t pixels, size_t channels, int learned)
{
	const size_t width = learned ? 2 * channels : channels;

	for (size_t i = 0; i < pixels * channels; i++) {
		const size_t at = i / channels * width + i % channels;
		const double v = learned ? (double)out[at + channels] : 1;
		const double log_variance = (v + 1) / 2 * s->log_beta + (1 - v) / 2 * s->log_posterior;

		x[i] = mean_of(s, x[i], (double)out[at]);
		if (noise != NULL)
			x[i] += exp(log_variance / 2) * noise[i];
	}
}
