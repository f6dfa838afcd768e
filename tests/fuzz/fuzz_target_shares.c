/* Any bytes as a CSV file of target shares: what is taken is shares, >= 0, that sum to 1. */

#include "rebalance/plan/target.h"
#include "tests/support/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const double *shares, size_t k)
{
	double sum = 0;

	for (size_t i = 0; i < k; i++) {
		if (!(shares[i] >= 0 && shares[i] <= 1 + 1e-6))
			abort();
		sum += shares[i];
	}
	if (!(fabs(sum - 1) <= 1.001e-6))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char names[][8] = { "red", "green", "a,\"b\"" };
	static char *named[] = { names[0], names[1], names[2] };
	static char by[] = "label", cluster[] = "cluster";
	static uint64_t sizes[] = { 5, 7, 0 };
	static const char *path;
	const struct ek_units units[] = { { .n = 12, .k = 3, .sizes = sizes, .total = 12, .names = named, .by = by },
		                          { .n = 12, .k = 3, .sizes = sizes, .total = 12, .by = cluster } };
	double shares[3];

	if (path == NULL)
		path = strdup(ek_join(ek_scratch(), "target.csv"));
	ek_write_file(path, data, size);
	for (int i = 0; i < 4; i++)
		if (ek_target_load(shares, &units[i / 2], path, i % 2) == 0)
			check(shares, 3);
	return 0;
}
