/* `evenkeel train flow RUN`: a generator of images like those of a run. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"
#include "rebalance/pipeline/condition.h"
#include "rebalance/pipeline/flow_model.h"
#include "rebalance/pipeline/space.h"
#include "rebalance/cli/training_options.h"
#include "reports/sheet.h"
#include "train/flow/flow_sample.h"
#include "train/flow/flow_task.h"

static struct {
	struct ek_training_options common;
	const char *model, *autoencoder, *condition;
	int space, objective, path, prediction, weighting, times;
	int64_t width, depth, heads, patch, side;
	double drop;
} wanted;

static const struct ek_choice spaces[] = { { "latent", "the latents of --autoencoder" },
	                                   { "pixel", "the pixels themselves, for small images" },
	                                   { NULL, NULL } };

static const struct ek_option own[] = {
	{ .name = "autoencoder",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.autoencoder,
	  .argument = "NAME|DIR",
	  .help = "work in the latents of RUN/models/NAME, or of a model in a folder that diffusers wrote" },
	{ .name = "space",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.space,
	  .choices = spaces,
	  .help = "where to work" },
	{ .name = "side",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.side,
	  .argument = "S",
	  .zero = "auto",
	  .low = 8,
	  .high = EK_PIXELS_SIDE_MAX,
	  .help = "pixels of an image; auto: the autoencoder's, or 32" },
	{ .name = "model",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.model,
	  .argument = "SiT-S/2",
	  .help = "the network: SiT-S, B, L or XL with its patch; --width and the like change parts of it" },
	{ .name = "width",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.width,
	  .argument = "W",
	  .zero = "auto",
	  .low = 8,
	  .high = 8192,
	  .help = "features of a token" },
	{ .name = "depth",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.depth,
	  .argument = "N",
	  .zero = "auto",
	  .low = 1,
	  .high = 256,
	  .help = "blocks" },
	{ .name = "heads",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.heads,
	  .argument = "N",
	  .zero = "auto",
	  .low = 1,
	  .high = 256,
	  .help = "heads of attention; auto: one for each 64 features, or the model's" },
	{ .name = "patch",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.patch,
	  .argument = "P",
	  .zero = "auto",
	  .low = 1,
	  .high = 64,
	  .help = "side of what one token covers" },
	{ .name = "condition",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.condition,
	  .argument = "none|cluster|label|ATTRIBUTE",
	  .help = "what the network is told of each image" },
	{ .name = "drop",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.drop,
	  .argument = "P",
	  .low = 0,
	  .high = 1,
	  .help = "chance that it is not told, which guidance needs" },
	{ .name = "objective",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.objective,
	  .choices = ek_flow_objectives,
	  .help = "what it learns" },
	{ .name = "path",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.path,
	  .choices = ek_flow_paths,
	  .help = "from noise to data" },
	{ .name = "prediction",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.prediction,
	  .choices = ek_flow_predictions,
	  .help = "what the network gives on it" },
	{ .name = "loss",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.weighting,
	  .choices = ek_flow_weightings,
	  .help = "how the loss of a prediction of noise or score is weighted along the path" },
	{ .name = "times",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.times,
	  .choices = ek_flow_times,
	  .help = "which times are trained on" },
	{ .name = NULL },
};

static const struct ek_training_words words = {
	.flip = "mirror half of the images (pixel space)",
	.from_argument = "FILE",
	.from = "start from the weights of a SiT or DiT (.pt or .safetensors), which also sets the network; where it "
		"knows "
		"another number of classes than --condition has, each row of its table of labels starts as that for "
		"no class",
};

void ek_train_flow_options(struct ek_settings *settings)
{
	ek_training_rows(settings, &wanted.common, own, &words);
	wanted.model = "SiT-S/2";
	wanted.condition = "none";
	wanted.autoencoder = NULL;
	wanted.space = wanted.objective = wanted.path = wanted.prediction = wanted.weighting = wanted.times = 0;
	wanted.width = wanted.depth = wanted.heads = wanted.patch = wanted.side = 0;
	wanted.drop = 0.1;
}

struct work {
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
	struct ek_task task;
	float *values;
	cJSON *config;
};

static int get(void *context, int worker, int64_t id, uint64_t position, float *sample, int32_t *label)
{
	const struct work *w = context;
	const int32_t code = w->condition.codes[id];

	(void)worker;
	*label = w->condition.classes == 0 ? w->label : code >= 0 ? code : ek_sit_no_label(&w->options.model);
	return ek_space_get(&w->space, id, position, sample);
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
			        wanted.common.from, known, w->label);
	} else if (classes == c->classes) {
		ek_info("%s is for %d classes, as --condition %s has: its labels are taken as these",
		        wanted.common.from, classes, wanted.condition);
	} else {
		w->relabelled = 1;
		w->from_classes = known;
		ek_info("%s is for %d classes, --condition %s has %d: the table of labels is made anew, each row as "
		        "the "
		        "one for no class",
		        wanted.common.from, known, wanted.condition, classes);
		c->classes = classes;
	}
}

static int find_model(struct work *w)
{
	struct ek_sit_config *c = &w->options.model;
	int rc;

	if (wanted.common.from != NULL) {
		EK_TRY(ek_tensor_file_open(&w->weights, wanted.common.from));
		EK_TRY(ek_sit_file_config(c, &w->weights));
		if (c->side != w->space.side || c->channels != w->space.channels) {
			rc = ek_fail(EK_EDATA, "%s is for samples of %d x %d x %d, these are %d x %d x %d",
			             wanted.common.from, c->side, c->side, c->channels, w->space.side, w->space.side,
			             w->space.channels);
			goto out;
		}
		fit_labels(w);
	} else {
		EK_TRY(ek_sit_config_name(c, wanted.model));
		c->learned_sigma = wanted.objective == EK_OBJECTIVE_DIFFUSION;
		c->heads = wanted.width > 0 ? (int)(wanted.width + 63) / 64 : c->heads;
		c->classes = w->condition.classes > 0 ? w->condition.classes : 1;
	}
	c->side = w->space.side;
	c->channels = w->space.channels;
	c->width = wanted.width > 0 ? (int)wanted.width : c->width;
	c->depth = wanted.depth > 0 ? (int)wanted.depth : c->depth;
	c->heads = wanted.heads > 0 ? (int)wanted.heads : c->heads;
	c->patch = wanted.patch > 0 ? (int)wanted.patch : c->patch;
	rc = ek_sit_config_check(c);
out:
	return rc;
}

/* About 2,048 tokens keep a core as busy as more of them would, half of that nearly so. */
static int slice_of(const struct ek_sit_config *c, int64_t batch)
{
	const int tokens = (c->side / c->patch) * (c->side / c->patch);

	return ek_trainer_slice((uint64_t)batch, 1024 / tokens, 2048 / tokens);
}

static int fill_options(struct work *w, uint64_t seed)
{
	struct ek_flow_task_options *o = &w->options;
	int rc;

	EK_TRY(find_model(w));
	o->objective = (struct ek_objective){ .kind = (enum ek_objective_kind)wanted.objective,
		                              .path = (enum ek_path)wanted.path,
		                              .prediction = (enum ek_prediction)wanted.prediction,
		                              .weighting = (enum ek_weighting)wanted.weighting,
		                              .times = (enum ek_times)wanted.times,
		                              .times_deviation = 1 };
	EK_TRY(ek_objective_init(&o->objective));
	o->precision = (enum ek_nn_precision)wanted.common.precision;
	o->slice = wanted.common.slice > 0 ? (int)wanted.common.slice : slice_of(&o->model, wanted.common.batch);
	o->recompute = wanted.common.recompute;
	o->drop = w->condition.classes > 0 ? wanted.drop : 0;
	o->seed = seed;
out:
	return rc;
}

static int describe(struct work *w, const struct ek_run *run)
{
	const struct ek_flow_description d = { .model = w->options.model,
		                               .objective = w->options.objective,
		                               .autoencoder = w->space.kept,
		                               .image_side = w->space.image_side,
		                               .condition = wanted.condition,
		                               .names = w->condition.names,
		                               .classes = w->condition.classes,
		                               .label = w->label };
	int rc;

	EK_TRY(ek_flow_describe(&w->config, &d));
	EK_TRY(ek_json_add_double(w->config, "drop", w->options.drop));
	EK_TRY(ek_json_add_bool(w->config, "flip", w->space.flip));
	EK_TRY(ek_json_add_string(w->config, "samples", w->space.key));
	EK_TRY(ek_training_add_from(w->config, run, &wanted.common));
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
		                           PREVIEW_COLUMNS));
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
	const struct ek_flow_source source = { .context = w, .get = get };
	int rc;

	if ((wanted.space == 0) != (wanted.autoencoder != NULL))
		return ek_fail(EK_EUSAGE,
		               wanted.space == 0
		                       ? "train flow needs --autoencoder NAME (made by train vae, or a folder "
		                         "that diffusers wrote), or --space pixel for small images"
		                       : "--space pixel takes no --autoencoder");
	EK_TRY(ek_condition_load(&w->condition, run, wanted.condition));
	EK_TRY(ek_feed_open(&w->feed, run,
	                    &(struct ek_feed_options){ .subset = wanted.common.subset,
	                                               .weights = wanted.common.weights,
	                                               .loss_weights = wanted.common.loss_weights,
	                                               .validate = wanted.common.validate,
	                                               .seed = seed }));
	EK_TRY(ek_space_open(&w->space, run, wanted.autoencoder,
	                     wanted.side > 0     ? (int)wanted.side
	                     : wanted.space == 1 ? 32
	                                         : 0));
	w->space.seed = seed;
	w->space.flip = wanted.common.flip;
	EK_TRY(fill_options(w, seed));
	EK_TRY(ek_space_fill(&w->space, run, w->options.precision));
	EK_TRY(ek_flow_task_new(&w->flow, &w->task, &w->options, &source));
	w->task.preview = preview;
	w->task.preview_context = w;
	EK_TRY(ek_alloc_aligned(&w->values, w->task.params->size, sizeof(float)));
	ek_params_initialise(w->task.params, seed, w->values);
	if (wanted.common.from != NULL)
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

static double expected_seconds = NAN;

double ek_training_expected_seconds(void)
{
	return expected_seconds;
}

static int train(struct ek_invocation *i, struct ek_run *run)
{
	struct work w = { 0 };
	struct ek_training_job job = { .run = run,
		                       .options = &wanted.common,
		                       .task = &w.task,
		                       .feed = &w.feed,
		                       .force = i->settings.common.force };
	struct ek_training_result result = { 0 };
	int rc;

	EK_TRY(prepare(&w, run, (uint64_t)i->settings.plan.seed));
	/* The paper's 1e-4 at the width of XL, more for narrower networks. */
	job.rate = 1e-4 * 1152 / w.options.model.width;
	job.config = w.config;
	job.start = w.values;
	job.by_cluster = strcmp(wanted.condition, "cluster") == 0;
	job.groups = w.clusters.codes;
	job.group_count = w.clusters.classes;
	job.flops = ek_flow_task_flops(w.flow) / 3;
	job.bytes = ek_flow_task_bytes(w.flow);
	EK_TRY(ek_training_do(&result, &job));
	expected_seconds = result.estimate.seconds;
	if (!i->settings.common.wordless)
		EK_TRY(ek_training_print(&result, wanted.common.name, i->settings.common.json));
out:
	ek_training_result_release(&result);
	release(&w);
	return rc;
}

static const enum ek_step_id scan[] = { EK_STEP_SCAN, EK_STEP_END };
static const enum ek_step_id cluster[] = { EK_STEP_SCAN, EK_STEP_EMBED, EK_STEP_CLUSTER, EK_STEP_END };

int ek_cmd_train_flow(struct ek_invocation *i)
{
	struct ek_run *run = NULL;
	int rc;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE,
		               "train flow takes one run directory, not %d words; see evenkeel help train flow",
		               i->arguments.count);
	if (wanted.common.name == NULL)
		return ek_fail(EK_EUSAGE, "train flow needs --name NAME; see evenkeel help train flow");
	EK_TRY(ek_run_open(&run, i->arguments.positional[0], EK_RUN_WRITE));
	EK_TRY(ek_plan_before(i, run));
	EK_TRY(ek_steps_run(run, &i->settings, &i->arguments, strcmp(wanted.condition, "cluster") == 0 ? cluster : scan,
	                    0));
	EK_TRY(train(i, run));
out:
	ek_run_close(run);
	return rc;
}
