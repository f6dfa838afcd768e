#include "reports/plans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/npy.h"
#include "reports/documents.h"
#include "reports/picks.h"

/* What decision.npy says (docs/files.md). */
enum { REMOVED, KEPT, HELD_OUT, NO_VALUE };

struct ek_plan_unit ek_plan_unit_of(const cJSON *row)
{
	const struct ek_measure interval = ek_interval_of(row);
	const double before = ek_number_of(row, "before"), after = ek_number_of(row, "after");

	return (struct ek_plan_unit){ .value = ek_text_of(row, "value", NULL),
		                      .before = before > 0 && before < 9e15 ? before : 0,
		                      .after = after > 0 && after < 9e15 ? after : 0,
		                      .removed = ek_number_of(row, "removal_rate"),
		                      .low = interval.low,
		                      .high = interval.high };
}

static int load_subset(struct ek_subset_plan *plan, const char *path, size_t k)
{
	const cJSON *rows, *row;
	size_t i = 0;
	int rc;

	EK_TRY(ek_folder_name(&plan->name, path));
	EK_TRY(ek_load_object(&plan->json, path));
	rows = ek_json_member(plan->json, "per_cluster");
	if (k == 0 || !cJSON_IsArray(rows) || (size_t)cJSON_GetArraySize(rows) != k)
		goto out;
	EK_TRY(ek_alloc(&plan->clusters, k, sizeof *plan->clusters));
	cJSON_ArrayForEach(row, rows) plan->clusters[i++] = ek_plan_unit_of(row);
out:
	return rc;
}

static void mark_baselines(struct ek_plans *plans)
{
	for (size_t i = 0; i < plans->subset_count; i++) {
		const cJSON *name;

		cJSON_ArrayForEach(name, ek_json_member(plans->subsets[i].json, "baselines"))
		{
			for (size_t j = 0; j < plans->subset_count; j++)
				if (j != i && cJSON_IsString(name) &&
				    strcmp(plans->subsets[j].name, name->valuestring) == 0)
					plans->subsets[j].is_baseline = 1;
		}
	}
}

static void release_subset(struct ek_subset_plan *plan)
{
	free(plan->name);
	cJSON_Delete(plan->json);
	free(plan->clusters);
	free(plan->ids);
	free(plan->counts);
	*plan = (struct ek_subset_plan){ 0 };
}

static int load_subsets(struct ek_plans *plans, struct ek_buffer *left_out, const struct ek_run *run)
{
	glob_t found = { 0 };
	int rc;

	EK_TRY(ek_run_glob(&found, run, "subsets/*/subset.json"));
	EK_TRY(ek_alloc(&plans->subsets, found.gl_pathc, sizeof *plans->subsets));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_subset_plan *plan = &plans->subsets[plans->subset_count++];

		EK_TRY(ek_leave_out(left_out, load_subset(plan, found.gl_pathv[i], plans->k), found.gl_pathv[i]));
		if (rc > 0)
			release_subset(&plans->subsets[--plans->subset_count]);
	}
	mark_baselines(plans);
	rc = 0;
out:
	globfree(&found);
	return rc;
}

static int load_weights(struct ek_weights_plan *plan, const char *path)
{
	int rc;

	EK_TRY(ek_folder_name(&plan->name, path));
	EK_TRY(ek_load_object(&plan->json, path));
out:
	return rc;
}

static void release_weights(struct ek_weights_plan *plan)
{
	free(plan->name);
	cJSON_Delete(plan->json);
	*plan = (struct ek_weights_plan){ 0 };
}

int ek_plans_load(struct ek_plans *plans, struct ek_buffer *left_out, const struct ek_run *run, size_t k)
{
	glob_t found = { 0 };
	int rc;

	*plans = (struct ek_plans){ .k = k };
	EK_TRY(load_subsets(plans, left_out, run));
	EK_TRY(ek_run_glob(&found, run, "weights/*/weights.json"));
	EK_TRY(ek_alloc(&plans->weights, found.gl_pathc, sizeof *plans->weights));
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct ek_weights_plan *plan = &plans->weights[plans->weights_count++];

		EK_TRY(ek_leave_out(left_out, load_weights(plan, found.gl_pathv[i]), found.gl_pathv[i]));
		if (rc > 0)
			release_weights(&plans->weights[--plans->weights_count]);
	}
	rc = 0;
out:
	globfree(&found);
	return rc;
}

void ek_plans_release(struct ek_plans *plans)
{
	for (size_t i = 0; i < plans->subset_count; i++)
		release_subset(&plans->subsets[i]);
	for (size_t i = 0; i < plans->weights_count; i++)
		release_weights(&plans->weights[i]);
	free(plans->subsets);
	free(plans->weights);
	*plans = (struct ek_plans){ 0 };
}

int ek_plans_draw(struct ek_subset_plan *plan, struct ek_buffer *left_out, const struct ek_run *run,
                  const int32_t *assignment, uint64_t n, size_t k, size_t each)
{
	struct ek_npy decision = { 0 };
	char *name = NULL, *path = NULL;
	int32_t *class = NULL;
	int rc;

	free(plan->ids);
	free(plan->counts);
	plan->ids = NULL;
	plan->counts = NULL;
	plan->each = each;
	if (plan->clusters == NULL)
		return 0;
	EK_TRY(ek_format(&name, "subsets/%s/decision.npy", plan->name));
	EK_TRY(ek_run_file(&path, run, name));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_leave_out(left_out, ek_npy_open_as(&decision, path, EK_U8, 1, (const uint64_t[]){ UINT64_MAX }),
	                    path));
	if (rc > 0 || decision.shape[0] != n)
		goto out;
	EK_TRY(ek_alloc(&class, n, sizeof *class));
	for (uint64_t i = 0; i < n; i++) {
		const uint8_t code = ((const uint8_t *)decision.data)[i];
		const int counted = (code == KEPT || code == REMOVED || code == NO_VALUE) && assignment[i] >= 0 &&
		                    (size_t)assignment[i] < k && assignment[i] < INT32_MAX / 2;

		class[i] = counted ? 2 * assignment[i] + (code != KEPT) : -1;
	}
	EK_TRY(ek_alloc(&plan->ids, 2 * k, each * sizeof *plan->ids));
	EK_TRY(ek_alloc(&plan->counts, 2 * k, 1));
	EK_TRY(ek_picks_sample(plan->ids, plan->counts, class, n, 2 * k, each));
out:
	ek_npy_close(&decision);
	free(class);
	free(name);
	free(path);
	return rc < 0 ? rc : 0;
}

const uint64_t *ek_plans_drawn(const struct ek_subset_plan *plan, size_t cluster, int removed, size_t *count)
{
	const size_t slot = 2 * cluster + (removed != 0);

	*count = plan->ids == NULL ? 0 : plan->counts[slot];
	return plan->ids == NULL ? NULL : plan->ids + slot * plan->each;
}

const struct ek_subset_plan *ek_plans_find(const struct ek_plans *plans, const char *name)
{
	for (size_t i = 0; i < plans->subset_count; i++)
		if (strcmp(plans->subsets[i].name, name) == 0)
			return &plans->subsets[i];
	return NULL;
}
