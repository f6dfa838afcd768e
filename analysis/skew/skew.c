#include "analysis/skew/skew.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/skew/exact.h"
#include "analysis/skew/inversion.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { FEWEST = 5 }; /* images: a unit of 4 has none in one of 55 samples */

static int measure(double *values, double *counts, size_t k, const void *context)
{
	struct ek_inequality sampled;
	const int rc = ek_inequality_expected(&sampled, counts, k);

	(void)context;
	if (rc == 0)
		memcpy(values, sampled.value, sizeof sampled.value);
	return rc;
}

static void set(struct ek_estimate *e, struct ek_interval interval)
{
	e->interval = interval;
	e->corrected = fmin(fmax(e->corrected, interval.low), interval.high);
}

/* The measures that single units decide. */
static void set_exact(struct ek_estimate e[EK_INEQUALITY_MEASURES], const uint64_t *sizes, size_t k)
{
	struct ek_sample sample = { .counts = sizes, .k = k };
	const double units = (double)k, seen = e[EK_HILL_0].value, each = 0.05 / 2, both = each / 2;
	struct ek_interval greatest, least;
	struct ek_below below;
	uint64_t smallest = UINT64_MAX;
	double top;

	for (size_t i = 0; i < k; i++) {
		sample.n += sizes[i];
		smallest = sizes[i] < smallest ? sizes[i] : smallest;
	}
	greatest = ek_greatest_share(&sample, each);
	set(&e[EK_HILL_INFINITY], (struct ek_interval){ 1 / greatest.high, fmin(1 / greatest.low, units) });
	greatest = ek_greatest_share(&sample, both);
	least = ek_least_share(&sample, 1, both);
	set(&e[EK_IMBALANCE_RATIO],
	    (struct ek_interval){ fmax(greatest.low / least.high, 1),
	                          seen < units ? (double)INFINITY : fmax(greatest.high / least.low, 1) });
	/* Where the smallest unit is often empty in samples, and then not counted, more skew does not mean a larger
	 * ratio. */
	if (smallest < FEWEST)
		e[EK_IMBALANCE_RATIO].corrected = (double)NAN;
	/* Whichever units are the largest, their limit is right, and that of those seen largest is not below it. */
	top = ek_share_below((uint64_t)llround(e[EK_TOP_SHARE].value * (double)sample.n), sample.n, each);
	set(&e[EK_TOP_SHARE], (struct ek_interval){ fmin(e[EK_TOP_SHARE].interval.low, e[EK_TOP_SHARE].value), top });
	set(&e[EK_HILL_0], (struct ek_interval){ seen, units });
	below = ek_shares_below(&sample, 0.5 / units);
	set(&e[EK_TAIL_COUNT], (struct ek_interval){ below.count.low, fmin(below.count.high, units - 1) });
	set(&e[EK_TAIL_SHARE], below.share);
	e[EK_HILL_0].corrected = e[EK_TAIL_COUNT].corrected = e[EK_TAIL_SHARE].corrected = (double)NAN;
}

int ek_skew_measure(struct ek_skew *out, const uint64_t *sizes, size_t k, const struct ek_bootstrap *bootstrap)
{
	struct ek_share_measures measures = { .measure = measure, .count = EK_INEQUALITY_MEASURES };
	double *even = NULL;
	int rc;

	EK_TRY(ek_inequality_measure(&out->measured, sizes, k));
	EK_TRY(ek_alloc(&even, k, sizeof *even));
	for (size_t i = 0; i < k; i++)
		even[i] = 1 / (double)k;
	measures.edge = even;
	EK_TRY(ek_invert(out->estimates, &measures, sizes, k, bootstrap));
	set_exact(out->estimates, sizes, k);
out:
	free(even);
	return rc;
}

int ek_measure_add(cJSON *parent, const char *name, double value, struct ek_interval interval)
{
	const struct ek_estimate estimate = { .value = value, .corrected = (double)NAN, .interval = interval };

	return ek_estimate_add(parent, name, &estimate);
}

int ek_estimate_add(cJSON *parent, const char *name, const struct ek_estimate *estimate)
{
	cJSON *object, *bounds;
	int rc;

	EK_TRY(ek_json_add_object(&object, parent, name));
	EK_TRY(ek_json_add_double(object, "value", estimate->value));
	if (!isnan(estimate->corrected))
		EK_TRY(ek_json_add_double(object, "corrected", estimate->corrected));
	EK_TRY(ek_json_add_array(&bounds, object, "ci95"));
	EK_TRY(ek_json_add_double(bounds, NULL, estimate->interval.low));
	EK_TRY(ek_json_add_double(bounds, NULL, estimate->interval.high));
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
		EK_TRY(ek_estimate_add(is_hill ? effective : object, ek_inequality_names[m], &skew->estimates[m]));
	}
	EK_TRY(ek_json_add_u64(object, "top_clusters", ek_top_units(k)));
	EK_TRY(ek_json_add_bool(object, "datalab_flag", ek_datalab_flag(sizes, k)));
	EK_TRY(add_tail(object, sizes, k));
out:
	return rc;
}
