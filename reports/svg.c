#include "reports/svg.h"

#include <math.h>

static double clamp(double x)
{
	return x > 0 ? (x < 1 ? x : 1) : 0;
}

void ek_svg_bar(struct ek_html *h, double value, double low, double high, double reference, double full, int marked)
{
	const double scale = full > 0 ? 100 / full : 0;

	ek_html(h, "<svg class=\"bar%s\" width=\"100%%\" height=\"22\" aria-hidden=\"true\" focusable=\"false\">",
	        marked ? " marked" : "");
	ek_html(h, "<rect class=\"fill\" y=\"5\" height=\"12\" width=\"%.2f%%\"/>", fmin(100, scale * value));
	if (reference >= 0)
		ek_html(h, "<line class=\"even\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"22\"/>",
		        fmin(100, scale * reference), fmin(100, scale * reference));
	if (low <= high)
		ek_html(h,
		        "<line class=\"interval\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"11\" y2=\"11\"/><line "
		        "class=\"interval\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"8\" y2=\"14\"/><line class=\"interval\" "
		        "x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"8\" y2=\"14\"/>",
		        fmax(0, scale * low), fmin(100, scale * high), fmax(0, scale * low), fmax(0, scale * low),
		        fmin(100, scale * high), fmin(100, scale * high));
	ek_html(h, "</svg>");
}

void ek_svg_pair(struct ek_html *h, double before, double after, double reference, double full)
{
	const double scale = full > 0 ? 100 / full : 0;

	ek_html(h,
	        "<svg class=\"bar pair\" width=\"100%%\" height=\"26\" aria-hidden=\"true\" focusable=\"false\"><rect "
	        "class=\"fill\" y=\"4\" height=\"8\" width=\"%.2f%%\"/><rect class=\"fill after\" y=\"13\" "
	        "height=\"8\" width=\"%.2f%%\"/>",
	        fmin(100, scale * before), fmin(100, scale * after));
	if (reference >= 0)
		ek_html(h, "<line class=\"even\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"26\"/>",
		        fmin(100, scale * reference), fmin(100, scale * reference));
	ek_html(h, "</svg>");
}

/* The outline of columns from `first` to `last`, in a box of k × 100. */
static void silhouette(struct ek_html *h, const char *class, const double *heights, size_t first, size_t last)
{
	if (first == last)
		return;
	ek_html(h, "<path class=\"%s\" d=\"M%zu 100", class, first);
	for (size_t i = first; i < last; i++)
		ek_html(h, "V%.2fH%zu", 100 - 100 * clamp(heights[i]), i + 1);
	ek_html(h, "V100z\"/>");
}

void ek_svg_profile(struct ek_html *h, const double *descending, size_t k, size_t tail)
{
	const double top = k > 0 && descending[0] > 0 ? descending[0] : 1, even = 1 / (double)(k > 0 ? k : 1);
	struct ek_buffer room = { 0 };
	double *heights;

	h->rc = h->rc < 0 ? h->rc : ek_buffer_reserve(&room, (k + 1) * sizeof *heights);
	if (h->rc < 0)
		return;
	heights = (double *)(void *)room.data;
	for (size_t i = 0; i < k; i++)
		heights[i] = descending[i] / top;
	ek_html(h,
	        "<svg class=\"profile\" width=\"100%%\" height=\"260\" role=\"img\" "
	        "aria-labelledby=\"profile-title\"><title id=\"profile-title\">The shares of %s clusters, largest "
	        "first: from %s down to %s; an even share would be %s.</title>",
	        ek_count(k).s, ek_percent(descending[0]).s, ek_percent(descending[k - 1]).s, ek_percent(even).s);
	ek_html(h, "<svg y=\"24\" width=\"100%%\" height=\"210\" viewBox=\"0 0 %zu 100\" preserveAspectRatio=\"none\">",
	        k);
	silhouette(h, "fill", heights, 0, k - tail);
	silhouette(h, "fill tail", heights, k - tail, k);
	ek_html(h, "</svg>");
	ek_html(h, "<line class=\"even\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>",
	        234 - 210 * clamp(even / top), 234 - 210 * clamp(even / top));
	ek_html(h, "<text x=\"100%%\" y=\"%.1f\" text-anchor=\"end\" class=\"note\">even share %s</text>",
	        228 - 210 * clamp(even / top), ek_percent(even).s);
	ek_html(h,
	        "<text x=\"0\" y=\"14\">largest %s</text><text x=\"0\" y=\"254\" class=\"note\">largest "
	        "cluster</text><text x=\"100%%\" y=\"254\" text-anchor=\"end\" class=\"note\">smallest "
	        "cluster</text></svg>",
	        ek_percent(top).s);
	ek_buffer_release(&room);
}

enum { MOST_BINS = 100 };

void ek_svg_histogram(struct ek_html *h, const double *counts, size_t bins, size_t marked, size_t unmarked,
                      size_t number, const char *low, const char *high)
{
	double heights[MOST_BINS], most = 1;

	bins = bins < MOST_BINS ? bins : MOST_BINS;
	for (size_t i = 0; i < bins; i++)
		most = fmax(most, counts[i]);
	for (size_t i = 0; i < bins; i++)
		heights[i] = counts[i] / most;
	ek_html(h,
	        "<svg class=\"profile\" width=\"100%%\" height=\"150\" role=\"img\" "
	        "aria-labelledby=\"histogram-%zu\"><title id=\"histogram-%zu\">How many images have which score, from "
	        "%s to %s.</title><svg y=\"4\" width=\"100%%\" height=\"120\" viewBox=\"0 0 %zu 100\" "
	        "preserveAspectRatio=\"none\">",
	        number, number, low, high, bins);
	silhouette(h, "fill", heights, 0, marked);
	silhouette(h, "fill tail", heights, marked, unmarked);
	silhouette(h, "fill", heights, unmarked, bins);
	ek_html(h,
	        "</svg><text x=\"0\" y=\"144\" class=\"note\">%s</text><text x=\"100%%\" y=\"144\" text-anchor=\"end\" "
	        "class=\"note\">%s</text></svg>",
	        low, high);
}

/* The plot of the Lorenz curve: a square in a picture of 360 × 366. */
enum { SIDE = 300, LEFT = 50, TOP = 16 };

static void lorenz_points(struct ek_html *h, const double *descending, size_t k)
{
	double held = 0;

	ek_html(h, "M%d %d", LEFT, TOP + SIDE);
	for (size_t i = 0; i < k; i++) {
		held += descending[k - 1 - i];
		ek_html(h, "L%.1f %.1f", LEFT + SIDE * (double)(i + 1) / (double)k, TOP + SIDE - SIDE * clamp(held));
	}
}

void ek_svg_lorenz(struct ek_html *h, const double *descending, size_t k, double gini)
{
	const size_t half = k / 2;
	double half_held = 0;

	ek_html(h, "<svg class=\"lorenz\" viewBox=\"0 0 360 366\" role=\"img\" aria-labelledby=\"lorenz-title\"><title "
	           "id=\"lorenz-title\">Lorenz curve of the cluster sizes. ");
	for (size_t i = 0; i < half; i++)
		half_held += descending[k - 1 - i];
	ek_html(h, "The smaller half of the clusters hold %s of the images; Gini coefficient %s.</title>",
	        ek_percent_whole(half_held).s, ek_decimal(gini, 2).s);
	ek_html(h, "<path class=\"gap\" d=\"");
	lorenz_points(h, descending, k);
	ek_html(h, "z\"/><path class=\"line\" d=\"");
	lorenz_points(h, descending, k);
	ek_html(h, "\"/><path class=\"axis\" d=\"M%d %dv%dh%d\"/>", LEFT, TOP, SIDE, SIDE);
	ek_html(h, "<path class=\"even\" d=\"M%d %dl%d -%d\"/>", LEFT, TOP + SIDE, SIDE, SIDE);
	ek_html(h,
	        "<text class=\"note\" text-anchor=\"middle\" transform=\"translate(%d %d) rotate(-45)\">if all were "
	        "equal</text>",
	        LEFT + SIDE / 2 - 8, TOP + SIDE / 2 - 8);
	for (int tick = 0; tick <= 100; tick += 50) {
		ek_html(h, "<text class=\"note\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%d %%</text>", LEFT - 6,
		        TOP + SIDE - SIDE * tick / 100 + 5, tick);
		ek_html(h, "<text class=\"note\" text-anchor=\"%s\" x=\"%d\" y=\"%d\">%d %%</text>",
		        tick == 100 ? "end" : "middle", LEFT + SIDE * tick / 100, TOP + SIDE + 20, tick);
	}
	ek_html(h, "<text class=\"note\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">clusters, smallest first</text>",
	        LEFT + SIDE / 2, TOP + SIDE + 42);
	ek_html(h, "<text class=\"note\" x=\"%d\" y=\"%d\">images</text>", LEFT + 8, TOP + 6);
	if (half > 0) {
		const double x = LEFT + SIDE * (double)half / (double)k, y = TOP + SIDE - SIDE * clamp(half_held);

		ek_html(h, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>", x, y);
		ek_html(h, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"start\">%s</text>", x + 9, y + 14,
		        ek_percent_whole(half_held).s);
	}
	ek_html(h, "</svg>");
}

static const char *const shapes[EK_SVG_SHAPES] = {
	"M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",                   /* circle */
	"M-3.5-3.5h7v7h-7z",                                   /* square */
	"M0-4.8L4.6 3.4H-4.6z",                                /* triangle */
	"M0-5.2L5.2 0L0 5.2L-5.2 0z",                          /* diamond */
	"M-1.5-4.7h3v3.2h3.2v3h-3.2v3.2h-3v-3.2h-3.2v-3h3.2z", /* cross */
	"M0 4.8L4.6-3.4H-4.6z",                                /* triangle, point down */
};

const char *ek_svg_shape(size_t shape)
{
	return shapes[shape % EK_SVG_SHAPES];
}

static size_t shape_of(size_t style)
{
	return style / EK_SVG_COLOURS % EK_SVG_SHAPES;
}

void ek_svg_scatter(struct ek_html *h, const struct ek_svg_point *points, size_t count, const char *title,
                    const char *description)
{
	ek_html(h,
	        "<svg class=\"scatter\" role=\"img\" aria-labelledby=\"scatter-title scatter-description\"><title "
	        "id=\"scatter-title\">%s</title><desc id=\"scatter-description\">%s</desc><defs>",
	        title, description);
	for (size_t i = 0; i < EK_SVG_SHAPES; i++)
		ek_html(h, "<path id=\"shape-%zu\" d=\"%s\"/>", i, shapes[i]);
	ek_html(h, "</defs>");
	for (size_t i = 0; i < count; i++)
		ek_html(h,
		        "<use href=\"#shape-%zu\" x=\"%.2f%%\" y=\"%.2f%%\" class=\"c%zu\" "
		        "data-c=\"%lu\"><title>%s</title></use>",
		        shape_of(points[i].style), 3 + 94 * clamp(points[i].x), 3 + 94 * clamp(points[i].y),
		        points[i].style % EK_SVG_COLOURS, (unsigned long)points[i].cluster, points[i].name);
}

void ek_svg_label(struct ek_html *h, double x, double y, uint64_t number)
{
	ek_html(h, "<text class=\"label\" x=\"%.2f%%\" y=\"%.2f%%\" dy=\"5\" text-anchor=\"middle\">%lu</text>",
	        3 + 94 * clamp(x), 3 + 94 * clamp(y), (unsigned long)number);
}

void ek_svg_end(struct ek_html *h)
{
	ek_html(h, "</svg>");
}

void ek_svg_marker(struct ek_html *h, size_t style)
{
	ek_html(h,
	        "<svg class=\"marker\" width=\"14\" height=\"14\" viewBox=\"-7 -7 14 14\" aria-hidden=\"true\" "
	        "focusable=\"false\"><use href=\"#shape-%zu\" class=\"c%zu\"/></svg>",
	        shape_of(style), style % EK_SVG_COLOURS);
}

void ek_svg_curve(struct ek_html *h, const double *x, const double *y, size_t count, double chosen, const char *title,
                  const char *x_label)
{
	enum { WIDTH = 400, HEIGHT = 180, FROM = 40, ABOVE = 24 };
	const double first = count > 0 ? log(x[0]) : 0, span = count > 1 ? log(x[count - 1]) - first : 0;

	ek_html(h, "<svg class=\"curve\" viewBox=\"0 0 470 256\" role=\"img\"><title>%s</title>", title);
	for (int tick = 0; tick <= 100; tick += 50) {
		const int at = ABOVE + HEIGHT - HEIGHT * tick / 100;

		ek_html(h,
		        "<path class=\"grid\" d=\"M%d %dh%d\"/><text class=\"note\" text-anchor=\"end\" x=\"%d\" "
		        "y=\"%d\">%.1f</text>",
		        FROM, at, WIDTH, FROM - 8, at + 4, tick / 100.0);
	}
	ek_html(h, "<path class=\"line\" d=\"");
	for (size_t i = 0; i < count; i++)
		ek_html(h, "%s%.1f %.1f", i == 0 ? "M" : "L",
		        FROM + WIDTH * (span > 0 ? (log(x[i]) - first) / span : 0.5),
		        ABOVE + HEIGHT - HEIGHT * clamp(y[i]));
	ek_html(h, "\"/>");
	for (size_t i = 0; i < count; i++) {
		const double at = FROM + WIDTH * (span > 0 ? (log(x[i]) - first) / span : 0.5);
		const int is_chosen = x[i] >= chosen && x[i] <= chosen;

		ek_html(h, "<circle class=\"dot%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%d\"/>", is_chosen ? " chosen" : "", at,
		        ABOVE + HEIGHT - HEIGHT * clamp(y[i]), is_chosen ? 6 : 3);
		if (is_chosen || count <= 12)
			ek_html(h, "<text class=\"%s\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>",
			        is_chosen ? "strong" : "note", at, ABOVE + HEIGHT + 20, ek_decimal(x[i], 0).s);
	}
	ek_html(h, "<text class=\"note\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text></svg>", FROM + WIDTH / 2,
	        ABOVE + HEIGHT + 44, x_label);
}
