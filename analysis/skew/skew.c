#include "analysis/skew/skew.h"

#include <math.h>
#include <string.h>

#include "rebalance/base/error.h"

static int measure(double *values, const uint64_t *counts, size_t k, const void *context)
{
	struct ek_inequality resampled;
	const int rc = ek_inequality_measure(&resampled, counts, k);

	(void)context;
	if (rc == 0)
		memcpy(values, resampled.value, sizeof resampled.value);
	return rc;
}

/* Where each measure of k units can lie. */
static void set_ranges(struct ek_interval ranges[EK_INEQUALITY_MEASURES], size_t k)
{
	const double units = (double)k;
	const struct ek_interval share = { 0, 1 }, effective = { 1, units }, any = { 0, (double)INFINITY };

	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++)
		ranges[m] = any;
	ranges[EK_GINI] = (struct ek_interval){ 0, (units - 1) / units };
	ranges[EK_GINI_NORMALISED] = ranges[EK_NORMALISED_ENTROPY] = share;
	ranges[EK_TOP_SHARE] = ranges[EK_TAIL_SHARE] = share;
	ranges[EK_KL_TO_UNIFORM].high = log(units);
	for (int m = EK_HILL_0; m <= EK_HILL_INFINITY; m++)
		ranges[m] = effective;
	ranges[EK_IMBALANCE_RATIO].low = 1;
	ranges[EK_CV].high = ranges[EK_EFFECT_SIZE].high = sqrt(units - 1);
	ranges[EK_TAIL_COUNT].high = units - 1;
}

int ek_skew_measure(struct ek_skew *out, const uint64_t *sizes, size_t k, const struct ek_bootstrap *bootstrap)
{
	static const enum ek_inequality_measure whole[] = { EK_HILL_0, EK_TAIL_COUNT };
	struct ek_interval ranges[EK_INEQUALITY_MEASURES];
	const struct ek_statistics statistics = { .measure = measure,
		                                  .count = EK_INEQUALITY_MEASURES,
		                                  .ranges = ranges };
	int rc;

	set_ranges(ranges, k);
	EK_TRY(ek_inequality_measure(&out->measured, sizes, k));
	EK_TRY(ek_bootstrap_intervals(out->intervals, &statistics, sizes, k, bootstrap));
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		struct ek_interval *interval = &out->intervals[whole[i]];

		*interval = (struct ek_interval){ floor(interval->low), ceil(interval->high) };
	}
out:
	return rc;
}

int ek_measure_add(cJSON *parent, const char *name, double value, struct ek_interval interval)
{
	cJSON *object, *bounds;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, name));
	EK_TRY(ek_json_add_double(object, "value", value));
	EK_TRY(ek_json_add_array(&bounds, object, "ci95"));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.low));
	EK_TRY(ek_json_add_double(bounds, NULL, interval.high));
out:
	return rc;
}

int ek_shares_add(cJSON *parent, const char *name, const uint64_t *counts, size_t k, uint64_t n)
{
	cJSON *shares;
	int rc;

	EK_TRY(ek_json_add_array(&shares, parent, name));
	for (size_t i = 0; i < k; i++)
		EK_TRY(ek_measure_add(shares, NULL, n > 0 ? (double)counts[i] / (double)n : 0,
		                      ek_wilson(counts[i], n)));
out:
	return rc;
}

int ek_counts_add(cJSON *parent, const char *name, const uint64_t *counts, size_t k)
{
	cJSON *array;
	int rc;

	EK_TRY(ek_json_add_array(&array, parent, name));
	for (size_t i = 0; i < k; i++)
		EK_TRY(ek_json_add_u64(array, NULL, counts[i]));
out:
	return rc;
}

static int add_tail(cJSON *parent, const uint64_t *sizes, size_t k)
{
	uint64_t n = 0;
	cJSON *tail;
	int rc;

	for (size_t i = 0; i < k; i++)
		n += sizes[i];
	EK_TRY(ek_json_add_array(&tail, parent, "tail_clusters"));
	for (size_t i = 0; i < k; i++)
		if (ek_in_tail(sizes[i], n, k))
			EK_TRY(ek_json_add_u64(tail, NULL, i));
out:
	return rc;
}

int ek_skew_add(cJSON *parent, const char *name, const struct ek_skew *skew, const uint64_t *sizes, size_t k)
{
	cJSON *object, *effective = NULL;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, name));
	for (int m = 0; m < EK_INEQUALITY_MEASURES; m++) {
		const int is_hill = m >= EK_HILL_0 && m <= EK_HILL_INFINITY;

		if (is_hill && effective == NULL)
			EK_TRY(ek_json_add_object(&effective, object, "effective_clusters"));
		EK_TRY(ek_measure_add(is_hill ? effective : object, ek_inequality_names[m], skew->measured.value[m],
		                      skew->intervals[m]));
	}
	EK_TRY(ek_json_add_u64(object, "top_clusters", ek_top_units(k)));
	EK_TRY(ek_json_add_bool(object, "datalab_flag", ek_datalab_flag(sizes, k)));
	EK_TRY(add_tail(object, sizes, k));
out:
	return rc;
}
