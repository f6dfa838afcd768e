#include "train/score/forgetting.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

void ek_forgetting_rate(double *out, const float *losses, uint64_t checks, uint64_t images)
{
	for (uint64_t i = 0; i < images; i++)
		out[i] = isnan(losses[i]) ? NAN : 0;
	for (uint64_t c = 1; c < checks; c++) {
		const float *now = losses + c * images, *before = now - images;

		for (uint64_t i = 0; i < images; i++)
			out[i] += isnan(now[i]) ? NAN : now[i] > before[i];
	}
	for (uint64_t i = 0; i < images; i++)
		out[i] /= (double)checks;
}

void ek_forgetting_count(double *out, const float *losses, uint64_t checks, uint64_t images, double threshold)
{
	for (uint64_t i = 0; i < images; i++) {
		int was = 0, ever = 0, broken = 0;
		uint64_t times = 0;

		for (uint64_t c = 0; c < checks; c++) {
			const double loss = (double)losses[c * images + i];
			const int learned = loss <= threshold;

			broken |= isnan(loss);
			times += (uint64_t)(was && !learned);
			ever |= learned;
			was = learned;
		}
		out[i] = broken ? (double)NAN : ever ? (double)times : (double)checks;
	}
}

int ek_forgetting_threshold(double *threshold, const float *losses, uint64_t checks, uint64_t images)
{
	const float *last = losses + (checks - 1) * images;
	uint64_t count = 0;
	float *sorted = NULL;
	int rc;

	EK_TRY(ek_alloc(&sorted, images, sizeof *sorted));
	for (uint64_t i = 0; i < images; i++)
		if (!isnan(last[i]))
			sorted[count++] = last[i];
	if (count > 0)
		qsort(sorted, count, sizeof *sorted, ek_compare_floats);
	*threshold = count > 0 ? (double)sorted[(count - 1) / 2] : (double)NAN;
out:
	free(sorted);
	return rc;
}
