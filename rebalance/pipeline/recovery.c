#include "rebalance/pipeline/recovery.h"

#include <math.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/layout.h"
#include "rebalance/io/npy.h"
#include "rebalance/plan/units.h"

static double entropy(const double *amount, uint32_t count)
{
	double total = 0, sum = 0;
	uint32_t present = 0;

	for (uint32_t u = 0; u < count; u++)
		total += amount[u];
	for (uint32_t u = 0; u < count; u++) {
		const double share = amount[u] / total;

		sum -= share > 0 ? share * log(share) : 0;
		present += amount[u] > 0;
	}
	return sum / log(present);
}

int ek_balance_recovery(double *recovery, const struct ek_run *run, const char *name, const char *by)
{
	struct ek_units units = { 0 };
	struct ek_npy weights = { 0 };
	double *natural = NULL, *shown = NULL, before;
	char *path = NULL;
	int rc;

	EK_TRY(ek_units_load(&units, run, by));
	EK_TRY(ek_layout_path(&path, run, "weights/*/weights.npy", name));
	EK_TRY(ek_npy_open_as(&weights, path, EK_F64, 1, &units.n));
	EK_TRY(ek_alloc(&natural, units.k, sizeof *natural));
	EK_TRY(ek_alloc(&shown, units.k, sizeof *shown));
	for (uint64_t i = 0; i < units.n; i++)
		if (units.unit[i] >= 0) {
			natural[units.unit[i]]++;
			shown[units.unit[i]] += ((const double *)weights.data)[i];
		}
	before = entropy(natural, units.k);
	*recovery = (entropy(shown, units.k) - before) / (1 - before);
out:
	ek_units_release(&units);
	ek_npy_close(&weights);
	free(natural);
	free(shown);
	free(path);
	return rc;
}
