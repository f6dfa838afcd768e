/* What was done about the skew: subsets, and what each of them takes from whom. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/svg.h"

enum {
	ROWS = 60,       /* clusters of a table; of more, the smallest and the largest */
	ROWS_OPEN = 30,  /* a longer table opens on demand */
	VALUES = 30,     /* values of an attribute; of more, those that lose most */
	OPEN_TABLES = 3, /* attributes shown at once */
};
/* The four-fifths rule: a hint to look, not a verdict. */
static const double four_fifths = 0.8;

/* A method of prune or a rule of balance, as it ends "kept are ...". */
static const struct {
	const char *method, *words;
} rules[] = {
	{ "furthest", "the ones furthest from the centre of their cluster" },
	{ "nearest", "the ones nearest to the centre of their cluster" },
	{ "middle", "the ones at middle distance from the centre of their cluster" },
	{ "random", "any, drawn by lot" },
	{ "random-within", "the same part of every cluster, drawn by lot" },
	{ "semdedup", "the ones least like an image before them" },
	{ "ssp-hard", "the ones least like the centre of their cluster, with a floor for each" },
	{ "ssp-easy", "the ones most like the centre of their cluster, with a floor for each" },
	{ "d4", "one of each group of near copies, then the ones least like the centre of their cluster" },
	{ "density", "more of the clusters whose images differ most" },
	{ "k-centre", "the ones that leave no image far from a kept one" },
	{ "herding", "the ones whose mean follows the mean of all" },
};

static const cJSON *options_of(const struct ek_subset_plan *plan)
{
	return ek_json_member(plan->json, "options");
}

const char *ek_plan_method_words(const char *method)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strcmp(method, rules[i].method) == 0)
			return rules[i].words;
	return NULL;
}

static void rule_words(struct ek_html *h, const char *method)
{
	const char *words = ek_plan_method_words(method);

	if (words != NULL)
		ek_html(h, "%s", words);
	else if (strncmp(method, "score", 5) == 0 || strcmp(method, "leverage") == 0)
		ek_html(h, "the ones with the %s of a score (%s)", "right end", method);
	else
		ek_html(h, "the ones the method <q>%s</q> chooses", method);
}

static struct ek_words pruning_ratio(double keep)
{
	return ek_percent(keep < 1 ? 1 - keep : 0);
}

static void balance_words(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const cJSON *options = options_of(plan);
	const char *method = ek_text_of(plan->json, "method", ""), *by = ek_text_of(options, "by", "cluster");
	const double floor_size = ek_number_of(options, "min_cluster"), most = ek_number_of(options, "max_repeat");
	struct ek_html *h = &page->html;

	if (strcmp(method, "smallest") == 0)
		ek_html(h, "Every %s was cut to the size of the smallest one", by);
	else if (strcmp(method, "target") == 0)
		ek_html(h, "Every %s was brought to the share that a file asks for", by);
	else
		ek_html(h, "The same number of images was taken of every %s as far as it goes", by);
	if (floor_size > 0)
		ek_html(h, "; those of fewer than %s are left whole and do not set the size",
		        ek_number_noun(ek_whole(floor_size), "image").s);
	if (most > 1)
		ek_html(h, "; an image may stand in the list up to %s times", ek_decimal(most, 0).s);
	ek_html(h, ". Kept are ");
	rule_words(h, ek_text_of(options, "rule", "random"));
	ek_html(h, ".");
}

void ek_page_plan_units(struct ek_html *h, const cJSON *json, double images, const char *what_becomes)
{
	const double unscored = ek_json_number(json, "without_score");
	const double without = ek_number_of(json, "without_value") - unscored;
	const char *by = ek_text_of(json, "by", "cluster");

	if (unscored > 0)
		ek_html(h, "<p class=\"warning\"><b>%s of %s %s no score</b> and %s %s.</p>", ek_decimal(unscored, 0).s,
		        ek_number_noun(ek_whole(images), "image").s, unscored > 1 ? "have" : "has",
		        unscored > 1 ? "are" : "is", what_becomes);
	if (without > 0)
		ek_html(h, "<p class=\"warning\"><b>%s of %s %s no value of <bdi>%s</bdi></b> and %s %s.</p>",
		        ek_decimal(without, 0).s, ek_number_noun(ek_whole(images), "image").s,
		        without > 1 ? "have" : "has", by, without > 1 ? "are" : "is", what_becomes);
	if (cJSON_IsTrue(ek_json_member(json, "changes_little")))
		ek_html(h,
		        "<p class=\"warning\"><b>The shares of <bdi>%s</bdi> change next to nothing</b>: by %s in "
		        "all.</p>",
		        by, ek_percent(ek_number_of(json, "moved")).s);
}

static void what_was_done(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const double before = ek_number_of(plan->json, "images_before"),
		     after = ek_number_of(plan->json, "images_after");
	const double distinct = ek_number_of(plan->json, "distinct_after");
	struct ek_html *h = &page->html;

	ek_html(h, "<p>");
	if (strcmp(ek_text_of(plan->json, "command", ""), "balance") == 0) {
		balance_words(page, plan);
	} else {
		ek_html(h, "A part of the images was kept: ");
		rule_words(h, ek_text_of(plan->json, "method", "?"));
		ek_html(h, ".");
	}
	ek_html(h, " <b>%s of %s images</b> are left", ek_decimal(distinct >= 0 ? distinct : after, 0).s,
	        ek_decimal(before, 0).s);
	if (before > 0)
		ek_html(h, " (kept %s, pruning ratio %s)", ek_percent((distinct >= 0 ? distinct : after) / before).s,
		        pruning_ratio((distinct >= 0 ? distinct : after) / before).s);
	if (after > distinct)
		ek_html(h, "; with repeats the list has %s, and no image stands in it more than %s times",
		        ek_decimal(after, 0).s, ek_decimal(ek_number_of(plan->json, "largest_repeat"), 0).s);
	ek_html(h, ".</p>");
	ek_page_plan_units(h, plan->json, before, "left out");
}

/* Shares of the images, before and after, in the clusters of the tail. */
static void tail_shares(double *before, double *after, const struct ek_page *page, const struct ek_subset_plan *plan)
{
	double all[2] = { 0, 0 }, tail[2] = { 0, 0 };

	for (size_t c = 0; c < page->k; c++) {
		all[0] += plan->clusters[c].before;
		all[1] += plan->clusters[c].after;
		if (page->clusters[c].tail) {
			tail[0] += plan->clusters[c].before;
			tail[1] += plan->clusters[c].after;
		}
	}
	*before = all[0] > 0 ? tail[0] / all[0] : 0;
	*after = all[1] > 0 ? tail[1] / all[1] : 0;
}

static double skew_of(const cJSON *json, const char *when, const char *name)
{
	return ek_number_of(ek_json_member(json, when), name);
}

static double effective_of(const cJSON *json, const char *when)
{
	return ek_number_of(ek_json_member(ek_json_member(json, when), "effective_clusters"), "d1");
}

static void what_it_changed(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const double gini[2] = { skew_of(plan->json, "skew_before", "gini"),
		                 skew_of(plan->json, "skew_after", "gini") };
	const double effective[2] = { effective_of(plan->json, "skew_before"), effective_of(plan->json, "skew_after") };
	const size_t tail = ek_page_tail_count(page);
	struct ek_html *h = &page->html;
	double before, after;

	ek_html(h, "<p>");
	if (isfinite(gini[0]) && isfinite(gini[1])) {
		const int same = fabs(gini[1] - gini[0]) < 0.005;

		ek_html(h, same                ? "The skew is as it was"
		           : gini[1] < gini[0] ? "The skew became less"
		                               : "The skew <b>became greater</b>");
		ek_html(h, ": the Gini coefficient of the clusters, 0 when all are equal, %s ",
		        same ? "is" : "went from");
		if (same)
			ek_html(h, "<b>%s</b>", ek_decimal(gini[1], 2).s);
		else
			ek_html(h, "%s to <b>%s</b>", ek_decimal(gini[0], 2).s, ek_decimal(gini[1], 2).s);
		if (isfinite(effective[0]) && isfinite(effective[1]))
			ek_html(h, ", and the images are spread as over %s equal clusters, before over %s",
			        ek_decimal(effective[1], 1).s, ek_decimal(effective[0], 1).s);
		ek_html(h, ". ");
	}
	if (plan->clusters == NULL) {
		ek_html(h,
		        "<b>It was made from other clusters than the run has now</b>, so they cannot be compared one "
		        "by one: make it again.</p>");
		return;
	}
	tail_shares(&before, &after, page, plan);
	if (tail > 0)
		ek_html(h, "The %s of the tail held %s of the images and now %s %s.", ek_number_noun(tail, "cluster").s,
		        ek_percent(before).s, tail == 1 ? "holds" : "hold", ek_percent(after).s);
	ek_html(h, "</p>");
}

/* A value, or a cluster by its number. */
static void one_of(struct ek_page *page, const cJSON *one)
{
	const double number = cJSON_GetNumberValue(one);

	if (cJSON_IsString(one))
		ek_html(&page->html, "<bdi>%s</bdi>", one->valuestring);
	else if (number >= 0 && number < (double)page->k)
		ek_page_cluster(page, (uint64_t)number, "cluster ");
	else
		ek_html(&page->html, "%s", ek_decimal(number, 0).s);
}

/* The least kept part over the largest, with the hint. `impact`: "disparate_impact". */
static void impact_words(struct ek_page *page, const cJSON *impact, const char *of)
{
	const double ratio = ek_number_of(impact, "value");
	struct ek_html *h = &page->html;

	if (!isfinite(ratio))
		return;
	ek_html(h, "Of the %s that loses most (", of);
	one_of(page, ek_json_member(impact, "lowest"));
	ek_html(h, ") the part kept is %s of that of the one that loses least (", ek_percent(ratio).s);
	one_of(page, ek_json_member(impact, "highest"));
	ek_html(h, ")%s ",
	        ratio < four_fifths ? ": below the 80\xe2\x80\xaf% at which one should look whether that is meant."
	                            : ", within the 80\xe2\x80\xaf% of the four-fifths rule.");
}

static double kept_part(const struct ek_plan_unit *u)
{
	return u->before > 0 ? u->after / u->before : (double)NAN;
}

static double best_kept(const struct ek_plan_unit *units, size_t count)
{
	double best = 0;

	for (size_t i = 0; i < count; i++)
		best = kept_part(&units[i]) > best ? kept_part(&units[i]) : best;
	return best;
}

struct scale {
	double before, after, full; /* images before and after; the largest share of either */
	double best;                /* the largest part kept */
	double removed;             /* of all */
};

static struct scale scale_of(const struct ek_plan_unit *units, size_t count)
{
	struct scale s = { .best = best_kept(units, count) };
	double removed = 0;

	for (size_t i = 0; i < count; i++) {
		s.before += units[i].before;
		s.after += units[i].after;
		removed += isfinite(units[i].removed) ? units[i].removed * units[i].before : 0;
	}
	for (size_t i = 0; i < count; i++)
		s.full = fmax(s.full, fmax(s.before > 0 ? units[i].before / s.before : 0,
		                           s.after > 0 ? units[i].after / s.after : 0));
	s.removed = s.before > 0 ? removed / s.before : 0;
	return s;
}

/* The cells behind the name of a cluster or value. even: the line of an even share, or NaN. */
static void unit_cells(struct ek_html *h, const struct ek_plan_unit *u, const struct scale *s, double even)
{
	const double before = s->before > 0 ? u->before / s->before : 0, after = s->after > 0 ? u->after / s->after : 0;
	const double part = s->best > 0 ? kept_part(u) / s->best : (double)NAN;

	ek_html(h, "<td class=\"chart\" data-v=\"%.9g\">", after);
	ek_svg_pair(h, before, after, even, s->full);
	ek_html(h, "</td><td class=\"n wide\" data-v=\"%.9g\">%s</td>", before, ek_percent(before).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", after, ek_percent(after).s);
	ek_html(h, "<td class=\"n wide\" data-v=\"%.0f\">%s</td><td class=\"n wide\" data-v=\"%.0f\">%s</td>",
	        u->before, ek_decimal(u->before, 0).s, u->after, ek_decimal(u->after, 0).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", u->removed >= 0 ? u->removed : -1,
	        u->removed >= 0 ? ek_percent(u->removed).s : "\xe2\x80\x93");
	ek_html(h, "<td class=\"n wide\" data-v=\"%.9g\">%s</td>", u->low >= 0 ? u->low : -1,
	        u->low <= u->high ? ek_percent_range(u->low, u->high).s : "\xe2\x80\x93");
	ek_html(h, "<td class=\"n wide\" data-v=\"%.9g\">", part >= 0 ? part : -1);
	ek_html(h, part < four_fifths ? "<span class=\"tag\">low</span> " : "");
	ek_html(h, "%s</td></tr>", part >= 0 ? ek_percent_whole(part).s : "\xe2\x80\x93");
}

static void unit_head(struct ek_html *h, const char *what)
{
	static const char *const names[] = { "Before",   "#After",   "Images",           "Left",
		                             "#Removed", "Interval", "Kept, of the best" };

	ek_html(h, "<thead><tr><th scope=\"col\">%s</th><th scope=\"col\">Share</th>", what);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ek_html(h,
		        names[i][0] == '#' ? "<th scope=\"col\" class=\"n\">%s</th>"
		                           : "<th scope=\"col\" class=\"n wide\">%s</th>",
		        names[i] + (names[i][0] == '#'));
	ek_html(h, "</tr></thead><tbody>");
}

static void table_note(struct ek_html *h)
{
	ek_html(h,
	        "<p class=\"note\">Bars: share of the images <span class=\"swatch before\">before</span> and <span "
	        "class=\"swatch after\">after</span>; the dashed line is an even share. <b>Removed</b> is the part "
	        "of the images that is no longer there, with its 95\xe2\x80\xaf%% interval. <b>low</b>: the part kept "
	        "is below 80\xe2\x80\xaf%% of that of the best kept, the limit of the four-fifths rule.</p>");
}

static void cluster_table(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const struct scale s = scale_of(plan->clusters, page->k);
	const int folded = page->k > ROWS_OPEN;
	struct ek_html *h = &page->html;

	ek_html(h, folded ? "<details><summary>Table of the clusters</summary>" : "");
	table_note(h);
	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort sizes plan\"><caption>Clusters, smallest first; of all "
	        "images %s were removed</caption>",
	        ek_percent(s.removed).s);
	unit_head(h, "Cluster");
	for (size_t i = 0; ek_page_shown_of(page, i, ROWS) >= 0; i++) {
		const size_t cluster = (size_t)ek_page_shown_of(page, i, ROWS);

		ek_html(h, "<tr%s><th scope=\"row\" data-v=\"%zu\">",
		        page->clusters[cluster].tail ? " class=\"tail\"" : "", cluster);
		ek_page_cluster(page, cluster, "");
		ek_html(h, "</th>");
		unit_cells(h, &plan->clusters[cluster], &s, 1 / (double)page->k);
	}
	ek_html(h, "</tbody></table></div>");
	if (page->k > ROWS)
		ek_html(h, "<p class=\"note\">The smallest and the largest of %s clusters; all are in subset.json.</p>",
		        ek_count(page->k).s);
	ek_html(h, folded ? "</details>" : "");
}

/* An attribute's values with their place in the document, those that lose most first. */
struct ranked_value {
	struct ek_plan_unit unit;
	size_t at;
};

static int loses_more(const void *a, const void *b)
{
	const struct ranked_value *x = a, *y = b;
	const double p = isfinite(x->unit.removed) ? x->unit.removed : -1;
	const double q = isfinite(y->unit.removed) ? y->unit.removed : -1;

	if (p < q || p > q)
		return p < q ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

/* By an attribute, or by group. */
static int attribute_table(struct ek_page *page, const cJSON *attribute, int groups)
{
	const cJSON *values = ek_json_member(attribute, "values"), *row;
	const cJSON *impact = ek_json_member(attribute, "disparate_impact");
	const double before = skew_of(attribute, "skew_before", "normalised_entropy");
	const double after = skew_of(attribute, "skew_after", "normalised_entropy");
	const size_t count = cJSON_IsArray(values) ? (size_t)cJSON_GetArraySize(values) : 0;
	struct ranked_value *ranked = NULL;
	struct ek_plan_unit *units = NULL;
	struct ek_html *h = &page->html;
	struct scale s;
	size_t i = 0;
	int rc = 0;

	EK_TRY(ek_alloc(&ranked, count, sizeof *ranked));
	EK_TRY(ek_alloc(&units, count, sizeof *units));
	cJSON_ArrayForEach(row, values)
	{
		units[i] = ek_plan_unit_of(row);
		ranked[i] = (struct ranked_value){ units[i], i };
		i++;
	}
	s = scale_of(units, count);
	qsort(ranked, count, sizeof *ranked, loses_more);
	ek_html(h, "<p>");
	impact_words(page, impact, groups ? "group" : "value");
	if (isfinite(before) && isfinite(after))
		ek_html(h, "Evenness (normalised entropy, 1 when all values are equal): %s before, %s after.",
		        ek_decimal(before, 3).s, ek_decimal(after, 3).s);
	ek_html(h,
	        "</p><div class=\"scroll\"><table class=\"sort sizes plan\"><caption><bdi>%s</bdi>, what loses most "
	        "first</caption>",
	        groups ? "Groups" : attribute->string);
	unit_head(h, groups ? "Group" : "Value");
	for (i = 0; i < count && i < VALUES; i++) {
		const char *value = ranked[i].unit.value != NULL ? ranked[i].unit.value : "?";

		ek_html(h, "<tr><th scope=\"row\">");
		if (groups)
			ek_page_group(page, value);
		else
			ek_html(h, "<bdi>%s</bdi>", value);
		ek_html(h, "</th>");
		unit_cells(h, &ranked[i].unit, &s, (double)NAN);
	}
	ek_html(h, "</tbody></table></div>");
	if (count > VALUES)
		ek_html(h, "<p class=\"note\">%s more values are in subset.json.</p>", ek_count(count - VALUES).s);
	rc = h->rc;
out:
	free(ranked);
	free(units);
	return rc;
}

static int attribute_tables(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const cJSON *attributes = ek_json_member(plan->json, "per_attribute"), *attribute;
	const cJSON *groups = ek_json_member(plan->json, "per_group");
	struct ek_html *h = &page->html;
	int shown = 0, rc = 0;

	if (cJSON_GetArraySize(attributes) == 0 && groups == NULL)
		return 0;
	ek_html(h, "<h4>From whom it takes</h4>");
	if (groups != NULL)
		EK_TRY(attribute_table(page, groups, 1));
	cJSON_ArrayForEach(attribute, ek_json_object(attributes))
	{
		if (shown++ == OPEN_TABLES)
			ek_html(h, "<details><summary>The other attributes</summary>");
		EK_TRY(attribute_table(page, attribute, 0));
	}
	ek_html(h, shown > OPEN_TABLES ? "</details>" : "");
out:
	return rc;
}

static void drawn(struct ek_page *page, const struct ek_subset_plan *plan, size_t cluster, int removed, double images)
{
	size_t count;
	const uint64_t *ids = ek_plans_drawn(plan, cluster, removed, &count);
	struct ek_html *h = &page->html;

	if (count == 0)
		return;
	ek_html(h, "<figure class=\"row\"><figcaption>%s: %s</figcaption><div class=\"pictures\">",
	        removed ? "Removed" : "Kept", ek_decimal(images, 0).s);
	for (size_t i = 0; i < count; i++)
		ek_page_picture(page, ids[i]);
	ek_html(h, "</div></figure>");
}

static void pictures(struct ek_page *page, const struct ek_subset_plan *plan)
{
	struct ek_html *h = &page->html;

	if (plan->ids == NULL)
		return;
	ek_html(h,
	        "<details open><summary>Kept and removed images</summary><p class=\"note\">Drawn by lot from %s, the "
	        "smallest first.</p><div class=\"cards\">",
	        page->plan_clusters < page->k ? "the smallest clusters" : "every cluster");
	for (size_t i = 0; i < page->plan_clusters; i++) {
		const size_t cluster = (size_t)ek_page_shown_of(page, i, page->k);
		const struct ek_plan_unit *u = &plan->clusters[cluster];
		const double removed = isfinite(u->removed) ? round(u->removed * u->before) : 0;

		if (!(u->before > 0))
			continue;
		ek_html(h, "<div class=\"card%s\"><h4>", page->clusters[cluster].tail ? " tail" : "");
		ek_page_cluster(page, cluster, "Cluster ");
		ek_html(h, "</h4>");
		drawn(page, plan, cluster, 0, u->before - removed);
		drawn(page, plan, cluster, 1, removed);
		ek_html(h, "</div>");
	}
	ek_html(h, "</div></details>");
}

static void comparison_row(struct ek_page *page, const struct ek_subset_plan *plan, int is_baseline)
{
	const double after = ek_number_of(plan->json, "images_after");
	const double gini = skew_of(plan->json, "skew_after", "gini"),
		     effective = effective_of(plan->json, "skew_after");
	const double impact = ek_number_of(ek_json_member(plan->json, "disparate_impact"), "value");
	struct ek_html *h = &page->html;

	ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi>", plan->name);
	ek_html(h, is_baseline ? " <small>baseline</small>" : "");
	ek_html(h, "</th><td>%s <bdi>%s</bdi></td>", ek_text_of(plan->json, "command", ""),
	        ek_text_of(plan->json, "method", ""));
	ek_html(h, "<td class=\"n\" data-v=\"%.0f\">%s</td>", after > 0 ? after : 0, ek_decimal(after, 0).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", isfinite(gini) ? gini : -1, ek_decimal(gini, 3).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>", isfinite(effective) ? effective : -1,
	        ek_decimal(effective, 1).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td></tr>", isfinite(impact) ? impact : -1,
	        isfinite(impact) ? ek_percent_whole(impact).s : "\xe2\x80\x93");
}

/* All subsets, each with its baselines below it. */
static void comparison(struct ek_page *page)
{
	static const char *const names[] = { "Subset",
		                             "Made by",
		                             "#Images",
		                             "#Gini of the clusters",
		                             "#Effective clusters",
		                             "#Least kept, of the best" };
	const struct ek_plans *plans = &page->plans;
	struct ek_html *h = &page->html;

	ek_page_table_head(h, "All subsets, with the skew that is left", names, 6);
	if (plans->subset_count > 0 && isfinite(skew_of(plans->subsets[0].json, "skew_before", "gini")))
		ek_html(h,
		        "<tr><th scope=\"row\">as it was</th><td></td><td class=\"n\" data-v=\"%.0f\">%s</td><td "
		        "class=\"n\" data-v=\"%.9g\">%s</td><td class=\"n\" data-v=\"%.9g\">%s</td><td class=\"n\" "
		        "data-v=\"1\">100\xe2\x80\xaf%%</td></tr>",
		        ek_number_of(plans->subsets[0].json, "images_before"),
		        ek_decimal(ek_number_of(plans->subsets[0].json, "images_before"), 0).s,
		        skew_of(plans->subsets[0].json, "skew_before", "gini"),
		        ek_decimal(skew_of(plans->subsets[0].json, "skew_before", "gini"), 3).s,
		        effective_of(plans->subsets[0].json, "skew_before"),
		        ek_decimal(effective_of(plans->subsets[0].json, "skew_before"), 1).s);
	for (size_t i = 0; i < plans->subset_count; i++) {
		const struct ek_subset_plan *plan = &plans->subsets[i];
		const cJSON *name;

		if (plan->is_baseline)
			continue;
		comparison_row(page, plan, 0);
		cJSON_ArrayForEach(name, ek_json_member(plan->json, "baselines"))
		{
			const struct ek_subset_plan *baseline =
				cJSON_IsString(name) ? ek_plans_find(plans, name->valuestring) : NULL;

			if (baseline != NULL)
				comparison_row(page, baseline, 1);
		}
	}
	ek_html(h, "</tbody></table></div>");
}

static void baselines(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const cJSON *names = ek_json_member(plan->json, "baselines"), *name;
	struct ek_html *h = &page->html;
	int count = 0;

	cJSON_ArrayForEach(name, names)
	{
		if (!cJSON_IsString(name))
			continue;
		ek_html(h, count++ == 0 ? "<p>Its baselines, of the same size, to measure it against: " : ", ");
		ek_html(h, "<bdi>%s</bdi>", name->valuestring);
	}
	ek_html(h, count > 0 ? " (in the table above).</p>" : "");
}

static int subset(struct ek_page *page, const struct ek_subset_plan *plan)
{
	const cJSON *impact = ek_json_member(plan->json, "disparate_impact");
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<h3>Subset <bdi>%s</bdi></h3>", plan->name);
	what_was_done(page, plan);
	what_it_changed(page, plan);
	if (plan->clusters != NULL) {
		ek_html(h, "<p>");
		impact_words(page, impact, "cluster");
		ek_html(h, "%s</p>",
		        strcmp(ek_text_of(plan->json, "command", ""), "balance") == 0 && cJSON_IsObject(impact)
		                ? "Evening out takes from the large clusters on purpose; below, by attribute, stands "
		                  "whether it takes from people or things that were rare already."
		                : "");
		cluster_table(page, plan);
	}
	EK_TRY(attribute_tables(page, plan));
	pictures(page, plan);
	baselines(page, plan);
	rc = h->rc;
out:
	return rc;
}

int ek_chapter_plan(struct ek_page *page)
{
	const struct ek_plans *plans = &page->plans;
	struct ek_html *h = &page->html;
	size_t shown = 0;
	int rc = 0;

	ek_html(h,
	        "<p class=\"intro\">What was done about the skew. A <b>subset</b> is a list of the images to keep; a "
	        "<b>sampler</b> keeps all of them and says how often each is shown. No image was changed or "
	        "deleted.</p>");
	if (plans->subset_count > 0)
		comparison(page);
	for (size_t i = 0; i < plans->subset_count; i++)
		if (!plans->subsets[i].is_baseline && shown++ < EK_PAGE_PLANS)
			EK_TRY(subset(page, &plans->subsets[i]));
	if (shown > EK_PAGE_PLANS)
		ek_html(h,
		        "<p class=\"note\">The first %d subsets are told of in full; the others only in the table "
		        "above.</p>",
		        EK_PAGE_PLANS);
	EK_TRY(ek_chapter_plan_weights(page));
	rc = h->rc;
out:
	return rc;
}
