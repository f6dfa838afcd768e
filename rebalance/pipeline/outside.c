#include "rebalance/pipeline/outside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/embed/import.h"
#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/pipeline/measured.h"
#include "rebalance/io/filename.h"
#include "rebalance/io/kept_path.h"
#include "rebalance/io/layout.h"
#include "rebalance/pipeline/space.h"
#include "train/loop/checkpoint.h"

/* {"path", "xxh64"} of a recorded evaluation; is_file: hashed as it is, else as ek_measured_path does. */
static int check_path(char **reason, const struct ek_run *run, const cJSON *object, int is_file)
{
	const cJSON *hash = ek_json_member(object, "xxh64");
	char *kept = NULL, *path = NULL, text[17];
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
	EK_TRY(ek_hash64_file_hex(text, path));
	if (strcmp(text, hash->valuestring) != 0)
		EK_TRY(ek_format(reason, "%s changed", path));
out:
	free(kept);
	free(path);
	return rc;
}

/* Sets of samples are files of the run. */
static int check_evaluation(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = ek_json_member(step, "options"), *set;
	int rc = 0;

	cJSON_ArrayForEach(set, ek_json_member(options, "samples")) if (*reason == NULL)
		EK_TRY(check_path(reason, run, set, 0));
	if (*reason == NULL)
		EK_TRY(check_path(reason, run, ek_json_member(options, "reference"), 0));
	if (*reason == NULL)
		EK_TRY(check_path(reason, run, ek_json_member(options, "statistics"), 1));
out:
	return rc;
}

/* Of a model of the run, the newest checkpoint is taken. */
static int check_samples(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = ek_json_member(step, "options");
	const char *model = cJSON_GetStringValue(ek_json_member(options, "model"));
	const double then = ek_json_number(options, "model_step");
	struct ek_tensor_file file = { 0 };
	char *folder = NULL;
	uint64_t now;
	int found, rc = 0;

	if (model == NULL)
		return 0;
	EK_TRY(ek_layout_path(&folder, run, "models/*", model));
	found = ek_checkpoint_open(&file, &now, folder, EK_CHECKPOINT_AVERAGE);
	if (found == EK_ENOMEM)
		rc = found;
	else if (found > 0 && then >= 0 && ek_whole(then) != now)
		rc = ek_format(reason, "the model %s was trained on, from step %.0f to %" PRIu64, model, then, now);
out:
	ek_tensor_file_close(&file);
	free(folder);
	return rc;
}

/* Files that options of a step name and that lie elsewhere, and the hashes that its record keeps of them. */
static const struct {
	const char *step;            /* its name, or how that begins */
	const char *hash;            /* in "options" */
	const char *member, *option; /* where the path is: "asked" or "options" */
	const char *prefix;          /* of the path */
} files[] = { { "groups", "labels_hash", "asked", "labels", "" },
	      { "groups", "words_hash", "asked", "group-words", "" },
	      { "groups", "tower_hash", "asked", "text-weights", "" },
	      { "scores ", "labels_xxh64", "asked", "labels", "" },
	      { "subset ", "target_xxh64", "options", "target", "" },
	      { "subset ", "scores_xxh64", "options", "scores", "" },
	      { "weights ", "target_hash", "options", "scheme", "target=" } };
enum { FILES = sizeof files / sizeof *files };

/* The file of a row that the step was made from, and its hash; `*path` NULL: it has none. */
static const char *file_of(const char **hash, const cJSON *step, size_t row)
{
	const char *path =
		cJSON_GetStringValue(ek_json_member(ek_json_member(step, files[row].member), files[row].option));

	*hash = cJSON_GetStringValue(ek_json_member(ek_json_member(step, "options"), files[row].hash));
	if (*hash == NULL || path == NULL || strncmp(step->string, files[row].step, strlen(files[row].step)) != 0)
		return NULL;
	return path + strlen(files[row].prefix);
}

static int check_files(char **reason, const struct ek_run *run, const cJSON *step)
{
	const char *path, *hash;
	char text[17];
	int rc = 0;

	(void)run;
	for (size_t i = 0; i < FILES && *reason == NULL; i++) {
		if ((path = file_of(&hash, step, i)) == NULL || ek_file_exists(path) != 1)
			continue;
		EK_TRY(ek_hash64_file_hex(text, path));
		if (strcmp(text, hash) != 0)
			EK_TRY(ek_format(reason, "%s changed", path));
	}
out:
	return rc;
}

/* Embeddings of the user's own. */
static int check_source(char **reason, const struct ek_run *run, const cJSON *step)
{
	const cJSON *options = ek_json_member(step, "options");
	char *path = NULL;
	int rc = 0;

	(void)run;
	if (ek_json_member(options, "source") == NULL)
		return 0;
	EK_TRY(ek_filename_get(&path, options, "source", "run.json"));
	if (ek_file_exists(path) == 1 && !ek_import_is_same(options, path))
		EK_TRY(ek_format(reason, "%s changed", path));
out:
	free(path);
	return rc;
}

const char *ek_outside_missing(const cJSON *step)
{
	const char *path = cJSON_GetStringValue(ek_json_member(ek_json_member(step, "options"), "source")), *hash;

	if (path != NULL && ek_file_exists(path) != 1)
		return path;

	for (size_t i = 0; i < FILES; i++)
		if ((path = file_of(&hash, step, i)) != NULL && ek_file_exists(path) != 1)
			return path;
	return NULL;
}

struct kind {
	const char *prefix; /* of the step's name */
	int (*check)(char **reason, const struct ek_run *run, const cJSON *step);
};

static int check_kind(struct ek_run *run, const struct kind *kind)
{
	char *reason = NULL;
	int rc = 0;

	for (const cJSON *step = ek_run_first(run); step != NULL; step = step->next) {
		if (strncmp(step->string, kind->prefix, strlen(kind->prefix)) != 0)
			continue;
		EK_TRY(kind->check(&reason, run, step));
		if (reason != NULL)
			EK_TRY(ek_run_set_stale(run, step->string, reason));
		free(reason);
		reason = NULL;
	}
out:
	free(reason);
	return rc;
}

int ek_outside_check(struct ek_run *run)
{
	static const struct kind kinds[] = { { "samples ", check_samples },
		                             { "features ", ek_features_changed },
		                             { "evaluation ", check_evaluation },
		                             { "embed", check_source },
		                             { "", check_files } };
	int rc = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		EK_TRY(check_kind(run, &kinds[i]));
out:
	return rc;
}

int ek_outside_check_latents(struct ek_run *run)
{
	return check_kind(run, &(struct kind){ "latents ", ek_space_latents_changed });
}
