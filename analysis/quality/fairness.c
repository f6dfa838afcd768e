#include "analysis/quality/fairness.h"

#include <math.h>

#include "rebalance/base/error.h"

const char *const ek_fairness_names[EK_FAIRNESS_MEASURES] = {
	"mass_coverage",    "hit_coverage", "discrepancy", "total_variation",    "kl",
	"disparate_impact", "worst_ratio",  "difference",  "bias_amplification",
};

struct shares {
	const double *target, *training;
	const uint64_t *counts;
	size_t k;
	double n;
};

static double share(const struct shares *s, size_t i)
{
	return (double)s->counts[i] / s->n;
}

static double smoothed(const struct shares *s, size_t i)
{
	return ((double)s->counts[i] + 0.5) / (s->n + 0.5 * (double)s->k);
}

/* rho and what counts clusters. */
static void measure_ratios(struct ek_fairness *out, const struct shares *s)
{
	double wanted = 0, half = 0, hit = 0, low = INFINITY, high = 0;

	for (size_t i = 0; i < s->k; i++) {
		const double ratio = share(s, i) / s->target[i];

		if (s->target[i] == 0)
			continue;
		wanted++;
		half += ratio >= 0.5;
		hit += s->counts[i] > 0;
		if (ratio < low) {
			low = ratio;
			out->worst = i;
		}
		high = ratio > high ? ratio : high;
	}
	out->value[EK_MASS_COVERAGE] = half / wanted;
	out->value[EK_HIT_COVERAGE] = hit / wanted;
	out->value[EK_WORST_RATIO] = low;
	out->value[EK_DISPARATE_IMPACT] = high > 0 ? low / high : (double)NAN;
}

static void measure_distances(struct ek_fairness *out, const struct shares *s)
{
	double squares = 0, absolute = 0, kl = 0, low = INFINITY, high = 0;
	int uniform = 1;

	for (size_t i = 0; i < s->k; i++) {
		const double t = s->target[i], q = share(s, i);

		squares += (q - t) * (q - t);
		absolute += fabs(q - t);
		kl += t > 0 ? t * log(t / smoothed(s, i)) : 0;
		low = q < low ? q : low;
		high = q > high ? q : high;
		uniform = uniform && fabs(t * (double)s->k - 1) < 1e-9; /* a file's shares sum to 1 within 1e-6 */
	}
	out->value[EK_DISCREPANCY] = sqrt(squares);
	out->value[EK_TOTAL_VARIATION] = absolute / 2;
	out->value[EK_KL] = kl;
	out->value[EK_DIFFERENCE] = uniform ? high - low : (double)NAN;
}

static double amplification(const struct shares *s)
{
	double weight = 0, x_mean = 0, y_mean = 0, xy = 0, xx = 0;
	int hollow = 0, alike = 1;
	double first = 0;

	for (size_t i = 0; i < s->k; i++) {
		const double p = s->training[i];

		hollow = hollow || (p > 0 && s->counts[i] == 0);
		first = first == 0 ? p : first;
		alike = alike && (p == 0 || p == first);
	}
	if (alike)
		return (double)NAN;
	for (size_t i = 0; i < s->k; i++) {
		const double p = s->training[i];

		if (p == 0)
			continue;
		weight += p;
		x_mean += p * log(p);
		y_mean += p * log(hollow ? smoothed(s, i) : share(s, i));
	}
	x_mean /= weight;
	y_mean /= weight;
	for (size_t i = 0; i < s->k; i++) {
		const double p = s->training[i];

		if (p == 0)
			continue;
		xy += p * (log(p) - x_mean) * (log(hollow ? smoothed(s, i) : share(s, i)) - y_mean);
		xx += p * (log(p) - x_mean) * (log(p) - x_mean);
	}
	return xy / xx;
}

int ek_fairness_measure(struct ek_fairness *out, const double *target, const double *training,
                        const uint64_t *generated, size_t k)
{
	struct shares s = { .target = target, .training = training, .counts = generated, .k = k };
	double wanted = 0;

	for (size_t i = 0; i < k; i++) {
		s.n += (double)generated[i];
		wanted += target[i];
	}
	if (s.n == 0)
		return ek_fail(EK_EDATA, "no image was generated");
	if (!(wanted > 0))
		return ek_fail(EK_EDATA, "no cluster is wanted: all target shares are 0");
	*out = (struct ek_fairness){ .worst = 0 };
	measure_ratios(out, &s);
	measure_distances(out, &s);
	out->value[EK_BIAS_AMPLIFICATION] = amplification(&s);
	return 0;
}

int ek_disparity(struct ek_disparity *out, const double *values, const double *weights, size_t k)
{
	const double none = (double)NAN;
	double sum = 0, weight = 0, plain = 0, count = 0;

	*out = (struct ek_disparity){ none, none, INFINITY, none, 0 };
	for (size_t i = 0; i < k; i++) {
		if (isnan(values[i]))
			continue;
		sum += weights[i] * values[i];
		weight += weights[i];
		plain += values[i];
		count++;
		if (values[i] < out->lowest) {
			out->lowest = values[i];
			out->worst = i;
		}
	}
	if (!(weight > 0)) {
		*out = (struct ek_disparity){ none, none, none, none, 0 };
		return 0;
	}
	out->overall = sum / weight;
	out->macro = plain / count;
	out->gap = out->lowest - out->overall;
	return 1;
}
