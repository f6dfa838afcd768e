/* The sizes of the clusters, and a card for each. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "reports/svg.h"

static const char *firmness(double jaccard)
{
	return jaccard >= 0.75 ? "firm" : jaccard >= 0.5 ? "fair" : "loose";
}

static void size_row(struct ek_page *page, uint32_t cluster, double full)
{
	const struct ek_cluster_facts *c = &page->clusters[cluster];
	struct ek_html *h = &page->html;

	ek_html(h, "<tr%s", c->tail ? " class=\"tail\"" : "");
	ek_html(h, "><th scope=\"row\" data-v=\"%lu\">", (unsigned long)cluster);
	ek_page_cluster(page, cluster, "");
	ek_html(h, "</th><td class=\"chart\" data-v=\"%.9g\">", c->share);
	ek_svg_bar(h, c->share, c->low, c->high, 1 / (double)page->k, full, c->tail);
	ek_html(h, "</td><td class=\"n\" data-v=\"%.9g\">%s</td>", c->share, ek_percent(c->share).s);
	ek_html(h, "<td class=\"n wide\" data-v=\"%.9g\">%s</td>", c->low >= 0 ? c->low : c->share,
	        c->low <= c->high ? ek_percent_range(c->low, c->high).s : "\xe2\x80\x93");
	ek_html(h, "<td class=\"n\" data-v=\"%lu\">%s</td>", (unsigned long)c->size, ek_count(c->size).s);
	if (page->stability != NULL)
		ek_html(h, "<td class=\"n wide\" data-v=\"%.6g\">%s</td>", c->jaccard >= 0 ? c->jaccard : -1,
		        ek_decimal(c->jaccard, 2).s);
	ek_html(h, "</tr>");
}

static void size_table(struct ek_page *page)
{
	static const char *const names[] = { "Cluster", "Share, with 95\xe2\x80\xaf% interval", "#Share" };
	struct ek_html *h = &page->html;
	double full = 0;

	for (size_t i = 0; i < page->k; i++)
		full = fmax(full,
		            fmax(page->clusters[i].share, page->clusters[i].high >= 0 ? page->clusters[i].high : 0));
	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort sizes\"><caption>Share of the images in each cluster. The "
	        "dashed line is an even share, %s; the tail is coloured.</caption><thead><tr>",
	        ek_percent(1 / (double)page->k).s);
	for (size_t i = 0; i < 3; i++)
		ek_html(h, i == 2 ? "<th scope=\"col\" class=\"n\">%s</th>" : "<th scope=\"col\">%s</th>",
		        names[i] + (names[i][0] == '#'));
	ek_html(h, "<th scope=\"col\" class=\"n wide\">Interval</th><th scope=\"col\" class=\"n\">Images</th>");
	if (page->stability != NULL)
		ek_html(h, "<th scope=\"col\" class=\"n wide\">Stability</th>");
	ek_html(h, "</tr></thead><tbody>");
	/* Largest first; the cards below go the other way. */
	for (size_t i = EK_PAGE_CARDS; i-- > 0;)
		if (ek_page_shown(page, i) >= 0)
			size_row(page, (uint32_t)ek_page_shown(page, i), full);
	ek_html(h, "</tbody></table></div>");
	if (page->k > EK_PAGE_CARDS)
		ek_html(h,
		        "<p class=\"note\">The %zu smallest and the %zu largest of %s clusters; all are in "
		        "audit.json.</p>",
		        (size_t)EK_PAGE_CARDS * 7 / 10, (size_t)EK_PAGE_CARDS * 3 / 10, ek_count(page->k).s);
}

int ek_chapter_sizes(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const struct ek_measure gini = ek_measure_of(ek_json_member(page->audit, "skew"), "gini");
	const int many = page->k > EK_PAGE_CARDS_OPEN;
	double *descending = NULL;
	int rc = 0;

	if (page->k == 0)
		return 0;
	EK_TRY(ek_alloc(&descending, page->k, sizeof *descending));
	for (size_t i = 0; i < page->k; i++)
		descending[i] = page->clusters[page->descending[i]].share;
	if (many) {
		ek_html(h, "<figure>");
		ek_svg_profile(h, descending, page->k, ek_page_tail_count(page));
		ek_html(h, "<figcaption>One column for each cluster, largest first. The tail is "
		           "coloured.</figcaption></figure><details><summary>Table of the clusters, with "
		           "intervals</summary>");
	}
	size_table(page);
	ek_html(h, many ? "</details>" : "");
	ek_html(h, "<figure class=\"beside\">");
	ek_svg_lorenz(h, descending, page->k, gini.value);
	ek_html(h,
	        "<figcaption><h3>Lorenz curve</h3><p>Line the clusters up from the smallest to the largest: the curve "
	        "says what part of the images the first of them hold together. If all were equal it would be the "
	        "diagonal.</p><p>The shaded area between the two is half the Gini coefficient, here "
	        "<b>%s</b>.</p></figcaption></figure>",
	        ek_decimal(gini.value, 2).s);
	rc = h->rc;
out:
	free(descending);
	return rc;
}

/* The most frequent values of the attribute in the cluster, as "frog 62 %, deer 20 %". */
static void top_values(struct ek_page *page, const cJSON *attribute, uint32_t cluster)
{
	const cJSON *counts = cJSON_GetArrayItem(ek_json_member(attribute, "by_cluster"), (int)cluster);
	const cJSON *values = ek_json_member(attribute, "values"), *item;
	double total = 0, previous = INFINITY;
	int previous_at = -1;

	cJSON_ArrayForEach(item, counts) total += item->valuedouble;
	if (!(total > 0))
		return;
	ek_html(&page->html, "<div class=\"values\"><dt><bdi>%s</bdi></dt><dd>", attribute->string);
	for (int shown = 0; shown < 3; shown++) {
		double best = 0;
		int best_at = -1, at = 0;

		cJSON_ArrayForEach(item, counts)
		{
			const int after =
				item->valuedouble < previous || (item->valuedouble >= previous && at > previous_at);

			if (item->valuedouble > best && item->valuedouble <= previous && after) {
				best = item->valuedouble;
				best_at = at;
			}
			at++;
		}
		if (best_at < 0 || (shown > 0 && best < 0.05 * total))
			break;
		item = cJSON_GetArrayItem(values, best_at);
		ek_html(&page->html, "%s<bdi>%s</bdi> %s", shown > 0 ? ", " : "",
		        cJSON_IsString(item) ? item->valuestring : "?", ek_percent_whole(best / total).s);
		previous = best;
		previous_at = best_at;
	}
	ek_html(&page->html, "</dd></div>");
}

static void card_facts(struct ek_page *page, uint32_t cluster)
{
	const struct ek_cluster_facts *c = &page->clusters[cluster];
	struct ek_html *h = &page->html;
	const cJSON *attribute;
	int shown = 0;

	ek_html(h, "<p class=\"share\">%s</p><dl class=\"facts\"><div><dt>%s</dt><dd>%s</dd></div>",
	        ek_percent(c->share).s, page->has_pictures ? "Images" : "Rows", ek_count(c->size).s);
	if (c->low <= c->high)
		ek_html(h, "<div><dt>95 %% interval</dt><dd>%s</dd></div>", ek_percent_range(c->low, c->high).s);
	if (c->jaccard >= 0)
		ek_html(h, "<div><dt>Stability</dt><dd>%s, %s</dd></div>", ek_decimal(c->jaccard, 2).s,
		        firmness(c->jaccard));
	if (c->nearest >= 0) {
		ek_html(h, "<div><dt>Most like</dt><dd>");
		ek_page_cluster(page, (uint64_t)c->nearest, "cluster ");
		ek_html(h, "</dd></div>");
	}
	cJSON_ArrayForEach(attribute, ek_json_object(ek_json_member(page->audit, "attributes")))
	{
		if (shown++ < 3)
			top_values(page, attribute, cluster);
	}
	ek_html(h, "</dl>");
}

static void card(struct ek_page *page, uint32_t cluster)
{
	static const char *const kinds[EK_PICK_KINDS] = { "Typical", "Random", "Untypical" };
	struct ek_html *h = &page->html;
	char mostly[256];

	ek_html(h,
	        "<article class=\"card%s\" id=\"cluster-%lu\" aria-labelledby=\"name-%lu\"><header><h3 "
	        "id=\"name-%lu\">Cluster %lu</h3>",
	        page->clusters[cluster].tail ? " tail" : "", (unsigned long)cluster, (unsigned long)cluster,
	        (unsigned long)cluster, (unsigned long)cluster);
	if (page->clusters[cluster].tail)
		ek_html(h, "<span class=\"tag\">tail</span>");
	ek_html(h, "</header>");
	if (ek_page_mostly(mostly, page, cluster, "", "")[0] != 0)
		ek_html(h, "<p class=\"named\">Mostly <bdi>%s</bdi></p>", mostly);
	card_facts(page, cluster);
	if (page->clusters[cluster].size == 0)
		ek_html(h, "<p class=\"note\">Nothing was put into this cluster.</p>");
	ek_page_pick_rows(page, &page->picks, cluster, kinds);
	ek_html(h, "</article>");
}

int ek_chapter_clusters(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	size_t i = 0;

	ek_html(h,
	        "<p class=\"intro\">Smallest first. <b>Typical</b> %s are nearest to the centre of their cluster, "
	        "<b>untypical</b> ones furthest from it; the <b>random</b> ones were drawn by lot.%s%s</p>",
	        page->has_pictures ? "images" : "rows",
	        page->stability == NULL ? ""
	                                : " Stability says how much of the cluster comes back when the sorting is "
	                                  "repeated (1 = all of it; firm from 0.75, loose below 0.5).",
	        page->has_pictures ? ""
	                           : " This run was made from embeddings alone, so there are no pictures: the numbers "
	                             "are rows of the array, counted from 0.");
	ek_html(h, "<div class=\"cards\">");
	for (; i < EK_PAGE_CARDS_OPEN && ek_page_shown(page, i) >= 0; i++)
		card(page, (uint32_t)ek_page_shown(page, i));
	ek_html(h, "</div>");
	if (ek_page_shown(page, i) >= 0) {
		ek_html(h, "<details class=\"more\"><summary>The other clusters</summary><div class=\"cards\">");
		for (; ek_page_shown(page, i) >= 0; i++)
			card(page, (uint32_t)ek_page_shown(page, i));
		ek_html(h, "</div></details>");
	}
	return h->rc;
}
