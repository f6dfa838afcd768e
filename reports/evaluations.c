#include "reports/evaluations.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"
#include "reports/thumbnails.h"

/* One row for each cluster, or none at all. */
static int find_rows(struct ek_evaluation *e, size_t k)
{
	const cJSON *rows = ek_json_member(e->json, "per_cluster"), *row;
	int rc = 0, fits;

	if (k == 0 || !cJSON_IsArray(rows) || (size_t)cJSON_GetArraySize(rows) != k)
		return 0;
	EK_TRY(ek_alloc(&e->rows, k, sizeof *e->rows));
	cJSON_ArrayForEach(row, rows)
	{
		const double cluster = ek_number_of(row, "cluster");

		fits = cluster >= 0 && cluster < (double)k && e->rows[(size_t)cluster] == NULL;
		if (!fits) {
			free(e->rows);
			e->rows = NULL;
			goto out;
		}
		e->rows[(size_t)cluster] = row;
	}
out:
	return rc;
}

static int find_sets(struct ek_evaluation *e, const struct ek_sample_sets *sets)
{
	const cJSON *names = ek_json_member(ek_json_member(e->json, "generated"), "samples");
	const cJSON *name;
	int rc;

	EK_TRY(ek_alloc(&e->sets, (size_t)cJSON_GetArraySize(names), sizeof *e->sets));
	cJSON_ArrayForEach(name, names)
	{
		const int64_t set = ek_sample_sets_find(sets, cJSON_GetStringValue(name));

		if (set >= 0)
			e->sets[e->set_count++] = (size_t)set;
	}
out:
	return rc;
}

static int find_staleness(struct ek_evaluation *e, struct ek_run *run)
{
	char *step = NULL;
	const char *reason;
	int unchanged, rc;

	EK_TRY(ek_format(&step, "evaluation %s", e->name));
	EK_TRY(ek_run_is_unchanged(&unchanged, &reason, run, step, 1));
	if (!unchanged)
		EK_TRY(ek_copy_string(&e->stale, reason));
out:
	free(step);
	return rc;
}

static int load_evaluation(struct ek_evaluation *e, struct ek_run *run, const char *path,
                           const struct ek_sample_sets *sets, size_t k)
{
	int rc;

	EK_TRY(ek_file_stem(&e->name, path));
	EK_TRY(ek_load_object(&e->json, path));
	EK_TRY(find_rows(e, k));
	EK_TRY(find_sets(e, sets));
	EK_TRY(find_staleness(e, run));
out:
	return rc;
}

static void release_evaluation(struct ek_evaluation *e)
{
	free(e->name);
	free(e->stale);
	cJSON_Delete(e->json);
	free(e->rows);
	free(e->sets);
	free(e->keys);
	free(e->counts);
	*e = (struct ek_evaluation){ 0 };
}

int ek_evaluations_load(struct ek_evaluations *evaluations, struct ek_buffer *left_out, struct ek_run *run,
                        const struct ek_sample_sets *sets, size_t k)
{
	glob_t found = { 0 };
	int rc;

	*evaluations = (struct ek_evaluations){ 0 };
	EK_TRY(ek_find_named(&found, run, "evaluations/*.json"));
	EK_TRY(ek_alloc(&evaluations->items, found.gl_pathc, sizeof *evaluations->items));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_evaluation *e = &evaluations->items[evaluations->count++];

		EK_TRY(ek_leave_out(left_out, load_evaluation(e, run, found.gl_pathv[i], sets, k), found.gl_pathv[i]));
		if (rc > 0)
			release_evaluation(&evaluations->items[--evaluations->count]);
	}
	rc = 0;
out:
	globfree(&found);
	return rc;
}

void ek_evaluations_release(struct ek_evaluations *evaluations)
{
	for (size_t i = 0; i < evaluations->count; i++)
		release_evaluation(&evaluations->items[i]);
	free(evaluations->items);
	*evaluations = (struct ek_evaluations){ 0 };
}

static int draw_from(struct ek_evaluation *e, struct ek_buffer *left_out, const struct ek_run *run,
                     const char *set_name, size_t set, size_t k)
{
	struct ek_npy assignment = { 0 };
	char *name = NULL, *path = NULL;
	int rc;

	EK_TRY(ek_format(&name, "samples/%s/assignment.npy", set_name));
	EK_TRY(ek_run_file(&path, run, name));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_leave_out(left_out, ek_npy_open_as(&assignment, path, EK_I32, 1, (const uint64_t[]){ UINT64_MAX }),
	                    path));
	for (uint64_t i = 0; rc == 0 && i < assignment.shape[0]; i++) {
		const int32_t cluster = ((const int32_t *)assignment.data)[i];

		if (cluster >= 0 && (size_t)cluster < k && e->counts[cluster] < e->each)
			e->keys[(size_t)cluster * e->each + e->counts[cluster]++] = ek_sample_key(set, i);
	}
out:
	ek_npy_close(&assignment);
	free(name);
	free(path);
	return rc < 0 ? rc : 0;
}

int ek_evaluation_draw(struct ek_evaluation *e, struct ek_buffer *left_out, const struct ek_run *run,
                       const struct ek_sample_sets *sets, size_t k, size_t each)
{
	int rc;

	free(e->keys);
	free(e->counts);
	e->counts = NULL;
	e->each = each;
	EK_TRY(ek_alloc(&e->keys, k, each * sizeof *e->keys));
	EK_TRY(ek_alloc(&e->counts, k, 1));
	for (size_t i = 0; i < e->set_count; i++)
		EK_TRY(draw_from(e, left_out, run, sets->items[e->sets[i]].name, e->sets[i], k));
out:
	return rc;
}

uint64_t ek_sample_key(size_t set, uint64_t i)
{
	return EK_PICTURE_FILE | (uint64_t)set << 40 | i;
}

size_t ek_sample_key_set(uint64_t key)
{
	return (size_t)((key & ~EK_PICTURE_FILE) >> 40);
}

uint64_t ek_sample_key_sample(uint64_t key)
{
	return key & ((UINT64_C(1) << 40) - 1);
}

int ek_evaluation_copy(struct ek_copy *copy, const struct ek_evaluation *e, const struct ek_sample_sets *sets,
                       uint64_t images, size_t i)
{
	const cJSON *memorisation = ek_json_member(e->json, "memorisation"), *row;

	cJSON_ArrayForEach(row, ek_json_member(memorisation, "copies"))
	{
		const int64_t set = ek_sample_sets_find(sets, ek_text_of(row, "sample", NULL));
		const double sample = ek_number_of(row, "index"), image = ek_number_of(row, "image");

		if (set < 0 || !(sample >= 0 && sample < 1e12) || !(image >= 0 && image < (double)images) || i-- > 0)
			continue;
		*copy = (struct ek_copy){ (size_t)set, (uint64_t)sample, (uint64_t)image, ek_number_of(row, "distance"),
			                  ek_number_of(row, "own") };
		return 1;
	}
	return 0;
}

const char *ek_evaluation_reason(const struct ek_evaluation *e, const cJSON *row, const char *measure)
{
	const char *reason = ek_text_of(ek_json_member(row, "reasons"), measure, NULL);

	return reason != NULL ? reason : ek_text_of(ek_json_member(e->json, "reasons"), measure, NULL);
}
