#include "analysis/quality/fairness.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/skew/exact.h"
#include "analysis/skew/inversion.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/measures.h"

const char *ek_fairness_name(enum ek_fairness_measure measure)
{
	static const enum ek_compared_measure listed[EK_FAIRNESS_MEASURES] = {
		EK_CMP_MASS,   EK_CMP_HIT,         EK_CMP_DISCREPANCY, EK_CMP_VARIATION,     EK_CMP_KL,
		EK_CMP_IMPACT, EK_CMP_WORST_RATIO, EK_CMP_DIFFERENCE,  EK_CMP_AMPLIFICATION,
	};

	return ek_comparison_measures[listed[measure]].name;
}

struct shares {
	const double *target, *training;
	const double *counts;
	size_t k;
	double n;
};

static double share(const struct shares *s, size_t i)
{
	return s->counts[i] / s->n;
}

static double smoothed(const struct shares *s, size_t i)
{
	return (s->counts[i] + 0.5) / (s->n + 0.5 * (double)s->k);
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

int ek_fairness_expected(struct ek_fairness *out, const double *target, const double *training, const double *generated,
                         size_t k)
{
	struct shares s = { .target = target, .training = training, .counts = generated, .k = k };
	double wanted = 0;

	for (size_t i = 0; i < k; i++) {
		s.n += generated[i];
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

int ek_fairness_measure(struct ek_fairness *out, const double *target, const double *training,
                        const uint64_t *generated, size_t k)
{
	double *counts = NULL;
	int rc;

	EK_TRY(ek_alloc(&counts, k, sizeof *counts));
	for (size_t i = 0; i < k; i++)
		counts[i] = (double)generated[i];
	EK_TRY(ek_fairness_expected(out, target, training, counts, k));
out:
	free(counts);
	return rc;
}

/* What an estimate is taken of. */
struct context {
	const double *target, *training;
};

static int measure_sample(double *values, double *counts, size_t k, const void *context)
{
	const struct context *c = context;
	struct ek_fairness fairness;
	const int rc = ek_fairness_expected(&fairness, c->target, c->training, counts, k);

	/* What has no value has no interval: it is not looked at. */
	for (int m = 0; rc == 0 && m < EK_FAIRNESS_MEASURES; m++)
		values[m] = isfinite(fairness.value[m]) ? fairness.value[m] : 0;
	return rc;
}

/* The slope of ln(count + 1/2), which is hardly biased, and whose variance is 1 / (count + 1/2) (Gart and Zweifel 1967,
 * "On the bias of various estimators of the logit and its variance"). */
static void estimate_amplification(struct ek_estimate *e, const double *training, const uint64_t *generated, size_t k)
{
	static const double z = 1.959963984540054;
	double weight = 0, mean = 0, xx = 0, slope = 0, variance = 0;

	for (size_t i = 0; i < k; i++) {
		weight += training[i];
		mean += training[i] > 0 ? training[i] * log(training[i]) : 0;
	}
	mean /= weight;
	for (size_t i = 0; i < k; i++)
		xx += training[i] > 0 ? training[i] * (log(training[i]) - mean) * (log(training[i]) - mean) : 0;
	for (size_t i = 0; i < k; i++) {
		const double share = training[i] > 0 ? training[i] * (log(training[i]) - mean) / xx : 0,
			     count = (double)generated[i] + 0.5;

		slope += share * log(count);
		variance += share * share / count;
	}
	e->corrected = slope;
	e->interval = (struct ek_interval){ slope - z * sqrt(variance), slope + z * sqrt(variance) };
}

static void set(struct ek_estimate *e, double low, double high)
{
	e->interval = (struct ek_interval){ low, high };
	e->corrected = fmin(fmax(e->corrected, low), high);
}

/* The measures that single clusters decide. */
static void set_exact(struct ek_estimate e[EK_FAIRNESS_MEASURES], const double *target, const uint64_t *generated,
                      size_t k)
{
	struct ek_sample sample = { .counts = generated, .parts = target, .k = k }, plain;
	const double each = 0.05 / 2, both = each / 2;
	struct ek_interval least, greatest;
	struct ek_below below;
	double wanted = 0;

	for (size_t i = 0; i < k; i++) {
		sample.n += generated[i];
		wanted += target[i] > 0;
	}
	plain = sample;
	plain.parts = NULL;
	below = ek_shares_below(&sample, 0.5);
	set(&e[EK_MASS_COVERAGE], 1 - below.count.high / wanted, 1 - below.count.low / wanted);
	set(&e[EK_HIT_COVERAGE], e[EK_HIT_COVERAGE].value, 1);
	e[EK_MASS_COVERAGE].corrected = e[EK_HIT_COVERAGE].corrected = (double)NAN;
	least = ek_least_share(&sample, 0, each);
	set(&e[EK_WORST_RATIO], fmin(least.low, 1), fmin(least.high, 1));
	least = ek_least_share(&sample, 0, both);
	greatest = ek_greatest_share(&sample, both);
	set(&e[EK_DISPARATE_IMPACT], fmin(least.low / greatest.high, 1),
	    greatest.low > 0 ? fmin(least.high / greatest.low, 1) : 1);
	least = ek_least_share(&plain, 0, both);
	greatest = ek_greatest_share(&plain, both);
	set(&e[EK_DIFFERENCE], fmax(greatest.low - least.high, 0), greatest.high - least.low);
}

int ek_fairness_estimate(struct ek_estimate estimates[EK_FAIRNESS_MEASURES], const double *target,
                         const double *training, const uint64_t *generated, size_t k,
                         const struct ek_bootstrap *bootstrap)
{
	const struct context context = { target, training };
	const struct ek_share_measures measures = {
		.measure = measure_sample, .context = &context, .count = EK_FAIRNESS_MEASURES, .edge = target
	};
	struct ek_fairness measured;
	int rc;

	EK_TRY(ek_fairness_measure(&measured, target, training, generated, k));
	EK_TRY(ek_invert(estimates, &measures, generated, k, bootstrap));
	estimate_amplification(&estimates[EK_BIAS_AMPLIFICATION], training, generated, k);
	set_exact(estimates, target, generated, k);
	for (int m = 0; m < EK_FAIRNESS_MEASURES; m++)
		if (!isfinite(measured.value[m]))
			estimates[m].value = (double)NAN;
out:
	return rc;
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
