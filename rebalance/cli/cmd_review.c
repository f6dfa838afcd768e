/* `evenkeel review RUN`: people judge generated images, or labels that are doubted, on a page of this machine. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/serve.h"
#include "rebalance/pipeline/review.h"
#include "rebalance/base/text.h"

static const struct ek_option rows[] = {
	{ .name = "samples",
	  EK_STRING(struct ek_review_options, samples, "NAME"),
	  .help = "the generated images, as in RUN/samples/NAME" },
	{ .name = "labels",
	  EK_STRING(struct ek_review_options, labels, "NAME"),
	  .help = "instead of them, the labels that are likely wrong, as in RUN/scores/NAME, made by score --method "
	          "label-errors" },
	{ .name = "port",
	  EK_INTEGER(struct ek_review_options, port, "P", 1, 65535),
	  .zero = "any",
	  .excludes = "summary",
	  .help = "the port of the page on 127.0.0.1" },
	{ .name = "reviewer",
	  EK_STRING(struct ek_review_options, reviewer, "NAME"),
	  .excludes = "summary",
	  .help = "who reviews; without it the page asks" },
	{ .name = "name",
	  EK_STRING(struct ek_review_options, name, "NAME"),
	  .help = "the decisions go to RUN/reviews/NAME.jsonl, or RUN/label-reviews/NAME.jsonl; without it, the name "
	          "of the samples or scores" },
	{ .name = "summary",
	  EK_FLAG(struct ek_review_options, summary),
	  .help = "no page: say what has been decided, and how far reviewers agree" },
	{ .name = "export",
	  EK_STRING(struct ek_review_options, export, "PATH"),
	  .help = "no page: write the accepted images and their metadata.jsonl into a new directory; of labels, a new "
	          "CSV of all file names and corrected labels, for audit --attributes; what is there is replaced with "
	          "--force" },
	{ .name = NULL },
};

static const struct ek_review_options defaults;
const struct ek_own ek_review_own = EK_OWN(defaults, rows);

/* What accepting and rejecting is called. */
struct words {
	const char *accepted, *rejected;
};

static void print_reviewers(const struct ek_review_log *log, const struct words *words)
{
	for (uint32_t i = 0; i < log->reviewer_count; i++) {
		uint64_t counts[EK_VERDICTS];

		ek_review_log_tally(counts, log, i);
		if (counts[0] + counts[1] + counts[2] > 0)
			(void)printf("  %-20s %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " unsure\n", log->reviewers[i],
			             counts[EK_VERDICT_ACCEPT], words->accepted, counts[EK_VERDICT_REJECT],
			             words->rejected, counts[EK_VERDICT_UNSURE]);
	}
	for (uint32_t a = 0; a < log->reviewer_count; a++)
		for (uint32_t b = a + 1; b < log->reviewer_count; b++) {
			struct ek_review_agreement agreement;
			char same[32];

			ek_review_log_agreement(&agreement, log, a, b);
			if (agreement.both == 0)
				continue;
			(void)printf("  %s and %s: %" PRIu64 " judged by both, the same on %s", log->reviewers[a],
			             log->reviewers[b], agreement.both, ek_text_percent(same, agreement.observed));
			if (isnan(agreement.kappa))
				(void)printf(", kappa not defined\n");
			else
				(void)printf(", kappa %.2f\n", agreement.kappa);
		}
}

static int print_summary(const struct ek_review *review, const struct ek_review_log *log, int json)
{
	struct ek_buffer text = { 0 };
	const struct words words =
		review->labels != NULL ? (struct words){ "right", "wrong" } : (struct words){ "accepted", "rejected" };
	uint64_t counts[EK_REVIEW_OUTCOMES];
	char all[32], judged[32];
	int rc = 0;

	if (json) {
		EK_TRY(ek_review_summary(&text, review, log));
		(void)fputs(text.data, stdout);
		goto out;
	}
	ek_review_outcomes(counts, review, log);
	(void)printf("%s of %s %s judged: %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " disputed, %" PRIu64 " unsure\n",
	             ek_text_count(judged, review->count - counts[EK_REVIEW_OPEN]), ek_text_count(all, review->count),
	             review->labels != NULL ? "labels" : "images", counts[EK_REVIEW_ACCEPTED], words.accepted,
	             counts[EK_REVIEW_REJECTED], words.rejected, counts[EK_REVIEW_DISPUTED], counts[EK_REVIEW_UNSURE]);
	print_reviewers(log, &words);
out:
	ek_buffer_release(&text);
	return rc;
}

int ek_cmd_review(struct ek_invocation *i)
{
	struct ek_review_options *o = i->settings.own;
	struct ek_reviewed reviewed = { .review = { .held = -1 } };
	char count[32];
	int rc;

	if (i->arguments.count != 1)
		return ek_fail(EK_EUSAGE, "review takes one run directory, not %d words; see evenkeel help review",
		               i->arguments.count);
	if ((o->samples == NULL) == (o->labels == NULL))
		return ek_fail(EK_EUSAGE, "review needs --samples NAME or --labels NAME; see evenkeel help review");
	o->force = i->settings.steps.force;
	EK_TRY(ek_do_review(&reviewed, i->arguments.positional[0], o, ek_announce, i));
	if (o->export != NULL && o->labels != NULL)
		ek_info("%s label%s wrong; corrected ones are in %s: evenkeel audit %s --attributes %s",
		        ek_text_count(count, reviewed.exported), reviewed.exported == 1 ? " was" : "s were", o->export,
		        i->arguments.positional[0], o->export);
	else if (o->export != NULL)
		ek_info("%s accepted image%s in %s", ek_text_count(count, reviewed.exported),
		        reviewed.exported == 1 ? "" : "s", o->export);
	if (o->summary || o->export != NULL)
		EK_TRY(print_summary(&reviewed.review, &reviewed.log, i->settings.common.json));
out:
	ek_reviewed_release(&reviewed);
	return rc;
}
