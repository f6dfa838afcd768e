#include "analysis/cluster/stability.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/cluster.h"
#include "analysis/cluster/kmeans.h"
#include "analysis/cluster/null.h"
#include "analysis/cluster/overlap.h"
#include "analysis/skew/skew.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/random.h"
#include "rebalance/io/run_files.h"

enum { MOST_SEEDS = 20 };

static const char clusters_file[] = "clusters/clusters.json", assignment_file[] = "clusters/assignment.npy";
static const double stable_from = 0.8, unstable_below = 0.5;

const char *const ek_stability_outputs[] = { "clusters/stability.json", NULL };

int ek_stability_options_json(cJSON **out, const struct ek_stability_options *o)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	*out = NULL;
	EK_TRY(ek_json_add_u64(json, "seeds", (uint64_t)o->seeds));
	EK_TRY(ek_json_add_u64(json, "seed", o->seed));
	EK_TRY(ek_json_add_u64(json, "images", o->images));
	*out = json;
	json = NULL;
out:
	cJSON_Delete(json);
	return rc;
}

static const char others_pattern[] = "embeddings-*.npy";

static const char *name_in_run(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int ek_stability_inputs(const char ***inputs, const struct ek_run *run)
{
	static const char *const fixed[] = { "embeddings.npy", assignment_file, clusters_file };
	const size_t fixed_count = sizeof fixed / sizeof *fixed;
	glob_t found;
	size_t bytes = 0;
	char *text;
	int rc;

	*inputs = NULL;
	EK_TRY(ek_run_glob(&found, run, others_pattern));
	for (size_t i = 0; i < found.gl_pathc; i++)
		bytes += strlen(name_in_run(found.gl_pathv[i])) + 1;
	EK_TRY(ek_alloc(inputs, (fixed_count + found.gl_pathc + 1) * sizeof **inputs + bytes, 1));
	memcpy(*inputs, fixed, sizeof fixed);
	text = (char *)(*inputs + fixed_count + found.gl_pathc + 1);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const size_t size = strlen(name_in_run(found.gl_pathv[i])) + 1;

		(*inputs)[fixed_count + i] = text;
		memcpy(text, name_in_run(found.gl_pathv[i]), size);
		text += size;
	}
out:
	globfree(&found);
	return rc;
}

/* What everything is compared with: the run's own clusters, on the images looked at. */
struct base {
	uint32_t k;
	int spherical;
	enum ek_normalise normalise;
	uint64_t n, images;  /* looked at, and all */
	uint64_t *ids;       /* [n] */
	int32_t *assignment; /* [n] */
};

static int load_base(struct base *b, const struct ek_run *run, const struct ek_stability_options *o)
{
	struct ek_npy array = { 0 };
	const uint64_t any = UINT64_MAX;
	cJSON *json = NULL;
	char *path = NULL;
	uint64_t k;
	int rc;

	EK_TRY(ek_run_file(&path, run, clusters_file));
	EK_TRY(ek_json_load(&json, path));
	EK_TRY(ek_json_get_u64(&k, json, "k", path));
	b->k = (uint32_t)k;
	b->spherical = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "spherical"));
	EK_TRY(ek_cluster_normalise(&b->normalise, run));
	free(path);
	EK_TRY(ek_run_file(&path, run, assignment_file));
	EK_TRY(ek_npy_open_as(&array, path, EK_I32, 1, &any));
	b->images = array.shape[0];
	b->n = o->images > 0 && o->images < b->images ? o->images : b->images;
	EK_TRY(ek_alloc(&b->ids, b->n, sizeof *b->ids));
	EK_TRY(ek_alloc(&b->assignment, b->n, sizeof *b->assignment));
	ek_rows_sample(b->ids, b->n, b->images, o->seed, ek_random_stream("stability images"));
	for (uint64_t i = 0; i < b->n; i++) {
		b->assignment[i] = ((const int32_t *)array.data)[b->ids[i]];
		if (b->assignment[i] < 0 || (uint64_t)b->assignment[i] >= k) {
			rc = ek_fail(EK_EDATA, "%s: image %llu is in cluster %d of %llu", path,
			             (unsigned long long)b->ids[i], b->assignment[i], (unsigned long long)k);
			goto out;
		}
	}
out:
	ek_npy_close(&array);
	cJSON_Delete(json);
	free(path);
	return rc;
}

/* Cluster the images looked at by the embeddings in `file`, into `k` clusters or as many as images differ there. */
static int recluster(struct ek_kmeans_result *out, const struct base *b, const struct ek_run *run, const char *file,
                     uint32_t k, uint64_t seed)
{
	struct ek_kmeans_options o = EK_KMEANS_DEFAULTS;
	struct ek_npy array;
	struct ek_rows rows;
	int rc;

	*out = (struct ek_kmeans_result){ 0 };
	EK_TRY(ek_cluster_rows(&rows, &array, run, file,
	                       strcmp(file, "embeddings.npy") == 0 ? b->normalise : EK_NORMALISE_AUTO));
	if (rows.count != b->images) {
		rc = ek_fail(EK_EDATA, "%s has %llu rows, but %llu images have clusters", file,
		             (unsigned long long)rows.count, (unsigned long long)b->images);
		goto out;
	}
	rows.ids = b->ids;
	rows.count = b->n;
	o.k = k;
	o.seed = seed;
	o.redo = 3;
	o.spherical = b->spherical;
	o.quiet = 1;
	EK_TRY(ek_kmeans_most(&o.k, &rows, &o));
	EK_TRY(ek_kmeans(out, &rows, &o));
	ek_progress_add(1);
out:
	ek_npy_close(&array);
	return rc;
}

static int add_agreement(cJSON *list, struct ek_agreement *agreement, const struct base *b,
                         const struct ek_kmeans_result *r, cJSON **row)
{
	int rc;

	EK_TRY(ek_overlap_agreement(agreement, b->assignment, b->k, r->assignment, r->k, b->n));
	EK_TRY(ek_json_add_object(row, list, NULL));
	EK_TRY(ek_json_add_double(*row, "ari", agreement->value[EK_ARI]));
	EK_TRY(ek_json_add_double(*row, "nmi", agreement->value[EK_NMI]));
out:
	return rc;
}

/* Mean and smallest of a measure over all pairs among the run's clusters and the seeds'. */
struct spread {
	double sum, least;
};

static int add_spread(cJSON *json, const char *name, const struct spread *spread, int pairs)
{
	cJSON *object;
	int rc;

	EK_TRY(ek_json_add_object(&object, json, name));
	EK_TRY(ek_json_add_double(object, "mean", spread->sum / pairs));
	EK_TRY(ek_json_add_double(object, "min", spread->least));
out:
	return rc;
}

static int add_pairwise(cJSON *json, double *mean_ari, const struct base *b, const struct ek_kmeans_result *seeds,
                        int count)
{
	struct spread ari = { 0, 1 }, nmi = { 0, 1 };
	int pairs = 0, rc = 0;
	cJSON *pairwise;

	for (int i = -1; i < count; i++)
		for (int j = i + 1; j < count; j++, pairs++) {
			const int32_t *a = i < 0 ? b->assignment : seeds[i].assignment;
			struct ek_agreement agreement;

			EK_TRY(ek_overlap_agreement(&agreement, a, b->k, seeds[j].assignment, b->k, b->n));
			ari.sum += agreement.value[EK_ARI];
			nmi.sum += agreement.value[EK_NMI];
			ari.least = fmin(ari.least, agreement.value[EK_ARI]);
			nmi.least = fmin(nmi.least, agreement.value[EK_NMI]);
		}
	*mean_ari = ari.sum / pairs;
	EK_TRY(ek_json_add_object(&pairwise, json, "pairwise"));
	EK_TRY(add_spread(pairwise, "ari", &ari, pairs));
	EK_TRY(add_spread(pairwise, "nmi", &nmi, pairs));
out:
	return rc;
}

static int add_clusters(cJSON *json, const struct base *b, const struct ek_kmeans_result *seeds, int count)
{
	double *best = NULL, *sum = NULL;
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_alloc(&best, b->k, sizeof *best));
	EK_TRY(ek_alloc(&sum, b->k, sizeof *sum));
	for (int i = 0; i < count; i++) {
		EK_TRY(ek_overlap_jaccard(best, b->assignment, b->k, seeds[i].assignment, b->k, b->n));
		for (uint32_t c = 0; c < b->k; c++)
			sum[c] += best[c] / count;
	}
	EK_TRY(ek_json_add_array(&list, json, "clusters"));
	for (uint32_t c = 0; c < b->k; c++) {
		EK_TRY(ek_json_add_object(&row, list, NULL));
		EK_TRY(ek_json_add_u64(row, "cluster", c));
		EK_TRY(ek_json_add_double(row, "jaccard", sum[c])); /* null for one without images looked at */
	}
out:
	free(best);
	free(sum);
	return rc;
}

static int add_seeds(cJSON *json, const struct base *b, const struct ek_run *run, const struct ek_stability_options *o)
{
	struct ek_kmeans_result results[MOST_SEEDS] = { { 0 } };
	struct ek_agreement agreement;
	double mean = 0;
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "seeds"));
	for (int i = 0; i < o->seeds; i++) {
		const uint64_t seed = o->seed + (uint64_t)i + 1;

		EK_TRY(recluster(&results[i], b, run, "embeddings.npy", b->k, seed));
		EK_TRY(add_agreement(list, &agreement, b, &results[i], &row));
		EK_TRY(ek_json_add_u64(row, "seed", seed));
	}
	EK_TRY(add_pairwise(json, &mean, b, results, o->seeds));
	EK_TRY(add_clusters(json, b, results, o->seeds));
	EK_TRY(ek_json_add_string(json, "verdict",
	                          mean >= stable_from      ? "stable"
	                          : mean >= unstable_below ? "partly stable"
	                                                   : "unstable"));
out:
	for (int i = 0; i < o->seeds; i++)
		ek_kmeans_release(&results[i]);
	return rc;
}

static int add_null_gini(cJSON *object, const struct ek_null_gini *gini)
{
	int rc;

	EK_TRY(ek_json_add_double(object, "gini", gini->permuted));
	EK_TRY(ek_json_add_double(object, "observed", gini->observed));
	EK_TRY(ek_measure_add(object, "excess", gini->excess, gini->interval));
out:
	return rc;
}

/* What the same clustering finds in data without structure; null where there is too little to compare. */
static int add_null(cJSON *json, const struct base *b, const struct ek_run *run, uint64_t seed)
{
	struct ek_npy array = { 0 };
	struct ek_rows rows;
	struct ek_null null;
	cJSON *object, *populations, *shares;
	int rc;

	EK_TRY(ek_cluster_rows(&rows, &array, run, "embeddings.npy", b->normalise));
	rows.ids = b->ids;
	rows.count = b->n;
	rows.unit |= b->spherical;
	rc = ek_null_measure(&null, &rows, b->k, seed);
	if (rc == EK_EDATA) {
		rc = ek_json_add_none(json, "null", ek_error_message());
		goto out;
	}
	EK_TRY(rc);
	EK_TRY(ek_json_add_object(&object, json, "null"));
	EK_TRY(add_null_gini(object, &null.clusters));
	EK_TRY(ek_json_add_object(&populations, object, "populations"));
	EK_TRY(ek_json_add_u64(populations, "count", null.count));
	EK_TRY(ek_json_add_double(populations, "agreement", null.agreement));
	EK_TRY(ek_json_add_array(&shares, populations, "shares"));
	for (uint32_t i = 0; i < null.count; i++)
		EK_TRY(ek_json_add_double(shares, NULL, null.shares[i]));
	EK_TRY(add_null_gini(populations, &null.populations));
	EK_TRY(ek_json_add_u64(object, "images", null.images));
	EK_TRY(ek_json_add_u64(object, "parts", EK_NULL_PARTS));
	EK_TRY(ek_json_add_u64(object, "components", null.components));
out:
	ek_npy_close(&array);
	return rc;
}

static int add_numbers(cJSON *json, const struct base *b, const struct ek_run *run, uint64_t seed)
{
	const uint32_t numbers[] = { b->k / 2, 2 * b->k };
	struct ek_kmeans_result result = { 0 };
	struct ek_agreement agreement;
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "k_variants"));
	for (size_t i = 0; i < 2; i++) {
		if (numbers[i] < 1)
			continue;
		EK_TRY(recluster(&result, b, run, "embeddings.npy", numbers[i], seed));
		if (result.k == numbers[i]) { /* else fewer images differ than that */
			EK_TRY(add_agreement(list, &agreement, b, &result, &row));
			EK_TRY(ek_json_add_u64(row, "k", result.k));
		}
		ek_kmeans_release(&result);
	}
out:
	ek_kmeans_release(&result);
	return rc;
}

static int add_encoders(cJSON *json, const struct base *b, const struct ek_run *run, const glob_t *others,
                        uint64_t seed)
{
	struct ek_kmeans_result result = { 0 };
	struct ek_agreement agreement;
	char *encoder = NULL;
	cJSON *list, *row;
	int rc;

	EK_TRY(ek_json_add_array(&list, json, "encoders"));
	for (size_t i = 0; i < others->gl_pathc; i++) {
		const char *file = name_in_run(others->gl_pathv[i]);

		EK_TRY(ek_cluster_encoder(&encoder, run, file));
		EK_TRY(recluster(&result, b, run, file, b->k, seed));
		EK_TRY(add_agreement(list, &agreement, b, &result, &row));
		EK_TRY(ek_json_add_string(row, "encoder", encoder));
		EK_TRY(ek_json_add_string(row, "file", file));
		ek_kmeans_release(&result);
		free(encoder);
		encoder = NULL;
	}
out:
	ek_kmeans_release(&result);
	free(encoder);
	return rc;
}

int ek_stability(struct ek_run *run, const struct ek_stability_options *options)
{
	cJSON *json = cJSON_CreateObject();
	struct base base = { 0 };
	glob_t others = { 0 };
	int begun = 0, rc;

	if (options->seeds < 1 || options->seeds > MOST_SEEDS) {
		rc = ek_fail(EK_EUSAGE, "%d seeds: expected 1 to %d", options->seeds, MOST_SEEDS);
		goto out;
	}
	EK_TRY(load_base(&base, run, options));
	EK_TRY(ek_run_glob(&others, run, others_pattern));
	ek_progress_begin("measuring stability", "clusterings",
	                  (uint64_t)options->seeds + 2 + EK_NULL_PARTS + others.gl_pathc);
	begun = 1;
	EK_TRY(ek_json_add_u64(json, "images", base.n));
	EK_TRY(ek_json_add_u64(json, "of", base.images));
	EK_TRY(add_seeds(json, &base, run, options));
	EK_TRY(add_null(json, &base, run, options->seed));
	EK_TRY(add_numbers(json, &base, run, options->seed + 1));
	EK_TRY(add_encoders(json, &base, run, &others, options->seed + 1));
	EK_TRY(ek_run_json_save(run, "clusters/stability.json", json));
out:
	if (begun)
		ek_progress_end();
	cJSON_Delete(json);
	globfree(&others);
	free(base.ids);
	free(base.assignment);
	return rc;
}
