/* D4: near-duplicates away, clusters anew, then prototypes. */
#include <inttypes.h>
#include <stdlib.h>

#include "analysis/cluster/kmeans.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/plan/embedded_internal.h"

enum { REMOVED, LEFT, KEPT };

/* Mark with LEFT the images that SemDeDup leaves: `count` of them. */
static int remove_duplicates(uint8_t *tier, uint32_t *keys, uint64_t count, const struct ek_run *run,
                             const struct ek_units *units, const struct ek_embedded_options *options)
{
	struct ek_dedup d;
	uint64_t *quota = NULL;
	int rc;

	EK_TRY(ek_dedup_find(&d, run, units, options));
	EK_TRY(ek_alloc(&quota, units->k, sizeof *quota));
	quota[0] = count; /* divided by the order of all images: only the sum counts */
	EK_TRY(ek_embedded_keys(keys, d.similarity, 0, units));
	EK_TRY(ek_embedded_divide(quota, keys, units, 0));
	EK_TRY(ek_embedded_mark(tier, LEFT, keys, quota, units));
out:
	ek_dedup_release(&d);
	free(quota);
	return rc;
}

/* Units that are the clusters of the images that are left; `unit` [n], out, owned by the caller. */
static int cluster_again(struct ek_kmeans_result *result, struct ek_units *again, int32_t *unit, const uint8_t *tier,
                         uint64_t count, const struct ek_run *run, const struct ek_units *units)
{
	struct ek_kmeans_options k;
	struct ek_npy array = { 0 }, centroids = { 0 };
	enum ek_normalise normalise;
	struct ek_rows rows;
	uint64_t *ids = NULL, at = 0;
	char *path = NULL;
	int rc;

	EK_TRY(ek_cluster_settings(&k, &normalise, run));
	EK_TRY(ek_run_file(&path, run, "clusters/centroids.npy"));
	EK_TRY(ek_npy_open(&centroids, path));
	if (centroids.dimensions != 2 || centroids.shape[0] > INT32_MAX) {
		rc = ek_fail(EK_EDATA, "%s: not one row for each cluster", path);
		goto out;
	}
	k.k = (uint32_t)centroids.shape[0];
	EK_TRY(ek_embedded_rows(&rows, &array, run, units, normalise));
	EK_TRY(ek_alloc(&ids, count, sizeof *ids));
	for (uint64_t i = 0; i < units->n; i++)
		if (tier[i] == LEFT)
			ids[at++] = i;
	rows.ids = ids;
	rows.count = count;
	if (k.k > count) {
		rc = ek_fail(EK_EDATA,
		             "%" PRIu32 " clusters cannot be made again of the %" PRIu64
		             " images that are left without near-duplicates; cluster with fewer",
		             k.k, count);
		goto out;
	}
	EK_TRY(ek_kmeans(result, &rows, &k));
	for (uint64_t i = 0; i < units->n; i++)
		unit[i] = EK_UNIT_NONE;
	for (uint64_t i = 0; i < count; i++)
		unit[ids[i]] = result->assignment[i];
	*again = (struct ek_units){ .n = units->n, .k = k.k, .unit = unit, .sizes = result->sizes, .total = count };
out:
	ek_npy_close(&array);
	ek_npy_close(&centroids);
	free(ids);
	free(path);
	return rc;
}

/* Mark with KEPT the hardest of the images that are left: `count` of them. keys: by difficulty, out. */
static int take_prototypes(uint8_t *tier, uint32_t *keys, uint64_t count, const struct ek_kmeans_result *result,
                           const struct ek_units *again, const struct ek_run *run)
{
	struct ek_prototypes p = { .units = again,
		                   .assignment = again->unit,
		                   .centroids = result->centroids,
		                   .k = result->k,
		                   .where = "the clusters made again" };
	struct ek_npy array = { 0 };
	uint64_t *quota = NULL;
	int rc;

	EK_TRY(ek_embedded_rows(&p.rows, &array, run, again, EK_NORMALISE_NONE));
	EK_TRY(ek_prototypes_measure(&p));
	EK_TRY(ek_embedded_keys(keys, p.difficulty, 1, again));
	EK_TRY(ek_alloc(&quota, again->k, sizeof *quota));
	quota[0] = count;
	EK_TRY(ek_embedded_divide(quota, keys, again, EK_PROTOTYPES_FLOOR));
	EK_TRY(ek_embedded_mark(tier, KEPT, keys, quota, again));
out:
	ek_prototypes_release(&p);
	ek_npy_close(&array);
	free(quota);
	return rc;
}

int ek_embedded_d4(uint32_t *keys, uint64_t *quota, const struct ek_run *run, const struct ek_units *units,
                   const struct ek_embedded_options *options)
{
	const uint64_t total = ek_embedded_total(quota, units->k);
	const double share = options->dedup > 0 ? options->dedup : EK_D4_DEDUP;
	const uint64_t left = (uint64_t)(share * (double)units->total + 0.5);
	struct ek_kmeans_result result = { 0 };
	struct ek_units again;
	uint8_t *tier = NULL;
	uint32_t *difficulty = NULL;
	int32_t *unit = NULL;
	int rc;

	if (total > left)
		return ek_fail(EK_EUSAGE,
		               "'keep' asks for %" PRIu64 " images, but 'dedup' %g leaves %" PRIu64 " of %" PRIu64
		               " to choose from",
		               total, share, left, units->total);
	EK_TRY(ek_alloc(&tier, units->n, sizeof *tier));
	EK_TRY(ek_alloc(&unit, units->n, sizeof *unit));
	EK_TRY(ek_alloc_aligned(&difficulty, units->n, sizeof *difficulty));
	EK_TRY(remove_duplicates(tier, keys, left, run, units, options));
	EK_TRY(cluster_again(&result, &again, unit, tier, left, run, units));
	EK_TRY(take_prototypes(tier, difficulty, total, &result, &again, run));
	for (uint64_t i = 0; i < units->n; i++)
		if (unit[i] >= 0)
			keys[i] = difficulty[i];
	EK_TRY(ek_embedded_tiers(keys, quota, tier, KEPT, units));
	EK_TRY(ek_json_add_u64(options->report, "images_deduplicated", left));
out:
	ek_kmeans_release(&result);
	free(tier);
	free(unit);
	free(difficulty);
	return rc;
}
