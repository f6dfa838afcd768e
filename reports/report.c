#include "reports/report.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "reports/page.h"
#include "reports/page_files.h"

/* A chapter appears when all its files are there. A new one is a function and a line. */
static const struct chapter {
	const char *id, *title;
	const char *needs[3];
	int (*write)(struct ek_page *page);
} chapters[] = {
	{ "summary", "In short", { "audit.json" }, ek_chapter_summary },
	{ "finding", "The finding", { "audit.json" }, ek_chapter_finding },
	{ "attributes", "Attributes", { "audit.json" }, ek_chapter_attributes },
	{ "groups", "Groups", { "audit.json" }, ek_chapter_groups },
	{ "sizes", "Cluster sizes", { "audit.json" }, ek_chapter_sizes },
	{ "clusters",
	  "The clusters",
	  { "audit.json", "clusters/assignment.npy", "clusters/distance.npy" },
	  ek_chapter_clusters },
	{ "map", "Map", { "clusters/map.json", "clusters/assignment.npy" }, ek_chapter_map },
	{ "rare", "What is rare", { "audit.json", "components/leverage.npy" }, ek_chapter_rare },
	{ "scores", "Scores", { "audit.json" }, ek_chapter_scores },
	{ "plan", "Plan", { "audit.json" }, ek_chapter_plan },
	{ "training", "Training", { "audit.json" }, ek_chapter_training },
	{ "samples", "Samples", { "audit.json" }, ek_chapter_samples },
	{ "evaluation", "Evaluation", { "audit.json" }, ek_chapter_evaluation },
	{ "comparison", "Comparison", { "audit.json" }, ek_chapter_comparison },
	{ "review", "Review", { "audit.json" }, ek_chapter_review },
	{ "duplicates", "Near-duplicates", { "clusters/duplicates.json" }, ek_chapter_duplicates },
	{ "rejected", "Rejected files", { "rejected.jsonl" }, ek_chapter_rejected },
	{ "certainty", "How sure it is", { "clusters/clusters.json" }, ek_chapter_certainty },
	{ "measures", "All measures", { "audit.json" }, ek_chapter_measures },
	{ "origin", "What it was made from", { "audit.json" }, ek_chapter_origin },
};
enum { CHAPTERS = sizeof chapters / sizeof *chapters, PICTURE_BYTES = 6000000 };

/* What there is of it to tell; chapters that are not named here only need their files. */
static size_t amount(const struct ek_page *page, const struct chapter *chapter)
{
	const struct {
		int (*write)(struct ek_page *page);
		size_t amount;
	} amounts[] = {
		{ ek_chapter_summary, (size_t)page->has_summary },
		{ ek_chapter_attributes, (size_t)cJSON_GetArraySize(ek_json_member(page->audit, "attributes")) },
		{ ek_chapter_groups,
		  (size_t)cJSON_GetArraySize(ek_json_member(ek_json_member(page->audit, "groups"), "groups")) },
		{ ek_chapter_plan, page->plans.subset_count + page->plans.weights_count },
		{ ek_chapter_rare, page->rare_count },
		{ ek_chapter_scores, page->scores.count },
		{ ek_chapter_training, page->models.count },
		{ ek_chapter_samples, page->samples.count },
		{ ek_chapter_evaluation, page->evaluations.count },
		{ ek_chapter_comparison, page->evaluations.count >= 2 },
		{ ek_chapter_review, page->reviews.count },
	};

	for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++)
		if (chapter->write == amounts[i].write)
			return amounts[i].amount;
	return 1;
}

static int appears(const struct ek_page *page, const struct chapter *chapter)
{
	for (size_t i = 0; i < 3 && chapter->needs[i] != NULL; i++)
		if (!ek_page_has(page, chapter->needs[i]))
			return 0;
	return amount(page, chapter) > 0;
}

static void hash_source(struct ek_html *h, const void *bytes, size_t size)
{
	uint8_t hash[EK_SHA256_SIZE];

	if (h->rc == 0)
		h->rc = ek_sha256(hash, bytes, size);
	ek_html(h, "'sha256-");
	ek_html_base64(h, hash, sizeof hash);
	ek_html(h, "'");
}

static void head(struct ek_page *page)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
	           "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src ");
	/* The quotes of the policy must stay quotes: hashes hold no character that would need a reference. */
	hash_source(h, ek_page_css, ek_page_css_size);
	ek_html(h, "; script-src ");
	hash_source(h, ek_page_js, ek_page_js_size);
	ek_html(h, "; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, "
	           "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" "
	           "content=\"no-referrer\">\n<title>Skew audit");
	if (page->name != NULL)
		ek_html(h, " of %s", page->name);
	ek_html(h, "</title>\n<style>");
	ek_html_raw(h, ek_page_css, ek_page_css_size);
	ek_html(h, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#finding\">Skip to the finding</a>\n");
}

static int body(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int first = 1, rc = 0;

	ek_html(h, "<nav aria-label=\"Chapters\"><ol>");
	for (size_t i = 0; i < CHAPTERS; i++)
		if (appears(page, &chapters[i]))
			ek_html(h, "<li><a href=\"#%s\">%s</a></li>", chapters[i].id, chapters[i].title);
	ek_html(h, "</ol></nav>\n<main>\n");
	if (page->left_out.size > 0)
		ek_html(h, "<p class=\"warning\"><b>Not on this page</b>: parts of the run that are damaged. <a "
		           "href=\"#origin\">What it was made from</a> names them.</p>");
	for (size_t i = 0; i < CHAPTERS; i++) {
		if (!appears(page, &chapters[i]))
			continue;
		/* The first has its own heading: the page's. */
		if (first) {
			ek_html(h, "<section class=\"chapter\" id=\"%s\" tabindex=\"-1\" aria-label=\"%s\">",
			        chapters[i].id, chapters[i].title);
			first = 0;
		} else
			ek_html(h,
			        "<section class=\"chapter\" id=\"%s\" aria-labelledby=\"%s-title\"><h2 "
			        "id=\"%s-title\">%s</h2>",
			        chapters[i].id, chapters[i].id, chapters[i].id, chapters[i].title);
		EK_TRY(chapters[i].write(page));
		ek_html(h, "</section>\n");
	}
	ek_html(h,
	        "</main>\n<footer><p>Made by Evenkeel %s from the files beside this page. It loads nothing from the "
	        "network.</p></footer>\n<script>",
	        ek_text_of(ek_json_member(page->audit, "method"), "evenkeel", ""));
	ek_html_raw(h, ek_page_js, ek_page_js_size);
	ek_html(h, "</script>\n</body>\n</html>\n");
	rc = h->rc;
out:
	return rc;
}

int ek_report(struct ek_run *run, const struct ek_report_options *options)
{
	struct ek_page page;
	char *path = NULL;
	int rc = 0;

	EK_TRY(ek_page_open(&page, run));
	page.picture_bytes = options != NULL && options->picture_bytes > 0 ? options->picture_bytes : PICTURE_BYTES;
	page.times = options != NULL && options->times;
	if (page.audit == NULL) {
		rc = ek_fail(EK_EDATA, "%s: there is no audit.json to report on", ek_run_path(run));
		goto out;
	}
	EK_TRY(ek_page_pictures(&page));
	head(&page);
	EK_TRY(body(&page));
	EK_TRY(ek_run_file(&path, run, "report.html"));
	EK_TRY(ek_atomic_save(path, page.html.text.data, page.html.text.size));
out:
	ek_page_close(&page);
	free(path);
	return rc;
}
