/*
 * The page that a manager reads first: what was skewed, what was done, what that changed for the worst cluster, and
 * what it cost. It compares an evaluation of a generator that learned from the images as they come with one of a
 * generator that learned from a plan.
 */
#include "reports/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Plans, and generators, that are named. */
enum { DONE = 3 };

#define ARROW " \xe2\x86\x92 "

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double value_of(const cJSON *object, const char *name)
{
	return ek_measure_of(object, name).value;
}

static int same(const struct ek_evaluation *a, const struct ek_evaluation *b, const char *object, const char *name)
{
	const cJSON *x = object == NULL ? member(a->json, name) : member(member(a->json, object), name);
	const cJSON *y = object == NULL ? member(b->json, name) : member(member(b->json, object), name);

	return x == y || cJSON_Compare(x, y, 1);
}

/* Computed in the same way from as many images, so that their numbers can be compared. */
static int are_comparable(const struct ek_evaluation *a, const struct ek_evaluation *b)
{
	return same(a, b, NULL, "metric") && same(a, b, "encoder", "name") && same(a, b, "reference", "what") &&
	       same(a, b, "reference", "images") && same(a, b, "generated", "images") && same(a, b, NULL, "k") &&
	       (a->rows == NULL) == (b->rows == NULL);
}

/* Was the same number of images asked for of each cluster? */
static int asked_alike(const struct ek_page *page, const struct ek_evaluation *a, const struct ek_evaluation *b)
{
	for (size_t c = 0; a->rows != NULL && c < page->k; c++) {
		const double x = ek_number_of(a->rows[c], "asked"), y = ek_number_of(b->rows[c], "asked");

		if (isfinite(x) != isfinite(y) || x < y || x > y)
			return 0;
	}
	return 1;
}

struct pair {
	const struct ek_evaluation *before, *after;
	int is_even, is_alike; /* the plan evens out; asked_alike */
};

static int is_better(const struct pair *a, const struct pair *b)
{
	if (b->before == NULL || a->is_even != b->is_even)
		return b->before == NULL || a->is_even > b->is_even;
	if (a->is_alike != b->is_alike)
		return a->is_alike > b->is_alike;
	return ek_number_of(member(a->after->json, "generated"), "images") >
	       ek_number_of(member(b->after->json, "generated"), "images");
}

/* Natural against balanced: a plan that evens out before another, then the most images, then by name. */
static struct pair find_pair(const struct ek_page *page)
{
	struct pair best = { 0 };

	for (size_t i = 0; i < page->evaluations.count; i++)
		for (size_t j = 0; j < page->evaluations.count; j++) {
			struct pair p = { &page->evaluations.items[i], &page->evaluations.items[j], 0, 0 };
			const struct ek_evaluation_plan before = ek_evaluation_plan_of(page, p.before);
			const struct ek_evaluation_plan after = ek_evaluation_plan_of(page, p.after);

			if (!before.is_natural || (after.subset == NULL && after.weights == NULL) ||
			    !are_comparable(p.before, p.after))
				continue;
			p.is_even = after.is_even;
			p.is_alike = asked_alike(page, p.before, p.after);
			if (is_better(&p, &best))
				best = p;
		}
	return best;
}

/* The cluster that was worst off before: by coverage where that was measured. −1: it is not known. */
static int64_t worst_of(const struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *worst = member(e->json, "worst_cluster");
	const double cluster = ek_number_of(worst, "cluster");

	return e->rows != NULL && cluster >= 0 && cluster < (double)page->k ? (int64_t)cluster : -1;
}

/* Was it chosen for how little of it is made, not for how little of it is covered? */
static int is_by_ratio(const struct ek_evaluation *e)
{
	return strcmp(ek_text_of(member(e->json, "worst_cluster"), "by", ""), "ratio") == 0;
}

static void figure(struct ek_html *h, const char *name, const char *before, const char *after, const char *note)
{
	ek_html(h, "<div><dt>%s</dt><dd><b>%s" ARROW "%s</b><span>%s</span></dd></div>", name, before, after, note);
}

static void share_figure(struct ek_html *h, const char *name, double before, double after, const char *note)
{
	if (isfinite(before) && isfinite(after))
		figure(h, name, ek_percent_whole(before).s, ek_percent_whole(after).s, note);
}

static void figures(struct ek_page *page, const struct pair *p)
{
	const int64_t worst = worst_of(page, p->before);
	const double fd[2] = { value_of(p->before->json, "frechet_distance"),
		               value_of(p->after->json, "frechet_distance") };
	struct ek_html *h = &page->html;
	char name[64];

	ek_html(h, "<dl class=\"figures\">");
	if (worst >= 0) {
		const char *by = is_by_ratio(p->before) ? "generated_share" : "coverage";

		(void)snprintf(name, sizeof name, "Worst cluster, %lu", (unsigned long)worst);
		share_figure(h, name, value_of(p->before->rows[worst], by), value_of(p->after->rows[worst], by),
		             is_by_ratio(p->before) ? "of the generated images lie in it"
		                                    : "of its real images have a generated one near them");
	}
	share_figure(h, "All clusters alike", value_of(p->before->json, "coverage_macro"),
	             value_of(p->after->json, "coverage_macro"),
	             "of the real images have a generated one near them, mean over clusters");
	if (isfinite(fd[0]) && isfinite(fd[1]))
		figure(h, "Distance as a whole (FD)", ek_figure(fd[0]).s, ek_figure(fd[1]).s,
		       "smaller is nearer to the real images");
	share_figure(h, "Possible copies", value_of(member(p->before->json, "memorisation"), "copies_share"),
	             value_of(member(p->after->json, "memorisation"), "copies_share"),
	             "of training images, to look at");
	ek_html(h, "</dl>");
}

static void what_was_skewed(struct ek_page *page)
{
	const size_t tail = ek_page_tail_count(page);
	struct ek_html *h = &page->html;

	ek_html(h, "<section><h2>What was skewed</h2><p>%s in %s; an even share would be %s. The largest, ",
	        ek_number_noun(page->images, "image").s, ek_number_noun(page->k, "cluster").s,
	        ek_percent(1 / (double)page->k).s);
	ek_page_cluster(page, page->descending[0], "cluster ");
	ek_html(h, ", holds %s; the smallest, ", ek_percent(page->clusters[page->descending[0]].share).s);
	ek_page_cluster(page, page->descending[page->k - 1], "cluster ");
	ek_html(h, ", %s. ", ek_percent(page->clusters[page->descending[page->k - 1]].share).s);
	if (tail > 0)
		ek_html(h, "%s hold%s less than half of an even share.", ek_number_noun(tail, "cluster").s,
		        tail == 1 ? "s" : "");
	ek_html(h, "</p></section>");
}

static size_t plan_count(const struct ek_page *page)
{
	size_t count = page->plans.weights_count;

	for (size_t i = 0; i < page->plans.subset_count; i++)
		count += !page->plans.subsets[i].is_baseline;
	return count;
}

/* How many of `count` to name, so that what is left is a line, too. */
static size_t named_of(size_t count)
{
	return count > DONE ? DONE - 1 : count;
}

static void plan_lines(struct ek_page *page)
{
	const size_t count = plan_count(page), named = named_of(count);
	struct ek_html *h = &page->html;
	size_t shown = 0;

	for (size_t i = 0; i < page->plans.subset_count && shown < named; i++) {
		const struct ek_subset_plan *plan = &page->plans.subsets[i];

		if (plan->is_baseline)
			continue;
		shown++;
		ek_html(h, "<li>The subset <bdi>%s</bdi>: a list of %s of the images%s.</li>", plan->name,
		        ek_decimal(ek_number_of(plan->json, "images_after"), 0).s,
		        strcmp(ek_text_of(plan->json, "command", ""), "balance") == 0 ? ", the clusters evened out"
		                                                                      : "");
	}
	for (size_t i = 0; i < page->plans.weights_count && shown < named; i++, shown++) {
		const struct ek_weights_plan *plan = &page->plans.weights[i];
		const double visits = ek_number_of(member(plan->json, "largest_repeat"), "visits");

		ek_html(h, "<li>The sampler <bdi>%s</bdi>: all images stay, rare ones are shown more often",
		        plan->name);
		if (isfinite(visits))
			ek_html(h, ", at most %s times a pass", ek_decimal(visits, 1).s);
		ek_html(h, ".</li>");
	}
	if (count > named)
		ek_html(h, "<li>%s more, in the chapter <a href=\"#plan\">Plan</a>.</li>",
		        ek_number_noun(count - named, "plan").s);
}

static void generator_line(struct ek_html *h, const struct ek_model *model)
{
	const char *subset = ek_model_subset(model), *weights = ek_model_weights(model);

	ek_html(h, "<li>The generator <bdi>%s</bdi> learned from ", model->name);
	if (subset == NULL && weights == NULL)
		ek_html(h, "the images as they come");
	else if (subset != NULL)
		ek_html(h, "the subset <bdi>%s</bdi>", subset);
	if (weights != NULL)
		ek_html(h, "%sthe sampler <bdi>%s</bdi>", subset != NULL ? ", by " : "", weights);
	ek_html(h, ".</li>");
}

/* Is it one of the two that are compared? */
static int is_compared(const struct ek_page *page, const struct pair *p, const struct ek_model *model)
{
	return p->before != NULL &&
	       (ek_models_find(&page->models, ek_evaluation_plan_of(page, p->before).model) == model ||
	        ek_models_find(&page->models, ek_evaluation_plan_of(page, p->after).model) == model);
}

/* Those that are compared first. */
static void generator_lines(struct ek_page *page, const struct pair *p)
{
	struct ek_html *h = &page->html;
	size_t count = 0, named, shown = 0;

	for (size_t i = 0; i < page->models.count; i++)
		count += ek_model_is_generator(&page->models.items[i]) != 0;
	named = named_of(count);
	for (int compared = 1; compared >= 0; compared--)
		for (size_t i = 0; i < page->models.count && shown < named; i++) {
			const struct ek_model *model = &page->models.items[i];

			if (!ek_model_is_generator(model) || is_compared(page, p, model) != compared)
				continue;
			generator_line(h, model);
			shown++;
		}
	if (count > named)
		ek_html(h, "<li>%s more, in the chapter <a href=\"#training\">Training</a>.</li>",
		        ek_number_noun(count - named, "generator").s);
}

static void what_was_done(struct ek_page *page, const struct pair *p)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<section><h2>What was done</h2><ul>");
	plan_lines(page);
	generator_lines(page, p);
	ek_html(h, "</ul></section>");
}

/* Do two intervals leave it open which value is larger? 0 where one is not known. */
static int overlap(struct ek_measure a, struct ek_measure b)
{
	return a.low <= b.high && b.low <= a.high;
}

/* The coverage of a cluster, with Wilson's interval of a share of its real images where the document has none. */
static struct ek_measure coverage_of(const cJSON *row)
{
	const double z = 1.959963984540054, n = ek_number_of(row, "reference_images");
	struct ek_measure m = ek_measure_of(row, "coverage");

	if (!(m.low <= m.high) && m.value >= 0 && m.value <= 1 && n >= 1) {
		const double middle = (m.value + z * z / (2 * n)) / (1 + z * z / n);
		const double half = z * sqrt(m.value * (1 - m.value) / n + z * z / (4 * n * n)) / (1 + z * z / n);

		m.low = middle - half;
		m.high = middle + half;
	}
	return m;
}

static void coverage_words(struct ek_page *page, const struct pair *p, size_t cluster)
{
	const struct ek_measure before = coverage_of(p->before->rows[cluster]),
				after = coverage_of(p->after->rows[cluster]);
	const double difference = after.value - before.value;
	struct ek_html *h = &page->html;

	if (!isfinite(difference))
		return;
	ek_html(h, "Of its real images <b>%s</b> had a generated one near them; %s it is <b>%s</b>",
	        ek_percent_whole(before.value).s, p->is_even ? "after evening out" : "with the plan",
	        ek_percent_whole(after.value).s);
	ek_html(h, difference > 0 ? ". " : difference < 0 ? ": it became worse. " : ": nothing changed. ");
	if (fabs(difference) > 0 && overlap(before, after))
		ek_html(h, "The intervals overlap: it may be chance. ");
}

static void share_words(struct ek_page *page, const struct pair *p, size_t cluster)
{
	const cJSON *before = p->before->rows[cluster], *after = p->after->rows[cluster];
	const double share[2] = { value_of(before, "generated_share"), value_of(after, "generated_share") };
	struct ek_html *h = &page->html;

	if (!isfinite(share[0]) || !isfinite(share[1]))
		return;
	ek_html(h, "It got <b>%s</b> of the generated images, now <b>%s</b>%s; of the real ones it has %s. ",
	        ek_percent(share[0]).s, ek_percent(share[1]).s,
	        overlap(ek_interval_of(before), ek_interval_of(after)) ? " (within chance)" : "",
	        ek_percent(page->clusters[cluster].share).s);
}

/* What it was called worst for comes first. */
static void change_of(struct ek_page *page, const struct pair *p, size_t cluster)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<p>Worst off was ");
	ek_page_cluster(page, cluster, "cluster ");
	ek_html(h, ". ");
	if (is_by_ratio(p->before))
		share_words(page, p, cluster);
	coverage_words(page, p, cluster);
	if (!is_by_ratio(p->before))
		share_words(page, p, cluster);
	ek_html(h, "</p>");
}

static void what_it_changed(struct ek_page *page, const struct pair *p)
{
	const int64_t worst = worst_of(page, p->before), now = worst_of(page, p->after);
	struct ek_html *h = &page->html;

	ek_html(h, "<section><h2>What changed for the worst cluster</h2>");
	if (worst >= 0)
		change_of(page, p, (size_t)worst);
	else
		ek_html(h, "<p>The evaluations do not say which cluster is worst off, or count other clusters than the "
		           "run "
		           "has now.</p>");
	ek_html(h, "<p>");
	if (worst >= 0 && now >= 0 && now != worst) {
		ek_html(h, "Worst off now is ");
		ek_page_cluster(page, (uint64_t)now, "cluster ");
		if (is_by_ratio(p->after))
			ek_html(h, ", with %s of the generated images",
			        ek_percent(value_of(p->after->rows[now], "generated_share")).s);
		else
			ek_html(h, ", with %s", ek_percent_whole(value_of(p->after->rows[now], "coverage")).s);
		ek_html(h, ". ");
	}
	ek_html(h, "</p></section>");
}

static void what_was_compared(struct ek_page *page, const struct pair *p)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<p class=\"note\">Compared: <bdi>%s</bdi> and <bdi>%s</bdi>, each ", p->before->name,
	        p->after->name);
	ek_page_computed_from(h, p->after);
	ek_html(h, "%s.</p>",
	        p->is_alike ? ""
	                    : "; they were not asked for the same number of each cluster, which is part of the "
	                      "difference");
}

/* What two sets of one generator, drawn with different seeds, mostly stay within of each other: twice the deviation of
 * their difference. NaN where it is not known. */
static double seed_noise(const struct pair *p)
{
	const cJSON *a = member(member(p->before->json, "spread"), "frechet_distance");
	const cJSON *b = member(member(p->after->json, "spread"), "frechet_distance");
	const double x = ek_number_of(a, "std"), y = ek_number_of(b, "std");

	return ek_number_of(a, "n") >= 2 && ek_number_of(b, "n") >= 2 ? 2 * sqrt(x * x + y * y) : (double)NAN;
}

static void what_it_cost(struct ek_page *page, const struct pair *p)
{
	const double before = value_of(p->before->json, "frechet_distance"),
		     after = value_of(p->after->json, "frechet_distance");
	const double noise = seed_noise(p), difference = after - before;
	struct ek_html *h = &page->html;

	ek_html(h, "<section><h2>What it cost</h2><p>");
	if (!isfinite(difference)) {
		ek_html(h, "The distance of all generated images to the real ones was not measured.</p></section>");
		return;
	}
	ek_html(h, "The distance of all generated images to the real ones (%s) went from %s to %s: <b>%s %s</b>. ",
	        ek_text_of(p->after->json, "metric", "FD"), ek_figure(before).s, ek_figure(after).s,
	        ek_figure(fabs(difference)).s, difference > 0 ? "further away" : "nearer");
	if (!isfinite(noise))
		ek_html(h, "How far other seeds would change it has not been measured.");
	else if (fabs(difference) <= noise)
		ek_html(h, "That is <b>within what different seeds give</b> (up to %s).", ek_figure(noise).s);
	else
		ek_html(h, "That is more than different seeds give (up to %s).", ek_figure(noise).s);
	ek_html(h, "</p></section>");
}

static void not_measured(struct ek_page *page)
{
	struct ek_html *h = &page->html;

	ek_html(h,
	        "<section><h2>What it changed, and what it cost</h2><p>Not measured yet. It takes two evaluations made "
	        "alike: of a generator that learned from the images as they come, and of one that learned from a "
	        "plan.</p><p>%s</p></section>",
	        page->evaluations.count == 0
	                ? "There is no evaluation yet."
	                : "The evaluations there are cannot be compared so; the chapter Evaluation "
	                  "has what each says.");
}

int ek_chapter_summary(struct ek_page *page)
{
	const struct pair pair = find_pair(page);
	struct ek_html *h = &page->html;

	ek_page_headline(page);
	if (pair.before != NULL)
		figures(page, &pair);
	ek_html(h, "<div class=\"answers\">");
	if (page->k >= 2)
		what_was_skewed(page);
	what_was_done(page, &pair);
	if (pair.before != NULL) {
		what_it_changed(page, &pair);
		what_it_cost(page, &pair);
	} else {
		not_measured(page);
	}
	ek_html(h, "</div>");
	if (pair.before != NULL)
		what_was_compared(page, &pair);
	return h->rc;
}
