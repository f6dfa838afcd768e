/*
 * Shares of groups by predictions of all images and labels of a few that were drawn at random: prediction-powered
 * inference (Angelopoulos, Bates, Fannjiang, Jordan, Zrnic 2023), with the predictions' power tuned to them
 * (Angelopoulos, Duchi, Zrnic 2023): with f the predicted probability and y = 1 where the label is the group,
 *	share = mean over labelled of (y - l f) + l mean over all of f,  l = cov(y, f) / ((1 + n / N) var f), 0 … 1,
 *	variance = var(y - l f) / n + l² var(f) / N.
 * Worthless predictions (l = 0) leave the sample's own share; an interval is shorter than the sample's by as much as
 * they are worth. f of a labelled image must come from a model that did not learn from it.
 */
#ifndef EK_SKEW_PREDICTION_H
#define EK_SKEW_PREDICTION_H

#include "analysis/skew/intervals.h"

struct ek_prediction {
	double share;
	struct ek_interval interval; /* 95 %, within 0 … 1 */
	uint64_t halved; /* labels drawn at random, these among them, by which the interval would be half as wide */
};

/* f, y: [n >= 1] of the labelled, y 0 or 1; mean, variance: of f over all N images. The interval is by Student's t with
 * n - 1 degrees of freedom; Wilson's of the labelled alone where fewer than 5 of them are in the group, or all but
 * fewer than 5, as nothing normal is to be had of so few. halved: if labels go on to fall as they did; N where no
 * number of labels does it but all. */
void ek_prediction_share(struct ek_prediction *out, const double *f, const uint8_t *y, uint64_t n, double mean,
                         double variance, uint64_t N);

#endif
