#include "analysis/cluster/linkage.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/cluster/vector.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

/* Branches without length conduct as much as any, not without bounds. */
static const double shortest = 1e-12;

struct work {
	double *distance; /* [n, n] of average linkage; squared, of Ward's; of nodes that are still there */
	uint32_t *size;   /* [n] leaves of each node; 0: it is merged into another */
	uint32_t *chain;  /* [n] */
	uint32_t n;
	enum ek_linkage_method method;
};

static int measure(struct work *w, const float *x, size_t d)
{
	int rc = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		EK_TRY(ek_check_interrupt());
		for (uint32_t j = 0; j < i; j++) {
			const double squared = ek_vector_distance2(x + i * d, x + j * d, d);
			const double is = w->method == EK_LINKAGE_WARD ? squared : sqrt(squared);

			w->distance[(size_t)i * w->n + j] = w->distance[(size_t)j * w->n + i] = is;
		}
	}
out:
	return rc;
}

/* The node nearest to `a`; `before`, the one that the chain came from, wins a tie, so that the chain ends. */
static uint32_t nearest(const struct work *w, uint32_t a, uint32_t before)
{
	uint32_t best = before;

	for (uint32_t b = 0; b < w->n; b++)
		if (w->size[b] > 0 && b != a &&
		    (best == w->n || w->distance[(size_t)a * w->n + b] < w->distance[(size_t)a * w->n + best]))
			best = b;
	return best;
}

/* Node b becomes part of a (Lance and Williams). */
static void merge(struct work *w, uint32_t a, uint32_t b)
{
	const double na = w->size[a], nb = w->size[b], apart = w->distance[(size_t)a * w->n + b];

	for (uint32_t c = 0; c < w->n; c++) {
		const double ac = w->distance[(size_t)a * w->n + c], bc = w->distance[(size_t)b * w->n + c];
		const double nc = w->size[c];

		if (nc == 0 || c == a || c == b)
			continue;
		w->distance[(size_t)a * w->n + c] = w->distance[(size_t)c * w->n + a] =
			w->method == EK_LINKAGE_WARD ? ((na + nc) * ac + (nb + nc) * bc - nc * apart) / (na + nb + nc)
						     : (na * ac + nb * bc) / (na + nb);
	}
	w->size[a] += w->size[b];
	w->size[b] = 0;
}

/* Merges in the order that the chain finds them, by the first of the places of their nodes. */
static int follow_chain(struct work *w, struct ek_merge *merges)
{
	uint32_t length = 0, first = 0;
	int rc = 0;

	for (uint32_t done = 0; done + 1 < w->n;) {
		uint32_t a, b, before;

		if (length == 0) {
			while (w->size[first] == 0)
				first++;
			w->chain[length++] = first;
		}
		a = w->chain[length - 1];
		before = length > 1 ? w->chain[length - 2] : w->n;
		b = nearest(w, a, before);
		if (b != before) {
			w->chain[length++] = b;
			continue;
		}
		EK_TRY(ek_check_interrupt());
		merges[done++] = (struct ek_merge){ a < b ? a : b, a < b ? b : a, w->distance[(size_t)a * w->n + b] };
		merge(w, a < b ? a : b, a < b ? b : a);
		length -= 2;
	}
out:
	return rc;
}

static int by_height(const void *x, const void *y)
{
	const struct ek_merge *a = x, *b = y;

	if (a->height < b->height || a->height > b->height)
		return a->height < b->height ? -1 : 1;
	return a->a != b->a ? (a->a > b->a) - (a->a < b->a) : (a->b > b->b) - (a->b < b->b);
}

static uint32_t root_of(uint32_t *up, uint32_t node)
{
	while (up[node] != node)
		node = up[node] = up[up[node]];
	return node;
}

/* Places of leaves become nodes: those that the places belong to by then. */
static int number_nodes(struct ek_linkage *l)
{
	uint32_t *up = NULL;
	int rc;

	EK_TRY(ek_alloc(&up, 2 * (size_t)l->leaves, sizeof *up));
	for (uint32_t i = 0; i < 2 * l->leaves; i++)
		up[i] = i;
	for (uint32_t m = 0; m + 1 < l->leaves; m++) {
		const uint32_t a = root_of(up, l->merges[m].a), b = root_of(up, l->merges[m].b);

		up[a] = up[b] = l->leaves + m;
		l->merges[m].a = a < b ? a : b;
		l->merges[m].b = a < b ? b : a;
	}
out:
	free(up);
	return rc;
}

int ek_linkage_build(struct ek_linkage *out, const float *x, uint32_t leaves, size_t d, enum ek_linkage_method method)
{
	struct work w = { .n = leaves, .method = method };
	int rc;

	*out = (struct ek_linkage){ .leaves = leaves };
	EK_TRY(ek_alloc(&w.distance, leaves, leaves * sizeof *w.distance));
	EK_TRY(ek_alloc(&w.size, leaves, sizeof *w.size));
	EK_TRY(ek_alloc(&w.chain, (size_t)leaves + 1, sizeof *w.chain));
	EK_TRY(ek_alloc(&out->merges, leaves, sizeof *out->merges));
	for (uint32_t i = 0; i < leaves; i++)
		w.size[i] = 1;
	EK_TRY(measure(&w, x, d));
	EK_TRY(follow_chain(&w, out->merges));
	for (uint32_t m = 0; m + 1 < leaves && method == EK_LINKAGE_WARD; m++)
		out->merges[m].height = sqrt(fmax(out->merges[m].height, 0));
	qsort(out->merges, leaves - 1, sizeof *out->merges, by_height);
	EK_TRY(number_nodes(out));
out:
	free(w.distance);
	free(w.size);
	free(w.chain);
	return rc;
}

void ek_linkage_release(struct ek_linkage *linkage)
{
	free(linkage->merges);
	*linkage = (struct ek_linkage){ 0 };
}

int ek_linkage_cut(uint32_t *group, const struct ek_linkage *linkage, uint32_t groups)
{
	const uint32_t n = linkage->leaves;
	uint32_t *up = NULL, *number = NULL, count = 0;
	int rc;

	EK_TRY(ek_alloc(&up, 2 * (size_t)n, sizeof *up));
	EK_TRY(ek_alloc(&number, 2 * (size_t)n, sizeof *number));
	for (uint32_t i = 0; i < 2 * n; i++)
		up[i] = i;
	for (uint32_t m = 0; m < n - groups; m++)
		up[linkage->merges[m].a] = up[linkage->merges[m].b] = n + m;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t root = root_of(up, i);

		if (number[root] == 0)
			number[root] = ++count;
		group[i] = number[root] - 1;
	}
out:
	free(up);
	free(number);
	return rc;
}

int ek_linkage_weights(double *w, const struct ek_linkage *linkage)
{
	const uint32_t n = linkage->leaves;
	double *conducts = NULL, *current = NULL, *height = NULL, sum = 0;
	int rc;

	/* Of each node: with the branch above it; what flows through that. */
	EK_TRY(ek_alloc(&conducts, 2 * (size_t)n, sizeof *conducts));
	EK_TRY(ek_alloc(&current, 2 * (size_t)n, sizeof *current));
	EK_TRY(ek_alloc(&height, 2 * (size_t)n, sizeof *height));
	for (uint32_t m = 0; m + 1 < n; m++) {
		const struct ek_merge *merge = &linkage->merges[m];
		const uint32_t below[2] = { merge->a, merge->b };

		for (int s = 0; s < 2; s++) {
			const double branch = fmax(merge->height - height[below[s]], shortest);

			conducts[below[s]] = 1 / (branch + (below[s] < n ? 0 : 1 / conducts[below[s]]));
		}
		conducts[n + m] = conducts[merge->a] + conducts[merge->b];
		height[n + m] = merge->height;
	}
	current[n > 1 ? 2 * n - 2 : 0] = 1;
	for (uint32_t m = n - 1; m-- > 0;) {
		const struct ek_merge *merge = &linkage->merges[m];
		const double all = conducts[merge->a] + conducts[merge->b];

		current[merge->a] = current[n + m] * conducts[merge->a] / all;
		current[merge->b] = current[n + m] * conducts[merge->b] / all;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += w[i] = fmax(current[i], shortest);
	for (uint32_t i = 0; i < n; i++)
		w[i] /= sum;
out:
	free(conducts);
	free(current);
	free(height);
	return rc;
}
