/* The part of the chapter Plan on samplers: how often each image is shown. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/io/csv.h"
#include "reports/svg.h"

enum { ROWS = 60, ROWS_OPEN = 30, MAX_UNITS = 1 << 20 };

/* A row of groups.csv. */
struct unit {
	char *name;
	double images, share, weighted, visits; /* visits: of one image in an epoch */
	size_t at;
};
struct units {
	struct unit *items;
	size_t count;
};

static const char *const columns[] = { "name", "images", "share", "weighted_share", "visits_per_image" };
enum { NAME, IMAGES, SHARE, WEIGHTED, VISITS, COLUMNS };

static int find_columns(size_t *place, const struct ek_csv *csv, const char *path)
{
	for (size_t c = 0; c < COLUMNS; c++) {
		for (place[c] = 0; place[c] < csv->count; place[c]++)
			if (strcmp(ek_csv_field(csv, place[c]), columns[c]) == 0)
				break;
		if (place[c] == csv->count)
			return ek_fail(EK_EDATA, "%s: there is no column %s", path, columns[c]);
	}
	return 0;
}

static int read_unit(struct unit *unit, const struct ek_csv *csv, const size_t *place, const char *path)
{
	double *const numbers[COLUMNS] = { NULL, &unit->images, &unit->share, &unit->weighted, &unit->visits };
	int rc;

	for (size_t c = 0; c < COLUMNS; c++) {
		const char *text = place[c] < csv->count ? ek_csv_field(csv, place[c]) : "";
		char *end;

		if (c == NAME) {
			EK_TRY(ek_copy_string(&unit->name, text));
			continue;
		}
		*numbers[c] = strtod(text, &end);
		if (end == text || *end != 0 || !isfinite(*numbers[c]) || *numbers[c] < 0) {
			rc = ek_fail(EK_EDATA, "%s:%lu: %s is \"%.40s\", not a number", path, (unsigned long)csv->line,
			             columns[c], text);
			goto out;
		}
	}
	rc = 0;
out:
	return rc;
}

static int fewer_images(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;

	if (x->images < y->images || x->images > y->images)
		return x->images < y->images ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

static void release_units(struct units *units)
{
	for (size_t i = 0; i < units->count; i++)
		free(units->items[i].name);
	free(units->items);
	*units = (struct units){ 0 };
}

/* All rows, smallest first. Nothing where there is no file, or a damaged one. */
static int load_units(struct units *units, struct ek_page *page, const char *name)
{
	struct ek_csv csv = { 0 };
	char *relative = NULL, *path = NULL;
	size_t place[COLUMNS], room = 0;
	int rc;

	*units = (struct units){ 0 };
	EK_TRY(ek_format(&relative, "weights/%s/groups.csv", name));
	if (!ek_page_has(page, relative))
		goto out;
	EK_TRY(ek_run_file(&path, page->run, relative));
	EK_TRY(ek_csv_open(&csv, path));
	EK_TRY(ek_csv_next(&csv));
	if (rc > 0)
		EK_TRY(find_columns(place, &csv, path));
	while (rc >= 0 && (rc = ek_csv_next(&csv)) > 0 && units->count < MAX_UNITS) {
		if (units->count == room) {
			room = room == 0 ? 64 : 2 * room;
			EK_TRY(ek_resize(&units->items, room, sizeof *units->items));
		}
		units->items[units->count] = (struct unit){ .at = units->count };
		EK_TRY(read_unit(&units->items[units->count++], &csv, place, path));
	}
	EK_TRY(rc);
	qsort(units->items, units->count, sizeof *units->items, fewer_images);
	rc = 0;
out:
	ek_csv_close(&csv);
	if (rc == EK_EDATA)
		release_units(units);
	rc = ek_leave_out(&page->left_out, rc, path);
	free(relative);
	free(path);
	return rc < 0 ? rc : 0;
}

/* What it does to, where it is levels of weight that are dealt: clusters, groups, … */
static const char *told_by(const cJSON *json)
{
	const cJSON *told = ek_json_member(json, "told");

	return ek_text_of(cJSON_IsObject(told) ? told : json, "by", "cluster");
}

/* "inverse", "alpha=0.7", … in words. */
static void scheme_words(struct ek_html *h, const cJSON *json)
{
	const char *scheme = ek_text_of(json, "scheme", "?");
	static const struct {
		const char *scheme, *words;
	} schemes[] = {
		{ "inverse", "every %s is shown equally often, however many images it has" },
		{ "sqrt", "a %s with four times as many images is shown twice as often, not four times" },
		{ "alpha", "the larger a %s, the more rarely each of its images is shown, by a power of its size" },
		{ "effective-number",
		  "a %s counts by its effective number of images, which grows ever more slowly with its size" },
		{ "repeat-factor", "images of a %s below a threshold are repeated, none is shown more rarely" },
		{ "target", "every %s is shown as often as a file asks for" },
		{ "design", "each image is shown by how much it adds to the directions images differ in" },
		{ "vendi", "each image is shown by how much it adds to the diversity of all" },
		{ "tree", "each image is shown by the tree of clusters that it lies in" },
		{ "blend", "each image is shown by tree and design weights together" },
		{ "reference", "each image is shown by how much more often its like is in the reference set" },
		{ "reweigh", "%s are weighted so that the two attributes become independent" },
	};
	const size_t length = strcspn(scheme, "=");
	const int by_probability = strcmp(scheme, "inverse") == 0 && ek_json_member(json, "told") != NULL;

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strlen(schemes[i].scheme) == length && strncmp(scheme, schemes[i].scheme, length) == 0) {
			const char *words = by_probability ? "every %s is shown equally often, by the probability "
			                                     "that an image is of it"
			                                   : schemes[i].words;
			const size_t before = strcspn(words, "%");

			ek_html_raw(h, words, before);
			if (words[before] != 0) {
				ek_html(h, "<bdi>%s</bdi>", told_by(json));
				ek_html_raw(h, words + before + 2, strlen(words + before + 2));
			}
		}
	ek_html(h, " (scheme <bdi>%s</bdi>)", scheme);
}

static void figures(struct ek_page *page, const cJSON *json)
{
	const cJSON *largest = ek_json_member(json, "largest_repeat");
	const double share = ek_number_of(json, "effective_share"), size = ek_number_of(json, "effective_sample_size");
	struct ek_html *h = &page->html;

	ek_html(h,
	        "<dl class=\"figures\"><div><dt>Effective sample size</dt><dd><b>%s</b><span>%s images; what this many "
	        "equally weighted ones would tell</span></dd></div>",
	        ek_percent(share).s, ek_decimal(size, 0).s);
	ek_html(h, "<div><dt>Largest repeat</dt><dd><b>%s \xc3\x97</b><span>",
	        ek_decimal(ek_number_of(largest, "visits"), 1).s);
	if (ek_json_member(json, "told") != NULL)
		ek_html(h, "%s", ek_number_noun(ek_whole(ek_number_of(largest, "images")), "image").s);
	else
		ek_html(h, "an image of <bdi>%s %s</bdi>", told_by(json), ek_text_of(largest, "name", "?"));
	ek_html(h, ", in one epoch</span></dd></div>");
	ek_html(h,
	        "<div><dt>Evenness</dt><dd><b>%s</b><span>normalised entropy, 1 when all are equal; before: "
	        "%s</span></dd></div></dl>",
	        ek_decimal(ek_number_of(ek_json_member(json, "skew_after"), "normalised_entropy"), 3).s,
	        ek_decimal(ek_number_of(ek_json_member(json, "skew_before"), "normalised_entropy"), 3).s);
}

/* Whose images are shown so often; of images weighed one by one, how many. */
static void repeated_ones(struct ek_html *h, const cJSON *json, const cJSON *repeated)
{
	const cJSON *units = ek_json_member(repeated, "units"), *unit;
	const double count = ek_number_of(repeated, "count");
	double images = 0, most = 0;
	int listed = 0;

	if (ek_json_member(json, "told") != NULL) {
		cJSON_ArrayForEach(unit, units)
		{
			images += ek_number_of(unit, "images");
			most = fmax(most, ek_number_of(unit, "visits"));
		}
		ek_html(h, "%s%s, up to %s times each", count > cJSON_GetArraySize(units) ? "at least " : "",
		        ek_number_noun(ek_whole(images), "image").s, ek_decimal(most, 1).s);
		return;
	}
	cJSON_ArrayForEach(unit, units)
	{
		if (listed++ < 8)
			ek_html(h, "%s%s <bdi>%s</bdi>: %s, %s times each", listed > 1 ? "; " : "", told_by(json),
			        ek_text_of(unit, "name", "?"),
			        ek_number_noun(ek_whole(ek_number_of(unit, "images")), "image").s,
			        ek_decimal(ek_number_of(unit, "visits"), 1).s);
	}
	ek_html(h, "%s", count > 8 ? ", \xe2\x80\xa6" : "");
}

static void warning(struct ek_page *page, const cJSON *json)
{
	const cJSON *repeated = ek_json_member(json, "repeated");
	const double empty = ek_number_of(json, "empty_units");
	struct ek_html *h = &page->html;

	if (ek_number_of(repeated, "count") > 0) {
		ek_html(h,
		        "<p class=\"warning\"><b>Copying must be feared.</b> Some images are shown more than %s times "
		        "an epoch: ",
		        ek_decimal(ek_number_of(repeated, "above"), 0).s);
		repeated_ones(h, json, repeated);
		ek_html(h, ". What a model sees so often it may learn by heart and give back: set a limit, "
		           "cap, and look at what it makes of these beside their nearest real images.</p>");
	}
	if (empty > 0)
		ek_html(h, "<p class=\"note\">%s no images and cannot be shown.</p>",
		        empty > 1 ? "Some units have" : "One unit has");
}

/* by: "cluster", "group", … */
static void unit_row(struct ek_page *page, const struct unit *u, const char *by, double full, double even)
{
	struct ek_html *h = &page->html;
	char *end;
	const unsigned long cluster = strtoul(u->name, &end, 10);

	if (strcmp(by, "cluster") == 0 && *end == 0 && end != u->name && cluster < page->k) {
		ek_html(h, "<tr%s><th scope=\"row\" data-v=\"%lu\">",
		        page->clusters[cluster].tail ? " class=\"tail\"" : "", cluster);
		ek_page_cluster(page, cluster, "");
	} else {
		ek_html(h, "<tr><th scope=\"row\">");
		if (strcmp(by, "group") == 0)
			ek_page_group(page, u->name);
		else
			ek_html(h, "<bdi>%s</bdi>", u->name);
	}
	ek_html(h, "</th><td class=\"chart\" data-v=\"%.9g\">", u->weighted);
	ek_svg_pair(h, u->share, u->weighted, even, full);
	ek_html(h, "</td><td class=\"n wide\" data-v=\"%.9g\">%s</td><td class=\"n wide\" data-v=\"%.9g\">%s</td>",
	        u->share, ek_percent(u->share).s, u->weighted, ek_percent(u->weighted).s);
	ek_html(h, "<td class=\"n\" data-v=\"%.0f\">%s</td><td class=\"n\" data-v=\"%.9g\">%s</td></tr>", u->images,
	        ek_decimal(u->images, 0).s, u->visits, ek_decimal(u->visits, u->visits < 9.995 ? 2 : 1).s);
}

static int visits_table(struct ek_page *page, const struct ek_weights_plan *plan)
{
	const char *by = told_by(plan->json);
	struct ek_html *h = &page->html;
	struct units units;
	double full = 0;
	int folded, rc;

	EK_TRY(load_units(&units, page, plan->name));
	if (units.count == 0)
		goto out;
	for (size_t i = 0; i < units.count; i++)
		full = fmax(full, fmax(units.items[i].share, units.items[i].weighted));
	folded = units.count > ROWS_OPEN;
	ek_html(h, folded ? "<details><summary>Table of visits</summary>" : "");
	ek_html(h, "<p class=\"note\">Bars: <span class=\"swatch before\">share of the images</span> and <span "
	           "class=\"swatch after\">share of the visits</span>; the dashed line is an even share.</p>");
	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort sizes plan\"><caption>Smallest first: how often one image "
	        "is shown in an epoch</caption><thead><tr><th scope=\"col\"><bdi>%s</bdi></th><th "
	        "scope=\"col\">Share</th><th scope=\"col\" class=\"n wide\">Of the images</th><th scope=\"col\" "
	        "class=\"n wide\">Of the visits</th><th scope=\"col\" class=\"n\">Images</th><th scope=\"col\" "
	        "class=\"n\">Visits</th></tr></thead><tbody>",
	        by);
	for (size_t i = 0; i < units.count; i++)
		if (units.count <= ROWS || i < ROWS * 7 / 10 || i >= units.count - ROWS * 3 / 10)
			unit_row(page, &units.items[i], by, full, 1 / (double)units.count);
	ek_html(h, "</tbody></table></div>");
	if (units.count > ROWS)
		ek_html(h, "<p class=\"note\">The smallest and the largest of %s; all are in groups.csv.</p>",
		        ek_count(units.count).s);
	ek_html(h, folded ? "</details>" : "");
	rc = h->rc;
out:
	release_units(&units);
	return rc;
}

int ek_chapter_plan_weights(struct ek_page *page)
{
	const struct ek_plans *plans = &page->plans;
	struct ek_html *h = &page->html;
	int rc = 0;

	for (size_t i = 0; i < plans->weights_count && i < EK_PAGE_PLANS; i++) {
		const cJSON *json = plans->weights[i].json;

		ek_html(h, "<h3>Sampler <bdi>%s</bdi></h3><p>%s: ", plans->weights[i].name,
		        ek_number_of(json, "without_value") > 0 ? "Nothing is removed" : "No image is left out");
		scheme_words(h, json);
		if (ek_number_of(json, "cap") > 0)
			ek_html(h, ", no image more than %s times an epoch",
			        ek_decimal(ek_number_of(json, "cap"), 1).s);
		ek_html(h, ". ");
		if (ek_number_of(json, "epoch") > 0)
			ek_html(h, "An epoch shows %s.",
			        ek_number_noun(ek_whole(ek_number_of(json, "epoch")), "image").s);
		ek_html(h, "</p>");
		ek_page_plan_units(h, json, ek_number_of(json, "images") - ek_number_of(json, "held_out"),
		                   "never shown");
		warning(page, json);
		figures(page, json);
		EK_TRY(visits_table(page, &plans->weights[i]));
	}
	if (plans->weights_count > EK_PAGE_PLANS)
		ek_html(h, "<p class=\"note\">%s more samplers are in the folder weights.</p>",
		        ek_count(plans->weights_count - EK_PAGE_PLANS).s);
out:
	return rc;
}
