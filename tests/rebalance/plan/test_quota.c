#include "tests/support/support.h"

#include "rebalance/base/random.h"
#include "rebalance/plan/quota.h"

enum { MOST = 16 };

static size_t numbers(uint64_t out[MOST], const cJSON *one, const char *name)
{
	size_t count;
	double *values = ek_golden_doubles(one, name, &count);

	assert_true(count <= MOST);
	for (size_t i = 0; i < count; i++)
		out[i] = (uint64_t)values[i];
	free(values);
	return count;
}

static void assert_quota(const uint64_t *got, const cJSON *one, const char *name)
{
	uint64_t want[MOST];
	const size_t k = numbers(want, one, name);

	for (size_t i = 0; i < k; i++)
		if (got[i] != want[i])
			print_message("%s[%zu]: %llu, expected %llu\n", name, i, (unsigned long long)got[i],
			              (unsigned long long)want[i]);
	assert_memory_equal(got, want, k * sizeof *got);
}

/* SLSQP's answer has all gradients of free units equal within 2e-7, so each number is within that of the best. */
static void check_density(const cJSON *one, const uint64_t *sizes, size_t k, uint64_t total)
{
	const cJSON *complexities = cJSON_GetObjectItem(one, "complexity"), *item;
	double complexity[MOST], real[MOST], tau, balance, *want;
	uint64_t got[MOST], sum = 0;
	size_t count = 0;

	cJSON_ArrayForEach(item, complexities) complexity[count++] =
		cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
	assert_ok(ek_json_get_double(&tau, one, "tau", "golden"));
	assert_ok(ek_json_get_double(&balance, one, "balance", "golden"));
	assert_ok(ek_quota_density(got, real, complexity, sizes, k, total, tau, balance));
	want = ek_golden_doubles(one, "density", &count);
	for (size_t i = 0; i < k; i++) {
		assert_close(real[i], want[i], 1e-6);
		assert_true(got[i] <= sizes[i]);
		assert_true(fabs((double)got[i] - real[i]) < 1);
		sum += got[i];
	}
	assert_int_equal(sum, total);
	free(want);
}

static void quotas_equal_the_reference(void **state)
{
	cJSON *golden = ek_golden("plan");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "quotas"))
	{
		uint64_t sizes[MOST], got[MOST], total, shared;
		const size_t k = numbers(sizes, one, "sizes");
		size_t count;
		double *shares = ek_golden_doubles(one, "shares", &count);

		print_message("case %d\n", done++);
		assert_ok(ek_json_get_u64(&total, one, "total", "golden"));
		assert_ok(ek_json_get_u64(&shared, one, "shared_total", "golden"));
		assert_ok(ek_quota_proportional(got, sizes, k, total));
		assert_quota(got, one, "proportional");
		assert_ok(ek_quota_shares(got, shares, sizes, k, shared));
		assert_quota(got, one, "shared");
		check_density(one, sizes, k, total);
		free(shares);
	}
	assert_int_equal(done, 40);
	cJSON_Delete(golden);
}

/* Water-filling by trying every level. */
static void check_water(const uint64_t *sizes, size_t k, uint64_t total, uint64_t repeat, uint64_t seed)
{
	uint64_t got[MOST], again[MOST], level = 0, all = 0, sum = 0;
	int one_more = 0;

	for (size_t i = 0; i < k; i++)
		all += repeat * sizes[i];
	for (uint64_t l = 0; l <= total; l++) {
		uint64_t at = 0;

		for (size_t i = 0; i < k; i++)
			at += repeat * sizes[i] < l ? repeat * sizes[i] : l;
		level = at <= total ? l : level;
	}
	assert_ok(ek_quota_water_filling(got, sizes, k, total, repeat, seed));
	assert_ok(ek_quota_water_filling(again, sizes, k, total, repeat, seed));
	assert_memory_equal(got, again, k * sizeof *got);
	for (size_t i = 0; i < k; i++) {
		const uint64_t capacity = repeat * sizes[i], least = capacity < level ? capacity : level;

		assert_true(got[i] == least || (got[i] == least + 1 && capacity > level));
		one_more += got[i] > least;
		sum += got[i];
	}
	assert_int_equal(sum, all < total ? all : total);
	assert_true(one_more == 0 || all > total);
}

static void water_filling_equals_brute_force(void **state)
{
	const uint64_t stream = ek_random_stream("test");

	for (uint64_t c = 0, at = 0; c < 500; c++) {
		uint64_t sizes[MOST];
		const size_t k = 1 + ek_random_below(1, stream, at++, MOST);

		for (size_t i = 0; i < k; i++)
			sizes[i] = ek_random_below(1, stream, at++, 4) == 0 ? 0 : ek_random_below(1, stream, at++, 30);
		check_water(sizes, k, ek_random_below(1, stream, at, 400), 1 + ek_random_below(2, stream, at, 4), c);
	}
}

/* The units that get one more are drawn: over many seeds each of four equal ones gets it equally often. */
static void the_rest_is_drawn_evenly(void **state)
{
	static const uint64_t sizes[4] = { 9, 9, 9, 9 };
	uint64_t more[4] = { 0 }, got[4];

	for (uint64_t seed = 0; seed < 4000; seed++) {
		assert_ok(ek_quota_water_filling(got, sizes, 4, 13, 1, seed));
		for (int i = 0; i < 4; i++)
			more[i] += got[i] == 4;
	}
	/* 1000 expected, standard deviation sqrt(4000 x 3/16) = 27.4; five of them. */
	for (int i = 0; i < 4; i++)
		assert_true(more[i] > 863 && more[i] < 1137);
}

static void huge_counts_do_not_overflow(void **state)
{
	static const uint64_t sizes[3] = { (uint64_t)1 << 50, ((uint64_t)1 << 50) + 1, 3 };
	uint64_t got[3];

	assert_ok(ek_quota_proportional(got, sizes, 3, (uint64_t)1 << 50));
	assert_int_equal(got[0] + got[1] + got[2], (uint64_t)1 << 50);
	assert_int_equal(got[2], 1); /* just below 1.5 */
	assert_ok(ek_quota_water_filling(got, sizes, 3, (uint64_t)1 << 50, UINT64_MAX, 0));
	assert_int_equal(got[0] + got[1] + got[2], (uint64_t)1 << 50);
}

static void smallest_leaves_tiny_units_whole(void **state)
{
	static const uint64_t sizes[5] = { 10, 0, 2, 7, 8 }, all[5] = { 2, 0, 2, 2, 2 }, some[5] = { 7, 0, 2, 7, 7 };
	uint64_t got[5];

	assert_ok(ek_quota_smallest(got, sizes, 5, 0));
	assert_memory_equal(got, all, sizeof all);
	assert_ok(ek_quota_smallest(got, sizes, 5, 3));
	assert_memory_equal(got, some, sizeof some);
	assert_fails(ek_quota_smallest(got, sizes, 5, 11), EK_EDATA, "no unit has 11 images");
}

static void shares_that_cannot_be_met_are_refused(void **state)
{
	static const uint64_t cap[3] = { 10, 5, 0 };
	static const double shares[3] = { 0.1, 0.9, 0 }, none[3] = { 0 }, decimal[3] = { 0.3, 0.7, 0 };
	static const uint64_t thirty[3] = { 30, 700, 0 };
	uint64_t got[3];

	assert_fails(ek_quota_shares(got, shares, cap, 3, 16), EK_EDATA, "hold 15 images");
	assert_fails(ek_quota_shares(got, none, cap, 3, 1), EK_EDATA, "hold 0 images");
	assert_ok(ek_quota_shares(got, shares, cap, 3, 15));
	assert_int_equal(got[0], 10);
	assert_int_equal(ek_quota_largest_total(shares, cap, 3), 5);
	assert_int_equal(ek_quota_largest_total(decimal, thirty, 3), 100);
}

EK_TEST_MAIN(cmocka_unit_test(quotas_equal_the_reference), cmocka_unit_test(water_filling_equals_brute_force),
             cmocka_unit_test(the_rest_is_drawn_evenly), cmocka_unit_test(huge_counts_do_not_overflow),
             cmocka_unit_test(smallest_leaves_tiny_units_whole),
             cmocka_unit_test(shares_that_cannot_be_met_are_refused))
