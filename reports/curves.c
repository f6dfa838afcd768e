#include "reports/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "reports/svg.h"

/* The plot in a picture of WIDTH × HEIGHT. */
struct frame {
	int width, height, left, right, top, bottom;
};
static const struct frame small = { 340, 236, 46, 12, 12, 54 };
static const struct frame wide = { 400, 320, 46, 20, 18, 54 };

struct plot {
	const struct frame *frame;
	struct ek_axis x, y;
};

static double at_x(const struct plot *p, double x)
{
	const struct frame *f = p->frame;

	return f->left + (f->width - f->left - f->right) * (x - p->x.low) / (p->x.high - p->x.low);
}

static double at_y(const struct plot *p, double y)
{
	const struct frame *f = p->frame;

	return f->height - f->bottom - (f->height - f->top - f->bottom) * (y - p->y.low) / (p->y.high - p->y.low);
}

struct ek_axis ek_axis_of(double low, double high)
{
	static const double nice[] = { 1, 2, 5, 10 };
	struct ek_axis a = { low, high, 0 };
	double power, rough;

	if (!(high > low)) { /* one value: a step around it */
		const double room = low > 0 || low < 0 ? fabs(low) / 10 : 1;

		low -= room;
		high += room;
	}
	rough = (high - low) / 4;
	power = pow(10, floor(log10(rough)));
	a.step = 10 * power;
	for (size_t i = 0; i < sizeof nice / sizeof *nice; i++)
		if (nice[i] * power >= rough * (1 - 1e-9)) {
			a.step = nice[i] * power;
			break;
		}
	a.low = a.step * floor(low / a.step + 1e-9);
	a.high = a.step * ceil(high / a.step - 1e-9);
	return a;
}

/* Decimals that tell the steps of an axis apart. */
static int places_of(const struct ek_axis *a)
{
	return a->step >= 1 ? 0 : (int)ceil(-log10(a->step) - 1e-9);
}

static int is_drawn(const struct ek_curve_point *p)
{
	return isfinite(p->x) && isfinite(p->y);
}

/* The axis of all values and of their intervals as far as the measure goes; 0 if there are none. */
static int y_axis(struct ek_axis *a, const struct ek_curve_chart *chart)
{
	double low = INFINITY, high = -INFINITY, least = chart->least, most = chart->most;

	for (size_t i = 0; i < chart->count; i++)
		for (size_t j = 0; j < chart->lines[i].count; j++) {
			const struct ek_curve_point *p = &chart->lines[i].points[j];

			if (!is_drawn(p))
				continue;
			low = fmin(low, p->low <= p->high ? fmin(p->low, p->y) : p->y);
			high = fmax(high, p->low <= p->high ? fmax(p->high, p->y) : p->y);
			/* A value beyond the end, as of a damaged file, is drawn where it is. */
			least = fmin(least, p->y);
			most = fmax(most, p->y);
		}
	if (low > high)
		return 0;
	*a = ek_axis_of(fmax(low, least), fmin(high, most));
	a->low = fmax(a->low, least);
	a->high = fmin(a->high, most);
	return 1;
}

/* Opens the picture; the description tells every point. */
static void open_svg(struct ek_html *h, const struct ek_curve_chart *chart, const struct frame *f, int places)
{
	ek_html(h,
	        "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-title %s-text\"><title "
	        "id=\"%s-title\">%s</title><desc id=\"%s-text\">",
	        f->width, f->height, chart->id, chart->id, chart->id, chart->title, chart->id);
	for (size_t i = 0; i < chart->count; i++) {
		const struct ek_curve_line *line = &chart->lines[i];
		int told = 0;

		for (size_t j = 0; j < line->count; j++) {
			const struct ek_curve_point *p = &line->points[j];

			if (!is_drawn(p) || p->joint)
				continue;
			if (told++ == 0)
				ek_html(h, "%s: ", line->name);
			ek_html(h, "%s%s at %s", told > 1 ? ", " : "", ek_decimal(p->y, places).s,
			        ek_decimal(p->x, p->x > 1 ? 0 : 2).s);
		}
		ek_html(h, told > 0 ? ". " : "");
	}
	ek_html(h, "</desc>");
}

static void draw_y_axis(struct ek_html *h, const struct plot *p)
{
	const struct frame *f = p->frame;
	const int steps = (int)lround((p->y.high - p->y.low) / p->y.step);

	for (int i = 0; i <= steps; i++) {
		const double value = p->y.low + i * p->y.step, y = at_y(p, value);

		ek_html(h,
		        "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"note\" text-anchor=\"end\" x=\"%d\" "
		        "y=\"%.1f\">%s</text>",
		        f->left, y, f->width - f->right, f->left - 7, y + 4,
		        ek_decimal(fabs(value) < p->y.step / 2 ? 0 : value, places_of(&p->y)).s);
	}
}

/* Kept above, the paper's pruning ratio below. */
static void draw_keep_axis(struct ek_html *h, const struct plot *p)
{
	const struct frame *f = p->frame;
	const int y = f->height - f->bottom;

	for (int i = 0; i <= 4; i++)
		ek_html(h,
		        "<text class=\"note\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text><text "
		        "class=\"note\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>",
		        at_x(p, i / 4.0), y + 20, ek_decimal(i / 4.0, i % 2 == 0 ? (i == 2 ? 1 : 0) : 2).s,
		        at_x(p, i / 4.0), y + 38, ek_decimal(1 - i / 4.0, i % 2 == 0 ? (i == 2 ? 1 : 0) : 2).s);
	ek_html(h, "<text class=\"note\" x=\"0\" y=\"%d\">keep</text><text class=\"note\" x=\"0\" y=\"%d\">PR</text>",
	        y + 20, y + 38);
}

/* "k3", or "kr": the colour of a line, as page.css has it. */
static struct ek_words colour_of(const struct ek_curve_line *line)
{
	struct ek_words w = { "kr" };

	if (!line->grey) {
		w.s[1] = (char)('0' + line->colour % (EK_SVG_COLOURS - 1));
		w.s[2] = 0;
	}
	return w;
}

static void draw_marker(struct ek_html *h, const struct ek_curve_line *line, double x, double y, const char *name,
                        const char *value)
{
	ek_html(h, "<path class=\"mark%s\" d=\"%s\" transform=\"translate(%.1f %.1f)\">", line->dashed ? " hollow" : "",
	        ek_svg_shape(line->grey ? 1 : line->colour), x, y);
	if (name != NULL)
		ek_html(h, "<title>%s: %s</title>", name, value);
	ek_html(h, "</path>");
}

static void draw_intervals(struct ek_html *h, const struct plot *p, const struct ek_curve_line *line)
{
	for (size_t j = 0; j < line->count; j++) {
		const struct ek_curve_point *at = &line->points[j];

		if (is_drawn(at) && !at->joint && at->low <= at->high)
			ek_html(h, "<path class=\"whisker\" d=\"M%.1f %.1fV%.1f\"/>", at_x(p, at->x),
			        at_y(p, fmax(at->low, p->y.low)), at_y(p, fmin(at->high, p->y.high)));
	}
}

static void draw_path(struct ek_html *h, const struct plot *p, const struct ek_curve_line *line)
{
	size_t drawn = 0;

	ek_html(h, "<path class=\"stroke%s\" d=\"", line->dashed ? " dashed" : "");
	for (size_t j = 0; j < line->count; j++) {
		const struct ek_curve_point *at = &line->points[j];

		if (is_drawn(at))
			ek_html(h, "%s%.1f %.1f", drawn++ > 0 ? "L" : "M", at_x(p, at->x), at_y(p, at->y));
	}
	ek_html(h, "\"/>");
}

static void draw_line(struct ek_html *h, const struct plot *p, const struct ek_curve_line *line, int places,
                      int connected)
{
	ek_html(h, "<g class=\"%s\">", colour_of(line).s);
	draw_intervals(h, p, line);
	if (connected && !line->scattered)
		draw_path(h, p, line);
	for (size_t j = 0; j < line->count; j++) {
		const struct ek_curve_point *at = &line->points[j];

		if (is_drawn(at) && !at->joint)
			draw_marker(h, line, at_x(p, at->x), at_y(p, at->y), at->name, ek_decimal(at->y, places).s);
	}
	ek_html(h, "</g>");
}

static void caption(struct ek_html *h, const struct ek_curve_chart *chart)
{
	ek_html(h, "<figcaption><b>%s</b>", chart->title);
	if (*chart->hint != 0)
		ek_html(h, " %s", chart->hint);
	ek_html(h, "</figcaption>");
}

void ek_curves_chart(struct ek_html *h, const struct ek_curve_chart *chart)
{
	struct plot p = { .frame = &small, .x = { 0, 1, 0.25 } };
	int places;

	ek_html(h, "<figure>");
	caption(h, chart);
	if (!y_axis(&p.y, chart)) {
		ek_html(h, "<p class=\"note\">No evaluation has it.</p></figure>");
		return;
	}
	places = places_of(&p.y) + 1;
	open_svg(h, chart, p.frame, places);
	draw_y_axis(h, &p);
	draw_keep_axis(h, &p);
	/* The first line is the most important: above the others. */
	for (size_t i = chart->count; i-- > 0;)
		draw_line(h, &p, &chart->lines[i], places, 1);
	ek_html(h, "</svg></figure>");
}

void ek_pareto_front(uint8_t *on, const double *x, const double *y, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		on[i] = isfinite(x[i]) && isfinite(y[i]);
		for (size_t j = 0; j < count && on[i]; j++)
			if (x[j] <= x[i] && y[j] >= y[i] && (x[j] < x[i] || y[j] > y[i]))
				on[i] = 0;
	}
}

/* All points of a chart in one place. */
struct spot {
	const struct ek_curve_line *line;
	const struct ek_curve_point *point;
};

static int by_size(const void *a, const void *b)
{
	const struct ek_curve_point *x = ((const struct spot *)a)->point, *y = ((const struct spot *)b)->point;

	if (x->x < y->x || x->x > y->x)
		return x->x < y->x ? -1 : 1;
	return (x->y < y->y) - (x->y > y->y);
}

/* The spots that are on the front come first, by rising x; `*front` of them. */
static int find_front(struct spot *spots, size_t count, size_t *front)
{
	double *x = NULL, *y = NULL;
	uint8_t *on = NULL;
	int rc;

	*front = 0;
	qsort(spots, count, sizeof *spots, by_size);
	EK_TRY(ek_alloc(&x, count, sizeof *x));
	EK_TRY(ek_alloc(&y, count, sizeof *y));
	EK_TRY(ek_alloc(&on, count, 1));
	for (size_t i = 0; i < count; i++) {
		x[i] = spots[i].point->x;
		y[i] = spots[i].point->y;
	}
	ek_pareto_front(on, x, y, count);
	for (size_t i = 0; i < count; i++)
		if (on[i])
			spots[(*front)++] = spots[i];
out:
	free(x);
	free(y);
	free(on);
	return rc;
}

/* Stairs: with as many images as this, so much can be had. */
static void draw_front(struct ek_html *h, const struct plot *p, const struct spot *front, size_t count)
{
	const struct frame *f = p->frame;

	if (count == 0)
		return;
	ek_html(h, "<path class=\"front\" d=\"M%.1f %d", at_x(p, front[0].point->x), f->height - f->bottom);
	for (size_t i = 0; i < count; i++)
		ek_html(h, "%s%.1fV%.1f", "H", at_x(p, front[i].point->x), at_y(p, front[i].point->y));
	ek_html(h, "H%d\"/>", f->width - f->right);
	for (size_t i = 0; i < count; i++) {
		const double x = at_x(p, front[i].point->x);
		const int left = x > f->width - f->right - 130;

		ek_html(h, "<text class=\"name\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>",
		        left ? "end" : "start", x + (left ? -9 : 9), at_y(p, front[i].point->y) - 8,
		        front[i].point->name);
	}
}

static void draw_count_axis(struct ek_html *h, const struct plot *p, const char *label)
{
	const struct frame *f = p->frame;
	const int y = f->height - f->bottom;

	for (int i = 0; i <= (int)lround(p->x.high / p->x.step); i++)
		ek_html(h, "<text class=\"note\" text-anchor=\"%s\" x=\"%.1f\" y=\"%d\">%s</text>",
		        i < (int)lround(p->x.high / p->x.step) ? "middle" : "end",
		        i < (int)lround(p->x.high / p->x.step) ? at_x(p, i * p->x.step) : (double)f->width, y + 20,
		        ek_decimal(i * p->x.step, places_of(&p->x)).s);
	ek_html(h, "<text class=\"note\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>",
	        (f->left + f->width - f->right) / 2, y + 42, label);
}

void ek_curves_pareto(struct ek_html *h, const struct ek_curve_chart *chart, const char *x_label)
{
	struct plot p = { .frame = &wide };
	struct ek_buffer room = { 0 };
	size_t count = 0, front, all = 0;
	struct spot *spots;
	double most = 0;

	for (size_t i = 0; i < chart->count; i++)
		all += chart->lines[i].count;
	if (h->rc == 0)
		h->rc = ek_buffer_reserve(&room, all * sizeof *spots);
	if (h->rc < 0)
		return;
	spots = (struct spot *)(void *)room.data;
	for (size_t i = 0; i < chart->count; i++)
		for (size_t j = 0; j < chart->lines[i].count; j++)
			if (is_drawn(&chart->lines[i].points[j]) && !chart->lines[i].points[j].joint) {
				spots[count++] = (struct spot){ &chart->lines[i], &chart->lines[i].points[j] };
				most = fmax(most, chart->lines[i].points[j].x);
			}
	ek_html(h, "<figure class=\"pareto\">");
	caption(h, chart);
	if (count == 0 || !y_axis(&p.y, chart)) {
		ek_html(h, "<p class=\"note\">No evaluation has it.</p></figure>");
		goto out;
	}
	p.x = ek_axis_of(0, most > 0 ? most : 1);
	open_svg(h, chart, p.frame, places_of(&p.y) + 1);
	draw_y_axis(h, &p);
	draw_count_axis(h, &p, x_label);
	for (size_t i = chart->count; i-- > 0;)
		draw_line(h, &p, &chart->lines[i], places_of(&p.y) + 1, 0);
	h->rc = h->rc < 0 ? h->rc : find_front(spots, count, &front);
	if (h->rc == 0)
		draw_front(h, &p, spots, front);
	ek_html(h, "</svg></figure>");
out:
	ek_buffer_release(&room);
}

void ek_curves_legend(struct ek_html *h, const struct ek_curve_line *lines, size_t count)
{
	ek_html(h, "<ul class=\"keys\">");
	for (size_t i = 0; i < count; i++) {
		ek_html(h,
		        "<li><svg class=\"%s\" width=\"34\" height=\"14\" viewBox=\"-17 -7 34 14\" "
		        "aria-hidden=\"true\" focusable=\"false\">",
		        colour_of(&lines[i]).s);
		if (!lines[i].scattered)
			ek_html(h, "<path class=\"stroke%s\" d=\"M-16 0H16\"/>", lines[i].dashed ? " dashed" : "");
		draw_marker(h, &lines[i], 0, 0, NULL, NULL);
		ek_html(h, "</svg> <bdi>%s</bdi></li>", lines[i].name);
	}
	ek_html(h, "</ul>");
}
