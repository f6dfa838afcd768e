/*
 * The page that a manager reads first: what was skewed, what was done, what that changed for the worst cluster, and
 * what it cost. It compares an evaluation of a generator that learned from the images as they come with one of a
 * generator that learned from a plan.
 */
#include "reports/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/comparison.h"

/* Plans, and generators, that are named. */
enum { DONE = 3 };

#define ARROW " \xe2\x86\x92 "

static double value_of(const cJSON *object, const char *name)
{
	return ek_measure_of(object, name).value;
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
	/* The same two as the chapter Comparison would set them side by side; `change`: of `after`, with its
	 * differences to `before`. */
	const struct ek_comparison_row *base;
	struct ek_comparison_row *change;
};

static int is_better(const struct pair *a, const struct pair *b)
{
	if (b->before == NULL || a->is_even != b->is_even)
		return b->before == NULL || a->is_even > b->is_even;
	if (a->is_alike != b->is_alike)
		return a->is_alike > b->is_alike;
	return a->change->generated > b->change->generated;
}

/* NULL: it cannot be compared with anything. */
static struct ek_comparison_row *row_of(const struct ek_comparison *c, const struct ek_evaluation *e)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->rows[i].name, e->name) == 0)
			return &c->rows[i];
	return NULL;
}

/* Could `after` be what a plan made of `before`? */
static int is_pair(struct ek_page *page, const struct pair *p)
{
	const struct ek_evaluation_plan before = ek_evaluation_plan_of(page, p->before);
	const struct ek_evaluation_plan after = ek_evaluation_plan_of(page, p->after);

	return before.is_natural && (after.subset != NULL || after.weights != NULL) &&
	       (p->before->rows == NULL) == (p->after->rows == NULL) && ek_comparison_alike(p->base, p->change);
}

/* Natural against balanced: a plan that evens out before another, then the most images, then by name. */
static int find_pair(struct pair *best, struct ek_page *page, struct ek_comparison *c)
{
	const struct ek_evaluations *evaluations = &page->evaluations;
	struct ek_comparison_row **rows = NULL;
	size_t odd;
	int rc;

	*best = (struct pair){ 0 };
	EK_TRY(ek_comparison_add(c, page->run, &odd));
	EK_TRY(ek_alloc(&rows, evaluations->count, sizeof(struct ek_comparison_row *)));
	for (size_t i = 0; i < evaluations->count; i++)
		rows[i] = row_of(c, &evaluations->items[i]);
	for (size_t i = 0; i < evaluations->count; i++)
		for (size_t j = 0; j < evaluations->count && rows[i] != NULL; j++) {
			struct pair p = { .before = &evaluations->items[i],
				          .after = &evaluations->items[j],
				          .base = rows[i],
				          .change = rows[j] };

			if (i == j || p.change == NULL || !is_pair(page, &p))
				continue;
			p.is_even = ek_evaluation_plan_of(page, p.after).is_even;
			p.is_alike = asked_alike(page, p.before, p.after);
			if (is_better(&p, best))
				*best = p;
		}
	if (best->before != NULL)
		EK_TRY(ek_comparison_against(best->change, best->base));
out:
	free(rows);
	return rc;
}

/* The cluster that was worst off before: by coverage where that was measured. −1: it is not known. */
static int64_t worst_of(const struct ek_page *page, const struct ek_evaluation *e)
{
	const cJSON *worst = ek_json_member(e->json, "worst_cluster");
	const double cluster = ek_number_of(worst, "cluster");

	return e->rows != NULL && cluster >= 0 && cluster < (double)page->k ? (int64_t)cluster : -1;
}

/* Was it chosen for how little of it is made, not for how little of it is covered? */
static int is_by_ratio(const struct ek_evaluation *e)
{
	return strcmp(ek_text_of(ek_json_member(e->json, "worst_cluster"), "by", ""), "ratio") == 0;
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

static void group_figures(struct ek_html *h, const struct pair *p)
{
	const char *worst = ek_text_of(ek_json_member(p->before->json, "worst_group"), "group", "?");
	struct ek_compared was, is, made;

	if (ek_comparison_group(&was, &made, p->base, worst) && ek_comparison_group(&is, &made, p->change, worst))
		share_figure(h, worst, was.value, is.value, "of its real images have a generated one near them");
	share_figure(h, "All groups alike", p->base->values[EK_CMP_GROUP_COVERAGE].value,
	             p->change->values[EK_CMP_GROUP_COVERAGE].value,
	             "of the real images have a generated one near them, mean over groups");
}

static void figures(struct ek_page *page, const struct pair *p)
{
	const int64_t worst = worst_of(page, p->before);
	const double fd[2] = { value_of(p->before->json, "frechet_distance"),
		               value_of(p->after->json, "frechet_distance") };
	struct ek_html *h = &page->html;
	char name[64];

	ek_html(h, "<dl class=\"figures\">");
	if (ek_json_member(p->before->json, "worst_group") != NULL) {
		group_figures(h, p);
	} else if (worst >= 0) {
		const char *by = is_by_ratio(p->before) ? "generated_share" : "coverage";

		(void)snprintf(name, sizeof name, "Worst cluster, %lu", (unsigned long)worst);
		share_figure(h, name, value_of(p->before->rows[worst], by), value_of(p->after->rows[worst], by),
		             is_by_ratio(p->before) ? "of the generated images lie in it"
		                                    : "of its real images have a generated one near them");
	}
	if (ek_json_member(p->before->json, "worst_group") == NULL)
		share_figure(h, "All clusters alike", value_of(p->before->json, "coverage_macro"),
		             value_of(p->after->json, "coverage_macro"),
		             "of the real images have a generated one near them, mean over clusters");
	if (isfinite(fd[0]) && isfinite(fd[1]))
		figure(h, "Distance as a whole (FD)", ek_figure(fd[0]).s, ek_figure(fd[1]).s,
		       "smaller is nearer to the real images");
	share_figure(h, "Possible copies", value_of(ek_json_member(p->before->json, "memorisation"), "copies_share"),
	             value_of(ek_json_member(p->after->json, "memorisation"), "copies_share"),
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

/* "; 12 images without a value of label are left out" */
static void without_value(struct ek_html *h, const cJSON *json, const char *what_becomes)
{
	const double unscored = ek_json_number(json, "without_score");
	const double without = ek_number_of(json, "without_value") - unscored;

	if (unscored > 0)
		ek_html(h, "; %s without a score %s %s", ek_number_noun(ek_whole(unscored), "image").s,
		        unscored > 1 ? "are" : "is", what_becomes);
	if (without > 0)
		ek_html(h, "; %s without a value of <bdi>%s</bdi> %s %s", ek_number_noun(ek_whole(without), "image").s,
		        ek_text_of(json, "by", "?"), without > 1 ? "are" : "is", what_becomes);
}

static void subset_line(struct ek_html *h, const struct ek_subset_plan *plan)
{
	const char *by = ek_text_of(ek_json_member(plan->json, "options"), "by", "cluster");

	ek_html(h, "<li>The subset <bdi>%s</bdi>: a list of %s of the images", plan->name,
	        ek_decimal(ek_number_of(plan->json, "images_after"), 0).s);
	if (strcmp(ek_text_of(plan->json, "command", ""), "balance") == 0)
		ek_html(h, strcmp(by, "cluster") == 0 ? ", the clusters evened out" : ", evened out by <bdi>%s</bdi>",
		        by);
	without_value(h, plan->json, "left out");
	ek_html(h, ".</li>");
}

static void sampler_line(struct ek_html *h, const struct ek_weights_plan *plan)
{
	const double visits = ek_number_of(ek_json_member(plan->json, "largest_repeat"), "visits");

	ek_html(h, "<li>The sampler <bdi>%s</bdi>: %s, rare ones are shown more often", plan->name,
	        ek_number_of(plan->json, "without_value") > 0 ? "nothing is removed" : "all images stay");
	if (isfinite(visits))
		ek_html(h, ", at most %s times a pass", ek_decimal(visits, 1).s);
	without_value(h, plan->json, "never shown");
	ek_html(h, ".</li>");
}

/* How many of `count` to name, so that what is left is a line, too. */
static size_t named_of(size_t count)
{
	return count > DONE ? DONE - 1 : count;
}

static int is_named(const char *name, const char *wanted)
{
	return wanted != NULL && strcmp(name, wanted) == 0;
}

/* Those by which a generator that is compared learned first. */
static void plan_lines(struct ek_page *page, const struct pair *p)
{
	const size_t count = plan_count(page), named = named_of(count);
	const struct ek_evaluation_plan used =
		p->after != NULL ? ek_evaluation_plan_of(page, p->after) : (struct ek_evaluation_plan){ 0 };
	struct ek_html *h = &page->html;
	size_t shown = 0;

	for (int compared = 1; compared >= 0; compared--) {
		for (size_t i = 0; i < page->plans.subset_count && shown < named; i++) {
			const struct ek_subset_plan *plan = &page->plans.subsets[i];

			if (plan->is_baseline || is_named(plan->name, used.subset) != compared)
				continue;
			shown++;
			subset_line(h, plan);
		}
		for (size_t i = 0; i < page->plans.weights_count && shown < named; i++) {
			if (is_named(page->plans.weights[i].name, used.weights) != compared)
				continue;
			shown++;
			sampler_line(h, &page->plans.weights[i]);
		}
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
	plan_lines(page, p);
	generator_lines(page, p);
	ek_html(h, "</ul></section>");
}

/* The coverage of a cluster, with Wilson's interval of a share of its real images where the document has none. */
static struct ek_compared coverage_of(const cJSON *row)
{
	const double z = 1.959963984540054, n = ek_number_of(row, "reference_images");
	struct ek_measure m = ek_measure_of(row, "coverage");

	if (!(m.low <= m.high) && m.value >= 0 && m.value <= 1 && n >= 1) {
		const double middle = (m.value + z * z / (2 * n)) / (1 + z * z / n);
		const double half = z * sqrt(m.value * (1 - m.value) / n + z * z / (4 * n * n)) / (1 + z * z / n);

		m.low = middle - half;
		m.high = middle + half;
	}
	return (struct ek_compared){ .value = m.value, .low = m.low, .high = m.high };
}

/* Its share of the generated images, whose interval lies beside it. */
static struct ek_compared share_of(const cJSON *row)
{
	const struct ek_measure m = ek_interval_of(row);

	return (struct ek_compared){ .value = value_of(row, "generated_share"), .low = m.low, .high = m.high };
}

/* Begins a sentence that ends with the verdict. */
static void verdict_words(struct ek_html *h, const char *begin, const struct ek_compared *after,
                          const struct ek_compared *before)
{
	const char *words = ek_difference_words[ek_comparison_verdict(after, before)];

	if (fabs(after->value - before->value) > 0 && *words != 0)
		ek_html(h, "%s %s. ", begin, words);
}

static void coverage_words(struct ek_page *page, const struct pair *p, size_t cluster)
{
	const struct ek_compared before = coverage_of(p->before->rows[cluster]),
				 after = coverage_of(p->after->rows[cluster]);
	const double difference = after.value - before.value;
	struct ek_html *h = &page->html;

	if (!isfinite(difference))
		return;
	ek_html(h, "Of its real images <b>%s</b> had a generated one near them; %s it is <b>%s</b>",
	        ek_percent_whole(before.value).s, p->is_even ? "after evening out" : "with the plan",
	        ek_percent_whole(after.value).s);
	ek_html(h, difference > 0 ? ". " : difference < 0 ? ": it became worse. " : ": nothing changed. ");
	verdict_words(h, "That is", &after, &before);
}

static void share_words(struct ek_page *page, const struct pair *p, size_t cluster)
{
	const struct ek_compared before = share_of(p->before->rows[cluster]), after = share_of(p->after->rows[cluster]);
	struct ek_html *h = &page->html;

	if (!isfinite(after.value - before.value))
		return;
	ek_html(h, "It got <b>%s</b> of the generated images, now <b>%s</b>; of the real ones it has %s. ",
	        ek_percent(before.value).s, ek_percent(after.value).s, ek_percent(page->clusters[cluster].share).s);
	verdict_words(h, "What its share changed by is", &after, &before);
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

/* Where labels taught groups they are what is asked about, and not the clusters. 1: told. */
static int change_of_groups(struct ek_page *page, const struct pair *p)
{
	const struct ek_compared *before = &p->base->values[EK_CMP_GROUP_COVERAGE];
	const struct ek_compared *after = &p->change->values[EK_CMP_GROUP_COVERAGE];
	const cJSON *now = ek_json_member(p->after->json, "worst_group");
	const char *worst = ek_text_of(ek_json_member(p->before->json, "worst_group"), "group", NULL);
	struct ek_compared was, is, made, makes;
	struct ek_html *h = &page->html;

	if (worst == NULL || !ek_comparison_group(&was, &made, p->base, worst) ||
	    !ek_comparison_group(&is, &makes, p->change, worst))
		return 0;
	ek_html(h,
	        "<section><h2>What changed for the named groups</h2><p>Covered least was <bdi>%s</bdi>: of its real "
	        "images <b>%s</b> had a generated one near them, now <b>%s</b>. ",
	        worst, ek_percent_whole(was.value).s, ek_percent_whole(is.value).s);
	verdict_words(h, "That is", &is, &was);
	ek_html(h, "It got <b>%s</b> of the generated images, now <b>%s</b>. ", ek_percent(made.value).s,
	        ek_percent(makes.value).s);
	verdict_words(h, "What its share changed by is", &makes, &made);
	ek_html(h, "</p><p>All groups counted alike, coverage went from %s to %s. ", ek_percent_whole(before->value).s,
	        ek_percent_whole(after->value).s);
	verdict_words(h, "That is", after, before);
	if (strcmp(ek_text_of(now, "group", worst), worst) != 0)
		ek_html(h, "Covered least now is <bdi>%s</bdi>, to %s. ", ek_text_of(now, "group", "?"),
		        ek_percent_whole(value_of(now, "coverage")).s);
	ek_html(h, "Which group an image is of was learned from labels of a few. "
	           "<a href=\"#evaluation\">Every group, and every cluster.</a></p></section>");
	return 1;
}

static void what_it_changed(struct ek_page *page, const struct pair *p)
{
	const int64_t worst = worst_of(page, p->before), now = worst_of(page, p->after);
	struct ek_html *h = &page->html;

	if (change_of_groups(page, p))
		return;
	ek_html(h, "<section><h2>What changed for the worst cluster</h2>");
	if (worst >= 0)
		change_of(page, p, (size_t)worst);
	else
		ek_html(h, "<p>The evaluations do not say which cluster is worst off, or count other clusters than the "
		           "run has now.</p>");
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

/* Before anything is said of what differs. */
static void reservation(struct ek_page *page, const struct pair *p)
{
	if (ek_comparison_unequal(p->base, p->change))
		ek_html(&page->html,
		        "<p class=\"warning\"><b>Take care</b>: the two generators were trained for %s and %s steps. "
		        "They "
		        "are not comparable as two ways to choose images: what differs may come of the training.</p>",
		        ek_count(ek_whole(p->base->steps)).s, ek_count(ek_whole(p->change->steps)).s);
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
	if (p->change->note != NULL)
		ek_html(h, "<p class=\"note\"><bdi>%s</bdi> was made in another way: %s.</p>", p->after->name,
		        p->change->note);
}

static void what_it_cost(struct ek_page *page, const struct pair *p)
{
	const struct ek_compared *before = &p->base->values[EK_CMP_FD], *after = &p->change->values[EK_CMP_FD];
	const enum ek_difference verdict = ek_comparison_verdict(after, before);
	const double difference = after->value - before->value;
	struct ek_html *h = &page->html;
	double low, high;

	ek_html(h, "<section><h2>What it cost</h2><p>");
	if (!isfinite(difference)) {
		ek_html(h, "The distance of all generated images to the real ones was not measured.</p></section>");
		return;
	}
	ek_html(h, "The distance of all generated images to the real ones (%s) went from %s to %s: <b>%s %s</b>",
	        ek_text_of(p->after->json, "metric", "FD"), ek_figure(before->value).s, ek_figure(after->value).s,
	        ek_figure(fabs(difference)).s, difference > 0 ? "further away" : "nearer");
	if (ek_comparison_interval(&low, &high, after, before))
		ek_html(h, " (change %s, 95\xe2\x80\xaf%% interval %s to %s)", ek_figure(difference).s,
		        ek_figure(low).s, ek_figure(high).s);
	ek_html(h, verdict == EK_DIFFERENCE_UNKNOWN ? ", %s." : ", which is <b>%s</b>.", ek_difference_words[verdict]);
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
	struct ek_comparison comparison = { 0 };
	struct ek_html *h = &page->html;
	struct pair pair;
	int rc;

	EK_TRY(find_pair(&pair, page, &comparison));
	ek_page_headline(page);
	if (pair.before != NULL) {
		reservation(page, &pair);
		figures(page, &pair);
	}
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
	rc = h->rc;
out:
	ek_comparison_release(&comparison);
	return rc;
}
