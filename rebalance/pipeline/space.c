#include "rebalance/pipeline/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/kept_path.h"
#include "train/loop/checkpoint.h"
#include "train/vae/vae_task.h"

enum { LATENTS_VERSION = 1 };

static const uint8_t *image_of(void *context, int64_t id)
{
	return ek_pixels_of(context, id);
}

/* RUN/models/NAME if there is one, else the folder itself. */
static int find_autoencoder(char **folder, const struct ek_run *run, const char *name)
{
	char *weights = NULL;
	int rc;

	EK_TRY(ek_layout_path(folder, run, "models/*", name));
	EK_TRY(ek_format(&weights, "%s/diffusion_pytorch_model.safetensors", *folder));
	if (strchr(name, '/') == NULL && ek_file_exists(weights))
		goto out;
	if (strchr(name, '/') == NULL && ek_file_exists(*folder)) {
		rc = ek_fail(EK_EUSAGE, "%s is no finished autoencoder: evenkeel train vae ends with one", *folder);
		goto out;
	}
	free(*folder);
	*folder = NULL;
	if (!ek_file_exists(name))
		rc = ek_fail(
			EK_EUSAGE,
			"there is no autoencoder %s: neither %s/models/%s (evenkeel train vae makes one) nor a folder "
			"of that name",
			name, ek_run_path(run), name);
	else
		rc = ek_copy_string(folder, name);
out:
	free(weights);
	return rc;
}

int ek_space_open(struct ek_space *space, const struct ek_run *run, const char *autoencoder, int image_side)
{
	struct ek_net_shape latent;
	char *folder = NULL;
	int rc = 0;

	*space = (struct ek_space){ .side = image_side, .channels = 3, .image_side = image_side };
	if (autoencoder == NULL)
		return 0;
	EK_TRY(find_autoencoder(&folder, run, autoencoder));
	EK_TRY(ek_kept_path(&space->kept, run, folder));
	EK_TRY(space->kept[0] == '/' ? ek_copy_string(&space->autoencoder, space->kept)
	                             : ek_run_file(&space->autoencoder, run, space->kept));
	EK_TRY(ek_autoencoder_open(&space->model, space->autoencoder));
	if (image_side > 0)
		space->model.config.side = image_side;
	EK_TRY(ek_autoencoder_config_check(&space->model.config));
	if (space->model.config.channels != 3) {
		rc = ek_fail(EK_ENOTSUP, "%s is for images of %d channels, these have 3", space->autoencoder,
		             space->model.config.channels);
		goto out;
	}
	latent = ek_autoencoder_latent_shape(&space->model.config);
	space->side = latent.height;
	space->channels = latent.channels;
	space->image_side = space->model.config.side;
out:
	free(folder);
	return rc;
}

/* In the run: beside the model if that is the run's own, else in the cache. */
static int latents_file(char **file, const struct ek_run *run, const char *folder, int side)
{
	char *own = NULL;
	int rc;

	EK_TRY(ek_format(&own, "%s/models/", ek_run_path(run)));
	if (strncmp(folder, own, strlen(own)) == 0)
		EK_TRY(ek_format(file, "%s/latents.npy", folder + strlen(ek_run_path(run)) + 1));
	else
		EK_TRY(ek_format(file, "cache/latents-%d-%016" PRIx64 ".npy", side, ek_hash64(folder, strlen(folder))));
out:
	free(own);
	return rc;
}

struct encoding {
	struct ek_space *space;
	const char *path, *step;
	enum ek_nn_precision precision;
	int force;
};

/* Versions that did not record latents kept beside them, in PATH.key, what they were made from: such that are these
 * need not be made again. */
static int take_unrecorded(int *taken, const struct encoding *e)
{
	const struct ek_space *s = e->space;
	struct ek_buffer text = { 0 };
	char key[EK_SHA256_HEX], *path = NULL;
	int rc;

	*taken = 0;
	EK_TRY(ek_format(&path, "%s.key", e->path));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_latents_key(key, &s->model, s->pixels.count, s->pixels.key, e->precision));
	EK_TRY(ek_file_read(&text, path, 1 << 12));
	*taken = ek_file_exists(e->path) && text.size == strlen(key) && memcmp(text.data, key, text.size) == 0;
	EK_TRY(ek_remove(path));
out:
	ek_buffer_release(&text);
	free(path);
	return rc;
}

static int encode(void *context, struct ek_run *run, cJSON *counts)
{
	const struct encoding *e = context;
	struct ek_space *s = e->space;
	const struct ek_vae_images images = { .image = image_of, .context = &s->pixels, .count = s->pixels.count };
	int taken, rc;

	EK_TRY(take_unrecorded(&taken, e));
	if (e->force || !taken || ek_run_recorded(run, e->step) != NULL)
		EK_TRY(ek_latents_make(e->path, &s->model, &images, s->pixels.key, e->precision));
	EK_TRY(ek_json_add_u64(counts, "images", images.count));
out:
	return rc;
}

/* All that latents are made from but images.jsonl. */
static int describe_latents(cJSON **out, const struct ek_run *run, const struct ek_space *space, const char *folder,
                            enum ek_nn_precision precision)
{
	char encoder[EK_SHA256_HEX], *kept = NULL;
	int rc;

	if ((*out = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	EK_TRY(ek_kept_path(&kept, run, folder));
	EK_TRY(ek_latents_encoder(encoder, &space->model, precision));
	EK_TRY(ek_filename_add(*out, "autoencoder", kept));
	EK_TRY(ek_json_add_u64(*out, "side", (uint64_t)space->image_side));
	EK_TRY(ek_json_add_string(*out, "precision",
	                          ek_nn_precision_type(precision) == EK_NN_BFLOAT16 ? "bf16" : "f32"));
	EK_TRY(ek_json_add_string(*out, "encoder", encoder));
out:
	free(kept);
	return rc;
}

static int open_latents(struct ek_space *space, struct ek_run *run, const char *folder, enum ek_nn_precision precision,
                        int force)
{
	static const char *const inputs[] = { "images.jsonl", NULL };
	const char *outputs[] = { NULL, NULL };
	struct ek_step step = { .version = LATENTS_VERSION, .inputs = inputs, .outputs = outputs };
	struct encoding e = { .space = space, .precision = precision, .force = force };
	const struct ek_work work = { .step = &step, .doing = "encoding latents", .make = encode, .context = &e };
	char *file = NULL, *path = NULL, *name = NULL;
	cJSON *options = NULL;
	int made, rc;

	EK_TRY(latents_file(&file, run, folder, space->image_side));
	EK_TRY(ek_run_file(&path, run, file));
	EK_TRY(ek_format(&name, "latents %s", file));
	EK_TRY(describe_latents(&options, run, space, folder, precision));
	outputs[0] = file;
	e.path = path;
	step.name = e.step = name;
	step.options = options;
	EK_TRY(ek_run_bring_up(&made, run, &work, force));
	EK_TRY(ek_latents_open(&space->latents, path, &space->model.config, space->pixels.count));
out:
	free(file);
	free(path);
	free(name);
	cJSON_Delete(options);
	return rc;
}

/* What makes latents of pixels. */
static void name_weights(char out[80], const struct ek_space *space)
{
	const uint64_t hash = ek_hash64(space->model.values, space->model.params.size * sizeof *space->model.values);

	(void)snprintf(out, 80, "by weights %016" PRIx64 ", scale %.9g", hash, space->model.config.scale);
}

int ek_space_made(const struct ek_space *space, const char *key)
{
	char weights[80];

	if (space->autoencoder == NULL)
		return strncmp(key, "pixels ", 7) == 0;
	name_weights(weights, space);
	return strstr(key, weights) != NULL;
}

int ek_space_fill(struct ek_space *space, struct ek_run *run, enum ek_nn_precision precision, int force)
{
	char weights[80];
	int rc;

	EK_TRY(ek_pixels_open(&space->pixels, run, space->image_side, force));
	(void)snprintf(space->key, sizeof space->key, "pixels %s", space->pixels.key);
	if (space->autoencoder == NULL)
		goto out;
	name_weights(weights, space);
	(void)snprintf(space->key, sizeof space->key, "latents of pixels %s %s", space->pixels.key, weights);
	EK_TRY(open_latents(space, run, space->autoencoder, precision, force));
out:
	return rc;
}

void ek_space_release(struct ek_space *space)
{
	ek_latent_decoder_free(space->decoder);
	ek_latents_close(space->latents);
	ek_autoencoder_release(&space->model);
	ek_pixels_close(&space->pixels);
	free(space->autoencoder);
	free(space->kept);
}

static int is_encoder(int *same, struct ek_space *space, const cJSON *options)
{
	const char *precision = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "precision"));
	const char *then = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "encoder"));
	char now[EK_SHA256_HEX];
	int rc;

	EK_TRY(ek_latents_encoder(now, &space->model,
	                          precision != NULL && strcmp(precision, "bf16") == 0 ? EK_NN_BF16 : EK_NN_F32));
	*same = then != NULL && strcmp(then, now) == 0;
out:
	return rc;
}

int ek_space_latents_changed(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(step, "options");
	struct ek_space space = { 0 };
	char *kept = NULL, *folder = NULL;
	uint64_t side;
	int same = 1, rc;

	*reason = NULL;
	EK_TRY(ek_json_get_u64(&side, options, "side", step->string));
	EK_TRY(ek_filename_get(&kept, options, "autoencoder", step->string));
	EK_TRY(ek_kept_path_find(&folder, run, kept));
	if (folder == NULL || side > EK_PIXELS_SIDE_MAX)
		goto out;
	rc = ek_space_open(&space, run, folder, (int)side);
	if (rc < 0) { /* begun anew, or damaged: who uses it says so */
		rc = rc == EK_ENOMEM ? rc : 0;
		goto out;
	}
	EK_TRY(is_encoder(&same, &space, options));
	if (!same)
		EK_TRY(ek_format(reason, "the encoder of %s changed", kept));
out:
	ek_space_release(&space);
	free(kept);
	free(folder);
	return rc;
}

/* Half of the images mirrored, if that is wanted. */
static void get_pixels(const struct ek_space *space, int64_t id, uint64_t position, float *sample)
{
	const size_t side = (size_t)space->side;
	const uint8_t *pixels = ek_pixels_of(&space->pixels, id);

	ek_vae_from_pixels(sample, pixels, 3 * side * side);
	if (!space->flip || ek_random_u64(space->seed, ek_random_stream("flip"), position) >> 63 == 0)
		return;
	for (size_t y = 0; y < side; y++)
		for (size_t x = 0; x < side / 2; x++)
			for (size_t c = 0; c < 3; c++) {
				float *left = sample + (y * side + x) * 3 + c;
				float *right = sample + (y * side + side - 1 - x) * 3 + c;
				const float kept = *left;

				*left = *right;
				*right = kept;
			}
}

int ek_space_get(const struct ek_space *space, int64_t id, uint64_t position, float *sample)
{
	if (space->latents == NULL)
		get_pixels(space, id, position, sample);
	else
		ek_latents_get(space->latents, id, space->seed, position, sample);
	return 0;
}

int ek_space_decode(struct ek_space *space, const float *samples, uint64_t count, uint8_t *pixels,
                    enum ek_nn_precision precision)
{
	const size_t size = 3 * (size_t)space->image_side * (size_t)space->image_side;
	int rc = 0;

	if (space->autoencoder == NULL) {
		ek_vae_to_pixels(pixels, samples, count * size);
		return 0;
	}
	if (space->decoder == NULL)
		EK_TRY(ek_latent_decoder_new(&space->decoder, &space->model, precision));
	EK_TRY(ek_latent_decoder_run(space->decoder, samples, count, pixels));
out:
	return rc;
}

static int load_averages(struct ek_autoencoder *model, const char *folder)
{
	static const char *const others[] = { "discriminator.", NULL };
	const struct ek_params_names names = { .prefix = "ema.", .ignored = others };
	struct ek_tensor_file file = { 0 };
	uint64_t step;
	int found, rc;

	EK_TRY(found = ek_checkpoint_open(&file, &step, folder, EK_CHECKPOINT_AVERAGE));
	if (!found) {
		rc = ek_fail(EK_EDATA, "%s has no checkpoint", folder);
		goto out;
	}
	EK_TRY(ek_autoencoder_params(&model->params, &model->config));
	EK_TRY(ek_alloc_aligned(&model->values, model->params.size, sizeof(float)));
	EK_TRY(ek_params_read(model->values, &model->params, &file, &names));
out:
	ek_tensor_file_close(&file);
	return rc;
}

/* diffusers' files; in config.json stays what the training says of itself. */
static int save(const struct ek_autoencoder *model, const char *folder)
{
	cJSON *ours = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/config.json", folder));
	EK_TRY(ek_json_load(&ours, path));
	EK_TRY(ek_autoencoder_save(folder, &model->config, model->values, ours));
out:
	cJSON_Delete(ours);
	free(path);
	return rc;
}

int ek_space_publish(struct ek_run *run, const char *name, const struct ek_autoencoder_config *config,
                     enum ek_nn_precision precision)
{
	struct ek_space space = { .image_side = config->side, .model.config = *config };
	double mean, deviation;
	char *folder = NULL;
	int rc;

	EK_TRY(ek_layout_path(&folder, run, "models/*", name));
	EK_TRY(load_averages(&space.model, folder));
	EK_TRY(ek_pixels_open(&space.pixels, run, space.image_side, 0));
	EK_TRY(open_latents(&space, run, folder, precision, 0));
	EK_TRY(ek_latents_measure(space.latents, &mean, &deviation));
	if (!(deviation > 0)) {
		rc = ek_fail(EK_EDATA, "%s: all latents are the same number, %g", folder, mean);
		goto out;
	}
	space.model.config.scale = 1 / deviation;
	EK_TRY(save(&space.model, folder));
out:
	ek_space_release(&space);
	free(folder);
	return rc;
}
