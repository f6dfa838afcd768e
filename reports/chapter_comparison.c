/* The chapter Comparison: evaluations side by side, curves over the kept fraction, size against the worst cluster. */
#include "reports/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/comparison.h"
#include "reports/curves.h"

/* Columns of the table. */
static const enum ek_compared_measure columns[] = { EK_CMP_FD,    EK_CMP_PRECISION, EK_CMP_RECALL, EK_CMP_COVERAGE,
	                                            EK_CMP_WORST, EK_CMP_MASS,      EK_CMP_RATIO,  EK_CMP_COPIES };
/* Small multiples. */
static const struct {
	enum ek_compared_measure measure;
	const char *id, *hint;
	double most; /* 0 is the least of all of them */
} charts[] = {
	{ EK_CMP_FD, "curve-fd", "lower is better", INFINITY },
	{ EK_CMP_PRECISION, "curve-precision", "higher: images like real ones", 1 },
	{ EK_CMP_RECALL, "curve-recall", "higher: more of the variety", 1 },
	{ EK_CMP_COVERAGE, "curve-coverage", "higher is better", 1 },
	{ EK_CMP_WORST, "curve-worst", "higher is better", 1 },
	{ EK_CMP_NEAREST, "curve-nearest", "much lower than of all images: copying", INFINITY },
};
enum { ROWS_OPEN = 30, COLUMNS = sizeof columns / sizeof *columns, CHARTS = sizeof charts / sizeof *charts };

/* Three figures. */
static int places_of(double x)
{
	const double size = fabs(x);

	return size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
}

static void difference(struct ek_html *h, const struct ek_compared *v, const struct ek_comparison_measure *m)
{
	const int is_share = m == &ek_comparison_measures[EK_CMP_COPIES]; /* small: in percent */
	const double d = v->difference;
	const int better = (m->better == EK_BETTER_LOWER && d < 0) || (m->better == EK_BETTER_HIGHER && d > 0);

	if (v->verdict == EK_DIFFERENCE_UNLIKE)
		ek_html(h, "<small>\xe2\x89\xa0</small>");
	if (!isfinite(d) || v->verdict == EK_DIFFERENCE_NONE)
		return;
	ek_html(h, v->verdict == EK_DIFFERENCE_BEYOND ? "<small class=\"beyond\">" : "<small>");
	ek_html(h, "%s%s", d < 0 ? "\xe2\x88\x92" : "+",
	        is_share ? ek_percent(fabs(d)).s : ek_decimal(fabs(d), places_of(v->value)).s);
	if (v->verdict == EK_DIFFERENCE_UNKNOWN)
		ek_html(h, " ?");
	else if (v->verdict == EK_DIFFERENCE_BEYOND && m->better != EK_BETTER_NEITHER)
		ek_html(h, better ? " \xe2\x96\xb2<span class=\"hidden\"> better</span>"
		                  : " \xe2\x96\xbc<span class=\"hidden\"> worse</span>");
	ek_html(h, "</small>");
}

static void cell(struct ek_page *page, const struct ek_comparison_row *row, enum ek_compared_measure measure)
{
	const struct ek_compared *v = &row->values[measure];
	struct ek_html *h = &page->html;

	ek_html(h, "<td class=\"n\" data-v=\"%.9g\">", isfinite(v->value) ? v->value : -1);
	ek_html(h, "%s",
	        measure == EK_CMP_COPIES ? (isfinite(v->value) ? ek_percent(v->value) : ek_decimal(NAN, 0)).s
	                                 : ek_decimal(v->value, places_of(v->value)).s);
	if (measure == EK_CMP_WORST && row->worst_cluster >= 0 && (uint64_t)row->worst_cluster < page->k) {
		ek_html(h, ", ");
		ek_page_cluster(page, (uint64_t)row->worst_cluster, "cluster ");
	}
	difference(h, v, &ek_comparison_measures[measure]);
	ek_html(h, "</td>");
}

static void table_row(struct ek_page *page, const struct ek_comparison_row *row)
{
	struct ek_html *h = &page->html;

	ek_html(h, "<tr><th scope=\"row\"><bdi>%s</bdi><small><bdi>%s</bdi></small></th>", row->label, row->name);
	ek_html(h, "<td class=\"n\" data-v=\"%lu\">%s</td>", (unsigned long)row->training_images,
	        row->training_images > 0 ? ek_count(row->training_images).s : "\xe2\x80\x93");
	for (size_t i = 0; i < COLUMNS; i++)
		cell(page, row, columns[i]);
	ek_html(h, "</tr>");
}

static void table(struct ek_page *page, const struct ek_comparison *c)
{
	struct ek_html *h = &page->html;
	int unknown = 0, unlike = 0;

	ek_html(h, c->count > ROWS_OPEN ? "<details><summary>Table of all evaluations</summary>" : "");
	ek_html(h,
	        "<div class=\"scroll\"><table class=\"sort compared\"><caption>What the images of each model are like; "
	        "below, the difference to the model of all images as they come</caption><thead><tr><th "
	        "scope=\"col\">Trained on</th><th scope=\"col\" class=\"n\">Images</th>");
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct ek_comparison_measure *m = &ek_comparison_measures[columns[i]];

		ek_html(h, "<th scope=\"col\" class=\"n\" title=\"%s\">%s</th>", m->label,
		        m->head != NULL ? m->head : m->label);
	}
	ek_html(h, "</tr></thead><tbody>");
	for (size_t i = 0; i < c->count; i++) {
		table_row(page, &c->rows[i]);
		for (size_t m = 0; m < COLUMNS; m++) {
			unknown |= c->rows[i].values[columns[m]].verdict == EK_DIFFERENCE_UNKNOWN;
			unlike |= c->rows[i].values[columns[m]].verdict == EK_DIFFERENCE_UNLIKE;
		}
	}
	ek_html(h, "</tbody></table></div><p class=\"note\">Bold: more than the spread; \xe2\x96\xb2 better, "
	           "\xe2\x96\xbc worse. Copies are the share "
	           "of images that lie so near a training image that they are flagged.</p>");
	ek_html(h, c->count > ROWS_OPEN ? "</details>" : "");
	if (unknown)
		ek_html(h,
		        "<p class=\"note\">? Neither several sample sets nor an interval say how much this differs by "
		        "chance.</p>");
	if (unlike)
		ek_html(h, "<p class=\"note\">\xe2\x89\xa0 Measured against other clusters or other target shares, so "
		           "that a difference would mean nothing.</p>");
}

/* What stands in the way of comparing. */
static void reservations(struct ek_page *page, const struct ek_comparison *c)
{
	struct ek_html *h = &page->html;
	int listed = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct ek_comparison_row *row = &c->rows[i];

		if (row->unlike == NULL && row->note == NULL)
			continue;
		ek_html(h, listed++ == 0 ? "<ul class=\"note\">" : "");
		if (row->unlike != NULL)
			ek_html(h, "<li><bdi>%s</bdi> is not compared: %s.</li>", row->name, row->unlike);
		else
			ek_html(h, "<li><bdi>%s</bdi> was made in another way: %s.</li>", row->name, row->note);
	}
	ek_html(h, listed > 0 ? "</ul>" : "");
}

/* The charts show the rows that go together with this one: most of them. */
static const struct ek_comparison_row *leader(const struct ek_comparison *c)
{
	const struct ek_comparison_row *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < c->count; i++) {
		size_t alike = 0;

		for (size_t j = 0; j < c->count; j++)
			alike += (size_t)ek_comparison_together(&c->rows[i], &c->rows[j]);
		if (alike > most) {
			most = alike;
			best = &c->rows[i];
		}
	}
	return best;
}

/* Lines of the charts: rows of one series each. The points are filled for each chart. */
struct lines {
	struct ek_curve_line *items;
	const struct ek_comparison_row **rows; /* [count, room]: of each line, by rising keep, then natural */
	struct ek_curve_point *points;         /* [count, room] */
	size_t count, room, drawn;             /* drawn: rows on the lines */
};

static size_t line_of(const struct lines *l, const char *series)
{
	size_t i = 0;

	while (i < l->count && strcmp(l->items[i].name, series) != 0)
		i++;
	return i;
}

/* Methods get colours in the order of their names, an inverse that of its method; the first of a pair is solid. */
static int colour_lines(struct lines *l)
{
	size_t colours = 0;
	char *inverse = NULL;
	int rc = 0;

	for (size_t i = 0; i < l->count; i++) {
		struct ek_curve_line *line = &l->items[i];
		size_t other;

		if (ek_comparison_is_random(line->name)) {
			line->grey = 1;
			line->dashed = strcmp(line->name, "random") != 0;
			continue;
		}
		EK_TRY(ek_comparison_inverse(&inverse, line->name));
		other = inverse == NULL ? l->count : line_of(l, inverse);
		free(inverse);
		inverse = NULL;
		line->dashed = other < i;
		line->colour = other < i ? l->items[other].colour : colours++;
	}
out:
	return rc;
}

static int is_on_a_line(const struct ek_comparison_row *row, const struct ek_comparison_row *lead)
{
	return row->trained != EK_TRAINED_ELSEWHERE && ek_comparison_together(row, lead) && isfinite(row->keep);
}

/* One line a series, in the order of the rows: all images first. */
static void name_lines(struct lines *l, const struct ek_comparison *c, const struct ek_comparison_row *lead)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct ek_comparison_row *row = &c->rows[i];

		if (!is_on_a_line(row, lead) || line_of(l, row->series) < l->count)
			continue;
		l->items[l->count] = (struct ek_curve_line){ .name = row->series,
			                                     .scattered = row->trained != EK_TRAINED_PRUNED,
			                                     .points = l->points + l->count * l->room };
		l->count++;
	}
}

static int make_lines(struct lines *l, const struct ek_comparison *c)
{
	const struct ek_comparison_row *lead = leader(c), *natural = NULL;
	int rc;

	*l = (struct lines){ .room = c->count + 1 };
	EK_TRY(ek_alloc(&l->items, c->count, sizeof *l->items));
	EK_TRY(ek_alloc(&l->rows, c->count * l->room, sizeof(struct ek_comparison_row *)));
	EK_TRY(ek_alloc(&l->points, c->count * l->room, sizeof *l->points));
	name_lines(l, c, lead);
	/* Rows come by falling keep. */
	for (size_t i = c->count; i-- > 0;) {
		const struct ek_comparison_row *row = &c->rows[i];
		const size_t at = line_of(l, row->series);

		if (!is_on_a_line(row, lead))
			continue;
		natural = row->trained == EK_TRAINED_NATURAL ? row : natural;
		l->rows[at * l->room + l->items[at].count++] = row;
		l->drawn++;
	}
	/* Where everything is kept, every method is the same. */
	for (size_t i = 0; i < l->count && natural != NULL; i++)
		if (!l->items[i].scattered)
			l->rows[i * l->room + l->items[i].count++] = natural;
	EK_TRY(colour_lines(l));
out:
	return rc;
}

static void release_lines(struct lines *l)
{
	free(l->items);
	free(l->rows);
	free(l->points);
}

/* x: the kept fraction, or the images where `images`. */
static void fill_points(struct lines *l, enum ek_compared_measure measure, int images)
{
	for (size_t i = 0; i < l->count; i++)
		for (size_t j = 0; j < l->items[i].count; j++) {
			const struct ek_comparison_row *row = l->rows[i * l->room + j];
			const struct ek_compared *v = &row->values[measure];
			struct ek_curve_point *p = &l->items[i].points[j];
			double below, above;

			*p = (struct ek_curve_point){ .x = images ? (double)row->training_images : row->keep,
				                      .y = v->value,
				                      .low = NAN,
				                      .high = NAN,
				                      .name = row->label,
				                      .joint = row->trained == EK_TRAINED_NATURAL &&
				                               !l->items[i].scattered };
			if (ek_comparison_reach(&below, &above, v)) {
				p->low = v->value - below;
				p->high = v->value + above;
			}
		}
}

static int has_pruned(const struct lines *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (!l->items[i].scattered)
			return 1;
	return 0;
}

static void curves(struct ek_page *page, struct lines *l)
{
	struct ek_html *h = &page->html;

	ek_html(h,
	        "<h3>Over the kept fraction</h3><p class=\"note\">Each point is a model of its own, trained on that "
	        "part of the images; at the right end, on all of them. PR, the pruning ratio, is 1 \xe2\x88\x92 keep. "
	        "A method is solid, its inverse dashed in the same colour, random choice grey; thin lines are "
	        "95\xe2\x80\xaf%% intervals.</p>");
	ek_curves_legend(h, l->items, l->count);
	ek_html(h, "<div class=\"plots\">");
	for (size_t i = 0; i < CHARTS; i++) {
		const struct ek_curve_chart chart = { .id = charts[i].id,
			                              .title = ek_comparison_measures[charts[i].measure].label,
			                              .hint = charts[i].hint,
			                              .most = charts[i].most,
			                              .lines = l->items,
			                              .count = l->count };

		fill_points(l, charts[i].measure, 0);
		ek_curves_chart(h, &chart);
	}
	ek_html(h, "</div>");
}

static void pareto(struct ek_page *page, struct lines *l, int has_legend)
{
	const struct ek_curve_chart chart = {
		.id = "pareto",
		.title = "Size against the worst cluster",
		.hint = "up and to the left is better: the stairs are what can be had with "
			"so many images",
		.most = 1,
		.lines = l->items,
		.count = l->count
	};
	struct ek_html *h = &page->html;

	ek_html(h, "<h3>How few images the worst-served cluster bears</h3>");
	if (!has_legend)
		ek_curves_legend(h, l->items, l->count);
	fill_points(l, EK_CMP_WORST, 1);
	ek_curves_pareto(h, &chart, "images trained on");
}

int ek_chapter_comparison(struct ek_page *page)
{
	struct ek_comparison c = { 0 };
	struct lines lines = { 0 };
	struct ek_html *h = &page->html;
	size_t odd;
	int rc;

	EK_TRY(ek_comparison_add(&c, page->run, &odd));
	EK_TRY(ek_comparison_finish(&c, NULL));
	EK_TRY(make_lines(&lines, &c));
	ek_html(h,
	        "<p class=\"intro\">%s of generated images, side by side. A difference counts when it is more than the "
	        "spread: the 95\xe2\x80\xaf%% interval over the sample sets of each model, or the "
	        "bootstrap\xe2\x80\x99s where there is one set. Of twenty differences that are none, one passes for "
	        "one. How much another training of the same model would differ is not in it.</p>",
	        ek_number_noun(c.count, "evaluation").s);
	table(page, &c);
	reservations(page, &c);
	if (odd > 0)
		ek_html(h, "<p class=\"note\">%s more cannot be read as evaluations; evenkeel compare says why.</p>",
		        ek_count(odd).s);
	if (lines.drawn >= 2 && has_pruned(&lines))
		curves(page, &lines);
	if (lines.drawn >= 2)
		pareto(page, &lines, has_pruned(&lines));
	if (lines.drawn >= 2 && lines.drawn < c.count)
		ek_html(h, "<p class=\"note\">The charts show the %s that were made and measured alike.</p>",
		        ek_number_noun(lines.drawn, "evaluation").s);
	rc = h->rc;
out:
	release_lines(&lines);
	ek_comparison_release(&c);
	return rc;
}
