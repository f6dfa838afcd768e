/* Dormand and Prince's pair of orders 5 and 4; the first step and the control of steps as in Hairer, Nørsett and
 * Wanner, "Solving Ordinary Differential Equations I", II.4, with the factors of SciPy's RK45. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "train/flow/solver_internal.h"

enum { STAGES = 7, PLACE = 7, NEXT = 8 }; /* k[0 … 6]: slopes; where they are taken; where the step ends */

static const double NODES[STAGES] = { 0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1 };
static const double WEIGHTS[STAGES][STAGES - 1] = {
	{ 0 },
	{ 1.0 / 5 },
	{ 3.0 / 40, 9.0 / 40 },
	{ 44.0 / 45, -56.0 / 15, 32.0 / 9 },
	{ 19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729 },
	{ 9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656 },
	{ 35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84 },
};
/* Order 5 less order 4. */
static const double ERRORS[STAGES] = { 71.0 / 57600,      0,          -71.0 / 16695, 71.0 / 1920,
	                               -17253.0 / 339200, 22.0 / 525, -1.0 / 40 };
static const double SAFETY = 0.9, LEAST = 0.2, MOST = 10, ORDER = 5;

struct sample {
	double t, h;
	int rejected, last, done;
};

/* The velocity at x and the times t. out: [count, elements]. */
static int drift(struct ek_solver_run *r, const double *x, const double *t, double *out)
{
	const struct ek_solver_model *m = r->model;
	struct ek_samples *s = &r->samples;
	const size_t size = ek_samples_size(s);
	int rc, any = 0;

	for (size_t i = 0; i < size; i++)
		s->place[i] = (float)x[i];
	for (int i = 0; i < r->count; i++) {
		r->t32[i] = (float)t[i];
		any = any || ek_solver_guides(r, t[i]);
	}
	EK_TRY(m->predict(m->context, s->place, r->t32, r->labels, r->count, s->with));
	if (any)
		EK_TRY(m->predict(m->context, s->place, r->t32, r->no_labels, r->count, s->without));
	r->evaluations += any ? 2 : 1;
	for (int i = 0; i < r->count; i++) {
		struct ek_move move = { 0 };

		ek_solver_slope(r, t[i], 0, &move);
		if (ek_solver_guides(r, t[i]))
			ek_solver_guide(r, &move);
		for (size_t j = (size_t)i * r->elements; j < (size_t)(i + 1) * r->elements; j++) {
			const size_t c = j % m->channels, at = j / m->channels * m->outputs + c;

			out[j] = ek_move_slope(&move, ek_move_prediction(&move, s->with[at], s->without[at], c), x[j]);
		}
	}
out:
	return rc;
}

/* Root of the mean square of y over the tolerance at x. */
static double norm(const struct ek_solver_run *r, const double *y, const double *x, const double *other)
{
	double sum = 0;

	for (size_t j = 0; j < r->elements; j++) {
		const double size = fmax(fabs(x[j]), other != NULL ? fabs(other[j]) : 0);
		const double part = y[j] / (r->options->absolute + r->options->relative * size);

		sum += part * part;
	}
	return sqrt(sum / (double)r->elements);
}

/* The first step of each sample: h so that an Euler step's second derivative matters by 1 % of the tolerance. */
static int first_steps(struct ek_solver_run *r, struct sample *samples)
{
	const size_t n = r->elements;
	int rc;

	for (int i = 0; i < r->count; i++)
		r->t[i] = r->t0;
	EK_TRY(drift(r, r->samples.x, r->t, r->k[0]));
	for (int i = 0; i < r->count; i++) {
		const double *x = r->samples.x + (size_t)i * n, *f = r->k[0] + (size_t)i * n;
		const double size = norm(r, x, x, NULL), slope = norm(r, f, x, NULL);

		samples[i] =
			(struct sample){ .t = r->t0, .h = size < 1e-5 || slope < 1e-5 ? 1e-6 : 0.01 * size / slope };
		samples[i].h = fmin(samples[i].h, r->t1 - r->t0);
		r->t[i] = r->t0 + samples[i].h;
		for (size_t j = 0; j < n; j++)
			r->k[PLACE][(size_t)i * n + j] = x[j] + samples[i].h * f[j];
	}
	EK_TRY(drift(r, r->k[PLACE], r->t, r->k[1]));
	for (int i = 0; i < r->count; i++) {
		const double *x = r->samples.x + (size_t)i * n, *f = r->k[0] + (size_t)i * n;
		double *change = r->k[1] + (size_t)i * n, h = samples[i].h, bend, slope = norm(r, f, x, NULL);

		for (size_t j = 0; j < n; j++)
			change[j] -= f[j];
		bend = fmax(slope, norm(r, change, x, NULL) / h);
		samples[i].h = fmin(100 * h, bend <= 1e-15 ? fmax(1e-6, h * 1e-3) : pow(0.01 / bend, 1 / ORDER));
		samples[i].h = fmin(samples[i].h, r->t1 - r->t0);
	}
out:
	return rc;
}

/* x + h · (sum of weighted slopes) for every sample. */
static void combine(const struct ek_solver_run *r, const struct sample *samples, int stage, double *out)
{
	for (int i = 0; i < r->count; i++)
		for (size_t j = (size_t)i * r->elements; j < (size_t)(i + 1) * r->elements; j++) {
			double sum = 0;

			for (int k = 0; k < stage; k++)
				sum += WEIGHTS[stage][k] * r->k[k][j];
			out[j] = r->samples.x[j] + samples[i].h * sum;
		}
}

/* The estimated error of a step over the tolerance; the slopes' memory of stage 1, which has no weight, is used. */
static double error_of(const struct ek_solver_run *r, int i, double h)
{
	const size_t first = (size_t)i * r->elements;
	double *error = r->k[1] + first;

	for (size_t j = 0; j < r->elements; j++) {
		error[j] = 0;
		for (int k = 0; k < STAGES; k++)
			if (k != 1)
				error[j] += h * ERRORS[k] * r->k[k][first + j];
	}
	return norm(r, error, r->samples.x + first, r->k[NEXT] + first);
}

/* Take the step, or try a shorter one. */
static int judge(const struct ek_solver_run *r, int i, struct sample *s)
{
	const size_t first = (size_t)i * r->elements, bytes = r->elements * sizeof(double);
	const double error = error_of(r, i, s->h);
	double factor = error > 0 ? SAFETY * pow(error, -1 / ORDER) : MOST;

	if (!(error >= 0))
		return ek_fail(EK_EDATA, "the sample of seed %llu became infinite or not a number",
		               (unsigned long long)r->seeds[i]);
	if (error < 1) {
		factor = fmin(fmin(factor, MOST), s->rejected ? 1 : MOST);
		s->t += s->h;
		s->rejected = 0;
		memcpy(r->samples.x + first, r->k[NEXT] + first, bytes);
		memcpy(r->k[0] + first, r->k[STAGES - 1] + first, bytes);
	} else {
		factor = fmax(factor, LEAST);
		s->rejected = 1;
	}
	s->h *= factor;
	s->done = s->last && !s->rejected;
	if (!s->done && s->h < 1e-12)
		return ek_fail(EK_EDATA,
		               "adaptive solver: the steps of the sample of seed %llu became too small at t = %g",
		               (unsigned long long)r->seeds[i], s->t);
	return 0;
}

int ek_solver_dopri5(struct ek_solver_run *r)
{
	struct sample *samples = NULL;
	int rc, left = r->count;

	for (int i = 0; i < EK_SOLVER_ARRAYS; i++)
		EK_TRY(ek_alloc(&r->k[i], ek_samples_size(&r->samples), sizeof **r->k));
	EK_TRY(ek_alloc(&r->t, (size_t)r->count, sizeof *r->t));
	EK_TRY(ek_alloc(&samples, (size_t)r->count, sizeof *samples));
	EK_TRY(first_steps(r, samples));
	while (left > 0) {
		for (int i = 0; i < r->count; i++) {
			samples[i].last = samples[i].t + samples[i].h >= r->t1;
			if (samples[i].done)
				samples[i].h = 0; /* stays where it is, evaluated for nothing */
			else if (samples[i].last)
				samples[i].h = r->t1 - samples[i].t;
		}
		for (int stage = 1; stage < STAGES; stage++) {
			double *place = stage == STAGES - 1 ? r->k[NEXT] : r->k[PLACE];

			combine(r, samples, stage, place);
			for (int i = 0; i < r->count; i++)
				r->t[i] = samples[i].t + NODES[stage] * samples[i].h;
			EK_TRY(drift(r, place, r->t, r->k[stage]));
		}
		left = 0;
		for (int i = 0; i < r->count; i++) {
			if (!samples[i].done)
				EK_TRY(judge(r, i, &samples[i]));
			left += !samples[i].done;
		}
	}
out:
	for (int i = 0; i < EK_SOLVER_ARRAYS; i++)
		free(r->k[i]);
	free(r->t);
	free(samples);
	return rc;
}
