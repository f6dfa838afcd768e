#include "analysis/cluster/populations.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { FEW = 10, FEW_AT_SIDE = 6 };

struct window {
	uint32_t middle, at_first, at_second;
};

/* between: [k, k] squared distances of centroids */
static void set_between(double *between, const struct ek_kmeans_result *r)
{
	for (uint32_t a = 0; a < r->k; a++)
		for (uint32_t b = 0; b < r->k; b++)
			between[a * r->k + b] = ek_vector_distance2(r->centroids + a * r->dimensions,
			                                            r->centroids + b * r->dimensions, r->dimensions);
}

/* Image of cluster `own` in the windows of all pairs of it. to: [k] squared distances */
static void count_image(struct window *windows, const double *to, const double *between, uint32_t own, uint32_t k)
{
	for (uint32_t other = 0; other < k; other++) {
		const uint32_t a = own < other ? own : other, b = own < other ? other : own;
		const double apart = between[a * k + b], t = (to[a] - to[b] + apart) / (2 * apart);
		struct window *w = &windows[a * k + b];

		if (other == own || !(apart > 0))
			continue;
		w->middle += t > 0.4 && t < 0.6;
		w->at_first += fabs(t) < 0.1;
		w->at_second += fabs(t - 1) < 0.1;
	}
}

/* Fewer than a third of the images that a cluster has on average. */
static int is_handful(const struct ek_kmeans_result *r, uint32_t a)
{
	uint64_t total = 0;

	for (uint32_t c = 0; c < r->k; c++)
		total += r->sizes[c];
	return r->sizes[a] < FEW || 3 * r->sizes[a] * r->k < total;
}

int ek_populations_valleys(double *valley, const struct ek_rows *rows, const struct ek_kmeans_result *r)
{
	const uint32_t k = r->k;
	double *between = NULL, *to = NULL;
	struct window *windows = NULL;
	float *room = NULL;
	int rc;

	EK_TRY(ek_alloc(&between, k, k * sizeof *between));
	EK_TRY(ek_alloc(&to, k, sizeof *to));
	EK_TRY(ek_alloc(&windows, k, k * sizeof *windows));
	EK_TRY(ek_alloc(&room, r->dimensions, sizeof *room));
	set_between(between, r);
	for (uint64_t i = 0; i < rows->count; i++) {
		const float *x = ek_rows_at(rows, i, room);

		for (uint32_t c = 0; c < k; c++)
			to[c] = ek_vector_distance2(x, r->centroids + c * r->dimensions, r->dimensions);
		count_image(windows, to, between, (uint32_t)r->assignment[i], k);
	}
	for (uint32_t a = 0; a < k; a++)
		for (uint32_t b = a + 1; b < k; b++) {
			const struct window *w = &windows[a * k + b];
			const double side = w->at_first < w->at_second ? w->at_first : w->at_second;
			const double middle = w->middle + 1.96 * sqrt(w->middle + 1.0) + 1; /* none seen: at most 3 */

			valley[a * k + b] = valley[b * k + a] = side > 0 ? middle / side : (double)INFINITY;
			if (side < FEW_AT_SIDE && (is_handful(r, a) || is_handful(r, b)))
				valley[a * k + b] = valley[b * k + a] = (double)NAN;
		}
out:
	free(between);
	free(to);
	free(windows);
	free(room);
	return rc;
}

/* Everything of population `from` is of population `to` from now on. */
static void join(int32_t *population, uint32_t k, int32_t to, int32_t from)
{
	for (uint32_t c = 0; c < k; c++)
		if (population[c] == from)
			population[c] = to;
}

static uint32_t nearest_other(const struct ek_kmeans_result *r, uint32_t a)
{
	double best = (double)INFINITY;
	uint32_t nearest = a;

	for (uint32_t b = 0; b < r->k; b++) {
		const double distance2 = ek_vector_distance2(r->centroids + a * r->dimensions,
		                                             r->centroids + b * r->dimensions, r->dimensions);

		if (b != a && distance2 < best) {
			best = distance2;
			nearest = b;
		}
	}
	return nearest;
}

int ek_populations_join(int32_t *population, uint32_t *count, const double *valley, const struct ek_kmeans_result *r,
                        double threshold)
{
	const uint32_t k = r->k;
	int32_t *number = NULL;
	int rc;

	EK_TRY(ek_alloc(&number, k, sizeof *number));
	for (uint32_t c = 0; c < k; c++) {
		population[c] = (int32_t)c;
		number[c] = -1;
	}
	for (uint32_t a = 0; a < k; a++)
		for (uint32_t b = 0; b < a && r->sizes[a] >= FEW; b++)
			if (r->sizes[b] >= FEW && valley[a * k + b] >= threshold)
				join(population, k, population[b], population[a]);
	for (uint32_t a = 0; a < k; a++) {
		const uint32_t b = nearest_other(r, a);

		if (r->sizes[a] < FEW || (is_handful(r, a) && isnan(valley[a * k + b])))
			join(population, k, population[b], population[a]);
	}
	*count = 0;
	for (uint32_t c = 0; c < k; c++) {
		const int32_t own = population[c];

		if (number[own] < 0)
			number[own] = (int32_t)(*count)++;
		population[c] = number[own];
	}
out:
	free(number);
	return rc;
}
