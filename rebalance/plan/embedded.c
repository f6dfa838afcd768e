#include "rebalance/plan/embedded_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/cluster/vector.h"
#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/plan/quota.h"

enum { IMAGES_PER_PIECE = 1024, NEAREST_OTHERS = 20 };

static const double tau = 0.5, balance = 0.5;

int ek_embedded_rows(struct ek_rows *rows, struct ek_npy *array, const struct ek_run *run, const struct ek_units *units,
                     enum ek_normalise normalise)
{
	int rc;

	EK_TRY(ek_cluster_rows(rows, array, run, "embeddings.npy", normalise));
	if (rows->count != units->n)
		rc = ek_fail(EK_EDATA, "there are %" PRIu64 " embeddings and %" PRIu64 " images", rows->count,
		             units->n);
out:
	return rc;
}

static double norm_of(const float *x, size_t d)
{
	return sqrt(ek_vector_dot(x, x, d));
}

/* 1 - cosine; 1 for a row of zeros, NaN for numbers that are not finite. */
static double cosine_distance(const float *a, const float *b, double norm_a, double norm_b, size_t d)
{
	const double norms = norm_a * norm_b;

	return norms == 0 ? 1 : 1 - ek_vector_dot(a, b, d) / norms;
}

static int measure_piece(void *context, uint64_t piece, int worker)
{
	const struct ek_prototypes *p = context;
	const size_t d = p->rows.dimensions;
	const uint64_t first = piece * IMAGES_PER_PIECE;
	const uint64_t end = first + IMAGES_PER_PIECE < p->rows.count ? first + IMAGES_PER_PIECE : p->rows.count;

	for (uint64_t i = first; i < end; i++) {
		const int32_t c = p->assignment[i];
		const float *row, *centroid;

		if (p->units->unit[i] < 0)
			continue;
		if (c < 0 || (uint64_t)c >= p->k)
			return ek_fail(EK_EDATA,
			               "%s: image %" PRIu64 " is in cluster %" PRId32 ", there are %" PRIu64
			               " centroids",
			               p->where, i, c, p->k);
		row = ek_rows_at(&p->rows, i, p->room + (size_t)worker * d);
		centroid = p->centroids + (size_t)c * d;
		p->difficulty[i] = (float)cosine_distance(row, centroid, norm_of(row, d), p->norms[c], d);
	}
	ek_progress_add(end - first);
	return ek_check_interrupt();
}

int ek_prototypes_measure(struct ek_prototypes *p)
{
	const uint64_t n = p->units->n;
	const size_t d = p->rows.dimensions;
	int rc;

	EK_TRY(ek_alloc(&p->norms, p->k, sizeof *p->norms));
	for (uint64_t c = 0; c < p->k; c++)
		p->norms[c] = norm_of(p->centroids + c * d, d);
	EK_TRY(ek_alloc(&p->difficulty, n, sizeof *p->difficulty));
	EK_TRY(ek_alloc(&p->room, (size_t)ek_threads() * d, sizeof *p->room));
	ek_progress_begin("measuring", "images", n);
	rc = ek_pieces((n + IMAGES_PER_PIECE - 1) / IMAGES_PER_PIECE, measure_piece, p, 2 * (double)n * (double)d);
	ek_progress_end();
out:
	return rc;
}

void ek_prototypes_release(struct ek_prototypes *p)
{
	free(p->norms);
	free(p->difficulty);
	free(p->room);
}

/* Prototypes that are the run's clusters. */
struct own {
	struct ek_npy embeddings, assignment, centroids;
	struct ek_prototypes p;
};

static void close_own(struct own *o)
{
	ek_npy_close(&o->embeddings);
	ek_npy_close(&o->assignment);
	ek_npy_close(&o->centroids);
	ek_prototypes_release(&o->p);
}

static int open_own(struct own *o, const struct ek_run *run, const struct ek_units *units)
{
	char *assignment = NULL, *centroids = NULL;
	uint64_t shape[] = { UINT64_MAX, 0 };
	int rc;

	*o = (struct own){ .p = { .units = units, .where = "clusters/assignment.npy" } };
	EK_TRY(ek_embedded_rows(&o->p.rows, &o->embeddings, run, units, EK_NORMALISE_NONE));
	EK_TRY(ek_run_file(&assignment, run, o->p.where));
	EK_TRY(ek_npy_open_as(&o->assignment, assignment, EK_I32, 1, &units->n));
	shape[1] = o->p.rows.dimensions;
	EK_TRY(ek_run_file(&centroids, run, "clusters/centroids.npy"));
	EK_TRY(ek_npy_open_as(&o->centroids, centroids, EK_F32, 2, shape));
	o->p.assignment = o->assignment.data;
	o->p.centroids = o->centroids.data;
	o->p.k = o->centroids.shape[0];
	EK_TRY(ek_prototypes_measure(&o->p));
out:
	free(assignment);
	free(centroids);
	return rc;
}

int ek_embedded_keys(uint32_t *keys, const float *values, int falling, const struct ek_units *units)
{
	const struct ek_npy array = { .type = EK_F32, .dimensions = 1, .shape = { units->n }, .data = values };

	return ek_order_keys(keys, &array, falling, units, "embeddings.npy");
}

uint64_t ek_embedded_total(const uint64_t *quota, uint32_t k)
{
	uint64_t sum = 0;

	for (uint32_t u = 0; u < k; u++)
		sum += quota[u];
	return sum;
}

int ek_embedded_divide(uint64_t *quota, const uint32_t *keys, const struct ek_units *units, double share)
{
	const uint64_t total = ek_embedded_total(quota, units->k);
	struct ek_order order = { 0 };
	uint64_t *rest = NULL, count = 0, left = total, floor_quota, filled = 0;
	int rc;

	for (uint32_t u = 0; u < units->k; u++)
		filled += units->sizes[u] > 0;
	floor_quota = (uint64_t)(share * (double)total / (double)filled);
	EK_TRY(ek_order_make(&order, units, keys));
	EK_TRY(ek_alloc_aligned(&rest, units->total, sizeof *rest));
	for (uint32_t u = 0; u < units->k; u++) {
		quota[u] = units->sizes[u] < floor_quota ? units->sizes[u] : floor_quota;
		left -= quota[u];
		for (uint64_t i = order.start[u] + quota[u]; i < order.start[u + 1]; i++)
			rest[count++] = (uint64_t)keys[order.ids[i]] << 32 | order.ids[i];
	}
	qsort(rest, count, sizeof *rest, ek_compare_u64);
	for (uint64_t i = 0; i < left; i++)
		quota[units->unit[(uint32_t)rest[i]]]++;
out:
	free(rest);
	ek_order_release(&order);
	return rc;
}

int ek_embedded_mark(uint8_t *kept, uint8_t value, const uint32_t *keys, const uint64_t *quota,
                     const struct ek_units *units)
{
	struct ek_order order;
	int rc;

	EK_TRY(ek_order_make(&order, units, keys));
	for (uint32_t u = 0; u < units->k; u++)
		for (uint64_t i = 0; i < quota[u]; i++)
			kept[order.ids[order.start[u] + i]] = value;
out:
	ek_order_release(&order);
	return rc;
}

int ek_embedded_tiers(uint32_t *keys, uint64_t *quota, const uint8_t *tier, uint8_t top, const struct ek_units *units)
{
	uint64_t *entries = NULL;
	uint32_t place = 0;
	int rc;

	EK_TRY(ek_alloc_aligned(&entries, units->total, sizeof *entries));
	for (int t = top; t >= 0; t--) {
		uint64_t count = 0;

		for (uint64_t i = 0; i < units->n; i++)
			if (units->unit[i] >= 0 && tier[i] == t)
				entries[count++] = (uint64_t)keys[i] << 32 | i;
		qsort(entries, count, sizeof *entries, ek_compare_u64);
		for (uint64_t i = 0; i < count; i++)
			keys[(uint32_t)entries[i]] = place++;
		EK_TRY(ek_check_interrupt());
	}
	memset(quota, 0, units->k * sizeof *quota);
	for (uint64_t i = 0; i < units->n; i++)
		if (units->unit[i] >= 0)
			quota[units->unit[i]] += tier[i] == top;
out:
	free(entries);
	return rc;
}

static int ssp(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units, int hard)
{
	struct own o;
	int rc;

	EK_TRY(open_own(&o, run, units));
	EK_TRY(ek_embedded_keys(keys, o.p.difficulty, hard, units));
	EK_TRY(ek_embedded_divide(quota, keys, units, EK_PROTOTYPES_FLOOR));
out:
	close_own(&o);
	return rc;
}

int ek_embedded_ssp_hard(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                         const struct ek_embedded_options *options)
{
	(void)options;
	return ssp(keys, quota, run, units, 1);
}

int ek_embedded_ssp_easy(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                         const struct ek_embedded_options *options)
{
	(void)options;
	return ssp(keys, quota, run, units, 0);
}

struct spread {
	const struct ek_prototypes *p;
	double *inter; /* [k] */
};

/* Mean of the smallest distances of centroid c to others; NaN if there are none. */
static int spread_piece(void *context, uint64_t c, int worker)
{
	const struct spread *s = context;
	const struct ek_prototypes *p = s->p;
	const size_t d = p->rows.dimensions;
	const float *centroids = p->centroids;
	double nearest[NEAREST_OTHERS], sum = 0;
	int count = 0;

	(void)worker;
	for (uint64_t o = 0; o < p->k; o++) {
		double distance;
		int at;

		if (o == c || p->units->sizes[o] == 0)
			continue;
		distance = cosine_distance(centroids + c * d, centroids + o * d, p->norms[c], p->norms[o], d);
		if (count == NEAREST_OTHERS && !(distance < nearest[count - 1]))
			continue;
		count += count < NEAREST_OTHERS;
		for (at = count - 1; at > 0 && nearest[at - 1] > distance; at--)
			nearest[at] = nearest[at - 1];
		nearest[at] = distance;
	}
	for (int i = 0; i < count; i++)
		sum += nearest[i];
	s->inter[c] = count > 0 ? sum / count : NAN;
	return ek_check_interrupt();
}

/* complexity: [k] mean distance to the own centroid times mean distance to others. */
static int measure_complexity(double *complexity, const struct ek_prototypes *p)
{
	struct spread s = { .p = p };
	double *intra = NULL;
	int rc;

	EK_TRY(ek_alloc(&intra, p->k, sizeof *intra));
	EK_TRY(ek_alloc(&s.inter, p->k, sizeof *s.inter));
	EK_TRY(ek_pieces(p->k, spread_piece, &s, (double)p->k * (double)p->k * (double)p->rows.dimensions));
	for (uint64_t i = 0; i < p->units->n; i++)
		if (p->units->unit[i] >= 0)
			intra[p->units->unit[i]] += (double)p->difficulty[i];
	for (uint64_t c = 0; c < p->k; c++)
		complexity[c] = intra[c] / (double)p->units->sizes[c] * s.inter[c];
out:
	free(intra);
	free(s.inter);
	return rc;
}

int ek_embedded_density(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                        const struct ek_embedded_options *options)
{
	struct own o;
	double *complexity = NULL;
	int rc;

	(void)options;
	if (strcmp(units->by, "cluster") != 0)
		return ek_fail(EK_EUSAGE, "'method' density counts by cluster, not by %s", units->by);
	EK_TRY(open_own(&o, run, units));
	if (o.p.k != units->k) {
		rc = ek_fail(EK_EDATA, "clusters/centroids.npy has %" PRIu64 " rows, there are %" PRIu32 " clusters",
		             o.p.k, units->k);
		goto out;
	}
	EK_TRY(ek_embedded_keys(keys, o.p.difficulty, 1, units));
	EK_TRY(ek_alloc(&complexity, o.p.k, sizeof *complexity));
	EK_TRY(measure_complexity(complexity, &o.p));
	EK_TRY(ek_quota_density(quota, NULL, complexity, units->sizes, units->k, ek_embedded_total(quota, units->k),
	                        tau, balance));
out:
	free(complexity);
	close_own(&o);
	return rc;
}
