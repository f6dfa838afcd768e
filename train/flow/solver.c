#include "train/flow/solver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/flow/solver_internal.h"
#include "train/nn/device.h"

enum { STEPS_MAX = 1000000 };
static const double SAFE_START = 1e-3;

int ek_solver_check(const struct ek_solver_options *o)
{
	const int least = o->solver == EK_SOLVER_ANCESTRAL || o->solver == EK_SOLVER_SDE ? 2 : 1;
	const int most = o->solver == EK_SOLVER_ANCESTRAL ? EK_DIFFUSION_STEPS : STEPS_MAX;

	if (o->solver == EK_SOLVER_DOPRI5 && !(o->relative > 0 && o->absolute > 0))
		return ek_fail(EK_EUSAGE, "adaptive solver: both tolerances must be above 0");
	if (o->solver != EK_SOLVER_DOPRI5 && (o->steps < least || o->steps > most))
		return ek_fail(EK_EUSAGE, "%d sampling steps: must be %d to %d", o->steps, least, most);
	if (o->solver == EK_SOLVER_SDE && !(o->norm >= 0 && o->last_step >= 0 && o->last_step < 1))
		return ek_fail(EK_EUSAGE, "stochastic solver: the norm must be at least 0, the last step 0 to 1");
	if (!(o->t0 >= 0 && o->t1 <= 1) || (o->t0 >= o->t1 && (o->t0 > 0 || o->t1 > 0)))
		return ek_fail(EK_EUSAGE, "sampling from t %g to %g: must be from 0 to 1, in this order", o->t0, o->t1);
	if (o->guidance.channels < 0 || !isfinite(o->guidance.scale))
		return ek_fail(EK_EUSAGE, "guidance: the scale must be a number, the channels 0 or more");
	return 0;
}

void ek_solver_interval(double *t0, double *t1, const struct ek_solver_options *o)
{
	*t0 = o->t0;
	*t1 = o->t1;
	if (o->t0 != 0 || o->t1 != 0)
		return;
	ek_path_interval(t0, t1, o->path, o->prediction, 1);
	if (o->solver != EK_SOLVER_SDE)
		return;
	if (o->form == EK_SDE_SBDM && o->path != EK_PATH_VP)
		*t0 = SAFE_START;
	*t1 = 1 - (o->last_step > 0 ? o->last_step : SAFE_START);
}

int ek_solver_each(const struct ek_solver_run *r, int (*sample)(void *context, uint64_t i, int worker), void *context)
{
	int rc = 0;

	if (ek_device_takes_batches())
		return ek_parallel((uint64_t)r->count, sample, context);
	for (int i = 0; i < r->count && rc == 0; i++)
		rc = sample(context, (uint64_t)i, 0);
	return rc;
}

static int is_guided(const struct ek_solver_run *r, int i, double t)
{
	const struct ek_guidance *g = &r->options->guidance;

	return g->scale != 1 && r->labels[i] != r->model->no_label && t >= g->low && t <= g->high;
}

static void guide(const struct ek_solver_run *r, int i)
{
	const struct ek_solver_model *m = r->model;
	const struct ek_guidance *g = &r->options->guidance;
	const size_t guided = g->channels > 0 && (size_t)g->channels < m->channels ? (size_t)g->channels : m->channels;
	const size_t first = (size_t)i * m->pixels * m->outputs;

	for (size_t pixel = 0; pixel < m->pixels; pixel++)
		for (size_t c = 0; c < guided; c++) {
			float *with = &r->prediction[first + pixel * m->outputs + c];
			const double without = (double)r->unguided[first + pixel * m->outputs + c];

			*with = (float)(without + g->scale * ((double)*with - without));
		}
}

/* Where samples are and go, each by itself. */
struct place {
	struct ek_solver_run *r;
	const double *x, *t;
	double *out, from, factor, dt;
};

static int narrow(void *context, uint64_t i, int worker)
{
	const struct place *p = context;
	const size_t n = p->r->elements;

	(void)worker;
	for (size_t j = i * n; j < (i + 1) * n; j++)
		p->r->x32[j] = (float)p->x[j];
	p->r->t32[i] = (float)p->t[i];
	return 0;
}

static int guide_one(void *context, uint64_t i, int worker)
{
	const struct place *p = context;

	(void)worker;
	if (is_guided(p->r, (int)i, p->from + p->factor * p->t[i]))
		guide(p->r, (int)i);
	return 0;
}

int ek_solver_predict(struct ek_solver_run *r, const double *x, const double *t, double from, double factor)
{
	const struct ek_solver_model *m = r->model;
	struct place place = { .r = r, .x = x, .t = t, .from = from, .factor = factor };
	int rc, any = 0;

	EK_TRY(ek_solver_each(r, narrow, &place));
	EK_TRY(m->predict(m->context, r->x32, r->t32, r->labels, r->count, r->prediction));
	r->evaluations++;
	for (int i = 0; i < r->count; i++)
		any = any || is_guided(r, i, from + factor * t[i]);
	if (!any)
		goto out;
	EK_TRY(m->predict(m->context, r->x32, r->t32, r->no_labels, r->count, r->unguided));
	r->evaluations++;
	EK_TRY(ek_solver_each(r, guide_one, &place));
out:
	return rc;
}

/* out = (velocity + extra score) of sample i, from the prediction there. */
static void to_drift(const struct ek_solver_run *r, int i, double t, double extra, const double *x, double *out)
{
	const struct ek_solver_model *m = r->model;
	const struct ek_path_point p = ek_path_at(r->options->path, t);
	struct ek_path_linear f = ek_path_velocity(&p, r->options->prediction);
	const float *prediction = r->prediction + (size_t)i * m->pixels * m->outputs;

	if (extra > 0) {
		const struct ek_path_linear s = ek_path_score(&p, r->options->prediction);

		f.m += extra * s.m;
		f.x += extra * s.x;
	}
	for (size_t pixel = 0; pixel < m->pixels; pixel++)
		for (size_t c = 0; c < m->channels; c++) {
			const size_t at = pixel * m->channels + c;

			out[at] = f.m * (double)prediction[pixel * m->outputs + c] + (f.x != 0 ? f.x * x[at] : 0);
		}
}

static int drift_one(void *context, uint64_t i, int worker)
{
	const struct place *p = context;
	const size_t first = i * p->r->elements;

	(void)worker;
	to_drift(p->r, (int)i, p->t[i], 0, p->x + first, p->out + first);
	return 0;
}

int ek_solver_drift(struct ek_solver_run *r, const double *x, const double *t, double *out)
{
	struct place place = { .r = r, .x = x, .t = t, .out = out };
	int rc;

	EK_TRY(ek_solver_predict(r, x, t, 0, 1));
	EK_TRY(ek_solver_each(r, drift_one, &place));
out:
	return rc;
}

static void set_times(const struct ek_solver_run *r, double t)
{
	for (int i = 0; i < r->count; i++)
		r->t[i] = t;
}

/* x += dt k0 */
static int advance(void *context, uint64_t i, int worker)
{
	const struct place *p = context;
	const size_t n = p->r->elements;

	(void)worker;
	for (size_t j = i * n; j < (i + 1) * n; j++)
		p->r->x[j] += p->dt * p->r->k[0][j];
	return 0;
}

static int euler(struct ek_solver_run *r)
{
	const double dt = (r->t1 - r->t0) / r->options->steps;
	struct place place = { .r = r, .dt = dt };
	int rc = 0;

	for (int step = 0; step < r->options->steps; step++) {
		set_times(r, r->t0 + step * dt);
		EK_TRY(ek_solver_drift(r, r->x, r->t, r->k[0]));
		EK_TRY(ek_solver_each(r, advance, &place));
	}
out:
	return rc;
}

/* k2 = x + dt k0 */
static int try_step(void *context, uint64_t i, int worker)
{
	const struct place *p = context;
	const size_t n = p->r->elements;

	(void)worker;
	for (size_t j = i * n; j < (i + 1) * n; j++)
		p->r->k[2][j] = p->r->x[j] + p->dt * p->r->k[0][j];
	return 0;
}

/* x += dt (k0 + k1) / 2 */
static int advance_by_both(void *context, uint64_t i, int worker)
{
	const struct place *p = context;
	const size_t n = p->r->elements;

	(void)worker;
	for (size_t j = i * n; j < (i + 1) * n; j++)
		p->r->x[j] += p->dt * (p->r->k[0][j] + p->r->k[1][j]) / 2;
	return 0;
}

static int heun(struct ek_solver_run *r)
{
	const double dt = (r->t1 - r->t0) / r->options->steps;
	struct place place = { .r = r, .dt = dt };
	int rc = 0;

	for (int step = 0; step < r->options->steps; step++) {
		set_times(r, r->t0 + step * dt);
		EK_TRY(ek_solver_drift(r, r->x, r->t, r->k[0]));
		EK_TRY(ek_solver_each(r, try_step, &place));
		set_times(r, r->t0 + (step + 1) * dt);
		EK_TRY(ek_solver_drift(r, r->k[2], r->t, r->k[1]));
		EK_TRY(ek_solver_each(r, advance_by_both, &place));
	}
out:
	return rc;
}

static double diffusion_at(const struct ek_solver_options *o, double t)
{
	const double pi = acos(-1.0), norm = o->norm;
	const struct ek_path_point p = ek_path_at(o->path, t);

	switch (o->form) {
	case EK_SDE_SBDM:
		return norm * p.variance;
	case EK_SDE_CONSTANT:
		return norm;
	case EK_SDE_LINEAR:
		return norm * (1 - t);
	case EK_SDE_DECREASING:
		return (norm * cos(pi * t) + 1) * (norm * cos(pi * t) + 1) / 4;
	case EK_SDE_HUMP:
		return norm * sin(pi * t) * sin(pi * t);
	case EK_SDE_SIGMA:
	default:
		return norm * p.sigma;
	}
}

void ek_solver_noise(const struct ek_solver_run *r, int i, int step, double *out)
{
	const uint64_t stream = ek_random_stream("flow sample");

	if (r->model->noise != NULL) {
		r->model->noise(r->model->context, i, step, out);
		return;
	}
	for (size_t j = 0; j < r->elements; j++)
		out[j] = ek_random_normal(r->seeds[i], stream, (uint64_t)step * r->elements + j);
}

static int stochastic(struct ek_solver_run *r)
{
	const struct ek_solver_options *o = r->options;
	const int last = o->steps - 1;
	const double dt = (r->t1 - r->t0) / last;
	int rc = 0;

	for (int step = 0; step < (o->last_step > 0 ? o->steps : last); step++) {
		const double t = step < last ? r->t0 + step * dt : r->t1, d = diffusion_at(o, t);
		const double length = step < last ? dt : o->last_step, spread = sqrt(2 * d * dt);

		set_times(r, t);
		EK_TRY(ek_solver_predict(r, r->x, r->t, 0, 1));
		for (int i = 0; i < r->count; i++) {
			double *x = r->x + (size_t)i * r->elements, *drift = r->k[0], *noise = r->k[1];

			to_drift(r, i, t, d, x, drift);
			if (step < last)
				ek_solver_noise(r, i, step + 1, noise);
			for (size_t j = 0; j < r->elements; j++)
				x[j] += drift[j] * length + (step < last ? spread * noise[j] : 0);
		}
	}
out:
	return rc;
}

static int ancestral(struct ek_solver_run *r)
{
	const struct ek_solver_model *m = r->model;
	struct ek_diffusion_step *steps = NULL;
	const int count = r->options->steps;
	int rc;

	EK_TRY(ek_alloc(&steps, (size_t)count, sizeof *steps));
	ek_diffusion_schedule(steps, count);
	for (int step = count - 1; step >= 0; step--) {
		set_times(r, steps[step].time);
		EK_TRY(ek_solver_predict(r, r->x, r->t, 1, -1.0 / EK_DIFFUSION_STEPS));
		for (int i = 0; i < r->count; i++) {
			const size_t first = (size_t)i * r->elements;

			if (step > 0)
				ek_solver_noise(r, i, count - step, r->k[1]);
			ek_diffusion_back(&steps[step], r->x + first,
			                  r->prediction + (size_t)i * m->pixels * m->outputs, step > 0 ? r->k[1] : NULL,
			                  m->pixels, m->channels, m->outputs > m->channels);
		}
	}
out:
	free(steps);
	return rc;
}

static int check_numbers(const struct ek_solver_run *r, float *out)
{
	for (int i = 0; i < r->count; i++)
		for (size_t j = 0; j < r->elements; j++) {
			const size_t at = (size_t)i * r->elements + j;

			out[at] = (float)r->x[at];
			if (!isfinite(out[at]))
				return ek_fail(EK_EDATA, "the sample of seed %llu became infinite or not a number",
				               (unsigned long long)r->seeds[i]);
		}
	return 0;
}

static int first_noise(void *context, uint64_t i, int worker)
{
	struct ek_solver_run *r = context;

	(void)worker;
	r->no_labels[i] = r->model->no_label;
	ek_solver_noise(r, (int)i, 0, r->x + i * r->elements);
	return 0;
}

static int prepare(struct ek_solver_run *r)
{
	const size_t count = (size_t)r->count, all = count * r->elements,
		     outputs = count * r->model->pixels * r->model->outputs;
	const int stages = r->options->solver == EK_SOLVER_DOPRI5 ? EK_SOLVER_STAGES : 3;
	int rc;

	EK_TRY(ek_alloc(&r->x, all, sizeof *r->x));
	for (int i = 0; i < stages; i++)
		EK_TRY(ek_alloc(&r->k[i], all, sizeof **r->k));
	EK_TRY(ek_alloc(&r->t, count, sizeof *r->t));
	EK_TRY(ek_alloc(&r->x32, all, sizeof *r->x32));
	EK_TRY(ek_alloc(&r->t32, count, sizeof *r->t32));
	EK_TRY(ek_alloc(&r->prediction, outputs, sizeof *r->prediction));
	EK_TRY(ek_alloc(&r->unguided, outputs, sizeof *r->unguided));
	EK_TRY(ek_alloc(&r->no_labels, count, sizeof *r->no_labels));
	EK_TRY(ek_solver_each(r, first_noise, r));
out:
	return rc;
}

int ek_solve(const struct ek_solver_options *options, const struct ek_solver_model *model, int count,
             const uint64_t *seeds, const int32_t *labels, float *out, uint64_t *evaluations)
{
	static int (*const solvers[])(struct ek_solver_run *) = { euler, heun, ek_solver_dopri5, stochastic,
		                                                  ancestral };
	struct ek_solver_run r = { .options = options,
		                   .model = model,
		                   .count = count,
		                   .elements = model->pixels * model->channels,
		                   .seeds = seeds,
		                   .labels = labels };
	int rc;

	EK_TRY(ek_solver_check(options));
	ek_solver_interval(&r.t0, &r.t1, options);
	EK_TRY(prepare(&r));
	EK_TRY(solvers[options->solver](&r));
	EK_TRY(check_numbers(&r, out));
	if (evaluations != NULL)
		*evaluations = r.evaluations;
out:
	free(r.x);
	for (int i = 0; i < EK_SOLVER_STAGES; i++)
		free(r.k[i]);
	free(r.t);
	free(r.x32);
	free(r.t32);
	free(r.prediction);
	free(r.unguided);
	free(r.no_labels);
	return rc;
}
