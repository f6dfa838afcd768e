#include "train/flow/solver.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/flow/solver_internal.h"

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

static void find_interval(double *t0, double *t1, const struct ek_solver_options *o)
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

int ek_solver_guides(const struct ek_solver_run *r, double t)
{
	const struct ek_guidance *g = &r->options->guidance;

	return r->labelled && g->scale != 1 && t >= g->low && t <= g->high;
}

void ek_solver_guide(const struct ek_solver_run *r, struct ek_move *move)
{
	const struct ek_guidance *g = &r->options->guidance;
	const size_t all = r->model->channels;

	move->guidance = g->scale;
	move->guided = g->channels > 0 && (size_t)g->channels < all ? (size_t)g->channels : all;
}

/* Predictions at the samples' places and the time t, in *move what to make of them. Guidance goes by `at`. */
static int evaluate(struct ek_solver_run *r, double t, double at, struct ek_move *move)
{
	const struct ek_solver_model *m = r->model;
	struct ek_samples *s = &r->samples;
	int rc;

	for (int i = 0; i < r->count; i++)
		r->t32[i] = (float)t;
	r->evaluations += ek_solver_guides(r, at) ? 2 : 1;
	if (ek_solver_guides(r, at) && m->predict_both != NULL) {
		EK_TRY(m->predict_both(m->context, s->place, r->t32, r->labels, r->no_labels, r->count, s->with,
		                       s->without));
	} else {
		EK_TRY(m->predict(m->context, s->place, r->t32, r->labels, r->count, s->with));
		if (ek_solver_guides(r, at))
			EK_TRY(m->predict(m->context, s->place, r->t32, r->no_labels, r->count, s->without));
	}
	if (ek_solver_guides(r, at))
		ek_solver_guide(r, move);
out:
	return rc;
}

void ek_solver_slope(const struct ek_solver_run *r, double t, double extra, struct ek_move *move)
{
	const struct ek_path_point p = ek_path_at(r->options->path, t);
	const struct ek_path_linear f = ek_path_velocity(&p, r->options->prediction);

	move->m = f.m;
	move->x = f.x;
	if (extra > 0) {
		const struct ek_path_linear s = ek_path_score(&p, r->options->prediction);

		move->m += extra * s.m;
		move->x += extra * s.x;
	}
}

/* A move of this kind by the slope at t, and `extra` scores there. */
static int go(struct ek_solver_run *r, enum ek_move_kind kind, double t, double extra, double length, double spread)
{
	struct ek_move move = { .kind = kind, .length = length, .spread = spread };
	int rc;

	EK_TRY(evaluate(r, t, t, &move));
	ek_solver_slope(r, t, extra, &move);
	rc = ek_samples_move(&r->samples, &move);
out:
	return rc;
}

static int euler(struct ek_solver_run *r)
{
	const double dt = (r->t1 - r->t0) / r->options->steps;
	int rc = 0;

	for (int step = 0; step < r->options->steps; step++)
		EK_TRY(go(r, EK_MOVE_ALONG, r->t0 + step * dt, 0, dt, 0));
out:
	return rc;
}

static int heun(struct ek_solver_run *r)
{
	const double dt = (r->t1 - r->t0) / r->options->steps;
	int rc = 0;

	for (int step = 0; step < r->options->steps; step++) {
		EK_TRY(go(r, EK_MOVE_TRY, r->t0 + step * dt, 0, dt, 0));
		EK_TRY(go(r, EK_MOVE_MEAN, r->t0 + (step + 1) * dt, 0, dt, 0));
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

/* Normal numbers of a step for all samples. */
static int make_noise(struct ek_solver_run *r, int step, double *out)
{
	if (r->model->noise == NULL)
		return ek_samples_normals(&r->samples, out, ek_random_stream("flow sample"), (uint64_t)step);
	for (int i = 0; i < r->count; i++)
		r->model->noise(r->model->context, i, step, out + (size_t)i * r->elements);
	return 0;
}

static int stochastic(struct ek_solver_run *r)
{
	const struct ek_solver_options *o = r->options;
	const int last = o->steps - 1;
	const double dt = (r->t1 - r->t0) / last;
	int rc = 0;

	for (int step = 0; step < (o->last_step > 0 ? o->steps : last); step++) {
		const double t = step < last ? r->t0 + step * dt : r->t1, d = diffusion_at(o, t);

		if (step < last)
			EK_TRY(make_noise(r, step + 1, r->samples.noise));
		EK_TRY(go(r, EK_MOVE_NOISY, t, d, step < last ? dt : o->last_step, step < last ? sqrt(2 * d * dt) : 0));
	}
out:
	return rc;
}

static int ancestral(struct ek_solver_run *r)
{
	struct ek_diffusion_step *steps = NULL;
	const int count = r->options->steps;
	int rc;

	EK_TRY(ek_alloc(&steps, (size_t)count, sizeof *steps));
	ek_diffusion_schedule(steps, count);
	for (int step = count - 1; step >= 0; step--) {
		const double t = steps[step].time;
		struct ek_move move = { .kind = EK_MOVE_BACK };

		EK_TRY(evaluate(r, t, 1 - 1.0 / EK_DIFFUSION_STEPS * t, &move));
		if (step > 0)
			EK_TRY(make_noise(r, count - step, r->samples.noise));
		ek_diffusion_back(&steps[step], step > 0, &move);
		EK_TRY(ek_samples_move(&r->samples, &move));
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

static int prepare(struct ek_solver_run *r)
{
	const struct ek_solver_model *m = r->model;
	const struct ek_move as_they_are = { .kind = EK_MOVE_NONE };
	int rc;

	r->samples = (struct ek_samples){
		.count = (size_t)r->count, .pixels = m->pixels, .channels = m->channels, .outputs = m->outputs
	};
	EK_TRY(ek_samples_init(&r->samples, m->on_device, r->seeds));
	EK_TRY(ek_alloc(&r->x, ek_samples_size(&r->samples), sizeof *r->x));
	EK_TRY(ek_alloc(&r->t32, (size_t)r->count, sizeof *r->t32));
	EK_TRY(ek_alloc(&r->no_labels, (size_t)r->count, sizeof *r->no_labels));
	for (int i = 0; i < r->count; i++) {
		r->no_labels[i] = m->no_label;
		r->labelled = r->labelled || r->labels[i] != m->no_label;
	}
	EK_TRY(make_noise(r, 0, r->samples.x));
	EK_TRY(ek_samples_move(&r->samples, &as_they_are));
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
	find_interval(&r.t0, &r.t1, options);
	EK_TRY(prepare(&r));
	EK_TRY(solvers[options->solver](&r));
	EK_TRY(ek_samples_read(&r.samples, r.x));
	EK_TRY(check_numbers(&r, out));
	if (evaluations != NULL)
		*evaluations = r.evaluations;
out:
	ek_samples_release(&r.samples);
	free(r.x);
	free(r.t32);
	free(r.no_labels);
	return rc;
}
