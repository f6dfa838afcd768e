#include "rebalance/pipeline/review.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/pipeline/review_export.h"
#include "rebalance/pipeline/review_table.h"
#include "rebalance/pipeline/samples_compare.h"
#include "rebalance/pipeline/score.h"

static const char *name_of(const struct ek_review_options *o)
{
	return o->name != NULL ? o->name : o->labels != NULL ? o->labels : o->samples;
}

static int serve(struct ek_review *review, const struct ek_review_options *o, ek_page_announce announce, void *context)
{
	struct ek_review_file file = { .journal = EK_JOURNAL_NONE };
	struct ek_review_page page = { .review = review, .file = &file, .reviewer = o->reviewer };
	struct ek_server_options options = { .port = (uint16_t)o->port, .routes = ek_review_routes, .context = &page };
	uint64_t counts[EK_REVIEW_OUTCOMES];
	uint32_t reviewer;
	int rc;

	EK_TRY(ek_review_file_open(&file, review->run, o->labels != NULL, name_of(o)));
	EK_TRY(ek_review_void_stale(&file.log, review));
	if (o->reviewer != NULL)
		EK_TRY(ek_review_log_reviewer(&reviewer, &file.log, o->reviewer));
	EK_TRY(ek_serve(&options, file.journal.path, review->count, announce, context));
	ek_review_outcomes(counts, review, &file.log);
	ek_info("%" PRIu64 " of %" PRIu64 " images judged; the decisions are in %s",
	        review->count - counts[EK_REVIEW_OPEN], review->count, file.journal.path);
out:
	ek_review_file_release(&file);
	return rc;
}

/* Without the page the file is only read, whoever else has it. */
static int look(struct ek_reviewed *r, const struct ek_review_options *o)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_review_file_path(&path, r->run, o->labels != NULL, name_of(o)));
	EK_TRY(ek_review_log_load(&r->log, path));
	EK_TRY(ek_review_void_stale(&r->log, &r->review));
	if (o->export != NULL && o->labels != NULL)
		EK_TRY(ek_review_table(&r->exported, &r->review, &r->log, o->export, o->force));
	else if (o->export != NULL)
		EK_TRY(ek_review_export(&r->exported, &r->review, &r->log, name_of(o), o->export, o->force));
out:
	free(path);
	return rc;
}

/* Are the files there that ek_samples_compare makes? */
static int has_comparison(const char *run, const char *samples)
{
	static const char *const files[] = { "assignment", "neighbours", "neighbour_distances", "copied" };
	struct ek_buffer path = { 0 };
	int has = 1;

	for (size_t i = 0; i < sizeof files / sizeof *files && has; i++) {
		ek_buffer_clear(&path);
		has = ek_buffer_printf(&path, "%s/samples/%s/%s.npy", run, samples, files[i]) == 0 &&
		      ek_file_exists(path.data);
	}
	ek_buffer_release(&path);
	return has;
}

/* What the review stands on is brought up to date; a run that another works in is taken as it is, if that is there. */
static int bring_up(const char *path, const struct ek_review_options *o)
{
	struct ek_run *run = NULL;
	int rc;

	EK_TRY(ek_run_open(&run, path, EK_RUN_READ)); /* what is no run is told once, and here */
	ek_run_close(run);
	rc = ek_run_open(&run, path, EK_RUN_WRITE);
	if (rc < 0 && (o->labels != NULL || has_comparison(path, o->samples))) {
		ek_info("%s; %s", ek_error_message(),
		        o->labels != NULL ? "the scores are taken as they are"
		                          : "the nearest real images are taken as they were found before");
		return 0;
	}
	EK_TRY(rc);
	EK_TRY(o->labels != NULL ? ek_do_score_before(run, NULL, o->labels) : ek_samples_compare(run, o->samples, 0));
out:
	ek_run_close(run);
	return rc;
}

int ek_do_review(struct ek_reviewed *out, const char *run, const struct ek_review_options *o, ek_page_announce announce,
                 void *context)
{
	int rc;

	*out = (struct ek_reviewed){ .review = { .held = -1 } };
	if ((o->samples == NULL) == (o->labels == NULL))
		return ek_fail(EK_EUSAGE, "a review needs 'samples' or 'labels', one of them");
	EK_TRY(bring_up(run, o));
	EK_TRY(ek_run_open(&out->run, run, EK_RUN_READ));
	EK_TRY(o->labels != NULL ? ek_review_open_labels(&out->review, out->run, o->labels)
	                         : ek_review_open(&out->review, out->run, o->samples));
	if (o->summary || o->export != NULL)
		EK_TRY(look(out, o));
	else
		EK_TRY(serve(&out->review, o, announce, context));
out:
	return rc;
}

void ek_reviewed_release(struct ek_reviewed *r)
{
	ek_review_log_release(&r->log);
	ek_review_release(&r->review);
	ek_run_close(r->run);
	*r = (struct ek_reviewed){ .review = { .held = -1 } };
}
