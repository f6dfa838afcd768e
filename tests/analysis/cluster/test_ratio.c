#include "tests/support/support.h"

#include "analysis/cluster/ratio.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { N = 600, FEW = 60, REFERENCE = 60, OWN = 200, K = 3 };

/* Nine tenths of the run lie about -1, a tenth about 1; the reference is half and half. */
static void make_row(float *x, uint64_t i, int rare)
{
	for (uint64_t j = 0; j < K; j++)
		x[j] = (float)(0.5 * ek_random_normal(5, 6, i * K + j) + (j == 0 ? (rare ? 3 : -3) : 0));
}

/* The common lie on both sides along one axis, the rare along another: no straight line tells them apart. */
static void make_crossed(float *x, uint64_t i, int rare)
{
	for (uint64_t j = 0; j < K; j++)
		x[j] = (float)(0.5 * ek_random_normal(5, 7, i * K + j) +
		               (j == (rare ? 1 : 0) ? (i / 2 % 2 ? 3 : -3) : 0));
}

/* The rare tenth of the run has this share of the weights. */
static double share_of_rare(void (*make)(float *x, uint64_t i, int rare))
{
	static float x[N * K], learned[(REFERENCE + OWN) * K];
	static double w[N], again[N], weight[REFERENCE + OWN];
	static uint64_t ids[REFERENCE + OWN];
	static uint32_t group[REFERENCE + OWN];
	struct ek_probe_rows rows = { .x = learned,
		                      .stride = K,
		                      .views = 1,
		                      .group = group,
		                      .weight = weight,
		                      .images = REFERENCE + OWN,
		                      .groups = 2 };
	double rare = 0, common = 0, sum[2] = { 0 };

	for (uint64_t i = 0; i < N; i++)
		make(x + i * K, i, i < FEW);
	for (uint64_t i = 0; i < REFERENCE + OWN; i++) {
		group[i] = i >= REFERENCE;
		ids[i] = i < REFERENCE ? N : (i - REFERENCE) * 3;
		if (i < REFERENCE)
			make(learned + i * K, 10000 + i, i % 2 == 0);
		else
			memcpy(learned + i * K, x + ids[i] * K, K * sizeof *x);
	}
	ek_ratio_balance(weight, group, REFERENCE + OWN);
	for (uint64_t i = 0; i < REFERENCE + OWN; i++)
		sum[group[i]] += weight[i];
	assert_close(sum[0], (REFERENCE + OWN) / 2.0, 1e-9);
	assert_close(sum[1], sum[0], 1e-9);
	ek_threads_set(1);
	assert_ok(ek_ratio(w, &rows, ids, x, N, 4));
	ek_threads_set(3);
	assert_ok(ek_ratio(again, &rows, ids, x, N, 4));
	ek_threads_set(0);
	assert_memory_equal(w, again, sizeof w);
	for (uint64_t i = 0; i < N; i++) {
		assert_true(w[i] >= 1 / EK_RATIO_MOST && w[i] <= EK_RATIO_MOST);
		*(i < FEW ? &rare : &common) += w[i];
	}
	rows.images = REFERENCE + 5;
	assert_fails(ek_ratio(w, &rows, ids, x, N, 4), EK_EDATA, "too few");
	return rare / (rare + common);
}

/* From 0.1 towards the 0.5 of the reference. */
static void the_rare_weigh_more(void **state)
{
	const double straight = share_of_rare(make_row), crossed = share_of_rare(make_crossed);

	print_message("%.3f, crossed %.3f\n", straight, crossed);
	assert_true(straight > 0.25 && straight < 0.6);
	assert_true(crossed > 0.25 && crossed < 0.6);
}

EK_TEST_MAIN(cmocka_unit_test(the_rare_weigh_more))
