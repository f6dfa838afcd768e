#include "reports/reviews.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/io/npy.h"
#include "reports/documents.h"

/* `*is` = has the file of a sample this hash? */
static int has_hash(int *is, const struct ek_run *run, const struct ek_sample_set *set, uint64_t sample,
                    const char *sha256)
{
	char *name = NULL, *path = NULL, hex[EK_SHA256_HEX];
	uint8_t hash[EK_SHA256_SIZE];
	int rc;

	*is = 0;
	EK_TRY(ek_sample_picture_name(&name, set, sample));
	EK_TRY(ek_run_file(&path, run, name));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_sha256_file(hash, path));
	ek_hex(hex, hash, sizeof hash);
	*is = strcmp(hex, sha256) == 0;
out:
	free(name);
	free(path);
	return rc;
}

/* Decisions on images that have been made anew do not count. */
static int void_stale(struct ek_reviewed *review, const struct ek_run *run, const struct ek_sample_set *set)
{
	int rc = 0;

	for (size_t i = 0; i < review->log.entry_count; i++) {
		const struct ek_review_entry *entry = &review->log.entries[i];
		int is_same = 1;

		if (ek_review_log_standing(&review->log, entry->sample, entry->reviewer) != entry)
			continue;
		if (entry->sha256[0] != 0)
			EK_TRY(has_hash(&is_same, run, set, entry->sample, entry->sha256));
		if (is_same && entry->sample < set->count)
			continue;
		ek_review_log_void(&review->log, entry);
		review->stale++;
	}
out:
	return rc;
}

/* An array that is not of these images is as none. */
static int load_clusters(struct ek_reviewed *review, struct ek_buffer *left_out, const struct ek_run *run,
                         const struct ek_sample_set *set)
{
	struct ek_npy assignment = { 0 };
	char *name = NULL, *path = NULL;
	int rc;

	EK_TRY(ek_format(&name, "samples/%s/assignment.npy", set->name));
	EK_TRY(ek_run_file(&path, run, name));
	if (!ek_file_exists(path))
		goto out;
	EK_TRY(ek_leave_out(left_out, ek_npy_open_as(&assignment, path, EK_I32, 1, (const uint64_t[]){ UINT64_MAX }),
	                    path));
	if (rc > 0 || assignment.shape[0] != set->count)
		goto out;
	EK_TRY(ek_alloc(&review->cluster, set->count, sizeof *review->cluster));
	memcpy(review->cluster, assignment.data, set->count * sizeof *review->cluster);
out:
	ek_npy_close(&assignment);
	free(name);
	free(path);
	return rc < 0 ? rc : 0;
}

static int load_review(struct ek_reviewed *review, struct ek_buffer *left_out, const struct ek_run *run,
                       const struct ek_sample_sets *sets, const char *path)
{
	const int64_t set = ek_sample_sets_find(sets, review->name);
	int rc;

	EK_TRY(ek_review_log_load(&review->log, path));
	if (set >= 0) {
		EK_TRY(void_stale(review, run, &sets->items[set]));
		EK_TRY(load_clusters(review, left_out, run, &sets->items[set]));
	}
out:
	return rc;
}

int ek_reviews_load(struct ek_reviews *reviews, struct ek_buffer *left_out, const struct ek_run *run,
                    const struct ek_sample_sets *sets, size_t full)
{
	glob_t found = { 0 };
	int rc;

	*reviews = (struct ek_reviews){ 0 };
	EK_TRY(ek_find_named(&found, run, "reviews/*.jsonl"));
	EK_TRY(ek_alloc(&reviews->items, found.gl_pathc, sizeof *reviews->items));
	while (reviews->count < found.gl_pathc) {
		const size_t i = reviews->count++;

		EK_TRY(ek_file_stem(&reviews->items[i].name, found.gl_pathv[i]));
		if (i < full)
			EK_TRY(load_review(&reviews->items[i], left_out, run, sets, found.gl_pathv[i]));
	}
out:
	globfree(&found);
	return rc;
}

void ek_reviews_release(struct ek_reviews *reviews)
{
	for (size_t i = 0; i < reviews->count; i++) {
		free(reviews->items[i].name);
		free(reviews->items[i].cluster);
		ek_review_log_release(&reviews->items[i].log);
	}
	free(reviews->items);
	*reviews = (struct ek_reviews){ 0 };
}
