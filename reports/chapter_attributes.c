/* What is known about the images, against the clusters. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"

enum {
	BARS = 16, /* values of a histogram; of more the commonest and the rarest */
	HISTOGRAMS = 24,
	PAIRS = 15,      /* pairs of attributes, */
	RAREST = 3,      /* combinations of each */
	VALUES = 12,     /* columns of a heat map; the rarer values are joined */
	ROWS = 60,       /* clusters of a heat map; of more, the smallest and the largest */
	OPEN_TABLES = 3, /* attributes shown at once; the others open on demand */
	TAIL_ROWS = 30
};

static const cJSON *attributes_of(const struct ek_page *page)
{
	return ek_json_object(ek_json_member(page->audit, "attributes"));
}

static void agreement_cell(struct ek_html *h, const cJSON *attribute, const char *name)
{
	const struct ek_measure m = ek_measure_of(attribute, name);

	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s", isfinite(m.value) ? m.value : -1, ek_decimal(m.value, 2).s);
	if (m.low <= m.high)
		ek_html(h, " <small>%s\xe2\x80\x93%s</small>", ek_decimal(m.low, 2).s, ek_decimal(m.high, 2).s);
	ek_html(h, "</td>");
}

static void agreement(struct ek_page *page)
{
	static const char *const names[] = { "Attribute",           "#Values", "#NMI", "#ARI", "#Purity",
		                             "#Gini of its values", "#Missing" };
	struct ek_html *h = &page->html;
	const cJSON *attribute;

	ek_page_table_head(h, "How well the clusters agree with each attribute, with 95\xe2\x80\xaf% intervals", names,
	                   7);
	cJSON_ArrayForEach(attribute, attributes_of(page))
	{
		const double missing = ek_number_of(attribute, "missing");
		const struct ek_measure gini = ek_measure_of(ek_json_member(attribute, "skew"), "gini");

		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi>", attribute->string);
		if (ek_text_of(attribute, "note", NULL) != NULL)
			ek_html(h, " <small>%s</small>", ek_text_of(attribute, "note", ""));
		ek_html(h, "</th><td class=\"n\">%d</td>", cJSON_GetArraySize(ek_json_member(attribute, "values")));
		agreement_cell(h, attribute, "nmi");
		agreement_cell(h, attribute, "ari");
		agreement_cell(h, attribute, "purity");
		ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td><td class=\"n\" data-v=\"%.0f\">%s</td></tr>",
		        isfinite(gini.value) ? gini.value : -1, ek_decimal(gini.value, 2).s, missing > 0 ? missing : 0,
		        ek_count(missing > 0 ? (uint64_t)missing : 0).s);
	}
	ek_html(h, "</tbody></table></div>");
	ek_html(h, "<p class=\"note\">NMI and ARI are 1 when clusters and attribute are the same division and 0 when "
	           "they have nothing to do with each other. Purity is the share of images that have the commonest "
	           "value of their cluster; it rises with the number of clusters, so read it beside the others.</p>");
}

struct tail_value {
	const cJSON *row;
	const char *attribute;
	double ratio;
	size_t at;
};

static int more_in_the_tail(const void *a, const void *b)
{
	const struct tail_value *x = a, *y = b;

	if (x->ratio < y->ratio || x->ratio > y->ratio)
		return x->ratio < y->ratio ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

static int tail_values(struct ek_page *page)
{
	static const char *const names[] = {
		"Attribute", "Value", "#Of these in the tail", "#Interval", "#Of all in the tail", "#Times as many"
	};
	struct ek_html *h = &page->html;
	struct tail_value *found = NULL;
	const cJSON *attribute, *row;
	size_t room = 0, count = 0;
	int rc = 0;

	cJSON_ArrayForEach(attribute, attributes_of(page)) room +=
		(size_t)cJSON_GetArraySize(ek_json_member(attribute, "tail_values"));
	EK_TRY(ek_alloc(&found, room, sizeof *found));
	cJSON_ArrayForEach(attribute, attributes_of(page))
	{
		cJSON_ArrayForEach(row, ek_json_member(attribute, "tail_values"))
		{
			const double ratio = ek_number_of(row, "ratio");

			if (isfinite(ratio)) {
				found[count] = (struct tail_value){ row, attribute->string, ratio, count };
				count++;
			}
		}
	}
	if (count == 0)
		goto out;
	qsort(found, count, sizeof *found, more_in_the_tail);
	ek_page_table_head(h, "Values that live in the tail clusters: how many of their images are there", names, 6);
	for (size_t i = 0; i < count && i < TAIL_ROWS; i++) {
		const struct ek_measure tail = ek_measure_of(found[i].row, "tail_share");
		const struct ek_measure interval = ek_interval_of(found[i].row);
		const double all = ek_number_of(found[i].row, "share");

		ek_html(h, "<tr><td><bdi>%s</bdi></td><th scope=\"row\"><bdi>%s</bdi></th>", found[i].attribute,
		        ek_text_of(found[i].row, "value", "?"));
		ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td><td class=\"n\">%s</td>", tail.value,
		        ek_percent(tail.value).s,
		        interval.low <= interval.high ? ek_percent_range(interval.low, interval.high).s
		                                      : "\xe2\x80\x93");
		ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", all, ek_percent(all).s);
		ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td></tr>", found[i].ratio,
		        ek_decimal(found[i].ratio, 1).s);
	}
	ek_html(h, "</tbody></table></div>");
out:
	free(found);
	return rc;
}

struct column {
	double count;
	size_t value;
	const char *name;
};

static int commoner_first(const void *a, const void *b)
{
	const struct column *x = a, *y = b;

	if (x->count < y->count || x->count > y->count)
		return x->count < y->count ? 1 : -1;
	return (x->value > y->value) - (x->value < y->value);
}

static int in_order(const void *a, const void *b)
{
	const struct column *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* The values of an attribute, commonest first; a value that is no text is left out. */
static int columns_of(struct column **columns, size_t *count, const cJSON *attribute)
{
	const cJSON *value, *n = ek_json_member(attribute, "counts");
	const cJSON *values = ek_json_member(attribute, "values");
	int rc = 0;

	*count = 0;
	EK_TRY(ek_alloc(columns, (size_t)cJSON_GetArraySize(values), sizeof **columns));
	n = n != NULL ? n->child : NULL;
	cJSON_ArrayForEach(value, values)
	{
		(*columns)[*count] = (struct column){ cJSON_IsNumber(n) ? n->valuedouble : 0, *count,
			                              cJSON_IsString(value) ? value->valuestring : "?" };
		++*count;
		n = n != NULL ? n->next : NULL;
	}
	qsort(*columns, *count, sizeof **columns, commoner_first);
out:
	return rc;
}

static void heat_cell(struct ek_html *h, double part, double total)
{
	const double share = total > 0 ? part / total : 0;

	if (part > 0)
		ek_html(h, "<td class=\"h%d\" data-v=\"%.6g\" title=\"%s of %s\">%s</td>", (int)(share * 9.999), share,
		        ek_decimal(part, 0).s, ek_decimal(total, 0).s, ek_decimal(100 * share, 0).s);
	else
		ek_html(h, "<td class=\"h0\" data-v=\"0\"></td>");
}

/* counts: [values], scratch for one cluster's row */
static void heat_row(struct ek_page *page, const cJSON *attribute, uint32_t cluster, const struct column *columns,
                     size_t values, double *counts)
{
	const cJSON *row = cJSON_GetArrayItem(ek_json_member(attribute, "by_cluster"), (int)cluster), *n;
	struct ek_html *h = &page->html;
	double total = 0, rest = 0;
	size_t i = 0;

	for (i = 0; i < values; i++)
		counts[i] = 0;
	i = 0;
	cJSON_ArrayForEach(n, row)
	{
		if (i < values) {
			counts[i] = cJSON_IsNumber(n) ? n->valuedouble : 0;
			total += counts[i++];
		}
	}
	ek_html(h, "<tr%s><th scope=\"row\" data-v=\"%lu\">", page->clusters[cluster].tail ? " class=\"tail\"" : "",
	        (unsigned long)cluster);
	ek_page_cluster(page, cluster, "");
	ek_html(h, "</th>");
	for (i = 0; i < values; i++) {
		if (i < VALUES || values == VALUES + 1)
			heat_cell(h, counts[columns[i].value], total);
		else
			rest += counts[columns[i].value];
	}
	if (values > VALUES + 1)
		heat_cell(h, rest, total);
	ek_html(h, "</tr>");
}

static int heat_map(struct ek_page *page, const cJSON *attribute)
{
	struct ek_html *h = &page->html;
	struct column *columns = NULL;
	double *counts = NULL;
	size_t values = 0;
	int rc = 0;

	EK_TRY(columns_of(&columns, &values, attribute));
	EK_TRY(ek_alloc(&counts, values, sizeof *counts));
	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort heat\"><caption>Values of <bdi>%s</bdi> in each cluster, in "
	        "per cent of the cluster; smallest cluster first",
	        attribute->string);
	if (page->k > ROWS)
		ek_html(h, " (the %d smallest and the %d largest)", ROWS / 2, ROWS / 2);
	ek_html(h, "</caption><thead><tr><th scope=\"col\">Cluster</th>");
	for (size_t i = 0; i < values && (i < VALUES || values == VALUES + 1); i++)
		ek_html(h, "<th scope=\"col\"><bdi>%s</bdi></th>", columns[i].name);
	if (values > VALUES + 1)
		ek_html(h, "<th scope=\"col\">%zu others</th>", values - VALUES);
	ek_html(h, "</tr></thead><tbody>");
	for (size_t i = 0; i < page->k; i++)
		if (page->k <= ROWS || i < ROWS / 2 || i >= page->k - ROWS / 2)
			heat_row(page, attribute, page->descending[page->k - 1 - i], columns, values, counts);
	ek_html(h, "</tbody></table></div>");
out:
	free(columns);
	free(counts);
	return rc;
}

static void bar_row(struct ek_html *h, const cJSON *attribute, const struct column *value, double most)
{
	const struct ek_measure share =
		ek_interval_of(cJSON_GetArrayItem(ek_json_member(attribute, "shares"), (int)value->value));

	ek_html(h,
	        "<li><span><bdi>%s</bdi></span><svg viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
	        "aria-hidden=\"true\"><rect width=\"%.4g\" height=\"1\"/></svg><b>%s</b><small>%s",
	        value->name, most > 0 ? 100 * value->count / most : 0, ek_percent(share.value).s,
	        ek_count((uint64_t)value->count).s);
	if (share.low <= share.high)
		ek_html(h, ", %s", ek_percent_range(share.low, share.high).s);
	ek_html(h, "</small></li>");
}

/* The values of an attribute with their shares: numbers in their order, others the commonest first. */
static int histogram(struct ek_page *page, const cJSON *attribute)
{
	const double missing = ek_number_of(attribute, "missing");
	struct ek_html *h = &page->html;
	struct column *columns = NULL;
	size_t values = 0;
	double most = 0;
	int rc;

	EK_TRY(columns_of(&columns, &values, attribute));
	if (values > 0)
		most = columns[0].count;
	if (cJSON_IsTrue(ek_json_member(attribute, "ordered")) && values <= BARS)
		qsort(columns, values, sizeof *columns, in_order);
	ek_html(h, "<section class=\"shares\"><h3><bdi>%s</bdi></h3><p class=\"note\">%s", attribute->string,
	        ek_number_noun(values, "value").s);
	if (ek_text_of(attribute, "note", NULL) != NULL)
		ek_html(h, " (%s)", ek_text_of(attribute, "note", ""));
	ek_html(h, ", Gini %s", ek_decimal(ek_measure_of(ek_json_member(attribute, "skew"), "gini").value, 2).s);
	if (missing > 0)
		ek_html(h, "; %s without one", ek_number_noun((uint64_t)missing, "image").s);
	ek_html(h, "</p><ol class=\"bars\">");
	for (size_t i = 0; i < values; i++) {
		if (values > BARS && i == BARS / 2) {
			ek_html(h, "<li class=\"more\">%zu more</li>", values - BARS);
			i += values - BARS;
		}
		bar_row(h, attribute, &columns[i], most);
	}
	ek_html(h, "</ol></section>");
	rc = h->rc;
out:
	free(columns);
	return rc;
}

/* The rarest combination of each pair. */
static void pairs(struct ek_page *page)
{
	static const char *const names[] = { "Together", "Rarest combination", "#Images", "#Share", "#If independent" };
	struct ek_html *h = &page->html;
	const cJSON *pair;
	int shown = 0;

	if (cJSON_GetArraySize(ek_json_member(page->audit, "pairs")) == 0)
		return;
	ek_page_table_head(h, "Which combinations are rare", names, 5);
	cJSON_ArrayForEach(pair, ek_json_member(page->audit, "pairs"))
	{
		const cJSON *both = ek_json_member(pair, "attributes"), *rare;
		int of_pair = 0;

		if (shown++ == PAIRS)
			break;
		cJSON_ArrayForEach(rare, ek_json_member(pair, "rarest"))
		{
			const cJSON *values = ek_json_member(rare, "values");
			const double count = ek_number_of(rare, "count"), expected = ek_number_of(rare, "expected");
			const char *texts[] = { cJSON_GetStringValue(cJSON_GetArrayItem(both, 0)),
				                cJSON_GetStringValue(cJSON_GetArrayItem(both, 1)),
				                cJSON_GetStringValue(cJSON_GetArrayItem(values, 0)),
				                cJSON_GetStringValue(cJSON_GetArrayItem(values, 1)) };

			if (of_pair++ == RAREST)
				break;
			for (size_t i = 0; i < 4; i++)
				texts[i] = texts[i] != NULL ? texts[i] : "?";
			ek_html(h,
			        "<tr><td><bdi>%s</bdi> × <bdi>%s</bdi></td><th scope=\"row\"><bdi>%s</bdi> × "
			        "<bdi>%s</bdi></th>",
			        texts[0], texts[1], texts[2], texts[3]);
			ek_html(h,
			        "<td class=\"n\" data-v=\"%.0f\">%s</td><td class=\"n\">%s</td><td "
			        "class=\"n\">%s</td></tr>",
			        count > 0 ? count : 0, ek_count(count > 0 ? (uint64_t)count : 0).s,
			        ek_percent(ek_measure_of(rare, "share").value).s, ek_decimal(expected, 0).s);
		}
	}
	ek_html(h, "</tbody></table></div>");
}

int ek_chapter_attributes(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	const cJSON *attribute;
	int shown = 0, rc = 0;

	ek_html(h, "<p class=\"intro\">How many images have which value, of what is known about them.</p>"
	           "<div class=\"histograms\">");
	cJSON_ArrayForEach(attribute, attributes_of(page))
	{
		if (shown++ == HISTOGRAMS)
			break;
		EK_TRY(histogram(page, attribute));
	}
	shown = 0;
	ek_html(h, "</div>");
	pairs(page);
	ek_html(h, "<h3>Against the clusters</h3><p class=\"intro\">What the data set says about its images was not "
	           "used for the sorting. Set against the clusters it shows whom the small ones are made of.</p>");
	EK_TRY(tail_values(page));
	agreement(page);
	cJSON_ArrayForEach(attribute, attributes_of(page))
	{
		if (shown++ >= OPEN_TABLES)
			ek_html(h, "<details><summary><bdi>%s</bdi></summary>", attribute->string);
		EK_TRY(heat_map(page, attribute));
		if (shown > OPEN_TABLES)
			ek_html(h, "</details>");
	}
	rc = h->rc;
out:
	return rc;
}
