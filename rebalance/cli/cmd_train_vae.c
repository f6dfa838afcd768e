/* `evenkeel train vae RUN`: an autoencoder for the images of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/weight_files.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/pipeline/space.h"
#include "rebalance/cli/training_options.h"
#include "rebalance/io/images.h"
#include "train/loop/pixels.h"

#include "train/vae/vae_task.h"

static struct {
	struct ek_training_options common;
	const char *widths, *perceptual_weights;
	int kind, attention, averages, error;
	int64_t side, latent_channels, blocks, groups, codes, discriminator_start;
	double kl, commitment, perceptual, discriminator;
} wanted;

static const struct ek_choice kinds[] = { { "kl", "latents are samples of a Gaussian, held near the standard normal" },
	                                  { "vq", "latents are rows of a learned codebook" },
	                                  { NULL, NULL } };
static const struct ek_choice errors[] = { { "squared", "mean squared error" },
	                                   { "absolute", "mean absolute error" },
	                                   { NULL, NULL } };

static const struct ek_option own[] = {
	{ .name = "kind",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.kind,
	  .choices = kinds,
	  .help = "what a latent is" },
	{ .name = "side",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.side,
	  .argument = "S",
	  .zero = "auto",
	  .low = 8,
	  .high = EK_PIXELS_SIDE_MAX,
	  .help = "pixels: the shorter side of every image is resized to it, the middle is taken; auto: the shorter "
	          "side "
	          "that most images have, at most 256" },
	{ .name = "widths",
	  .kind = EK_KIND_STRING,
	  .target = &wanted.widths,
	  .argument = "W,W,...",
	  .help = "channels of each level; every level after the first halves the side. 128,256,512,512 is that of "
	          "Stable Diffusion" },
	{ .name = "latent-channels",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.latent_channels,
	  .argument = "C",
	  .low = 1,
	  .high = 64,
	  .help = "of a latent" },
	{ .name = "blocks",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.blocks,
	  .argument = "N",
	  .low = 1,
	  .high = 8,
	  .help = "residual blocks a level" },
	{ .name = "attention",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.attention,
	  .help = "attention in the blocks of the lowest level, too, not only in the middle" },
	{ .name = "groups",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.groups,
	  .argument = "G",
	  .low = 1,
	  .high = 256,
	  .help = "of every group norm" },
	{ .name = "codes",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.codes,
	  .argument = "N",
	  .low = 2,
	  .high = 1 << 20,
	  .help = "rows of the codebook (vq)" },
	{ .name = "error",
	  .kind = EK_KIND_CHOICE,
	  .argument = "HOW",
	  .target = &wanted.error,
	  .choices = errors,
	  .help = "of the reconstruction" },
	{ .name = "kl",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.kl,
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight of the divergence from the standard normal (kl)" },
	{ .name = "commitment",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.commitment,
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight that holds latents near their codes (vq)" },
	{ .name = "codebook-averages",
	  .kind = EK_KIND_FLAG,
	  .target = &wanted.averages,
	  .help = "codes are moving averages of their latents instead of learning from the loss (vq)" },
	{ .name = "perceptual",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.perceptual,
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight of the difference of EfficientNet-Lite0's features; 0: none" },
	{ .name = "perceptual-weights",
	  .kind = EK_KIND_PATH,
	  .target = &wanted.perceptual_weights,
	  .argument = "FILE",
	  .help = "EfficientNet-Lite0's weights, if not where ./quickstart puts them" },
	{ .name = "discriminator",
	  .kind = EK_KIND_NUMBER,
	  .target = &wanted.discriminator,
	  .argument = "W",
	  .low = 0,
	  .high = 1e6,
	  .help = "weight of a patch discriminator's judgement; 0: none" },
	{ .name = "discriminator-start",
	  .kind = EK_KIND_INTEGER,
	  .target = &wanted.discriminator_start,
	  .argument = "N",
	  .low = 0,
	  .high = 1e12,
	  .help = "the step from which the discriminator takes part" },
	{ .name = NULL },
};

static const struct ek_training_words words = {
	.flip = "mirror half of the images",
	.from_argument = "DIR",
	.from = "start from a model that diffusers wrote (config.json and weights), which also sets the architecture",
};

void ek_train_vae_options(struct ek_settings *settings)
{
	ek_training_rows(settings, &wanted.common, own, &words);
	wanted.common.batch = 64;
	wanted.common.average = 0.999;
	wanted.widths = "64,128,128";
	wanted.perceptual_weights = NULL;
	wanted.kind = wanted.attention = wanted.averages = wanted.error = 0;
	wanted.side = 0;
	wanted.latent_channels = 4;
	wanted.blocks = 1;
	wanted.groups = 32;
	wanted.codes = 1024;
	wanted.discriminator_start = 1000;
	wanted.kl = 1e-6;
	wanted.commitment = 0.25;
	wanted.perceptual = wanted.discriminator = 0;
}

static int parse_widths(struct ek_autoencoder_config *c)
{
	const char *text = wanted.widths;
	char *end;

	for (c->levels = 0; c->levels < EK_AUTOENCODER_MAX_LEVELS; text = end + 1) {
		const long width = strtol(text, &end, 10);

		if (end == text || width < 1 || width > 1 << 14 || (*end != 0 && *end != ','))
			break;
		c->widths[c->levels++] = (int)width;
		if (*end == 0)
			return 0;
	}
	return ek_fail(EK_EUSAGE, "--widths %s: wants 1 to %d numbers with commas between", wanted.widths,
	               EK_AUTOENCODER_MAX_LEVELS);
}

/* The shorter side that most images have. */
static int common_side(uint64_t *side, const struct ek_run *run)
{
	enum { LARGEST = 256 };
	uint64_t counts[LARGEST + 1] = { 0 };
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	int rc;

	EK_TRY(ek_images_open(&images, run));
	while ((rc = ek_images_next(images, &record)) > 0) {
		const uint32_t shorter = record.width < record.height ? record.width : record.height;

		counts[shorter < LARGEST ? shorter : LARGEST]++;
		ek_image_record_release(&record);
	}
	EK_TRY(rc);
	*side = LARGEST;
	for (uint64_t s = LARGEST; s > 0; s--)
		if (counts[s] > counts[*side])
			*side = s;
out:
	ek_images_close(images);
	return rc;
}

static int find_config(struct ek_autoencoder_config *c, const struct ek_run *run)
{
	uint64_t side = (uint64_t)wanted.side;
	int rc;

	*c = (struct ek_autoencoder_config){
		.kind = wanted.kind == 1 ? EK_AUTOENCODER_VQ : EK_AUTOENCODER_KL,
		.channels = 3,
		.latent_channels = (int)wanted.latent_channels,
		.blocks = (int)wanted.blocks,
		.attention = wanted.attention,
		.groups = (int)wanted.groups,
		.codes = wanted.kind == 1 ? (int)wanted.codes : 0,
		.code_width = wanted.kind == 1 ? (int)wanted.latent_channels : 0,
		.scale = 1,
	};
	EK_TRY(parse_widths(c));
	if (side == 0) {
		EK_TRY(common_side(&side, run));
		side -= side % (uint64_t)ek_autoencoder_factor(c);
	}
	c->side = (int)side;
	EK_TRY(ek_autoencoder_config_check(c));
out:
	return rc;
}

struct work {
	struct ek_autoencoder start; /* with --from */
	struct ek_vae_options options;
	struct ek_pixels pixels;
	struct ek_feed feed;
	struct ek_vae *vae;
	float *values;
	char *perceptual;
	cJSON *config;
};

static const uint8_t *image_of(void *context, int64_t id)
{
	return ek_pixels_of(context, id);
}

static int fill_options(struct work *w, const struct ek_run *run, uint64_t seed)
{
	struct ek_vae_options *o = &w->options;
	int rc = 0;

	*o = (struct ek_vae_options){
		.batch = (int)wanted.common.batch,
		.slice = (int)wanted.common.slice,
		.precision = (enum ek_nn_precision)wanted.common.precision,
		.seed = seed,
		.flip = wanted.common.flip,
		.absolute = wanted.error,
		.recompute = wanted.common.recompute,
		.kl_weight = wanted.kl,
		.commitment = wanted.commitment,
		.codebook_weight = wanted.averages ? 0 : 1,
		.codebook_decay = 0.99,
		.codebook_averages = wanted.averages,
		.codebook_from_data = wanted.common.from == NULL,
		.codebook_revive = 0.01,
		.perceptual_weight = wanted.perceptual,
		.discriminator_weight = wanted.discriminator,
		.discriminator_start = (uint64_t)wanted.discriminator_start,
		.discriminator_width = 64,
		.discriminator_layers = 3,
	};
	if (wanted.common.from != NULL) {
		EK_TRY(ek_autoencoder_open(&w->start, wanted.common.from));
		o->model = w->start.config;
		if (wanted.side > 0)
			o->model.side = (int)wanted.side;
		EK_TRY(ek_autoencoder_config_check(&o->model));
	} else {
		EK_TRY(find_config(&o->model, run));
	}
	if (o->slice == 0) { /* as many pixels as 8 to 16 images of 64 × 64 */
		const int most = ek_vae_usual_slice(&o->model);

		o->slice = ek_trainer_slice((uint64_t)o->batch, most / 2, most);
	}
	if (wanted.perceptual > 0) {
		EK_TRY(ek_weight_file_find(&w->perceptual, "efficientnet-lite0", wanted.perceptual_weights));
		o->perceptual_file = w->perceptual;
	}
out:
	return rc;
}

static int describe(struct work *w, const struct ek_run *run)
{
	const struct ek_vae_options *o = &w->options;
	const struct ek_autoencoder_config *c = &o->model;
	cJSON *model, *widths, *loss;
	int rc = 0;

	if ((w->config = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for config.json");
	EK_TRY(ek_json_add_string(w->config, "evenkeel", "vae"));
	EK_TRY(ek_json_add_object(&model, w->config, "model"));
	EK_TRY(ek_json_add_string(model, "kind", kinds[c->kind].name));
	EK_TRY(ek_json_add_u64(model, "side", (uint64_t)c->side));
	EK_TRY(ek_json_add_u64(model, "latent_channels", (uint64_t)c->latent_channels));
	EK_TRY(ek_json_add_array(&widths, model, "widths"));
	for (int i = 0; i < c->levels; i++)
		EK_TRY(ek_json_add_u64(widths, NULL, (uint64_t)c->widths[i]));
	EK_TRY(ek_json_add_u64(model, "blocks", (uint64_t)c->blocks));
	EK_TRY(ek_json_add_bool(model, "attention", c->attention));
	EK_TRY(ek_json_add_u64(model, "groups", (uint64_t)c->groups));
	EK_TRY(ek_json_add_u64(model, "codes", (uint64_t)c->codes));
	EK_TRY(ek_json_add_object(&loss, w->config, "loss"));
	EK_TRY(ek_json_add_string(loss, "error", errors[o->absolute].name));
	EK_TRY(ek_json_add_double(loss, "kl", o->kl_weight));
	EK_TRY(ek_json_add_double(loss, "commitment", o->commitment));
	EK_TRY(ek_json_add_bool(loss, "codebook_averages", o->codebook_averages));
	EK_TRY(ek_json_add_double(loss, "perceptual", o->perceptual_weight));
	EK_TRY(ek_json_add_double(loss, "discriminator", o->discriminator_weight));
	EK_TRY(ek_json_add_u64(loss, "discriminator_start", o->discriminator_start));
	EK_TRY(ek_json_add_bool(w->config, "flip", o->flip));
	EK_TRY(ek_json_add_string(w->config, "pixels", w->pixels.key));
	EK_TRY(ek_training_add_from(w->config, run, &wanted.common));
out:
	return rc;
}

static int prepare(struct work *w, struct ek_run *run, uint64_t seed)
{
	const struct ek_task *task;
	int rc;

	EK_TRY(fill_options(w, run, seed));
	EK_TRY(ek_feed_open(&w->feed, run,
	                    &(struct ek_feed_options){ .subset = wanted.common.subset,
	                                               .weights = wanted.common.weights,
	                                               .loss_weights = wanted.common.loss_weights,
	                                               .validate = wanted.common.validate,
	                                               .seed = seed }));
	EK_TRY(ek_pixels_open(&w->pixels, run, w->options.model.side));
	EK_TRY(ek_vae_new(
		&w->vae, &w->options,
		&(struct ek_vae_images){ .image = image_of, .context = &w->pixels, .count = w->pixels.count }));
	task = ek_vae_task(w->vae);
	EK_TRY(ek_alloc_aligned(&w->values, task->params->size, sizeof(float)));
	ek_params_initialise(task->params, seed, w->values);
	if (wanted.common.from != NULL)
		memcpy(w->values, w->start.values, w->start.params.size * sizeof *w->values);
	EK_TRY(describe(w, run));
out:
	return rc;
}

static void release(struct work *w)
{
	ek_vae_free(w->vae);
	ek_feed_release(&w->feed);
	ek_pixels_close(&w->pixels);
	ek_autoencoder_release(&w->start);
	free(w->values);
	free(w->perceptual);
	cJSON_Delete(w->config);
}

static int train(struct ek_invocation *i, struct ek_run *run)
{
	struct work w = { 0 };
	struct ek_training_job job = {
		.run = run, .options = &wanted.common, .feed = &w.feed, .rate = 4e-4, .force = i->settings.common.force
	};
	struct ek_training_result result = { 0 };
	int rc;

	EK_TRY(prepare(&w, run, (uint64_t)i->settings.plan.seed));
	job.task = ek_vae_task(w.vae);
	job.config = w.config;
	job.start = w.values;
	job.flops = ek_vae_flops(w.vae);
	job.bytes = ek_vae_bytes(w.vae);
	EK_TRY(ek_training_do(&result, &job));
	if (!i->settings.common.wordless)
		EK_TRY(ek_training_print(&result, wanted.common.name, i->settings.common.json));
	if (!wanted.common.dry_run)
		EK_TRY(ek_space_publish(run, wanted.common.name, &w.options.model, w.options.precision));

out:
	ek_training_result_release(&result);
	release(&w);
	return rc;
}

int ek_cmd_train_vae(struct ek_invocation *i)
{
	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE,
		               "train vae takes one run directory, not %d words; see evenkeel help train vae",
		               i->arguments.count);
	if (wanted.common.name == NULL)
		return ek_fail(EK_EUSAGE, "train vae needs --name NAME; see evenkeel help train vae");
	return ek_command_bring_up_to_date(i, ek_plan_before, train);
}
