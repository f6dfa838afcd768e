/*
 * Balance recovery (docs/recovery.md): how much of a hidden skew each way of weighing mends.
 *
 *	bench_recovery FEATURES.npy GROUPS.npy RATIO ORDER LARGEST [WAYS]
 *
 * FEATURES.npy   [images, views, d] float16, as bench_recovery_views writes it
 * GROUPS.npy     [images] int32, the hidden groups; below 0: left out
 * RATIO, ORDER   above 1 a skew is planted: of the groups, in an order drawn by ORDER, the first has LARGEST images and
 *                the last LARGEST / RATIO, falling geometrically; 1: all images as they are, ORDER only draws labels
 * WAYS           only those that have "labels", or those by labels that the "page" asked for or of its "searches",
 *those by a "reference", or those of single images that have "none"
 *
 * Components are whitened on the images that are left alone. One line of JSON a way: recovery, ESS as a share of that
 * of weights by the true labels, the smallest group's share times the number of groups, the largest repeat, normalised
 * entropy before and after, seconds; of ways by labels also how many these are, and at how many images somebody looked.
 *All weights are tempered to an ESS of 0.8 of that of the true labels', where they are worth less.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/found.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/ratio.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/plan/design.h"
#include "rebalance/plan/image_weights.h"
#include "tests/bench/recovery/hidden.h"

enum { DESIGN = 128, CLUSTERS = 24, ROUNDS = 100 };

struct bench {
	struct ek_hidden h;
	double *w; /* [n] */
	double started;
	uint64_t labels, looked; /* of ways by labels */
};

static void tell(struct bench *b, const char *method)
{
	double natural[EK_HIDDEN_GROUPS], after[EK_HIDDEN_GROUPS], least = 1, most = 0, sum = 0;
	const double seconds = ek_clock() - b->started;
	double power, worth;

	power = ek_weights_temper(b->w, b->h.n, 0.8 * b->h.label_worth);
	worth = ek_weights_worth(b->w, b->h.n);
	ek_hidden_shares(natural, &b->h, NULL);
	ek_hidden_shares(after, &b->h, b->w);
	for (uint32_t g = 0; g < b->h.groups; g++)
		least = fmin(least, after[g]);
	for (uint64_t i = 0; i < b->h.n; i++) {
		most = fmax(most, b->w[i]);
		sum += b->w[i];
	}
	printf("{\"method\":\"%s\",\"order\":%llu,\"images\":%llu,\"groups\":%u,\"recovery\":%.4f,\"ess\":%.3f,"
	       "\"smallest\":%.3f,\"repeat\":%.1f,\"entropy\":[%.4f,%.4f],\"power\":%.3f,\"labels\":%llu,"
	       "\"looked\":%llu,\"seconds\":%.1f}\n",
	       method, (unsigned long long)b->h.order, (unsigned long long)b->h.n, b->h.groups,
	       (ek_hidden_entropy(after, b->h.groups) - ek_hidden_entropy(natural, b->h.groups)) /
	               (1 - ek_hidden_entropy(natural, b->h.groups)),
	       worth / b->h.label_worth, least * b->h.groups, most * (double)b->h.n / sum,
	       ek_hidden_entropy(natural, b->h.groups), ek_hidden_entropy(after, b->h.groups), power,
	       (unsigned long long)b->labels, (unsigned long long)b->looked, seconds);
	(void)fflush(stdout);
	b->started = ek_clock();
}

/* k-means on the features themselves, weights inverse to the clusters' sizes. */
static int by_clusters(struct bench *b)
{
	const struct ek_npy array = ek_rows_memory(b->h.raw, b->h.n, b->h.d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result result = { 0 };
	struct ek_rows rows;
	uint64_t sizes[CLUSTERS] = { 0 };
	int rc;

	o.k = CLUSTERS;
	o.seed = b->h.order;
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_kmeans(&result, &rows, &o));
	for (uint64_t i = 0; i < b->h.n; i++)
		sizes[result.assignment[i]]++;
	for (uint64_t i = 0; i < b->h.n; i++)
		b->w[i] = 1 / (double)sizes[result.assignment[i]];
	tell(b, "k-means, K = 24");
out:
	ek_kmeans_release(&result);
	return rc;
}

/* Groups that are found, and weights inverse to their sizes. */
static int by_found(struct bench *b, const float *x, size_t d)
{
	struct ek_found found;
	int rc;

	EK_TRY(ek_found_build(&found, x, b->h.n, d, 0, b->h.order));
	for (uint64_t i = 0; i < b->h.n; i++)
		b->w[i] = 1 / (double)found.sizes[found.group[i]];
	fprintf(stderr, "%u groups\n", found.groups);
	tell(b, "groups, found");
out:
	ek_found_release(&found);
	return rc;
}

static int without_labels(struct bench *b)
{
	const size_t d = b->h.k < DESIGN ? b->h.k : DESIGN;
	const uint64_t start = b->h.planted ? 0 : b->h.order; /* as plans do, where the order makes another set */
	float *first = NULL;
	double *other = NULL;
	int rc;

	EK_TRY(ek_alloc(&first, b->h.n * d, sizeof *first));
	EK_TRY(ek_alloc(&other, b->h.n, sizeof *other));
	for (int way = 0; way < 2; way++) {
		for (uint64_t i = 0; i < b->h.n; i++)
			memcpy(first + i * d, (way == 0 ? b->h.x : b->h.p) + i * b->h.k, d * sizeof *first);
		EK_TRY(ek_design_weights(b->w, first, b->h.n, d, ROUNDS));
		if (way == 0)
			memcpy(other, b->w, b->h.n * sizeof *other);
		tell(b, way == 0 ? "design" : "design, whitened by spread");
		if (way == 0) {
			EK_TRY(ek_vendi_weights(b->w, first, b->h.n, d, ROUNDS));
			for (uint64_t i = 0; i < b->h.n; i++)
				other[i] = sqrt(other[i] * b->w[i]);
			tell(b, "vendi");
			memcpy(b->w, other, b->h.n * sizeof *other);
			tell(b, "design and vendi");
			EK_TRY(ek_tree_weights(b->w, first, b->h.n, d, start));
			tell(b, "tree");
			EK_TRY(ek_blend_weights(b->w, first, b->h.n, d, start));
			tell(b, "blend");
			EK_TRY(by_found(b, first, d));
		}
	}
out:
	free(first);
	free(other);
	return rc;
}

/* Every group alike by the probability of each: `rounds` of raking, as weights by group are; the first from equal
 * weights gives weights inverse to the share of each group. */
static void by_probability(double *w, const float *q, uint64_t n, uint32_t groups, int rounds)
{
	for (uint64_t i = 0; i < n; i++)
		w[i] = 1;
	for (int r = 0; r < rounds; r++) {
		double share[EK_HIDDEN_GROUPS] = { 0 }, total = 0;

		for (uint64_t i = 0; i < n; i++) {
			for (uint32_t g = 0; g < groups; g++)
				share[g] += w[i] * (double)q[i * groups + g];
			total += w[i];
		}
		for (uint64_t i = 0; i < n; i++) {
			double factor = 0;

			for (uint32_t g = 0; g < groups; g++)
				factor += (double)q[i * groups + g] / fmax(share[g] / total, 1e-9);
			w[i] *= factor / groups;
		}
	}
}

/* Weights inverse to the size of the group that an image most likely is of. */
static void by_likeliest(double *w, const float *q, uint64_t n, uint32_t groups)
{
	double sizes[EK_HIDDEN_GROUPS] = { 0 };

	for (int pass = 0; pass < 2; pass++)
		for (uint64_t i = 0; i < n; i++) {
			uint32_t best = 0;

			for (uint32_t g = 1; g < groups; g++)
				best = q[i * groups + g] > q[i * groups + best] ? g : best;
			sizes[best] += pass == 0;
			w[i] = 1 / sizes[best];
		}
}

/* Labels of some images, and what is made of them. */
struct labelled {
	uint64_t *numbers, count;               /* [count] */
	uint32_t groups, own[EK_HIDDEN_GROUPS]; /* that have a label, and which of these each group is */
	uint32_t *group;                        /* [count] of these */
	float *x, *q;                           /* [count, views, k], [n, groups] */
};

static void free_labelled(struct labelled *l)
{
	free(l->numbers);
	free(l->group);
	free(l->x);
	free(l->q);
}

/* Who said which images are labelled. */
enum chosen {
	DRAWN,  /* at random, `each` of every group */
	MET,    /* at random, as many, but one of every group: what an order that misses no group might teach */
	PAGE,   /* the page, as many, each that it asks about */
	SEARCH, /* the page, and its searches until every group has `each` */
};

/* One of every group comes first. */
static void meet_all(uint64_t *numbers, const struct ek_hidden *h)
{
	int met[EK_HIDDEN_GROUPS] = { 0 };
	uint64_t first = 0;

	for (uint64_t i = 0; i < h->n; i++)
		if (!met[h->group[numbers[i]]]++) {
			const uint64_t number = numbers[i];

			memmove(numbers + first + 1, numbers + first, (i - first) * sizeof *numbers);
			numbers[first++] = number;
		}
}

static int find_labels(struct labelled *l, const struct bench *b, uint64_t each, enum chosen chosen, uint64_t *looked)
{
	const uint64_t budget = each * b->h.groups;
	int rc;

	*l = (struct labelled){ 0 };
	EK_TRY(ek_alloc(&l->numbers, b->h.n, sizeof *l->numbers));
	if (chosen >= PAGE) {
		EK_TRY(ek_hidden_page(l->numbers, &l->count, looked, &b->h, budget, chosen == SEARCH ? each : 0));
	} else {
		EK_TRY(ek_hidden_shuffle(l->numbers, &b->h, b->h.order, "labels"));
		if (chosen == MET)
			meet_all(l->numbers, &b->h);
		*looked = l->count = chosen == DRAWN ? ek_hidden_first(l->numbers, &b->h, each) : budget;
	}
	EK_TRY(ek_alloc(&l->group, l->count, sizeof *l->group));
	for (uint32_t g = 0; g < b->h.groups; g++) {
		uint64_t has = 0;

		for (uint64_t i = 0; i < l->count; i++)
			has += b->h.group[l->numbers[i]] == g;
		l->own[g] = has > 0 ? l->groups++ : UINT32_MAX;
	}
	for (uint64_t i = 0; i < l->count; i++)
		l->group[i] = l->own[b->h.group[l->numbers[i]]];
	EK_TRY(ek_alloc(&l->x, l->count * b->h.views * b->h.k, sizeof *l->x));
	EK_TRY(ek_alloc(&l->q, b->h.n * l->groups, sizeof *l->q));
out:
	return rc;
}

/* As `cluster --labels` does: a probe, its probabilities corrected, and what was said stands. */
static int learn(struct labelled *l, const struct bench *b, int noise, const char *method)
{
	struct ek_probe_rows rows = { .x = l->x,
		                      .stride = b->h.k,
		                      .views = noise ? b->h.views : 1,
		                      .group = l->group,
		                      .images = l->count,
		                      .groups = l->groups };
	struct ek_probe probe = { 0 };
	struct ek_probe_choice choice;
	double prior[EK_HIDDEN_GROUPS];
	int rc;

	for (uint64_t i = 0; i < l->count; i++)
		memcpy(l->x + i * b->h.k, b->h.p + l->numbers[i] * b->h.k, b->h.k * sizeof *l->x);
	if (noise)
		EK_TRY(ek_hidden_views(l->x, &b->h, l->numbers, l->count));
	EK_TRY(ek_probe_choose(&probe, &choice, &rows, b->h.order));
	EK_TRY(ek_probe_predict_all(l->q, &probe, noise ? b->h.x : b->h.p, b->h.n, b->h.k));
	(void)ek_probe_correct(l->q, prior, probe.train, EK_PROBE_EVEN, b->h.n, l->groups);
	for (uint64_t i = 0; i < l->count; i++)
		for (uint32_t g = 0; g < l->groups; g++)
			l->q[l->numbers[i] * l->groups + g] = g == l->group[i] ? 1 : 0;
	fprintf(stderr, "%s: %u groups, C %g, %zu components, %zu views, log loss %.3f, accuracy %.2f\n", method,
	        l->groups, choice.c, choice.k, choice.views, choice.log_loss, choice.accuracy);
out:
	ek_probe_release(&probe);
	return rc;
}

static int with_labels(struct bench *b, uint64_t each, int noise, enum chosen chosen)
{
	static const char *const words[] = { "", ", at random, all met", ", as the page asks",
		                             ", as the page asks and finds" };
	struct labelled l;
	char method[80], other[112];
	int rc;

	(void)snprintf(method, sizeof method, "%llu labels a group%s%s", (unsigned long long)each, words[chosen],
	               noise ? "" : ", whitened by spread, no views");
	EK_TRY(find_labels(&l, b, each, chosen, &b->looked));
	b->labels = l.count;
	EK_TRY(learn(&l, b, noise, method));
	by_probability(b->w, l.q, b->h.n, l.groups, 6);
	tell(b, method);
	if (!noise || chosen != DRAWN)
		goto out;
	by_probability(b->w, l.q, b->h.n, l.groups, 1);
	(void)snprintf(other, sizeof other, "%s, without raking", method);
	tell(b, other);
	by_likeliest(b->w, l.q, b->h.n, l.groups);
	(void)snprintf(other, sizeof other, "%s, by the likeliest", method);
	tell(b, other);
out:
	b->labels = b->looked = 0;
	free_labelled(&l);
	return rc;
}

/* `each` images of every group as a reference whose groups nobody says. They stay in the run, too. */
static int with_reference(struct bench *b, uint64_t each)
{
	struct ek_probe_rows rows = { .stride = b->h.k, .views = b->h.views, .groups = 2 };
	uint64_t *numbers = NULL, *ids = NULL, *run = NULL, reference;
	uint32_t *group = NULL;
	double *weight = NULL;
	float *x = NULL;
	char method[64];
	int rc;

	EK_TRY(ek_alloc(&numbers, 2 * b->h.n, sizeof *numbers));
	EK_TRY(ek_hidden_shuffle(numbers, &b->h, b->h.order, "reference"));
	reference = ek_hidden_first(numbers, &b->h, each);
	EK_TRY(ek_alloc(&run, b->h.n, sizeof *run));
	EK_TRY(ek_hidden_shuffle(run, &b->h, b->h.order, "run"));
	rows.images = reference;
	for (uint64_t i = 0; i < b->h.n && i < EK_RATIO_RUN; i++)
		numbers[rows.images++] = run[i];
	EK_TRY(ek_alloc(&ids, rows.images, sizeof *ids));
	EK_TRY(ek_alloc(&group, rows.images, sizeof *group));
	EK_TRY(ek_alloc(&weight, rows.images, sizeof *weight));
	EK_TRY(ek_alloc(&x, rows.images * b->h.views * b->h.k, sizeof *x));
	for (uint64_t i = 0; i < rows.images; i++) {
		group[i] = i >= reference;
		ids[i] = i < reference ? b->h.n : numbers[i];
	}
	ek_ratio_balance(weight, group, rows.images);
	EK_TRY(ek_hidden_views(x, &b->h, numbers, rows.images));
	rows.x = x;
	rows.group = group;
	rows.weight = weight;
	EK_TRY(ek_ratio(b->w, &rows, ids, b->h.x, b->h.n, b->h.order));
	(void)snprintf(method, sizeof method, "%llu reference images a group", (unsigned long long)each);
	tell(b, method);
out:
	free(numbers);
	free(ids);
	free(run);
	free(group);
	free(weight);
	free(x);
	return rc;
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	int rc;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: bench_recovery FEATURES.npy GROUPS.npy RATIO ORDER LARGEST [WAYS]\n");
		return 2;
	}
	EK_TRY(ek_hidden_open(&b.h, argv[1], argv[2], strtod(argv[3], NULL), strtoull(argv[4], NULL, 10),
	                      strtod(argv[5], NULL)));
	EK_TRY(ek_alloc(&b.w, b.h.n, sizeof *b.w));
	b.started = ek_clock();
	if (argc == 6 || strcmp(argv[6], "none") == 0)
		EK_TRY(without_labels(&b));
	if (argc == 6)
		EK_TRY(by_clusters(&b));
	if (argc == 6 || strcmp(argv[6], "labels") == 0) {
		EK_TRY(with_labels(&b, 10, 0, DRAWN));
		EK_TRY(with_labels(&b, 10, 1, DRAWN));
		EK_TRY(with_labels(&b, 20, 1, DRAWN));
	}
	if (argc == 6 || strcmp(argv[6], "page") == 0) {
		EK_TRY(with_labels(&b, 10, 1, PAGE));
		EK_TRY(with_labels(&b, 20, 1, PAGE));
		EK_TRY(with_labels(&b, 10, 1, MET));
	}
	if (argc == 6 || strcmp(argv[6], "searches") == 0) {
		EK_TRY(with_labels(&b, 10, 1, SEARCH));
		EK_TRY(with_labels(&b, 20, 1, SEARCH));
	}
	if (argc == 6 || strcmp(argv[6], "reference") == 0)
		EK_TRY(with_reference(&b, 10));
out:
	ek_hidden_release(&b.h);
	free(b.w);
	if (rc < 0)
		fprintf(stderr, "bench_recovery: %s\n", ek_error_message());
	return rc < 0;
}
