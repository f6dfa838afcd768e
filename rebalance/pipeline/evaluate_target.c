/* Of `evaluate`: the shares that are wanted. */
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/evaluate_internal.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/plan/target.h"

/* Were as many samples made of each cluster? */
static int is_even(const struct ek_evaluate *e)
{
	const cJSON *classes = ek_json_member(e->seen.samples, "classes"), *item;

	if (e->asked == NULL || (uint32_t)cJSON_GetArraySize(classes) != e->frozen.k)
		return 0;
	cJSON_ArrayForEach(item, classes) if (item->valuedouble != classes->child->valuedouble) return 0;
	return 1;
}

/* Was the model trained on what a plan evened out? */
static int is_balanced(int *is, const struct ek_evaluate *e)
{
	cJSON *json = NULL;
	char *path = NULL;
	const char *command;
	int rc = 0;

	*is = e->seen.weights != NULL || is_even(e);
	if (*is || e->seen.subset == NULL)
		return 0;
	EK_TRY(ek_layout_path(&path, e->run, "subsets/*/subset.json", e->seen.subset));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_json_load(&json, path));
	command = cJSON_GetStringValue(ek_json_member(json, "command"));
	*is = command != NULL && strcmp(command, "balance") == 0;
out:
	cJSON_Delete(json);
	free(path);
	return rc;
}

static int choose_target(struct ek_evaluate *e)
{
	int balanced, rc = 0;

	if (e->wish->target != NULL) {
		e->target = strcmp(e->wish->target, "held-out") == 0 ? "reference" : e->wish->target;
		return 0;
	}
	EK_TRY(is_balanced(&balanced, e));
	e->target = balanced ? "uniform" : e->kind == EK_REFERENCE_PATH ? "reference" : "training";
out:
	return rc;
}

static int load_target(struct ek_evaluate *e)
{
	struct ek_units units = { 0 };
	int rc;

	EK_TRY(ek_alloc(&e->shares, e->frozen.k, sizeof *e->shares));
	EK_TRY(ek_evaluate_absolute(&e->target_path, e->target));
	EK_TRY(ek_units_load(&units, e->run, "cluster"));
	EK_TRY(ek_target_load(e->shares, &units, e->target_path, 1));
	free(e->target_path);
	EK_TRY(ek_kept_path(&e->target_path, e->run, e->target));
	e->target = e->target_path;
out:
	ek_units_release(&units);
	return rc;
}

int ek_evaluate_target_file(struct ek_evaluate *e)
{
	static const char *const words[] = { "uniform", "training", "reference", "held-out" };

	e->target = e->wish->target;
	for (size_t i = 0; e->target != NULL && i < sizeof words / sizeof *words; i++)
		e->target = strcmp(e->target, words[i]) != 0 ? e->target : NULL;
	return e->target != NULL ? load_target(e) : 0;
}

int ek_evaluate_target(struct ek_evaluate *e)
{
	const uint32_t k = e->frozen.k;
	int rc = 0;

	if (e->shares != NULL) {
		e->input.target = e->shares;
		return 0;
	}
	EK_TRY(choose_target(e));
	EK_TRY(ek_alloc(&e->shares, k, sizeof *e->shares));
	e->input.target = e->shares;
	if (strcmp(e->target, "uniform") == 0) {
		for (uint32_t c = 0; c < k; c++)
			e->shares[c] = 1 / (double)k;
	} else if (strcmp(e->target, "training") == 0) {
		for (uint32_t c = 0; c < k; c++)
			e->shares[c] = (double)e->frozen.sizes[c] / (double)e->frozen.training_count;
	} else if (e->input.reference.count == 0) {
		rc = ek_fail(EK_EUSAGE, "'target' reference: %s", e->input.no_reference);
	} else {
		for (uint64_t i = 0; i < e->input.reference.count; i++)
			e->shares[e->input.reference_cluster[i]]++;
		for (uint32_t c = 0; c < k; c++)
			e->shares[c] /= (double)e->input.reference.count;
	}
out:
	return rc;
}
