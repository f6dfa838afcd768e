#include "analysis/cluster/tsne.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { STEPS = 750, EXAGGERATED = 250, ROWS = 32, SEARCHES = 60, POWER_STEPS = 40, FEWEST = 8 };

static const double perplexity_most = 30, exaggeration = 12, start_deviation = 1e-4, jitter = 1e-7;

struct tsne {
	const float *x;
	size_t m, d;
	float *p;                   /* [m, m] affinities, symmetric, summing to 1 */
	double *position[2];        /* [m] each */
	double *velocity, *gain;    /* [2, m] */
	struct ek_attraction *pull; /* [m] */
	double *gauss;              /* [threads, m] */
	double perplexity;
};

/* ln x for x > 0: 2 artanh((f - 1) / (f + 1)) + e ln 2 with f in [0.7, 1.4). */
static double log_of(double x)
{
	int e;
	double f = frexp(x, &e), z, z2, sum = 0;

	if (f < 0.70710678118654752) {
		f *= 2;
		e--;
	}
	z = (f - 1) / (f + 1);
	z2 = z * z;
	for (int i = 21; i >= 1; i -= 2)
		sum = sum * z2 + 1.0 / i;
	return 2 * z * sum + (double)e * 0.69314718055994530942;
}

/* Squared distances of ROWS rows to those behind them, and so of those to them: the same bits either way. */
static int distances(void *context, uint64_t piece, int worker)
{
	const struct tsne *t = context;
	const size_t m = t->m, first = piece * ROWS, end = first + ROWS < m ? first + ROWS : m;

	(void)worker;
	for (size_t j = first; j < m; j++)
		for (size_t i = first; i < end && i <= j; i++) {
			const double distance2 = ek_vector_distance2(t->x + i * t->d, t->x + j * t->d, t->d);

			t->p[i * m + j] = t->p[j * m + i] = (float)distance2;
		}
	return ek_check_interrupt();
}

/* Row i of the conditional affinities, which replaces that of the distances: a Gaussian whose entropy is ln(perplexity)
 * (Hbeta of the authors' code). */
static int affinities(void *context, uint64_t i, int worker)
{
	const struct tsne *t = context;
	float *row = t->p + i * t->m;
	const double wanted = log_of(t->perplexity);
	double *gauss = t->gauss + (size_t)worker * t->m;
	double beta = 1, low = 0, high = (double)INFINITY, least = (double)INFINITY, mean = 0, sum = 0;

	for (size_t j = 0; j < t->m; j++) {
		if (j != i) {
			least = fmin(least, (double)row[j]);
			mean += (double)row[j];
		}
	}
	mean = mean / (double)(t->m - 1) - least;
	if (mean > 0)
		beta = 1 / mean;
	for (int search = 0; search < SEARCHES; search++) {
		double weighted = 0, entropy;

		sum = 0;
		ek_vector_gaussian(gauss, row, least, beta, t->m);
		gauss[i] = 0;
		for (size_t j = 0; j < t->m; j++) {
			sum += gauss[j];
			weighted += ((double)row[j] - least) * gauss[j];
		}
		entropy = log_of(sum) + beta * weighted / sum;
		if (fabs(entropy - wanted) < 1e-5)
			break;
		if (entropy > wanted) {
			low = beta;
			beta = isinf(high) ? beta * 2 : (beta + high) / 2;
		} else {
			high = beta;
			beta = (beta + low) / 2;
		}
	}
	ek_vector_gaussian(gauss, row, least, beta, t->m);
	for (size_t j = 0; j < t->m; j++)
		row[j] = j == i ? 0 : (float)(gauss[j] / sum);
	return ek_check_interrupt();
}

static int symmetrise(void *context, uint64_t i, int worker)
{
	const struct tsne *t = context;

	(void)worker;
	for (size_t j = 0; j < i; j++) {
		float *a = &t->p[i * t->m + j], *b = &t->p[j * t->m + i];

		*a = *b = (*a + *b) / (2 * (float)t->m);
	}
	return 0;
}

/* What the search for principal components needs. */
struct components {
	const struct tsne *t;
	double *mean, *v, *next; /* [d], [2, d] now and after this step */
};

static int score_rows(void *context, uint64_t piece, int worker)
{
	const struct components *p = context;
	const struct tsne *t = p->t;
	const size_t d = t->d, end = (piece + 1) * ROWS < t->m ? (piece + 1) * ROWS : t->m;

	(void)worker;
	for (size_t i = piece * ROWS; i < end; i++) {
		const float *x = t->x + i * d;
		double score[2] = { 0, 0 };

		for (size_t j = 0; j < d; j++) {
			const double apart = (double)x[j] - p->mean[j];

			score[0] += apart * p->v[j];
			score[1] += apart * p->v[d + j];
		}
		t->position[0][i] = score[0];
		t->position[1][i] = score[1];
	}
	return 0;
}

/* Columns, so that each sum over the rows is one worker's, in their order. */
static int add_columns(void *context, uint64_t piece, int worker)
{
	const struct components *p = context;
	const struct tsne *t = p->t;
	const size_t d = t->d, first = piece * ROWS, end = first + ROWS < d ? first + ROWS : d;

	double sums[2][ROWS] = { { 0 } }, mean[ROWS];

	(void)worker;
	memcpy(mean, p->mean + first, (end - first) * sizeof *mean);
	for (size_t i = 0; i < t->m; i++) {
		const float *x = t->x + i * d + first;
		const double score[2] = { t->position[0][i], t->position[1][i] };

		for (size_t j = 0; j < end - first; j++) {
			const double apart = (double)x[j] - mean[j];

			sums[0][j] += score[0] * apart;
			sums[1][j] += score[1] * apart;
		}
	}
	for (size_t c = 0; c < 2; c++)
		memcpy(p->next + c * d + first, sums[c], (end - first) * sizeof *mean);
	return 0;
}

/* The first two principal components by orthogonal iteration; position = scores with the deviation of the first. */
static int principal(struct tsne *t)
{
	const size_t m = t->m, d = t->d;
	const double work = 10 * (double)m * (double)d; /* of doubles, in order */
	double *mean = NULL, *v = NULL, *next = NULL, deviation = 0;
	struct components p;
	int rc;

	EK_TRY(ek_alloc(&mean, d, sizeof *mean));
	EK_TRY(ek_alloc(&v, 2 * d, sizeof *v));
	EK_TRY(ek_alloc(&next, 2 * d, sizeof *next));
	for (size_t i = 0; i < m; i++)
		ek_vector_add(mean, t->x + i * d, d);
	for (size_t j = 0; j < d; j++)
		mean[j] /= (double)m;
	for (size_t j = 0; j < 2 * d; j++)
		v[j] = ek_random_normal(0, ek_random_stream("principal"), j);
	p = (struct components){ t, mean, v, next };
	for (int step = 0; step < POWER_STEPS; step++) {
		EK_TRY(ek_pieces((m + ROWS - 1) / ROWS, score_rows, &p, work));
		EK_TRY(ek_pieces((d + ROWS - 1) / ROWS, add_columns, &p, work));
		for (int c = 0; c < 2; c++) {
			double *u = next + (size_t)c * d, norm = 0, dot = 0;

			for (size_t j = 0; c == 1 && j < d; j++)
				dot += u[j] * v[j];
			for (size_t j = 0; j < d; j++) {
				u[j] -= c == 1 ? dot * v[j] : 0;
				norm += u[j] * u[j];
			}
			norm = sqrt(norm);
			for (size_t j = 0; j < d; j++)
				v[(size_t)c * d + j] = norm > 0 ? u[j] / norm : 0;
		}
	}
	for (size_t i = 0; i < m; i++)
		deviation += t->position[0][i] * t->position[0][i];
	deviation = sqrt(deviation / (double)m);
	for (size_t i = 0; i < m; i++)
		for (int c = 0; c < 2; c++)
			t->position[c][i] *= deviation > 0 ? start_deviation / deviation : 0;
out:
	free(mean);
	free(v);
	free(next);
	return rc;
}

static int pull_rows(void *context, uint64_t piece, int worker)
{
	const struct tsne *t = context;
	const size_t end = (piece + 1) * ROWS < t->m ? (piece + 1) * ROWS : t->m;

	(void)worker;
	for (size_t i = piece * ROWS; i < end; i++)
		ek_vector_attraction(&t->pull[i], t->p + i * t->m, t->position[0], t->position[1], i, t->m);
	return ek_check_interrupt();
}

/* One step along the axis c: momentum, gains, and the middle back to 0. */
static void move(struct tsne *t, size_t c, double more, double momentum, double total)
{
	const size_t m = t->m;
	const double rate = fmax((double)m / exaggeration / 4, 50);
	double *position = t->position[c], *velocity = t->velocity + c * m, *gain = t->gain + c * m, centre = 0;

	for (size_t i = 0; i < m; i++) {
		const double gradient = 4 * (more * t->pull[i].attract[c] - t->pull[i].repel[c] / total);
		const double less = gain[i] * 0.8 < 0.01 ? 0.01 : gain[i] * 0.8;

		gain[i] = gradient * velocity[i] < 0 ? gain[i] + 0.2 : less;
		velocity[i] = momentum * velocity[i] - rate * gain[i] * gradient;
		position[i] += velocity[i];
	}
	for (size_t i = 0; i < m; i++)
		centre += position[i];
	centre /= (double)m;
	for (size_t i = 0; i < m; i++)
		position[i] -= centre;
}

static int descend(struct tsne *t)
{
	const size_t m = t->m;
	int rc;

	for (size_t i = 0; i < 2 * m; i++)
		t->gain[i] = 1;
	for (int step = 0; step < STEPS; step++) {
		const double more = step < EXAGGERATED ? exaggeration : 1, momentum = step < EXAGGERATED ? 0.5 : 0.8;
		double total = 0;

		EK_TRY(ek_pieces((m + ROWS - 1) / ROWS, pull_rows, t, 10 * (double)m * (double)m));
		for (size_t i = 0; i < m; i++)
			total += t->pull[i].normaliser;
		for (size_t c = 0; c < 2; c++)
			move(t, c, more, momentum, total);
		ek_progress_add(1);
	}
out:
	return rc;
}

static void scale(double *xy, const struct tsne *t)
{
	double low[2] = { (double)INFINITY, (double)INFINITY }, high[2] = { -(double)INFINITY, -(double)INFINITY };
	double span;

	for (size_t i = 0; i < 2 * t->m; i++) {
		low[i / t->m] = fmin(low[i / t->m], t->position[i / t->m][i % t->m]);
		high[i / t->m] = fmax(high[i / t->m], t->position[i / t->m][i % t->m]);
	}
	span = fmax(high[0] - low[0], high[1] - low[1]);
	for (size_t i = 0; i < t->m; i++)
		for (int c = 0; c < 2; c++) {
			const double middle = (low[c] + high[c]) / 2;
			const double place = span > 0 ? 0.5 + (t->position[c][i] - middle) / span : 0.5;

			xy[2 * i + (size_t)c] = fmin(fmax(place, 0), 1);
		}
}

int ek_tsne(double *xy, const float *x, size_t m, size_t d, uint64_t seed)
{
	struct tsne t = { .x = x, .m = m, .d = d, .perplexity = fmin(perplexity_most, ((double)m - 1) / 3) };
	int rc;

	ek_progress_begin("drawing the map", "steps", STEPS);
	EK_TRY(ek_alloc(&t.position[0], m, sizeof(double)));
	EK_TRY(ek_alloc(&t.position[1], m, sizeof(double)));
	EK_TRY(principal(&t));
	if (m >= FEWEST) {
		EK_TRY(ek_alloc(&t.p, m, m * sizeof *t.p));
		EK_TRY(ek_alloc(&t.velocity, 2 * m, sizeof *t.velocity));
		EK_TRY(ek_alloc(&t.gain, 2 * m, sizeof *t.gain));
		EK_TRY(ek_alloc(&t.pull, m, sizeof *t.pull));
		EK_TRY(ek_alloc(&t.gauss, (size_t)ek_threads() * m, sizeof *t.gauss));
		EK_TRY(ek_parallel((m + ROWS - 1) / ROWS, distances, &t));
		EK_TRY(ek_parallel(m, affinities, &t));
		EK_TRY(ek_parallel(m, symmetrise, &t));
		for (size_t i = 0; i < 2 * m; i++) /* equal rows must be able to part */
			t.position[i / m][i % m] += jitter * (ek_random_double(seed, ek_random_stream("map"), i) - 0.5);
		EK_TRY(descend(&t));
	}
	scale(xy, &t);
out:
	ek_progress_end();
	free(t.position[0]);
	free(t.position[1]);
	free(t.p);
	free(t.velocity);
	free(t.gain);
	free(t.pull);
	free(t.gauss);
	return rc;
}
