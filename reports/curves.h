/*
 * Charts of evaluations as inline SVG: a measure over the kept fraction, a line a method, and size against quality with
 * the Pareto front. They scale with their column; colours come from page.css. Each has a title, and a description that
 * tells all its points.
 */
#ifndef EK_REPORTS_CURVES_H
#define EK_REPORTS_CURVES_H

#include <stddef.h>
#include <stdint.h>

#include "reports/html.h"

struct ek_curve_point {
	double x, y, low, high; /* interval NaN if none */
	const char *name;       /* of the evaluation */
	int joint;              /* the line leads there, but the point is another line's */
};

/* A method. Its inverse has the same colour, dashed; what is random is grey. */
struct ek_curve_line {
	const char *name;
	size_t colour;                 /* of EK_SVG_COLOURS − 1, repeated */
	int grey, dashed, scattered;   /* scattered: points without a line */
	struct ek_curve_point *points; /* by rising x */
	size_t count;
};

struct ek_curve_chart {
	const char *id; /* a word, one of its own on the page */
	const char *title;
	const char *hint;   /* below it: which way is better; may be "" */
	double least, most; /* what y can be: the axis and the intervals end there; ±INFINITY where there is no end */
	const struct ek_curve_line *lines;
	size_t count;
};

/* y over the kept fraction x in 0 … 1, which is also told as the pruning ratio, 1 − x. Points whose y is not finite are
 * left out; a chart without any point says so. */
void ek_curves_chart(struct ek_html *h, const struct ek_curve_chart *chart);
/* y over a count of images x ≥ 0, the front marked and drawn: points that no other one has at most as many images and
 * at least as much y as. Lines are not drawn as lines. */
void ek_curves_pareto(struct ek_html *h, const struct ek_curve_chart *chart, const char *x_label);
/* The names of the lines. */
void ek_curves_legend(struct ek_html *h, const struct ek_curve_line *lines, size_t count);

/* on[i] = 1 if no other point has x at most and y at least as large, one of them strictly. */
void ek_pareto_front(uint8_t *on, const double *x, const double *y, size_t count);

/* Ends and step of an axis of about four steps of 1, 2 or 5 times a power of ten that holds low … high. */
struct ek_axis {
	double low, high, step;
};
struct ek_axis ek_axis_of(double low, double high);

#endif
