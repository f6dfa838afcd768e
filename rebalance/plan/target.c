#include "rebalance/plan/target.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/io/csv.h"

static int take(double *shares, const struct ek_units *units, const struct ek_csv *csv, const char *where, int first)
{
	const char *name = ek_csv_field(csv, 0), *text = csv->count > 1 ? ek_csv_field(csv, 1) : "";
	char *end;
	uint32_t unit;
	double share;
	int rc;

	if (csv->count != 2)
		return ek_fail(EK_EDATA, "%s: %zu fields, expected 2: a %s and its share", where, csv->count,
		               units->by);
	share = strtod(text, &end);
	if (end == text || *end != 0)
		return first ? 0 : ek_fail(EK_EDATA, "%s: the share is \"%s\", not a number", where, text);
	if (!(share >= 0) || isinf(share))
		return ek_fail(EK_EDATA, "%s: the share is %s, expected 0 to 1", where, text);
	EK_TRY(ek_unit_find(&unit, units, name, where));
	if (!isnan(shares[unit]))
		return ek_fail(EK_EDATA, "%s: the %s \"%s\" is there twice", where, units->by, name);
	shares[unit] = share;
out:
	return rc;
}

static int check_sum(double *shares, const struct ek_units *units, const char *path, int normalise)
{
	double sum = 0;

	for (uint32_t u = 0; u < units->k; u++) {
		shares[u] = isnan(shares[u]) ? 0 : shares[u];
		sum += shares[u];
	}
	if (!(sum > 0))
		return ek_fail(EK_EDATA, "%s: no %s has a share above 0", path, units->by);
	if (isinf(sum))
		return ek_fail(EK_EDATA, "%s: the shares sum to %g", path, sum);
	if (!normalise && !(fabs(sum - 1) <= 1e-6))
		return ek_fail(EK_EDATA, "%s: the shares sum to %.9g, not to 1 ('normalise' divides them by it)", path,
		               sum);
	for (uint32_t u = 0; u < units->k; u++)
		shares[u] /= sum;
	return 0;
}

int ek_target_load(double *shares, const struct ek_units *units, const char *path, int normalise)
{
	struct ek_csv csv = { 0 };
	char where[512];
	int rc, first = 1;

	for (uint32_t u = 0; u < units->k; u++)
		shares[u] = (double)NAN;
	EK_TRY(ek_csv_open(&csv, path));
	for (;; first = 0) {
		EK_TRY(ek_csv_next(&csv));
		if (rc == 0)
			break;
		(void)snprintf(where, sizeof where, "%s:%" PRIu64, path, csv.line);
		EK_TRY(take(shares, units, &csv, where, first));
	}
	EK_TRY(check_sum(shares, units, path, normalise));
out:
	ek_csv_close(&csv);
	return rc;
}
