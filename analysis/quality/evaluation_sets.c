/* Of evaluation: each sampling seed for itself, and how far they lie apart. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/quality/diversity.h"
#include "analysis/quality/evaluation_writers.h"
#include "analysis/quality/fairness.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/measures.h"

enum measure {
	FRECHET,
	PRECISION,
	RECALL,
	COVERAGE,
	COVERAGE_WORST,
	VENDI,
	NEAREST,
	MASS,
	VARIATION,
	RATIO,
	TAIL_COVERAGE,
	TAIL_SHARE,
	MEASURES
};
/* Those of the table, and two of the small clusters. */
static const char *name_of(int measure)
{
	static const enum ek_compared_measure listed[] = { EK_CMP_FD,         EK_CMP_PRECISION, EK_CMP_RECALL,
		                                           EK_CMP_COVERAGE,   EK_CMP_WORST,     EK_CMP_VENDI,
		                                           EK_CMP_NEAREST,    EK_CMP_MASS,      EK_CMP_VARIATION,
		                                           EK_CMP_WORST_RATIO };

	return measure < TAIL_COVERAGE    ? ek_comparison_measures[listed[measure]].name
	       : measure == TAIL_COVERAGE ? "tail_coverage"
	                                  : "tail_share";
}

/* The covered share of the reference in the small clusters; NaN if it has none there. */
static double tail_coverage(const struct ek_evaluating *e, const double *coverage)
{
	double covered = 0, all = 0;

	for (uint32_t c = 0; c < e->in->clusters; c++)
		if (e->weights[c] > 0 && e->tally[c].in_tail) {
			covered += coverage[c] * e->weights[c];
			all += e->weights[c];
		}
	return covered / all;
}

static int measure_fidelity(double *values, const struct ek_evaluating *e, const struct ek_rows *rows)
{
	const uint32_t k = e->in->clusters;
	struct ek_disparity disparity;
	struct ek_fidelity f = { 0 };
	double *coverage = NULL;
	int rc;

	if (e->fidelity.real == 0 || rows->count <= e->o->k)
		return 0;
	EK_TRY(ek_fidelity(&f, &e->in->reference, rows, e->o->k, e->o->closed));
	EK_TRY(ek_alloc(&coverage, k, sizeof *coverage));
	ek_evaluation_coverage(coverage, e, &f);
	(void)ek_disparity(&disparity, coverage, e->weights, k);
	if (!(e->no_balls & EK_NO_REAL_BALLS)) {
		values[PRECISION] = f.precision;
		values[COVERAGE] = f.coverage;
		values[COVERAGE_WORST] = disparity.lowest;
		values[TAIL_COVERAGE] = tail_coverage(e, coverage);
	}
	if (!(e->no_balls & EK_NO_GENERATED_BALLS))
		values[RECALL] = f.recall;
out:
	ek_fidelity_release(&f);
	free(coverage);
	return rc;
}

static int measure_shares(double *values, const struct ek_evaluating *e, const struct ek_evaluation_set *set)
{
	const uint32_t k = e->in->clusters;
	struct ek_fairness fairness;
	uint64_t *counts = NULL;
	int rc;

	EK_TRY(ek_alloc(&counts, k, sizeof *counts));
	for (uint64_t j = 0; j < set->count; j++)
		counts[e->in->generated_cluster[set->first + j]]++;
	EK_TRY(ek_fairness_measure(&fairness, e->in->target, e->training, counts, k));
	values[MASS] = fairness.value[EK_MASS_COVERAGE];
	values[VARIATION] = fairness.value[EK_TOTAL_VARIATION];
	values[RATIO] = fairness.value[EK_WORST_RATIO];
	values[TAIL_SHARE] = 0;
	for (uint32_t c = 0; c < k; c++)
		if (e->tally[c].in_tail)
			values[TAIL_SHARE] += (double)counts[c] / (double)set->count;
out:
	free(counts);
	return rc;
}

static int measure_distance(double *value, const struct ek_evaluating *e, const struct ek_rows *rows)
{
	struct ek_gaussian gaussian = { 0 };
	int rc = 0;

	if (rows->count < 2)
		return 0;
	if (e->in->statistics != NULL) {
		EK_TRY(ek_gaussian_of(&gaussian, rows));
		EK_TRY(ek_frechet(value, e->in->statistics, &gaussian));
	} else if (e->in->reference.count >= 2) {
		EK_TRY(ek_frechet_of_rows(value, &e->in->reference, rows));
	}
out:
	ek_gaussian_release(&gaussian);
	return rc;
}

static int measure_set(double values[MEASURES], const struct ek_evaluating *e, const struct ek_evaluation_set *set)
{
	struct ek_rows rows;
	uint64_t *ids = NULL;
	double *nearest = NULL;
	int rc;

	for (int m = 0; m < MEASURES; m++)
		values[m] = (double)NAN;
	EK_TRY(ek_evaluation_slice(&rows, &ids, &e->in->generated, set->first, set->count));
	EK_TRY(measure_distance(&values[FRECHET], e, &rows));
	EK_TRY(measure_fidelity(values, e, &rows));
	EK_TRY(ek_vendi(&values[VENDI], &rows, NULL, 1));
	EK_TRY(measure_shares(values, e, set));
	if (e->memory.generated > 0) {
		EK_TRY(ek_alloc(&nearest, set->count, sizeof *nearest));
		memcpy(nearest, e->memory.distance + set->first, set->count * sizeof *nearest);
		values[NEAREST] = ek_evaluation_median(nearest, set->count);
	}
out:
	free(ids);
	free(nearest);
	return rc;
}

/* A set alone may be too small for what all together are enough for. */
static int add_none(cJSON *object, cJSON *reasons, const struct ek_evaluating *e, uint64_t images, int m)
{
	if (m == FRECHET && images < 2)
		return ek_evaluation_none(object, reasons, name_of(m), "one generated image has no covariance");
	if (e->fidelity.real > 0 && images <= e->o->k)
		return ek_evaluation_none(object, reasons, name_of(m),
		                          "%" PRIu64 " generated images, more than k = %zu are needed", images,
		                          e->o->k);
	return ek_evaluation_none(object, reasons, name_of(m), m == NEAREST ? "as memorisation" : "as of all images");
}

static int add_set(cJSON *list, const struct ek_evaluating *e, size_t set, const double *values)
{
	cJSON *object, *reasons = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_object(&object, list, NULL));
	EK_TRY(ek_json_add_string(object, "samples", e->in->sets[set].name));
	EK_TRY(ek_json_add_u64(object, "images", e->in->sets[set].count));
	for (int m = 0; m < MEASURES; m++)
		EK_TRY(isfinite(values[m]) ? ek_json_add_double(object, name_of(m), values[m])
		                           : add_none(object, reasons, e, e->in->sets[set].count, m));
	EK_TRY(ek_json_add_item(object, "reasons", cJSON_Duplicate(reasons, 1)));
out:
	cJSON_Delete(reasons);
	return rc;
}

static int add_spread(cJSON *json, const double *values, size_t sets)
{
	cJSON *spread, *object;
	int rc;

	EK_TRY(ek_json_add_object(&spread, json, "spread"));
	for (int m = 0; m < MEASURES; m++) {
		double mean = 0, squares = 0;

		for (size_t s = 0; s < sets; s++)
			mean += values[s * MEASURES + (size_t)m] / (double)sets;
		for (size_t s = 0; s < sets; s++)
			squares +=
				(values[s * MEASURES + (size_t)m] - mean) * (values[s * MEASURES + (size_t)m] - mean);
		if (!isfinite(mean))
			continue;
		EK_TRY(ek_json_add_object(&object, spread, name_of(m)));
		EK_TRY(ek_json_add_double(object, "mean", mean));
		EK_TRY(ek_json_add_double(object, "std", sqrt(squares / (double)(sets - 1))));
		EK_TRY(ek_json_add_u64(object, "n", sets));
	}
out:
	return rc;
}

int ek_evaluation_write_sets(struct ek_evaluating *e)
{
	const size_t sets = e->in->set_count;
	double *values = NULL;
	cJSON *list;
	int rc;

	if (sets < 2)
		return 0;
	EK_TRY(ek_alloc(&values, sets, MEASURES * sizeof *values));
	ek_progress_whole_begin("measuring each set", "sets", sets);
	for (size_t s = 0; s < sets && rc == 0; s++) {
		rc = measure_set(values + s * MEASURES, e, &e->in->sets[s]);
		ek_progress_whole_add(1);
	}
	ek_progress_whole_end();
	EK_TRY(rc);
	EK_TRY(ek_json_add_array(&list, e->json, "seeds"));
	for (size_t s = 0; s < sets; s++)
		EK_TRY(add_set(list, e, s, values + s * MEASURES));
	EK_TRY(add_spread(e->json, values, sets));
out:
	free(values);
	return rc;
}
