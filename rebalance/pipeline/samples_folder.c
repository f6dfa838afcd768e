#include "rebalance/pipeline/samples_folder.h"

#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/pipeline/samples.h"

#define SIX "[0-9][0-9][0-9][0-9][0-9][0-9]"

/* All that lies there: of generate, evaluate and review. */
static const char *const ours[] = { "step.json",
	                            "config.json",
	                            "samples.jsonl",
	                            "sheet.png",
	                            "images/" SIX ".png", /* of any image that --count can ask for */
	                            "images/" SIX "[0-9].png",
	                            "images/" SIX "[0-9][0-9].png",
	                            "images/" SIX "[0-9][0-9][0-9].png",
	                            "latents.npy",
	                            "latents.npy.partial",
	                            "latents.npy.partial.key",
	                            "embeddings.npy",
	                            "embeddings.json",
	                            "embeddings.npy.partial",
	                            "embeddings.npy.partial.key",
	                            "embeddings-*.npy",
	                            "embeddings-*.json",
	                            "embeddings-*.npy.partial",
	                            "embeddings-*.npy.partial.key",
	                            "assignment.npy",
	                            "neighbours.npy",
	                            "neighbour_distances.npy",
	                            "own_distance.npy",
	                            "copied.npy",
	                            "groups.npy",
	                            NULL };

/* How what a folder holds stands to what it is to hold. */
struct found {
	enum ek_run_match match;
	char why[256];
};

static int load_if_there(cJSON **out, const char *folder, const char *name)
{
	char *path = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_format(&path, "%s/%s", folder, name));
	if (ek_file_exists(path))
		EK_TRY(ek_json_load(out, path));
out:
	free(path);
	return rc;
}

/* What would be recorded of a set that was not: by an earlier version, or because of a kill. */
static int recall(cJSON **entry, const char *folder, const struct ek_run *run, const struct ek_step *step)
{
	struct ek_step made = *step;
	cJSON *config;
	int rc;

	*entry = NULL;
	EK_TRY(load_if_there(&config, folder, "config.json"));
	made.options = config;
	if (config != NULL)
		EK_TRY(ek_run_describe(entry, run, &made));
out:
	cJSON_Delete(config);
	return rc;
}

static int match(struct found *found, struct ek_run *run, const struct ek_step *step, const cJSON *entry)
{
	const char *reason;
	int rc;

	EK_TRY(ek_run_match(&found->match, &reason, run, step, entry));
	(void)snprintf(found->why, sizeof found->why, "%s", reason);
out:
	return rc;
}

static int look(struct found *found, struct ek_run *run, const struct ek_step *step, const char *folder)
{
	const cJSON *recorded = ek_run_recorded(run, step->name);
	cJSON *recalled = NULL;
	int rc = 0;

	if (recorded == NULL)
		EK_TRY(recall(&recalled, folder, run, step));
	EK_TRY(match(found, run, step, recorded != NULL ? recorded : recalled));
out:
	cJSON_Delete(recalled);
	return rc;
}

/* Of what was begun, nothing is an output yet. */
static struct ek_step begun_of(const struct ek_step *step)
{
	static const char *const none[] = { NULL };
	struct ek_step begun = *step;

	begun.outputs = none;
	return begun;
}

static int look_at_begun(struct found *found, struct ek_run *run, const struct ek_step *step, const char *folder)
{
	const struct ek_step begun = begun_of(step);
	cJSON *entry;
	int rc;

	EK_TRY(load_if_there(&entry, folder, ours[0]));
	if (entry == NULL)
		EK_TRY(recall(&entry, folder, run, &begun));
	EK_TRY(match(found, run, &begun, entry));
out:
	cJSON_Delete(entry);
	return rc;
}

static int has(const char *folder, const char *name)
{
	char *path = NULL;
	const int is_there = ek_format(&path, "%s/%s", folder, name) == 0 && ek_file_exists(path);

	free(path);
	return is_there;
}

static int has_image(const char *folder, uint64_t i)
{
	char *path = NULL;
	const int is_there = ek_samples_image(&path, folder, i) == 0 && ek_file_exists(path);

	free(path);
	return is_there;
}

/* How many of the first images are there. */
static uint64_t count_images(const char *folder, uint64_t count)
{
	uint64_t i = 0;

	while (i < count && has_image(folder, i))
		i++;
	return i;
}

/* An empty new place, or what is in place now, to be gone on with. */
static int begin(struct ek_samples_folder *f, const struct ek_run *run, const struct ek_step *step, int anew)
{
	const struct ek_step begun = begun_of(step);
	char *path = NULL, *record = NULL, *images = NULL;
	cJSON *entry = NULL;
	int rc;

	EK_TRY(ek_folder_clear(&f->place));
	if (!anew)
		EK_TRY(ek_rename_synced(f->place.path, f->place.fresh));
	EK_TRY(ek_format(&images, "%s/images", f->place.fresh));
	EK_TRY(ek_make_directories(images));
	EK_TRY(ek_run_describe(&entry, run, &begun));
	EK_TRY(ek_format(&record, "%s/%s", f->place.fresh, ours[0]));
	EK_TRY(ek_json_save(entry, record));
	EK_TRY(ek_format(&path, "%s/config.json", f->place.fresh));
	EK_TRY(ek_json_save(step->options, path));
out:
	cJSON_Delete(entry);
	free(path);
	free(record);
	free(images);
	return rc;
}

/* Neither place is of this command: what is there is not lost unasked. */
static int refuse(const struct ek_samples_folder *f, const struct found *old, const struct found *begun)
{
	if (old->match == EK_RUN_OTHER)
		return ek_fail(EK_EUSAGE, "%s holds samples made otherwise: %s; take another 'name', or 'force'",
		               f->place.path, old->why);
	if (begun->match == EK_RUN_OTHER)
		return ek_fail(EK_EUSAGE,
		               "%s holds samples that were begun otherwise: %s; give that command again to have them, "
		               "or take another 'name', or 'force'",
		               f->place.fresh, begun->why);
	return 0;
}

int ek_samples_folder_open(struct ek_samples_folder *f, struct ek_run *run, const char *path,
                           const struct ek_samples_wish *w)
{
	struct found old = { EK_RUN_UNKNOWN, "forced" }, begun;
	int stopped, rc;

	*f = (struct ek_samples_folder){ 0 };
	EK_TRY(ek_folder_open(&f->place, path, ours));
	EK_TRY(look_at_begun(&begun, run, w->step, f->place.fresh));
	if (!w->force)
		EK_TRY(look(&old, run, w->step, path));
	stopped = old.match == EK_RUN_SAME &&
	          (count_images(path, w->count) < w->count || !has(path, "samples.jsonl") || !has(path, "sheet.png"));
	f->stale = old.match == EK_RUN_STALE || old.match == EK_RUN_DAMAGED;
	f->whole = old.match == EK_RUN_SAME && !stopped && !has_image(path, w->count) &&
	           (!w->latents || has(path, "latents.npy"));
	(void)snprintf(f->why, sizeof f->why, "%s", old.match == EK_RUN_SAME ? "not all of it is there" : old.why);
	if (f->whole && (begun.match == EK_RUN_SAME || begun.match == EK_RUN_UNKNOWN))
		EK_TRY(ek_folder_drop(&f->place)); /* of a stopped 'force', or the old set of a stopped end */
	if (f->whole)
		goto out;
	if (begun.match != EK_RUN_SAME && !w->force)
		EK_TRY(refuse(f, &old, &begun));
	if (begun.match != EK_RUN_SAME) /* stopped: by an earlier version, or an image is gone since */
		EK_TRY(begin(f, run, w->step, !stopped));
	f->done = count_images(f->place.fresh, w->count);
out:
	return rc;
}

int ek_samples_folder_config(cJSON **config, const char *path, int anew)
{
	struct ek_folder place = { 0 };
	int rc;

	*config = NULL;
	EK_TRY(ek_folder_open(&place, path, ours));
	EK_TRY(load_if_there(config, place.fresh, "config.json"));
	if (*config == NULL && !anew)
		EK_TRY(load_if_there(config, path, "config.json"));
out:
	ek_folder_keep(&place);
	return rc;
}

int ek_samples_folder_publish(struct ek_samples_folder *f, struct ek_run *run, const char *step)
{
	char *record = NULL;
	int rc;

	EK_TRY(ek_format(&record, "%s/%s", f->place.fresh, ours[0]));
	EK_TRY(ek_remove(record));
	EK_TRY(ek_run_forget(run, step));
	EK_TRY(ek_folder_publish(&f->place));
out:
	free(record);
	return rc;
}

void ek_samples_folder_close(struct ek_samples_folder *f)
{
	ek_folder_keep(&f->place);
}
