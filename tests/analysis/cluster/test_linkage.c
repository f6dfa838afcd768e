#include "tests/support/support.h"

#include "analysis/cluster/fine.h"
#include "analysis/cluster/found.h"
#include "analysis/cluster/linkage.h"
#include "rebalance/base/random.h"
#include "rebalance/base/threads.h"

enum { POINTS = 12 };

static void points(float x[POINTS][2])
{
	for (int i = 0; i < POINTS; i++) {
		x[i][0] = (float)(i * 37 % 23) / 7 + (i % 3 == 0 ? 5.0F : 0);
		x[i][1] = (float)(i * 53 % 29) / 9 - (i % 4 == 0 ? 4.0F : 0);
	}
}

/* scipy.cluster.hierarchy.linkage of the same points. */
static void merges_are_those_of_scipy(void **state)
{
	static const struct ek_merge average[POINTS - 1] = {
		{ 2, 7, 0.466839374 },  { 5, 10, 0.466839407 },  { 3, 9, 1.148245611 },   { 1, 12, 1.27442691 },
		{ 6, 14, 1.709548177 }, { 4, 8, 1.743793687 },   { 13, 15, 2.068902307 }, { 11, 18, 2.317351519 },
		{ 0, 17, 3.31998528 },  { 19, 20, 5.161638093 }, { 16, 21, 6.384121972 },
	};
	static const struct ek_merge ward[POINTS - 1] = {
		{ 2, 7, 0.466839374 },  { 5, 10, 0.466839407 },  { 3, 9, 1.148245611 },    { 1, 12, 1.454006374 },
		{ 4, 8, 1.743793687 },  { 6, 14, 1.860350929 },  { 11, 13, 2.42265084 },   { 15, 18, 3.308867198 },
		{ 0, 16, 3.726171407 }, { 19, 20, 9.887920726 }, { 17, 21, 12.268280687 },
	};
	float x[POINTS][2];

	points(x);
	for (int method = 0; method < 2; method++) {
		const struct ek_merge *want = method == EK_LINKAGE_WARD ? ward : average;
		struct ek_linkage l;

		assert_ok(ek_linkage_build(&l, x[0], POINTS, 2, (enum ek_linkage_method)method));
		for (int m = 0; m < POINTS - 1; m++) {
			assert_int_equal(l.merges[m].a, want[m].a);
			assert_int_equal(l.merges[m].b, want[m].b);
			assert_close(l.merges[m].height, want[m].height, 1e-6);
		}
		ek_linkage_release(&l);
	}
}

/* Currents worked out in Python from scipy's tree. */
static void weights_are_currents(void **state)
{
	static const double want[POINTS] = { 0.14352724894807975, 0.05506978189838493,  0.033708897713222864,
		                             0.10602630918566415, 0.09732253678078913,  0.045627176834591394,
		                             0.14083833738572102, 0.033708897713222864, 0.09732253678078913,
		                             0.10602630918566415, 0.045627176834591394, 0.09519479073927929 };
	float x[POINTS][2];
	double w[POINTS];
	struct ek_linkage l;

	points(x);
	assert_ok(ek_linkage_build(&l, x[0], POINTS, 2, EK_LINKAGE_AVERAGE));
	assert_ok(ek_linkage_weights(w, &l));
	for (int i = 0; i < POINTS; i++)
		assert_close(w[i], want[i], 1e-7);
	ek_linkage_release(&l);
	/* One alone, and equal ones. */
	assert_ok(ek_linkage_build(&l, x[0], 1, 2, EK_LINKAGE_WARD));
	assert_ok(ek_linkage_weights(w, &l));
	assert_close(w[0], 1, 0);
	ek_linkage_release(&l);
	for (int i = 0; i < POINTS; i++)
		x[i][0] = x[i][1] = 3;
	assert_ok(ek_linkage_build(&l, x[0], POINTS, 2, EK_LINKAGE_AVERAGE));
	assert_ok(ek_linkage_weights(w, &l));
	for (int i = 0; i < POINTS; i++)
		assert_true(w[i] > 0 && w[i] < 1);
	ek_linkage_release(&l);
}

static void cuts_undo_the_last_merges(void **state)
{
	static const uint32_t want[POINTS] = { 0, 1, 1, 2, 0, 1, 2, 1, 0, 2, 1, 1 };
	float x[POINTS][2];
	uint32_t group[POINTS];
	struct ek_linkage l;

	points(x);
	assert_ok(ek_linkage_build(&l, x[0], POINTS, 2, EK_LINKAGE_WARD));
	assert_ok(ek_linkage_cut(group, &l, 1));
	for (int i = 0; i < POINTS; i++)
		assert_int_equal(group[i], 0);
	assert_ok(ek_linkage_cut(group, &l, POINTS));
	for (int i = 0; i < POINTS; i++)
		assert_int_equal(group[i], i);
	assert_ok(ek_linkage_cut(group, &l, 3));
	for (int i = 0; i < POINTS; i++)
		assert_int_equal(group[i], want[i]);
	ek_linkage_release(&l);
}

/* Groups of 600, 250 and 120 rows, and 3 rows far from all, each other too. */
enum { ROWS = 973, D = 8, OUTLIERS = 3 };

static int group_of(int i)
{
	return i < 600 ? 0 : i < 850 ? 1 : i < 970 ? 2 : 3;
}

static float *three_groups(void)
{
	float *x = calloc((size_t)ROWS * D, sizeof *x);

	assert_non_null(x);
	for (uint64_t i = 0; i < (uint64_t)ROWS * D; i++) {
		const int g = group_of((int)(i / D));

		x[i] = (float)ek_random_normal(1, 2, i);
		if (g < 3)
			x[i] += i % D == (uint64_t)g ? 12.0F : 0;
		else
			x[i] += 40.0F * (float)((i / D + i % D) % 3);
	}
	return x;
}

/* A handful of outliers is no population: it goes with the nearest, and is counted. */
static void outliers_are_no_population(void **state)
{
	float *x = three_groups();
	struct ek_fine fine;
	uint64_t total = 0;

	assert_ok(ek_fine_build(&fine, x, ROWS, D, D, 1));
	assert_true(fine.outliers < ROWS / 10);
	for (uint32_t c = 0; c < fine.k; c++) {
		assert_true(fine.sizes[c] >= EK_FINE_FEW);
		total += fine.sizes[c];
	}
	assert_int_equal(total, ROWS);
	ek_fine_release(&fine);
	/* Fewer rows than a cluster has: one cluster of all. */
	assert_ok(ek_fine_build(&fine, x, 4, D, D, 1));
	assert_int_equal(fine.k, 1);
	assert_int_equal(fine.sizes[0], 4);
	ek_fine_release(&fine);
	free(x);
}

static void groups_that_lie_apart_are_found(void **state)
{
	float *x = three_groups();
	const int threads = ek_threads();
	struct ek_found found, other;

	assert_ok(ek_found_build(&found, x, ROWS - OUTLIERS, D, 0, 3));
	assert_int_equal(found.groups, 3);
	assert_int_equal(found.sizes[0], 600);
	assert_int_equal(found.sizes[1], 250);
	assert_int_equal(found.sizes[2], 120);
	for (int i = 0; i < ROWS - OUTLIERS; i++)
		assert_int_equal(found.group[i], group_of(i));
	assert_int_equal(found.curve[1].groups, 3);
	assert_true(found.curve[1].stability > 0.99);
	ek_threads_set(threads == 1 ? 3 : 1);
	assert_ok(ek_found_build(&other, x, ROWS - OUTLIERS, D, 0, 3));
	ek_threads_set(threads);
	assert_memory_equal(found.group, other.group, (ROWS - OUTLIERS) * sizeof *found.group);
	ek_found_release(&found);
	ek_found_release(&other);
	assert_ok(ek_found_build(&found, x, ROWS, D, 2, 3));
	assert_int_equal(found.groups, 2);
	assert_int_equal(found.count, 0);
	ek_found_release(&found);
	assert_int_equal(ek_found_build(&found, x, ROWS, D, 900, 3), EK_EUSAGE);
	ek_found_release(&found);
	free(x);
}

/* Rows of one group: whatever is cut does not come out again, so nothing is cut. */
static void one_group_is_not_cut(void **state)
{
	float *x = calloc((size_t)ROWS * D, sizeof *x);
	struct ek_found found;

	assert_non_null(x);
	for (uint64_t i = 0; i < (uint64_t)ROWS * D; i++)
		x[i] = (float)ek_random_normal(5, 6, i);
	assert_ok(ek_found_build(&found, x, ROWS, D, 0, 3));
	assert_int_equal(found.groups, 1);
	assert_int_equal(found.sizes[0], ROWS);
	assert_int_equal(found.count, EK_FOUND_NUMBERS);
	ek_found_release(&found);
	free(x);
}

EK_TEST_MAIN(cmocka_unit_test(merges_are_those_of_scipy), cmocka_unit_test(weights_are_currents),
             cmocka_unit_test(cuts_undo_the_last_merges), cmocka_unit_test(outliers_are_no_population),
             cmocka_unit_test(groups_that_lie_apart_are_found), cmocka_unit_test(one_group_is_not_cut))
