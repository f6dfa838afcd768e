/* What the generators made: how, how many of what, and pictures, the rare kinds first. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

enum { COUNTS_OPEN = 12 };

static const struct {
	const char *name, *words;
} solvers[] = {
	{ "euler", "Euler" },
	{ "heun", "Heun" },
	{ "dopri5", "Dormand and Prince, steps by the error" },
	{ "sde", "with noise on the way" },
	{ "ancestral", "ancestral" },
};

static const char *solver_words(const char *name)
{
	for (size_t i = 0; i < sizeof solvers / sizeof *solvers; i++)
		if (strcmp(solvers[i].name, name) == 0)
			return solvers[i].words;
	return name;
}

static double guidance_of(const struct ek_sample_set *set)
{
	return ek_number_of(ek_json_member(set->json, "guidance"), "scale");
}

static const char *condition_of(const struct ek_sample_set *set)
{
	const char *condition = ek_text_of(set->json, "condition", "cluster");

	return strcmp(condition, "none") == 0 ? "class" : condition;
}

static uint64_t count_of(const struct ek_sample_set *set)
{
	return set->count > 0 ? set->count : ek_whole(ek_number_of(set->json, "count"));
}

static void number(struct ek_html *h, double value, int places)
{
	ek_page_number(h, value, ek_decimal(value, places), 0);
}

static void table(struct ek_page *page)
{
	static const char *const names[] = { "Set",      "#Images", "Model",  "#Its step",
		                             "#Classes", "Solver",  "#Steps", "#Guidance" };
	struct ek_html *h = &page->html;

	ek_page_table_head(h, "All sets of generated images", names, sizeof names / sizeof *names);
	for (size_t i = 0; i < page->samples.count; i++) {
		const struct ek_sample_set *set = &page->samples.items[i];
		const cJSON *classes = ek_json_member(set->json, "classes");

		ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi></th>", set->name);
		number(h, (double)count_of(set), 0);
		ek_html(h, "<td><bdi>%s</bdi></td>", ek_text_of(set->json, "model", "\xe2\x80\x93"));
		number(h, ek_number_of(set->json, "model_step"), 0);
		number(h, set->class_count > 0 ? (double)set->class_count : cJSON_GetArraySize(classes), 0);
		ek_html(h, "<td>%s</td>", solver_words(ek_text_of(set->json, "solver", "\xe2\x80\x93")));
		number(h, ek_number_of(set->json, "steps"), 0);
		number(h, guidance_of(set), 1);
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
}

static void how_made(struct ek_page *page, const struct ek_sample_set *set)
{
	const char *model = ek_text_of(set->json, "model", NULL), *solver = ek_text_of(set->json, "solver", NULL);
	const double guidance = guidance_of(set);
	struct ek_html *h = &page->html;

	ek_html(h, "<p><b>%s</b>", ek_number_noun(set->count, "image").s);
	if (model != NULL)
		ek_html(h, " made by the generator <bdi>%s</bdi> as it was after step %s", model,
		        ek_decimal(ek_number_of(set->json, "model_step"), 0).s);
	if (solver != NULL) {
		ek_html(h, ", in %s steps from noise (%s)", ek_decimal(ek_number_of(set->json, "steps"), 0).s,
		        solver_words(solver));
		if (guidance > 1)
			ek_html(h,
			        ", pushed towards what is typical of the class by %s (guidance; 1 would be not at all)",
			        ek_decimal(guidance, 1).s);
		else if (isfinite(guidance))
			ek_html(h, ", without guidance");
	}
	if (isfinite(ek_number_of(set->json, "seed")))
		ek_html(h, "; seed %s", ek_decimal(ek_number_of(set->json, "seed"), 0).s);
	ek_html(h, ".</p>");
}

static void class_name(struct ek_page *page, const struct ek_sample_set *set, const struct ek_sample_class *class)
{
	if (class->cluster >= 0)
		ek_page_cluster(page, (uint64_t) class->cluster, "Cluster ");
	else if (class->name[0] == 0)
		ek_html(&page->html, "All");
	else
		ek_html(&page->html, "%s <bdi>%s</bdi>", condition_of(set), class->name);
}

/* How many of each class; the share of the class among the run's images beside it where it is a cluster. */
static void counts(struct ek_page *page, const struct ek_sample_set *set)
{
	static const char *const names[] = { "Class", "#Generated", "#Part of them", "#Part of the images" };
	const int folded = set->class_count > COUNTS_OPEN;
	const size_t columns = set->classes[0].cluster >= 0 ? 4 : 3;
	struct ek_html *h = &page->html;

	ek_html(h, folded ? "<details><summary>How many of each</summary>" : "");
	ek_page_table_head(h, "Generated images of each class, as they were asked for", names, columns);
	for (size_t i = 0; i < set->class_count && i < EK_PAGE_ROWS; i++) {
		const struct ek_sample_class *class = &set->classes[i];
		const double part = (double)class->count / (double)set->count;

		ek_html(h, "<tr><th scope=\"row\" data-v=\"%zu\">", i);
		class_name(page, set, class);
		ek_html(h, "</th><td class=\"n\" data-v=\"%lu\">%s</td><td class=\"n\" data-v=\"%.9g\">%s</td>",
		        (unsigned long)class->count, ek_count(class->count).s, part, ek_percent(part).s);
		if (columns == 4)
			ek_html(h, "<td class=\"n\" data-v=\"%.9g\">%s</td>",
			        class->cluster >= 0 ? page->clusters[class->cluster].share : -1,
			        class->cluster >= 0 ? ek_percent(page->clusters[class->cluster].share).s
			                            : "\xe2\x80\x93");
		ek_html(h, "</tr>");
	}
	ek_html(h, "</tbody></table></div>");
	if (set->class_count > EK_PAGE_ROWS)
		ek_html(h, "<p class=\"note\">The first of %s classes; all are in samples.jsonl.</p>",
		        ek_count(set->class_count).s);
	ek_html(h, folded ? "</details>" : "");
}

static void pictures(struct ek_page *page, size_t s)
{
	const struct ek_sample_set *set = &page->samples.items[s];
	const size_t rows = ek_page_sample_rows(page, set);
	struct ek_html *h = &page->html;

	if (!page->has_pictures)
		return;
	ek_html(h, "<div class=\"sheet\">");
	for (size_t c = 0; c < rows; c++) {
		const struct ek_sample_class *class = &set->classes[c];
		const int tail = class->cluster >= 0 && page->clusters[class->cluster].tail;

		ek_html(h, "<figure class=\"row\"><figcaption>");
		class_name(page, set, class);
		ek_html(h, tail ? " <span class=\"tag\">tail</span></figcaption>" : "</figcaption>");
		ek_html(h, "<div class=\"pictures\">");
		for (size_t i = 0; i < class->count && i < page->sample_each; i++)
			ek_page_picture(page, ek_sample_key(s, set->order[class->first + i]));
		ek_html(h, "</div></figure>");
	}
	ek_html(h, "</div>");
	if (set->class_count > rows)
		ek_html(h, "<p class=\"note\">The first %zu of %s classes are shown.</p>", rows,
		        ek_count(set->class_count).s);
}

int ek_chapter_samples(struct ek_page *page)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<p class=\"intro\">What the generators made. The smallest clusters come first: they are what "
	           "evening out is for. The first images of each are shown, none was picked by hand.</p>");
	if (page->samples.count > 1)
		table(page);
	for (size_t i = 0; i < page->samples.count && i < EK_PAGE_PLANS; i++) {
		const struct ek_sample_set *set = &page->samples.items[i];

		ek_html(h, "<h3>Generated <bdi>%s</bdi></h3>", set->name);
		how_made(page, set);
		pictures(page, i);
		if (set->class_count > 1)
			counts(page, set);
	}
	if (page->samples.count > EK_PAGE_PLANS)
		ek_html(h, "<p class=\"note\">The first %d sets are shown; the others stand only in the table.</p>",
		        EK_PAGE_PLANS);
	return h->rc;
}
