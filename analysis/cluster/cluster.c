#include "analysis/cluster/cluster.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/choose.h"
#include "analysis/cluster/hierarchy.h"
#include "analysis/cluster/map.h"
#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/run_files.h"

const char *const ek_normalise_names[] = { "auto", "none", "l2", NULL };
const char *const ek_cluster_inputs[] = { "embeddings.npy", "embeddings.json", NULL };
const char *const ek_cluster_outputs[] = { "clusters/assignment.npy", "clusters/distance.npy", "clusters/centroids.npy",
	                                   "clusters/clusters.json",  "clusters/map.json",     NULL };

int ek_cluster_options_json(cJSON **out, const struct ek_cluster_options *o)
{
	cJSON *json = cJSON_CreateObject(), *levels;
	int rc;

	*out = NULL;
	if (o->clusters > 0 || o->levels > 0)
		EK_TRY(ek_json_add_u64(json, "clusters", o->levels > 0 ? o->hierarchy[0] : o->clusters));
	else
		EK_TRY(ek_json_add_string(json, "clusters", "auto"));
	EK_TRY(ek_json_add_u64(json, "iterations", (uint64_t)o->iterations));
	EK_TRY(ek_json_add_double(json, "tolerance", o->tolerance));
	EK_TRY(ek_json_add_u64(json, "redo", (uint64_t)o->redo));
	EK_TRY(ek_json_add_u64(json, "seed", o->seed));
	EK_TRY(ek_json_add_bool(json, "spherical", o->spherical));
	EK_TRY(ek_json_add_u64(json, "subsample", o->subsample));
	EK_TRY(ek_json_add_array(&levels, json, "hierarchy"));
	for (size_t l = 0; l < o->levels; l++)
		EK_TRY(ek_json_add_u64(levels, NULL, o->hierarchy[l]));
	EK_TRY(ek_json_add_u64(json, "resample", o->levels > 0 ? (uint64_t)o->resample : 0));
	EK_TRY(ek_json_add_string(json, "normalise", ek_normalise_names[o->normalise]));
	*out = json;
	json = NULL;
out:
	cJSON_Delete(json);
	return rc;
}

int ek_cluster_settings(struct ek_kmeans_options *out, enum ek_normalise *normalise, const struct ek_run *run)
{
	static const char where[] = "run.json, step cluster";
	const struct ek_kmeans_options kmeans = EK_KMEANS_DEFAULTS;
	const struct ek_cluster_options defaults = EK_CLUSTER_OPTIONS_DEFAULT;
	const cJSON *recorded = ek_run_recorded(run, "cluster");
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(recorded, "options");
	uint64_t iterations, redo;
	const char *name;
	int rc;

	*out = kmeans;
	*normalise = defaults.normalise;
	out->redo = defaults.redo;
	if (recorded == NULL)
		return 0;
	EK_TRY(ek_json_get_u64(&iterations, options, "iterations", where));
	EK_TRY(ek_json_get_double(&out->tolerance, options, "tolerance", where));
	EK_TRY(ek_json_get_u64(&redo, options, "redo", where));
	EK_TRY(ek_json_get_u64(&out->seed, options, "seed", where));
	EK_TRY(ek_json_get_u64(&out->subsample, options, "subsample", where));
	EK_TRY(ek_json_get_string(&name, options, "normalise", where));
	out->spherical = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "spherical"));
	out->iterations = iterations < INT_MAX ? (int)iterations : INT_MAX;
	out->redo = redo < INT_MAX ? (int)redo : INT_MAX;
	for (int i = 0; ek_normalise_names[i] != NULL; i++)
		if (strcmp(ek_normalise_names[i], name) == 0) {
			*normalise = (enum ek_normalise)i;
			return 0;
		}
	rc = ek_fail(EK_EDATA, "%s: normalise is \"%s\"", where, name);
out:
	return rc;
}

int ek_cluster_encoder(char **out, const struct ek_run *run, const char *file)
{
	cJSON *json = NULL;
	char *path = NULL;
	const char *name = "own";
	size_t stem;
	int rc;

	*out = NULL;
	EK_TRY(ek_run_file(&path, run, file));
	stem = strlen(path);
	stem -= stem > 4 ? 4 : 0; /* ".npy" */
	path[stem] = 0;
	EK_TRY(ek_resize(&path, stem + sizeof ".json", 1));
	memcpy(path + stem, ".json", sizeof ".json");
	if (ek_file_exists(path)) {
		const cJSON *encoder;

		EK_TRY(ek_json_load(&json, path));
		encoder = cJSON_GetObjectItemCaseSensitive(json, "encoder");
		if (cJSON_IsString(encoder))
			name = encoder->valuestring;
	}
	rc = ek_copy_string(out, name);
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_cluster_normalise(enum ek_normalise *out, const struct ek_run *run)
{
	cJSON *json = NULL;
	const char *name;
	char *path = NULL;
	int rc;

	*out = EK_NORMALISE_AUTO;
	EK_TRY(ek_run_file(&path, run, "clusters/clusters.json"));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&json, path));
	if (cJSON_GetObjectItemCaseSensitive(json, "normalise") == NULL)
		goto out;
	EK_TRY(ek_json_get_string(&name, json, "normalise", path));
	for (int i = 0; ek_normalise_names[i] != NULL; i++)
		if (strcmp(ek_normalise_names[i], name) == 0) {
			*out = (enum ek_normalise)i;
			goto out;
		}
	rc = ek_fail(EK_EDATA, "%s: normalise is \"%s\", expected none or l2", path, name);
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_cluster_rows(struct ek_rows *rows, struct ek_npy *array, const struct ek_run *run, const char *file,
                    enum ek_normalise normalise)
{
	char *encoder = NULL;
	int rc;

	*array = (struct ek_npy){ 0 };
	EK_TRY(ek_cluster_encoder(&encoder, run, file));
	if (normalise == EK_NORMALISE_AUTO)
		normalise = strncmp(encoder, "dinov2", 6) == 0 ? EK_NORMALISE_UNIT : EK_NORMALISE_NONE;
	EK_TRY(ek_run_npy(array, run, file));
	EK_TRY(ek_rows_of(rows, array, normalise == EK_NORMALISE_UNIT));
out:
	if (rc < 0)
		ek_npy_close(array);
	free(encoder);
	return rc;
}

struct neighbours {
	const struct ek_kmeans_result *r;
	int32_t *nearest;
};

static int nearest_other(void *context, uint64_t c, int worker)
{
	const struct neighbours *job = context;
	const struct ek_kmeans_result *r = job->r;
	double best = 0;

	(void)worker;
	job->nearest[c] = -1;
	for (uint32_t j = 0; j < r->k; j++) {
		const double distance2 = ek_vector_distance2(r->centroids + c * r->dimensions,
		                                             r->centroids + j * r->dimensions, r->dimensions);

		if (j != c && (job->nearest[c] < 0 || distance2 < best)) {
			best = distance2;
			job->nearest[c] = (int32_t)j;
		}
	}
	return ek_check_interrupt();
}

static int add_nearest(cJSON *json, const struct ek_kmeans_result *r)
{
	struct neighbours job = { .r = r };
	cJSON *list;
	int rc;

	EK_TRY(ek_alloc(&job.nearest, r->k, sizeof *job.nearest));
	EK_TRY(ek_pieces(r->k, nearest_other, &job, (double)r->k * (double)r->k * (double)r->dimensions));
	EK_TRY(ek_json_add_array(&list, json, "nearest_center"));
	for (uint32_t c = 0; c < r->k; c++) {
		if (job.nearest[c] < 0)
			EK_TRY(ek_json_add_null(list, NULL));
		else
			EK_TRY(ek_json_add_u64(list, NULL, (uint64_t)job.nearest[c]));
	}
out:
	free(job.nearest);
	return rc;
}

static int add_choice(cJSON *json, const struct ek_choice_of_k *choice)
{
	cJSON *automatic, *curve, *point;
	int rc;

	if (choice == NULL)
		return ek_json_add_null(json, "auto");
	EK_TRY(ek_json_add_object(&automatic, json, "auto"));
	EK_TRY(ek_json_add_u64(automatic, "chosen", choice->chosen));
	EK_TRY(ek_json_add_string(automatic, "reason", choice->reason));
	EK_TRY(ek_json_add_u64(automatic, "images", choice->images));
	EK_TRY(ek_json_add_array(&curve, automatic, "curve"));
	for (size_t i = 0; i < choice->count; i++) {
		EK_TRY(ek_json_add_object(&point, curve, NULL));
		EK_TRY(ek_json_add_u64(point, "k", choice->curve[i].k));
		EK_TRY(ek_json_add_double(point, "stability", choice->curve[i].stability));
		EK_TRY(ek_json_add_double(point, "inertia", choice->curve[i].inertia));
	}
out:
	return rc;
}

static int add_hierarchy(cJSON *json, const struct ek_hierarchy *h, int resample)
{
	cJSON *hierarchy, *levels, *parents, *list;
	int rc;

	if (h->count == 1 && resample < 0)
		return ek_json_add_null(json, "hierarchy");
	EK_TRY(ek_json_add_object(&hierarchy, json, "hierarchy"));
	EK_TRY(ek_json_add_array(&levels, hierarchy, "levels"));
	for (size_t l = 0; l < h->count; l++)
		EK_TRY(ek_json_add_u64(levels, NULL, h->levels[l].k));
	EK_TRY(ek_json_add_array(&parents, hierarchy, "parents"));
	for (size_t l = 1; l < h->count; l++) {
		EK_TRY(ek_json_add_array(&list, parents, NULL));
		for (uint64_t c = 0; c < h->levels[l].n; c++)
			EK_TRY(ek_json_add_u64(list, NULL, (uint64_t)h->levels[l].assignment[c]));
	}
	EK_TRY(ek_json_add_u64(hierarchy, "resample", (uint64_t)resample));
out:
	return rc;
}

static int describe(cJSON *json, const struct ek_kmeans_result *r, const struct ek_cluster_options *o, int unit)
{
	cJSON *list;
	int rc;

	EK_TRY(ek_json_add_u64(json, "k", r->k));
	EK_TRY(ek_json_add_u64(json, "images", r->n));
	EK_TRY(ek_json_add_u64(json, "dimensions", r->dimensions));
	EK_TRY(ek_json_add_bool(json, "spherical", o->spherical));
	EK_TRY(ek_json_add_string(json, "normalise", ek_normalise_names[unit ? EK_NORMALISE_UNIT : EK_NORMALISE_NONE]));
	EK_TRY(ek_json_add_u64(json, "seed", o->seed));
	EK_TRY(ek_json_add_u64(json, "iterations", (uint64_t)r->iterations));
	EK_TRY(ek_json_add_bool(json, "converged", r->converged));
	EK_TRY(ek_json_add_u64(json, "redo", (uint64_t)o->redo));
	EK_TRY(ek_json_add_string(json, "init", "k-means++"));
	EK_TRY(ek_json_add_double(json, "inertia", r->inertia));
	EK_TRY(ek_json_add_array(&list, json, "objective"));
	for (int i = 0; i < r->iterations; i++)
		EK_TRY(ek_json_add_double(list, NULL, r->objective[i]));
	EK_TRY(ek_json_add_array(&list, json, "sizes"));
	for (uint32_t c = 0; c < r->k; c++)
		EK_TRY(ek_json_add_u64(list, NULL, r->sizes[c]));
	EK_TRY(ek_json_add_u64(json, "empty", r->empty));
	EK_TRY(add_nearest(json, r));
	EK_TRY(ek_json_add_u64(json, "subsample", r->trained));
out:
	return rc;
}

static int write_array(const struct ek_run *run, const char *name, enum ek_dtype type, const void *data, uint64_t rows,
                       uint64_t columns)
{
	const uint64_t shape[] = { rows, columns };
	int rc;

	EK_TRY(ek_run_npy_write(run, name, type, columns > 0 ? 2 : 1, shape, data));
out:
	return rc;
}

static int write_all(struct ek_run *run, const struct ek_rows *rows, const struct ek_hierarchy *h,
                     const struct ek_choice_of_k *choice, const struct ek_cluster_options *o)
{
	const struct ek_kmeans_result *r = &h->levels[0];
	const int unit = rows->unit || o->spherical;
	struct ek_rows drawn = *rows;
	cJSON *json = cJSON_CreateObject();
	char *path = NULL, *map = NULL;
	int rc;

	drawn.unit = unit;
	EK_TRY(ek_run_file(&path, run, "clusters"));
	EK_TRY(ek_make_directories(path));
	free(path);
	EK_TRY(ek_run_file(&path, run, "clusters/clusters.json"));
	EK_TRY(ek_run_file(&map, run, "clusters/map.json"));
	EK_TRY(describe(json, r, o, unit));
	EK_TRY(add_choice(json, choice));
	EK_TRY(add_hierarchy(json, h, o->levels > 0 ? o->resample : -1));
	EK_TRY(ek_map_write(map, &drawn, r->assignment, r->k, o->seed));
	EK_TRY(write_array(run, "clusters/assignment.npy", EK_I32, r->assignment, r->n, 0));
	EK_TRY(write_array(run, "clusters/distance.npy", EK_F32, r->distance, r->n, 0));
	EK_TRY(write_array(run, "clusters/centroids.npy", EK_F32, r->centroids, r->k, r->dimensions));
	EK_TRY(ek_json_save(json, path));
out:
	cJSON_Delete(json);
	free(path);
	free(map);
	return rc;
}

int ek_cluster_most(uint32_t *most, const struct ek_run *run, const struct ek_cluster_options *options)
{
	const struct ek_kmeans_options k = { .k = options->levels > 0 ? options->hierarchy[0] : options->clusters,
		                             .seed = options->seed,
		                             .spherical = options->spherical,
		                             .subsample = options->subsample };
	struct ek_npy array = { 0 };
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_cluster_rows(&rows, &array, run, "embeddings.npy", options->normalise));
	EK_TRY(ek_kmeans_most(most, &rows, &k));
out:
	ek_npy_close(&array);
	return rc;
}

int ek_cluster_choose(struct ek_choice_of_k *choice, const struct ek_run *run, const struct ek_cluster_options *options)
{
	struct ek_npy array = { 0 };
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_cluster_rows(&rows, &array, run, "embeddings.npy", options->normalise));
	EK_TRY(ek_choose_default_k(choice, &rows, options->spherical, options->seed));
out:
	ek_npy_close(&array);
	return rc;
}

int ek_cluster(struct ek_run *run, const struct ek_cluster_options *options)
{
	struct ek_kmeans_options k = EK_KMEANS_DEFAULTS;
	struct ek_npy array = { 0 };
	struct ek_hierarchy h = { 0 };
	struct ek_choice_of_k choice;
	struct ek_rows rows;
	const int choosing = options->levels == 0 && options->clusters == 0;
	const uint32_t *sizes = options->levels > 0 ? options->hierarchy : &k.k;
	int rc;

	EK_TRY(ek_cluster_rows(&rows, &array, run, "embeddings.npy", options->normalise));
	k.k = options->clusters;
	k.iterations = options->iterations;
	k.tolerance = options->tolerance;
	k.redo = options->redo;
	k.seed = options->seed;
	k.spherical = options->spherical;
	k.subsample = options->subsample;
	if (choosing) {
		EK_TRY(ek_choose_k(&choice, &rows, options->spherical, options->seed));
		k.k = choice.chosen;
		ek_info("%s", choice.reason);
	}
	EK_TRY(ek_hierarchy_build(&h, &rows, sizes, options->levels > 0 ? options->levels : 1,
	                          options->levels > 0 ? options->resample : 0, &k));
	if (h.levels[0].trained < h.levels[0].n && options->subsample > 0)
		ek_info("the clusters were trained on %llu of %llu images, as asked",
		        (unsigned long long)h.levels[0].trained, (unsigned long long)h.levels[0].n);
	if (h.levels[0].empty > 0)
		ek_warn("%u of %u clusters %s empty", h.levels[0].empty, h.levels[0].k,
		        h.levels[0].empty == 1 ? "is" : "are");
	EK_TRY(write_all(run, &rows, &h, choosing ? &choice : options->choice, options));
out:
	ek_hierarchy_release(&h);
	ek_npy_close(&array);
	return rc;
}
