#include "rebalance/pipeline/features.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/log.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/images.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/scan.h"
#include "rebalance/pipeline/device.h"

enum { VERSION = 1 };

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

static int is_list_current(int *current, const char **reason, void *context, struct ek_run *list,
                           const struct ek_step *step)
{
	(void)context;
	return ek_scan_is_current(current, reason, list, step);
}

static int make_list(void *context, struct ek_run *list, cJSON *counts)
{
	(void)counts;
	return ek_scan(list, context);
}

/* List the images, if they are not listed as they are now. */
static int scan(struct ek_run *list, const struct ek_feature_source *source, int again)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_step step;
	const struct ek_work work = { .step = &step,
		                      .doing = "listing the images",
		                      .make = make_list,
		                      .context = &o,
		                      .is_current = is_list_current,
		                      .records = 1 };
	cJSON *options = NULL;
	uint64_t rejected;
	int made, rc;

	o.datasets = &source->dataset;
	o.dataset_count = 1;
	EK_TRY(ek_scan_step(&step, &options, &o, ek_run_recorded(list, "scan") != NULL));
	EK_TRY(ek_run_bring_up(&made, list, &work, again));
	EK_TRY(ek_json_get_u64(&rejected, cJSON_GetObjectItemCaseSensitive(ek_run_recorded(list, "scan"), "counts"),
	                       "rejected", "run.json, step scan"));
	if (rejected > 0 && source->whole)
		rc = ek_fail(EK_EDATA, "%s: %" PRIu64 " image%s cannot be read; %s/rejected.jsonl says why",
		             source->dataset, rejected, rejected == 1 ? "" : "s", ek_run_path(list));
	else if (rejected > 0)
		ek_warn("%s: %" PRIu64 " image%s cannot be read and %s left out; %s/rejected.jsonl says why",
		        source->dataset, rejected, rejected == 1 ? "" : "s", rejected == 1 ? "is" : "are",
		        ek_run_path(list));
out:
	cJSON_Delete(options);
	return rc;
}

static int note_made(const char *description, const cJSON *options)
{
	cJSON *json = NULL;
	int rc;

	EK_TRY(ek_json_load(&json, description));
	EK_TRY(ek_json_add_item(json, "made_from", cJSON_Duplicate(options, 1)));
	EK_TRY(ek_json_save(json, description));
out:
	cJSON_Delete(json);
	return rc;
}

/* Such as a version made that did not record them say it themselves. */
static int is_unrecorded(const char *array, const char *description, const cJSON *options)
{
	cJSON *json = NULL, *now = NULL;
	int is = 0;

	if (ek_file_exists(array) && ek_file_exists(description) && ek_json_load(&json, description) == 0 &&
	    read_back(&now, options, array) == 0)
		is = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(json, "made_from"), now, 1);
	cJSON_Delete(json);
	cJSON_Delete(now);
	return is;
}

struct making {
	struct ek_embed *embed;
	const struct ek_run *list; /* whose images they are; NULL: of the run itself */
	const char *step;
	char *array, *description;
	cJSON *options;
	int again;
};

static int make(void *context, struct ek_run *run, cJSON *counts)
{
	struct making *m = context;
	int rc;

	if (m->again || ek_run_recorded(run, m->step) != NULL ||
	    !is_unrecorded(m->array, m->description, ek_embed_step(m->embed)->options)) {
		ek_device_for(ek_embed_work(m->embed, 0));
		EK_TRY(ek_embed_to(m->embed, m->list != NULL ? m->list : run, m->array));
		EK_TRY(note_made(m->description, ek_embed_step(m->embed)->options));
	}
	EK_TRY(ek_json_add_string(counts, "encoder", text_of(m->options, "encoder")));
out:
	return rc;
}

int ek_feature_maker_prepare(struct ek_embed **out, const struct ek_feature_maker *maker, const struct ek_run *images)
{
	const struct ek_embed_options o = { .encoder = maker->encoder,
		                            .weights = maker->weights,
		                            .input_size = maker->input_size,
		                            .resize = maker->resize,
		                            .precision = maker->precision,
		                            .storage = maker->storage };
	const char *hash;
	int rc;

	if (maker->own)
		return ek_fail(EK_EDATA,
		               "the embeddings of the run are the user's own: nothing else can be embedded so");
	ek_device_for_precision(o.precision);
	EK_TRY(ek_embed_prepare(out, images, &o));
	hash = text_of(ek_embed_step(*out)->options, "weights_sha256");
	if (strcmp(hash != NULL ? hash : "", maker->sha256) != 0)
		rc = ek_fail(EK_EDATA,
		             "the weights of %s that are found now (sha256 %.12s...) are not those that the run was "
		             "embedded with (%.12s...)",
		             maker->encoder, hash, maker->sha256);
out:
	return rc;
}

/* What the step records: how, of what, and where that is listed. */
static int describe(cJSON **out, const struct making *m, const struct ek_run *run,
                    const struct ek_feature_source *source)
{
	char *kept = NULL;
	int inside, rc;

	if ((*out = cJSON_Duplicate(ek_embed_step(m->embed)->options, 1)) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	if (m->list == NULL)
		return 0;
	inside = ek_kept_path(&kept, run, source->dataset) == 0; /* a pattern is none */
	EK_TRY(ek_filename_add(*out, "dataset", inside ? kept : source->dataset));
	EK_TRY(ek_json_add_string(*out, "listed_in", source->place));
out:
	free(kept);
	return rc;
}

/* The features of the images of `list`, or of the run's, brought up to date. */
static int bring_up(struct ek_features *out, struct ek_run *run, const struct ek_run *list,
                    const struct ek_feature_maker *maker, const struct ek_feature_source *source)
{
	const char *const inputs[] = { source->input, NULL };
	const char *outputs[] = { source->array, NULL, NULL };
	struct ek_step step = { .version = VERSION, .inputs = inputs, .outputs = outputs };
	struct making m = { .list = list, .again = maker->again };
	const struct ek_work work = { .step = &step, .doing = "making features", .make = make, .context = &m };
	char *name = NULL, *file = NULL;
	int made, rc;

	EK_TRY(ek_feature_maker_prepare(&m.embed, maker, list != NULL ? list : run));
	EK_TRY(describe(&m.options, &m, run, source));
	EK_TRY(ek_format(&name, "features %s", source->array));
	EK_TRY(ek_format(&file, "%.*s.json", (int)strlen(source->array) - 4, source->array));
	EK_TRY(ek_run_file(&m.array, run, source->array));
	EK_TRY(ek_run_file(&m.description, run, file));
	outputs[1] = file;
	step.name = m.step = name;
	step.options = m.options;
	EK_TRY(ek_run_bring_up(&made, run, &work, maker->again));
	EK_TRY(ek_features_open(out, m.array, 0));
out:
	ek_embed_free(m.embed);
	cJSON_Delete(m.options);
	free(m.array);
	free(m.description);
	free(name);
	free(file);
	return rc;
}

int ek_features_of_dataset(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *m,
                           const struct ek_feature_source *source)
{
	struct ek_run *list = NULL;
	char *folder = NULL;
	int rc;

	*out = (struct ek_features){ 0 };
	if (m->own)
		return ek_fail(EK_EDATA,
		               "%s: the run's embeddings are your own (%s), so images cannot be embedded alike; give "
		               "their embeddings as .npy",
		               source->dataset, m->encoder);
	EK_TRY(ek_layout_path(&folder, run, "cache/features", NULL));
	EK_TRY(ek_make_directories(folder));
	free(folder);
	EK_TRY(ek_layout_path(&folder, run, "cache/features/*", source->place));
	EK_TRY(ek_run_open(&list, folder, EK_RUN_CREATE));
	EK_TRY(scan(list, source, m->again));
	EK_TRY(bring_up(out, run, list, m, source));
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

/* Does `list` list the images of the data set as they are now, with the contents that features were made of? */
static int is_listed(int *current, struct ek_run *list, const char *dataset, const cJSON *made)
{
	const char *contents = text_of(cJSON_GetObjectItemCaseSensitive(made, "images"), "contents"), *reason, *seen;
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	cJSON *options = NULL;
	struct ek_step step;
	int rc;

	*current = 1;
	o.datasets = &dataset;
	o.dataset_count = 1;
	rc = ek_scan_step(&step, &options, &o, 1);
	if (rc < 0) { /* it is away */
		rc = rc == EK_ENOMEM || rc == EK_EINTERRUPTED ? rc : 0;
		goto out;
	}
	if (!is_elsewhere(list, options))
		EK_TRY(ek_run_is_current(current, &reason, list, &step));
	seen = text_of(cJSON_GetObjectItemCaseSensitive(ek_run_recorded(list, "scan"), "counts"), "contents");
	if (*current && seen != NULL && contents != NULL)
		*current = strcmp(seen, contents) == 0;
out:
	cJSON_Delete(options);
	return rc;
}

int ek_features_changed(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(step, "options");
	const char *place = text_of(options, "listed_in");
	char *kept = NULL, *dataset = NULL, *folder = NULL, *record = NULL;
	struct ek_run *list = NULL;
	int current = 1, rc;

	*reason = NULL;
	if (place == NULL)
		return 0;
	EK_TRY(ek_filename_get(&kept, options, "dataset", step->string));
	EK_TRY(ek_kept_path_find(&dataset, run, kept));
	EK_TRY(ek_layout_path(&folder, run, "cache/features/*", place));
	EK_TRY(ek_format(&record, "%s/run.json", folder));
	if (dataset == NULL || !ek_file_exists(record))
		goto out;
	EK_TRY(ek_run_open(&list, folder, EK_RUN_READ));
	EK_TRY(is_listed(&current, list, dataset, options));
	if (!current)
		EK_TRY(ek_format(reason, "%s changed", kept));
out:
	ek_run_close(list);
	free(kept);
	free(dataset);
	free(folder);
	free(record);
	return rc;
}

int ek_features_of_run(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *m)
{
	struct ek_feature_source own = { .input = "images.jsonl" };
	char *path = NULL, *array = NULL;
	int rc;

	*out = (struct ek_features){ 0 };
	if (m->other) {
		EK_TRY(ek_layout_path(&path, run, "cache/features/*", "run"));
		EK_TRY(ek_make_directories(path));
		EK_TRY(ek_format(&array, "cache/features/run/embeddings-%s.npy", m->encoder));
		own.array = array;
		EK_TRY(bring_up(out, run, NULL, m, &own));
	} else {
		EK_TRY(ek_layout_path(&path, run, "embeddings.npy", NULL));
		EK_TRY(ek_features_open(out, path, 0));
	}
out:
	free(path);
	free(array);
	return rc;
}
