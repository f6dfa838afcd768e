#include "analysis/cluster/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/lbfgs.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { FOLDS = 5, MOST_ROUNDS = 1000, LBFGS_ROUNDS = 2000 };

/* What is tried; definitions.md's settings are among them. */
static const double penalties[] = { 0.003, 0.03, 0.3, 3 };
static const size_t sizes[] = { 64, 512 };
enum { PENALTIES = sizeof penalties / sizeof *penalties, SIZES = sizeof sizes / sizeof *sizes, WAYS = 2 };
enum { TRIALS = PENALTIES * SIZES * WAYS };

struct fit {
	const struct ek_probe_rows *rows;
	const uint8_t *take;
	size_t k, views;
	double c;
	double *logits; /* [groups] */
};

/* logits become probabilities; returns ln of the sum of exponentials. */
static double softmax(double *z, uint32_t groups)
{
	double most = z[0], sum = 0;

	for (uint32_t g = 1; g < groups; g++)
		most = fmax(most, z[g]);
	for (uint32_t g = 0; g < groups; g++)
		sum += z[g] = exp(z[g] - most);
	for (uint32_t g = 0; g < groups; g++)
		z[g] /= sum;
	return most + log(sum);
}

static void find_logits(double *z, const double *w, const float *x, size_t k, uint32_t groups)
{
	for (uint32_t g = 0; g < groups; g++) {
		const double *row = w + g * (k + 1);
		double sum = row[k];

		for (size_t j = 0; j < k; j++)
			sum += row[j] * (double)x[j];
		z[g] = sum;
	}
}

static double objective(void *context, const double *w, double *gradient)
{
	const struct fit *f = context;
	const struct ek_probe_rows *r = f->rows;
	const size_t side = f->k + 1;
	double value = 0;

	for (uint32_t g = 0; g < r->groups; g++)
		for (size_t j = 0; j < side; j++) {
			const double x = j < f->k ? w[g * side + j] : 0;

			gradient[g * side + j] = x;
			value += x * x / 2;
		}
	for (uint64_t i = 0; i < r->images; i++)
		for (size_t v = 0; (f->take == NULL || f->take[i]) && v < f->views; v++) {
			const float *x = r->x + (i * r->views + v) * r->stride;
			const double weight = f->c / (double)f->views;
			double own;

			find_logits(f->logits, w, x, f->k, r->groups);
			own = f->logits[r->group[i]];
			value += weight * (softmax(f->logits, r->groups) - own);
			for (uint32_t g = 0; g < r->groups; g++) {
				const double step = weight * (f->logits[g] - (g == r->group[i]));

				for (size_t j = 0; j < f->k; j++)
					gradient[g * side + j] += step * (double)x[j];
				gradient[g * side + f->k] += step;
			}
		}
	return value;
}

static int count_train(double *train, const struct ek_probe_rows *r, const uint8_t *take)
{
	double total = 0;

	memset(train, 0, r->groups * sizeof *train);
	for (uint64_t i = 0; i < r->images; i++)
		if (take == NULL || take[i]) {
			train[r->group[i]]++;
			total++;
		}
	for (uint32_t g = 0; g < r->groups; g++) {
		if (train[g] == 0)
			return ek_fail(EK_EDATA, "group %u has no labelled image to learn from", g);
		train[g] /= total;
	}
	return 0;
}

int ek_probe_fit(struct ek_probe *p, const struct ek_probe_rows *rows, const uint8_t *take, size_t k, size_t views,
                 double c)
{
	struct fit fit = { .rows = rows, .take = take, .k = k, .views = views, .c = c };
	int rc;

	*p = (struct ek_probe){ .groups = rows->groups, .k = k, .temperature = 1 };
	EK_TRY(ek_alloc(&p->w, rows->groups * (k + 1), sizeof *p->w));
	EK_TRY(ek_alloc(&p->train, rows->groups, sizeof *p->train));
	EK_TRY(ek_alloc(&fit.logits, rows->groups, sizeof *fit.logits));
	EK_TRY(count_train(p->train, rows, take));
	EK_TRY(ek_lbfgs(p->w, rows->groups * (k + 1), objective, &fit, LBFGS_ROUNDS, 1e-6));
out:
	free(fit.logits);
	return rc;
}

void ek_probe_release(struct ek_probe *p)
{
	free(p->w);
	free(p->train);
	*p = (struct ek_probe){ 0 };
}

void ek_probe_predict(double *out, const struct ek_probe *p, const float *x)
{
	find_logits(out, p->w, x, p->k, p->groups);
	for (uint32_t g = 0; g < p->groups; g++)
		out[g] /= p->temperature;
	(void)softmax(out, p->groups);
}

struct choosing {
	const struct ek_probe_rows *rows;
	const uint32_t *fold; /* [images] FOLDS and above: always learned from */
	uint32_t folds;
	size_t most;    /* components there are */
	double *logits; /* [TRIALS, images, groups] of left-out images */
	double *loss;   /* [TRIALS], INFINITY: not tried */
};

static size_t size_of(const struct choosing *c, uint64_t trial)
{
	const size_t k = sizes[trial / PENALTIES % SIZES];

	return k < c->most ? k : c->most;
}

static size_t views_of(const struct choosing *c, uint64_t trial)
{
	return trial / (PENALTIES * SIZES) == 0 ? c->rows->views : 1;
}

/* Settings that come to the same as an earlier trial's. */
static int is_double(const struct choosing *c, uint64_t trial)
{
	return (trial / PENALTIES % SIZES > 0 && size_of(c, trial) == size_of(c, trial - PENALTIES)) ||
	       (trial >= PENALTIES * SIZES && c->rows->views == 1);
}

static int try_fold(void *context, uint64_t piece, int worker)
{
	const struct choosing *c = context;
	const struct ek_probe_rows *r = c->rows;
	const uint64_t trial = piece / c->folds;
	const uint32_t fold = (uint32_t)(piece % c->folds);
	struct ek_probe probe = { 0 };
	uint8_t *take = NULL;
	int rc = 0;

	(void)worker;
	if (is_double(c, trial))
		return 0;
	EK_TRY(ek_check_interrupt());
	EK_TRY(ek_alloc(&take, r->images, 1));
	for (uint64_t i = 0; i < r->images; i++)
		take[i] = c->fold[i] != fold;
	EK_TRY(ek_probe_fit(&probe, r, take, size_of(c, trial), views_of(c, trial), penalties[trial % PENALTIES]));
	for (uint64_t i = 0; i < r->images; i++)
		if (!take[i])
			find_logits(c->logits + (trial * r->images + i) * r->groups, probe.w,
			            r->x + i * r->views * r->stride, probe.k, r->groups);
out:
	ek_probe_release(&probe);
	free(take);
	return rc;
}

/* Mean of -ln p of the true group over left-out images, logits over t. */
static double log_loss(const struct choosing *c, const double *logits, double t, double *z)
{
	const struct ek_probe_rows *r = c->rows;
	double sum = 0;
	uint64_t count = 0;

	for (uint64_t i = 0; i < r->images; i++) {
		if (c->fold[i] >= c->folds)
			continue;
		for (uint32_t g = 0; g < r->groups; g++)
			z[g] = logits[i * r->groups + g] / t;
		(void)softmax(z, r->groups);
		sum -= log(fmax(z[r->group[i]], 1e-300));
		count++;
	}
	return sum / (double)count;
}

/* The temperature of least loss by golden section over ln t in -3 … 3, where the loss is quasi-convex. */
static double cool(const struct choosing *c, const double *logits, double *z)
{
	const double ratio = (sqrt(5) - 1) / 2;
	double low = -3, high = 3;

	for (int s = 0; s < 50; s++) {
		const double a = high - ratio * (high - low), b = low + ratio * (high - low);

		if (log_loss(c, logits, exp(a), z) <= log_loss(c, logits, exp(b), z))
			high = b;
		else
			low = a;
	}
	return exp((low + high) / 2);
}

static double accuracy(const struct choosing *c, const double *logits)
{
	const struct ek_probe_rows *r = c->rows;
	uint64_t right = 0, count = 0;

	for (uint64_t i = 0; i < r->images; i++) {
		uint32_t best = 0;

		if (c->fold[i] >= c->folds)
			continue;
		for (uint32_t g = 1; g < r->groups; g++)
			best = logits[i * r->groups + g] > logits[i * r->groups + best] ? g : best;
		right += best == r->group[i];
		count++;
	}
	return (double)right / (double)count;
}

/* Deal the images of each group to folds in an order of the seed. */
static int deal_folds(uint32_t *fold, uint32_t *folds, const struct ek_probe_rows *r, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("probe folds");
	uint64_t *sizes_of_groups = NULL, least = UINT64_MAX;
	int rc;

	EK_TRY(ek_alloc(&sizes_of_groups, r->groups, sizeof *sizes_of_groups));
	for (uint64_t i = 0; i < r->images; i++)
		sizes_of_groups[r->group[i]]++;
	for (uint32_t g = 0; g < r->groups; g++)
		least = sizes_of_groups[g] > 1 && sizes_of_groups[g] < least ? sizes_of_groups[g] : least;
	*folds = least == UINT64_MAX ? 0 : least < FOLDS ? (uint32_t)least : FOLDS;
	for (uint64_t i = 0; i < r->images; i++) {
		const uint64_t own = ek_random_u64(seed, stream, i);
		uint64_t rank = 0;

		for (uint64_t j = 0; j < r->images; j++) {
			const uint64_t other = ek_random_u64(seed, stream, j);

			rank += r->group[j] == r->group[i] && (other < own || (other == own && j < i));
		}
		fold[i] = sizes_of_groups[r->group[i]] == 1 ? *folds : (uint32_t)(rank % (*folds > 0 ? *folds : 1));
	}
out:
	free(sizes_of_groups);
	return rc;
}

static int choose(struct ek_probe_choice *choice, double *temperature, struct choosing *c)
{
	const struct ek_probe_rows *r = c->rows;
	const uint64_t size = r->images * r->groups;
	double *z = NULL, best = INFINITY;
	int rc;

	EK_TRY(ek_alloc(&z, r->groups, sizeof *z));
	EK_TRY(ek_alloc(&c->logits, TRIALS * size, sizeof *c->logits));
	EK_TRY(ek_parallel((uint64_t)TRIALS * c->folds, try_fold, c));
	for (uint64_t t = 0; t < TRIALS; t++) {
		const double *logits = c->logits + t * size;
		double degrees, loss;

		if (is_double(c, t))
			continue;
		degrees = cool(c, logits, z);
		loss = log_loss(c, logits, degrees, z);
		if (loss >= best)
			continue;
		best = loss;
		*temperature = degrees;
		*choice = (struct ek_probe_choice){ .c = penalties[t % PENALTIES],
			                            .k = size_of(c, t),
			                            .views = views_of(c, t),
			                            .log_loss = loss,
			                            .accuracy = accuracy(c, logits),
			                            .folds = c->folds };
	}
out:
	free(z);
	return rc;
}

int ek_probe_choose(struct ek_probe *probe, struct ek_probe_choice *choice, const struct ek_probe_rows *rows,
                    uint64_t seed)
{
	struct choosing c = { .rows = rows, .most = rows->stride };
	double temperature = 1;
	uint32_t *fold = NULL;
	int rc;

	*probe = (struct ek_probe){ 0 };
	*choice = (struct ek_probe_choice){
		.c = 0.3, .k = rows->stride, .views = rows->views, .log_loss = (double)NAN, .accuracy = (double)NAN
	};
	EK_TRY(ek_alloc(&fold, rows->images, sizeof *fold));
	EK_TRY(deal_folds(fold, &c.folds, rows, seed));
	c.fold = fold;
	if (c.folds > 1)
		EK_TRY(choose(choice, &temperature, &c));
	EK_TRY(ek_probe_fit(probe, rows, NULL, choice->k, choice->views, choice->c));
	probe->temperature = temperature;
out:
	free(fold);
	free(c.logits);
	return rc;
}

/* One round: to `next`, the mean of what rows are under `prior`. */
static void mean_under(double *next, const float *q, const double *prior, const double *train, uint64_t n,
                       uint32_t groups)
{
	memset(next, 0, groups * sizeof *next);
	for (uint64_t i = 0; i < n; i++) {
		const float *row = q + i * groups;
		double sum = 0;

		for (uint32_t g = 0; g < groups; g++)
			sum += (double)row[g] * prior[g] / train[g];
		for (uint32_t g = 0; g < groups; g++)
			next[g] += (double)row[g] * prior[g] / train[g] / sum / (double)n;
	}
}

int ek_probe_correct(float *q, double *prior, const double *train, uint64_t n, uint32_t groups)
{
	double next[UINT8_MAX + 1], moved = 1;
	int rounds = 0;

	memcpy(prior, train, groups * sizeof *prior);
	for (; moved > 1e-8 && rounds < MOST_ROUNDS; rounds++) {
		mean_under(next, q, prior, train, n, groups);
		moved = 0;
		for (uint32_t g = 0; g < groups; g++) {
			next[g] = fmax(next[g], 1e-12);
			moved = fmax(moved, fabs(next[g] - prior[g]));
			prior[g] = next[g];
		}
	}
	for (uint64_t i = 0; i < n; i++) {
		float *row = q + i * groups;
		double sum = 0;

		for (uint32_t g = 0; g < groups; g++)
			sum += (double)row[g] * prior[g] / train[g];
		for (uint32_t g = 0; g < groups; g++)
			row[g] = (float)((double)row[g] * prior[g] / train[g] / sum);
	}
	return rounds;
}
