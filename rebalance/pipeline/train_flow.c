#include "rebalance/pipeline/train_flow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/pipeline/condition.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/space.h"
#include "reports/sheet.h"
#include "train/flow/flow_sample.h"
#include "train/flow/flow_task.h"

const struct ek_choice ek_flow_spaces[] = { { "latent", "the latents of 'autoencoder'" },
	                                    { "pixel", "the pixels themselves, for small images" },
	                                    { NULL, NULL } };

const struct ek_train_flow_options ek_train_flow_default = {
	.common = { EK_TRAINING_DEFAULT(128, 0.9999) }, .model = "SiT-S/2", .condition = "none", .drop = 0.1, .draws = 8
};

struct work {
	const struct ek_train_flow_options *asked;
	struct ek_space space;
	struct ek_condition condition, clusters; /* clusters: for the log, if there are any */
	struct ek_feed feed;
	struct ek_flow_task_options options;
	struct ek_flow_task *flow;
	struct ek_flow_sampler *sampler; /* for previews */
	struct ek_tensor_file weights;   /* with --from */
	int relabelled;                  /* 1: the table of labels is made anew, not from_classes of them */
	int from_classes;
	int label; /* of every image, without a condition */
	struct ek_latent_draw draw;
	int is_drawn; /* a device that takes batches draws latents itself */
	struct ek_task task;
	float *values;
	cJSON *config;
};

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	const struct work *w = context;
	const int32_t code = w->condition.codes[id];

	(void)worker;
	if (w->is_drawn)
		ek_latents_moments(w->space.latents, id, sample);
	*label = w->condition.classes == 0 ? w->label : code >= 0 ? code : ek_sit_no_label(&w->options.model);
	return w->is_drawn ? 0 : ek_space_get(&w->space, id, position, sample);
}

/* A public network knows other classes than the run: without a condition it is asked for its label for none; with one
 * of as many classes its labels stay; else they are made anew. */
static void fit_labels(struct work *w)
{
	struct ek_sit_config *c = &w->options.model;
	const int classes = w->condition.classes, known = c->classes > 1 ? c->classes : 0;

	if (classes == 0) {
		w->label = known > 0 ? ek_sit_no_label(c) : 0;
		if (known > 0)
			ek_info("%s knows %d classes: without a condition its label for none, %d, is trained",
			        w->asked->common.from, known, w->label);
	} else if (classes == c->classes) {
		ek_info("%s is for %d classes, as 'condition' %s has: its labels are taken as these",
		        w->asked->common.from, classes, w->asked->condition);
	} else {
		w->relabelled = 1;
		w->from_classes = known;
		ek_info("%s is for %d classes, 'condition' %s has %d: the table of labels is made anew, each row as "
		        "the one for no class",
		        w->asked->common.from, known, w->asked->condition, classes);
		c->classes = classes;
	}
}

static int find_model(struct work *w)
{
	struct ek_sit_config *c = &w->options.model;
	int rc;

	if (w->asked->common.from != NULL) {
		EK_TRY(ek_tensor_file_open(&w->weights, w->asked->common.from));
		EK_TRY(ek_sit_file_config(c, &w->weights));
		if (c->side != w->space.side || c->channels != w->space.channels) {
			rc = ek_fail(EK_EDATA, "%s is for samples of %d x %d x %d, these are %d x %d x %d",
			             w->asked->common.from, c->side, c->side, c->channels, w->space.side, w->space.side,
			             w->space.channels);
			goto out;
		}
		fit_labels(w);
	} else {
		EK_TRY(ek_sit_config_name(c, w->asked->model));
		c->learned_sigma = w->asked->objective == EK_OBJECTIVE_DIFFUSION;
		c->heads = w->asked->width > 0 ? (int)(w->asked->width + 63) / 64 : c->heads;
		c->classes = w->condition.classes > 0 ? w->condition.classes : 1;
	}
	c->side = w->space.side;
	c->channels = w->space.channels;
	c->width = w->asked->width > 0 ? (int)w->asked->width : c->width;
	c->depth = w->asked->depth > 0 ? (int)w->asked->depth : c->depth;
	c->heads = w->asked->heads > 0 ? (int)w->asked->heads : c->heads;
	c->patch = w->asked->patch > 0 ? (int)w->asked->patch : c->patch;
	rc = ek_sit_config_check(c);
out:
	return rc;
}

/* About 2,048 tokens keep a core as busy as more of them would, half of that nearly so. */
static int slice_of(const struct ek_sit_config *c, const struct ek_training_options *o)
{
	const int tokens = (c->side / c->patch) * (c->side / c->patch);

	return ek_training_slice(o, 1024 / tokens, 2048 / tokens);
}

/* Where only a time or epochs end a training: so many steps are worth any device. */
enum { STEPS_OF_A_LIMIT = 100000 };

static int fill_options(struct work *w, uint64_t seed)
{
	struct ek_flow_task_options *o = &w->options;
	int rc;

	EK_TRY(find_model(w));
	ek_device_for(3 * ek_sit_work(&o->model) * (double)w->asked->common.batch *
	                      (w->asked->common.steps > 0 ? (double)w->asked->common.steps : STEPS_OF_A_LIMIT) +
	              (w->space.autoencoder != NULL ? ek_autoencoder_work(&w->space.model.config) : 0) *
	                      (double)w->feed.images);
	o->objective = (struct ek_objective){ .kind = (enum ek_objective_kind)w->asked->objective,
		                              .path = (enum ek_path)w->asked->path,
		                              .prediction = (enum ek_prediction)w->asked->prediction,
		                              .weighting = (enum ek_weighting)w->asked->weighting,
		                              .times = (enum ek_times)w->asked->times,
		                              .times_deviation = 1 };
	EK_TRY(ek_objective_init(&o->objective));
	o->precision = (enum ek_nn_precision)w->asked->common.precision;
	EK_TRY(o->slice = slice_of(&o->model, &w->asked->common));
	o->recompute = w->asked->common.recompute;
	o->drop = w->condition.classes > 0 ? w->asked->drop : 0;
	o->seed = seed;
	rc = 0;
out:
	return rc;
}

static int describe(struct work *w, const struct ek_run *run)
{
	const struct ek_flow_description d = { .model = w->options.model,
		                               .objective = w->options.objective,
		                               .autoencoder = w->space.kept,
		                               .image_side = w->space.image_side,
		                               .condition = w->asked->condition,
		                               .names = w->condition.names,
		                               .classes = w->condition.classes,
		                               .label = w->label };
	cJSON *losses;
	int rc;

	EK_TRY(ek_flow_describe(&w->config, &d));
	EK_TRY(ek_json_add_double(w->config, "drop", w->options.drop));
	EK_TRY(ek_json_add_bool(w->config, "flip", w->space.flip));
	EK_TRY(ek_json_add_string(w->config, "samples", w->space.key));
	if (w->asked->log_losses > 0) {
		EK_TRY(ek_json_add_object(&losses, w->config, "losses"));
		EK_TRY(ek_json_add_u64(losses, "every", (uint64_t)w->asked->log_losses));
		EK_TRY(ek_json_add_u64(losses, "draws", (uint64_t)w->asked->draws));
	}
	EK_TRY(ek_training_add_from(w->config, run, &w->asked->common));
	if (w->relabelled)
		EK_TRY(ek_json_add_u64(w->config, "from_classes", (uint64_t)w->from_classes));
out:
	return rc;
}

enum { PREVIEW = 36, PREVIEW_COLUMNS = 6, PREVIEW_STEPS = 25 };

struct shown {
	float *samples;
	size_t size;
};

static int take(void *context, uint64_t first, int count, const float *samples)
{
	struct shown *s = context;

	memcpy(s->samples + first * s->size, samples, (size_t)count * s->size * sizeof *samples);
	return 0;
}

/* The same seeds and classes each time, so that previews show how one picture comes. */
static int preview(void *context, const float *values, const char *path)
{
	struct work *w = context;
	const struct ek_sit_config *c = &w->options.model;
	uint64_t seeds[PREVIEW];
	int32_t labels[PREVIEW];
	struct shown shown = { .size = ek_sit_elements(c) };
	struct ek_flow_samples samples = {
		.count = PREVIEW, .seeds = seeds, .labels = labels, .silent = 1, .context = &shown, .take = take
	};
	const int whole = ek_device_takes_batches() && w->options.slice >= PREVIEW;
	struct ek_solver_options solver;
	uint8_t *pixels = NULL;
	int rc;

	for (int i = 0; i < PREVIEW; i++) {
		seeds[i] = (uint64_t)i;
		labels[i] = w->condition.classes > 0 ? i % w->condition.classes : w->label;
	}
	ek_flow_solver_default(&solver, &w->options.objective, PREVIEW_STEPS);
	EK_TRY(ek_alloc(&shown.samples, PREVIEW * shown.size, sizeof *shown.samples));
	EK_TRY(ek_alloc(&pixels, PREVIEW, 3 * (size_t)w->space.image_side * (size_t)w->space.image_side));
	if (w->sampler == NULL)
		EK_TRY(ek_flow_sampler_new(&w->sampler, c, w->task.params, values, w->options.precision,
		                           whole ? PREVIEW : PREVIEW_COLUMNS, 0));
	else
		EK_TRY(ek_flow_sampler_load(w->sampler, values));
	EK_TRY(ek_flow_sample(w->sampler, &solver, &samples, 0));
	EK_TRY(ek_space_decode(&w->space, shown.samples, PREVIEW, pixels, w->options.precision));
	EK_TRY(ek_sheet_write(path, pixels, PREVIEW, (uint32_t)w->space.image_side, PREVIEW_COLUMNS));
out:
	free(shown.samples);
	free(pixels);
	return rc;
}

static int prepare(struct work *w, struct ek_run *run, uint64_t seed)
{
	struct ek_flow_source source = { .context = w, .get = get };
	int rc;

	if ((w->asked->space == 0) != (w->asked->autoencoder != NULL))
		return ek_fail(EK_EUSAGE,
		               w->asked->space == 0
		                       ? "train flow needs 'autoencoder' NAME (made by train vae, or a folder "
		                         "that diffusers wrote), or 'space' pixel for small images"
		                       : "'space' pixel takes no 'autoencoder'");
	EK_TRY(ek_condition_load(&w->condition, run, w->asked->condition));
	EK_TRY(ek_training_feed(&w->feed, run, &w->asked->common, seed));
	EK_TRY(ek_space_open(&w->space, run, w->asked->autoencoder,
	                     w->asked->side > 0     ? (int)w->asked->side
	                     : w->asked->space == 1 ? 32
	                                            : 0));
	w->space.seed = seed;
	w->space.flip = w->asked->common.flip;
	EK_TRY(fill_options(w, seed));
	EK_TRY(ek_space_fill(&w->space, run, w->options.precision, w->asked->common.force));
	w->is_drawn = ek_device_takes_batches() && w->space.latents != NULL &&
	              ek_latents_draw(&w->draw, w->space.latents, seed);
	source.drawn = w->is_drawn ? &w->draw : NULL;
	EK_TRY(ek_flow_task_new(&w->flow, &w->task, &w->options, &source));
	w->task.preview = preview;
	w->task.preview_context = w;
	EK_TRY(ek_alloc_aligned(&w->values, w->task.params->size, sizeof(float)));
	ek_params_initialise(w->task.params, seed, w->values);
	if (w->asked->common.from != NULL)
		EK_TRY((w->relabelled ? ek_sit_file_read_relabelled : ek_sit_file_read)(w->values, w->task.params,
		                                                                        &w->weights));
	if (ek_run_recorded(run, "cluster") != NULL)
		EK_TRY(ek_condition_load(&w->clusters, run, "cluster"));
	EK_TRY(describe(w, run));
out:
	return rc;
}

static void release(struct work *w)
{
	ek_flow_sampler_free(w->sampler);
	ek_flow_task_free(w->flow);
	ek_feed_release(&w->feed);
	ek_space_release(&w->space);
	ek_condition_release(&w->condition);
	ek_condition_release(&w->clusters);
	ek_tensor_file_close(&w->weights);
	free(w->values);
	cJSON_Delete(w->config);
}

int ek_do_train_flow(struct ek_training_result *out, struct ek_run *run, struct ek_steps_options *steps,
                     const struct ek_train_flow_options *o)
{
	const int by_cluster = strcmp(o->condition, "cluster") == 0, by_group = strcmp(o->condition, "group") == 0;
	struct work w = { .asked = o };
	struct ek_training_job job = { .run = run, .options = &o->common, .task = &w.task, .feed = &w.feed };
	int rc;

	*out = (struct ek_training_result){ 0 };
	EK_TRY(ek_training_check(&o->common));
	EK_TRY(ek_steps_before(run, steps, by_cluster));
	if (by_group)
		EK_TRY(ek_steps_groups(run, steps));
	EK_TRY(prepare(&w, run, (uint64_t)o->common.seed));
	/* The paper's 1e-4 at the width of XL, more for narrower networks. */
	job.rate = 1e-4 * 1152 / w.options.model.width;
	job.config = w.config;
	job.start = w.values;
	job.by_cluster = by_cluster;
	job.by_group = w.condition.of_groups;
	job.autoencoder = w.space.kept;
	job.groups = w.clusters.codes;
	job.group_count = w.clusters.classes;
	job.losses = (struct ek_loss_log){ .every = (uint64_t)o->log_losses,
		                           .images = w.feed.images,
		                           .grid = { (int)o->draws, (uint64_t)o->common.seed } };
	job.flops = ek_flow_task_flops(w.flow) / 3;
	job.bytes = ek_flow_task_bytes(w.flow);
	EK_TRY(ek_training_do(out, &job));
	EK_TRY(ek_training_record(&job, out));
out:
	release(&w);
	return rc;
}
