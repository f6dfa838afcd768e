#include "train/flow/flow_sample.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "train/nn/device.h"
#include "train/nn/runner.h"

/* A network that predicts. */
struct predictor {
	struct ek_net *net;
	int x, t, labels, prediction;
	struct ek_runner runner;
};

struct ek_flow_sampler {
	struct ek_sit_config config;
	int batch;
	struct predictor one, both; /* of `batch` images, and, for guidance, of twice as many; or no `both` */
	float *results;             /* [workers, batch, elements] */
};

static int build(struct predictor *p, const struct ek_sit_config *c, const struct ek_params *params,
                 enum ek_nn_precision precision, int batch)
{
	int rc;

	EK_TRY(ek_net_new(&p->net, params, precision, batch));
	if (ek_device_takes_batches()) /* memory is what a GPU waits for between products */
		ek_net_narrow_stream(p->net);
	EK_TRY(p->x = ek_net_input(p->net, (struct ek_net_shape){ c->side, c->side, c->channels }));
	EK_TRY(p->t = ek_net_input(p->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(p->labels = ek_net_input_ids(p->net));
	EK_TRY(p->prediction = ek_sit_build(p->net, params, c, p->x, p->t, p->labels));
	EK_TRY(ek_net_output(p->net, p->prediction));
	EK_TRY(ek_net_finish(p->net, EK_NET_FORWARD));
out:
	return rc;
}

static void release(struct predictor *p)
{
	ek_runner_release(&p->runner);
	ek_net_free(p->net);
}

/* Where both are wanted, one has the memory of the other. */
static int start(struct ek_flow_sampler *s, const float *values)
{
	int rc;

	if (s->both.net != NULL) {
		EK_TRY(ek_runner_check_memory(s->both.net, ek_device_workers(), 2));
		EK_TRY(ek_runner_init(&s->both.runner, s->both.net));
		EK_TRY(ek_runner_share(&s->one.runner, s->one.net, &s->both.runner));
	} else {
		EK_TRY(ek_runner_init(&s->one.runner, s->one.net));
	}
	rc = ek_flow_sampler_load(s, values);
out:
	return rc;
}

int ek_flow_sampler_new(struct ek_flow_sampler **out, const struct ek_sit_config *config,
                        const struct ek_params *params, const float *values, enum ek_nn_precision precision, int batch,
                        int guided)
{
	struct ek_flow_sampler *s = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&s, 1, sizeof *s));
	s->config = *config;
	s->batch = batch;
	EK_TRY(build(&s->one, config, params, precision, batch));
	if (guided && ek_device_takes_batches() && 2 * batch <= EK_NET_BATCH_MAX)
		EK_TRY(build(&s->both, config, params, precision, 2 * batch));
	EK_TRY(start(s, values));
	EK_TRY(ek_alloc(&s->results, (size_t)s->one.runner.workers * (size_t)batch * ek_sit_elements(config),
	                sizeof *s->results));
	*out = s;
	s = NULL;
out:
	ek_flow_sampler_free(s);
	return rc;
}

/* More tokens gain 4 % at most (docs/gpu.md), and would make the last batch of a set a larger part of it. */
int ek_flow_sampler_batch(const struct ek_sit_config *c, uint64_t count)
{
	enum { OF_A_THREAD = 16, TOKENS = 65536, MOST = 1024 };
	const int tokens = (c->side / c->patch) * (c->side / c->patch), fit = TOKENS / tokens;
	const int batch = fit < 1 ? 1 : fit > MOST ? MOST : fit;

	if (!ek_device_takes_batches())
		return OF_A_THREAD;
	return count < (uint64_t)batch ? (int)count : batch;
}

void ek_flow_sampler_free(struct ek_flow_sampler *s)
{
	if (s == NULL)
		return;
	release(&s->one); /* in the memory of the other */
	release(&s->both);
	free(s->results);
	free(s);
}

int ek_flow_sampler_load(struct ek_flow_sampler *s, const float *values)
{
	int rc;

	EK_TRY(ek_net_load(s->one.net, values));
	if (s->both.net != NULL)
		EK_TRY(ek_net_load_like(s->both.net, s->one.net));
out:
	return rc;
}

struct round {
	struct ek_flow_sampler *sampler;
	const struct ek_solver_options *options;
	const struct ek_flow_samples *samples;
	uint64_t first;
};

struct worker {
	const struct ek_flow_sampler *sampler;
	int number, on_device;
};

static int count_at(const struct round *r, uint64_t first)
{
	const uint64_t left = r->samples->count - first;

	return left < (uint64_t)r->sampler->batch ? (int)left : r->sampler->batch;
}

/* With so many labels of each image, one out for each. x, out: the device's, or the host's (struct ek_solver_model). */
static int evaluate(const struct worker *w, const struct predictor *p, const float *x, const float *t,
                    const int32_t *const *labels, int count, int times, float *const *out)
{
	const size_t elements = ek_sit_elements(&w->sampler->config), outputs = ek_net_elements(p->net, p->prediction);
	struct ek_net_state *s = p->runner.states[w->number];
	int rc;

	EK_TRY(ek_check_interrupt());
	if (!w->on_device)
		memcpy(ek_net_stage(s, p->x), x, (size_t)count * elements * sizeof *x);
	for (int i = 0; i < times; i++) {
		memcpy((float *)ek_net_stage(s, p->t) + i * count, t, (size_t)count * sizeof *t);
		memcpy((int32_t *)ek_net_stage(s, p->labels) + i * count, labels[i], (size_t)count * sizeof **labels);
	}
	ek_net_clear_inputs(s, times * count); /* what was there before may be anything but a number */
	EK_TRY(w->on_device ? ek_net_forward_with(s, p->x, x, count, times) : ek_net_forward(s));
	for (int i = 0; i < times; i++)
		if (w->on_device)
			ek_net_copy_out(s, p->prediction, i * count, count, out[i]);
		else
			memcpy(out[i], ek_net_view(s, p->prediction), (size_t)count * outputs * sizeof **out);
out:
	return rc;
}

static int predict(void *context, const float *x, const float *t, const int32_t *labels, int count, float *out)
{
	const struct worker *w = context;

	return evaluate(w, &w->sampler->one, x, t, &labels, count, 1, &out);
}

/* On the device. */
static int predict_both(void *context, const float *x, const float *t, const int32_t *labels, const int32_t *others,
                        int count, float *out, float *other)
{
	const struct worker *w = context;
	const int32_t *const all[2] = { labels, others };
	float *const to[2] = { out, other };

	return evaluate(w, &w->sampler->both, x, t, all, count, 2, to);
}

static int solve_batch(void *context, uint64_t piece, int number)
{
	const struct round *r = context;
	struct ek_flow_sampler *s = r->sampler;
	const struct ek_sit_config *c = &s->config;
	const uint64_t first = r->first + piece * (uint64_t)s->batch;
	struct worker w = { .sampler = s, .number = number, .on_device = r->options->solver != EK_SOLVER_DOPRI5 };
	const int together = w.on_device && s->both.net != NULL;
	const struct ek_solver_model model = { .context = &w,
		                               .on_device = w.on_device,
		                               .pixels = (size_t)c->side * (size_t)c->side,
		                               .channels = (size_t)c->channels,
		                               .outputs = (size_t)ek_sit_outputs(c),
		                               .no_label = ek_sit_no_label(c),
		                               .predict = predict,
		                               .predict_both = together ? predict_both : NULL };
	int rc;

	EK_TRY(ek_solve(r->options, &model, count_at(r, first), r->samples->seeds + first, r->samples->labels + first,
	                s->results + piece * (uint64_t)s->batch * ek_sit_elements(c), NULL));
	if (!r->samples->silent)
		ek_progress_add((uint64_t)count_at(r, first));
out:
	return rc;
}

static int check(const struct ek_flow_sampler *s, const struct ek_solver_options *options,
                 const struct ek_flow_samples *samples)
{
	const int no_label = ek_sit_no_label(&s->config);
	int rc;

	EK_TRY(ek_solver_check(options));
	for (uint64_t i = 0; i < samples->count; i++)
		if (samples->labels[i] < 0 || samples->labels[i] > no_label)
			return ek_fail(EK_EUSAGE, "sample %llu: label %d, the model knows 0 to %d",
			               (unsigned long long)i, samples->labels[i], no_label - 1);
	if (options->solver == EK_SOLVER_ANCESTRAL && !s->config.learned_sigma)
		ek_warn("the model has no learned sigma: steps take the largest variance");
out:
	return rc;
}

/* Rounds of a batch for each thread, taken in order behind each. */
int ek_flow_sample(struct ek_flow_sampler *s, const struct ek_solver_options *options,
                   const struct ek_flow_samples *samples, uint64_t first)
{
	struct round r = { .sampler = s, .options = options, .samples = samples, .first = first };
	const uint64_t batch = (uint64_t)s->batch, whole = batch * (uint64_t)s->one.runner.workers;
	int rc;

	EK_TRY(check(s, options, samples));
	if (!samples->silent)
		ek_progress_begin("sampling", "images", first < samples->count ? samples->count - first : 0);
	for (; r.first < samples->count; r.first += whole) {
		const uint64_t left = samples->count - r.first, here = left < whole ? left : whole;

		if ((rc = ek_device_parallel((here + batch - 1) / batch, solve_batch, &r)) < 0)
			break;
		if ((rc = samples->take(samples->context, r.first, (int)here, s->results)) < 0)
			break;
	}
	if (!samples->silent)
		ek_progress_end();
out:
	return rc;
}
