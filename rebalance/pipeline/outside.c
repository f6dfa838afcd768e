#include "rebalance/pipeline/outside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/pipeline/measured.h"
#include "rebalance/pipeline/steps.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/kept_path.h"

/* The embeddings are of other images than the list has now. */
static int is_of_others(const struct ek_run *run)
{
	const cJSON *listed = ek_json_member(ek_json_member(ek_run_recorded(run, "scan"), "counts"), "contents");
	const cJSON *embedded = ek_json_member(
		ek_json_member(ek_json_member(ek_run_recorded(run, "embed"), "options"), "images"), "contents");

	return cJSON_IsString(listed) && cJSON_IsString(embedded) &&
	       strcmp(listed->valuestring, embedded->valuestring) != 0;
}

int ek_outside_check_images(struct ek_run *run, struct ek_steps_options *options)
{
	const char *reason;
	char *why = NULL;
	int current, rc;

	EK_TRY(ek_steps_scan_is_current(&current, &reason, run, options));
	if (!current) {
		EK_TRY(ek_copy_string(&why, reason));
		EK_TRY(ek_run_set_stale(run, "scan", why));
	}
	if (!current && ek_json_member(ek_json_member(ek_run_recorded(run, "embed"), "options"), "images") != NULL)
		EK_TRY(ek_run_set_stale(run, "embed", why));
	else if (is_of_others(run))
		EK_TRY(ek_run_set_stale(run, "embed", "images changed"));
out:
	free(why);
	return rc;
}

/* {"path", "xxh64"} of a recorded evaluation; is_file: hashed as it is, else as ek_measured_path does. */
static int check_path(char **reason, const struct ek_run *run, const cJSON *object, int is_file)
{
	const cJSON *hash = ek_json_member(object, "xxh64");
	char *kept = NULL, *path = NULL, text[17];
	uint64_t now;
	int rc;

	if (!cJSON_IsString(hash))
		return 0;
	EK_TRY(ek_filename_get(&kept, object, "path", "run.json"));
	EK_TRY(ek_kept_path_find(&path, run, kept));
	if (path == NULL)
		goto out;
	if (!is_file) {
		EK_TRY(ek_measured_path_changed(reason, run, path, hash->valuestring));
		goto out;
	}
	EK_TRY(ek_hash64_file(&now, path));
	(void)snprintf(text, sizeof text, "%016" PRIx64, now);
	if (strcmp(text, hash->valuestring) != 0)
		EK_TRY(ek_format(reason, "%s changed", path));
out:
	free(kept);
	free(path);
	return rc;
}

static int check_evaluation(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = ek_json_member(step, "options"), *set;
	int rc = 0;

	cJSON_ArrayForEach(set, ek_json_member(options, "samples")) if (*reason == NULL)
	{
		if (cJSON_IsString(set))
			EK_TRY(ek_measured_samples_changed(reason, run, set->valuestring));
		else
			EK_TRY(check_path(reason, run, set, 0));
	}
	if (*reason == NULL)
		EK_TRY(check_path(reason, run, ek_json_member(options, "reference"), 0));
	if (*reason == NULL)
		EK_TRY(check_path(reason, run, ek_json_member(options, "statistics"), 1));
out:
	return rc;
}

int ek_outside_check_evaluations(struct ek_run *run)
{
	static const char evaluation[] = "evaluation ", comparison[] = "comparison ";
	char *reason = NULL;
	int rc = 0;

	for (const cJSON *step = ek_run_first(run); step != NULL; step = step->next) {
		if (strncmp(step->string, evaluation, sizeof evaluation - 1) == 0)
			EK_TRY(check_evaluation(&reason, run, step));
		else if (strncmp(step->string, comparison, sizeof comparison - 1) == 0)
			EK_TRY(ek_measured_samples_changed(&reason, run, step->string + sizeof comparison - 1));
		if (reason != NULL)
			EK_TRY(ek_run_set_stale(run, step->string, reason));
		free(reason);
		reason = NULL;
	}
out:
	free(reason);
	return rc;
}
