/*
 * Charts as inline SVG. Colours and type come from page.css; every chart carries a title and a description for those
 * who do not see it. Sizes along x are in percent, so that a chart fills its column at any width and its text keeps
 * its size.
 */
#ifndef EK_REPORTS_SVG_H
#define EK_REPORTS_SVG_H

#include <stddef.h>
#include <stdint.h>

#include "reports/html.h"

/* Markers differ by colour and by shape: 7 colours × 6 shapes, in this order. */
enum { EK_SVG_COLOURS = 7, EK_SVG_SHAPES = 6 };

/* One bar of a table of bars: value, its interval (NaN: none) and a reference line; all on a scale that ends at `full`.
 * `marked`: drawn in the accent colour. */
void ek_svg_bar(struct ek_html *h, double value, double low, double high, double reference, double full, int marked);

/* Two bars, one below the other: before in grey, after in the accent colour. */
void ek_svg_pair(struct ek_html *h, double before, double after, double reference, double full);

/* Shares of all clusters, largest first, as one silhouette with the even share as a line; the last `tail` are marked.
 * descending: [k]. */
void ek_svg_profile(struct ek_html *h, const double *descending, size_t k, size_t tail);

/* How many images have which score: counts [bins] in columns of one width, those from marked to unmarked - 1 in the
 * accent colour; `number` tells it from others of the page. */
void ek_svg_histogram(struct ek_html *h, const double *counts, size_t bins, size_t marked, size_t unmarked,
                      size_t number, const char *low, const char *high);

/* Lorenz curve: the share of the images that the smallest x of the clusters hold. descending: [k] shares, largest
 * first. */
void ek_svg_lorenz(struct ek_html *h, const double *descending, size_t k, double gini);

/* Points in the unit square. Each has a text, shown by the browser as a tooltip where there is no script. */
struct ek_svg_point {
	double x, y; /* 0 … 1, y downward */
	uint64_t cluster;
	size_t style; /* the marker: style 0, 1, 2 … repeats after colours × shapes */
	const char *name;
};
void ek_svg_scatter(struct ek_html *h, const struct ek_svg_point *points, size_t count, const char *title,
                    const char *description);
/* A number on the map; it belongs to the svg opened by the last ek_svg_scatter, closed by ek_svg_end. */
void ek_svg_label(struct ek_html *h, double x, double y, uint64_t number);
void ek_svg_end(struct ek_html *h);
/* The marker alone, for legends. The shapes are defined by ek_svg_scatter. */
void ek_svg_marker(struct ek_html *h, size_t style);

/* The outline of a shape, 0 … EK_SVG_SHAPES − 1, about ±5 around the origin, as a path's d. */
const char *ek_svg_shape(size_t shape);

/* A curve over a logarithmic x axis; the chosen point is marked. x ascending and > 0, y in 0 … 1. */
void ek_svg_curve(struct ek_html *h, const double *x, const double *y, size_t count, double chosen, const char *title,
                  const char *x_label);

#endif
