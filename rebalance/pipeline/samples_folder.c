#include "rebalance/pipeline/samples_folder.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/pipeline/samples.h"
#include "rebalance/pipeline/training.h"

#define SIX "[0-9][0-9][0-9][0-9][0-9][0-9]"

/* All that lies there: of generate, evaluate and review. */
static const char *const ours[] = { "config.json",
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
	                            NULL };

/* What a folder holds, beside what it is to hold. */
struct found {
	int is_there, is_same;
	char difference[256]; /* where not */
};

static int look(struct found *found, const char *folder, const cJSON *config)
{
	char *path = NULL;
	int rc;

	*found = (struct found){ 0 };
	EK_TRY(ek_format(&path, "%s/config.json", folder));
	found->is_there = ek_file_exists(path);
	if (!found->is_there)
		goto out;
	EK_TRY(ek_config_difference(found->difference, sizeof found->difference, config, path));
	found->is_same = found->difference[0] == 0;
out:
	free(path);
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
static int begin(struct ek_samples_folder *f, const cJSON *config, int anew)
{
	char *path = NULL, *images = NULL;
	int rc;

	EK_TRY(ek_folder_clear(&f->place));
	if (!anew)
		EK_TRY(ek_rename_synced(f->place.path, f->place.fresh));
	EK_TRY(ek_format(&images, "%s/images", f->place.fresh));
	EK_TRY(ek_make_directories(images));
	EK_TRY(ek_format(&path, "%s/config.json", f->place.fresh));
	EK_TRY(ek_json_save(config, path));
out:
	free(path);
	free(images);
	return rc;
}

/* Neither place is of this command: what is there is not lost unasked. */
static int refuse(const struct ek_samples_folder *f, const struct found *old, const struct found *begun)
{
	if (old->is_there && !old->is_same)
		return ek_fail(EK_EUSAGE, "%s holds samples made with another %s; take another 'name', or 'force'",
		               f->place.path, old->difference);
	if (begun->is_there && !begun->is_same)
		return ek_fail(
			EK_EUSAGE,
			"%s holds samples that were begun with another %s; give that command again to have them, or "
			"take another 'name', or 'force'",
			f->place.fresh, begun->difference);
	return 0;
}

int ek_samples_folder_open(struct ek_samples_folder *f, const char *path, const cJSON *config, uint64_t count,
                           int latents, enum ek_samples_before before)
{
	const int force = before == EK_SAMPLES_FORCED, kept = before == EK_SAMPLES_KEPT;
	struct found old = { 0 }, begun;
	int stopped, rc;

	*f = (struct ek_samples_folder){ 0 };
	EK_TRY(ek_folder_open(&f->place, path, ours));
	EK_TRY(look(&begun, f->place.fresh, config));
	if (!force)
		EK_TRY(look(&old, path, config));
	stopped = kept && old.is_same &&
	          (count_images(path, count) < count || !has(path, "samples.jsonl") || !has(path, "sheet.png"));
	f->whole = kept && old.is_same && !stopped && !has_image(path, count) && (!latents || has(path, "latents.npy"));
	if (f->whole && (begun.is_same || !begun.is_there))
		EK_TRY(ek_folder_drop(&f->place)); /* of a stopped --force, or the old set of a stopped end */
	if (f->whole)
		goto out;
	if (!begun.is_same && !force)
		EK_TRY(refuse(f, &old, &begun));
	if (!begun.is_same) /* stopped: by an earlier version, or an image is gone since */
		EK_TRY(begin(f, config, !stopped));
	f->done = count_images(f->place.fresh, count);
out:
	return rc;
}

int ek_samples_folder_publish(struct ek_samples_folder *f)
{
	return ek_folder_publish(&f->place);
}

void ek_samples_folder_close(struct ek_samples_folder *f)
{
	ek_folder_keep(&f->place);
}
