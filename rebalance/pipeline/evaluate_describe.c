/* Of `evaluate`: what the numbers belong to, and what they depend on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/weight_files.h"
#include "rebalance/base/error.h"
#include "rebalance/pipeline/evaluate_internal.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/run_files.h"

static const struct ek_feature_maker *measuring(const struct ek_evaluate *e)
{
	return e->spaces.other != NULL ? e->spaces.other : &e->own;
}

/* The published weights of FID-Inception, run as published, in float32. */
static int is_fid(const struct ek_feature_maker *m)
{
	const struct ek_encoder *encoder;

	if (m->precision != EK_NN_F32 || m->sha256[0] == 0 || ek_encoder_find(&encoder, m->encoder) < 0 ||
	    !encoder->fid)
		return 0;
	for (const struct ek_weight_file *f = encoder->files; f->file != NULL; f++)
		if (f->sha256[0] != 0 && strncmp(m->sha256, f->sha256, strlen(f->sha256)) == 0)
			return 1;
	return 0;
}

static int metric_of(char **out, const struct ek_evaluate *e)
{
	const struct ek_feature_maker *m = measuring(e);

	return is_fid(m) ? ek_copy_string(out, "FID") : ek_format(out, "FD-%s", m->own ? "own" : m->encoder);
}

/* A copy of a member of `from`, or null. */
static int add_copy(cJSON *object, const char *name, const cJSON *from)
{
	return from != NULL ? ek_json_add_item(object, name, cJSON_Duplicate(from, 1)) : ek_json_add_null(object, name);
}

static int add_text(cJSON *object, const char *name, const char *text)
{
	return text != NULL ? ek_json_add_string(object, name, text) : ek_json_add_null(object, name);
}

/* A path of the user's, absolute, or into the run, which may be moved; or null. */
static int add_path(cJSON *object, const char *name, const struct ek_evaluate *e, const char *path)
{
	char *kept = NULL;
	int rc, inside;

	if (path == NULL)
		return ek_json_add_null(object, name);
	inside = ek_kept_path(&kept, e->run, path) == 0 && kept[0] != '/'; /* a pattern is none */
	rc = ek_filename_add(object, name, inside ? kept : path);
	free(kept);
	return rc;
}

/* "method" and "keep" of the plan that the model was trained by. */
static int add_plan(cJSON *object, const struct ek_evaluate *e)
{
	const struct ek_seen *s = &e->seen;
	cJSON *json = NULL;
	int rc;

	if (s->subset != NULL)
		EK_TRY(ek_run_json_find(&json, e->run, "subsets/*/subset.json", s->subset));
	else if (s->weights != NULL)
		EK_TRY(ek_run_json_find(&json, e->run, "weights/*/weights.json", s->weights));
	EK_TRY(add_copy(object, "method", ek_json_member(json, s->subset != NULL ? "method" : "scheme")));
	EK_TRY(s->subset != NULL ? add_copy(object, "keep", ek_json_member(json, "keep"))
	                         : ek_json_add_double(object, "keep", 1));
out:
	cJSON_Delete(json);
	return rc;
}

static int add_sources(cJSON *object, const struct ek_evaluate *e)
{
	cJSON *list;
	int rc;

	if (e->sets[0].name == NULL) {
		EK_TRY(ek_json_add_null(object, "samples"));
		EK_TRY(add_path(object, "path", e, e->sets[0].path));
		goto out;
	}
	EK_TRY(ek_json_add_array(&list, object, "samples"));
	for (size_t i = 0; i < e->set_count; i++)
		EK_TRY(ek_json_add_string(list, NULL, e->set[i].name));
	EK_TRY(ek_json_add_null(object, "path"));
out:
	return rc;
}

static int add_generated(cJSON *json, const struct ek_evaluate *e)
{
	const struct ek_seen *s = &e->seen;
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, json, "generated"));
	EK_TRY(ek_json_add_u64(object, "images", e->input.generated.count));
	EK_TRY(add_sources(object, e));
	EK_TRY(add_text(object, "model", s->name));
	EK_TRY(add_text(object, "subset", s->subset));
	EK_TRY(add_text(object, "weights", s->weights));
	EK_TRY(add_plan(object, e));
	EK_TRY(ek_json_add_u64(object, "training_images", s->count));
	EK_TRY(add_copy(object, "solver", ek_json_member(s->samples, "solver")));
	EK_TRY(add_copy(object, "steps", ek_json_member(s->samples, "steps")));
	EK_TRY(add_copy(object, "guidance", ek_json_member(ek_json_member(s->samples, "guidance"), "scale")));
	EK_TRY(add_copy(object, "conditioned_on", ek_json_member(s->samples, "condition")));
out:
	return rc;
}

static const char *const kinds[] = { "held_out", "training", "path", "statistics" };

static int add_reference(cJSON *json, const struct ek_evaluate *e)
{
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, json, "reference"));
	EK_TRY(ek_json_add_u64(object, "images", e->input.reference.count));
	EK_TRY(ek_json_add_string(object, "what", kinds[e->kind]));
	EK_TRY(add_path(object, "path", e, e->wish->reference));
	EK_TRY(add_path(object, "statistics", e, e->input.statistics != NULL ? e->wish->statistics : NULL));
	if (e->kind == EK_REFERENCE_TRAINING)
		EK_TRY(ek_json_add_string(object, "warning",
		                          "all is measured against training images: copies of them count as good "
		                          "coverage"));
out:
	return rc;
}

static int add_encoder(cJSON *json, const struct ek_evaluate *e)
{
	const struct ek_feature_maker *m = measuring(e);
	char *metric = NULL;
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, json, "encoder"));
	EK_TRY(ek_json_add_string(object, "name", m->encoder));
	EK_TRY(ek_json_add_u64(object, "dimensions", e->input.generated.dimensions));
	EK_TRY(add_text(object, "weights", m->sha256[0] != 0 ? m->sha256 : NULL));
	EK_TRY(metric_of(&metric, e));
	EK_TRY(ek_json_add_string(json, "metric", metric));
out:
	free(metric);
	return rc;
}

int ek_evaluate_describe(cJSON *json, const struct ek_evaluate *e)
{
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_string(json, "name", e->wish->name));
	EK_TRY(ek_json_add_u64(json, "version", 1));
	EK_TRY(add_generated(json, e));
	EK_TRY(add_reference(json, e));
	EK_TRY(ek_json_add_object(&object, json, "training"));
	EK_TRY(ek_json_add_u64(object, "images", e->frozen.training_count));
	EK_TRY(add_encoder(json, e));
	EK_TRY(ek_json_add_string(json, "target", e->target));
	EK_TRY(ek_json_add_u64(json, "seed", (uint64_t)e->wish->seed));
	EK_TRY(ek_json_add_u64(json, "resamples", (uint64_t)e->wish->resamples));
out:
	return rc;
}

/* What is outside of the run, by place and content. */
static int add_outside(cJSON *options, const char *name, const struct ek_evaluate *e, const char *path,
                       const char *hash)
{
	char *absolute = NULL;
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, options, name));
	EK_TRY(ek_evaluate_absolute(&absolute, path));
	EK_TRY(add_path(object, "path", e, absolute));
	EK_TRY(ek_json_add_string(object, "xxh64", hash));
out:
	free(absolute);
	return rc;
}

static int add_samples(cJSON *options, const struct ek_evaluate *e)
{
	cJSON *list, *object;
	int rc;

	EK_TRY(ek_json_add_array(&list, options, "samples"));
	for (size_t i = 0; i < e->set_count; i++) {
		const struct ek_measured *m = &e->sets[i];

		if (m->name != NULL) {
			EK_TRY(ek_json_add_string(list, NULL, m->name));
			continue;
		}
		EK_TRY(ek_json_add_object(&object, list, NULL));
		EK_TRY(add_path(object, "path", e, m->path));
		EK_TRY(ek_json_add_string(object, "xxh64", m->hash));
	}
out:
	return rc;
}

static int add_numbers(cJSON *o, const struct ek_evaluate *e)
{
	const struct ek_do_evaluate_options *w = e->wish;
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_u64(o, "k", (uint64_t)w->k));
	EK_TRY(ek_json_add_bool(o, "closed", w->closed));
	EK_TRY(ek_json_add_u64(o, "subsets", (uint64_t)w->subsets));
	EK_TRY(ek_json_add_u64(o, "subset-size", (uint64_t)w->subset_size));
	EK_TRY(ek_json_add_u64(o, "resamples", (uint64_t)w->resamples));
	EK_TRY(ek_json_add_u64(o, "seed", (uint64_t)w->seed));
	EK_TRY(ek_json_add_array(&list, o, "vendi-order"));
	for (size_t i = 0; i < e->order_count; i++)
		EK_TRY(ek_json_add_double(list, NULL, e->orders[i] < 1e300 ? e->orders[i] : 1e300));
out:
	return rc;
}

int ek_evaluate_record(cJSON **out, const struct ek_evaluate *e)
{
	const struct ek_feature_maker *m = measuring(e);
	cJSON *o = cJSON_CreateObject();
	char ids[17], shares[17];
	int rc;

	(void)snprintf(ids, sizeof ids, "%016" PRIx64, ek_hash64(e->seen.ids, e->seen.count * sizeof *e->seen.ids));
	(void)snprintf(shares, sizeof shares, "%016" PRIx64, ek_hash64(e->shares, e->frozen.k * sizeof *e->shares));
	EK_TRY(ek_json_add_string(o, "command", "evaluate"));
	EK_TRY(add_samples(o, e));
	if (e->kind == EK_REFERENCE_PATH)
		EK_TRY(add_outside(o, "reference", e, e->reference.path, e->reference.hash));
	if (e->input.statistics != NULL)
		EK_TRY(add_outside(o, "statistics", e,
		                   e->wish->statistics != NULL ? e->wish->statistics : e->wish->reference,
		                   e->statistics_hash));
	EK_TRY(ek_json_add_string(o, "encoder", m->encoder));
	EK_TRY(ek_json_add_string(o, "weights_sha256", m->sha256));
	EK_TRY(ek_json_add_string(o, "target", e->target));
	EK_TRY(ek_json_add_string(o, "target_shares", shares));
	EK_TRY(ek_json_add_string(o, "training_ids", ids));
	EK_TRY(add_numbers(o, e));
	*out = o;
	o = NULL;
out:
	cJSON_Delete(o);
	return rc;
}
