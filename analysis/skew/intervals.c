#include "analysis/skew/intervals.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

struct ek_interval ek_wilson(uint64_t count, uint64_t n)
{
	static const double z = 1.959963984540054; /* the normal distribution's 97.5th percentile */
	const double trials = (double)n, p = n > 0 ? (double)count / trials : 0, z2 = z * z;
	double centre, half;

	if (n == 0)
		return (struct ek_interval){ 0, 1 };
	centre = (p + z2 / (2 * trials)) / (1 + z2 / trials);
	half = z * sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials);
	return (struct ek_interval){ .low = count == 0 ? 0 : fmax(centre - half, 0),
		                     .high = count == n ? 1 : fmin(centre + half, 1) };
}

static double next(struct ek_sequence *random)
{
	return ek_random_double(random->seed, random->stream, random->index++);
}

/* Walk up the distribution function; n p < 10, so that q^n does not underflow and the walk is short. */
static uint64_t binomial_by_inversion(struct ek_sequence *random, uint64_t n, double p)
{
	const double odds = p / (1 - p);
	double left = next(random), probability = exp((double)n * log1p(-p));
	uint64_t k = 0;

	while (left >= probability && k < n) {
		left -= probability;
		probability *= odds * (double)(n - k) / (double)(k + 1);
		k++;
		/* Rounding can leave a remainder that the terms never use up; below the steps of `left` it is that. */
		if (probability < 0x1p-60)
			break;
	}
	return k;
}

/* ln k! minus its Stirling approximation (k + 1/2) ln(k + 1) - (k + 1) + ln(2 pi)/2, as Hörmann tabulates it. */
static double stirling_tail(double k)
{
	static const double table[] = {
		0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
		0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
	};
	double squared;

	if (k < 10)
		return table[(int)k];
	squared = (k + 1) * (k + 1);
	return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / squared) / squared) / (k + 1);
}

/* n p ≥ 10, p ≤ 1/2. The names are Hörmann's. */
static uint64_t binomial_by_rejection(struct ek_sequence *random, uint64_t trials, double p)
{
	const double n = (double)trials, spq = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spq,
		     a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5, v_r = 0.92 - 4.2 / b,
		     alpha = (2.83 + 5.1 / b) * spq, r = p / (1 - p), m = floor((n + 1) * p);

	for (;;) {
		const double u = next(random) - 0.5, v = next(random), us = 0.5 - fabs(u),
			     k = floor((2 * a / us + b) * u + c);

		if (us >= 0.07 && v <= v_r)
			return (uint64_t)k;
		if (!(k >= 0 && k <= n))
			continue;
		if (log(v * alpha / (a / (us * us) + b)) <=
		    (m + 0.5) * log((m + 1) / (r * (n - m + 1))) + (n + 1) * log((n - m + 1) / (n - k + 1)) +
		            (k + 0.5) * log(r * (n - k + 1) / (k + 1)) + stirling_tail(m) + stirling_tail(n - m) -
		            stirling_tail(k) - stirling_tail(n - k))
			return (uint64_t)k;
	}
}

uint64_t ek_binomial(struct ek_sequence *random, uint64_t n, double p)
{
	if (n == 0 || p <= 0)
		return 0;
	if (p >= 1)
		return n;
	if (p > 0.5)
		return n - ek_binomial(random, n, 1 - p);
	return (double)n * p < 10 ? binomial_by_inversion(random, n, p) : binomial_by_rejection(random, n, p);
}

void ek_multinomial(uint64_t *out, struct ek_sequence *random, const uint64_t *counts, size_t k)
{
	uint64_t cells_left = 0, images_left;

	for (size_t i = 0; i < k; i++)
		cells_left += counts[i];
	images_left = cells_left;
	/* Given the cells before it, a cell's count is binomial; whole numbers keep its probability exact. */
	for (size_t i = 0; i < k; i++) {
		out[i] = counts[i] == 0 ? 0 : ek_binomial(random, images_left, (double)counts[i] / (double)cells_left);
		images_left -= out[i];
		cells_left -= counts[i];
	}
}

static double percentile(const double *sorted, size_t count, double fraction)
{
	const double place = fraction * (double)(count - 1);
	const size_t below = (size_t)place;
	const double step = below + 1 < count ? sorted[below + 1] - sorted[below] : 0;

	return sorted[below] + (place - (double)below) * step;
}

struct ek_interval ek_percentiles(double *values, size_t count, double tail)
{
	qsort(values, count, sizeof *values, ek_compare_doubles);
	return (struct ek_interval){ percentile(values, count, tail), percentile(values, count, 1 - tail) };
}

struct job {
	const struct ek_statistics *statistics;
	const struct ek_bootstrap *bootstrap;
	const uint64_t *counts;
	size_t k;
	uint64_t *drawn;  /* [threads, k] */
	double *measured; /* [resamples, values] */
};

static int measure_resample(void *context, uint64_t i, int worker)
{
	const struct job *job = context;
	uint64_t *drawn = job->drawn + (size_t)worker * job->k;
	/* 2^32 numbers for each resample: a draw takes a few per cell. */
	struct ek_sequence random = { .seed = job->bootstrap->seed,
		                      .stream = ek_random_stream(job->bootstrap->name),
		                      .index = i << 32 };
	int rc;

	EK_TRY(ek_check_interrupt());
	ek_multinomial(drawn, &random, job->counts, job->k);
	EK_TRY(job->statistics->measure(job->measured + i * job->statistics->count, drawn, job->k,
	                                job->statistics->context));
	ek_progress_add(1);
out:
	return rc;
}

/* Sorts `resampled`. */
static struct ek_interval corrected(double *resampled, size_t count, double value, const struct ek_interval *range)
{
	struct ek_interval interval;
	double mean = 0, move;

	for (size_t i = 0; i < count; i++)
		mean += resampled[i] / (double)count;
	move = 2 * (value - mean);
	interval = ek_percentiles(resampled, count, 0.025);
	interval.low += move;
	interval.high += move;
	if (range != NULL) {
		interval.low = fmin(fmax(interval.low, range->low), range->high);
		interval.high = fmin(fmax(interval.high, range->low), range->high);
	}
	return (struct ek_interval){ fmin(interval.low, value), fmax(interval.high, value) };
}

static int has_images(const uint64_t *counts, size_t k)
{
	for (size_t i = 0; i < k; i++)
		if (counts[i] > 0)
			return 1;
	return 0;
}

int ek_bootstrap_intervals(struct ek_interval *intervals, const struct ek_statistics *statistics,
                           const uint64_t *counts, size_t k, const struct ek_bootstrap *bootstrap)
{
	const size_t resamples = bootstrap->resamples, values = statistics->count;
	struct job job = { .statistics = statistics, .bootstrap = bootstrap, .counts = counts, .k = k };
	double *column = NULL, *measured = NULL;
	int rc;

	if (resamples == 0)
		return ek_fail(EK_EUSAGE, "a bootstrap needs at least one resample");
	if (!has_images(counts, k))
		return ek_fail(EK_EDATA, "%s: no images to resample", bootstrap->name);
	EK_TRY(ek_alloc(&job.drawn, (size_t)ek_threads() * k, sizeof *job.drawn));
	EK_TRY(ek_alloc(&job.measured, resamples * values, sizeof *job.measured));
	EK_TRY(ek_alloc(&column, resamples, sizeof *column));
	EK_TRY(ek_alloc(&measured, values, sizeof *measured));
	EK_TRY(statistics->measure(measured, counts, k, statistics->context));
	EK_TRY(ek_parallel(resamples, measure_resample, &job));
	for (size_t v = 0; v < values; v++) {
		for (size_t i = 0; i < resamples; i++)
			column[i] = job.measured[i * values + v];
		intervals[v] = corrected(column, resamples, measured[v],
		                         statistics->ranges != NULL ? &statistics->ranges[v] : NULL);
	}
out:
	free(job.drawn);
	free(job.measured);
	free(column);
	free(measured);
	return rc;
}
