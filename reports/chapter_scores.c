/* Scores: how they are spread, which images are at their ends, whom pruning by them takes from, how far they agree. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/run_files.h"
#include "reports/review.h"
#include "reports/svg.h"

enum {
	BINS = 40,
	FEWEST = 10,        /* images of a group that is told of */
	GROUPS = 12,        /* those of which most or least is hard */
	OPEN = 2,           /* of more scores the tables open on demand */
	LABELS = 40,        /* of label errors */
	ATTRIBUTE_MOST = 50 /* values of an attribute that is counted by */
};

/* What the one end is called. */
static const char *hard_word(const struct ek_score_set *s)
{
	return ek_json_member(s->json, "label_errors") != NULL ? "doubtful" : "hard";
}

static void spread(struct ek_page *page, const struct ek_score_set *s, size_t number)
{
	const cJSON *histogram = ek_json_member(s->json, "histogram"), *images = ek_json_member(histogram, "images"),
		    *n;
	const double low = ek_number_of(histogram, "low"), high = ek_number_of(histogram, "high");
	const double median = ek_number_of(ek_json_member(s->json, "quantiles"), "median");
	struct ek_html *h = &page->html;
	double counts[BINS] = { 0 };
	size_t bins = 0, middle;

	cJSON_ArrayForEach(n, images) if (bins < BINS) counts[bins++] = cJSON_GetNumberValue(n);
	if (bins == 0 || !isfinite(low) || !isfinite(high) || !isfinite(median))
		return;
	middle = high > low ? (size_t)round(fmin(fmax((median - low) / (high - low), 0), 1) * (double)bins) : bins;
	ek_html(h, "<figure>");
	ek_svg_histogram(h, counts, bins, ek_score_is_falling(s) ? middle : 0, ek_score_is_falling(s) ? bins : middle,
	                 number, ek_figure(low).s, ek_figure(high).s);
	ek_html(h,
	        "<figcaption>How many images have which score: from %s to %s, the median is %s. In colour: the %s "
	        "half.</figcaption></figure>",
	        ek_figure(low).s, ek_figure(high).s, ek_figure(median).s, hard_word(s));
}

static void row(struct ek_page *page, const struct ek_score_set *s, const char *title, int from_end)
{
	const uint64_t shown = page->score_images < s->count / 2 ? page->score_images : s->count / 2;
	struct ek_html *h = &page->html;

	if (s->order == NULL || shown == 0)
		return;
	ek_html(h, "<figure class=\"row\"><figcaption>%s</figcaption><div class=\"pictures\">", title);
	for (uint64_t i = 0; i < shown; i++) {
		const uint64_t id = s->order[from_end ? s->count - 1 - i : i];

		if (page->has_pictures)
			ek_page_picture(page, id);
		else
			ek_html(h, "<span class=\"id\">%s</span> ", ek_count(id).s);
	}
	ek_html(h, "</div></figure>");
}

static void suspects(struct ek_page *page, const struct ek_score_set *s)
{
	struct ek_html *h = &page->html;

	if (s->suspect_count == 0)
		return;
	ek_html(h, "<h4>The most doubtful labels</h4><div class=\"suspects\">");
	for (size_t i = 0; i < s->suspect_count && i < page->score_images; i++) {
		const struct ek_suspect *suspect = &s->suspects[i];

		ek_html(h, "<figure>");
		if (page->has_pictures)
			ek_page_picture(page, suspect->id);
		else
			ek_html(h, "<span class=\"id\">%s</span>", ek_count(suspect->id).s);
		ek_html(h,
		        "<figcaption><s><bdi>%s</bdi></s> <b><bdi>%s</bdi></b> <small>%s</small></figcaption></figure>",
		        suspect->label, suspect->suggested, ek_percent_whole(suspect->probability).s);
	}
	ek_html(h,
	        "</div><p class=\"note\">Struck out: the label that the image has; below it, the one that probes which "
	        "did not learn from the image find likelier, and how likely. All of them are in scores/%s.csv.</p>",
	        s->name);
}

static void outcomes(struct ek_page *page, const struct ek_review *review, const struct ek_review_log *log)
{
	struct ek_html *h = &page->html;
	uint64_t counts[EK_REVIEW_OUTCOMES], judged;

	ek_review_outcomes(counts, review, log);
	judged = review->count - counts[EK_REVIEW_OPEN];
	if (judged == 0)
		return;
	ek_html(h, "<p><b>People looked at %s</b>: %s wrong, %s right", ek_number_noun(judged, "label").s,
	        ek_count(counts[EK_REVIEW_REJECTED]).s, ek_count(counts[EK_REVIEW_ACCEPTED]).s);
	if (counts[EK_REVIEW_UNSURE] + counts[EK_REVIEW_DISPUTED] > 0)
		ek_html(h, "; on %s they were unsure or did not agree",
		        ek_count(counts[EK_REVIEW_UNSURE] + counts[EK_REVIEW_DISPUTED]).s);
	ek_html(h, ". <code>evenkeel review</code> writes a table of the labels corrected.</p>");
}

/* What people said of the doubted labels, or how they can. */
static int reviewed(struct ek_page *page, const struct ek_score_set *s)
{
	struct ek_review review = { .held = -1 };
	struct ek_review_log log = { 0 };
	char *name = NULL, *path = NULL;
	int rc;

	if (s->suspect_count == 0 || !page->has_pictures)
		return 0;
	EK_TRY(ek_format(&name, "label-reviews/%s.jsonl", s->name));
	if (!ek_page_has(page, name)) {
		ek_html(&page->html,
		        "<p class=\"note\"><code>evenkeel review</code> shows them one after the other, to say which "
		        "are wrong.</p>");
		goto out;
	}
	EK_TRY(ek_run_file(&path, page->run, name));
	EK_TRY(ek_review_open_labels(&review, page->run, s->name));
	EK_TRY(ek_review_log_load(&log, path));
	EK_TRY(ek_review_void_stale(&log, &review));
	outcomes(page, &review, &log);
out:
	ek_review_log_release(&log);
	ek_review_release(&review);
	free(name);
	free(path);
	return rc;
}

static int label_errors(struct ek_page *page, const struct ek_score_set *s)
{
	static const char *const names[] = { "Label", "##Images", "#Likely wrong", "#Share", "Mostly" };
	const cJSON *errors = ek_json_object(ek_json_member(s->json, "label_errors")), *label;
	struct ek_html *h = &page->html;
	int rc, shown = 0;

	if (errors == NULL)
		return 0;
	ek_html(h,
	        "<p><b>%s %s likely wrong</b>, %s of those that were judged. Look before you change one: some are "
	        "right, and many where the probe cannot tell the labels apart.</p>",
	        ek_number_noun(ek_whole(ek_json_number(errors, "found")), "label").s,
	        ek_json_number(errors, "found") == 1 ? "is" : "are", ek_percent(ek_json_number(errors, "share")).s);
	EK_TRY(reviewed(page, s));
	suspects(page, s);
	ek_page_table_head(h, "Likely wrong, by the label that is given", names, sizeof names / sizeof *names);
	cJSON_ArrayForEach(label, ek_json_member(errors, "labels"))
	{
		const double images = ek_number_of(label, "images"), wrong = ek_number_of(label, "errors");

		if (shown++ == LABELS)
			break;
		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", ek_text_of(label, "label", "?"));
		ek_page_number(h, images, ek_decimal(images, 0), 1);
		ek_page_number(h, wrong, ek_decimal(wrong, 0), 0);
		ek_page_number(h, wrong / images, ek_percent(wrong / images), 0);
		if (wrong > 0)
			ek_html(h, "<td><bdi>%s</bdi> (%s)</td></tr>", ek_text_of(label, "mostly", "?"),
			        ek_decimal(ek_number_of(label, "mostly_images"), 0).s);
		else
			ek_html(h, "<td>\xe2\x80\x93</td></tr>");
	}
	ek_html(h, "</tbody></table></div>");
	if (cJSON_GetArraySize(ek_json_member(errors, "labels")) > LABELS)
		ek_html(h, "<p class=\"note\">The first %d labels; all are in scores/%s.json.</p>", (int)LABELS,
		        s->name);
out:
	return rc;
}

/* A cluster, a group or a value of an attribute: how many of its images are in the hard half. */
struct share {
	const char *attribute, *value; /* attribute NULL: cluster `number` */
	size_t number;
	double images, hard;
};

static double away(const struct share *s)
{
	return fabs(s->hard / s->images - 0.5);
}

static int by_distance(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (away(x) < away(y) || away(x) > away(y))
		return away(x) > away(y) ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int by_part(const void *a, const void *b)
{
	const struct share *x = a, *y = b;
	const double p = x->hard / x->images, q = y->hard / y->images;

	if (p < q || p > q)
		return p > q ? -1 : 1;
	return by_distance(a, b);
}

/* What images are counted by. */
struct counted {
	const char *attribute;
	const int32_t *codes;
	size_t values;
	char *const *names;
};

/* Appends to shares [*count]. */
static int count_shares(struct share **shares, size_t *count, const struct ek_score_set *s, const struct counted *by)
{
	struct share *all;
	int rc;

	EK_TRY(ek_resize(shares, *count + by->values, sizeof **shares));
	all = *shares + *count;
	for (size_t v = 0; v < by->values; v++)
		all[v] = (struct share){ .attribute = by->attribute,
			                 .value = by->names != NULL ? by->names[v] : NULL,
			                 .number = v };
	for (uint64_t i = 0; i < s->count; i++) {
		const int32_t code = by->codes[s->order[i]];

		if (code < 0 || (size_t)code >= by->values)
			continue;
		all[code].images++;
		all[code].hard += i < s->count / 2;
	}
	*count += by->values;
out:
	return rc;
}

static void share_row(struct ek_page *page, const struct share *s)
{
	const double part = s->hard / s->images;
	struct ek_html *h = &page->html;

	ek_html(h, "<tr><th scope=\"row\">");
	if (s->attribute == NULL)
		ek_page_cluster(page, s->number, "Cluster ");
	else
		ek_html(h, "<bdi>%s</bdi> <bdi>%s</bdi>", s->attribute, s->value);
	ek_html(h, "</th>");
	ek_html(h, "<td class=\"chart\" data-v=\"%.6g\">", part);
	ek_svg_bar(h, part, (double)NAN, (double)NAN, 0.5, 1, 1);
	ek_html(h, "</td>");
	ek_page_number(h, 1 - part, ek_percent_whole(1 - part), 0);
	ek_page_number(h, part, ek_percent_whole(part), 1);
	ek_page_number(h, s->images, ek_decimal(s->images, 0), 1);
	ek_html(h, "</tr>");
}

static void share_table(struct ek_page *page, const struct ek_score_set *s, struct share *shares, size_t count)
{
	struct ek_html *h = &page->html;
	size_t told = 0;

	for (size_t i = 0; i < count; i++)
		if (shares[i].images >= FEWEST)
			shares[told++] = shares[i];
	if (told == 0)
		return;
	qsort(shares, told, sizeof *shares, by_distance);
	told = told < GROUPS ? told : GROUPS;
	qsort(shares, told, sizeof *shares, by_part);
	ek_html(h,
	        "<details%s><summary>Whom pruning by it takes from</summary><div class=\"scroll\"><table class=\"sort "
	        "sizes plan\"><caption>If the %s half of all images is kept, or the other one: where that is furthest "
	        "from half</caption><thead><tr><th scope=\"col\">Whose images</th><th scope=\"col\">In the %s "
	        "half</th><th scope=\"col\" class=\"n\">Removed</th><th scope=\"col\" class=\"n wide\">Removed, other "
	        "half kept</th><th scope=\"col\" class=\"n wide\">Images</th></tr></thead><tbody>",
	        page->scores.count <= OPEN ? " open" : "", hard_word(s), hard_word(s));
	for (size_t i = 0; i < told; i++)
		share_row(page, &shares[i]);
	ek_html(h, "</tbody></table></div></details>");
}

/* Of which clusters, groups and attributes the hard half is. */
static int whom(struct ek_page *page, const struct ek_score_set *s, const int32_t *cluster,
                const struct ek_columns *columns)
{
	struct share *shares = NULL;
	size_t count = 0;
	int rc = 0;

	if (s->order == NULL)
		return 0;
	if (cluster != NULL)
		EK_TRY(count_shares(&shares, &count, s, &(struct counted){ .codes = cluster, .values = page->k }));
	for (size_t c = 0; c < columns->count; c++) {
		const struct ek_column *column = &columns->items[c];

		if (column->value_count <= ATTRIBUTE_MOST)
			EK_TRY(count_shares(
				&shares, &count, s,
				&(struct counted){ column->name, column->codes, column->value_count, column->values }));
	}
	share_table(page, s, shares, count);
out:
	free(shares);
	return rc;
}

static void introduce(struct ek_page *page, const struct ek_score_set *s)
{
	const cJSON *unscored;
	const double error = ek_number_of(ek_json_member(s->json, "standard_error"), "median"),
		     deviation = ek_number_of(s->json, "deviation"), accuracy = ek_number_of(s->json, "accuracy");
	struct ek_html *h = &page->html;

	ek_html(h, "<h3><bdi>%s</bdi></h3><p>Method <b>%s</b>: %s. %s scores are %s.", s->name,
	        ek_text_of(s->json, "method", "?"), ek_text_of(s->json, "what", "?"),
	        ek_score_is_falling(s) ? "High" : "Low", hard_word(s));
	if (ek_json_member(s->json, "by") != NULL)
		ek_html(h, " The %s classes are by <bdi>%s</bdi>",
		        ek_count(ek_whole(ek_json_number(s->json, "classes"))).s, ek_text_of(s->json, "by", "?"));
	if (isfinite(accuracy))
		ek_html(h, "; the probe tells %s of the images right", ek_percent_whole(accuracy).s);
	if (ek_json_member(s->json, "by") != NULL)
		ek_html(h, ".");
	if (isfinite(error) && deviation > 0)
		ek_html(h, " The standard error of a score is %s, %s of the standard deviation between images.",
		        ek_figure(error).s, ek_percent_whole(error / deviation).s);
	ek_html(h, "</p>");
	cJSON_ArrayForEach(unscored, ek_json_member(s->json, "unscored"))
		ek_html(h, "<p class=\"note\">Not scored: %s, the first is %s: %s.</p>",
	                ek_number_noun(ek_whole(ek_json_number(unscored, "images")), "image").s,
	                ek_decimal(ek_number_of(unscored, "first"), 0).s, ek_text_of(unscored, "reason", "?"));
	if (s->stale != NULL)
		ek_html(h, "<p class=\"warning\"><b>Stale</b>: <bdi>%s</bdi> since these scores were made.</p>",
		        s->stale);
}

/* Ranks by the distance to the centroid, the furthest first; NULL: there are none. To be freed. */
static int load_distance(float **rank, const struct ek_page *page)
{
	struct ek_npy distance = { 0 };
	uint64_t *order = NULL, count;
	int rc = 0;

	*rank = NULL;
	if (!ek_page_has(page, "clusters/distance.npy"))
		return 0;
	EK_TRY(ek_run_npy_open(&distance, page->run, "clusters/distance.npy", EK_F32, 1,
	                       (const uint64_t[]){ UINT64_MAX }));
	if (distance.shape[0] != page->images)
		goto out;
	EK_TRY(ek_alloc(rank, page->images, sizeof **rank));
	EK_TRY(ek_alloc(&order, page->images, sizeof *order));
	EK_TRY(ek_score_order(order, *rank, &count, distance.data, page->images, 1));
out:
	ek_npy_close(&distance);
	free(order);
	return rc;
}

static int correlation_row(struct ek_page *page, const char *name, const float *own, const float *distance,
                           const struct ek_score_set *const *sets, size_t count)
{
	struct ek_html *h = &page->html;
	int rc = 0;

	ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", name);
	for (size_t i = 0; i < count + (distance != NULL); i++) {
		const float *other = i < count ? sets[i]->rank : distance;
		double r;

		EK_TRY(ek_score_correlation(&r, own, other, page->images));
		if (!isfinite(r))
			ek_html(h, "<td class=\"h0\" data-v=\"-9\">\xe2\x80\x93</td>");
		else
			ek_html(h, "<td class=\"h%d\" data-v=\"%.4f\">%s</td>", (int)(fmax(r, 0) * 9.999), r,
			        ek_decimal(r, 2).s);
	}
	ek_html(h, "</tr>");
out:
	return rc;
}

/* How far scores say the same. */
static int agreement(struct ek_page *page)
{
	const struct ek_score_set *sets[EK_PAGE_PLANS];
	struct ek_html *h = &page->html;
	float *distance = NULL;
	size_t count = 0;
	int rc;

	for (size_t i = 0; i < page->scores.count && i < EK_PAGE_PLANS; i++)
		if (page->scores.items[i].order != NULL)
			sets[count++] = &page->scores.items[i];
	EK_TRY(load_distance(&distance, page));
	if (count + (distance != NULL) < 2)
		goto out;
	ek_html(h, "<h3>How far they agree</h3><div class=\"scroll\"><table class=\"heat agreement\"><caption>Rank "
	           "correlation (Spearman), the hard end of each first: 1 is the same order, 0 no relation, below 0 "
	           "the other way round</caption><thead><tr><th scope=\"col\">Scores</th>");
	for (size_t i = 0; i < count; i++)
		ek_html(h, "<th scope=\"col\"><bdi>%s</bdi></th>", sets[i]->name);
	ek_html(h, distance != NULL ? "<th scope=\"col\">distance to the centroid</th></tr></thead><tbody>"
	                            : "</tr></thead><tbody>");
	for (size_t i = 0; i < count; i++)
		EK_TRY(correlation_row(page, sets[i]->name, sets[i]->rank, distance, sets, count));
	if (distance != NULL)
		EK_TRY(correlation_row(page, "distance to the centroid", distance, distance, sets, count));
	ek_html(h, "</tbody></table></div>");
out:
	free(distance);
	return rc;
}

static int one(struct ek_page *page, size_t i, const int32_t *cluster, const struct ek_columns *columns)
{
	const struct ek_score_set *s = &page->scores.items[i];
	struct ek_html *h = &page->html;
	int rc;

	introduce(page, s);
	spread(page, s, i);
	EK_TRY(label_errors(page, s));
	ek_html(h, "<div class=\"sheet ends\">");
	if (s->suspect_count == 0)
		row(page, s, "Hardest", 0);
	row(page, s, s->suspect_count == 0 ? "Easiest" : "Least doubtful", 1);
	ek_html(h, "</div>");
	EK_TRY(whom(page, s, cluster, columns));
out:
	return rc;
}

int ek_chapter_scores(struct ek_page *page)
{
	struct ek_columns columns = { 0 };
	struct ek_npy assignment = { 0 };
	struct ek_html *h = &page->html;
	int rc = 0;

	if (page->has_pictures)
		EK_TRY(ek_columns_load(&columns, page->run));
	if (page->k > 0 && ek_page_has(page, "clusters/assignment.npy")) {
		EK_TRY(ek_run_npy_open(&assignment, page->run, "clusters/assignment.npy", EK_I32, 1,
		                       (const uint64_t[]){ UINT64_MAX }));
	}
	ek_html(h, "<p class=\"intro\">A score gives every image a number: how hard, untypical or doubtful it is. "
	           "Pruning by it keeps one end, or the middle.</p>");
	for (size_t i = 0; i < page->scores.count && i < EK_PAGE_PLANS; i++)
		EK_TRY(one(page, i, assignment.shape[0] == page->images ? assignment.data : NULL, &columns));
	if (page->scores.count > EK_PAGE_PLANS)
		ek_html(h, "<p class=\"note\">The first %d of %s scores.</p>", (int)EK_PAGE_PLANS,
		        ek_count(page->scores.count).s);
	EK_TRY(agreement(page));
	rc = h->rc;
out:
	ek_columns_release(&columns);
	ek_npy_close(&assignment);
	return rc;
}
