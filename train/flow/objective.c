#include "train/flow/objective.h"

#include <math.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/random.h"

int ek_objective_init(struct ek_objective *o)
{
	if (o->times == EK_TIMES_LOGIT_NORMAL && !(o->times_deviation > 0 && isfinite(o->times_mean)))
		return ek_fail(EK_EUSAGE, "logit-normal times: the deviation must be above 0");
	ek_path_interval(&o->t0, &o->t1, o->path, o->prediction, 0);
	ek_diffusion_schedule(o->steps, EK_DIFFUSION_STEPS);
	return 0;
}

double ek_objective_time(const struct ek_objective *o, uint64_t seed, uint64_t position)
{
	const uint64_t stream = ek_random_stream("flow time");
	double t;

	if (o->kind == EK_OBJECTIVE_DIFFUSION)
		return (double)ek_random_below(seed, stream, position, EK_DIFFUSION_STEPS);
	if (o->times == EK_TIMES_LOGIT_NORMAL)
		t = 1 / (1 + exp(-(o->times_mean + o->times_deviation * ek_random_normal(seed, stream, position))));
	else
		t = ek_random_double(seed, stream, position);
	return o->t0 + (o->t1 - o->t0) * t;
}

void ek_objective_noise(float *noise, size_t count, uint64_t seed, uint64_t position)
{
	const uint64_t stream = ek_random_stream("flow noise");

	for (size_t i = 0; i < count; i++)
		noise[i] = (float)ek_random_normal(seed, stream, position * count + i);
}

int ek_objective_drops(double p, uint64_t seed, uint64_t position)
{
	return ek_random_double(seed, ek_random_stream("flow label drop"), position) < p;
}

void ek_objective_mix(const struct ek_objective *o, double t, float *x, const float *x1, const float *noise,
                      size_t count)
{
	double alpha, sigma;

	if (o->kind == EK_OBJECTIVE_DIFFUSION) {
		alpha = sqrt(o->steps[(int)t].bar);
		sigma = sqrt(1 - o->steps[(int)t].bar);
	} else {
		const struct ek_path_point p = ek_path_at(o->path, t);

		alpha = p.alpha;
		sigma = p.sigma;
	}
	for (size_t i = 0; i < count; i++)
		x[i] = (float)(alpha * (double)x1[i] + sigma * (double)noise[i]);
}

/* The error is scale · prediction - (a x1 + b x0), and its square counts `weight` times. */
struct target {
	double scale, a, b, weight;
};

static struct target target_at(const struct ek_objective *o, double t)
{
	const struct ek_path_point p = ek_path_at(o->path, t);
	struct target target = { 1, 0, 1, 1 };

	if (o->prediction == EK_PREDICT_VELOCITY)
		return (struct target){ 1, p.d_alpha, p.d_sigma, 1 };
	if (o->prediction == EK_PREDICT_SCORE)
		target = (struct target){ p.sigma, 0, -1, 1 };
	if (o->prediction == EK_PREDICT_DATA) {
		/* An error of the data is -sigma / alpha errors of the noise. */
		const double noise = o->weighting == EK_WEIGHT_NONE ? 1 : p.alpha / p.sigma;

		target = (struct target){ 1, 1, 0, noise * noise };
	}
	if (o->weighting == EK_WEIGHT_VELOCITY)
		target.weight *= p.variance / p.sigma * (p.variance / p.sigma);
	else if (o->weighting == EK_WEIGHT_LIKELIHOOD)
		target.weight *= p.variance / (p.sigma * p.sigma);
	return target;
}

double ek_objective_loss(const struct ek_objective *o, double t, const struct ek_objective_image *image, size_t outputs,
                         double *parts)
{
	const size_t channels = image->channels;
	const double count = (double)(image->pixels * channels);
	struct target target;
	double sum = 0;

	if (o->kind == EK_OBJECTIVE_DIFFUSION) {
		double bound, error = ek_diffusion_loss(&o->steps[(int)t], image, &bound);

		if (parts != NULL) {
			parts[0] = error;
			parts[1] = bound;
		}
		return error + bound;
	}
	target = target_at(o, t);
	if (image->gradient != NULL && outputs > channels)
		memset(image->gradient, 0, image->pixels * outputs * sizeof *image->gradient);
	for (size_t pixel = 0; pixel < image->pixels; pixel++)
		for (size_t c = 0; c < channels; c++) {
			const size_t i = pixel * channels + c, at = pixel * outputs + c;
			const double error = target.scale * (double)image->out[at] - target.a * (double)image->x1[i] -
			                     target.b * (double)image->noise[i];

			sum += error * error;
			if (image->gradient != NULL)
				image->gradient[at] =
					(float)(image->weight * target.weight * 2 * target.scale * error / count);
		}
	return target.weight * sum / count;
}
