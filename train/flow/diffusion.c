#include "train/flow/diffusion.h"

#include <math.h>

static const double BETA_FIRST = 1e-4, BETA_LAST = 0.02;

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

void ek_diffusion_back(const struct ek_diffusion_step *s, int noisy, struct ek_move *move)
{
	move->root = sqrt(s->bar);
	move->noise = sqrt(1 / s->bar - 1);
	move->from_x1 = s->from_x1;
	move->from_x = s->from_x;
	move->log_beta = s->log_beta;
	move->log_posterior = s->log_posterior;
	move->spread = noisy;
}
