#include "rebalance/pipeline/other_encoders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"

static const char *hash_of(const struct ek_run *run, const char *step, const char *list)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, step), list);
	const cJSON *file = cJSON_GetObjectItemCaseSensitive(files, "images.jsonl");

	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "xxh64"));
}

static int are_images_the_same(const struct ek_run *run)
{
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "embed"), "options");
	const cJSON *images = cJSON_GetObjectItemCaseSensitive(options, "images");
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const char *then = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(images, "contents"));
	const char *now = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(counts, "contents"));

	if (then == NULL) { /* own embeddings */
		then = hash_of(run, "embed", "inputs");
		now = hash_of(run, "scan", "outputs");
	}
	return then != NULL && now != NULL && strcmp(then, now) == 0;
}

/* Remove RUN/embeddings-NAME.*; NAME may be "*". */
static int remove_aside(const struct ek_run *run, const char *name)
{
	glob_t found = { 0 };
	char *pattern = NULL;
	int rc;

	EK_TRY(ek_format(&pattern, "embeddings-%s.*", name));
	EK_TRY(ek_run_glob(&found, run, pattern));
	if (found.gl_pathc > 0)
		ek_info("removing %s, which are made anew or no longer fit the images", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++)
		EK_TRY(ek_remove(found.gl_pathv[i]));
out:
	globfree(&found);
	free(pattern);
	return rc;
}

static int put_aside(const struct ek_run *run, const char *encoder, const char *suffix)
{
	char *from = NULL, *to = NULL;
	int rc;

	EK_TRY(ek_format(&from, "%s/embeddings%s", ek_run_path(run), suffix));
	EK_TRY(ek_format(&to, "%s/embeddings-%s%s", ek_run_path(run), encoder, suffix));
	if (ek_file_exists(from))
		EK_TRY(ek_rename_synced(from, to));
out:
	free(from);
	free(to);
	return rc;
}

int ek_other_encoders_keep(struct ek_run *run, const char *encoder)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "embed"), "counts");
	const char *was = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(counts, "encoder"));
	int rc = 0;

	if (was == NULL)
		return 0;
	if (!are_images_the_same(run))
		return remove_aside(run, "*");
	if (strcmp(was, encoder) != 0)
		EK_TRY(remove_aside(run, encoder));
	/* Own embeddings are the user's file, which is still where it was. */
	if (strcmp(was, encoder) == 0 || strchr(was, '/') != NULL || strncmp(was, "own:", 4) == 0)
		return 0;
	ek_info("keeping the embeddings of %s as embeddings-%s.npy", was, was);
	/* The array last: without it the other file means nothing. */
	EK_TRY(put_aside(run, was, ".json"));
	EK_TRY(put_aside(run, was, ".npy"));
out:
	return rc;
}
