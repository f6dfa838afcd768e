#include "train/flow/flow_task.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

struct ek_flow_task {
	struct ek_flow_task_options options;
	struct ek_flow_source source;
	struct ek_params params;
	struct ek_task_net net;
	int data, keys, factors, t, labels, draws; /* inputs; draws: the keys of what is drawn of moments, or 0 */
};

enum { PARTS = 2 };

/* The noise and times of held-out images are the same for all runs. */
static uint64_t judge_seed(void)
{
	return ek_random_stream("flow judge");
}

/* The staged inputs of image j of a slice. */
static int fill_image(struct ek_flow_task *f, int worker, const struct ek_slice *slice, int j, int judging,
                      struct ek_net_state *s)
{
	const struct ek_flow_task_options *o = &f->options;
	const uint64_t seed = judging ? judge_seed() : o->seed, position = slice->position + (uint64_t)j;
	const int draw = slice->grid != NULL ? (int)(position % (uint64_t)slice->grid->draws) : 0;
	/* On a grid an image is the same at every draw and every time that it is asked for. */
	const uint64_t place = slice->grid != NULL ? (uint64_t)slice->ids[j] : position;
	float *sample = (float *)ek_net_stage(s, f->data) + (size_t)j * ek_net_elements(f->net.net, f->data);
	float *factors = (float *)ek_net_stage(s, f->factors) + j * EK_OBJECTIVE_FACTORS;
	int32_t *label = (int32_t *)ek_net_stage(s, f->labels) + j;
	const double t = slice->grid != NULL ? ek_objective_grid_time(&o->objective, slice->grid, draw)
	                                     : ek_objective_time(&o->objective, seed, position);
	int rc;

	EK_TRY(f->source.get(f->source.context, worker, slice->ids[j], place, sample, label));
	if (*label < 0 || *label > ek_sit_no_label(&o->model))
		return ek_fail(EK_EDATA, "image %lld has the label %d, the model knows 0 to %d",
		               (long long)slice->ids[j], *label, ek_sit_no_label(&o->model) - 1);
	if (!judging && ek_objective_drops(o->drop, seed, position))
		*label = ek_sit_no_label(&o->model);
	((struct ek_net_key *)ek_net_stage(s, f->keys))[j] =
		slice->grid != NULL ? ek_objective_grid_key(slice->grid, draw) : ek_objective_key(seed, position);
	if (f->draws > 0)
		((struct ek_net_key *)ek_net_stage(s, f->draws))[j] =
			(struct ek_net_key){ f->source.drawn->seed, f->source.drawn->stream, place };
	((float *)ek_net_stage(s, f->t))[j] = (float)t;
	ek_objective_factors(&o->objective, t, factors);
out:
	return rc;
}

struct filled {
	struct ek_flow_task *flow;
	const struct ek_slice *slice;
	struct ek_net_state *state;
	int judging;
};

static int fill_one(void *context, uint64_t j, int worker)
{
	const struct filled *f = context;

	return fill_image(f->flow, worker, f->slice, (int)j, f->judging, f->state);
}

static int fill(void *context, int worker, const struct ek_slice *slice, int judging, struct ek_net_state *s)
{
	struct filled f = { .flow = context, .slice = slice, .state = s, .judging = judging };

	(void)ek_net_stage(s, f.flow->data); /* waits for what was sent, once for all threads */
	return ek_task_each(slice->count, worker, fill_one, &f);
}

/* The value that holds the samples: an input, or drawn of one. */
static int add_data(struct ek_flow_task *f, struct ek_net_shape shape)
{
	const struct ek_latent_draw *drawn = f->source.drawn;
	struct ek_net *net = f->net.net;
	int rc;

	if (drawn == NULL)
		return f->data = ek_net_input(net, shape);
	EK_TRY(f->data = ek_net_input(net, (struct ek_net_shape){ shape.height, shape.width, 2 * shape.channels }));
	EK_TRY(f->draws = ek_net_input_keys(net));
	rc = ek_net_affine(net, ek_net_sample(net, f->data, ek_net_noise(net, f->draws, shape)), drawn->scale,
	                   drawn->shift);
out:
	return rc;
}

static int build(struct ek_flow_task *f)
{
	const struct ek_flow_task_options *o = &f->options;
	static const enum ek_net_mode modes[] = { EK_NET_RECOMPUTE, EK_NET_TRAIN, EK_NET_FORWARD, EK_NET_IMAGES };
	const struct ek_net_shape shape = { o->model.side, o->model.side, o->model.channels };
	struct ek_task_net *n = &f->net;
	int rc, data, noise, x, prediction;

	EK_TRY(ek_sit_params(&f->params, &o->model));
	EK_TRY(ek_net_new(&n->net, &f->params, o->precision, o->slice));
	EK_TRY(data = add_data(f, shape));
	EK_TRY(f->keys = ek_net_input_keys(n->net));
	EK_TRY(f->factors = ek_net_input(n->net, (struct ek_net_shape){ 1, 1, EK_OBJECTIVE_FACTORS }));
	EK_TRY(f->t = ek_net_input(n->net, (struct ek_net_shape){ 1, 1, 1 }));
	EK_TRY(f->labels = ek_net_input_ids(n->net));
	EK_TRY(noise = ek_net_noise(n->net, f->keys, shape));
	EK_TRY(x = ek_objective_mix(n->net, data, noise, f->factors));
	EK_TRY(prediction = ek_sit_build(n->net, &f->params, &o->model, x, f->t, f->labels));
	EK_TRY(n->loss = ek_objective_loss(n->net, &o->objective, prediction, data, noise, f->factors, n->parts));
	n->learned = n->loss;
	EK_TRY(ek_net_output(n->net, n->loss));
	for (int i = 0; n->parts[0] > 0 && i < PARTS; i++)
		EK_TRY(ek_net_keep(n->net, n->parts[i]));
	EK_TRY(ek_net_finish(n->net, modes[o->recompute ? 0 : 1 + o->use]));
	EK_TRY(ek_trainer_check_memory(&f->params, o->slice, ek_runner_bytes(n->net)));
	EK_TRY(ek_runner_init(&n->runner, n->net));
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
		                  .nets = &f->net,
		                  .net_count = 1,
		                  .fill = fill,
		                  .fills_ahead = 1 };
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
	ek_task_net_release(&f->net);
	ek_params_release(&f->params);
	free(f);
}

uint64_t ek_flow_task_bytes(const struct ek_flow_task *f)
{
	return ek_runner_bytes(f->net.net) + ek_net_weight_bytes(f->net.net);
}

double ek_flow_task_flops(const struct ek_flow_task *f)
{
	return 3 * ek_net_flops(f->net.net);
}
