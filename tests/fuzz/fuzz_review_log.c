/* Any bytes as a log of reviews: what was taken prints and reads back as the same decisions, standing alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/review_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(struct ek_buffer *text, const struct ek_review_log *log)
{
	for (size_t i = 0; i < log->entry_count; i++)
		if (!log->entries[i].undone && ek_review_log_format(text, log, &log->entries[i]) < 0)
			abort();
}

static void compare(const struct ek_review_log *a, const struct ek_review_log *b)
{
	uint64_t counts[2][EK_REVIEW_OUTCOMES], samples = a->samples < 1000 ? a->samples : 1000;

	/* Who has nothing that stands is not in b. */
	for (size_t i = 0; i < b->entry_count; i++) {
		const struct ek_review_entry *want = &b->entries[i];
		const struct ek_review_entry *stands = ek_review_log_standing(b, want->sample, want->reviewer);
		uint32_t reviewer = 0;

		while (reviewer < a->reviewer_count &&
		       strcmp(a->reviewers[reviewer], b->reviewers[want->reviewer]) != 0)
			reviewer++;
		if (reviewer == a->reviewer_count || stands == NULL || want->undone)
			abort();
		want = ek_review_log_standing(a, want->sample, reviewer);
		if (want == NULL || want->verdict != stands->verdict || strcmp(want->note, stands->note) != 0 ||
		    strcmp(want->sha256, stands->sha256) != 0 || strcmp(want->time, stands->time) != 0)
			abort();
	}
	ek_review_log_outcomes(counts[0], a, samples);
	ek_review_log_outcomes(counts[1], b, samples);
	if (memcmp(counts[0], counts[1], sizeof counts[0]) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ek_review_log log = { 0 }, back = { 0 };
	struct ek_review_agreement agreement;
	struct ek_buffer bytes = { 0 }, text = { 0 };

	if (ek_buffer_append(&bytes, data, size) < 0 || ek_buffer_text(&text, "") < 0 ||
	    ek_review_log_parse(&log, bytes.data, bytes.size, "fuzz") < 0)
		abort();
	if (log.lines.whole_bytes > size || (!log.lines.is_cut && log.lines.whole_bytes != size))
		abort();
	print(&text, &log);
	if (ek_review_log_parse(&back, text.data, text.size, "back") < 0 || back.lines.damaged != 0 ||
	    back.lines.is_cut)
		abort();
	compare(&log, &back);
	if (log.reviewer_count > 1)
		ek_review_log_agreement(&agreement, &log, 0, 1);
	while (log.reviewer_count > 0 && ek_review_log_newest(&log, 0) != NULL)
		if (ek_review_log_undo(&log, ek_review_log_newest(&log, 0)->sample, 0) < 0)
			abort();
	ek_review_log_release(&log);
	ek_review_log_release(&back);
	ek_buffer_release(&bytes);
	ek_buffer_release(&text);
	return 0;
}
