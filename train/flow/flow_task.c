#include "train/flow/flow_task.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"
#include "train/nn/runner.h"

/* What one worker needs. */
struct worker {
	struct ek_net_state *state;
	float *x1, *noise, *gradient; /* [slice, elements], [slice, elements of the prediction] */
};

struct ek_flow_task {
	struct ek_flow_task_options options;
	struct ek_flow_source source;
	struct ek_params params;
	struct ek_net *net;
	struct ek_runner runner;
	int x, t, labels, prediction; /* values of the net */
	size_t elements;
	struct worker *workers; /* [worker_count] */
	int worker_count;
};

enum { PARTS = 2 };

/* The noise and times of held-out images are the same for all runs. */
static uint64_t judge_seed(void)
{
	return ek_random_stream("flow judge");
}

static int fill(struct ek_flow_task *f, int number, const struct ek_slice *slice, int judging)
{
	const struct ek_flow_task_options *o = &f->options;
	const struct worker *w = &f->workers[number];
	const uint64_t seed = judging ? judge_seed() : o->seed;
	float *x = ek_net_data(w->state, f->x), *times = ek_net_data(w->state, f->t);
	int32_t *labels = ek_net_data(w->state, f->labels);
	int rc = 0;

	for (int j = 0; j < slice->count; j++) {
		const uint64_t position = slice->position + (uint64_t)j;
		const size_t at = (size_t)j * f->elements;
		const double t = ek_objective_time(&o->objective, seed, position);

		EK_TRY(f->source.get(f->source.context, number, slice->ids[j], position, w->x1 + at, &labels[j]));
		if (labels[j] < 0 || labels[j] > ek_sit_no_label(&o->model))
			return ek_fail(EK_EDATA, "image %lld has the label %d, the model knows 0 to %d",
			               (long long)slice->ids[j], labels[j], ek_sit_no_label(&o->model) - 1);
		if (!judging && ek_objective_drops(o->drop, seed, position))
			labels[j] = ek_sit_no_label(&o->model);
		ek_objective_noise(w->noise + at, f->elements, seed, position);
		ek_objective_mix(&o->objective, t, x + at, w->x1 + at, w->noise + at, f->elements);
		times[j] = (float)t;
	}
out:
	return rc;
}

/* Losses, and with `weights` the gradient. */
static void compare(struct ek_flow_task *f, const struct worker *w, const struct ek_slice *slice, const float *weights)
{
	const struct ek_flow_task_options *o = &f->options;
	const int diffusion = o->objective.kind == EK_OBJECTIVE_DIFFUSION;
	const float *prediction = ek_net_data(w->state, f->prediction), *times = ek_net_data(w->state, f->t);
	const size_t outputs = (size_t)ek_sit_outputs(&o->model), channels = (size_t)o->model.channels;
	const size_t pixels = f->elements / channels;

	for (int j = 0; j < slice->count; j++) {
		const size_t at = (size_t)j * f->elements, out = (size_t)j * pixels * outputs;
		const struct ek_objective_image image = { .x1 = w->x1 + at,
			                                  .noise = w->noise + at,
			                                  .out = prediction + out,
			                                  .gradient = weights != NULL ? w->gradient + out : NULL,
			                                  .pixels = pixels,
			                                  .channels = channels,
			                                  .weight = weights != NULL ? (double)weights[j] : 0 };

		slice->losses[j] = ek_objective_loss(&o->objective, (double)times[j], &image, outputs,
		                                     diffusion ? slice->parts + PARTS * j : NULL);
	}
}

static int learn(void *context, int worker, const struct ek_slice *slice, float *gradients)
{
	struct ek_flow_task *f = context;
	const struct worker *w = &f->workers[worker];
	int rc;

	EK_TRY(fill(f, worker, slice, 0));
	EK_TRY(ek_net_forward(w->state));
	compare(f, w, slice, slice->weights);
	ek_net_write_gradient(w->state, f->prediction, w->gradient);
	EK_TRY(ek_net_backward(w->state, gradients));
out:
	return rc;
}

static int judge(void *context, int worker, const struct ek_slice *slice)
{
	struct ek_flow_task *f = context;
	const struct worker *w = &f->workers[worker];
	int rc;

	EK_TRY(fill(f, worker, slice, 1));
	EK_TRY(ek_net_forward(w->state));
	compare(f, w, slice, NULL);
out:
	return rc;
}

static int load(void *context, const float *values)
{
	return ek_net_load(((struct ek_flow_task *)context)->net, values);
}

static int build(struct ek_flow_task *f)
{
	const struct ek_flow_task_options *o = &f->options;
	int rc;

	EK_TRY(ek_sit_params(&f->params, &o->model));
	EK_TRY(ek_net_new(&f->net, NULL, &f->params, o->precision, o->slice));
	EK_TRY(f->x = ek_net_input(f->net, (struct ek_net_shape){ o->model.side, o->model.side, o->model.channels }));
	EK_TRY(f->t = ek_net_input(f->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(f->labels = ek_net_input_ids(f->net));
	EK_TRY(f->prediction = ek_sit_build(f->net, &f->params, &o->model, f->x, f->t, f->labels));
	EK_TRY(ek_net_output(f->net, f->prediction));
	EK_TRY(ek_net_finish(f->net, o->recompute ? EK_NET_RECOMPUTE : EK_NET_TRAIN));
out:
	return rc;
}

static int make_workers(struct ek_flow_task *f)
{
	const size_t images = (size_t)f->options.slice;
	int rc;

	f->worker_count = ek_threads();
	EK_TRY(ek_trainer_check_memory(&f->params, f->options.slice, ek_runner_bytes(f->net)));
	EK_TRY(ek_runner_init(&f->runner, f->net));
	EK_TRY(ek_alloc(&f->workers, (size_t)f->worker_count, sizeof *f->workers));
	for (int i = 0; i < f->worker_count; i++) {
		struct worker *w = &f->workers[i];

		w->state = f->runner.states[i];
		EK_TRY(ek_alloc(&w->x1, images * f->elements, sizeof *w->x1));
		EK_TRY(ek_alloc(&w->noise, images * f->elements, sizeof *w->noise));
		EK_TRY(ek_alloc(&w->gradient, images * ek_net_elements(f->net, f->prediction), sizeof *w->gradient));
	}
out:
	return rc;
}

int ek_flow_task_new(struct ek_flow_task **out, struct ek_task *task, const struct ek_flow_task_options *options,
                     const struct ek_flow_source *source)
{
	static const char *const none[] = { NULL }, *const diffusion[] = { "error", "bound", NULL };
	const int is_diffusion = options->objective.kind == EK_OBJECTIVE_DIFFUSION;
	struct ek_flow_task *f = NULL;
	int rc;

	*out = NULL;
	if (is_diffusion && !options->model.learned_sigma)
		return ek_fail(EK_EUSAGE, "the diffusion objective needs a model with a learned sigma");
	if (!(options->drop >= 0 && options->drop <= 1))
		return ek_fail(EK_EUSAGE, "label dropout %g: must be 0 to 1", options->drop);
	EK_TRY(ek_alloc(&f, 1, sizeof *f));
	f->options = *options;
	f->source = *source;
	f->elements = ek_sit_elements(&options->model);
	EK_TRY(build(f));
	EK_TRY(make_workers(f));
	*task = (struct ek_task){ .context = f,
		                  .params = &f->params,
		                  .slice = options->slice,
		                  .part_names = is_diffusion ? diffusion : none,
		                  .load = load,
		                  .learn = learn,
		                  .judge = judge };
	*out = f;
	f = NULL;
out:
	ek_flow_task_free(f);
	return rc;
}

void ek_flow_task_free(struct ek_flow_task *f)
{
	if (f == NULL)
		return;
	for (int i = 0; f->workers != NULL && i < f->worker_count; i++) {
		free(f->workers[i].x1);
		free(f->workers[i].noise);
		free(f->workers[i].gradient);
	}
	free(f->workers);
	ek_runner_release(&f->runner);
	ek_net_free(f->net);
	ek_params_release(&f->params);
	free(f);
}

uint64_t ek_flow_task_bytes(const struct ek_flow_task *f)
{
	return ek_runner_bytes(f->net) + ek_net_weight_bytes(f->net);
}

double ek_flow_task_flops(const struct ek_flow_task *f)
{
	return 3 * ek_net_flops(f->net);
}
