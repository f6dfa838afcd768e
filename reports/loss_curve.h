/* The loss of a training over its steps, as inline SVG in the manner of svg.h. */
#ifndef EK_REPORTS_LOSS_CURVE_H
#define EK_REPORTS_LOSS_CURVE_H

#include "reports/html.h"
#include "reports/models.h"

/* points: [count ≥ 2], steps rising. The loss is a grey line, what was held out an accented one with dots; the axis is
 * logarithmic where all are positive and the largest is over four times the smallest. name: of the model. */
void ek_svg_loss(struct ek_html *h, const struct ek_log_point *points, size_t count, const char *name);

#endif
