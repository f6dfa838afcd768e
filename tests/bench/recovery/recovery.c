/*
 * Balance recovery (docs/recovery.md): how much of a hidden skew each way of weighing mends.
 *
 *	bench_recovery FEATURES.npy GROUPS.npy RATIO ORDER LARGEST [labels]
 *
 * FEATURES.npy   [images, views, d] float16, as bench_recovery_views writes it
 * GROUPS.npy     [images] int32, the hidden groups; below 0: left out
 * RATIO, ORDER   above 1 a skew is planted: of the groups, in an order drawn by ORDER, the first has LARGEST images and
 *                the last LARGEST / RATIO, falling geometrically; 1: all images as they are, ORDER only draws labels
 * labels         only the ways that have labels; "none": only those of single images that have none
 *
 * Components are whitened on the images that are left alone. One line of JSON a way: recovery, ESS as a share of that
 *of weights by the true labels, the smallest group's share times the number of groups, the largest repeat, normalised
 * entropy before and after, seconds. All weights are tempered to an ESS of 0.8 of that of the true labels', where they
 * are worth less.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/components.h"
#include "analysis/cluster/found.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/ratio.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"
#include "rebalance/plan/design.h"
#include "rebalance/plan/image_weights.h"

enum { GROUPS_MOST = 64, DESIGN = 128, CLUSTERS = 24, ROUNDS = 100 };

struct bench {
	struct ek_npy features, hidden;
	uint64_t n; /* images that are left */
	uint64_t *ids;
	uint32_t *group; /* [n] */
	uint32_t groups;
	size_t views, d, k;
	float *x;   /* [n, k] noise-whitened */
	float *p;   /* [n, k] whitened by spread */
	float *raw; /* [n, d] */
	struct ek_components noise, spread;
	uint64_t order;
	double label_worth;
	double *w; /* [n] */
	double started;
	double ratio;
};

static int read_group(const struct bench *b, uint64_t id)
{
	return ((const int32_t *)b->hidden.data)[id];
}

static double entropy(const double *share, uint32_t groups)
{
	double sum = 0;

	for (uint32_t g = 0; g < groups; g++)
		sum -= share[g] > 0 ? share[g] * log(share[g]) : 0;
	return sum / log(groups);
}

static void shares_of(double *share, const struct bench *b, const double *w)
{
	double total = 0;

	memset(share, 0, b->groups * sizeof *share);
	for (uint64_t i = 0; i < b->n; i++) {
		share[b->group[i]] += w != NULL ? w[i] : 1;
		total += w != NULL ? w[i] : 1;
	}
	for (uint32_t g = 0; g < b->groups; g++)
		share[g] /= total;
}

static void tell(struct bench *b, const char *method)
{
	double natural[GROUPS_MOST], after[GROUPS_MOST], least = 1, most = 0, sum = 0;
	const double seconds = ek_clock() - b->started;
	double power, worth;

	power = ek_weights_temper(b->w, b->n, 0.8 * b->label_worth);
	worth = ek_weights_worth(b->w, b->n);
	shares_of(natural, b, NULL);
	shares_of(after, b, b->w);
	for (uint32_t g = 0; g < b->groups; g++)
		least = fmin(least, after[g]);
	for (uint64_t i = 0; i < b->n; i++) {
		most = fmax(most, b->w[i]);
		sum += b->w[i];
	}
	printf("{\"method\":\"%s\",\"order\":%llu,\"images\":%llu,\"groups\":%u,\"recovery\":%.4f,\"ess\":%.3f,"
	       "\"smallest\":%.3f,\"repeat\":%.1f,\"entropy\":[%.4f,%.4f],\"power\":%.3f,\"seconds\":%.1f}\n",
	       method, (unsigned long long)b->order, (unsigned long long)b->n, b->groups,
	       (entropy(after, b->groups) - entropy(natural, b->groups)) / (1 - entropy(natural, b->groups)),
	       worth / b->label_worth, least * b->groups, most * (double)b->n / sum, entropy(natural, b->groups),
	       entropy(after, b->groups), power, seconds);
	(void)fflush(stdout);
	b->started = ek_clock();
}

/* Ids of each group in an order of the seed, and groups in one, too; then as many as the plan has. */
struct keyed {
	uint64_t key, id;
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int plant(struct bench *b, double largest)
{
	const uint64_t all = b->features.shape[0];
	struct keyed *keys = NULL, order[GROUPS_MOST];
	uint64_t left[GROUPS_MOST];
	int rc;

	EK_TRY(ek_alloc(&keys, all, sizeof *keys));
	EK_TRY(ek_alloc(&b->ids, all, sizeof *b->ids));
	for (uint64_t i = 0; i < all; i++) {
		keys[i] = (struct keyed){ ek_random_u64(b->order, ek_random_stream("plant"), i), i };
		b->groups = read_group(b, i) >= (int)b->groups ? (uint32_t)read_group(b, i) + 1 : b->groups;
	}
	qsort(keys, all, sizeof *keys, by_key);
	for (uint32_t g = 0; g < b->groups; g++)
		order[g] = (struct keyed){ ek_random_u64(b->order, ek_random_stream("order"), g), g };
	qsort(order, b->groups, sizeof *order, by_key);
	for (uint32_t g = 0; g < b->groups; g++)
		left[order[g].id] =
			b->ratio > 1 ? (uint64_t)floor(largest * pow(b->ratio, -(double)g / (b->groups - 1)) + 0.5)
				     : all;
	for (uint64_t i = 0; i < all; i++) {
		const int g = read_group(b, keys[i].id);

		if (g >= 0 && left[g] > 0) {
			left[g]--;
			b->ids[b->n++] = keys[i].id;
		}
	}
	qsort(b->ids, b->n, sizeof *b->ids, by_number);
	EK_TRY(ek_alloc(&b->group, b->n, sizeof *b->group));
	for (uint64_t i = 0; i < b->n; i++)
		b->group[i] = (uint32_t)read_group(b, b->ids[i]);
	EK_TRY(ek_alloc(&b->w, b->n, sizeof *b->w));
out:
	free(keys);
	return rc;
}

/* The views of one image, [views, d]. */
static void read_views(float *out, const struct bench *b, uint64_t id)
{
	const uint16_t *row = (const uint16_t *)b->features.data + id * b->views * b->d;

	for (size_t j = 0; j < b->views * b->d; j++)
		out[j] = ek_half_to_float(row[j]);
}

static int whiten(struct ek_components *c, const struct bench *b, size_t views)
{
	struct ek_scatter s = { 0 };
	double *centre = NULL;
	float *rows = NULL;
	int rc;

	EK_TRY(ek_alloc(&centre, b->d, sizeof *centre));
	EK_TRY(ek_alloc(&rows, 64 * b->views * b->d, sizeof *rows));
	read_views(rows, b, b->ids[0]);
	for (size_t j = 0; j < b->d; j++)
		centre[j] = (double)rows[j];
	EK_TRY(ek_scatter_init(&s, centre, b->d));
	for (uint64_t first = 0, count; first < b->n; first += count) {
		count = b->n - first < 64 ? b->n - first : 64;
		for (uint64_t i = 0; i < count; i++)
			read_views(rows + i * views * b->d, b,
			           b->ids[first + i]); /* the next image overwrites surplus */
		EK_TRY(ek_scatter_add(&s, rows, count, views));
	}
	EK_TRY(ek_components_of(c, &s, b->k));
out:
	ek_scatter_release(&s);
	free(centre);
	free(rows);
	return rc;
}

static int project(float *out, const struct bench *b, const struct ek_components *c)
{
	const struct ek_npy array = ek_rows_memory(b->raw, b->n, b->d);
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(out, c, &rows, b->k));
out:
	return rc;
}

static int prepare(struct bench *b, double largest)
{
	float *views = NULL;
	double share[GROUPS_MOST], sum = 0;
	int rc;

	EK_TRY(plant(b, largest));
	EK_TRY(ek_alloc(&b->raw, b->n * b->d, sizeof *b->raw));
	EK_TRY(ek_alloc(&views, b->views * b->d, sizeof *views));
	for (uint64_t i = 0; i < b->n; i++) {
		read_views(views, b, b->ids[i]);
		memcpy(b->raw + i * b->d, views, b->d * sizeof *views);
	}
	EK_TRY(whiten(&b->noise, b, b->views));
	EK_TRY(whiten(&b->spread, b, 1));
	b->k = b->noise.k < b->spread.k ? b->noise.k : b->spread.k;
	EK_TRY(ek_alloc(&b->x, b->n * b->k, sizeof *b->x));
	EK_TRY(ek_alloc(&b->p, b->n * b->k, sizeof *b->p));
	EK_TRY(project(b->x, b, &b->noise));
	EK_TRY(project(b->p, b, &b->spread));
	shares_of(share, b, NULL);
	for (uint32_t g = 0; g < b->groups; g++)
		sum += 1 / share[g];
	b->label_worth = (double)b->groups * b->groups / sum;
	b->started = ek_clock();
out:
	free(views);
	return rc;
}

/* k-means on the features themselves, weights inverse to the clusters' sizes. */
static int by_clusters(struct bench *b)
{
	const struct ek_npy array = ek_rows_memory(b->raw, b->n, b->d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result result = { 0 };
	struct ek_rows rows;
	uint64_t sizes[CLUSTERS] = { 0 };
	int rc;

	o.k = CLUSTERS;
	o.seed = b->order;
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_kmeans(&result, &rows, &o));
	for (uint64_t i = 0; i < b->n; i++)
		sizes[result.assignment[i]]++;
	for (uint64_t i = 0; i < b->n; i++)
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

	EK_TRY(ek_found_build(&found, x, b->n, d, 0, b->order));
	for (uint64_t i = 0; i < b->n; i++)
		b->w[i] = 1 / (double)found.sizes[found.group[i]];
	fprintf(stderr, "%u groups\n", found.groups);
	tell(b, "groups, found");
out:
	ek_found_release(&found);
	return rc;
}

static int without_labels(struct bench *b)
{
	const size_t d = b->k < DESIGN ? b->k : DESIGN;
	float *first = NULL;
	double *other = NULL;
	int rc;

	EK_TRY(ek_alloc(&first, b->n * d, sizeof *first));
	EK_TRY(ek_alloc(&other, b->n, sizeof *other));
	for (int way = 0; way < 2; way++) {
		for (uint64_t i = 0; i < b->n; i++)
			memcpy(first + i * d, (way == 0 ? b->x : b->p) + i * b->k, d * sizeof *first);
		EK_TRY(ek_design_weights(b->w, first, b->n, d, ROUNDS));
		if (way == 0)
			memcpy(other, b->w, b->n * sizeof *other);
		tell(b, way == 0 ? "design" : "design, whitened by spread");
		if (way == 0) {
			EK_TRY(ek_vendi_weights(b->w, first, b->n, d, ROUNDS));
			for (uint64_t i = 0; i < b->n; i++)
				other[i] = sqrt(other[i] * b->w[i]);
			tell(b, "vendi");
			memcpy(b->w, other, b->n * sizeof *other);
			tell(b, "design and vendi");
			EK_TRY(ek_tree_weights(b->w, first, b->n, d));
			tell(b, "tree");
			EK_TRY(ek_blend_weights(b->w, first, b->n, d));
			tell(b, "blend");
			EK_TRY(by_found(b, first, d));
		}
	}
out:
	free(first);
	free(other);
	return rc;
}

/* Numbers of `each` images of every group, in an order of the seed; then, up to `more`, of any. */
static uint64_t draw(uint64_t *out, const struct bench *b, uint64_t each, const char *name, struct keyed *keys)
{
	uint64_t got[GROUPS_MOST] = { 0 }, count = 0;

	for (uint64_t i = 0; i < b->n; i++)
		keys[i] = (struct keyed){ ek_random_u64(b->order, ek_random_stream(name), i), i };
	qsort(keys, b->n, sizeof *keys, by_key);
	for (uint64_t i = 0; i < b->n; i++)
		if (got[b->group[keys[i].id]]++ < each)
			out[count++] = keys[i].id;
	return count;
}

/* Components of all views of these images, to out [count, views, k]. */
static int views_of(float *out, const struct bench *b, const struct ek_components *c, const uint64_t *numbers,
                    uint64_t count)
{
	struct ek_npy array;
	struct ek_rows rows;
	float *raw = NULL;
	int rc;

	EK_TRY(ek_alloc(&raw, count * b->views * b->d, sizeof *raw));
	for (uint64_t i = 0; i < count; i++)
		read_views(raw + i * b->views * b->d, b, b->ids[numbers[i]]);
	array = ek_rows_memory(raw, count * b->views, b->d);
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(out, c, &rows, b->k));
out:
	free(raw);
	return rc;
}

/* Every group alike by the probability of each: `rounds` of raking, as weights by group are; the first from equal
 * weights gives weights inverse to the share of each group. */
static void by_probability(double *w, const float *q, const struct bench *b, int rounds)
{
	for (uint64_t i = 0; i < b->n; i++)
		w[i] = 1;
	for (int r = 0; r < rounds; r++) {
		double share[GROUPS_MOST] = { 0 }, total = 0;

		for (uint64_t i = 0; i < b->n; i++) {
			for (uint32_t g = 0; g < b->groups; g++)
				share[g] += w[i] * (double)q[i * b->groups + g];
			total += w[i];
		}
		for (uint64_t i = 0; i < b->n; i++) {
			double factor = 0;

			for (uint32_t g = 0; g < b->groups; g++)
				factor += (double)q[i * b->groups + g] / fmax(share[g] / total, 1e-9);
			w[i] *= factor / b->groups;
		}
	}
}

/* Weights inverse to the size of the group that an image most likely is of. */
static void by_likeliest(double *w, const float *q, uint64_t n, uint32_t groups)
{
	double sizes[GROUPS_MOST] = { 0 };

	for (int pass = 0; pass < 2; pass++)
		for (uint64_t i = 0; i < n; i++) {
			uint32_t best = 0;

			for (uint32_t g = 1; g < groups; g++)
				best = q[i * groups + g] > q[i * groups + best] ? g : best;
			sizes[best] += pass == 0;
			w[i] = 1 / sizes[best];
		}
}

static int with_labels(struct bench *b, uint64_t each, int noise)
{
	struct ek_probe_rows rows = { .stride = b->k, .views = noise ? b->views : 1, .groups = b->groups };
	struct ek_probe probe = { 0 };
	struct ek_probe_choice choice;
	struct keyed *keys = NULL;
	uint64_t *numbers = NULL;
	double prior[GROUPS_MOST];
	uint32_t *group = NULL;
	float *x = NULL, *q = NULL;
	char method[64];
	int rc;

	EK_TRY(ek_alloc(&keys, b->n, sizeof *keys));
	EK_TRY(ek_alloc(&numbers, b->n, sizeof *numbers));
	rows.images = draw(numbers, b, each, "labels", keys);
	EK_TRY(ek_alloc(&group, rows.images, sizeof *group));
	EK_TRY(ek_alloc(&x, rows.images * b->views * b->k, sizeof *x));
	EK_TRY(ek_alloc(&q, b->n * b->groups, sizeof *q));
	for (uint64_t i = 0; i < rows.images; i++) {
		group[i] = b->group[numbers[i]];
		memcpy(x + i * b->k, b->p + numbers[i] * b->k, b->k * sizeof *x);
	}
	if (noise)
		EK_TRY(views_of(x, b, &b->noise, numbers, rows.images));
	rows.x = x;
	rows.group = group;
	EK_TRY(ek_probe_choose(&probe, &choice, &rows, b->order));
	EK_TRY(ek_probe_predict_all(q, &probe, noise ? b->x : b->p, b->n, b->k));
	(void)ek_probe_correct(q, prior, probe.train, b->n, b->groups);
	by_probability(b->w, q, b, 6);
	(void)snprintf(method, sizeof method, "%llu labels a group%s", (unsigned long long)each,
	               noise ? "" : ", whitened by spread, no views");
	fprintf(stderr, "%s: C %g, %zu components, %zu views, log loss %.3f, accuracy %.2f, temperature %.2f\n", method,
	        choice.c, choice.k, choice.views, choice.log_loss, choice.accuracy, probe.temperature);
	tell(b, method);
	if (!noise)
		goto out;
	by_probability(b->w, q, b, 1);
	tell(b, each == 10 ? "10 labels a group, without raking" : "20 labels a group, without raking");
	by_likeliest(b->w, q, b->n, b->groups);
	tell(b, each == 10 ? "10 labels a group, by the likeliest" : "20 labels a group, by the likeliest");
out:
	ek_probe_release(&probe);
	free(keys);
	free(numbers);
	free(group);
	free(x);
	free(q);
	return rc;
}

/* `each` images of every group as a reference whose groups nobody says. They stay in the run, too. */
static int with_reference(struct bench *b, uint64_t each)
{
	struct ek_probe_rows rows = { .stride = b->k, .views = b->views, .groups = 2 };
	struct keyed *keys = NULL;
	uint64_t *numbers = NULL, *ids = NULL, reference;
	uint32_t *group = NULL;
	double *weight = NULL;
	float *x = NULL;
	char method[64];
	int rc;

	EK_TRY(ek_alloc(&keys, b->n, sizeof *keys));
	EK_TRY(ek_alloc(&numbers, 2 * b->n, sizeof *numbers));
	reference = draw(numbers, b, each, "reference", keys);
	for (uint64_t i = 0; i < b->n; i++)
		keys[i] = (struct keyed){ ek_random_u64(b->order, ek_random_stream("run"), i), i };
	qsort(keys, b->n, sizeof *keys, by_key);
	rows.images = reference;
	for (uint64_t i = 0; i < b->n && i < EK_RATIO_RUN; i++)
		numbers[rows.images++] = keys[i].id;
	EK_TRY(ek_alloc(&ids, rows.images, sizeof *ids));
	EK_TRY(ek_alloc(&group, rows.images, sizeof *group));
	EK_TRY(ek_alloc(&weight, rows.images, sizeof *weight));
	EK_TRY(ek_alloc(&x, rows.images * b->views * b->k, sizeof *x));
	for (uint64_t i = 0; i < rows.images; i++) {
		group[i] = i >= reference;
		ids[i] = i < reference ? b->n : numbers[i];
	}
	ek_ratio_balance(weight, group, rows.images);
	EK_TRY(views_of(x, b, &b->noise, numbers, rows.images));
	rows.x = x;
	rows.group = group;
	rows.weight = weight;
	EK_TRY(ek_ratio(b->w, &rows, ids, b->x, b->n, b->order));
	(void)snprintf(method, sizeof method, "%llu reference images a group", (unsigned long long)each);
	tell(b, method);
out:
	free(keys);
	free(numbers);
	free(ids);
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
		fprintf(stderr, "usage: bench_recovery FEATURES.npy GROUPS.npy RATIO ORDER LARGEST [labels]\n");
		return 2;
	}
	b.ratio = strtod(argv[3], NULL);
	b.order = strtoull(argv[4], NULL, 10);
	EK_TRY(ek_npy_open(&b.features, argv[1]));
	EK_TRY(ek_npy_open_as(&b.hidden, argv[2], EK_I32, 1, &b.features.shape[0]));
	b.views = (size_t)b.features.shape[1];
	b.d = (size_t)b.features.shape[2];
	b.k = EK_COMPONENTS_MOST;
	EK_TRY(prepare(&b, strtod(argv[5], NULL)));
	if (argc == 6 || strcmp(argv[6], "none") == 0)
		EK_TRY(without_labels(&b));
	if (argc == 7 && strcmp(argv[6], "none") == 0)
		goto out;
	if (argc == 6)
		EK_TRY(by_clusters(&b));
	EK_TRY(with_labels(&b, 10, 0));
	EK_TRY(with_labels(&b, 10, 1));
	EK_TRY(with_labels(&b, 20, 1));
	if (argc == 6)
		EK_TRY(with_reference(&b, 10));
out:
	if (rc < 0)
		fprintf(stderr, "bench_recovery: %s\n", ek_error_message());
	return rc < 0;
}
