#include "rebalance/pipeline/frozen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/kmeans.h"
#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/io/run_files.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"

static int open_clusters(struct ek_frozen *f, const struct ek_run *run)
{
	const uint64_t any = UINT64_MAX, table[2] = { f->k, UINT64_MAX };
	enum ek_normalise normalise;
	cJSON *json = NULL;
	char *path = NULL;
	int rc;

	EK_TRY(ek_cluster_normalise(&normalise, run));
	EK_TRY(ek_layout_path(&path, run, "clusters/clusters.json", NULL));
	EK_TRY(ek_json_load(&json, path));
	f->spherical = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "spherical"));
	f->unit = normalise == EK_NORMALISE_UNIT;
	free(path);
	EK_TRY(ek_layout_path(&path, run, "clusters/assignment.npy", NULL));
	EK_TRY(ek_npy_open_as(&f->assignment, path, EK_I32, 1, &any));
	free(path);
	EK_TRY(ek_layout_path(&path, run, "clusters/centroids.npy", NULL));
	EK_TRY(ek_npy_open_as(&f->centroids, path, EK_F32, 2, table));
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

int ek_frozen_open(struct ek_frozen *f, const struct ek_run *run)
{
	struct ek_units units = { 0 };
	int rc;

	*f = (struct ek_frozen){ 0 };
	EK_TRY(ek_units_load(&units, run, "cluster"));
	f->k = units.k;
	f->images = units.n;
	EK_TRY(open_clusters(f, run));
	if (f->assignment.shape[0] != f->images) {
		rc = ek_fail(EK_EDATA, "clusters/assignment.npy has %" PRIu64 " images, the run %" PRIu64,
		             f->assignment.shape[0], f->images);
		goto out;
	}
	EK_TRY(ek_alloc(&f->training, units.n, sizeof *f->training));
	EK_TRY(ek_alloc(&f->held_out, units.held_out, sizeof *f->held_out));
	EK_TRY(ek_alloc(&f->sizes, f->k, sizeof *f->sizes));
	for (uint64_t i = 0; i < units.n; i++) {
		if (units.unit[i] == EK_UNIT_HELD_OUT) {
			f->held_out[f->held_out_count++] = i;
		} else if (units.unit[i] >= 0) {
			f->training[f->training_count++] = i;
			f->sizes[units.unit[i]]++;
		}
	}
	if (f->training_count == 0)
		rc = ek_fail(EK_EDATA, "%s: all images are held out", ek_run_path(run));
out:
	ek_units_release(&units);
	return rc;
}

void ek_frozen_release(struct ek_frozen *f)
{
	ek_npy_close(&f->assignment);
	ek_npy_close(&f->centroids);
	free(f->training);
	free(f->held_out);
	free(f->sizes);
	*f = (struct ek_frozen){ 0 };
}

int ek_frozen_assign(int32_t *assignment, const struct ek_frozen *f, const struct ek_rows *rows, const char *what)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result r = { 0 };
	struct ek_rows view = *rows;
	char *why = NULL;
	int rc;

	if (rows->dimensions != f->centroids.shape[1])
		return ek_fail(EK_EDATA,
		               "%s: embeddings of %zu dimensions, the clusters have %" PRIu64
		               ": another encoder made them",
		               what, rows->dimensions, f->centroids.shape[1]);
	o.k = f->k;
	o.spherical = f->spherical;
	o.quiet = 1;
	view.unit = f->unit;
	rc = ek_kmeans_assign(&r, &view, f->centroids.data, &o);
	if (rc == EK_EDATA && ek_copy_string(&why, ek_error_message()) == 0)
		rc = ek_fail(EK_EDATA, "%s: %s", what, why);
	EK_TRY(rc);
	memcpy(assignment, r.assignment, rows->count * sizeof *assignment);
out:
	ek_kmeans_release(&r);
	free(why);
	return rc;
}

/* Is the file of the plan the one that the model was trained by? */
static int is_plan_the_same(const struct ek_run *run, const cJSON *model, const char *file)
{
	const char *then = cJSON_GetStringValue(
		cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(model, "made_from"), file));
	char *path = NULL, now[17] = "";

	if (then != NULL && ek_run_file(&path, run, file) == 0 && ek_file_exists(path) &&
	    ek_hash64_file_hex(now, path) < 0)
		now[0] = 0;
	free(path);
	return then != NULL && strcmp(then, now) == 0;
}

/* seen[id] = 1 for the ids of keep.npy, or those with a weight. */
static int mark(uint8_t *seen, const struct ek_run *run, const char *file, int is_subset, uint64_t images)
{
	const uint64_t shape = is_subset ? UINT64_MAX : images;
	struct ek_npy array = { 0 };
	char *path = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, run, file));
	EK_TRY(ek_npy_open_as(&array, path, is_subset ? EK_I64 : EK_F64, 1, &shape));
	for (uint64_t i = 0; i < array.shape[0]; i++) {
		const uint64_t id = is_subset ? (uint64_t)((const int64_t *)array.data)[i] : i;

		if (id >= images) {
			rc = ek_fail(EK_EDATA, "%s: there is no image %" PRIu64, path, id);
			goto out;
		}
		seen[id] = (uint8_t)(is_subset || ((const double *)array.data)[i] > 0);
	}
out:
	ek_npy_close(&array);
	free(path);
	return rc;
}

static int mark_seen(uint8_t *seen, const struct ek_seen *s, const struct ek_run *run, uint64_t images)
{
	char *file = NULL;
	int rc;

	EK_TRY(ek_format(&file, s->subset != NULL ? "subsets/%s/keep.npy" : "weights/%s/weights.npy",
	                 s->subset != NULL ? s->subset : s->weights));
	if (is_plan_the_same(run, s->model, file)) {
		EK_TRY(mark(seen, run, file, s->subset != NULL, images));
		goto out;
	}
	ek_warn("%s is not what the model %s was trained by: copies are looked for among all training images", file,
	        s->name);
	memset(seen, 1, images);
out:
	free(file);
	return rc;
}

int ek_seen_open(struct ek_seen *s, const struct ek_run *run, const struct ek_frozen *f, const char *samples)
{
	const cJSON *training;
	uint8_t *seen = NULL;
	int rc = 0;

	*s = (struct ek_seen){ 0 };
	if (samples != NULL)
		EK_TRY(ek_run_json_find(&s->samples, run, "samples/*/config.json", samples));
	s->name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(s->samples, "model"));
	if (s->name != NULL)
		EK_TRY(ek_run_json_find(&s->model, run, "models/*/config.json", s->name));
	training = cJSON_GetObjectItemCaseSensitive(s->model, "training");
	s->subset = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(training, "subset"));
	s->weights = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(training, "weights"));
	EK_TRY(ek_alloc(&s->ids, f->training_count, sizeof *s->ids));
	EK_TRY(ek_alloc(&seen, f->images, 1));
	if (s->subset != NULL || s->weights != NULL)
		EK_TRY(mark_seen(seen, s, run, f->images));
	else
		memset(seen, 1, f->images);
	for (uint64_t i = 0; i < f->training_count; i++)
		if (seen[f->training[i]])
			s->ids[s->count++] = f->training[i];
out:
	free(seen);
	return rc;
}

void ek_seen_release(struct ek_seen *s)
{
	cJSON_Delete(s->samples);
	cJSON_Delete(s->model);
	free(s->ids);
	*s = (struct ek_seen){ 0 };
}
