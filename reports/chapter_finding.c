/* The finding first, in plain words, for someone who does not program. */
#include "reports/page.h"

#include <math.h>

enum { HEADLINE_VALUES = 100 };

/* How a Gini coefficient of an attribute's values is called: the shares are known, and so is what is even. */
static const struct {
	double below;
	const char *words;
} gini_words[] = {
	{ 0.10, "almost even" },
	{ 0.25, "somewhat uneven" },
	{ 0.45, "clearly uneven" },
	{ INFINITY, "very uneven" },
};

static const char *words_for(double gini)
{
	size_t i = 0;

	while (gini >= gini_words[i].below)
		i++;
	return gini_words[i].words;
}

static size_t at_least_one(size_t n)
{
	return n > 0 ? n : 1;
}

static const cJSON *skew_of(const struct ek_page *page)
{
	return ek_json_member(page->audit, "skew");
}

/* The row of duplicates.json that its groups belong to. */
static const cJSON *duplicates_row(const struct ek_page *page)
{
	const double eps = ek_number_of(page->duplicates, "groups_eps");
	const cJSON *row;

	cJSON_ArrayForEach(row, ek_json_member(page->duplicates, "eps"))
	{
		if (fabs(ek_number_of(row, "eps") - eps) < 1e-12)
			return row;
	}
	return NULL;
}

/* The attribute whose values differ most in share: the one to begin with. */
static const cJSON *most_uneven_attribute(const struct ek_page *page)
{
	const cJSON *attribute, *best = NULL;
	double most = -1;

	cJSON_ArrayForEach(attribute, ek_json_object(ek_json_member(page->audit, "attributes")))
	{
		const int values = cJSON_GetArraySize(ek_json_member(attribute, "values"));
		const double gini = ek_measure_of(ek_json_member(attribute, "skew"), "gini").value;

		if (values >= 2 && values <= HEADLINE_VALUES && gini > most) {
			most = gini;
			best = attribute;
		}
	}
	return best;
}

/* The places of the commonest and the rarest value that an image has. */
static void find_ends(int *most, int *least, const cJSON *counts)
{
	*most = *least = -1;
	for (int i = 0; i < cJSON_GetArraySize(counts); i++) {
		const double n = cJSON_GetNumberValue(cJSON_GetArrayItem(counts, i));

		if (!(n > 0))
			continue;
		if (*most < 0 || n > cJSON_GetNumberValue(cJSON_GetArrayItem(counts, *most)))
			*most = i;
		if (*least < 0 || n < cJSON_GetNumberValue(cJSON_GetArrayItem(counts, *least)))
			*least = i;
	}
}

static const char *value_name(const cJSON *attribute, int i)
{
	const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(ek_json_member(attribute, "values"), i));

	return name != NULL ? name : "?";
}

/* "20 to 39" says nothing without "age" before it. */
static const char *before_number(const cJSON *attribute, int i)
{
	const char first = *value_name(attribute, i);

	return (first >= '0' && first <= '9') || first == '-' ? attribute->string : "";
}

/* The most uneven attribute has its values equally often. */
static int headline_even(struct ek_page *page, const cJSON *attribute)
{
	const int values = cJSON_GetArraySize(ek_json_member(attribute, "counts"));

	if (values < 2)
		return 0;
	ek_html(&page->html,
	        "By <span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi></span> this set is even</h1><p class=\"lead\">Each of "
	        "its %d values "
	        "is as frequent as any other. That says nothing of what no attribute tells: "
	        "<a href=\"#sizes\">groups of images that look alike</a> can differ in size all the same.</p>",
	        attribute->string, values);
	return 1;
}

/* 1 if an attribute says it. */
static int headline_by_attribute(struct ek_page *page)
{
	const cJSON *attribute = most_uneven_attribute(page), *counts = ek_json_member(attribute, "counts");
	struct ek_html *h = &page->html;
	double all = 0, first, last;
	const char *name;
	int most, least;

	find_ends(&most, &least, counts);
	if (attribute == NULL || most < 0)
		return 0;
	if (most == least)
		return headline_even(page, attribute);
	for (int i = 0; i < cJSON_GetArraySize(counts); i++)
		all += cJSON_GetNumberValue(cJSON_GetArrayItem(counts, i));
	first = cJSON_GetNumberValue(cJSON_GetArrayItem(counts, most));
	last = cJSON_GetNumberValue(cJSON_GetArrayItem(counts, least));
	name = before_number(attribute, most);
	ek_html(h,
	        "<em>%s</em> are <span><bdi>\xe2\x80\x9c%s%s%s\xe2\x80\x9d</bdi>,</span> <em>%s</em> "
	        "<span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi></span></h1>",
	        ek_percent(first / all).s, name, *name != 0 ? " " : "", value_name(attribute, most),
	        ek_percent(last / all).s, value_name(attribute, least));
	ek_html(h,
	        "<p class=\"lead\">By <bdi>%s</bdi> this set is <strong>%s</strong>: <bdi>%s</bdi> is %s times as "
	        "frequent as <bdi>%s</bdi>. <a href=\"#attributes\">All shares, and the rarest combinations.</a></p>",
	        attribute->string, words_for(ek_measure_of(ek_json_member(attribute, "skew"), "gini").value),
	        value_name(attribute, most), ek_decimal(first / last, first / last < 10 ? 1 : 0).s,
	        value_name(attribute, least));
	return 1;
}

/* What CLIP takes images for by words: said as that, and no more. */
static void guess_by_words(struct ek_html *h, const cJSON *words, const cJSON *first, const cJSON *last)
{
	ek_html(h,
	        "CLIP takes <em>%s</em> for <span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi>,</span> <em>%s</em> for "
	        "<span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi></span></h1>",
	        ek_percent(ek_page_group_share(first)).s, ek_text_of(first, "name", "?"),
	        ek_percent(ek_page_group_share(last)).s, ek_text_of(last, "name", "?"));
	ek_html(h,
	        "<p class=\"lead\">A guess by the words of <bdi>%s</bdi>, no estimate: CLIP errs by group. Labels of "
	        "some images drawn at random, which <code>evenkeel label</code> makes a matter of minutes, would tell. "
	        "<a href=\"#groups\">All shares.</a></p>",
	        ek_text_of(words, "file", "?"));
}

/* 1 if labels taught groups, or words describe some, which say it. */
static int headline_by_group(struct ek_page *page)
{
	const cJSON *groups = ek_json_member(page->audit, "groups"), *group, *first = NULL, *last = NULL;
	const cJSON *words = ek_json_member(groups, "words");
	const int guessed = cJSON_IsObject(words) && !(ek_number_of(groups, "labelled_at_random") > 0);
	struct ek_html *h = &page->html;

	cJSON_ArrayForEach(group, ek_json_member(groups, "groups"))
	{
		if (first == NULL || ek_page_group_share(group) > ek_page_group_share(first))
			first = group;
		if (last == NULL || ek_page_group_share(group) < ek_page_group_share(last))
			last = group;
	}
	if (first == NULL || first == last || (!guessed && !(ek_number_of(groups, "labelled") > 0)))
		return 0;
	if (guessed) {
		guess_by_words(h, words, first, last);
		return 1;
	}
	ek_html(h,
	        "<em>%s</em> are <span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi>,</span> <em>%s</em> "
	        "<span><bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi></span></h1>",
	        ek_percent(ek_page_group_share(first)).s, ek_text_of(first, "name", "?"),
	        ek_percent(ek_page_group_share(last)).s, ek_text_of(last, "name", "?"));
	ek_html(h,
	        "<p class=\"lead\">Told by labels of %s: about so many of all are of the largest and of the smallest "
	        "group. <a href=\"#groups\">All shares, and how sure they are.</a></p>",
	        ek_number_noun((uint64_t)ek_number_of(groups, "labelled"), "image").s);
	return 1;
}

/* 1 if the audit came to a verdict, be it that nothing stands out. */
static int headline_by_verdict(struct ek_page *page)
{
	const cJSON *verdict = ek_json_member(page->audit, "verdict"), *shares = ek_json_member(verdict, "shares");
	const char *words = ek_text_of(verdict, "words", NULL), *reason = ek_text_of(verdict, "reason", NULL);
	const int count = cJSON_GetArraySize(shares);
	struct ek_html *h = &page->html;

	if (words == NULL)
		return 0;
	if (reason != NULL) {
		ek_html(h,
		        "Nothing was found to stand out</h1><p class=\"lead\">Without labels, all that can be said of "
		        "these %s is this: %s. That is not to say that the set is even: " EK_PAGE_RECOVERY
		        ". Something known about each image (an attribute) helps as well.</p>",
		        ek_number_noun(page->images, page->has_pictures ? "image" : "row").s, reason);
		return 1;
	}
	ek_html(h, "%d groups stand apart: the largest holds <em>%s</em>, the smallest <em>%s</em></h1>", count,
	        ek_percent(cJSON_GetNumberValue(cJSON_GetArrayItem(shares, 0))).s,
	        ek_percent(cJSON_GetNumberValue(cJSON_GetArrayItem(shares, count - 1))).s);
	ek_html(h,
	        "<p class=\"lead\">This set is <strong>%s</strong>. No labels were used; groups that look alike are "
	        "seen as one: " EK_PAGE_RECOVERY ".</p>",
	        words);
	return 1;
}

void ek_page_headline(struct ek_page *page)
{
	const size_t most = at_least_one((page->k + 4) / 8), least = at_least_one((page->k + 2) / 4);
	struct ek_html *h = &page->html;

	ek_html(h, "<p class=\"eyebrow\">Skew audit");
	if (page->name != NULL)
		ek_html(h, " of <bdi>%s</bdi>", page->name);
	ek_html(h, "</p><h1>");
	if (headline_by_attribute(page) || headline_by_group(page) || headline_by_verdict(page))
		return;
	if (page->k < 2) {
		ek_html(h, "All %s are in one cluster</h1>", ek_number_noun(page->images, "image").s);
		return;
	}
	ek_html(h, "%zu of %s clusters %s <em>%s</em> of the images; ", most, ek_count(page->k).s,
	        most == 1 ? "holds" : "hold", ek_percent_whole(ek_page_share_of_largest(page, most)).s);
	if (least == 1)
		ek_html(h, "the smallest holds ");
	else
		ek_html(h, "the %zu smallest hold ", least);
	ek_html(h, "<em>%s</em></h1>", ek_percent_whole(ek_page_share_of_smallest(page, least)).s);
	ek_html(h, "<p class=\"lead\">In an even set they would hold %s and %s.</p>",
	        ek_percent((double)most / (double)page->k).s, ek_percent((double)least / (double)page->k).s);
}

static void key_figure(struct ek_html *h, const char *name, const char *value, const char *note)
{
	ek_html(h, "<div><dt>%s</dt><dd><b>%s</b><span>%s</span></dd></div>", name, value, note);
}

static void key_figures(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const struct ek_measure gini = ek_measure_of(skew_of(page), "gini");
	const struct ek_measure effective = ek_measure_of(ek_json_member(skew_of(page), "effective_clusters"), "d1");
	const double rejected = ek_number_of(page->audit, "rejected");
	const size_t tail = ek_page_tail_count(page);
	char note[128];

	ek_html(h, "<dl class=\"figures\">");
	(void)snprintf(note, sizeof note, "%.60s rejected", ek_count(rejected > 0 ? (uint64_t)rejected : 0).s);
	key_figure(h, page->has_pictures ? "Images" : "Rows", ek_count(page->images).s,
	           page->has_pictures ? note : "embeddings");
	(void)snprintf(note, sizeof note, "%.60s below half an even share", ek_count(tail).s);
	key_figure(h, "Clusters", ek_count(page->k).s, note);
	if (gini.value >= 0) {
		(void)snprintf(note, sizeof note, "95\xe2\x80\xaf%% interval %.48s%.40s", ek_interval_words(gini, 2).s,
		               ek_corrected_words(gini, 2).s);
		key_figure(h, "Gini coefficient", ek_decimal(gini.value, 2).s,
		           gini.low <= gini.high ? note : "0 = equal, 1 = all in one");
	}
	if (effective.value >= 0) {
		(void)snprintf(note, sizeof note, "equal clusters would be as varied as these %.30s",
		               ek_count(page->k).s);
		key_figure(h, "Effective clusters", ek_decimal(effective.value, 1).s, note);
	}
	if (page->stability != NULL) {
		const struct ek_measure ari =
			ek_measure_of(ek_json_member(ek_json_member(page->stability, "pairwise"), "ari"), "mean");
		(void)snprintf(note, sizeof note, "agreement of repeated runs %.30s of 1", ek_decimal(ari.value, 2).s);
		key_figure(h, "Clusters are", ek_text_of(page->stability, "verdict", "\xe2\x80\x93"), note);
	}
	ek_html(h, "</dl>");
}

/* One of the four answers. */
static void answer(struct ek_page *page, const char *title)
{
	const int level = page->has_summary ? 3 : 2;

	ek_html(&page->html, "<section><h%d>%s</h%d>", level, title, level);
}

static void what_was_found(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const size_t tail = ek_page_tail_count(page);
	size_t smallest = page->k;
	const struct ek_cluster_facts *largest = &page->clusters[page->descending[0]], *least;

	while (smallest > 1 && page->clusters[page->descending[smallest - 1]].size == 0)
		smallest--;
	least = &page->clusters[page->descending[smallest - 1]];
	answer(page, "What was found");
	ek_html(h,
	        "<p>%s were sorted into %s: sets that look alike to the computer. No "
	        "labels were used. ",
	        ek_number_noun(page->images, page->has_pictures ? "image" : "row").s,
	        ek_number_noun(page->k, "cluster").s);
	ek_html(h, "An even share would be %s for each. The largest, ", ek_percent(1 / (double)page->k).s);
	ek_page_cluster(page, page->descending[0], "cluster ");
	ek_html(h, ", holds %s; the smallest, ", ek_percent(largest->share).s);
	ek_page_cluster(page, page->descending[smallest - 1], "cluster ");
	ek_html(h, ", holds %s", ek_percent(least->share).s);
	if (least->size > 0)
		ek_html(h, ": the largest is %s times as big",
		        ek_decimal((double)largest->size / (double)least->size,
		                   largest->size / least->size < 10 ? 1 : 0)
		                .s);
	ek_html(h, ".</p><p>");
	if (tail == 0)
		ek_html(h, "No cluster holds less than half of an even share.");
	else
		ek_html(h,
		        "%s %s less than half of an even share%s %s of all. %s called the <strong>tail</strong> here.",
		        ek_number_noun(tail, "cluster").s, tail == 1 ? "holds" : "hold", tail == 1 ? "," : ", together",
		        ek_percent(ek_page_share_of_smallest(page, tail)).s, tail == 1 ? "It is" : "They are");
	if (smallest < page->k)
		ek_html(h, " %zu of them hold%s no image at all.", page->k - smallest,
		        page->k - smallest == 1 ? "s" : "");
	ek_html(h, "</p></section>");
}

static void how_sure(struct ek_page *page)
{
	static const struct {
		const char *verdict, *words;
	} meanings[] = {
		{ "stable", "came out nearly the same. You can rely on single clusters, too." },
		{ "partly stable", "came out the same in part. Rely on the clusters marked as firm below; take the "
		                   "others as a rough guide." },
		{ "unstable", "came out quite differently. Do not read much into a single cluster, nor into how "
		              "uneven the clusters are." },
	};
	struct ek_html *h = &page->html;
	const struct ek_measure gini = ek_measure_of(skew_of(page), "gini");
	const char *verdict = ek_text_of(page->stability, "verdict", "");
	const cJSON *null = ek_json_object(ek_json_member(ek_json_member(page->audit, "stability"), "null"));
	const double rejected = ek_number_of(page->audit, "rejected");

	answer(page, "How sure it is");
	ek_html(h, "<p>");
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (strcmp(verdict, meanings[i].verdict) == 0)
			ek_html(h, "The sorting was repeated from other random starts and %s ", meanings[i].words);
	if (page->stability == NULL)
		ek_html(h, "Whether the sorting comes out the same when it is repeated has not been measured yet. ");
	ek_html(h, "</p><p>");
	if (gini.low <= gini.high)
		ek_html(h,
		        "The Gini coefficient (0 when all clusters are equal, near 1 when one holds everything) is "
		        "%s%s; with 95 %% confidence between %s and %s for data like these. ",
		        ek_decimal(gini.value, 2).s, ek_corrected_words(gini, 2).s, ek_decimal(gini.low, 2).s,
		        ek_decimal(gini.high, 2).s);
	if (null != NULL)
		ek_html(h,
		        "But clusters of data without any structure, of as many images and dimensions, differ in size, "
		        "too: on parts of these images it is %s, and %s without structure (difference %s to %s). ",
		        ek_decimal(ek_number_of(null, "observed"), 2).s, ek_decimal(ek_number_of(null, "gini"), 2).s,
		        ek_decimal(ek_measure_of(null, "excess").low, 2).s,
		        ek_decimal(ek_measure_of(null, "excess").high, 2).s);
	if (rejected > 0)
		ek_html(h, "%s could not be read and %s not counted.", ek_number_noun((uint64_t)rejected, "file").s,
		        rejected > 1 ? "are" : "is");
	ek_html(h, "</p></section>");
}

/* The attribute value that the tail holds most out of proportion. */
static void tail_value(struct ek_page *page)
{
	const cJSON *attribute, *row, *best = NULL;
	const char *best_attribute = NULL;
	double best_ratio = 1.2;

	cJSON_ArrayForEach(attribute, ek_json_object(ek_json_member(page->audit, "attributes")))
	{
		cJSON_ArrayForEach(row, ek_json_member(attribute, "tail_values"))
		{
			if (ek_number_of(row, "ratio") > best_ratio) {
				best_ratio = ek_number_of(row, "ratio");
				best = row;
				best_attribute = attribute->string;
			}
		}
	}
	if (best == NULL || ek_page_tail_count(page) == 0)
		return;
	ek_html(&page->html,
	        "<p>The tail is not a cross-section: %s of the images with %s <bdi>\xe2\x80\x9c%s\xe2\x80\x9d</bdi> "
	        "are in it, against %s of all images, %s times as many.</p>",
	        ek_percent(ek_number_of(best, "tail_share")).s, best_attribute, ek_text_of(best, "value", "?"),
	        ek_percent(ek_number_of(best, "share")).s, ek_decimal(best_ratio, 1).s);
}

static void what_it_means(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const cJSON *row = duplicates_row(page);
	const double copies = ek_number_of(row, "greedy_removed");

	answer(page, "What it means");
	ek_html(h,
	        "<p>Whoever learns from these images as they are, person or program, "
	        "sees the large clusters again and again and the small ones rarely, and will know them less well.</p>");
	tail_value(page);
	if (copies > 0 && page->images > 0)
		ek_html(h, "<p>%s (%s) %s of another one.</p>", ek_number_noun((uint64_t)copies, "image").s,
		        ek_percent(copies / (double)page->images).s, copies > 1 ? "are near copies" : "is a near copy");
	ek_html(h, "<p>A cluster is what the computer takes for alike, which need not be what matters to you. The "
	           "sorting tends to split big groups and join small ones, so the true imbalance can be larger than it "
	           "looks here.</p></section>");
}

static void what_next(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const double copies = ek_number_of(duplicates_row(page), "greedy_removed");
	const size_t tail = ek_page_tail_count(page);

	answer(page, "What you could do next");
	ek_html(h, "<ol>");
	ek_html(h, "<li>Look at ");
	ek_html(h, page->has_cards ? "<a href=\"#clusters\">" : "");
	ek_html(h, tail > 0 ? "the tail clusters" : "the smallest clusters");
	ek_html(h, page->has_cards ? "</a>" : "");
	ek_html(h, tail > 0
	                   ? ": are they people or things that matter, or only odd pictures?</li><li>If they matter, "
	                     "collect more images like them, or even out the set before anything is trained on it.</li>"
	                   : ": is anything missing that you expected to see?</li>");
	if (copies >= 0.005 * (double)page->images && copies > 0)
		ek_html(h, "<li>Remove the <a href=\"#duplicates\">near copies</a>: they count the same thing "
		           "twice.</li>");
	if (strcmp(ek_text_of(page->stability, "verdict", ""), "unstable") == 0)
		ek_html(h, "<li>Repeat the audit with fewer clusters or another encoder before acting on a single "
		           "cluster.</li>");
	if (ek_json_member(page->audit, "attributes") == NULL ||
	    cJSON_GetArraySize(ek_json_member(page->audit, "attributes")) == 0)
		ek_html(h, "<li>If you know something about each image (a place, a group, a source), add it as an "
		           "attribute: the audit then says whom the tail is made of.</li>");
	ek_html(h,
	        ek_number_of(ek_json_member(page->audit, "groups"), "labelled") > 0
	                ? "<li>Even the set out by its named groups: <code>evenkeel weights</code> and "
	                  "<code>evenkeel balance</code> go by them.</li>"
	                : "<li>Label ten images of each group that matters to you, with <code>evenkeel label</code>: "
	                  "then all is counted, and evened out, by these groups.</li>");
	ek_html(h, "<li>Show this page to somebody who knows where the images come from.</li></ol></section>");
}

int ek_chapter_finding(struct ek_page *page)
{
	/* Where the page begins with what was done, that has the heading. */
	if (!page->has_summary)
		ek_page_headline(page);
	key_figures(page);
	if (page->k >= 2) {
		ek_html(&page->html, "<div class=\"answers\">");
		what_was_found(page);
		how_sure(page);
		what_it_means(page);
		what_next(page);
		ek_html(&page->html, "</div>");
	}
	return page->html.rc;
}
