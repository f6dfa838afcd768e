/* The groups of the images: named ones that labels taught or words describe, with their shares, or those that were
 * found without. */
#include "reports/page.h"

#include <string.h>

#include "rebalance/base/text.h"

enum { BARS = 24 };

static double end_of(const cJSON *share, int which)
{
	return cJSON_GetNumberValue(cJSON_GetArrayItem(ek_json_member(share, "ci95"), which));
}

double ek_page_group_share(const cJSON *group)
{
	const cJSON *share = ek_json_member(group, "share");

	return cJSON_IsObject(share) ? ek_number_of(share, "value") : ek_number_of(group, "corrected_share");
}

static void bar_row(struct ek_html *h, const cJSON *group, double most)
{
	const cJSON *share = ek_json_member(group, "share");
	const double labelled = ek_number_of(group, "labelled");
	const cJSON *value;
	int mostly = 0;

	ek_html(h,
	        "<li><span><bdi>%s</bdi></span><svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
	        "aria-hidden=\"true\"><rect width=\"%.4g\" height=\"1\"/></svg><b>%s</b><small>%s",
	        ek_text_of(group, "name", "?"), most > 0 ? 100 * ek_page_group_share(group) / most : 0,
	        ek_percent(ek_page_group_share(group)).s, ek_count((uint64_t)ek_number_of(group, "images")).s);
	if (cJSON_IsObject(share))
		ek_html(h, ", %s", ek_percent_range(end_of(share, 0), end_of(share, 1)).s);
	cJSON_ArrayForEach(value, ek_json_member(group, "mostly"))
	{
		ek_html(h, "%s<bdi>%s</bdi>", mostly++ == 0 ? ", mostly " : ", ", cJSON_GetStringValue(value));
	}
	if (labelled > 0)
		ek_html(h, ", %s", ek_number_noun((uint64_t)labelled, "label").s);
	ek_html(h, "</small></li>");
}

/* How many more labels would halve the widest interval, or how to come by intervals. */
static void tell_labels(struct ek_html *h, const cJSON *groups)
{
	const cJSON *group, *widest = NULL;
	double most = 0, labels;

	cJSON_ArrayForEach(group, ek_json_member(groups, "groups"))
	{
		const cJSON *share = ek_json_member(group, "share");
		const double width = cJSON_IsObject(share) ? end_of(share, 1) - end_of(share, 0) : 0;

		if (width > most) {
			most = width;
			widest = group;
		}
	}
	if (widest == NULL) {
		ek_html(h, "<p class=\"note\">No intervals: none of the labelled images was drawn at random. The "
		           "sample that <code>evenkeel label</code> keeps apart is; labels of it give each share an "
		           "interval.</p>");
		return;
	}
	labels = ek_number_of(ek_json_member(widest, "share"), "labels_to_halve");
	ek_html(h,
	        "<p class=\"note\">95\xe2\x80\xaf%% intervals, by %s of images drawn at random and predictions for all "
	        "others. %s more such labels would halve the widest, that of <bdi>%s</bdi>.</p>",
	        ek_number_noun((uint64_t)ek_number_of(groups, "labelled_at_random"), "label").s,
	        ek_count((uint64_t)labels).s, ek_text_of(widest, "name", "?"));
}

static void tell_source(struct ek_html *h, const cJSON *groups)
{
	const double accuracy = ek_number_of(ek_json_member(groups, "probe"), "accuracy");

	ek_html(h, "<p>Learned from labels of %s",
	        ek_number_noun((uint64_t)ek_number_of(groups, "labelled"), "image").s);
	if (cJSON_IsNumber(ek_json_member(ek_json_member(groups, "probe"), "accuracy")))
		ek_html(h, "; %s of those were told right when they were left out", ek_percent_whole(accuracy).s);
	ek_html(h,
	        ". Every image has a probability of each group; the count is of those that are likeliest of it.</p>");
}

static void tell_words(struct ek_html *h, const cJSON *groups, const cJSON *words)
{
	const cJSON *none = ek_json_member(groups, "none");
	const double labelled = ek_number_of(groups, "labelled");

	ek_html(h,
	        "<p>By words: for each image, how likely CLIP takes it to be of each group that "
	        "<code>%s</code> describes. The count is of those that are likeliest of it. ",
	        ek_text_of(words, "file", "?"));
	if (labelled > 0)
		ek_html(h, "How sure it is was set by labels of %s. ", ek_number_noun((uint64_t)labelled, "image").s);
	if (!(ek_number_of(groups, "labelled_at_random") > 0))
		ek_html(h, "CLIP learned from captions of the web and errs by group, so these are no estimates of the "
		           "true shares; labels of images drawn at random would make them so. ");
	if (cJSON_IsObject(none))
		ek_html(h, "%s %s more likely of none of these.",
		        ek_number_noun((uint64_t)ek_number_of(none, "images"), "image").s,
		        ek_number_of(none, "images") > 1 || ek_number_of(none, "images") < 1 ? "are" : "is");
	ek_html(h, "</p>");
}

static void tell_found(struct ek_html *h, const cJSON *groups)
{
	const double outliers = ek_number_of(groups, "outliers");

	ek_html(h,
	        "<p>Found without labels: %s, %s, merged to groups of images that lie together. They show what images "
	        "look like, which need not be what matters: groups like these mended hardly any of a known "
	        "skew; " EK_PAGE_RECOVERY ".",
	        ek_number_noun((uint64_t)ek_number_of(groups, "fine_clusters"), "fine cluster").s,
	        strcmp(ek_text_of(groups, "whitened_by", ""), "noise") == 0
	                ? "whitened by what small changes of an image do"
	                : "whitened by their spread, as there are no views");
	if (cJSON_GetArraySize(ek_json_member(groups, "groups")) == 1 &&
	    cJSON_GetArraySize(ek_json_member(groups, "curve")) > 0)
		ek_html(h, " From other starts other groups come out, whatever their number, so all images are one.");
	if (outliers > 0)
		ek_html(h, " %s in clusters too small to be a population went to the nearest.",
		        ek_number_noun((uint64_t)outliers, "outlier").s);
	ek_html(h, "</p>");
}

static void card(struct ek_page *page, size_t g, const cJSON *group)
{
	static const char *const kinds[EK_PICK_KINDS] = { "Surest", "Random", "Least sure" };
	struct ek_html *h = &page->html;
	char mostly[256];

	ek_html(h,
	        "<article class=\"card\" aria-labelledby=\"group-%zu\"><header><h3 id=\"group-%zu\"><bdi>%s</bdi></h3>"
	        "</header>",
	        g, g, ek_text_of(group, "name", "?"));
	if (ek_text_mostly(mostly, ek_json_member(group, "mostly"), "", "")[0] != 0)
		ek_html(h, "<p class=\"named\">Mostly <bdi>%s</bdi></p>", mostly);
	ek_html(h, "<p class=\"share\">%s</p>", ek_percent(ek_page_group_share(group)).s);
	ek_page_pick_rows(page, &page->group_picks, g, kinds);
	ek_html(h, "</article>");
}

/* Smallest first, as the clusters' are. */
static void cards(struct ek_page *page, const cJSON *list)
{
	uint8_t shown[EK_PAGE_GROUP_CARDS] = { 0 };
	struct ek_html *h = &page->html;

	if (page->group_picks.k == 0 || page->group_picks.k != (size_t)cJSON_GetArraySize(list))
		return;
	ek_html(h, "<p class=\"note\">Smallest first. Images that it is surest of, some by lot, and those it is least "
	           "sure of: if the last are not of their group, a few labels of such images help most.</p><div "
	           "class=\"cards\">");
	for (size_t i = 0; i < page->group_picks.k; i++) {
		size_t least = 0;

		while (shown[least])
			least++;
		for (size_t g = least + 1; g < page->group_picks.k; g++)
			if (!shown[g] && ek_page_group_share(cJSON_GetArrayItem(list, (int)g)) <
			                         ek_page_group_share(cJSON_GetArrayItem(list, (int)least)))
				least = g;
		shown[least] = 1;
		card(page, least, cJSON_GetArrayItem(list, (int)least));
	}
	ek_html(h, "</div>");
}

int ek_chapter_groups(struct ek_page *page)
{
	const cJSON *groups = ek_json_member(page->audit, "groups"), *list = ek_json_member(groups, "groups"), *group;
	const cJSON *words = ek_json_member(groups, "words");
	struct ek_html *h = &page->html;
	double most = 0;
	int shown = 0;

	if (cJSON_IsObject(words))
		tell_words(h, groups, words);
	else if (ek_number_of(groups, "labelled") > 0)
		tell_source(h, groups);
	else
		tell_found(h, groups);
	cJSON_ArrayForEach(group, list) most = ek_page_group_share(group) > most ? ek_page_group_share(group) : most;
	ek_html(h, "<section class=\"shares\"><ol class=\"bars\">");
	cJSON_ArrayForEach(group, list)
	{
		if (shown++ == BARS) {
			ek_html(h, "<li class=\"more\">%d more</li>", cJSON_GetArraySize(list) - BARS);
			break;
		}
		bar_row(h, group, most);
	}
	ek_html(h, "</ol></section>");
	if (ek_number_of(groups, "labelled") > 0)
		tell_labels(h, groups);
	cards(page, list);
	return h->rc;
}
