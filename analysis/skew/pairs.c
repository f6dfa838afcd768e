#include "analysis/skew/pairs.h"

#include <math.h>
#include <stdlib.h>

#include "analysis/skew/inequality.h"
#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"

enum { IMAGES_BETWEEN_CHECKS = 1 << 24 };

static int rarer_first(const void *a, const void *b)
{
	const struct ek_combination *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? -1 : 1;
	/* Of the same count the one that was to be expected more often. */
	if (x->expected < y->expected || x->expected > y->expected)
		return x->expected > y->expected ? -1 : 1;
	return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
	                            : (x->second > y->second) - (x->second < y->second);
}

/* table: [a, b]; rows, columns: [a], [b] its sums */
static int count(uint64_t *table, uint64_t *rows, uint64_t *columns, const struct ek_categories *a,
                 const struct ek_categories *b, uint64_t n)
{
	int rc = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (i % IMAGES_BETWEEN_CHECKS == 0)
			EK_TRY(ek_check_interrupt());
		if (a->codes[i] < 0 || b->codes[i] < 0)
			continue;
		table[(size_t)a->codes[i] * b->count + (size_t)b->codes[i]]++;
		rows[a->codes[i]]++;
		columns[b->codes[i]]++;
	}
out:
	return rc;
}

static int measure_gini(struct ek_pair *out, const uint64_t *counts)
{
	struct ek_inequality measured;
	int rc;

	out->gini = (double)NAN;
	if (out->combinations < 2)
		return 0;
	EK_TRY(ek_inequality_measure(&measured, counts, out->combinations));
	out->gini = measured.value[EK_GINI];
out:
	return rc;
}

int ek_pair_measure(struct ek_pair *out, const struct ek_categories *a, const struct ek_categories *b, uint64_t n,
                    size_t most)
{
	uint64_t *table = NULL, *rows = NULL, *columns = NULL;
	int rc;

	*out = (struct ek_pair){ 0 };
	EK_TRY(ek_alloc(&table, a->count, b->count * sizeof *table));
	EK_TRY(ek_alloc(&rows, a->count, sizeof *rows));
	EK_TRY(ek_alloc(&columns, b->count, sizeof *columns));
	EK_TRY(ek_alloc(&out->rare, a->count, b->count * sizeof *out->rare));
	EK_TRY(count(table, rows, columns, a, b, n));
	for (size_t i = 0; i < a->count; i++)
		out->images += rows[i];
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++) {
			const uint64_t images = table[i * b->count + j];

			if (rows[i] == 0 || columns[j] == 0)
				continue;
			table[out->combinations] = images; /* behind what is still to be read */
			out->empty += images == 0;
			out->rare[out->combinations++] = (struct ek_combination){
				.first = i,
				.second = j,
				.count = images,
				.share = (double)images / (double)out->images,
				.expected = (double)rows[i] * (double)columns[j] / (double)out->images,
			};
		}
	EK_TRY(measure_gini(out, table));
	qsort(out->rare, out->combinations, sizeof *out->rare, rarer_first);
	out->rare_count = out->combinations < most ? out->combinations : most;
out:
	free(table);
	free(rows);
	free(columns);
	return rc;
}

void ek_pair_release(struct ek_pair *pair)
{
	free(pair->rare);
	*pair = (struct ek_pair){ 0 };
}
