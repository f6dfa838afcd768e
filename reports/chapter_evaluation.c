/* How good the generated images are, whom they cover, and whether they are copies. */
#include "reports/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/measures.h"

#define DASH "\xe2\x80\x93"

static const cJSON *generated_of(const struct ek_evaluation *e)
{
	return ek_json_member(e->json, "generated");
}

static const char *metric_of(const struct ek_evaluation *e)
{
	return ek_text_of(e->json, "metric",
	                  "Fr\xc3\xa9"
	                  "chet distance");
}

static double images_of(const struct ek_evaluation *e)
{
	return ek_number_of(generated_of(e), "images");
}

static double worst_coverage(const struct ek_evaluation *e)
{
	return ek_measure_of(e->json, "coverage_worst").value;
}

static double copies_share(const struct ek_evaluation *e)
{
	return ek_measure_of(ek_json_member(e->json, "memorisation"), "copies_share").value;
}

static void learned_from(struct ek_html *h, const struct ek_evaluation_plan *plan)
{
	if (plan->is_natural) {
		ek_html(h, "all images as they come");
		return;
	}
	if (plan->subset != NULL)
		ek_html(h, "subset <bdi>%s</bdi>", plan->subset);
	if (plan->weights != NULL)
		ek_html(h, "%ssampler <bdi>%s</bdi>", plan->subset != NULL ? ", " : "", plan->weights);
	if (plan->subset == NULL && plan->weights == NULL)
		ek_html(h, DASH);
}

static void table(struct ek_page *page)
{
	static const char *const names[] = {
		"Evaluation", "Learned from",          "##Images",    "#FD",
		"#Coverage",  "#Of the worst cluster", "##Precision", "##Possible copies"
	};
	struct ek_html *h = &page->html;

	ek_page_table_head(h,
	                   "All evaluations; distances (FD) of the same encoder and number of images can be compared",
	                   names, sizeof names / sizeof *names);
	for (size_t i = 0; i < page->evaluations.count; i++) {
		const struct ek_evaluation *e = &page->evaluations.items[i];
		const struct ek_evaluation_plan plan = ek_evaluation_plan_of(page, e);
		const double fd = ek_measure_of(e->json, "frechet_distance").value;
		const double coverage = ek_measure_of(e->json, "coverage").value;
		const double precision = ek_measure_of(e->json, "precision").value;

		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi>%s</th><td>", e->name,
		        e->stale != NULL ? " (stale)" : "");
		learned_from(h, &plan);
		ek_html(h, "</td>");
		ek_page_number(h, images_of(e), ek_decimal(images_of(e), 0), 1);
		ek_page_number(h, fd, ek_figure(fd), 0);
		ek_page_number(h, coverage, ek_percent(coverage), 0);
		ek_page_number(h, worst_coverage(e), ek_percent(worst_coverage(e)), 0);
		ek_page_number(h, precision, ek_percent(precision), 1);
		ek_page_number(h, copies_share(e), ek_percent(copies_share(e)), 1);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
}

/* The clusters that get at least half of what they should. */
static void mass_words(struct ek_page *page, const struct ek_evaluation *e)
{
	const double mass = ek_measure_of(e->json, "mass_coverage").value;
	size_t clusters = page->k, made = 0;

	if (e->rows == NULL || !isfinite(mass))
		return;
	for (size_t c = 0; c < page->k; c++)
		made += ek_measure_of(e->rows[c], "ratio").value >= 0.5;
	ek_html(&page->html, "%s of %s clusters appear%s at least half as often as %s should. ", ek_count(made).s,
	        ek_count(clusters).s, made == 1 ? "s" : "", made == 1 ? "it" : "they");
}

static void headline(struct ek_page *page, const struct ek_evaluation *e)
{
	const double coverage = ek_measure_of(e->json, "coverage").value, copies = copies_share(e);
	const double expected = ek_measure_of(e->json, "coverage_expected").value;
	const cJSON *worst = ek_json_member(e->json, "worst_cluster");
	const double cluster = ek_number_of(worst, "cluster"), value = ek_number_of(worst, "value");
	struct ek_html *h = &page->html;

	ek_html(h, "<p class=\"lead\">");
	if (isfinite(coverage)) {
		ek_html(h, "<b>%s of the real images have a generated one near them</b>", ek_percent_whole(coverage).s);
		if (isfinite(expected))
			ek_html(h, "; fresh real images would reach %s", ek_percent_whole(expected).s);
		ek_html(h, ". ");
	}
	mass_words(page, e);
	if (cluster >= 0 && cluster < (double)page->k && e->rows != NULL && isfinite(value)) {
		ek_html(h, "Worst off is ");
		ek_page_cluster(page, (uint64_t)cluster, "cluster ");
		if (strcmp(ek_text_of(worst, "by", ""), "ratio") == 0 && value <= 0)
			ek_html(h, ", of which none was made. ");
		else if (strcmp(ek_text_of(worst, "by", ""), "ratio") == 0)
			ek_html(h, ", made %s times as often as it should be. ", ek_decimal(value, 2).s);
		else
			ek_html(h, ", where it is %s. ", ek_percent_whole(value).s);
	}
	if (isfinite(copies))
		ek_html(h, "%s of the generated images may be copies of training images.",
		        copies > 0 ? ek_percent(copies).s : "None");
	ek_html(h, "</p>");
}

static const char *reference_words(const struct ek_evaluation *e)
{
	const char *what = ek_text_of(ek_json_member(e->json, "reference"), "what", "");

	return strcmp(what, "held_out") == 0   ? "held-out image"
	       : strcmp(what, "training") == 0 ? "training image"
	                                       : "reference image";
}

void ek_page_computed_from(struct ek_html *h, const struct ek_evaluation *e)
{
	const cJSON *encoder = ek_json_member(e->json, "encoder");

	ek_html(h, "%s generated against %s; encoder %s", ek_decimal(images_of(e), 0).s,
	        ek_number_noun(ek_whole(ek_number_of(ek_json_member(e->json, "reference"), "images")),
	                       reference_words(e))
	                .s,
	        ek_text_of(encoder, "name", DASH));
	if (isfinite(ek_number_of(encoder, "dimensions")))
		ek_html(h, " (%s numbers an image)", ek_decimal(ek_number_of(encoder, "dimensions"), 0).s);
	ek_html(h, "; k %s; seed %s", ek_decimal(ek_number_of(e->json, "k"), 0).s,
	        ek_decimal(ek_number_of(e->json, "seed"), 0).s);
}

static void warning(struct ek_html *h, const struct ek_evaluation *e)
{
	const char *text = ek_text_of(ek_json_member(e->json, "reference"), "warning", NULL);

	if (e->stale != NULL)
		ek_html(h,
		        "<p class=\"warning\"><b>Stale</b>: %s. These numbers are of what was there before; "
		        "<code>evenkeel evaluate</code> makes them again.</p>",
		        e->stale);
	if (text != NULL)
		ek_html(h, "<p class=\"warning\"><b>Take care</b>: %s.</p>", text);
}

static void what_was_compared(struct ek_page *page, const struct ek_evaluation *e)
{
	const struct ek_evaluation_plan plan = ek_evaluation_plan_of(page, e);
	const cJSON *path = ek_json_member(generated_of(e), "path"), *name;
	struct ek_html *h = &page->html;
	int count = 0;

	ek_html(h, "<p>");
	if (plan.model != NULL) {
		ek_html(h, "The generator <bdi>%s</bdi> learned from ", plan.model);
		learned_from(h, &plan);
		ek_html(h, ". ");
	}
	cJSON_ArrayForEach(name, ek_json_member(generated_of(e), "samples"))
	{
		if (cJSON_IsString(name))
			ek_html(h, "%s<bdi>%s</bdi>", count++ == 0 ? "Its images: " : ", ", name->valuestring);
	}
	if (cJSON_IsString(path))
		ek_html(h, "The images: <bdi>%s</bdi>", path->valuestring);
	ek_html(h, count > 0 || cJSON_IsString(path) ? ".</p>" : "</p>");
}

/* The table of measures, in its order. */
static const enum ek_compared_measure measures[] = {
	EK_CMP_FD,      EK_CMP_FD_INFINITY, EK_CMP_KID,       EK_CMP_INCEPTION,      EK_CMP_PRECISION,
	EK_CMP_RECALL,  EK_CMP_DENSITY,     EK_CMP_COVERAGE,  EK_CMP_COVERAGE_MACRO, EK_CMP_WORST,
	EK_CMP_MASS,    EK_CMP_HIT,         EK_CMP_VARIATION, EK_CMP_AMPLIFICATION,  EK_CMP_VENDI,
	EK_CMP_REALISM,
};

/* What the evaluation has of it: a measure, or an object with its "mean". */
static const cJSON *measured(const cJSON *json, const char *path)
{
	char part[64];

	while (*path != 0 && strcmp(path, "mean") != 0) {
		const size_t length = strcspn(path, ".");

		(void)snprintf(part, sizeof part, "%.*s", (int)length, path);
		json = ek_json_member(json, part);
		path += length + (path[length] == '.');
	}
	return json;
}

static void number(struct ek_html *h, const struct ek_comparison_measure *m, double value)
{
	if (!isfinite(value))
		ek_html(h, DASH);
	else if (m->is_share)
		ek_html(h, "%s", ek_percent(value).s);
	else
		ek_html(h, "%s", ek_figure(value).s);
}

/* What is said of a measure below its name. */
static void measure_words(struct ek_html *h, const cJSON *item, const struct ek_comparison_measure *m,
                          const char *reason)
{
	ek_html(h, "<small>%s", m->words);
	if (isfinite(ek_number_of(item, "subsets")))
		ek_html(h, " (%s subsets of %s images)", ek_decimal(ek_number_of(item, "subsets"), 0).s,
		        ek_decimal(ek_number_of(item, "subset_size"), 0).s);
	if (isfinite(ek_number_of(item, "splits")))
		ek_html(h, " (%s splits)", ek_decimal(ek_number_of(item, "splits"), 0).s);
	if (reason != NULL)
		ek_html(h, ". <b>Not measured</b>: %s", reason);
	ek_html(h, "</small>");
}

static void measure_row(struct ek_html *h, const struct ek_evaluation *e, const struct ek_comparison_measure *m)
{
	const cJSON *item = measured(e->json, m->path);
	const double mean = ek_number_of(item, "mean");
	struct ek_measure value = ek_interval_of(item);
	const char *reason = ek_evaluation_reason(e, NULL, m->name);

	if (item == NULL && reason == NULL)
		return;
	value.value = isfinite(mean) ? mean : value.value;
	ek_html(h, "<tr><th scope=\"row\">%s",
	        m == &ek_comparison_measures[EK_CMP_FD] ? metric_of(e)
	        : m->title != NULL                      ? m->title
	                                                : m->label);
	measure_words(h, item, m, isfinite(value.value) ? NULL : reason);
	ek_html(h, "</th><td class=\"n\">");
	number(h, m, value.value);
	if (isfinite(value.corrected)) {
		ek_html(h, " <small>corrected ");
		number(h, m, value.corrected);
		ek_html(h, "</small>");
	}
	ek_html(h, "</td><td class=\"n wide\">");
	if (value.low <= value.high) {
		number(h, m, value.low);
		ek_html(h, " to ");
		number(h, m, value.high);
	} else if (isfinite(value.low) && isnan(value.high)) {
		ek_html(h, "at least ");
		number(h, m, value.low);
	} else if (isfinite(mean) && isfinite(ek_number_of(item, "std"))) {
		ek_html(h, "\xc2\xb1 %s", ek_figure(ek_number_of(item, "std")).s);
	}
	ek_html(h, "</td><td class=\"n\">");
	if (m->expected != NULL)
		number(h, m, ek_measure_of(e->json, m->expected).value);
	else
		ek_html(h, "%s", m->constant != NULL ? m->constant : "");
	ek_html(h, "</td></tr>");
}

static void measures_table(struct ek_html *h, const struct ek_evaluation *e)
{
	ek_html(h, "<div class=\"scroll\"><table class=\"measures\"><caption>");
	ek_page_computed_from(h, e);
	ek_html(h, "</caption><thead><tr><th scope=\"col\">Measure</th><th scope=\"col\" class=\"n\">Value</th><th "
	           "scope=\"col\" class=\"n wide\">95\xe2\x80\xaf%% interval, \xc2\xb1 deviation</th><th "
	           "scope=\"col\" class=\"n\">If alike</th></tr></thead><tbody>");
	for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
		measure_row(h, e, &ek_comparison_measures[measures[i]]);
	ek_html(h, "</tbody></table></div>");
}

static void memorisation(struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *m = ek_json_member(e->json, "memorisation");
	const double made = ek_number_of(ek_json_member(m, "nearest_train"), "median");
	const double fresh = ek_number_of(ek_json_member(m, "held_out"), "median"),
		     ratio = ek_measure_of(m, "ratio").value;
	const double authentic = ek_number_of(m, "authentic_percent"), c_t = ek_number_of(m, "c_t");
	const struct ek_measure copies = ek_measure_of(m, "copies_share");
	struct ek_html *h = &page->html;

	if (!cJSON_IsObject(m))
		return;
	ek_html(h, "<h4>Are they copies?</h4><p>");
	if (isfinite(ratio) && isfinite(fresh))
		ek_html(h,
		        "A generated image lies <b>%s times as far</b> from its nearest training image as a fresh real "
		        "one does (medians %s and %s): near 1 is as it should be, well below 1 is copying. ",
		        ek_decimal(ratio, 2).s, ek_figure(made).s, ek_figure(fresh).s);
	else if (isfinite(made))
		ek_html(h,
		        "The median distance of a generated image to its nearest training image is %s; there are no "
		        "held-out images to say what fresh ones would give. ",
		        ek_figure(made).s);
	if (isfinite(copies.value)) {
		ek_html(h, "<b>%s</b> are flagged as possible copies", ek_percent(copies.value).s);
		if (copies.low <= copies.high)
			ek_html(h, " (95\xe2\x80\xaf%% interval %s)", ek_percent_range(copies.low, copies.high).s);
		ek_html(h, ". ");
	}
	if (isfinite(authentic))
		ek_html(h,
		        "%s are further from their nearest training image than that one is from its own nearest "
		        "(authenticity). ",
		        ek_percent_whole(authentic / 100).s);
	if (isfinite(c_t))
		ek_html(h, "C<sub>T</sub> is %s: strongly negative would be copying, positive is the other way. ",
		        ek_decimal(c_t, 1).s);
	ek_html(h, "These are flags for a person to look at, no verdicts.</p>");
}

/* The columns of the table of seeds that there are. */
static const struct {
	enum ek_compared_measure measure;
	const char *title;
} seed_columns[] = {
	{ EK_CMP_FD, "#FD" },
	{ EK_CMP_PRECISION, "##Precision" },
	{ EK_CMP_RECALL, "##Recall" },
	{ EK_CMP_COVERAGE, "#Coverage" },
	{ EK_CMP_WORST, "#Worst cluster" },
	{ EK_CMP_MASS, "##Clusters made enough" },
	{ EK_CMP_VENDI, "##Variety" },
	{ EK_CMP_NEAREST, "##To training images" },
};
enum { SEED_COLUMNS = sizeof seed_columns / sizeof *seed_columns };

static struct ek_words seed_words(size_t column, double value)
{
	return ek_comparison_measures[seed_columns[column].measure].is_share ? ek_percent(value) : ek_figure(value);
}

static void seeds(struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *rows = ek_json_member(e->json, "seeds"), *spread = ek_json_member(e->json, "spread"), *row;
	const char *names[1 + SEED_COLUMNS] = { "Set" };
	size_t shown[SEED_COLUMNS], count = 0;
	struct ek_html *h = &page->html;

	if (cJSON_GetArraySize(rows) < 2)
		return;
	for (size_t c = 0; c < SEED_COLUMNS; c++)
		if (isfinite(ek_measure_of(rows->child, ek_comparison_measures[seed_columns[c].measure].name).value)) {
			names[1 + count] = seed_columns[c].title;
			shown[count++] = c;
		}
	ek_html(h, "<h4>How much chance there is in it</h4>");
	ek_page_table_head(h, "The same generator drawn from with other seeds, each set on its own", names, 1 + count);
	cJSON_ArrayForEach(row, rows)
	{
		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", ek_text_of(row, "samples", DASH));
		for (size_t i = 0; i < count; i++) {
			const double value =
				ek_measure_of(row, ek_comparison_measures[seed_columns[shown[i]].measure].name).value;

			ek_page_number(h, value, seed_words(shown[i], value), seed_columns[shown[i]].title[1] == '#');
		}
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div><p>");
	for (size_t i = 0, told = 0; i < count; i++) {
		const cJSON *s = ek_json_member(spread, ek_comparison_measures[seed_columns[shown[i]].measure].name);

		if (isfinite(ek_number_of(s, "std")))
			ek_html(h, "%s%s %s \xc2\xb1 %s", told++ == 0 ? "Mean and deviation over seeds: " : "; ",
			        seed_columns[shown[i]].title + strspn(seed_columns[shown[i]].title, "#"),
			        seed_words(shown[i], ek_number_of(s, "mean")).s,
			        seed_words(shown[i], ek_number_of(s, "std")).s);
	}
	ek_html(h, "</p>");
}

static int evaluation(struct ek_page *page, const struct ek_evaluation *e)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<h3>Evaluation <bdi>%s</bdi></h3>", e->name);
	headline(page, e);
	warning(h, e);
	what_was_compared(page, e);
	measures_table(h, e);
	EK_TRY(ek_evaluation_clusters(page, e));
	memorisation(page, e);
	EK_TRY(ek_evaluation_copies(page, e));
	seeds(page, e);
	rc = h->rc;
out:
	return rc;
}

int ek_chapter_evaluation(struct ek_page *page)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h,
	        "<p class=\"intro\">How good the generated images are, and for whom. A generator can look good on the "
	        "whole and leave out the rare: so every cluster is looked at on its own. The clusters are those of the "
	        "audit.</p>");
	if (page->evaluations.count > 1)
		table(page);
	for (size_t i = 0; i < page->evaluations.count && i < EK_PAGE_PLANS; i++)
		EK_TRY(evaluation(page, &page->evaluations.items[i]));
	if (page->evaluations.count > EK_PAGE_PLANS)
		ek_html(h,
		        "<p class=\"note\">The first %d evaluations are told of in full; the others only in the "
		        "table.</p>",
		        EK_PAGE_PLANS);
	rc = h->rc;
out:
	return rc;
}
