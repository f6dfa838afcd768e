#include "train/flow/path.h"

#include <math.h>

#define HALF_PI 1.57079632679489661923

static const double VP_LOW = 0.1, VP_HIGH = 20;

static struct ek_path_point vp(double t)
{
	const double left = 1 - t;
	const double log_alpha = -left * left * (VP_HIGH - VP_LOW) / 4 - left * VP_LOW / 2;
	struct ek_path_point p = { .alpha = exp(log_alpha), .sigma = sqrt(-expm1(2 * log_alpha)) };

	p.ratio = (left * (VP_HIGH - VP_LOW) + VP_LOW) / 2;
	p.d_alpha = p.alpha * p.ratio;
	p.d_sigma = -p.alpha * p.alpha * p.ratio / p.sigma;
	p.variance = p.ratio; /* as alpha^2 + sigma^2 = 1 */
	return p;
}

struct ek_path_point ek_path_at(enum ek_path path, double t)
{
	struct ek_path_point p;

	switch (path) {
	case EK_PATH_VP:
		return vp(t);
	case EK_PATH_GVP:
		p = (struct ek_path_point){ .alpha = sin(HALF_PI * t),
			                    .d_alpha = HALF_PI * cos(HALF_PI * t),
			                    .sigma = cos(HALF_PI * t),
			                    .d_sigma = -HALF_PI * sin(HALF_PI * t),
			                    .ratio = HALF_PI / tan(HALF_PI * t) };
		break;
	case EK_PATH_LINEAR:
	default:
		p = (struct ek_path_point){ .alpha = t, .d_alpha = 1, .sigma = 1 - t, .d_sigma = -1, .ratio = 1 / t };
		break;
	}
	p.variance = p.ratio * p.sigma * p.sigma - p.sigma * p.d_sigma;
	return p;
}

struct ek_path_linear ek_path_velocity(const struct ek_path_point *p, enum ek_prediction prediction)
{
	switch (prediction) {
	case EK_PREDICT_NOISE:
		return (struct ek_path_linear){ -p->variance / p->sigma, p->ratio };
	case EK_PREDICT_SCORE:
		return (struct ek_path_linear){ p->variance, p->ratio };
	case EK_PREDICT_DATA:
		return (struct ek_path_linear){ p->d_alpha - p->d_sigma * p->alpha / p->sigma, p->d_sigma / p->sigma };
	case EK_PREDICT_VELOCITY:
	default:
		return (struct ek_path_linear){ 1, 0 };
	}
}

struct ek_path_linear ek_path_score(const struct ek_path_point *p, enum ek_prediction prediction)
{
	const double back = p->alpha / p->d_alpha;
	const double under = p->sigma * p->sigma - back * p->d_sigma * p->sigma;

	switch (prediction) {
	case EK_PREDICT_NOISE:
		return (struct ek_path_linear){ -1 / p->sigma, 0 };
	case EK_PREDICT_SCORE:
		return (struct ek_path_linear){ 1, 0 };
	case EK_PREDICT_DATA:
		return (struct ek_path_linear){ p->alpha / (p->sigma * p->sigma), -1 / (p->sigma * p->sigma) };
	case EK_PREDICT_VELOCITY:
	default:
		return (struct ek_path_linear){ back / under, -1 / under };
	}
}

void ek_path_interval(double *t0, double *t1, enum ek_path path, enum ek_prediction prediction, int sampling)
{
	*t0 = 0;
	*t1 = 1;
	if (path == EK_PATH_VP) {
		*t1 = 1 - (sampling ? 1e-3 : 1e-5);
	} else if (prediction != EK_PREDICT_VELOCITY) {
		*t0 = 1e-3;
		*t1 = 1 - 1e-3;
	}
}
