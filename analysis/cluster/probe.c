#include "analysis/cluster/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/blas.h"
#include "analysis/cluster/lbfgs.h"
#include "analysis/cluster/pieces.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { FOLDS = 5, MOST_ROUNDS = 1000, LBFGS_ROUNDS = 2000 };

/* What is tried. The standard way is taken unless another one is better by more than a standard error: a hundred labels
 * tell settings apart badly, and on every data set of docs/recovery.md this one is among the best. */
static const double penalties[] = { 0.03, 0.1, 0.3 };
enum { PENALTIES = sizeof penalties / sizeof *penalties, WAYS = 2, TRIALS = PENALTIES * WAYS, STANDARD = 1 };

/* Without views nothing tells which of the later components are noise. */
enum { FEW = 64 };

/* The largest entry of the gradient where a fit ends, and one that is only compared. */
static const double exact = 1e-6, rough = 1e-3;

struct fit {
	const struct ek_probe_rows *rows;
	size_t k, count;       /* rows to learn from */
	double c;              /* times the weight of a row */
	double *weight;        /* [count] */
	double *x, *turned;    /* [count, k + 1] with a last 1, and [k + 1, count] */
	uint32_t *group;       /* [count] */
	double *logits, *step; /* [count, groups], [groups, count] */
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
	const uint32_t groups = f->rows->groups;
	const size_t side = f->k + 1;
	double value = 0;

	ek_blas_multiply(f->logits, f->x, f->count, side, w, groups);
	for (size_t i = 0; i < f->count; i++) {
		double *z = f->logits + i * groups;
		const double own = z[f->group[i]];

		value += f->c * f->weight[i] * (softmax(z, groups) - own);
		for (uint32_t g = 0; g < groups; g++)
			f->step[g * f->count + i] = f->c * f->weight[i] * (z[g] - (g == f->group[i]));
	}
	ek_blas_multiply(gradient, f->step, groups, f->count, f->turned, side);
	for (uint32_t g = 0; g < groups; g++)
		for (size_t j = 0; j < f->k; j++) {
			gradient[g * side + j] += w[g * side + j];
			value += w[g * side + j] * w[g * side + j] / 2;
		}
	return value;
}

static double weight_of(const struct ek_probe_rows *r, uint64_t image)
{
	return r->weight != NULL ? r->weight[image] : 1;
}

static int take_rows(struct fit *f, const uint8_t *take, size_t views)
{
	const struct ek_probe_rows *r = f->rows;
	const size_t side = f->k + 1;
	int rc;

	EK_TRY(ek_alloc(&f->x, r->images * views * side, sizeof *f->x));
	EK_TRY(ek_alloc(&f->turned, r->images * views * side, sizeof *f->turned));
	EK_TRY(ek_alloc(&f->group, r->images * views, sizeof *f->group));
	EK_TRY(ek_alloc(&f->weight, r->images * views, sizeof *f->weight));
	EK_TRY(ek_alloc(&f->logits, r->images * views * r->groups, sizeof *f->logits));
	EK_TRY(ek_alloc(&f->step, r->images * views * r->groups, sizeof *f->step));
	for (uint64_t i = 0; i < r->images; i++)
		for (size_t v = 0; (take == NULL || take[i]) && v < views; v++) {
			const float *row = r->x + (i * r->views + v) * r->stride;
			double *x = f->x + f->count * side;

			for (size_t j = 0; j < f->k; j++)
				x[j] = (double)row[j];
			x[f->k] = 1;
			f->weight[f->count] = weight_of(r, i);
			f->group[f->count++] = r->group[i];
		}
	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; j < side; j++)
			f->turned[j * f->count + i] = f->x[i * side + j];
out:
	return rc;
}

static int count_train(double *train, const struct ek_probe_rows *r, const uint8_t *take)
{
	double total = 0;

	memset(train, 0, r->groups * sizeof *train);
	for (uint64_t i = 0; i < r->images; i++)
		if (take == NULL || take[i]) {
			train[r->group[i]] += weight_of(r, i);
			total += weight_of(r, i);
		}
	for (uint32_t g = 0; g < r->groups; g++) {
		if (train[g] == 0)
			return ek_fail(EK_EDATA, "group %u has no labelled image to learn from", g);
		train[g] /= total;
	}
	return 0;
}

static int fit_to(struct ek_probe *p, const struct ek_probe_rows *rows, const uint8_t *take, size_t k, size_t views,
                  double c, double tolerance)
{
	struct fit f = { .rows = rows, .k = k, .c = c / (double)views };
	int rc;

	*p = (struct ek_probe){ .groups = rows->groups, .k = k, .temperature = 1 };
	EK_TRY(ek_alloc(&p->w, rows->groups * (k + 1), sizeof *p->w));
	EK_TRY(ek_alloc(&p->train, rows->groups, sizeof *p->train));
	EK_TRY(count_train(p->train, rows, take));
	EK_TRY(take_rows(&f, take, views));
	EK_TRY(ek_lbfgs(p->w, rows->groups * (k + 1), objective, &f, LBFGS_ROUNDS, tolerance));
out:
	free(f.x);
	free(f.turned);
	free(f.group);
	free(f.weight);
	free(f.logits);
	free(f.step);
	return rc;
}

int ek_probe_fit(struct ek_probe *p, const struct ek_probe_rows *rows, const uint8_t *take, size_t k, size_t views,
                 double c)
{
	return fit_to(p, rows, take, k, views, c, exact);
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
	double *logits; /* [TRIALS, images, groups] of left-out images */
	double *loss;   /* [TRIALS], INFINITY: not tried */
};

static size_t size_of(const struct ek_probe_rows *rows)
{
	return rows->views == 1 && rows->stride > FEW ? FEW : rows->stride;
}

static size_t views_of(const struct choosing *c, uint64_t trial)
{
	return trial < PENALTIES ? c->rows->views : 1;
}

/* Settings that come to the same as an earlier trial's. */
static int is_double(const struct choosing *c, uint64_t trial)
{
	return trial >= PENALTIES && c->rows->views == 1;
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
	EK_TRY(fit_to(&probe, r, take, size_of(r), views_of(c, trial), penalties[trial % PENALTIES], rough));
	for (uint64_t i = 0; i < r->images; i++)
		if (!take[i])
			find_logits(c->logits + (trial * r->images + i) * r->groups, probe.w,
			            r->x + i * r->views * r->stride, probe.k, r->groups);
out:
	ek_probe_release(&probe);
	free(take);
	return rc;
}

/* Mean of -ln p of the true group over left-out images, logits over t; each image's times its weight to `own`, which
 * may be NULL. */
static double log_loss(double *own, const struct choosing *c, const double *logits, double t, double *z)
{
	const struct ek_probe_rows *r = c->rows;
	double sum = 0, total = 0;

	for (uint64_t i = 0; i < r->images; i++) {
		double loss;

		if (c->fold[i] >= c->folds)
			continue;
		for (uint32_t g = 0; g < r->groups; g++)
			z[g] = logits[i * r->groups + g] / t;
		(void)softmax(z, r->groups);
		loss = -weight_of(r, i) * log(fmax(z[r->group[i]], 1e-300));
		if (own != NULL)
			own[i] = loss;
		sum += loss;
		total += weight_of(r, i);
	}
	return sum / total;
}

/* So that settings are compared by what they tell apart, and not by how sure they are of it: the temperature of least
 * loss by golden section over ln t in -3 … 3, where the loss is quasi-convex. */
static double cool(const struct choosing *c, const double *logits, double *z)
{
	const double ratio = (sqrt(5) - 1) / 2;
	double low = -3, high = 3;

	for (int s = 0; s < 50; s++) {
		const double a = high - ratio * (high - low), b = low + ratio * (high - low);

		if (log_loss(NULL, c, logits, exp(a), z) <= log_loss(NULL, c, logits, exp(b), z))
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

/* Is the mean of `standard` above that of `other` by more than its standard error, image by image? */
static int is_better(const struct choosing *c, const double *standard, const double *other)
{
	double count = 0, sum = 0, squares = 0, mean;

	for (uint64_t i = 0; i < c->rows->images; i++) {
		const double less = standard[i] - other[i];

		if (c->fold[i] >= c->folds)
			continue;
		count++;
		sum += less;
		squares += less * less;
	}
	mean = sum / count;
	return mean > 0 && mean * mean > (squares / count - mean * mean) / (count - 1);
}

static int choose(struct ek_probe_choice *choice, struct choosing *c)
{
	const struct ek_probe_rows *r = c->rows;
	const uint64_t size = r->images * r->groups;
	double *z = NULL, *standard = NULL, *own = NULL;
	int rc;

	EK_TRY(ek_alloc(&z, r->groups, sizeof *z));
	EK_TRY(ek_alloc(&standard, r->images, sizeof *standard));
	EK_TRY(ek_alloc(&own, r->images, sizeof *own));
	EK_TRY(ek_alloc(&c->logits, TRIALS * size, sizeof *c->logits));
	EK_TRY(ek_parallel((uint64_t)TRIALS * c->folds, try_fold, c));
	for (uint64_t turn = 0; turn < TRIALS; turn++) {
		const uint64_t t = turn == 0 ? STANDARD : turn <= STANDARD ? turn - 1 : turn;
		const double *logits = c->logits + t * size;
		double degrees, loss;

		if (is_double(c, t))
			continue;
		degrees = cool(c, logits, z);
		loss = log_loss(turn == 0 ? standard : own, c, logits, degrees, z);
		if (turn > 0 && (loss >= choice->log_loss || !is_better(c, standard, own)))
			continue;
		*choice = (struct ek_probe_choice){ .c = penalties[t % PENALTIES],
			                            .k = size_of(r),
			                            .views = views_of(c, t),
			                            .log_loss = loss,
			                            .accuracy = accuracy(c, logits),
			                            .folds = c->folds };
	}
out:
	free(z);
	free(standard);
	free(own);
	return rc;
}

int ek_probe_choose(struct ek_probe *probe, struct ek_probe_choice *choice, const struct ek_probe_rows *rows,
                    uint64_t seed)
{
	struct choosing c = { .rows = rows };
	uint32_t *fold = NULL;
	int rc;

	*probe = (struct ek_probe){ 0 };
	*choice = (struct ek_probe_choice){
		.c = 0.3, .k = size_of(rows), .views = rows->views, .log_loss = (double)NAN, .accuracy = (double)NAN
	};
	EK_TRY(ek_alloc(&fold, rows->images, sizeof *fold));
	EK_TRY(deal_folds(fold, &c.folds, rows, seed));
	c.fold = fold;
	if (c.folds > 1)
		EK_TRY(choose(choice, &c));
	EK_TRY(ek_probe_fit(probe, rows, NULL, choice->k, choice->views, choice->c));
out:
	free(fold);
	free(c.logits);
	return rc;
}

struct predicting {
	const struct ek_probe *probe;
	const float *x;
	size_t stride;
	uint64_t n;
	double *room; /* [threads, groups] */
	float *q;
};

enum { PIECE = 256 };

static int predict_piece(void *context, uint64_t piece, int worker)
{
	const struct predicting *c = context;
	const uint32_t groups = c->probe->groups;
	const uint64_t end = (piece + 1) * PIECE < c->n ? (piece + 1) * PIECE : c->n;
	double *p = c->room + (size_t)worker * groups;

	for (uint64_t i = piece * PIECE; i < end; i++) {
		ek_probe_predict(p, c->probe, c->x + i * c->stride);
		for (uint32_t g = 0; g < groups; g++)
			c->q[i * groups + g] = (float)p[g];
	}
	return ek_check_interrupt();
}

int ek_probe_predict_all(float *q, const struct ek_probe *probe, const float *x, uint64_t n, size_t stride)
{
	struct predicting c = { .probe = probe, .x = x, .stride = stride, .n = n, .q = q };
	int rc;

	EK_TRY(ek_alloc(&c.room, (size_t)ek_threads() * probe->groups, sizeof *c.room));
	EK_TRY(ek_pieces((n + PIECE - 1) / PIECE, predict_piece, &c, (double)n * (double)probe->k * probe->groups));
out:
	free(c.room);
	return rc;
}

struct crossing {
	const struct ek_probe *probes; /* [folds] */
	const uint32_t *own;           /* [n] the fold that left a row out; `folds`: all learned without it */
	uint32_t folds;
	const float *x;
	size_t stride;
	uint64_t n;
	double *room; /* [threads, groups] */
	float *q;
};

static int cross_piece(void *context, uint64_t piece, int worker)
{
	const struct crossing *c = context;
	const uint32_t groups = c->probes[0].groups;
	const uint64_t end = (piece + 1) * PIECE < c->n ? (piece + 1) * PIECE : c->n;
	double *p = c->room + (size_t)worker * groups;

	for (uint64_t i = piece * PIECE; i < end; i++)
		for (uint32_t f = 0; f < c->folds; f++) {
			const double share = c->own[i] == c->folds ? 1 / (double)c->folds : c->own[i] == f;

			if (share == 0)
				continue;
			ek_probe_predict(p, &c->probes[f], c->x + i * c->stride);
			for (uint32_t g = 0; g < groups; g++)
				c->q[i * groups + g] = (float)((double)c->q[i * groups + g] + share * p[g]);
		}
	return ek_check_interrupt();
}

/* The probe of each fold, from all other labelled images. */
static int fit_folds(struct ek_probe *probes, const struct ek_probe_rows *rows, const uint32_t *fold, uint32_t folds,
                     const struct ek_probe_choice *choice, double temperature)
{
	uint8_t *take = NULL;
	int rc;

	EK_TRY(ek_alloc(&take, rows->images, 1));
	for (uint32_t f = 0; f < folds; f++) {
		for (uint64_t i = 0; i < rows->images; i++)
			take[i] = fold[i] != f;
		EK_TRY(ek_probe_fit(&probes[f], rows, take, choice->k, choice->views, choice->c));
		probes[f].temperature = temperature;
	}
out:
	free(take);
	return rc;
}

int ek_probe_cross(float *q, const struct ek_probe_rows *rows, const uint64_t *ids,
                   const struct ek_probe_choice *choice, double temperature, const float *x, uint64_t n, size_t stride,
                   uint64_t seed)
{
	struct ek_probe probes[FOLDS] = { { 0 } };
	struct crossing c = { .probes = probes, .x = x, .stride = stride, .n = n, .q = q };
	uint32_t *fold = NULL, *own = NULL;
	int rc;

	EK_TRY(ek_alloc(&fold, rows->images, sizeof *fold));
	EK_TRY(ek_alloc(&own, n, sizeof *own));
	EK_TRY(deal_folds(fold, &c.folds, rows, seed));
	if (c.folds < 2) {
		rc = ek_fail(EK_EDATA, "%llu labelled images are too few to be left out in turn",
		             (unsigned long long)rows->images);
		goto out;
	}
	EK_TRY(fit_folds(probes, rows, fold, c.folds, choice, temperature));
	for (uint64_t i = 0; i < n; i++)
		own[i] = c.folds;
	for (uint64_t i = 0; i < rows->images; i++)
		if (ids[i] < n && fold[i] < c.folds)
			own[ids[i]] = fold[i];
	c.own = own;
	EK_TRY(ek_alloc(&c.room, (size_t)ek_threads() * rows->groups, sizeof *c.room));
	memset(q, 0, n * rows->groups * sizeof *q);
	EK_TRY(ek_pieces((n + PIECE - 1) / PIECE, cross_piece, &c,
	                 (double)n * (double)choice->k * rows->groups * c.folds));
out:
	for (uint32_t f = 0; f < FOLDS; f++)
		ek_probe_release(&probes[f]);
	free(fold);
	free(own);
	free(c.room);
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

/* q_ig to q_ig prior_g / train_g, of sum 1. */
static void put_under(float *q, const double *prior, const double *train, uint64_t n, uint32_t groups)
{
	for (uint64_t i = 0; i < n; i++) {
		float *row = q + i * groups;
		double sum = 0;

		for (uint32_t g = 0; g < groups; g++)
			sum += (double)row[g] * prior[g] / train[g];
		for (uint32_t g = 0; g < groups; g++)
			row[g] = (float)((double)row[g] * prior[g] / train[g] / sum);
	}
}

int ek_probe_correct(float *q, double *prior, const double *train, double even, uint64_t n, uint32_t groups)
{
	double next[UINT8_MAX + 1], moved = 1;
	int rounds = 0;

	memcpy(prior, train, groups * sizeof *prior);
	for (; moved > 1e-8 && rounds < MOST_ROUNDS; rounds++) {
		mean_under(next, q, prior, train, n, groups);
		moved = 0;
		for (uint32_t g = 0; g < groups; g++) {
			next[g] = fmax((next[g] + even / groups) / (1 + even), 1e-12);
			moved = fmax(moved, fabs(next[g] - prior[g]));
			prior[g] = next[g];
		}
	}
	put_under(q, prior, train, n, groups);
	return rounds;
}

int ek_probe_told(double *told, const struct ek_probe_rows *rows, const struct ek_probe *probe,
                  const struct ek_probe_choice *choice, uint64_t seed)
{
	const uint32_t groups = rows->groups;
	double even[UINT8_MAX + 1], count[UINT8_MAX + 1] = { 0 };
	uint64_t *ids = NULL;
	float *q = NULL;
	int rc = 0;

	memset(told, 0, (size_t)groups * groups * sizeof *told);
	for (uint32_t g = 0; g < groups; g++) {
		even[g] = 1 / (double)groups;
		told[g * groups + g] = choice->folds < 2;
	}
	if (choice->folds < 2)
		return 0;
	EK_TRY(ek_alloc(&ids, rows->images, sizeof *ids));
	EK_TRY(ek_alloc(&q, rows->images * groups, sizeof *q));
	for (uint64_t i = 0; i < rows->images; i++) {
		ids[i] = i;
		count[rows->group[i]]++;
	}
	EK_TRY(ek_probe_cross(q, rows, ids, choice, probe->temperature, rows->x, rows->images,
	                      rows->views * rows->stride, seed));
	put_under(q, even, probe->train, rows->images, groups);
	for (uint64_t i = 0; i < rows->images; i++)
		for (uint32_t g = 0; g < groups; g++)
			told[rows->group[i] * groups + g] += (double)q[i * groups + g] / count[rows->group[i]];
out:
	free(ids);
	free(q);
	return rc;
}

void ek_probe_unfold(double *share, const double *told, const double *mean, int rounds, uint32_t groups)
{
	for (uint32_t g = 0; g < groups; g++)
		share[g] = 1 / (double)groups;
	for (int round = 0; round < rounds; round++) {
		double factor[UINT8_MAX + 1] = { 0 };

		for (uint32_t j = 0; j < groups; j++) {
			double expected = 0;

			for (uint32_t g = 0; g < groups; g++)
				expected += told[g * groups + j] * share[g];
			for (uint32_t g = 0; g < groups && expected > 0; g++)
				factor[g] += told[g * groups + j] * mean[j] / expected;
		}
		for (uint32_t g = 0; g < groups; g++)
			share[g] *= factor[g];
	}
}

void ek_probe_rake(float *q, const double *share, uint64_t n, uint32_t groups)
{
	double w[UINT8_MAX + 1], now[UINT8_MAX + 1], one[UINT8_MAX + 1], moved = 1;

	for (uint32_t g = 0; g < groups; g++)
		w[g] = one[g] = 1;
	for (int round = 0; moved > 1e-8 && round < MOST_ROUNDS; round++) {
		double sum = 0;

		mean_under(now, q, w, one, n, groups);
		moved = 0;
		for (uint32_t g = 0; g < groups; g++) {
			moved = fmax(moved, fabs(now[g] - share[g]));
			w[g] *= share[g] / fmax(now[g], 1e-12);
			sum += w[g];
		}
		for (uint32_t g = 0; g < groups; g++)
			w[g] = fmax(w[g] / sum, 1e-12);
	}
	put_under(q, w, one, n, groups);
}
