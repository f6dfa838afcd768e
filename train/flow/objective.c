#include "train/flow/objective.h"

#include <math.h>

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

int ek_objective_drops(double p, uint64_t seed, uint64_t position)
{
	return ek_random_double(seed, ek_random_stream("flow label drop"), position) < p;
}

struct ek_net_key ek_objective_key(uint64_t seed, uint64_t position)
{
	return (struct ek_net_key){ seed, ek_random_stream("flow noise"), position };
}

double ek_objective_grid_time(const struct ek_objective *o, const struct ek_grid *grid, int draw)
{
	const double in = ek_random_double(grid->seed, ek_random_stream("grid time"), (uint64_t)draw);
	const double t = ((double)draw + in) / (double)grid->draws;

	if (o->kind == EK_OBJECTIVE_DIFFUSION)
		return floor(t * EK_DIFFUSION_STEPS);
	return o->t0 + (o->t1 - o->t0) * t;
}

struct ek_net_key ek_objective_grid_key(const struct ek_grid *grid, int draw)
{
	return (struct ek_net_key){ grid->seed, ek_random_stream("grid noise"), (uint64_t)draw };
}

/* The error is scale · prediction - (a x1 + b x0), and its square counts `weight` times. */
struct target {
	double scale, a, b, weight;
};

static struct target target_at(const struct ek_objective *o, const struct ek_path_point *p)
{
	struct target target = { 1, 0, 1, 1 };

	if (o->prediction == EK_PREDICT_VELOCITY)
		return (struct target){ 1, p->d_alpha, p->d_sigma, 1 };
	if (o->prediction == EK_PREDICT_SCORE)
		target = (struct target){ p->sigma, 0, -1, 1 };
	if (o->prediction == EK_PREDICT_DATA) {
		/* An error of the data is -sigma / alpha errors of the noise. */
		const double noise = o->weighting == EK_WEIGHT_NONE ? 1 : p->alpha / p->sigma;

		target = (struct target){ 1, 1, 0, noise * noise };
	}
	if (o->weighting == EK_WEIGHT_VELOCITY)
		target.weight *= p->variance / p->sigma * (p->variance / p->sigma);
	else if (o->weighting == EK_WEIGHT_LIKELIHOOD)
		target.weight *= p->variance / (p->sigma * p->sigma);
	return target;
}

static void diffusion_factors(const struct ek_diffusion_step *s, float *factors)
{
	factors[0] = (float)sqrt(s->bar);
	factors[1] = (float)sqrt(1 - s->bar);
	/* From the mean of the network to that of the posterior, or to x1 at step 0, where they are the same. */
	factors[2] = (float)(s->from_x1 * sqrt(1 / s->bar - 1));
	factors[3] = (float)exp(-s->log_posterior / 2);
	factors[4] = (float)((s->log_beta - s->log_posterior) / 2);
	factors[5] = s->time == 0;
}

void ek_objective_factors(const struct ek_objective *o, double t, float *factors)
{
	struct ek_path_point p;
	struct target target;

	if (o->kind == EK_OBJECTIVE_DIFFUSION) {
		diffusion_factors(&o->steps[(int)t], factors);
		return;
	}
	p = ek_path_at(o->path, t);
	target = target_at(o, &p);
	factors[0] = (float)p.alpha;
	factors[1] = (float)p.sigma;
	factors[2] = (float)target.scale;
	factors[3] = (float)target.a;
	factors[4] = (float)target.b;
	factors[5] = (float)target.weight;
}

int ek_objective_mix(struct ek_net *net, int data, int noise, int factors)
{
	return ek_net_mix(net, data, noise, factors, 0);
}

int ek_objective_loss(struct ek_net *net, const struct ek_objective *o, int prediction, int data, int noise,
                      int factors, int parts[2])
{
	const int first = 2;

	parts[0] = parts[1] = 0;
	if (o->kind == EK_OBJECTIVE_FLOW)
		return ek_net_mix_error(net, &(struct ek_net_mix_error){ prediction, data, noise, factors, first });
	parts[0] =
		ek_net_diffusion(net, &(struct ek_net_diffusion){ prediction, data, noise, factors, first }, &parts[1]);
	return ek_net_add(net, parts[0], parts[1]);
}
