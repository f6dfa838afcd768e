#include "rebalance/pipeline/measured.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/io/dataset.h"
#include "rebalance/io/layout.h"
#include "rebalance/base/file.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/samples_compare.h"

enum { LEAST = 2 }; /* images that others are measured against */

/* What is done once the features are there. */
static int assign(struct ek_measured *m, const struct ek_spaces *s)
{
	const char *what = m->path != NULL ? m->path : m->own.path;
	int rc;

	m->rows = s->other != NULL ? &m->other.rows : &m->own.rows;
	EK_TRY(ek_alloc(&m->cluster, m->own.rows.count, sizeof *m->cluster));
	EK_TRY(ek_frozen_assign(m->cluster, s->frozen, &m->own.rows, what));
out:
	return rc;
}

int ek_measured_samples(struct ek_measured *m, const struct ek_spaces *s, const char *name)
{
	int rc;

	*m = (struct ek_measured){ 0 };
	EK_TRY(ek_copy_string(&m->name, name));
	EK_TRY(ek_samples_features(&m->own, s->run, s->own, name));
	if (s->other != NULL)
		EK_TRY(ek_samples_features(&m->other, s->run, s->other, name));
	EK_TRY(assign(m, s));
out:
	return rc;
}

/* 1: the file is a table of numbers, not images. */
static int is_embeddings(int *is, const char *path)
{
	const size_t length = strlen(path);
	struct ek_npz npz = { 0 };
	struct ek_npy array;
	struct stat status;
	int rc = 0;

	*is = 0;
	if (length < 5 || (rc = ek_file_status(&status, path)) <= 0 || !S_ISREG(status.st_mode))
		return rc < 0 ? rc : 0;
	*is = strcmp(path + length - 4, ".npy") == 0;
	if (strcmp(path + length - 4, ".npz") != 0)
		return 0;
	EK_TRY(ek_npz_open(&npz, path));
	if (ek_npz_has(&npz, "arr_0")) {
		EK_TRY(ek_npz_array(&array, &npz, "arr_0"));
		*is = array.dimensions == 2;
	}
out:
	ek_npz_close(&npz);
	return rc;
}

static void place_of(char place[40], const char *path)
{
	(void)snprintf(place, 40, "path-%016" PRIx64, ek_hash64(path, strlen(path)));
}

/* The file of the run that has the features of what lies at `path`; encoder: NULL: the run's own. */
static int array_of(char **array, const char *path, const char *encoder)
{
	char place[40];

	place_of(place, path);
	return ek_format(array, "cache/features/%s/embeddings%s%s.npy", place, encoder != NULL ? "-" : "",
	                 encoder != NULL ? encoder : "");
}

static int embed(struct ek_features *out, const struct ek_spaces *s, const struct ek_feature_maker *maker,
                 const char *path)
{
	char place[40], *array = NULL;
	int rc;

	place_of(place, path);
	EK_TRY(array_of(&array, path, maker->other ? maker->encoder : NULL));
	EK_TRY(ek_features_of_dataset(out, s->run, maker,
	                              &(struct ek_feature_source){ .dataset = path, .place = place, .array = array }));
out:
	free(array);
	return rc;
}

/* Two files that are there and may be images; what else is wrong with them shows when they are read. */
static int check_images(const char *path)
{
	struct ek_dataset *dataset = NULL;
	struct ek_dataset_item item = { 0 };
	struct ek_buffer first = { 0 };
	uint64_t listed = 0;
	int there = 0, rc;

	EK_TRY(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
	while (there < LEAST) {
		const char *problem;

		EK_TRY(ek_dataset_next(dataset, &item));
		if (rc == 0)
			break;
		listed++;
		problem = item.problem != NULL                                    ? item.problem
		          : item.path.size > 0 && !ek_file_exists(item.path.data) ? "no such file"
		                                                                  : NULL;
		there += problem == NULL;
		if (problem != NULL && first.size == 0)
			EK_TRY(ek_buffer_printf(&first, "%s: %s", item.name.data, problem));
	}
	rc = there >= LEAST ? 0
	     : there > 0    ? ek_fail(EK_EDATA, "%s: one image at most, and to measure against at least %d are needed",
	                              path, LEAST)
	     : listed > 0   ? ek_fail(EK_EDATA, "%s: none of %" PRIu64 " image%s is there, the first: %s", path, listed,
	                              ek_text_s(listed), first.data)
	                    : ek_fail(EK_EDATA, "%s: no image in it", path);
out:
	ek_buffer_release(&first);
	ek_dataset_item_release(&item);
	ek_dataset_close(dataset);
	return rc;
}

int ek_measured_check(const char *path)
{
	struct ek_features features = { 0 };
	int embedded, rc;

	EK_TRY(is_embeddings(&embedded, path));
	EK_TRY(embedded ? ek_features_open(&features, path, 0) : check_images(path));
	if (embedded && features.rows.count < LEAST)
		rc = ek_fail(EK_EDATA, "%s: one row, and to measure against at least %d are needed", path, LEAST);
out:
	ek_features_release(&features);
	return rc;
}

int ek_measured_path(struct ek_measured *m, const struct ek_spaces *s, const char *path)
{
	int embedded, rc;

	*m = (struct ek_measured){ 0 };
	EK_TRY(ek_copy_string(&m->path, path));
	EK_TRY(is_embeddings(&embedded, path));
	if (embedded && s->other != NULL) {
		rc = ek_fail(EK_EUSAGE, "%s is embeddings: 'encoder' %s would need the images", path,
		             s->other->encoder);
		goto out;
	}
	if (embedded) {
		EK_TRY(ek_features_open(&m->own, path, s->frozen->centroids.shape[1]));
	} else {
		EK_TRY(embed(&m->own, s, s->own, path));
		if (s->other != NULL)
			EK_TRY(embed(&m->other, s, s->other, path));
	}
	EK_TRY(assign(m, s));
	EK_TRY(ek_hash64_file_hex(m->hash, m->own.path));
out:
	return rc;
}

int ek_measured_path_changed(char **reason, const struct ek_run *run, const char *path, const char *hash)
{
	const char *then = NULL;
	char now[17], *array = NULL, *name = NULL;
	const cJSON *step;
	int embedded, rc;

	*reason = NULL;
	EK_TRY(is_embeddings(&embedded, path));
	if (embedded) {
		EK_TRY(ek_hash64_file_hex(now, path));
		then = now;
		goto compare;
	}
	EK_TRY(array_of(&array, path, NULL));
	EK_TRY(ek_format(&name, "features %s", array));
	if ((step = ek_run_recorded(run, name)) == NULL)
		goto out;
	EK_TRY(ek_features_changed(reason, run, step));
	then = cJSON_GetStringValue(ek_json_member(ek_json_member(ek_json_member(step, "outputs"), array), "xxh64"));
compare:
	if (*reason == NULL && then != NULL && strcmp(then, hash) != 0)
		EK_TRY(ek_format(reason, "%s changed", path));
out:
	free(array);
	free(name);
	return rc;
}

void ek_measured_release(struct ek_measured *m)
{
	ek_features_release(&m->own);
	ek_features_release(&m->other);
	free(m->name);
	free(m->path);
	free(m->cluster);
	*m = (struct ek_measured){ 0 };
}

static int write_rows(struct ek_atomic_file *file, const struct ek_rows *rows)
{
	float *room = NULL;
	int rc;

	EK_TRY(ek_alloc_aligned(&room, rows->dimensions, sizeof *room));
	for (uint64_t i = 0; i < rows->count; i++)
		EK_TRY(ek_atomic_write(file, ek_rows_at(rows, i, room), rows->dimensions * sizeof *room));
out:
	free(room);
	return rc;
}

int ek_pooled_open(struct ek_features *pooled, int32_t **cluster, const struct ek_run *run,
                   const struct ek_measured *sets, size_t count)
{
	struct ek_atomic_file file = { 0 };
	uint64_t shape[2] = { 0, sets[0].rows->dimensions }, done = 0;
	char *path = NULL;
	int rc;

	*pooled = (struct ek_features){ 0 };
	for (size_t i = 0; i < count; i++)
		shape[0] += sets[i].rows->count;
	EK_TRY(ek_layout_path(&path, run, "cache", NULL));
	EK_TRY(ek_make_directories(path));
	free(path);
	EK_TRY(ek_layout_path(&path, run, "cache/evaluated.npy", NULL));
	EK_TRY(ek_npy_create(&file, path, EK_F32, 2, shape));
	EK_TRY(ek_alloc(cluster, shape[0], sizeof **cluster));
	for (size_t i = 0; i < count; i++) {
		EK_TRY(write_rows(&file, sets[i].rows));
		memcpy(*cluster + done, sets[i].cluster, sets[i].rows->count * sizeof **cluster);
		done += sets[i].rows->count;
	}
	EK_TRY(ek_atomic_commit(&file));
	EK_TRY(ek_features_open(pooled, path, 0));
out:
	ek_atomic_discard(&file);
	free(path);
	return rc;
}

void ek_pooled_release(struct ek_features *pooled)
{
	if (pooled->path != NULL)
		(void)ek_remove(pooled->path);
	ek_features_release(pooled);
}
