#include "rebalance/pipeline/train_vae.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/embed/weight_files.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/images.h"
#include "rebalance/pipeline/device.h"
#include "rebalance/pipeline/space.h"
#include "train/vae/vae_task.h"

const struct ek_choice ek_vae_kinds[] = { { "kl", "latents are samples of a Gaussian, held near the standard normal" },
	                                  { "vq", "latents are rows of a learned codebook" },
	                                  { NULL, NULL } };
const struct ek_choice ek_vae_errors[] = { { "squared", "mean squared error" },
	                                   { "absolute", "mean absolute error" },
	                                   { NULL, NULL } };

const struct ek_train_vae_options ek_train_vae_default = { .common = { EK_TRAINING_DEFAULT(64, 0.999) },
	                                                   .widths = "64,128,128",
	                                                   .latent_channels = 4,
	                                                   .blocks = 1,
	                                                   .groups = 32,
	                                                   .codes = 1024,
	                                                   .discriminator_start = 1000,
	                                                   .kl = 1e-6,
	                                                   .commitment = 0.25 };

static int parse_widths(struct ek_autoencoder_config *c, const char *widths)
{
	const char *text = widths;
	char *end;

	for (c->levels = 0; c->levels < EK_AUTOENCODER_MAX_LEVELS; text = end + 1) {
		const long width = strtol(text, &end, 10);

		if (end == text || width < 1 || width > 1 << 14 || (*end != 0 && *end != ','))
			break;
		c->widths[c->levels++] = (int)width;
		if (*end == 0)
			return 0;
	}
	return ek_fail(EK_EUSAGE, "'widths' is \"%s\", not 1 to %d numbers with commas between", widths,
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

static int find_config(struct ek_autoencoder_config *c, const struct ek_run *run, const struct ek_train_vae_options *o)
{
	uint64_t side = (uint64_t)o->side;
	int rc;

	*c = (struct ek_autoencoder_config){
		.kind = o->kind == 1 ? EK_AUTOENCODER_VQ : EK_AUTOENCODER_KL,
		.channels = 3,
		.latent_channels = (int)o->latent_channels,
		.blocks = (int)o->blocks,
		.attention = o->attention,
		.groups = (int)o->groups,
		.codes = o->kind == 1 ? (int)o->codes : 0,
		.code_width = o->kind == 1 ? (int)o->latent_channels : 0,
		.scale = 1,
	};
	EK_TRY(parse_widths(c, o->widths));
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
	const struct ek_train_vae_options *asked;
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

/* Where only a time or epochs end a training: so many steps are worth any device. */
enum { STEPS_OF_A_LIMIT = 100000 };

static int fill_options(struct work *w, const struct ek_run *run, uint64_t seed)
{
	struct ek_vae_options *o = &w->options;
	int usual, rc = 0;

	*o = (struct ek_vae_options){
		.batch = (int)w->asked->common.batch,
		.precision = (enum ek_nn_precision)w->asked->common.precision,
		.seed = seed,
		.flip = w->asked->common.flip,
		.absolute = w->asked->error,
		.recompute = w->asked->common.recompute,
		.kl_weight = w->asked->kl,
		.commitment = w->asked->commitment,
		.codebook_weight = w->asked->averages ? 0 : 1,
		.codebook_decay = 0.99,
		.codebook_averages = w->asked->averages,
		.codebook_from_data = w->asked->common.from == NULL,
		.codebook_revive = 0.01,
		.perceptual_weight = w->asked->perceptual,
		.discriminator_weight = w->asked->discriminator,
		.discriminator_start = (uint64_t)w->asked->discriminator_start,
		.discriminator_width = 64,
		.discriminator_layers = 3,
	};
	if (w->asked->common.from != NULL) {
		EK_TRY(ek_autoencoder_open(&w->start, w->asked->common.from));
		o->model = w->start.config;
		if (w->asked->side > 0)
			o->model.side = (int)w->asked->side;
		EK_TRY(ek_autoencoder_config_check(&o->model));
	} else {
		EK_TRY(find_config(&o->model, run, w->asked));
	}
	ek_device_for(3 * ek_autoencoder_work(&o->model) * (double)o->batch *
	              (w->asked->common.steps > 0 ? (double)w->asked->common.steps : STEPS_OF_A_LIMIT));
	usual = ek_vae_usual_slice(&o->model); /* as many pixels as 8 to 16 images of 64 × 64 */
	EK_TRY(o->slice = ek_training_slice(&w->asked->common, usual / 2, usual));
	rc = 0;
	if (w->asked->perceptual > 0) {
		EK_TRY(ek_weight_file_find(&w->perceptual, "efficientnet-lite0", w->asked->perceptual_weights));
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
	EK_TRY(ek_json_add_string(model, "kind", ek_vae_kinds[c->kind].name));
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
	EK_TRY(ek_json_add_string(loss, "error", ek_vae_errors[o->absolute].name));
	EK_TRY(ek_json_add_double(loss, "kl", o->kl_weight));
	EK_TRY(ek_json_add_double(loss, "commitment", o->commitment));
	EK_TRY(ek_json_add_bool(loss, "codebook_averages", o->codebook_averages));
	EK_TRY(ek_json_add_double(loss, "perceptual", o->perceptual_weight));
	EK_TRY(ek_json_add_double(loss, "discriminator", o->discriminator_weight));
	EK_TRY(ek_json_add_u64(loss, "discriminator_start", o->discriminator_start));
	EK_TRY(ek_json_add_bool(w->config, "flip", o->flip));
	EK_TRY(ek_json_add_string(w->config, "pixels", w->pixels.key));
	EK_TRY(ek_training_add_from(w->config, run, &w->asked->common));
out:
	return rc;
}

static int prepare(struct work *w, struct ek_run *run, uint64_t seed)
{
	const struct ek_task *task;
	int rc;

	EK_TRY(fill_options(w, run, seed));
	EK_TRY(ek_training_feed(&w->feed, run, &w->asked->common, seed));
	EK_TRY(ek_pixels_open(&w->pixels, run, w->options.model.side, w->asked->common.force));
	EK_TRY(ek_vae_new(
		&w->vae, &w->options,
		&(struct ek_vae_images){ .image = image_of, .context = &w->pixels, .count = w->pixels.count }));
	task = ek_vae_task(w->vae);
	EK_TRY(ek_alloc_aligned(&w->values, task->params->size, sizeof(float)));
	ek_params_initialise(task->params, seed, w->values);
	if (w->asked->common.from != NULL)
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

int ek_do_train_vae(struct ek_training_result *out, struct ek_run *run, struct ek_steps_options *steps,
                    const struct ek_train_vae_options *o)
{
	struct work w = { .asked = o };
	struct ek_training_job job = { .run = run, .options = &o->common, .feed = &w.feed, .rate = 4e-4 };
	int rc;

	*out = (struct ek_training_result){ 0 };
	EK_TRY(ek_training_check(&o->common));
	EK_TRY(ek_steps_before(run, steps, 0));
	EK_TRY(prepare(&w, run, (uint64_t)o->common.seed));
	job.task = ek_vae_task(w.vae);
	job.config = w.config;
	job.start = w.values;
	job.flops = ek_vae_flops(w.vae);
	job.bytes = ek_vae_bytes(w.vae);
	EK_TRY(ek_training_do(out, &job));
	if (!o->common.dry_run)
		EK_TRY(ek_space_publish(run, o->common.name, &w.options.model, w.options.precision));
	EK_TRY(ek_training_record(&job, out));
out:
	release(&w);
	return rc;
}
