#include "analysis/skew/attributes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* A table whose counts a resample replaces. */
struct table {
	const struct ek_cell *cells;
	size_t rows, columns;
};

static int measure_agreement(double *values, const uint64_t *counts, size_t k, const void *context)
{
	const struct table *table = context;
	struct ek_cell *cells = NULL;
	struct ek_agreement resampled;
	int rc;

	EK_TRY(ek_alloc(&cells, k, sizeof *cells));
	for (size_t i = 0; i < k; i++) {
		cells[i] = table->cells[i];
		cells[i].count = counts[i];
	}
	EK_TRY(ek_agreement_from_cells(&resampled, cells, k, table->rows, table->columns));
	memcpy(values, resampled.value, sizeof resampled.value);
out:
	free(cells);
	return rc;
}

static int agree(struct ek_attribute *a, const struct ek_partition *partition, const struct ek_categories *categories,
                 const struct ek_bootstrap *bootstrap)
{
	static const struct ek_interval ranges[EK_AGREEMENT_MEASURES] = {
		[EK_PURITY] = { 0, 1 },
		[EK_MUTUAL_INFORMATION] = { 0, (double)INFINITY },
		[EK_NMI] = { 0, 1 },
		[EK_ARI] = { -1, 1 },
	};
	struct table table = { .rows = partition->k, .columns = categories->count };
	const struct ek_statistics statistics = {
		.measure = measure_agreement, .context = &table, .count = EK_AGREEMENT_MEASURES, .ranges = ranges
	};
	struct ek_cell *cells = NULL;
	uint64_t *counts = NULL;
	size_t cell_count;
	int rc;

	EK_TRY(ek_cells_from_table(&cells, &cell_count, a->by_unit, table.rows, table.columns));
	table.cells = cells;
	EK_TRY(ek_agreement_from_cells(&a->agreement, cells, cell_count, table.rows, table.columns));
	EK_TRY(ek_alloc(&counts, cell_count, sizeof *counts));
	for (size_t i = 0; i < cell_count; i++)
		counts[i] = cells[i].count;
	EK_TRY(ek_bootstrap_intervals(a->agreement_intervals, &statistics, counts, cell_count, bootstrap));
out:
	free(cells);
	free(counts);
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
