#include "train/flow/flow_task.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "train/nn/runner.h"

struct ek_flow_task {
	struct ek_flow_task_options options;
	struct ek_flow_source source;
	struct ek_params params;
	struct ek_net *net;
	struct ek_runner runner;
	int data, keys, factors, t, labels; /* inputs */
	int loss, parts[2];                 /* outputs */
};

enum { PARTS = 2 };

/* The noise and times of held-out images are the same for all runs. */
static uint64_t judge_seed(void)
{
	return ek_random_stream("flow judge");
}

/* The staged inputs of image j of a slice. */
static int fill_image(struct ek_flow_task *f, int worker, const struct ek_slice *slice, int j, int judging)
{
	const struct ek_flow_task_options *o = &f->options;
	const uint64_t seed = judging ? judge_seed() : o->seed, position = slice->position + (uint64_t)j;
	struct ek_net_state *s = f->runner.states[worker];
	float *sample = (float *)ek_net_stage(s, f->data) + (size_t)j * ek_net_elements(f->net, f->data);
	float *factors = (float *)ek_net_stage(s, f->factors) + j * EK_OBJECTIVE_FACTORS;
	int32_t *label = (int32_t *)ek_net_stage(s, f->labels) + j;
	const double t = ek_objective_time(&o->objective, seed, position);
	int rc;

	EK_TRY(f->source.get(f->source.context, worker, slice->ids[j], position, sample, label));
	if (*label < 0 || *label > ek_sit_no_label(&o->model))
		return ek_fail(EK_EDATA, "image %lld has the label %d, the model knows 0 to %d",
		               (long long)slice->ids[j], *label, ek_sit_no_label(&o->model) - 1);
	if (!judging && ek_objective_drops(o->drop, seed, position))
		*label = ek_sit_no_label(&o->model);
	((struct ek_net_key *)ek_net_stage(s, f->keys))[j] = ek_objective_key(seed, position);
	((float *)ek_net_stage(s, f->t))[j] = (float)t;
	ek_objective_factors(&o->objective, t, factors);
out:
	return rc;
}

static int forward(struct ek_flow_task *f, int worker, const struct ek_slice *slice, int judging)
{
	struct ek_net_state *s = f->runner.states[worker];
	int rc;

	for (int j = 0; j < slice->count; j++)
		EK_TRY(fill_image(f, worker, slice, j, judging));
	EK_TRY(ek_net_forward(s));
	ek_slice_take(slice->losses, 1, ek_net_view(s, f->loss), slice->count);
	for (int i = 0; f->parts[0] > 0 && i < PARTS; i++)
		ek_slice_take(slice->parts + i, PARTS, ek_net_view(s, f->parts[i]), slice->count);
out:
	return rc;
}

static int learn(void *context, int worker, const struct ek_slice *slice, struct ek_store *store)
{
	struct ek_flow_task *f = context;
	struct ek_net_state *s = f->runner.states[worker];
	int rc;

	EK_TRY(forward(f, worker, slice, 0));
	ek_net_write_gradient(s, f->loss, slice->weights);
	EK_TRY(ek_net_backward(s, store, slice->turn));
out:
	return rc;
}

static int judge(void *context, int worker, const struct ek_slice *slice)
{
	return forward(context, worker, slice, 1);
}

static int load(void *context, const struct ek_store *store, enum ek_family family)
{
	return ek_net_load_from(((struct ek_flow_task *)context)->net, store, family);
}

static int build(struct ek_flow_task *f)
{
	const struct ek_flow_task_options *o = &f->options;
	const struct ek_net_shape shape = { o->model.side, o->model.side, o->model.channels };
	int rc, noise, x, prediction;

	EK_TRY(ek_sit_params(&f->params, &o->model));
	EK_TRY(ek_net_new(&f->net, &f->params, o->precision, o->slice));
	EK_TRY(f->data = ek_net_input(f->net, shape));
	EK_TRY(f->keys = ek_net_input_keys(f->net));
	EK_TRY(f->factors = ek_net_input(f->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS }));
	EK_TRY(f->t = ek_net_input(f->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(f->labels = ek_net_input_ids(f->net));
	EK_TRY(noise = ek_net_noise(f->net, f->keys, shape));
	EK_TRY(x = ek_objective_mix(f->net, f->data, noise, f->factors));
	EK_TRY(prediction = ek_sit_build(f->net, &f->params, &o->model, x, f->t, f->labels));
	EK_TRY(f->loss = ek_objective_loss(f->net, &o->objective, prediction, f->data, noise, f->factors, f->parts));
	EK_TRY(ek_net_output(f->net, f->loss));
	for (int i = 0; f->parts[0] > 0 && i < PARTS; i++)
		EK_TRY(ek_net_keep(f->net, f->parts[i]));
	EK_TRY(ek_net_finish(f->net, o->recompute ? EK_NET_RECOMPUTE : EK_NET_TRAIN));
	EK_TRY(ek_trainer_check_memory(&f->params, o->slice, ek_runner_bytes(f->net)));
	EK_TRY(ek_runner_init(&f->runner, f->net));
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
	EK_TRY(build(f));
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
