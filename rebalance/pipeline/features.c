#include "rebalance/pipeline/features.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/log.h"
#include "rebalance/io/images.h"
#include "rebalance/io/scan.h"

static const char made_from[] = "made_from";

static const char *text_of(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* As a file would hold it: exact integers become numbers. */
static int read_back(cJSON **out, const cJSON *json, const char *where)
{
	char *text = cJSON_PrintUnformatted(json);
	int rc =
		text != NULL ? ek_json_parse(out, text, strlen(text), where) : ek_fail(EK_ENOMEM, "no memory for JSON");

	cJSON_free(text);
	return rc;
}

/* Fill in what the options of a step "embed" say. */
static int take_options(struct ek_feature_maker *m, const cJSON *options, const char *where)
{
	const char *hash = text_of(options, "weights_sha256"), *precision, *dtype;
	uint64_t side, resize;
	int rc;

	EK_TRY(ek_json_get_u64(&side, options, "input_size", where));
	EK_TRY(ek_json_get_u64(&resize, options, "resize", where));
	EK_TRY(ek_json_get_string(&precision, options, "precision", where));
	EK_TRY(ek_json_get_string(&dtype, options, "dtype", where));
	m->input_size = (int)side;
	m->resize = (int)resize;
	m->precision = strcmp(precision, "bfloat16") == 0 ? EK_NN_BF16 : EK_NN_F32;
	m->storage = strcmp(dtype, ek_dtype_name(EK_F16)) == 0 ? EK_F16 : EK_F32;
	if (hash != NULL && strlen(hash) < sizeof m->sha256)
		memcpy(m->sha256, hash, strlen(hash) + 1);
out:
	return rc;
}

int ek_feature_maker_of_run(struct ek_feature_maker *m, const struct ek_run *run)
{
	const cJSON *recorded = ek_run_recorded(run, "embed");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(recorded, "options");
	const char *weights = text_of(cJSON_GetObjectItemCaseSensitive(recorded, "asked"), "weights");
	const char *encoder;
	char *path = NULL;
	cJSON *json = NULL;
	int rc;

	*m = (struct ek_feature_maker){ 0 };
	EK_TRY(ek_layout_path(&path, run, "embeddings.json", NULL));
	if (recorded == NULL) {
		rc = ek_fail(EK_EDATA, "%s has no embeddings: evenkeel embed %s", ek_run_path(run), ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_json_load(&json, path));
	EK_TRY(ek_json_get_string(&encoder, json, "encoder", path));
	EK_TRY(ek_copy_string(&m->encoder, encoder));
	m->own = strncmp(encoder, "own:", 4) == 0;
	if (m->own)
		goto out;
	if (weights != NULL)
		EK_TRY(ek_copy_string(&m->weights, weights));
	EK_TRY(take_options(m, options, "run.json, step embed"));
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_feature_maker_other(struct ek_feature_maker *m, const struct ek_run *run, const char *encoder,
                           const char *weights)
{
	/* FID is of features in float32. */
	const struct ek_encoder *known;
	const int is_fid = ek_encoder_find(&known, encoder) == 0 && known->fid;
	const struct ek_embed_options options = {
		.encoder = encoder, .weights = weights, .precision = is_fid ? EK_NN_F32 : EK_NN_AUTO, .storage = EK_F32
	};
	struct ek_embed *e = NULL;
	cJSON *made = NULL;
	int rc;

	*m = (struct ek_feature_maker){ .other = 1 };
	EK_TRY(ek_copy_string(&m->encoder, encoder));
	if (weights != NULL)
		EK_TRY(ek_copy_string(&m->weights, weights));
	EK_TRY(ek_embed_prepare(&e, run, &options));
	EK_TRY(read_back(&made, ek_embed_step(e)->options, encoder));
	EK_TRY(take_options(m, made, encoder));
out:
	cJSON_Delete(made);
	ek_embed_free(e);
	return rc;
}

void ek_feature_maker_release(struct ek_feature_maker *m)
{
	free(m->encoder);
	free(m->weights);
	*m = (struct ek_feature_maker){ 0 };
}

void ek_features_release(struct ek_features *f)
{
	if (f->npz.path != NULL)
		ek_npz_close(&f->npz); /* the array is in it */
	else
		ek_npy_close(&f->array);
	free(f->path);
	*f = (struct ek_features){ 0 };
}

static int is_npz(const char *path)
{
	const size_t length = strlen(path);

	return length > 4 && strcmp(path + length - 4, ".npz") == 0;
}

int ek_features_open(struct ek_features *f, const char *path, uint64_t dimensions)
{
	const struct ek_npy *a = &f->array;
	int rc;

	*f = (struct ek_features){ 0 };
	EK_TRY(ek_copy_string(&f->path, path));
	if (is_npz(path)) {
		EK_TRY(ek_npz_open(&f->npz, path));
		EK_TRY(ek_npz_array(&f->array, &f->npz, "arr_0"));
	} else {
		EK_TRY(ek_npy_open(&f->array, path));
	}
	if (a->dimensions != 2 || !ek_dtype_is_float(a->type) || a->shape[0] == 0 || a->shape[1] == 0)
		rc = ek_fail(EK_EDATA, "%s: %d dimensions of %s; embeddings are [n, d] of float16, float32 or float64",
		             path, a->dimensions, ek_dtype_name(a->type));
	else if (dimensions != 0 && a->shape[1] != dimensions)
		rc = ek_fail(EK_EDATA,
		             "%s: embeddings of %" PRIu64 " dimensions, those that they are measured against have "
		             "%" PRIu64 ": another encoder made them",
		             path, a->shape[1], dimensions);
	EK_TRY(rc);
	EK_TRY(ek_rows_of(&f->rows, a, 0));
out:
	return rc;
}

/* List the images, if they are not listed as they are now. */
static int scan(struct ek_run *list, const char *const *datasets, size_t count, int whole, int again)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	cJSON *options = NULL;
	struct ek_step step;
	const char *reason;
	uint64_t rejected;
	int current, rc;

	o.datasets = datasets;
	o.dataset_count = count;
	EK_TRY(ek_scan_step(&step, &options, &o, ek_run_recorded(list, "scan") != NULL));
	EK_TRY(ek_scan_is_current(&current, &reason, list, &step));
	if (!current || again)
		EK_TRY(ek_scan(list, &o));
	EK_TRY(ek_json_get_u64(&rejected, cJSON_GetObjectItemCaseSensitive(ek_run_recorded(list, "scan"), "counts"),
	                       "rejected", "run.json, step scan"));
	if (rejected > 0 && whole)
		rc = ek_fail(EK_EDATA, "%s: %" PRIu64 " images cannot be read; %s/rejected.jsonl says why", datasets[0],
		             rejected, ek_run_path(list));
	else if (rejected > 0)
		ek_warn("%s: %" PRIu64 " images cannot be read and are left out; %s/rejected.jsonl says why",
		        datasets[0], rejected, ek_run_path(list));
out:
	cJSON_Delete(options);
	return rc;
}

/* Is `array` there and made from `options`? */
static int is_made(const char *array, const char *description, const cJSON *options)
{
	cJSON *json = NULL, *now = NULL;
	int made = 0;

	if (ek_file_exists(array) && ek_file_exists(description) && ek_json_load(&json, description) == 0 &&
	    read_back(&now, options, array) == 0)
		made = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(json, made_from), now, 1);
	cJSON_Delete(json);
	cJSON_Delete(now);
	return made;
}

static int note_made(const char *description, const cJSON *options)
{
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_json_load(&json, description));
	EK_TRY(ek_json_add_item(json, made_from, cJSON_Duplicate(options, 1)));
	EK_TRY(ek_json_save(json, description));
out:
	cJSON_Delete(json);
	return rc;
}

/* The features of the images of `list`, made if they are not there. */
static int make(struct ek_features *out, const struct ek_run *list, const struct ek_feature_maker *m, const char *array)
{
	const struct ek_embed_options o = { .encoder = m->encoder,
		                            .weights = m->weights,
		                            .input_size = m->input_size,
		                            .resize = m->resize,
		                            .precision = m->precision,
		                            .storage = m->storage };
	struct ek_embed *e = NULL;
	const cJSON *options;
	char *description = NULL;
	const char *hash;
	int rc;

	EK_TRY(ek_embed_prepare(&e, list, &o));
	options = ek_embed_step(e)->options;
	hash = text_of(options, "weights_sha256");
	if (strcmp(hash != NULL ? hash : "", m->sha256) != 0) {
		rc = ek_fail(EK_EDATA,
		             "the weights of %s that are found now (sha256 %.12s...) are not those that the run was "
		             "embedded with (%.12s...)",
		             m->encoder, hash, m->sha256);
		goto out;
	}
	EK_TRY(ek_format(&description, "%.*s.json", (int)strlen(array) - 4, array));
	if (m->again || !is_made(array, description, options)) {
		EK_TRY(ek_embed_to(e, list, array));
		EK_TRY(note_made(description, options));
	}
	EK_TRY(ek_features_open(out, array, 0));
out:
	ek_embed_free(e);
	free(description);
	return rc;
}

int ek_features_of_dataset(struct ek_features *out, const struct ek_run *run, const struct ek_feature_maker *m,
                           const char *const *datasets, size_t count, const char *place, const char *array, int whole)
{
	struct ek_run *list = NULL;
	char *folder = NULL;
	int rc;

	*out = (struct ek_features){ 0 };
	if (m->own)
		return ek_fail(EK_EDATA,
		               "%s: the run's embeddings are your own (%s), so images cannot be embedded alike; give "
		               "their embeddings as .npy",
		               datasets[0], m->encoder);
	EK_TRY(ek_layout_path(&folder, run, "cache/features", NULL));
	EK_TRY(ek_make_directories(folder));
	free(folder);
	EK_TRY(ek_layout_path(&folder, run, "cache/features/*", place));
	EK_TRY(ek_run_open(&list, folder, EK_RUN_CREATE));
	EK_TRY(scan(list, datasets, count, whole, m->again));
	EK_TRY(make(out, list, m, array));
out:
	ek_run_close(list);
	free(folder);
	return rc;
}

/* Was the list made of a folder of another path? The run was moved or copied, and its images with it: their stamps say
 * nothing then. */
static int is_elsewhere(const struct ek_run *list, const cJSON *options)
{
	const cJSON *then = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(list, "scan"), "options");
	const char *was = text_of(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(then, "dataset"), 0), "path");
	const char *is = text_of(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(options, "dataset"), 0), "path");

	return was != NULL && is != NULL && strcmp(was, is) != 0;
}

int ek_features_listed(int *current, char **contents, const struct ek_run *run, const char *const *datasets,
                       size_t count, const char *place)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *list = NULL;
	char *folder = NULL, *record = NULL;
	cJSON *options = NULL;
	struct ek_step step;
	const char *reason, *seen;
	int rc;

	*current = 1;
	*contents = NULL;
	EK_TRY(ek_layout_path(&folder, run, "cache/features/*", place));
	EK_TRY(ek_format(&record, "%s/run.json", folder));
	if (!ek_file_exists(record))
		goto out;
	EK_TRY(ek_run_open(&list, folder, EK_RUN_READ));
	o.datasets = datasets;
	o.dataset_count = count;
	rc = ek_scan_step(&step, &options, &o, 1);
	if (rc < 0) { /* it is away */
		rc = rc == EK_ENOMEM || rc == EK_EINTERRUPTED ? rc : 0;
		goto out;
	}
	if (!is_elsewhere(list, options))
		EK_TRY(ek_run_is_current(current, &reason, list, &step));
	seen = text_of(cJSON_GetObjectItemCaseSensitive(ek_run_recorded(list, "scan"), "counts"), "contents");
	if (seen != NULL)
		EK_TRY(ek_copy_string(contents, seen));
out:
	ek_run_close(list);
	cJSON_Delete(options);
	free(folder);
	free(record);
	return rc;
}

int ek_features_of_run(struct ek_features *out, const struct ek_run *run, const struct ek_feature_maker *m)
{
	char *path = NULL;
	int rc;

	*out = (struct ek_features){ 0 };
	if (m->other) {
		EK_TRY(ek_layout_path(&path, run, "cache/features/*", "run"));
		EK_TRY(ek_make_directories(path));
		free(path);
		EK_TRY(ek_format(&path, "%s/cache/features/run/embeddings-%s.npy", ek_run_path(run), m->encoder));
		EK_TRY(make(out, run, m, path));
	} else {
		EK_TRY(ek_layout_path(&path, run, "embeddings.npy", NULL));
		EK_TRY(ek_features_open(out, path, 0));
	}
out:
	free(path);
	return rc;
}
