/* The parts of the chapter Evaluation on single clusters and on possible copies. */
#include "reports/page.h"

#include <math.h>
#include <string.h>

#include "reports/svg.h"

#define DASH "\xe2\x80\x93"

enum { ROWS_OPEN = 30, REASONS = 2 };

static double value_of(const cJSON *row, const char *name)
{
	return ek_measure_of(row, name).value;
}

/* The interval of generated_share. */
static struct ek_measure share_of(const cJSON *row)
{
	struct ek_measure m = ek_interval_of(row);

	m.value = value_of(row, "generated_share");
	return m;
}

static double largest_share(const struct ek_page *page, const struct ek_evaluation *e)
{
	double largest = 0;

	for (size_t c = 0; c < page->k; c++)
		largest = fmax(largest, fmax(value_of(e->rows[c], "target_share"),
		                             fmax(share_of(e->rows[c]).value, share_of(e->rows[c]).high)));
	return largest;
}

enum kind { SHARE, FIGURE, COUNT };

static struct ek_words words_of(double value, enum kind kind)
{
	return kind == SHARE ? ek_percent(value) : kind == COUNT ? ek_decimal(value, 0) : ek_figure(value);
}

/* A number that may be missing, with the reason where there is one. */
static void number(struct ek_html *h, const struct ek_evaluation *e, const cJSON *row, const char *name, enum kind kind,
                   int wide)
{
	const double value = value_of(row, name);
	const char *reason = ek_evaluation_reason(e, row, name);

	if (isfinite(value) || reason == NULL) {
		ek_page_number(h, value, words_of(value, kind), wide);
		return;
	}
	ek_html(h, wide ? "<td class=\"n wide\"" : "<td class=\"n\"");
	ek_html(h, " data-v=\"-9e9\" title=\"%s\">" DASH "</td>", reason);
}

/* The most typical training image and generated ones. */
static void thumbnails(struct ek_page *page, const struct ek_evaluation *e, size_t cluster)
{
	struct ek_html *h = &page->html;
	size_t count;
	const uint64_t *ids = ek_picks_of(&page->picks, cluster, EK_PICK_TYPICAL, &count);

	ek_html(h, "<td class=\"thumbs\"><div>");
	if (count > 0)
		ek_page_picture(page, ids[0]);
	else
		ek_html(h, "<span></span>");
	for (size_t i = 0; i < e->counts[cluster]; i++)
		ek_page_picture(page, e->keys[cluster * e->each + i]);
	ek_html(h, "</div></td>");
}

static int has_thumbnails(const struct ek_page *page, const struct ek_evaluation *e)
{
	return page->has_pictures && e->counts != NULL && page->picks.k == page->k;
}

static void row(struct ek_page *page, const struct ek_evaluation *e, size_t cluster, size_t place, double full)
{
	const cJSON *r = e->rows[cluster];
	const struct ek_measure share = share_of(r);
	const double target = value_of(r, "target_share"), ratio = value_of(r, "ratio");
	struct ek_html *h = &page->html;

	ek_html(h, "<tr%s><th scope=\"row\" data-v=\"%zu\">", page->clusters[cluster].tail ? " class=\"tail\"" : "",
	        cluster);
	ek_page_cluster(page, cluster, "");
	ek_html(h, "</th>");
	if (has_thumbnails(page, e)) {
		if (place < page->evaluation_rows)
			thumbnails(page, e, cluster);
		else
			ek_html(h, "<td></td>");
	}
	ek_html(h, "<td class=\"chart\" data-v=\"%.9g\">", isfinite(share.value) ? share.value : -9e9);
	ek_svg_bar(h, isfinite(share.value) ? share.value : 0, share.low, share.high, target, full,
	           page->clusters[cluster].tail);
	ek_html(h, "</td>");
	ek_page_number(h, target, ek_percent(target), 1);
	ek_page_number(h, share.value, ek_percent(share.value), 0);
	ek_html(h, "<td class=\"n wide\" data-v=\"%.9g\">%s</td>", isfinite(share.low) ? share.low : -9e9,
	        share.low <= share.high ? ek_percent_range(share.low, share.high).s : DASH);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">", isfinite(ratio) ? ratio : -9e9);
	ek_html(h, ratio < 0.5 ? "<span class=\"tag\">low</span> " : "");
	ek_html(h, "%s</td>", ek_decimal(ratio, 2).s);
	number(h, e, r, "coverage", SHARE, 0);
	number(h, e, r, "precision", SHARE, 1);
	/* An object, or null with a reason. */
	if (cJSON_IsObject(ek_json_member(r, "kid")))
		number(h, e, ek_json_member(r, "kid"), "mean", FIGURE, 1);
	else
		number(h, e, r, "kid", FIGURE, 1);
	number(h, e, r, "copies", COUNT, 1);
	ek_html(h, "</tr>");
}

static void head(struct ek_page *page, const struct ek_evaluation *e)
{
	static const char *const names[] = { "##Wanted",  "#Made",       "##Interval", "#Ratio",
		                             "#Coverage", "##Precision", "##KID",      "##Copies" };
	const cJSON *generated = ek_json_member(e->json, "generated");
	struct ek_html *h = &page->html;

	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort sizes plan evaluation\"><caption>Clusters, smallest first; "
	        "%s generated images</caption><thead><tr><th scope=\"col\">Cluster</th>",
	        ek_decimal(ek_number_of(generated, "images"), 0).s);
	if (has_thumbnails(page, e))
		ek_html(h, "<th scope=\"col\">Real, made</th>");
	ek_html(h, "<th scope=\"col\">Share</th>");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ek_html(h,
		        names[i][1] == '#' ? "<th scope=\"col\" class=\"n wide\">%s</th>"
		                           : "<th scope=\"col\" class=\"n\">%s</th>",
		        names[i] + strspn(names[i], "#"));
	ek_html(h, "</tr></thead><tbody>");
}

/* Why a measure has dashes: the first reasons, each once, with the cluster they are told of. */
static void reasons_for(struct ek_page *page, const struct ek_evaluation *e, const char *name, const char *title)
{
	const char *told[REASONS];
	struct ek_html *h = &page->html;
	size_t count = 0, more = 0;

	for (size_t i = 0; i < page->k; i++) {
		const uint32_t cluster = page->descending[page->k - 1 - i];
		const char *reason = ek_evaluation_reason(e, e->rows[cluster], name);
		size_t j = 0;

		if (isfinite(value_of(e->rows[cluster], name)) || reason == NULL)
			continue;
		while (j < count && strcmp(told[j], reason) != 0)
			j++;
		if (j < count)
			continue;
		if (count == REASONS) {
			more++;
			continue;
		}
		told[count++] = reason;
		if (count == 1)
			ek_html(h, "<p class=\"note\">" DASH " under %s: ", title);
		ek_html(h, "%scluster %lu: %s", count == 1 ? "" : "; ", (unsigned long)cluster, reason);
	}
	if (more > 0)
		ek_html(h, "; and so on for %s", ek_number_noun(more, "cluster").s);
	ek_html(h, count > 0 ? ".</p>" : "");
}

static void reasons(struct ek_page *page, const struct ek_evaluation *e)
{
	reasons_for(page, e, "coverage", "Coverage");
	reasons_for(page, e, "precision", "Precision");
	reasons_for(page, e, "kid", "KID");
	reasons_for(page, e, "copies", "Copies");
}

/* By named group, in the order of the groups. */
static void groups(struct ek_page *page, const struct ek_evaluation *e)
{
	static const char *const names[] = { "Group",     "#Of the data", "#Made",      "##Interval",
		                             "#Coverage", "##Interval",   "##Precision" };
	const cJSON *list = ek_json_member(e->json, "per_group"), *r;
	struct ek_html *h = &page->html;
	size_t place = 0;

	if (cJSON_GetArraySize(list) == 0)
		return;
	ek_html(h, "<p class=\"note\">Every image counts for each group by its probability of being of it, as labels "
	           "taught: shares are corrected for how often each group was made, and a generated image that is like "
	           "nothing counts somewhere, too.</p>");
	ek_page_table_head(h, "Named groups", names, sizeof names / sizeof *names);
	cJSON_ArrayForEach(r, list)
	{
		const struct ek_measure share = ek_measure_of(r, "generated_share"),
					covered = ek_measure_of(r, "coverage");

		ek_html(h, "<tr><th scope=\"row\" data-v=\"%zu\"><bdi>%s</bdi></th>", place++,
		        ek_text_of(r, "group", "?"));
		ek_page_number(h, ek_number_of(r, "training_share"), ek_percent(ek_number_of(r, "training_share")), 0);
		ek_page_number(h, share.value, ek_percent(share.value), 0);
		ek_page_number(h, share.low, ek_percent_range(share.low, share.high), 1);
		number(h, e, r, "coverage", SHARE, 0);
		ek_page_number(h, covered.low,
		               covered.low <= covered.high ? ek_percent_range(covered.low, covered.high)
		                                           : (struct ek_words){ DASH },
		               1);
		number(h, e, r, "precision", SHARE, 1);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
}

int ek_evaluation_clusters(struct ek_page *page, const struct ek_evaluation *e)
{
	const int folded = page->k > ROWS_OPEN;
	struct ek_html *h = &page->html;
	double full;

	ek_html(h, "<h4>Whom they cover</h4>");
	groups(page, e);
	if (e->rows == NULL) {
		ek_html(h,
		        "<p><b>It was made with other clusters than the run has now</b>, so they cannot be told one by "
		        "one: evaluate again.</p>");
		return h->rc;
	}
	full = largest_share(page, e);
	ek_html(h,
	        "<p class=\"note\">Bars: share of the generated images that lie in the cluster, with its "
	        "95\xe2\x80\xaf%% interval (Wilson); the dashed line is the share it should have. <b>Ratio</b>: made "
	        "to wanted; <b>low</b> where it is below a half. <b>Coverage</b>: its real images with a generated "
	        "one near them. <b>Copies</b>: generated images of it that may be copies.%s</p>",
	        has_thumbnails(page, e) ? " Pictures: a typical training image, then generated ones that lie in it."
	                                : "");
	ek_html(h, folded ? "<details><summary>Table of the clusters</summary>" : "");
	head(page, e);
	for (size_t i = 0; ek_page_shown_of(page, i, EK_PAGE_ROWS) >= 0; i++)
		row(page, e, (size_t)ek_page_shown_of(page, i, EK_PAGE_ROWS), i, full);
	ek_html(h, "</tbody></table></div>");
	reasons(page, e);
	if (page->k > EK_PAGE_ROWS)
		ek_html(h,
		        "<p class=\"note\">The smallest and the largest of %s clusters; all are in "
		        "evaluations/%s.json.</p>",
		        ek_count(page->k).s, e->name);
	ek_html(h, folded ? "</details>" : "");
	return h->rc;
}

int ek_evaluation_copies(struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *memorisation = ek_json_member(e->json, "memorisation");
	const int all = cJSON_GetArraySize(ek_json_member(memorisation, "copies"));
	struct ek_html *h = &page->html;
	struct ek_copy copy;
	size_t count = 0;

	if (!page->has_pictures)
		return h->rc;
	for (; count < page->copies && ek_evaluation_copy(&copy, e, &page->samples, page->images, count); count++) {
		if (count == 0)
			ek_html(h, "<div class=\"pairs\">");
		ek_html(h, "<figure><div>");
		ek_page_picture(page, ek_sample_key(copy.set, copy.sample));
		ek_page_picture(page, copy.image);
		ek_html(h, "</div><figcaption>distance %s", ek_figure(copy.distance).s);
		if (isfinite(copy.own))
			ek_html(h, "; its own nearest %s", ek_figure(copy.own).s);
		ek_html(h, "</figcaption></figure>");
	}
	if (count > 0)
		ek_html(h,
		        "</div><p class=\"note\">The %s: generated on the left, its nearest training image on the "
		        "right, flagged for review. The distance is that between the two, beside it that of the "
		        "training image to its own nearest.</p>",
		        (size_t)all > count ? "nearest of them" : "flagged images");
	return h->rc;
}
