#include "rebalance/pipeline/samples_compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/log.h"
#include "rebalance/pipeline/classifier.h"
#include "rebalance/pipeline/features.h"
#include "rebalance/pipeline/frozen.h"

enum { VERSION = 4, K = EK_SAMPLES_NEIGHBOURS, FILES = 7 };

struct work {
	struct ek_run *run;
	const char *name;
	struct ek_frozen frozen;
	struct ek_seen seen;
	struct ek_features samples, images;
	struct ek_rows training; /* what the model saw, of `images` */
	struct ek_closeness near;
	int32_t *assignment;
	char *files[FILES]; /* of the step */
};

static void release(struct work *w)
{
	ek_frozen_release(&w->frozen);
	ek_seen_release(&w->seen);
	ek_features_release(&w->samples);
	ek_features_release(&w->images);
	ek_closeness_release(&w->near);
	free(w->assignment);
	for (int i = 0; i < FILES; i++)
		free(w->files[i]);
}

int ek_samples_features(struct ek_features *out, struct ek_run *run, const struct ek_feature_maker *maker,
                        const char *name)
{
	struct ek_feature_source source = { .whole = 1 };
	char *images = NULL, *place = NULL, *array = NULL, *input = NULL, *path = NULL;
	cJSON *config = NULL;
	uint64_t count;
	int rc;

	*out = (struct ek_features){ 0 };
	EK_TRY(ek_layout_path(&images, run, "samples/*/images", name));
	EK_TRY(ek_layout_name(&input, "samples/*/config.json", name));
	EK_TRY(ek_run_file(&path, run, input));
	EK_TRY(ek_format(&place, "samples-%s", name));
	EK_TRY(ek_format(&array, "samples/%s/embeddings%s%s.npy", name, maker->other ? "-" : "",
	                 maker->other ? maker->encoder : ""));
	source.dataset = images;
	source.place = place;
	source.array = array;
	source.input = input;
	EK_TRY(ek_features_of_dataset(out, run, maker, &source));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&config, path));
	EK_TRY(ek_json_get_u64(&count, config, "count", path));
	if (out->rows.count < count)
		rc = ek_fail(EK_EDATA,
		             "%s has %" PRIu64 " of %" PRIu64 " images; the command that made them makes them again",
		             images, out->rows.count, count);
	else if (out->rows.count > count)
		rc = ek_fail(EK_EDATA,
		             "%s has %" PRIu64 " images, and generate made %" PRIu64
		             "; take the others away, or evaluate the folder by its path",
		             images, out->rows.count, count);
out:
	cJSON_Delete(config);
	free(images);
	free(place);
	free(array);
	free(input);
	free(path);
	return rc;
}

static int write_array(const struct work *w, const char *file, enum ek_dtype type, uint64_t columns, const void *data)
{
	const uint64_t shape[2] = { w->samples.rows.count, columns };
	char *path = NULL;
	int rc;

	EK_TRY(ek_format(&path, "%s/samples/%s/%s", ek_run_path(w->run), w->name, file));
	EK_TRY(ek_npy_write(path, type, columns > 0 ? 2 : 1, shape, data));
out:
	free(path);
	return rc;
}

static int write_all(const struct work *w)
{
	const uint64_t count = w->samples.rows.count;
	int64_t *ids = NULL;
	float *distances = NULL;
	int rc;

	EK_TRY(ek_alloc(&ids, count, K * sizeof *ids));
	EK_TRY(ek_alloc(&distances, count, K * sizeof *distances));
	for (uint64_t i = 0; i < count; i++)
		for (size_t j = 0; j < K; j++) {
			const size_t k = w->near.k;
			const int there = j < k;

			ids[i * K + j] = there ? (int64_t)w->seen.ids[w->near.index[i * k + j]] : -1;
			distances[i * K + j] = there ? (float)w->near.distance[i * k + j] : INFINITY;
		}
	EK_TRY(write_array(w, "assignment.npy", EK_I32, 0, w->assignment));
	EK_TRY(write_array(w, "neighbours.npy", EK_I64, K, ids));
	EK_TRY(write_array(w, "neighbour_distances.npy", EK_F32, K, distances));
	EK_TRY(write_array(w, "own_distance.npy", EK_F64, 0, w->near.own));
	EK_TRY(write_array(w, "copied.npy", EK_U8, 0, w->near.copied));
out:
	free(ids);
	free(distances);
	return rc;
}

/* Where the run has named groups. */
static int tell_groups(const struct work *w, const char *file)
{
	const uint64_t count = w->samples.rows.count;
	struct ek_classifier classifier;
	char *path = NULL;
	float *q = NULL;
	int rc;

	EK_TRY(ek_run_file(&path, w->run, file));
	EK_TRY(ek_classifier_open(&classifier, w->run));
	if (classifier.groups == 0) {
		(void)unlink(path); /* of groups that were there before */
		goto out;
	}
	EK_TRY(ek_alloc(&q, count * classifier.groups, sizeof *q));
	EK_TRY(ek_classifier_tell(q, &classifier, &w->samples.rows, w->samples.path));
	EK_TRY(ek_classifier_correct(q, &classifier, count, EK_CLASSIFIER_MADE));
	EK_TRY(ek_npy_write(path, EK_F32, 2, (const uint64_t[]){ count, classifier.groups }, q));
out:
	ek_classifier_release(&classifier);
	free(path);
	free(q);
	return rc;
}

static int compare(void *context, struct ek_run *run, cJSON *counts)
{
	struct work *w = context;
	const uint64_t count = w->samples.rows.count;
	int rc;

	(void)run;
	(void)counts;
	EK_TRY(ek_alloc(&w->assignment, count, sizeof *w->assignment));
	EK_TRY(ek_frozen_assign(w->assignment, &w->frozen, &w->samples.rows, w->samples.path));
	EK_TRY(ek_closeness_measure(&w->near, &w->samples.rows, &w->training, K));
	EK_TRY(write_all(w));
	EK_TRY(tell_groups(w, w->files[6]));
out:
	return rc;
}

static int describe(cJSON **out, const struct work *w)
{
	char hash[17];
	cJSON *o = cJSON_CreateObject();
	int rc;

	(void)snprintf(hash, sizeof hash, "%016" PRIx64, ek_hash64(w->seen.ids, w->seen.count * sizeof *w->seen.ids));
	EK_TRY(ek_json_add_string(o, "command", "evaluate"));
	EK_TRY(ek_json_add_string(o, "samples", w->name));
	EK_TRY(ek_json_add_u64(o, "training_images", w->seen.count));
	EK_TRY(ek_json_add_string(o, "training_ids", hash));
	*out = o;
	o = NULL;
out:
	cJSON_Delete(o);
	return rc;
}

/* The files of the step, made from the samples' name; to be freed. */
static int list_files(char *files[FILES], const char *name)
{
	static const char *const all[] = { "embeddings",   "assignment", "neighbours", "neighbour_distances",
		                           "own_distance", "copied",     "groups" };
	int rc = 0;

	for (int i = 0; i < FILES; i++)
		EK_TRY(ek_format(&files[i], "samples/%s/%s.npy", name, all[i]));
out:
	return rc;
}

static int open_all(struct work *w)
{
	struct ek_feature_maker maker;
	int rc;

	EK_TRY(ek_feature_maker_of_run(&maker, w->run));
	EK_TRY(ek_frozen_open(&w->frozen, w->run));
	EK_TRY(ek_seen_open(&w->seen, w->run, &w->frozen, w->name));
	if (w->seen.count < 2) {
		rc = ek_fail(EK_EDATA, "samples %s: the model saw fewer than 2 images of the run", w->name);
		goto out;
	}
	EK_TRY(ek_samples_features(&w->samples, w->run, &maker, w->name));
	EK_TRY(ek_features_of_run(&w->images, w->run, &maker));
	w->training = w->images.rows;
	w->training.ids = w->seen.ids;
	w->training.count = w->seen.count;
out:
	ek_feature_maker_release(&maker);
	return rc;
}

int ek_samples_check(const struct ek_run *run, const char *name)
{
	char *path = NULL, *begun = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, "samples/*/images", name));
	EK_TRY(ek_format(&begun, "%s/samples/.%s.new", ek_run_path(run), name));
	if (*name != 0 && *name != '.' && strchr(name, '/') == NULL && ek_file_exists(path))
		goto out;
	if (ek_file_exists(begun))
		rc = ek_fail(EK_EDATA,
		             "the samples %s are not all made: the command that makes them was stopped; give it again",
		             name);
	else
		rc = ek_fail(EK_EUSAGE, "there are no samples %s: %s is not there", name, path);
out:
	free(path);
	free(begun);
	return rc;
}

int ek_samples_compare(struct ek_run *run, const char *name, int again)
{
	struct work w = { .run = run, .name = name };
	char *step_name = NULL, *doing = NULL;
	cJSON *options = NULL;
	int made, rc;

	EK_TRY(ek_samples_check(run, name));
	EK_TRY(open_all(&w));
	EK_TRY(describe(&options, &w));
	EK_TRY(list_files(w.files, name));
	EK_TRY(ek_format(&step_name, "comparison %s", name));
	EK_TRY(ek_format(&doing, "comparing the samples %s", name));
	const char *const inputs[] = { "embeddings.npy",          "clusters/centroids.npy", w.files[0],
		                       "clusters/classifier.npy", "clusters/groups.json",   NULL };
	const char *const outputs[] = { w.files[1], w.files[2], w.files[3], w.files[4], w.files[5], w.files[6], NULL };
	const struct ek_step step = {
		.name = step_name, .version = VERSION, .options = options, .inputs = inputs, .outputs = outputs
	};

	const struct ek_work work = { .step = &step, .doing = doing, .make = compare, .context = &w };

	EK_TRY(ek_run_bring_up(&made, run, &work, again));
out:
	release(&w);
	cJSON_Delete(options);
	free(step_name);
	free(doing);
	return rc;
}

/* The nearest training row of each sample, and how far it is, to all digits. */
static int find_nearest(struct ek_closeness *out, const struct ek_rows *samples, const struct ek_rows *training,
                        const int64_t *neighbours, const char *path)
{
	const size_t d = samples->dimensions;
	float *room = NULL;
	int rc;

	EK_TRY(ek_alloc_aligned(&room, 2 * d, sizeof *room));
	for (uint64_t i = 0; i < out->count; i++) {
		const uint64_t id = (uint64_t)neighbours[i * K], *at;

		at = bsearch(&id, training->ids, training->count, sizeof id, ek_compare_u64);
		if (at == NULL) {
			rc = ek_fail(EK_EDATA, "%s: %" PRIu64 " is no training image", path, id);
			goto out;
		}
		out->index[i] = (uint32_t)(at - training->ids);
		out->distance[i] = sqrt(ek_vector_distance2(ek_rows_at(samples, i, room),
		                                            ek_rows_at(training, out->index[i], room + d), d));
	}
out:
	free(room);
	return rc;
}

int ek_samples_closeness(struct ek_closeness *out, const struct ek_run *run, const char *name,
                         const struct ek_rows *samples, const struct ek_rows *training)
{
	const uint64_t shape[2] = { samples->count, K };
	struct ek_npy neighbours = { 0 }, own = { 0 }, copied = { 0 };
	char *files[FILES] = { NULL }, *path = NULL;
	int rc;

	*out = (struct ek_closeness){ .count = samples->count, .k = 1 };
	EK_TRY(list_files(files, name));
	EK_TRY(ek_run_file(&path, run, files[4]));
	EK_TRY(ek_npy_open_as(&own, path, EK_F64, 1, shape));
	free(path);
	EK_TRY(ek_run_file(&path, run, files[5]));
	EK_TRY(ek_npy_open_as(&copied, path, EK_U8, 1, shape));
	free(path);
	EK_TRY(ek_run_file(&path, run, files[2]));
	EK_TRY(ek_npy_open_as(&neighbours, path, EK_I64, 2, shape));
	EK_TRY(ek_alloc(&out->index, out->count, sizeof *out->index));
	EK_TRY(ek_alloc(&out->distance, out->count, sizeof *out->distance));
	EK_TRY(ek_alloc(&out->own, out->count, sizeof *out->own));
	EK_TRY(ek_alloc(&out->copied, out->count, sizeof *out->copied));
	memcpy(out->own, own.data, out->count * sizeof *out->own);
	memcpy(out->copied, copied.data, out->count);
	EK_TRY(find_nearest(out, samples, training, neighbours.data, path));
out:
	ek_npy_close(&neighbours);
	ek_npy_close(&own);
	ek_npy_close(&copied);
	for (int i = 0; i < FILES; i++)
		free(files[i]);
	free(path);
	return rc;
}
