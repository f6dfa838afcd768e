/* What people said of the generated images. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"

enum { REVIEWERS = 20, PAIRS = 15 };

/* The columns of the table of classes. */
static const enum ek_review_outcome outcomes[] = { EK_REVIEW_ACCEPTED, EK_REVIEW_REJECTED, EK_REVIEW_UNSURE,
	                                           EK_REVIEW_DISPUTED, EK_REVIEW_OPEN };
enum { OUTCOMES = sizeof outcomes / sizeof *outcomes };

static uint64_t samples_of(const struct ek_reviewed *review, const struct ek_sample_set *set)
{
	return set != NULL && set->count > 0 ? set->count : review->log.samples;
}

static void headline(struct ek_page *page, const struct ek_reviewed *review, const struct ek_sample_set *set)
{
	const uint64_t samples = samples_of(review, set);
	uint64_t counts[EK_REVIEW_OUTCOMES], judged;
	struct ek_html *h = &page->html;

	ek_review_log_outcomes(counts, &review->log, samples);
	judged = samples - counts[EK_REVIEW_OPEN];
	ek_html(h, "<p class=\"lead\"><b>%s of %s judged %s accepted</b>", ek_count(counts[EK_REVIEW_ACCEPTED]).s,
	        ek_number_noun(judged, "image").s, counts[EK_REVIEW_ACCEPTED] == 1 ? "was" : "were");
	if (judged > 0)
		ek_html(h, " (%s)", ek_percent_whole((double)counts[EK_REVIEW_ACCEPTED] / (double)judged).s);
	ek_html(h, ", %s rejected; on %s people were unsure, on %s they disagree. ",
	        ek_count(counts[EK_REVIEW_REJECTED]).s, ek_count(counts[EK_REVIEW_UNSURE]).s,
	        ek_count(counts[EK_REVIEW_DISPUTED]).s);
	if (counts[EK_REVIEW_OPEN] > 0)
		ek_html(h, "%s %s not been looked at.", ek_number_noun(counts[EK_REVIEW_OPEN], "image").s,
		        counts[EK_REVIEW_OPEN] == 1 ? "has" : "have");
	ek_html(h, "</p>");
	if (review->stale > 0)
		ek_html(h, "<p>%s on images that have been made anew since, or are gone, %s not counted.</p>",
		        ek_number_noun(review->stale, "decision").s, review->stale == 1 ? "is" : "are");
	if (review->log.lines.damaged > 0)
		ek_html(h,
		        "<p>%s of reviews/%s.jsonl could not be read and %s not counted, the first of them line "
		        "%s.</p>",
		        ek_number_noun(review->log.lines.damaged, "line").s, review->name,
		        review->log.lines.damaged == 1 ? "is" : "are", ek_count(review->log.lines.first_damaged).s);
}

/* The cells behind the name of a cluster or class of which there are images. */
static void outcome_cells(struct ek_html *h, const uint64_t *counts)
{
	uint64_t images = 0, judged;

	for (size_t i = 0; i < OUTCOMES; i++)
		images += counts[outcomes[i]];
	judged = images - counts[EK_REVIEW_OPEN];
	for (size_t i = 0; i < OUTCOMES; i++)
		ek_page_number(h, (double)counts[outcomes[i]], ek_count(counts[outcomes[i]]),
		               outcomes[i] == EK_REVIEW_OPEN);
	if (judged > 0)
		ek_page_number(h, (double)counts[EK_REVIEW_ACCEPTED] / (double)judged,
		               ek_percent_whole((double)counts[EK_REVIEW_ACCEPTED] / (double)judged), 0);
	else
		ek_page_number(h, (double)NAN, ek_count(0), 0);
	ek_html(h, "</tr>");
}

static void head(struct ek_html *h, const char *caption, const char *unit)
{
	const char *const names[] = { unit,        "#Accepted",    "#Rejected",          "#Unsure",
		                      "#Disputed", "##Not judged", "#Accepted of judged" };

	ek_page_table_head(h, caption, names, sizeof names / sizeof *names);
}

static int by_cluster(struct ek_page *page, const struct ek_reviewed *review, const struct ek_sample_set *set)
{
	struct ek_html *h = &page->html;
	uint64_t(*counts)[EK_REVIEW_OUTCOMES] = NULL, *images = NULL;
	size_t shown = 0, all = 0;
	int rc = 0;

	EK_TRY(ek_alloc(&counts, page->k, sizeof *counts));
	EK_TRY(ek_alloc(&images, page->k, sizeof *images));
	for (uint64_t i = 0; i < set->count; i++)
		if (review->cluster[i] >= 0 && (size_t)review->cluster[i] < page->k) {
			counts[review->cluster[i]][ek_review_log_outcome(&review->log, i)]++;
			all += images[review->cluster[i]]++ == 0;
		}
	head(h, "Decisions by the cluster that an image lies in, smallest first", "Cluster");
	for (size_t i = 0; i < page->k && shown < EK_PAGE_ROWS; i++) {
		const uint32_t cluster = page->descending[page->k - 1 - i];

		if (images[cluster] == 0)
			continue;
		shown++;
		ek_html(h, "<tr><th scope=\"row\" data-v=\"%zu\">", i);
		ek_page_cluster(page, cluster, "Cluster ");
		ek_html(h, "</th>");
		outcome_cells(h, counts[cluster]);
	}
	ek_html(h, "</tbody></table></div>");
	if (all > shown)
		ek_html(h, "<p class=\"note\">The %zu smallest of %zu clusters.</p>", shown, all);
out:
	free(counts);
	free(images);
	return rc;
}

/* Where it is not known in which cluster images lie: by what they were made as. */
static void by_class(struct ek_page *page, const struct ek_reviewed *review, const struct ek_sample_set *set)
{
	struct ek_html *h = &page->html;

	head(h, "Decisions by what the images were made as", "Made as");
	for (size_t c = 0; c < set->class_count && c < EK_PAGE_ROWS; c++) {
		const struct ek_sample_class *class = &set->classes[c];
		uint64_t counts[EK_REVIEW_OUTCOMES] = { 0 };

		for (uint64_t i = 0; i < class->count; i++)
			counts[ek_review_log_outcome(&review->log, set->order[class->first + i])]++;
		ek_html(h, "<tr><th scope=\"row\" data-v=\"%zu\">", c);
		if (class->cluster >= 0)
			ek_page_cluster(page, (uint64_t) class->cluster, "Cluster ");
		else
			ek_html(h, "<bdi>%s</bdi>", class->name[0] != 0 ? class->name : "all");
		ek_html(h, "</th>");
		outcome_cells(h, counts);
	}
	ek_html(h, "</tbody></table></div>");
	if (set->class_count > EK_PAGE_ROWS)
		ek_html(h, "<p class=\"note\">The first of %s classes.</p>", ek_count(set->class_count).s);
}

static void reviewers(struct ek_page *page, const struct ek_reviewed *review)
{
	static const char *const names[] = { "Reviewer", "#Accepted", "#Rejected", "#Unsure" };
	const struct ek_review_log *log = &review->log;
	struct ek_html *h = &page->html;

	ek_page_table_head(h, "Who decided", names, sizeof names / sizeof *names);
	for (size_t r = 0; r < log->reviewer_count && r < REVIEWERS; r++) {
		uint64_t counts[EK_VERDICTS];

		ek_review_log_tally(counts, log, (uint32_t)r);
		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", log->reviewers[r]);
		for (size_t v = 0; v < EK_VERDICTS; v++)
			ek_page_number(h, (double)counts[v], ek_count(counts[v]), 0);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
	if (log->reviewer_count > REVIEWERS)
		ek_html(h, "<p class=\"note\">The first of %s reviewers.</p>", ek_count(log->reviewer_count).s);
}

/* Each two who judged the same images. */
static void agreement(struct ek_page *page, const struct ek_reviewed *review)
{
	static const char *const names[] = { "Two reviewers", "#Judged by both", "#Same decision", "#Cohen's kappa" };
	const struct ek_review_log *log = &review->log;
	struct ek_html *h = &page->html;
	size_t shown = 0;

	for (size_t a = 0; a < log->reviewer_count && shown < PAIRS; a++)
		for (size_t b = a + 1; b < log->reviewer_count && shown < PAIRS; b++) {
			struct ek_review_agreement agreed;

			ek_review_log_agreement(&agreed, log, (uint32_t)a, (uint32_t)b);
			if (agreed.both == 0)
				continue;
			if (shown++ == 0)
				ek_page_table_head(
					h,
					"How far they agree; kappa is 1 for full agreement and 0 for no more "
					"than chance gives",
					names, sizeof names / sizeof *names);
			ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi> and <bdi>%s</bdi></th>", log->reviewers[a],
			        log->reviewers[b]);
			ek_page_number(h, (double)agreed.both, ek_count(agreed.both), 0);
			ek_page_number(h, agreed.observed, ek_percent_whole(agreed.observed), 0);
			ek_page_number(h, agreed.kappa, ek_decimal(agreed.kappa, 2), 0);
			ek_html(h, "</tr>");
		}
	ek_html(h, shown > 0 ? "</tbody></table></div>" : "");
	if (shown == PAIRS)
		ek_html(h, "<p class=\"note\">At most %d pairs are shown.</p>", PAIRS);
}

static int review(struct ek_page *page, const struct ek_reviewed *r)
{
	const int64_t at = ek_sample_sets_find(&page->samples, r->name);
	const struct ek_sample_set *set = at >= 0 ? &page->samples.items[at] : NULL;
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<h3>Review of <bdi>%s</bdi></h3>", r->name);
	if (r->log.entry_count == 0) {
		ek_html(h, "<p>Nobody has decided on an image yet.</p>");
		return 0;
	}
	headline(page, r, set);
	if (set == NULL)
		ek_html(h, "<p>The images are no longer in the run, so decisions cannot be told by cluster.</p>");
	else if (r->cluster != NULL)
		EK_TRY(by_cluster(page, r, set));
	else
		by_class(page, r, set);
	reviewers(page, r);
	agreement(page, r);
out:
	return rc;
}

int ek_chapter_review(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<p class=\"intro\">What people said of the generated images, each seen beside the real ones "
	           "nearest to "
	           "it. An image is accepted where nobody rejects it and more accept it than are unsure.</p>");
	for (size_t i = 0; i < page->reviews.count && i < EK_PAGE_PLANS; i++)
		EK_TRY(review(page, &page->reviews.items[i]));
	if (page->reviews.count > EK_PAGE_PLANS)
		ek_html(h, "<p class=\"note\">The first %d of %zu reviews.</p>", EK_PAGE_PLANS, page->reviews.count);
	rc = h->rc;
out:
	return rc;
}
