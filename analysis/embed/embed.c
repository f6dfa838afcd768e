#include "analysis/embed/embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/activation.h"
#include "analysis/embed/embed_internal.h"
#include "analysis/embed/model.h"
#include "analysis/embed/pass.h"
#include "analysis/embed/weight_files.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/io/images.h"
#include "train/nn/device.h"

enum { VERSION = 1, SAMPLE = 4096 };

/* Among the options, so that what was cropped by another rule (without a name, or one pixel beside) is made anew. */
static const char crop_rule[] = "centre, half to even";

struct ek_embed {
	const struct ek_encoder *encoder;
	struct ek_preprocessing preprocessing;
	char *weights;              /* path; NULL: none needed, or none found (then `sha256` is what was recorded) */
	char sha256[EK_SHA256_HEX]; /* of the weight file; "" without */
	char activation[32];        /* where a file beside the weights says another than the published one; else "" */
	enum ek_nn_type type;
	enum ek_dtype storage;
	uint64_t images;
	cJSON *options;
	struct ek_step step;
};

/* The median shorter side of the first images. */
static int median_side(uint32_t *median, const struct ek_run *run)
{
	struct ek_image_record record;
	struct ek_images *images = NULL;
	uint32_t *sides = NULL;
	size_t count = 0;
	int rc;

	EK_TRY(ek_alloc(&sides, SAMPLE, sizeof *sides));
	EK_TRY(ek_images_open(&images, run));
	while (count < SAMPLE && (rc = ek_images_next(images, &record)) > 0) {
		sides[count++] = record.width < record.height ? record.width : record.height;
		ek_image_record_release(&record);
	}
	if (rc < 0)
		goto out;
	qsort(sides, count, sizeof *sides, ek_compare_u32);
	*median = count > 0 ? sides[count / 2] : 0;
	rc = 0;
out:
	ek_images_close(images);
	free(sides);
	return rc;
}

static int find_activation(struct ek_embed *e)
{
	const char *name;
	int said, rc;

	if (e->encoder->activation == NULL)
		return 0;
	if ((rc = ek_activation_find(&name, &said, e->encoder, e->weights)) == 0 &&
	    strcmp(name, e->encoder->activation) != 0)
		(void)snprintf(e->activation, sizeof e->activation, "%s", name);
	return rc;
}

/* The hash of the weight file, or, where there is no file to be found but the run has embeddings by this encoder,
 * the hash they were made with: a run stays readable on a machine without the weights. */
static int find_weights(struct ek_embed *e, const struct ek_run *run, const char *given)
{
	const cJSON *recorded = ek_run_recorded(run, "embed");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(recorded, "options");
	const char *encoder = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "encoder"));
	const char *hash = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "weights_sha256"));
	const char *activation = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(options, "activation"));
	uint8_t digest[EK_SHA256_SIZE];
	int rc;

	rc = ek_weight_file_find(&e->weights, e->encoder->name, given);
	if (rc < 0 && given == NULL && encoder != NULL && strcmp(encoder, e->encoder->name) == 0 && hash != NULL &&
	    strlen(hash) < sizeof e->sha256) {
		memcpy(e->sha256, hash, strlen(hash) + 1);
		(void)snprintf(e->activation, sizeof e->activation, "%s", activation != NULL ? activation : "");
		return 0;
	}
	if (rc < 0)
		return rc;
	EK_TRY(ek_sha256_file(digest, e->weights));
	ek_hex(e->sha256, digest, sizeof digest);
	if (given == NULL)
		EK_TRY(ek_weight_file_check(e->weights, e->sha256));
	EK_TRY(find_activation(e));
out:
	return rc;
}

static int resolve(struct ek_embed *e, const struct ek_run *run, const struct ek_embed_options *o)
{
	uint32_t median = 0;
	int rc;

	if (o->storage != EK_F32 && o->storage != EK_F16)
		return ek_fail(EK_EUSAGE, "embeddings are stored as float16 or float32, not %s",
		               ek_dtype_name(o->storage));
	if (o->precision == EK_NN_BF16 && !ek_device_has_bf16())
		return ek_fail(EK_ENOTSUP, "this processor has no bfloat16 products: 'precision' f32 or auto");
	EK_TRY(ek_encoder_find(&e->encoder, o->encoder != NULL ? o->encoder : ek_encoders[0].name));
	EK_TRY(ek_images_count(&e->images, run));
	EK_TRY(median_side(&median, run));
	EK_TRY(ek_encoder_preprocessing(&e->preprocessing, e->encoder, o->input_size, median));
	if (o->resize > 0)
		e->preprocessing.resize = o->resize;
	e->type = e->encoder->build != NULL ? ek_nn_precision_type(o->precision) : EK_NN_FLOAT32;
	e->storage = o->storage;
	if (e->encoder->build != NULL)
		EK_TRY(find_weights(e, run, o->weights));
out:
	return rc;
}

static const char *precision_name(const struct ek_embed *e)
{
	return e->type == EK_NN_BFLOAT16 ? "bfloat16" : "float32";
}

/* The scan's hash of what the images show, or NULL. Their names and attributes may change without a new pass. */
static const char *contents_of(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");

	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(counts, "contents"));
}

static int describe_options(struct ek_embed *e, const struct ek_run *run)
{
	const char *contents = contents_of(run);
	cJSON *images;
	int rc = 0;

	if ((e->options = cJSON_CreateObject()) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for the options");
	EK_TRY(ek_json_add_string(e->options, "encoder", e->encoder->name));
	if (contents != NULL) {
		EK_TRY(ek_json_add_object(&images, e->options, "images"));
		EK_TRY(ek_json_add_string(images, "contents", contents));
	}
	if (e->encoder->build != NULL)
		EK_TRY(ek_json_add_string(e->options, "weights_sha256", e->sha256));
	if (e->activation[0] != 0)
		EK_TRY(ek_json_add_string(e->options, "activation", e->activation));
	EK_TRY(ek_json_add_u64(e->options, "input_size", (uint64_t)e->preprocessing.side));
	EK_TRY(ek_json_add_u64(e->options, "resize", (uint64_t)e->preprocessing.resize));
	if (e->preprocessing.crop == EK_CROP_CENTRE)
		EK_TRY(ek_json_add_string(e->options, "crop", crop_rule));
	EK_TRY(ek_json_add_string(e->options, "precision", precision_name(e)));
	EK_TRY(ek_json_add_string(e->options, "dtype", ek_dtype_name(e->storage)));
out:
	return rc;
}

int ek_embed_prepare(struct ek_embed **out, const struct ek_run *run, const struct ek_embed_options *options)
{
	static const char *const list[] = { "images.jsonl", NULL }, *const none[] = { NULL };
	static const char *const outputs[] = { "embeddings.npy", "embeddings.json", NULL };
	struct ek_embed *e;
	int rc;

	*out = NULL;
	EK_TRY(ek_alloc(&e, 1, sizeof *e));
	*out = e;
	EK_TRY(resolve(e, run, options));
	EK_TRY(describe_options(e, run));
	e->step = (struct ek_step){ .name = "embed",
		                    .version = VERSION,
		                    .options = e->options,
		                    .inputs = contents_of(run) != NULL ? none : list,
		                    .outputs = outputs };
out:
	if (rc < 0) {
		ek_embed_free(*out);
		*out = NULL;
	}
	return rc;
}

void ek_embed_free(struct ek_embed *e)
{
	if (e != NULL) {
		cJSON_Delete(e->options);
		free(e->weights);
	}
	free(e);
}

const struct ek_step *ek_embed_step(const struct ek_embed *e)
{
	return &e->step;
}

static int add_numbers(cJSON *parent, const char *name, const double values[3])
{
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_array(&list, parent, name));
	for (int c = 0; c < 3; c++)
		EK_TRY(ek_json_add_double(list, NULL, values[c]));
out:
	return rc;
}

static int add_preprocessing(cJSON *parent, const struct ek_preprocessing *p)
{
	const char *const how = p->interpolation == EK_INTERPOLATION_TORCH ? " without antialiasing" : "";
	char *interpolation = NULL;
	cJSON *o;
	int rc;

	EK_TRY(ek_json_add_object(&o, parent, "preprocessing"));
	EK_TRY(ek_json_add_u64(o, "resize", (uint64_t)p->resize));
	EK_TRY(ek_json_add_string(o, "crop", p->crop == EK_CROP_CENTRE ? "centre" : "none"));
	EK_TRY(ek_format(&interpolation, "%s%s", ek_filter_name(p->filter), how));
	EK_TRY(ek_json_add_string(o, "interpolation", interpolation));
	EK_TRY(add_numbers(o, "mean", p->mean));
	EK_TRY(add_numbers(o, "deviation", p->deviation));
out:
	free(interpolation);
	return rc;
}

static int add_weights(cJSON *parent, const struct ek_embed *e)
{
	const char *slash;
	cJSON *o;
	int rc;

	if (e->encoder->build == NULL)
		return ek_json_add_null(parent, "weights");
	slash = strrchr(e->weights, '/');
	EK_TRY(ek_json_add_object(&o, parent, "weights"));
	EK_TRY(ek_json_add_string(o, "file", slash != NULL ? slash + 1 : e->weights));
	EK_TRY(ek_json_add_string(o, "sha256", e->sha256));
	if (e->activation[0] != 0)
		EK_TRY(ek_json_add_string(o, "activation", e->activation));
out:
	return rc;
}

static int save_description(const struct ek_embed *e, const char *path, size_t dimensions)
{
	cJSON *o = cJSON_CreateObject();
	int rc;

	if (o == NULL)
		return ek_fail(EK_ENOMEM, "no memory for %s", path);
	EK_TRY(ek_json_add_string(o, "encoder", e->encoder->name));
	EK_TRY(add_weights(o, e));
	EK_TRY(ek_json_add_u64(o, "input_size", (uint64_t)e->preprocessing.side));
	EK_TRY(ek_json_add_string(o, "precision", precision_name(e)));
	EK_TRY(add_preprocessing(o, &e->preprocessing));
	EK_TRY(ek_json_add_u64(o, "dimensions", dimensions));
	EK_TRY(ek_json_add_u64(o, "images", e->images));
	EK_TRY(ek_json_add_string(o, "dtype", ek_dtype_name(e->storage)));
	EK_TRY(ek_json_add_bool(o, "normalised", 0));
	EK_TRY(ek_json_save(o, path));
out:
	cJSON_Delete(o);
	return rc;
}

/* What a partial file must have been made from to be continued: options and images, as a hash. */
static int partial_key(char key[EK_SHA256_HEX], const struct ek_embed *e, const struct ek_run *run)
{
	char *path = NULL, *options = NULL, *text = NULL;
	uint8_t digest[EK_SHA256_SIZE];
	uint64_t images = 0; /* where the options name the images' contents */
	int rc;

	EK_TRY(ek_run_file(&path, run, "images.jsonl"));
	if (contents_of(run) == NULL)
		EK_TRY(ek_hash64_file(&images, path));
	if ((options = cJSON_PrintUnformatted(e->options)) == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory for the options");
		goto out;
	}
	EK_TRY(ek_format(&text, "%s %016llx", options, (unsigned long long)images));
	EK_TRY(ek_sha256(digest, text, strlen(text)));
	ek_hex(key, digest, sizeof digest);
out:
	free(path);
	cJSON_free(options);
	free(text);
	return rc;
}

static int check_weights(const struct ek_embed *e)
{
	char *path = NULL;
	int rc;

	if (e->encoder->build == NULL || e->weights != NULL)
		return 0;
	rc = ek_weight_file_find(&path, e->encoder->name, NULL); /* says what is missing */
	free(path);
	return rc < 0 ? rc : ek_fail(EK_EIO, "the weight file of %s appeared just now: try again", e->encoder->name);
}

double ek_embed_work(const struct ek_embed *e, uint64_t images)
{
	const double pixel = 8e3, side = e->preprocessing.side; /* EfficientNet-Lite0's, the least of all */

	return e->encoder->build != NULL ? pixel * side * side * (double)(images > 0 ? images : e->images) : 0;
}

const struct ek_preprocessing *ek_embed_preprocessing(const struct ek_embed *e)
{
	return &e->preprocessing;
}

int ek_embed_model(struct ek_model **model, size_t *dimensions, int *batch, const struct ek_embed *e)
{
	const enum ek_nn_precision precision = e->type == EK_NN_BFLOAT16 ? EK_NN_BF16 : EK_NN_F32;
	int rc;

	*dimensions = ek_encoder_dimensions(e->encoder, &e->preprocessing);
	*batch = ek_model_batch(&e->preprocessing);
	EK_TRY(check_weights(e));
	while ((rc = ek_model_new(model, e->encoder, &e->preprocessing, e->weights, precision, *batch)) == EK_ENOMEM &&
	       *batch > 1) {
		ek_info("%s", ek_error_message());
		*batch /= 2;
	}
out:
	return rc;
}

/* 1, and the array's hash, where it was written whole by this process; else 0. */
static int embed_to(uint64_t *hash, struct ek_embed *e, const struct ek_run *run, const char *path)
{
	const struct ek_preprocessing *p = &e->preprocessing;
	struct ek_pass pass = { .run = run,
		                .preprocessing = p,
		                .dimensions = ek_encoder_dimensions(e->encoder, p),
		                .images = e->images,
		                .storage = e->storage };
	const uint64_t shape[2] = { e->images, pass.dimensions };
	struct ek_npy_writer *writer = NULL;
	struct ek_model *model = NULL;
	char *description = NULL, key[EK_SHA256_HEX];
	uint64_t rows_done;
	int rc;

	EK_TRY(ek_format(&description, "%.*s.json", (int)strlen(path) - 4, path));
	EK_TRY(partial_key(key, e, run));
	EK_TRY(ek_embed_model(&model, &pass.dimensions, &pass.batch, e));
	pass.model = model;
	EK_TRY(ek_npy_writer_open(&writer, &rows_done, path, e->storage, 2, shape, key));
	EK_TRY(ek_pass_run(&pass, writer, rows_done));
	EK_TRY(ek_npy_writer_commit(writer));
	EK_TRY(save_description(e, description, pass.dimensions));
	rc = ek_npy_writer_hash(hash, writer);
out:
	ek_npy_writer_free(writer);
	ek_model_free(model);
	free(description);
	return rc;
}

int ek_embed_run(struct ek_embed *e, const struct ek_run *run)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, e->step.outputs[0]));
	EK_TRY(embed_to(&e->step.hash, e, run, path));
	e->step.hashed = rc > 0 ? e->step.outputs[0] : NULL;
	rc = 0;
out:
	free(path);
	return rc;
}

int ek_embed_to(struct ek_embed *e, const struct ek_run *run, const char *path)
{
	uint64_t hash;
	const int rc = embed_to(&hash, e, run, path);

	return rc < 0 ? rc : 0;
}
