#include "analysis/cluster/ratio.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { COMPONENTS = 128, FEWEST = 10 };
static const double penalty = 0.01;

static uint64_t count_reference(const uint32_t *group, uint64_t images)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < images; i++)
		count += group[i] == 0;
	return count;
}

void ek_ratio_balance(double *weight, const uint32_t *group, uint64_t images)
{
	const uint64_t reference = count_reference(group, images);

	for (uint64_t i = 0; i < images; i++)
		weight[i] = (double)images / 2 / (double)(group[i] == 0 ? reference : images - reference);
}

int ek_ratio(double *w, const struct ek_probe_rows *rows, const uint64_t *ids, const float *x, uint64_t n,
             uint64_t seed)
{
	const uint64_t reference = count_reference(rows->group, rows->images);
	const struct ek_probe_choice choice = { .c = penalty,
		                                .k = rows->stride < COMPONENTS ? rows->stride : COMPONENTS,
		                                .views = rows->views };
	float *q = NULL;
	int rc;

	if (reference < FEWEST || rows->images - reference < FEWEST)
		return ek_fail(EK_EDATA,
		               "%llu reference images and %llu of the run are too few to tell them apart: %d "
		               "at least",
		               (unsigned long long)reference, (unsigned long long)(rows->images - reference), FEWEST);
	EK_TRY(ek_alloc(&q, 2 * n, sizeof *q));
	EK_TRY(ek_probe_cross(q, rows, ids, &choice, 1, x, n, rows->stride, seed));
	for (uint64_t i = 0; i < n; i++) {
		const double ratio = (double)q[2 * i] / fmax((double)q[2 * i + 1], 1e-30);

		w[i] = fmin(fmax(ratio, 1 / EK_RATIO_MOST), EK_RATIO_MOST);
	}
out:
	free(q);
	return rc;
}
