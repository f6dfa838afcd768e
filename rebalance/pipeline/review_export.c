#include "rebalance/pipeline/review_export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/base/version.h"
#include "rebalance/io/layout.h"
#include "rebalance/plan/export_folder.h"

struct work {
	struct ek_review *review;
	const struct ek_review_log *log;
	struct ek_export_folder folder;
	struct ek_atomic_file metadata;
	struct ek_buffer image, line;
};

static int add_string(struct ek_buffer *out, const char *before, const char *text)
{
	int rc;

	EK_TRY(ek_buffer_text(out, before));
	EK_TRY(ek_json_append_string(out, text, strlen(text)));
out:
	return rc;
}

/* Of each reviewer who judged the sample, one of: name, decision, note. */
static int add_list(struct ek_buffer *out, const struct work *w, uint64_t sample, const char *member)
{
	const char *between = "";
	int rc;

	EK_TRY(ek_buffer_printf(out, ", \"%s\": [", member));
	for (uint32_t who = 0; who < w->log->reviewer_count; who++) {
		const struct ek_review_entry *entry = ek_review_log_standing(w->log, sample, who);

		if (entry == NULL)
			continue;
		EK_TRY(add_string(out, between,
		                  member[0] == 'r'   ? w->log->reviewers[who]
		                  : member[0] == 'd' ? ek_verdict_name(entry->verdict)
		                                     : entry->note));
		between = ", ";
	}
	EK_TRY(ek_buffer_text(out, "]"));
out:
	return rc;
}

static int make_line(struct work *w, uint64_t i)
{
	const struct ek_review *r = w->review;
	const size_t first = (size_t)i * r->neighbours;
	const int has_nearest = r->neighbours > 0 && r->nearest[first] >= 0;
	struct ek_buffer *out = &w->line;
	int rc;

	ek_buffer_clear(out);
	EK_TRY(ek_buffer_printf(out,
	                        "{\"file_name\": \"%06" PRIu64 ".png\", \"sample\": %" PRIu64 ", \"seed\": %" PRIu64
	                        ", \"cluster\": %" PRId32,
	                        i, i, r->seeds[i], r->cluster[i]));
	if (r->made_for[i] != NULL)
		EK_TRY(add_string(out, ", \"made_for\": ", r->made_for[i]));
	else
		EK_TRY(ek_buffer_text(out, ", \"made_for\": null"));
	if (has_nearest) {
		EK_TRY(ek_buffer_printf(out, ", \"nearest\": %" PRId64 ", \"nearest_distance\": ", r->nearest[first]));
		EK_TRY(ek_json_append_double(out, (double)r->distance[first]));
	} else {
		EK_TRY(ek_buffer_text(out, ", \"nearest\": null, \"nearest_distance\": null"));
	}
	EK_TRY(ek_buffer_printf(out, ", \"copied\": %s", r->copied[i] != 0 ? "true" : "false"));
	EK_TRY(add_list(out, w, i, "reviewers"));
	EK_TRY(add_list(out, w, i, "decisions"));
	EK_TRY(add_list(out, w, i, "notes"));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}

/* The bytes that are written are those that were judged: nobody makes them anew in between. */
static int check_judged(const struct work *w, uint64_t i, const char *sha256)
{
	for (uint32_t who = 0; who < w->log->reviewer_count; who++) {
		const struct ek_review_entry *entry = ek_review_log_standing(w->log, i, who);

		if (entry != NULL && entry->sha256[0] != 0 && strcmp(entry->sha256, sha256) != 0)
			return ek_fail(EK_EDATA, "sample %" PRIu64 " has been made anew since it was judged", i);
	}
	return 0;
}

static int put(struct work *w, uint64_t i)
{
	char *path = NULL, sha256[65];
	int rc;

	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_review_image(&w->image, sha256, w->review, i));
	EK_TRY(check_judged(w, i, sha256));
	EK_TRY(ek_format(&path, "%s/%06" PRIu64 ".png", w->folder.partial, i));
	EK_TRY(ek_atomic_save(path, w->image.data, w->image.size));
	EK_TRY(make_line(w, i));
	EK_TRY(ek_atomic_write(&w->metadata, w->line.data, w->line.size));
out:
	free(path);
	return rc;
}

/* What DIR/.evenkeel-export says. */
static int describe(cJSON **about, const struct work *w, const char *name, uint64_t images)
{
	char *config = NULL, *decisions = NULL;
	int rc;

	*about = cJSON_CreateObject();
	EK_TRY(ek_json_add_string(*about, "evenkeel", EK_VERSION));
	EK_TRY(ek_json_add_string(*about, "run", w->folder.run));
	EK_TRY(ek_json_add_string(*about, "samples", w->review->name));
	EK_TRY(ek_json_add_string(*about, "review", name));
	EK_TRY(ek_json_add_u64(*about, "images", images));
	EK_TRY(ek_layout_name(&config, "samples/*/config.json", w->review->name));
	EK_TRY(ek_layout_name(&decisions, "reviews/*.jsonl", name));
	EK_TRY(ek_run_add_inputs(*about, w->review->run, (const char *const[]){ config, decisions, NULL }));
out:
	free(config);
	free(decisions);
	return rc;
}

int ek_review_export(uint64_t *images, struct ek_review *review, const struct ek_review_log *log, const char *name,
                     const char *output, int force)
{
	struct work w = { .review = review, .log = log, .folder.lock = EK_LOCK_NONE, .metadata.fd = -1 };
	uint64_t counts[EK_REVIEW_OUTCOMES];
	cJSON *about = NULL;
	char *path = NULL;
	int rc;

	ek_review_log_outcomes(counts, log, review->count);
	*images = counts[EK_REVIEW_ACCEPTED];
	if (*images == 0)
		return ek_fail(EK_EDATA, "no image of %s is accepted: there is nothing to export", review->name);
	EK_TRY(ek_export_folder_open(&w.folder, output, ek_run_path(review->run), force));
	EK_TRY(ek_format(&path, "%s/metadata.jsonl", w.folder.partial));
	EK_TRY(ek_atomic_open(&w.metadata, path));
	for (uint64_t i = 0; i < review->count; i++)
		if (ek_review_log_outcome(log, i) == EK_REVIEW_ACCEPTED)
			EK_TRY(put(&w, i));
	EK_TRY(ek_atomic_commit(&w.metadata));
	EK_TRY(describe(&about, &w, name, *images));
	EK_TRY(ek_export_folder_commit(&w.folder, about));
out:
	ek_atomic_discard(&w.metadata);
	ek_export_folder_release(&w.folder);
	ek_buffer_release(&w.image);
	ek_buffer_release(&w.line);
	cJSON_Delete(about);
	free(path);
	return rc;
}
