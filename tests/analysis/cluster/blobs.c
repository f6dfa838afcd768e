#include "tests/analysis/cluster/blobs.h"

#include "rebalance/base/random.h"
#include "rebalance/io/npy.h"
#include "tests/support/support.h"

float *ek_blobs(uint64_t n, size_t d, uint32_t k, double spread, double offset, int32_t *truth)
{
	float *x = calloc(n * d, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < n; i++) {
		const uint32_t c = (uint32_t)ek_random_below(1, 1, i, k);

		if (truth != NULL)
			truth[i] = (int32_t)c;
		for (size_t j = 0; j < d; j++)
			x[i * d + j] = (float)(offset + ek_random_normal(2, c, j) + spread * ek_random_normal(3, i, j));
	}
	return x;
}

struct ek_run *ek_blobs_run(const float *x, uint64_t n, size_t d)
{
	const char *folder = ek_scratch();
	const uint64_t shape[] = { n, d };
	struct ek_run *run;

	assert_ok(ek_run_open(&run, folder, EK_RUN_CREATE));
	assert_ok(ek_npy_write(ek_join(folder, "embeddings.npy"), EK_F32, 2, shape, x));
	return run;
}
