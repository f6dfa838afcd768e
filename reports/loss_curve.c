#include "reports/loss_curve.h"

#include <math.h>

/* The plot, in pixels down and in percent across. */
enum { TOP = 22, HEIGHT = 190, TICKS_MOST = 6 };

struct scale {
	double first, last; /* steps */
	double low, high;   /* losses, or their logarithms */
	int is_logarithmic;
};

static double height_of(const struct scale *s, double loss)
{
	const double y = s->is_logarithmic ? log(loss) : loss;

	return TOP + HEIGHT * (1 - (y - s->low) / (s->high - s->low));
}

static double across(const struct scale *s, double step)
{
	return 100 * (step - s->first) / (s->last - s->first);
}

static struct scale scale_of(const struct ek_log_point *points, size_t count)
{
	struct scale s = {
		.first = points[0].step, .last = points[count - 1].step, .low = INFINITY, .high = -INFINITY
	};

	for (size_t i = 0; i < count; i++) {
		s.low = fmin(s.low, fmin(points[i].loss, points[i].held_out));
		s.high = fmax(s.high, fmax(points[i].loss, points[i].held_out));
	}
	s.is_logarithmic = s.low > 0 && s.high > 4 * s.low;
	if (s.is_logarithmic) {
		s.low = log(s.low);
		s.high = log(s.high);
	}
	if (!(s.high > s.low))
		s.high = s.low + 1;
	if (!(s.last > s.first))
		s.last = s.first + 1;
	return s;
}

static void tick(struct ek_html *h, const struct scale *s, double loss, int is_label)
{
	const double y = height_of(s, loss);

	if (is_label)
		ek_html(h, "<text class=\"note\" y=\"%.1f\">%g</text>", y - 4, loss);
	else
		ek_html(h, "<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>", y, y);
}

/* 1, 2 and 5 times powers of ten, as far as they lie in the plot: every decade, or more of them where there are few. */
static void ticks(struct ek_html *h, const struct scale *s, int are_labels)
{
	static const double steps[] = { 1, 2, 5, 10 };
	const double span = s->high - s->low;
	double power, step = 10;

	if (s->is_logarithmic) {
		const int all = span < log(50);

		for (power = pow(10, floor(s->low / log(10))); log(power) <= s->high; power *= 10)
			for (int i = 0; i < (all ? 3 : 1); i++)
				if (log(power * steps[i]) >= s->low && log(power * steps[i]) <= s->high)
					tick(h, s, power * steps[i], are_labels);
		return;
	}
	power = pow(10, floor(log10(span / TICKS_MOST)));
	for (int i = 3; i >= 0; i--)
		if (span / (power * steps[i]) <= TICKS_MOST)
			step = power * steps[i];
	for (double n = ceil(s->low / step); n * step <= s->high; n++)
		tick(h, s, n * step, are_labels);
}

static void line(struct ek_html *h, const struct scale *s, const struct ek_log_point *points, size_t count,
                 int held_out)
{
	size_t drawn = 0;

	ek_html(h, "<path class=\"%s\" vector-effect=\"non-scaling-stroke\" d=\"", held_out ? "line" : "line before");
	for (size_t i = 0; i < count; i++) {
		const double loss = held_out ? points[i].held_out : points[i].loss;

		if (isfinite(loss))
			ek_html(h, "%s%.1f %.1f", drawn++ == 0 ? "M" : "L", 10 * across(s, points[i].step),
			        height_of(s, loss) - TOP);
	}
	ek_html(h, "\"/>");
}

void ek_svg_loss(struct ek_html *h, const struct ek_log_point *points, size_t count, const char *name)
{
	const struct scale s = scale_of(points, count);

	ek_html(h,
	        "<svg class=\"loss\" width=\"100%%\" height=\"%d\" role=\"img\"><title>Loss of %s: %g at step %.0f, %g "
	        "at step %.0f</title>",
	        TOP + HEIGHT + 30, name, points[0].loss, points[0].step, points[count - 1].loss,
	        points[count - 1].step);
	ticks(h, &s, 0);
	ek_html(h,
	        "<svg y=\"%d\" width=\"100%%\" height=\"%d\" viewBox=\"0 0 1000 %d\" preserveAspectRatio=\"none\" "
	        "overflow=\"visible\">",
	        TOP, HEIGHT, HEIGHT);
	line(h, &s, points, count, 0);
	line(h, &s, points, count, 1);
	ek_html(h, "</svg>");
	for (size_t i = 0; i < count; i++)
		if (isfinite(points[i].held_out))
			ek_html(h, "<circle class=\"dot\" cx=\"%.2f%%\" cy=\"%.1f\" r=\"3.5\"/>",
			        across(&s, points[i].step), height_of(&s, points[i].held_out));
	/* Over the lines, which they may cross. */
	ticks(h, &s, 1);
	ek_html(h,
	        "<text class=\"note\" y=\"%d\">step %s</text><text class=\"note\" x=\"100%%\" text-anchor=\"end\" "
	        "y=\"%d\">step %s</text></svg>",
	        TOP + HEIGHT + 24, ek_decimal(s.first, 0).s, TOP + HEIGHT + 24,
	        ek_decimal(points[count - 1].step, 0).s);
}
