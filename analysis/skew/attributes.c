#include "analysis/skew/attributes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/skew/exact.h"
#include "analysis/skew/inversion.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { IMAGES_BETWEEN_CHECKS = 1 << 24 };

static int cross(struct ek_attribute *a, const struct ek_partition *partition, const struct ek_categories *categories)
{
	const size_t values = categories->count;
	int rc = 0;

	for (uint64_t i = 0; i < partition->n; i++) {
		const int32_t code = categories->codes[i];

		if (i % IMAGES_BETWEEN_CHECKS == 0)
			EK_TRY(ek_check_interrupt());
		if (code < 0) {
			a->missing++;
			continue;
		}
		assert((size_t)code < values);
		a->by_unit[(size_t)partition->unit[i] * values + (size_t)code]++;
	}
	for (size_t unit = 0; unit < partition->k; unit++)
		for (size_t value = 0; value < values; value++)
			a->counts[value] += a->by_unit[unit * values + value];
out:
	return rc;
}

struct table {
	size_t rows, columns;
};

static int measure_table(double *values, const double *counts, const struct table *table, int expected)
{
	struct ek_agreement agreement;
	const int rc = ek_agreement_of(&agreement, counts, table->rows, table->columns, expected);

	if (rc == 0)
		memcpy(values, agreement.value, sizeof agreement.value);
	return rc;
}

static int measure_sample(double *values, double *counts, size_t k, const void *context)
{
	(void)k;
	return measure_table(values, counts, context, 0);
}

static int measure_expected(double *values, double *counts, size_t k, const void *context)
{
	(void)k;
	return measure_table(values, counts, context, 1);
}

/* Shares of a table of the same margins in which units and values have nothing to do with each other. */
static void set_independent(double *shares, const struct ek_attribute *a, const struct table *table)
{
	double n = 0;

	for (size_t j = 0; j < table->columns; j++)
		n += (double)a->counts[j];
	for (size_t i = 0; i < table->rows; i++) {
		double row = 0;

		for (size_t j = 0; j < table->columns; j++)
			row += (double)a->by_unit[i * table->columns + j];
		for (size_t j = 0; j < table->columns; j++)
			shares[i * table->columns + j] = row / n * ((double)a->counts[j] / n);
	}
}

/* Purity is never below the share of the most frequent value, which is not known for certain either. */
static void lower_purity(struct ek_interval *purity, const struct ek_attribute *a, size_t values)
{
	struct ek_sample sample = { .counts = a->counts, .k = values };
	uint64_t most = 0;

	for (size_t i = 0; i < values; i++) {
		sample.n += a->counts[i];
		most = a->counts[i] > most ? a->counts[i] : most;
	}
	if (purity->low <= (double)most / (double)sample.n + 1e-12)
		purity->low = ek_greatest_share(&sample, 0.05 / 2).low;
}

/* What chance alone makes greater than it is, by test inversion. */
static int estimate_agreement(struct ek_attribute *a, const struct table *table, const struct ek_bootstrap *bootstrap)
{
	struct ek_share_measures measures = { .measure = measure_sample,
		                              .expected = measure_expected,
		                              .context = table,
		                              .count = EK_AGREEMENT_MEASURES };
	double *independent = NULL;
	int rc;

	EK_TRY(ek_alloc(&independent, table->rows * table->columns, sizeof *independent));
	set_independent(independent, a, table);
	measures.edge = independent;
	EK_TRY(ek_invert(a->agreement_estimates, &measures, a->by_unit, table->rows * table->columns, bootstrap));
	lower_purity(&a->agreement_estimates[EK_PURITY].interval, a, table->columns);
out:
	free(independent);
	return rc;
}

static int agree(struct ek_attribute *a, const struct ek_partition *partition, const struct ek_categories *categories,
                 const struct ek_bootstrap *bootstrap)
{
	const struct table table = { .rows = partition->k, .columns = categories->count };
	int rc;

	EK_TRY(ek_agreement_from_table(&a->agreement, a->by_unit, table.rows, table.columns));
	EK_TRY(estimate_agreement(a, &table, bootstrap));
	for (int m = 0; m < EK_AGREEMENT_MEASURES; m++)
		a->agreement_estimates[m].value = a->agreement.value[m];
out:
	return rc;
}

static int by_falling_ratio(const void *a, const void *b)
{
	const struct ek_tail_value *x = a, *y = b;

	return x->ratio != y->ratio ? (x->ratio < y->ratio) - (x->ratio > y->ratio)
	                            : (x->value > y->value) - (x->value < y->value);
}

static int find_tail_values(struct ek_attribute *a, const struct ek_partition *partition,
                            const struct ek_categories *categories)
{
	const size_t values = categories->count;
	uint64_t *in_tail = NULL, all_in_tail = 0;
	int rc;

	EK_TRY(ek_alloc(&a->tail_values, values, sizeof *a->tail_values));
	EK_TRY(ek_alloc(&in_tail, values, sizeof *in_tail));
	for (size_t unit = 0; unit < partition->k; unit++) {
		if (!ek_in_tail(partition->sizes[unit], partition->n, partition->k))
			continue;
		all_in_tail += partition->sizes[unit];
		for (size_t value = 0; value < values; value++)
			in_tail[value] += a->by_unit[unit * values + value];
	}
	a->tail_share = (double)all_in_tail / (double)partition->n;
	for (size_t value = 0; value < values; value++) {
		const double share = a->counts[value] > 0 ? (double)in_tail[value] / (double)a->counts[value] : 0;

		if (share > a->tail_share)
			a->tail_values[a->tail_value_count++] = (struct ek_tail_value){
				.value = value,
				.tail_share = share,
				.interval = ek_wilson(in_tail[value], a->counts[value]),
				.ratio = share / a->tail_share,
			};
	}
	qsort(a->tail_values, a->tail_value_count, sizeof *a->tail_values, by_falling_ratio);
out:
	free(in_tail);
	return rc;
}

int ek_attribute_measure(struct ek_attribute *out, const struct ek_partition *partition,
                         const struct ek_categories *categories, const struct ek_bootstrap *bootstrap)
{
	struct ek_bootstrap crossed = *bootstrap;
	char *name = NULL;
	int rc;

	*out = (struct ek_attribute){ 0 };
	EK_TRY(ek_format(&name, "%s by unit", bootstrap->name));
	crossed.name = name;
	EK_TRY(ek_alloc(&out->counts, categories->count, sizeof *out->counts));
	EK_TRY(ek_alloc(&out->by_unit, partition->k, categories->count * sizeof *out->by_unit));
	EK_TRY(cross(out, partition, categories));
	EK_TRY(ek_skew_measure(&out->skew, out->counts, categories->count, bootstrap));
	EK_TRY(agree(out, partition, categories, &crossed));
	EK_TRY(find_tail_values(out, partition, categories));
out:
	free(name);
	return rc;
}

void ek_attribute_release(struct ek_attribute *attribute)
{
	free(attribute->counts);
	free(attribute->by_unit);
	free(attribute->tail_values);
	*attribute = (struct ek_attribute){ 0 };
}
