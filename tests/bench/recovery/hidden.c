#include "tests/bench/recovery/hidden.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/choose.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/teach.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

static int read_group(const struct ek_hidden *h, uint64_t id)
{
	return ((const int32_t *)h->hidden.data)[id];
}

double ek_hidden_entropy(const double *share, uint32_t groups)
{
	double sum = 0;

	for (uint32_t g = 0; g < groups; g++)
		sum -= share[g] > 0 ? share[g] * log(share[g]) : 0;
	return sum / log(groups);
}

void ek_hidden_shares(double *share, const struct ek_hidden *h, const double *w)
{
	double total = 0;

	memset(share, 0, h->groups * sizeof *share);
	for (uint64_t i = 0; i < h->n; i++) {
		share[h->group[i]] += w != NULL ? w[i] : 1;
		total += w != NULL ? w[i] : 1;
	}
	for (uint32_t g = 0; g < h->groups; g++)
		share[g] /= total;
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

static int plant(struct ek_hidden *h, double ratio, double largest)
{
	const uint64_t all = h->features.shape[0];
	struct keyed *keys = NULL, order[EK_HIDDEN_GROUPS];
	uint64_t left[EK_HIDDEN_GROUPS];
	int rc;

	EK_TRY(ek_alloc(&keys, all, sizeof *keys));
	EK_TRY(ek_alloc(&h->ids, all, sizeof *h->ids));
	for (uint64_t i = 0; i < all; i++) {
		keys[i] = (struct keyed){ ek_random_u64(h->order, ek_random_stream("plant"), i), i };
		h->groups = read_group(h, i) >= (int)h->groups ? (uint32_t)read_group(h, i) + 1 : h->groups;
	}
	qsort(keys, all, sizeof *keys, by_key);
	for (uint32_t g = 0; g < h->groups; g++)
		order[g] = (struct keyed){ ek_random_u64(h->order, ek_random_stream("order"), g), g };
	qsort(order, h->groups, sizeof *order, by_key);
	for (uint32_t g = 0; g < h->groups; g++)
		left[order[g].id] =
			ratio > 1 ? (uint64_t)floor(largest * pow(ratio, -(double)g / (h->groups - 1)) + 0.5) : all;
	for (uint64_t i = 0; i < all; i++) {
		const int g = read_group(h, keys[i].id);

		if (g >= 0 && left[g] > 0) {
			left[g]--;
			h->ids[h->n++] = keys[i].id;
		}
	}
	qsort(h->ids, h->n, sizeof *h->ids, ek_compare_u64);
	EK_TRY(ek_alloc(&h->group, h->n, sizeof *h->group));
	for (uint64_t i = 0; i < h->n; i++)
		h->group[i] = (uint32_t)read_group(h, h->ids[i]);
out:
	free(keys);
	return rc;
}

/* The views of one image, [views, d]. */
static void read_views(float *out, const struct ek_hidden *h, uint64_t id)
{
	const uint16_t *row = (const uint16_t *)h->features.data + id * h->views * h->d;

	for (size_t j = 0; j < h->views * h->d; j++)
		out[j] = ek_half_to_float(row[j]);
}

static int whiten(struct ek_components *c, const struct ek_hidden *h, size_t views)
{
	struct ek_scatter s = { 0 };
	double *centre = NULL;
	float *rows = NULL;
	int rc;

	EK_TRY(ek_alloc(&centre, h->d, sizeof *centre));
	EK_TRY(ek_alloc(&rows, 64 * h->views * h->d, sizeof *rows));
	read_views(rows, h, h->ids[0]);
	for (size_t j = 0; j < h->d; j++)
		centre[j] = (double)rows[j];
	EK_TRY(ek_scatter_init(&s, centre, h->d));
	for (uint64_t first = 0, count; first < h->n; first += count) {
		count = h->n - first < 64 ? h->n - first : 64;
		for (uint64_t i = 0; i < count; i++)
			read_views(rows + i * views * h->d, h,
			           h->ids[first + i]); /* the next image overwrites surplus */
		EK_TRY(ek_scatter_add(&s, rows, count, views));
	}
	EK_TRY(ek_components_of(c, &s, h->k));
out:
	ek_scatter_release(&s);
	free(centre);
	free(rows);
	return rc;
}

static int project(float *out, const struct ek_hidden *h, const struct ek_components *c)
{
	const struct ek_npy array = ek_rows_memory(h->raw, h->n, h->d);
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(out, c, &rows, h->k));
out:
	return rc;
}

static int prepare(struct ek_hidden *h, double ratio, double largest)
{
	float *views = NULL;
	double share[EK_HIDDEN_GROUPS], sum = 0;
	int rc;

	EK_TRY(plant(h, ratio, largest));
	EK_TRY(ek_alloc(&h->raw, h->n * h->d, sizeof *h->raw));
	EK_TRY(ek_alloc(&views, h->views * h->d, sizeof *views));
	for (uint64_t i = 0; i < h->n; i++) {
		read_views(views, h, h->ids[i]);
		memcpy(h->raw + i * h->d, views, h->d * sizeof *views);
	}
	EK_TRY(whiten(&h->noise, h, h->views));
	EK_TRY(whiten(&h->spread, h, 1));
	h->k = h->noise.k < h->spread.k ? h->noise.k : h->spread.k;
	EK_TRY(ek_alloc(&h->x, h->n * h->k, sizeof *h->x));
	EK_TRY(ek_alloc(&h->p, h->n * h->k, sizeof *h->p));
	EK_TRY(project(h->x, h, &h->noise));
	EK_TRY(project(h->p, h, &h->spread));
	ek_hidden_shares(share, h, NULL);
	for (uint32_t g = 0; g < h->groups; g++)
		sum += 1 / share[g];
	h->label_worth = (double)h->groups * h->groups / sum;
out:
	free(views);
	return rc;
}

int ek_hidden_shuffle(uint64_t *out, const struct ek_hidden *h, uint64_t seed, const char *name)
{
	struct keyed *keys = NULL;
	int rc;

	EK_TRY(ek_alloc(&keys, h->n, sizeof *keys));
	for (uint64_t i = 0; i < h->n; i++)
		keys[i] = (struct keyed){ ek_random_u64(seed, ek_random_stream(name), i), i };
	qsort(keys, h->n, sizeof *keys, by_key);
	for (uint64_t i = 0; i < h->n; i++)
		out[i] = keys[i].id;
out:
	free(keys);
	return rc;
}

uint64_t ek_hidden_first(uint64_t *numbers, const struct ek_hidden *h, uint64_t each)
{
	uint64_t got[EK_HIDDEN_GROUPS] = { 0 }, count = 0;

	for (uint64_t i = 0; i < h->n; i++)
		if (got[h->group[numbers[i]]]++ < each)
			numbers[count++] = numbers[i];
	return count;
}

int ek_hidden_views(float *out, const struct ek_hidden *h, const uint64_t *numbers, uint64_t count)
{
	struct ek_npy array;
	struct ek_rows rows;
	float *raw = NULL;
	int rc;

	EK_TRY(ek_alloc(&raw, count * h->views * h->d, sizeof *raw));
	for (uint64_t i = 0; i < count; i++)
		read_views(raw + i * h->views * h->d, h, h->ids[numbers[i]]);
	array = ek_rows_memory(raw, count * h->views, h->d);
	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_components_project(out, &h->noise, &rows, h->k));
out:
	free(raw);
	return rc;
}

/* The most typical of different clusters first, in an order of the seed as `cluster` without options would. */
static int find_typical(uint32_t *typical, const struct ek_hidden *h)
{
	const struct ek_npy array = ek_rows_memory(h->raw, h->n, h->d);
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_kmeans_result result = { 0 };
	struct ek_choice_of_k choice;
	struct ek_rows rows;
	int rc;

	EK_TRY(ek_rows_of(&rows, &array, 0));
	EK_TRY(ek_choose_default_k(&choice, &rows, 0, h->order));
	o.k = choice.chosen;
	o.seed = h->order;
	EK_TRY(ek_kmeans(&result, &rows, &o));
	EK_TRY(ek_teach_typical(typical, result.assignment, result.distance, h->n));
out:
	ek_kmeans_release(&result);
	return rc;
}

/* As the page does: images of a sheet, components to tell rows apart. At how many images a group somebody looks. */
enum { SHEET = 24, COMPONENTS = 128, MOST_LOOKED = 60 };

/* Somebody at the page. */
struct person {
	const struct ek_hidden *h;
	float *x; /* [n, d] */
	size_t d;
	uint32_t *typical;
	int32_t *said;     /* [n] */
	uint8_t *passed;   /* [groups, n] */
	uint64_t *numbers; /* [n] */
	uint64_t count, looked;
};

static void say(struct person *p, uint64_t image)
{
	p->said[image] = (int32_t)p->h->group[image];
	p->numbers[p->count++] = image;
}

/* Until `budget` images are labelled: a sheet, and who each image of it is of. */
static int teach(struct person *p, uint64_t budget)
{
	struct ek_teach_pick picks[SHEET];
	size_t found = 1;
	int rc = 0;

	while (p->count < budget && found > 0) {
		const size_t most = budget - p->count < SHEET ? (size_t)(budget - p->count) : SHEET;

		EK_TRY(ek_teach(picks, most, &found, p->x, p->h->n, p->d, p->said, p->h->groups, p->typical));
		for (size_t i = 0; i < found; i++)
			say(p, picks[i].row);
		p->looked += found;
	}
out:
	return rc;
}

/* A group with less than `each` labels: `now`, or the one for which the fewest images were passed over, then the one
 * with the fewest labels; EK_HIDDEN_GROUPS: none. */
static uint32_t find_short(const struct person *p, uint64_t each, uint32_t now)
{
	uint64_t has[EK_HIDDEN_GROUPS] = { 0 }, passed[EK_HIDDEN_GROUPS] = { 0 };
	uint32_t best = EK_HIDDEN_GROUPS;

	for (uint64_t i = 0; i < p->count; i++)
		has[p->h->group[p->numbers[i]]]++;
	for (uint64_t i = 0; i < p->h->groups * p->h->n; i++)
		passed[i / p->h->n] += p->passed[i];
	if (now < p->h->groups && has[now] < each)
		return now;
	for (uint32_t g = 0; g < p->h->groups; g++)
		if (has[g] < each && (best == EK_HIDDEN_GROUPS || passed[g] < passed[best] ||
		                      (passed[g] == passed[best] && has[g] < has[best])))
			best = g;
	return best;
}

/* A sheet of a search; whoever sees none of the group goes on to another. */
static int search(struct person *p, uint64_t each)
{
	struct ek_teach_pick picks[SHEET];
	uint32_t g = EK_HIDDEN_GROUPS;
	size_t found = 1;
	int rc = 0;

	while ((g = find_short(p, each, g)) < p->h->groups && found > 0 && p->looked < MOST_LOOKED * p->h->groups) {
		const uint64_t before = p->count;
		uint8_t *passed = p->passed + g * p->h->n;

		EK_TRY(ek_teach_search(picks, SHEET, &found, p->x, p->h->n, p->d, p->said, p->h->groups, g, passed));
		for (size_t i = 0; i < found; i++)
			if (p->h->group[picks[i].row] == g)
				say(p, picks[i].row);
			else
				passed[picks[i].row] = 1;
		p->looked += found;
		if (p->count == before)
			g = EK_HIDDEN_GROUPS;
	}
out:
	return rc;
}

int ek_hidden_page(uint64_t *numbers, uint64_t *count, uint64_t *looked, const struct ek_hidden *h, uint64_t budget,
                   uint64_t each)
{
	struct person p = { .h = h, .numbers = numbers, .d = h->k < COMPONENTS ? h->k : COMPONENTS };
	int rc;

	EK_TRY(ek_alloc(&p.x, h->n * p.d, sizeof *p.x));
	EK_TRY(ek_alloc(&p.typical, h->n, sizeof *p.typical));
	EK_TRY(ek_alloc(&p.said, h->n, sizeof *p.said));
	EK_TRY(ek_alloc(&p.passed, h->groups * h->n, sizeof *p.passed));
	EK_TRY(find_typical(p.typical, h));
	for (uint64_t i = 0; i < h->n; i++)
		memcpy(p.x + i * p.d, h->x + i * h->k, p.d * sizeof *p.x);
	ek_teach_prepare(p.x, h->n, p.d);
	for (uint64_t i = 0; i < h->n; i++)
		p.said[i] = EK_TEACH_OPEN;
	EK_TRY(teach(&p, budget));
	EK_TRY(search(&p, each));
	*count = p.count;
	*looked = p.looked;
out:
	free(p.x);
	free(p.typical);
	free(p.said);
	free(p.passed);
	return rc;
}

int ek_hidden_open(struct ek_hidden *h, const char *features, const char *groups, double ratio, uint64_t order,
                   double largest)
{
	int rc;

	*h = (struct ek_hidden){ .order = order, .planted = ratio > 1 };
	EK_TRY(ek_npy_open(&h->features, features));
	EK_TRY(ek_npy_open_as(&h->hidden, groups, EK_I32, 1, &h->features.shape[0]));
	h->views = (size_t)h->features.shape[1];
	h->d = (size_t)h->features.shape[2];
	h->k = EK_COMPONENTS_MOST;
	EK_TRY(prepare(h, ratio, largest));
out:
	return rc;
}

void ek_hidden_release(struct ek_hidden *h)
{
	ek_npy_close(&h->features);
	ek_npy_close(&h->hidden);
	ek_components_release(&h->noise);
	ek_components_release(&h->spread);
	free(h->ids);
	free(h->group);
	free(h->raw);
	free(h->x);
	free(h->p);
}
