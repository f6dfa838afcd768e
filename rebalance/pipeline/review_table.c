#include "rebalance/pipeline/review_table.h"

#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/csv.h"
#include "rebalance/io/images.h"

/* What a rejected label is instead: by those who know, the one who said so last. "": nobody knows. */
static const char *instead_of(const struct ek_review_log *log, uint64_t id)
{
	const struct ek_review_entry *newest = NULL;

	for (uint32_t who = 0; who < log->reviewer_count; who++) {
		const struct ek_review_entry *entry = ek_review_log_standing(log, id, who);

		if (entry != NULL && entry->verdict == EK_VERDICT_REJECT && entry->label[0] != 0 && entry > newest)
			newest = entry;
	}
	return newest != NULL ? newest->label : "";
}

static int make_row(struct ek_buffer *row, uint64_t *changed, const struct ek_review *review,
                    const struct ek_review_log *log, const struct ek_image_record *record)
{
	const int rejected = ek_review_log_outcome(log, record->id) == EK_REVIEW_REJECTED;
	const char *label = ek_review_label_of(review, record);
	int rc;

	*changed += rejected != 0;
	ek_buffer_clear(row);
	EK_TRY(ek_csv_append(row, record->file_name));
	EK_TRY(ek_buffer_text(row, ","));
	EK_TRY(ek_csv_append(row, rejected ? instead_of(log, record->id) : label != NULL ? label : ""));
	EK_TRY(ek_buffer_text(row, "\n"));
out:
	return rc;
}

static int check(const struct ek_review *review, const char *path, int force)
{
	if (strncmp(review->labels->by, "labels of ", 10) == 0)
		return ek_fail(EK_EUSAGE, "the scores %s judge the %s, which are not the run's: correct them there",
		               review->name, review->labels->by);
	if (!force && ek_file_exists(path))
		return ek_fail(EK_EUSAGE, "%s is there already; it is replaced with 'force'", path);
	return 0;
}

int ek_review_table(uint64_t *changed, struct ek_review *review, const struct ek_review_log *log, const char *path,
                    int force)
{
	static const char head[] = "file_name,corrected_label\n";
	struct ek_atomic_file file = { 0 };
	struct ek_image_record record = { 0 };
	struct ek_images *images = NULL;
	struct ek_buffer row = { 0 };
	int rc;

	*changed = 0;
	EK_TRY(check(review, path, force));
	EK_TRY(ek_images_open(&images, review->run));
	EK_TRY(ek_atomic_open(&file, path));
	EK_TRY(ek_atomic_write(&file, head, sizeof head - 1));
	while ((rc = ek_images_next(images, &record)) == 1) {
		EK_TRY(make_row(&row, changed, review, log, &record));
		EK_TRY(ek_atomic_write(&file, row.data, row.size));
		ek_image_record_release(&record);
	}
	EK_TRY(rc);
	EK_TRY(ek_atomic_commit(&file));
out:
	ek_image_record_release(&record);
	ek_atomic_discard(&file);
	ek_images_close(images);
	ek_buffer_release(&row);
	return rc;
}
