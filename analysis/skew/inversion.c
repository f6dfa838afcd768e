#include "analysis/skew/inversion.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { NODES_MOST = 16, FINE = 16, QUANTILES = 3 };
enum { LOW, MEDIAN, HIGH };

/*
 * Beyond which samples come out otherwise. 0.025 would be right if the shape of the shares were known and samples were
 * without number; of 250, 0.0212 is (an order statistic h lies above h / 251 of all). The rest is for the shape.
 */
static const double tail = 0.0175;

/* Measures of many cells are nearly normal: a few samples tell their percentiles, by Student's t of 31 degrees
 * with as much beyond. */
enum { MANY_CELLS = 4096, FEW_SAMPLES = 32 };
static const double student_31 = 2.205025843655469;

/* The chance that a cell which the edge lacks counts for at the edge, of what was seen in it. */
static const double off_edge = 1e-6;

/* Everything of one data set; arrays [k]. */
struct job {
	const struct ek_share_measures *measures;
	const struct ek_bootstrap *bootstrap;
	size_t k, resamples; /* of each node */
	double n;
	double *seen;      /* shares of the data */
	double *base;      /* logarithm of the shares at 0, -inf: never */
	double *direction; /* of tilted shares */
	double centre;     /* the tilt that was seen, */
	double step;       /* and its standard error */
	double top;        /* the greatest ratio of what was seen to the edge, */
	double top_error;  /* and its standard error as a fraction of it */
	double *shares;    /* of the node that is drawn of */
	double *chances;   /* of each cell among those not before it */
	double *drawn;     /* [threads, k] */
	double *measured;  /* [resamples, values] */
	uint64_t drawn_nodes;
};

/* Shares by a real number; the nodes are where samples are drawn. */
struct path {
	void (*shares)(double *out, const struct job *job, double at);
	double nodes[NODES_MOST];
	size_t count;
	double *bias;  /* [QUANTILES, count, values] percentiles of samples less the truth */
	double *truth; /* [(count - 1) FINE + 1, values] */
};

static void normalise(double *shares, size_t k)
{
	double sum = 0;

	for (size_t i = 0; i < k; i++)
		sum += shares[i];
	for (size_t i = 0; i < k; i++)
		shares[i] /= sum;
}

static void tilted(double *out, const struct job *job, double at)
{
	double most = -INFINITY;

	for (size_t i = 0; i < job->k; i++) {
		out[i] = job->base[i] + at * job->direction[i];
		most = fmax(most, out[i]);
	}
	for (size_t i = 0; i < job->k; i++)
		out[i] = exp(out[i] - most);
	normalise(out, job->k);
}

static void shrunk(double *out, const struct job *job, double at)
{
	const double *edge = job->measures->edge;

	for (size_t i = 0; i < job->k; i++) {
		const double off = job->seen[i] - edge[i], error = sqrt(edge[i] * (1 - edge[i]) / job->n);

		out[i] = edge[i] + copysign(fmax(fabs(off) - at * error, 0), off);
	}
	normalise(out, job->k);
}

static void levelled(double *out, const struct job *job, double at)
{
	const double *edge = job->measures->edge, cap = fmax(job->top * exp(-at * job->top_error), 1);

	for (size_t i = 0; i < job->k; i++)
		out[i] = edge[i] > 0 ? fmin(job->seen[i], cap * edge[i]) : job->seen[i];
	normalise(out, job->k);
}

/* Mean and variance of the direction under tilted shares; uses job->shares. */
static double tilt_mean(double *variance, const struct job *job, double at)
{
	double mean = 0, squares = 0;

	tilted(job->shares, job, at);
	for (size_t i = 0; i < job->k; i++)
		mean += job->shares[i] > 0 ? job->shares[i] * job->direction[i] : 0;
	for (size_t i = 0; i < job->k; i++)
		squares += job->shares[i] > 0 ? job->shares[i] * (job->direction[i] - mean) * (job->direction[i] - mean)
		                              : 0;
	*variance = squares;
	return mean;
}

/* The likeliest tilt: that whose mean is the data's. The smoothed shares are less tilted than the data. */
static double likeliest_tilt(const struct job *job)
{
	double low = 0, high = 1, variance, want = 0;

	for (size_t i = 0; i < job->k; i++)
		want += job->seen[i] > 0 ? job->seen[i] * job->direction[i] : 0;
	while (high < 64 && tilt_mean(&variance, job, high) < want)
		high *= 2;
	for (int i = 0; i < 60; i++) {
		const double middle = (low + high) / 2;

		if (tilt_mean(&variance, job, middle) < want)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static void aim(struct job *job)
{
	const double *edge = job->measures->edge;
	double units = 0, variance;

	for (size_t i = 0; i < job->k; i++)
		units += edge[i] > 0;
	for (size_t i = 0; i < job->k; i++) {
		const double smooth = (job->n * job->seen[i] + 0.5 * units * edge[i]) / (job->n + 0.5 * units),
			     start = edge[i] > 0 ? edge[i] : off_edge * smooth;

		job->base[i] = log(start);
		job->direction[i] = start > 0 ? log(smooth / start) : 0;
	}
	(void)tilt_mean(&variance, job, 0);
	if (variance < 1e-20) /* just the edge: any way leads off it */
		for (size_t i = 0; i < job->k; i++)
			job->direction[i] = i % 2 == 0 ? 1 : -1;
	job->centre = likeliest_tilt(job);
	(void)tilt_mean(&variance, job, job->centre);
	job->step = variance > 0 ? 1 / sqrt(job->n * variance) : 0;
	for (size_t i = 0; i < job->k; i++)
		if (edge[i] > 0 && job->seen[i] > job->top * edge[i]) {
			job->top = job->seen[i] / edge[i];
			job->top_error = 1 / sqrt(job->n * job->seen[i]);
		}
}

static struct path tilted_path(const struct job *job)
{
	static const double beyond[] = { 0, 1, 2, 4, 8, 16 };
	enum { BEYOND = sizeof beyond / sizeof *beyond, TO_SEEN = 8 };
	struct path path = { .shares = tilted };

	for (int i = 0; i < TO_SEEN; i++)
		path.nodes[path.count++] = job->centre * i / TO_SEEN;
	for (int i = 0; i < BEYOND; i++)
		path.nodes[path.count++] = job->centre + beyond[i] * job->step;
	return path;
}

/* From what was seen by so many standard errors towards the edge. */
static struct path path_back(void (*shares)(double *out, const struct job *job, double at))
{
	return (struct path){ .shares = shares, .nodes = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 }, .count = 8 };
}

/* A sample of job->shares: given the cells before it, a cell's count is binomial. */
static int draw(void *context, uint64_t i, int worker)
{
	const struct job *job = context;
	const size_t values = job->measures->count;
	double *counts = job->drawn + (size_t)worker * job->k;
	struct ek_sequence random = { .seed = job->bootstrap->seed,
		                      .stream = ek_random_stream(job->bootstrap->name),
		                      .index = (job->drawn_nodes * job->resamples + i) << 32 };
	uint64_t left = (uint64_t)job->n;
	int rc;

	EK_TRY(ek_check_interrupt());
	for (size_t c = 0; c < job->k; c++) {
		const uint64_t count = ek_binomial(&random, left, job->chances[c]);

		counts[c] = (double)count;
		left -= count;
	}
	EK_TRY(job->measures->measure(job->measured + i * values, counts, job->k, job->measures->context));
out:
	return rc;
}

/* The sum behind a cell is taken from the end, so that the last one with a share is certain. */
static void set_chances(const struct job *job)
{
	double behind = 0;

	for (size_t i = job->k; i-- > 0;) {
		behind += job->shares[i];
		job->chances[i] = job->shares[i] > 0 ? job->shares[i] / behind : 0;
	}
}

static int measure_truth(double *values, const struct job *job)
{
	const struct ek_share_measures *m = job->measures;

	for (size_t i = 0; i < job->k; i++)
		job->drawn[i] = job->n * job->shares[i];
	return (m->expected != NULL ? m->expected : m->measure)(values, job->drawn, job->k, m->context);
}

static double node_at(const struct path *path, size_t fine)
{
	const size_t node = fine / FINE, part = fine % FINE;

	return part == 0 ? path->nodes[node]
	                 : path->nodes[node] + (path->nodes[node + 1] - path->nodes[node]) * (double)part / FINE;
}

/* Of the measure of the samples of a node, by `which`; sorts or leaves `column`. */
static void percentiles(double out[QUANTILES], double *column, const struct job *job)
{
	const size_t count = job->resamples;
	double mean = 0, squares = 0;
	struct ek_interval ends;

	if (job->k <= MANY_CELLS) {
		ends = ek_percentiles(column, count, tail);
		out[LOW] = ends.low;
		out[MEDIAN] = (column[(count - 1) / 2] + column[count / 2]) / 2;
		out[HIGH] = ends.high;
		return;
	}
	for (size_t i = 0; i < count; i++)
		mean += column[i] / (double)count;
	for (size_t i = 0; i < count; i++)
		squares += (column[i] - mean) * (column[i] - mean);
	out[MEDIAN] = mean;
	out[LOW] = mean - student_31 * sqrt(squares / (FEW_SAMPLES - 1));
	out[HIGH] = mean + student_31 * sqrt(squares / (FEW_SAMPLES - 1));
}

static int sample_node(struct path *path, struct job *job, size_t node, double *column)
{
	const size_t values = job->measures->count;
	int rc;

	path->shares(job->shares, job, path->nodes[node]);
	set_chances(job);
	EK_TRY(ek_parallel(job->resamples, draw, job));
	job->drawn_nodes++;
	for (size_t v = 0; v < values; v++) {
		const double truth = path->truth[node * FINE * values + v];
		double found[QUANTILES];

		for (size_t i = 0; i < job->resamples; i++)
			column[i] = job->measured[i * values + v];
		percentiles(found, column, job);
		for (size_t q = 0; q < QUANTILES; q++)
			path->bias[(q * path->count + node) * values + v] = found[q] - truth;
	}
out:
	return rc;
}

/* The truth everywhere, and how samples differ from it at the nodes: a difference is small, and smooth between them. */
static int trace(struct path *path, struct job *job)
{
	const size_t values = job->measures->count, fine = (path->count - 1) * FINE + 1;
	double *column = NULL;
	int rc;

	EK_TRY(ek_alloc(&path->bias, QUANTILES * path->count * values, sizeof *path->bias));
	EK_TRY(ek_alloc(&path->truth, fine * values, sizeof *path->truth));
	EK_TRY(ek_alloc(&column, job->resamples, sizeof *column));
	for (size_t i = 0; i < fine; i++) {
		path->shares(job->shares, job, node_at(path, i));
		EK_TRY(measure_truth(path->truth + i * values, job));
	}
	for (size_t node = 0; node < path->count; node++)
		EK_TRY(sample_node(path, job, node, column));
out:
	free(column);
	return rc;
}

static void path_release(struct path *path)
{
	free(path->bias);
	free(path->truth);
}

/* A percentile of the samples at a fine place; `sign` -1 turns the measure over. */
static double percentile(const struct path *path, size_t values, size_t v, size_t fine, int which, double sign)
{
	const size_t node = fine / FINE, part = fine % FINE;
	const size_t quantile = (size_t)(sign < 0 ? HIGH - which : which);
	const double *bias = path->bias + quantile * path->count * values + v;
	const double here = bias[node * values];
	const double there = part == 0 ? here : bias[(node + 1) * values];

	return sign * (path->truth[fine * values + v] + here + (there - here) * (double)part / FINE);
}

/* The truth where a percentile, rising along the path, comes to `value`; at an end if it does not. */
static double where(const struct path *path, size_t values, size_t v, double value, int which, double sign, int last)
{
	const size_t fine = (path->count - 1) * FINE + 1;
	const double *truth = path->truth + v;
	size_t i = last ? fine - 1 : 0;
	double here, before, part;

	if (last) {
		while (i > 0 && percentile(path, values, v, i, which, sign) > sign * value)
			i--;
		if (i == fine - 1 || percentile(path, values, v, i, which, sign) > sign * value)
			return truth[i * values];
		i++;
	} else {
		while (i < fine - 1 && percentile(path, values, v, i, which, sign) < sign * value)
			i++;
		if (i == 0 || percentile(path, values, v, i, which, sign) < sign * value)
			return truth[i * values];
	}
	before = percentile(path, values, v, i - 1, which, sign);
	here = percentile(path, values, v, i, which, sign);
	part = here > before ? (sign * value - before) / (here - before) : 1;
	return truth[(i - 1) * values] + part * (truth[i * values] - truth[(i - 1) * values]);
}

static double sign_of(const struct path *path, size_t values, size_t v)
{
	return path->truth[(path->count - 1) * FINE * values + v] < path->truth[v] ? -1 : 1;
}

static void estimate(struct ek_estimate *e, const struct path *path, size_t values, size_t v)
{
	const double sign = sign_of(path, values, v), near = where(path, values, v, e->value, HIGH, sign, 0),
		     end = path->truth[(path->count - 1) * FINE * values + v];
	double far = where(path, values, v, e->value, LOW, sign, 1);

	/* Nothing on the path is too far: so is not what was seen, as where all images are in one cell. */
	if (far == end)
		far = sign * fmax(sign * end, sign * e->value);
	e->corrected = where(path, values, v, e->value, MEDIAN, sign, 0);
	e->interval = (struct ek_interval){ fmin(near, far), fmax(near, far) };
	e->corrected = fmin(fmax(e->corrected, e->interval.low), e->interval.high);
}

/* The end at the side of the edge, if this path, which leads to it, comes nearer. */
static void extend(struct ek_estimate *e, const struct path *path, size_t values, size_t v)
{
	const double sign = sign_of(path, values, v), end = where(path, values, v, e->value, LOW, sign, 1);

	if (sign < 0)
		e->interval.low = fmin(e->interval.low, end);
	else
		e->interval.high = fmax(e->interval.high, end);
}

static int open_job(struct job *job, const uint64_t *counts)
{
	int rc;

	for (size_t i = 0; i < job->k; i++)
		job->n += (double)counts[i];
	if (job->resamples == 0)
		return ek_fail(EK_EUSAGE, "a bootstrap needs at least one resample");
	if (job->n == 0)
		return ek_fail(EK_EDATA, "%s: no images to resample", job->bootstrap->name);
	EK_TRY(ek_alloc(&job->seen, job->k, sizeof *job->seen));
	EK_TRY(ek_alloc(&job->base, job->k, sizeof *job->base));
	EK_TRY(ek_alloc(&job->direction, job->k, sizeof *job->direction));
	EK_TRY(ek_alloc(&job->shares, job->k, sizeof *job->shares));
	EK_TRY(ek_alloc(&job->chances, job->k, sizeof *job->chances));
	EK_TRY(ek_alloc(&job->drawn, (size_t)ek_threads() * job->k, sizeof *job->drawn));
	EK_TRY(ek_alloc(&job->measured, job->resamples * job->measures->count, sizeof *job->measured));
	for (size_t i = 0; i < job->k; i++)
		job->seen[i] = (double)counts[i] / job->n;
	aim(job);
out:
	return rc;
}

static void close_job(struct job *job)
{
	free(job->seen);
	free(job->base);
	free(job->direction);
	free(job->shares);
	free(job->chances);
	free(job->drawn);
	free(job->measured);
}

/* The ends towards the edge, by another path to it. */
static int extend_by(struct ek_estimate *estimates, struct path path, struct job *job)
{
	const size_t values = job->measures->count;
	int rc;

	EK_TRY(trace(&path, job));
	for (size_t v = 0; v < values; v++)
		extend(&estimates[v], &path, values, v);
out:
	path_release(&path);
	return rc;
}

int ek_invert(struct ek_estimate *estimates, const struct ek_share_measures *measures, const uint64_t *counts, size_t k,
              const struct ek_bootstrap *bootstrap)
{
	struct job job = { .measures = measures,
		           .bootstrap = bootstrap,
		           .k = k,
		           .resamples = k > MANY_CELLS && bootstrap->resamples > 0 ? FEW_SAMPLES
		                                                                   : (bootstrap->resamples + 3) / 4 };
	struct path path = { 0 };
	double *values = NULL;
	int rc;

	EK_TRY(open_job(&job, counts));
	EK_TRY(ek_alloc(&values, measures->count, sizeof *values));
	for (size_t i = 0; i < k; i++)
		job.drawn[i] = (double)counts[i];
	EK_TRY(measures->measure(values, job.drawn, k, measures->context));
	path = tilted_path(&job);
	EK_TRY(trace(&path, &job));
	for (size_t v = 0; v < measures->count; v++) {
		estimates[v].value = values[v];
		estimate(&estimates[v], &path, measures->count, v);
	}
	EK_TRY(extend_by(estimates, path_back(shrunk), &job));
	EK_TRY(extend_by(estimates, path_back(levelled), &job));
	ek_progress_add(bootstrap->resamples);
out:
	path_release(&path);
	free(values);
	close_job(&job);
	return rc;
}
