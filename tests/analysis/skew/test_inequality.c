#include "tests/support/support.h"

#include "analysis/skew/inequality.h"

/* Sums of at most 1000 terms of one sign, each good to a few units in the last place (2e-16). */
#define TOLERANCE 1e-12

static uint64_t *sizes_of(const cJSON *one, size_t *k)
{
	double *numbers = ek_golden_doubles(one, "sizes", k);
	uint64_t *sizes = calloc(*k, sizeof *sizes);

	assert_non_null(sizes);
	for (size_t i = 0; i < *k; i++)
		sizes[i] = (uint64_t)numbers[i];
	free(numbers);
	return sizes;
}

static void check_tail(const cJSON *want, const uint64_t *sizes, size_t k)
{
	size_t count;
	double *tail = ek_golden_doubles(want, "tail", &count);
	uint64_t n = 0;
	size_t at = 0;

	for (size_t i = 0; i < k; i++)
		n += sizes[i];
	for (size_t i = 0; i < k; i++)
		if (ek_in_tail(sizes[i], n, k)) {
			assert_true(at < count);
			assert_int_equal((size_t)tail[at++], i);
		}
	assert_int_equal(at, count);
	free(tail);
}

static void measures_equal_the_reference(void **state)
{
	cJSON *golden = ek_golden("skew");
	const cJSON *one;
	int done = 0;

	cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "inequality"))
	{
		const cJSON *want = cJSON_GetObjectItem(one, "want");
		struct ek_inequality got;
		size_t k;
		uint64_t *sizes = sizes_of(one, &k);

		print_message("case %d: %zu units\n", done, k);
		assert_ok(ek_inequality_measure(&got, sizes, k));
		for (int m = 0; m < EK_INEQUALITY_MEASURES; m++) {
			double expected = (double)NAN;

			assert_ok(ek_json_get_double(&expected, want, ek_inequality_names[m], "golden"));
			ek_assert_close(got.value[m], expected, TOLERANCE, ek_inequality_names[m], __FILE__, __LINE__);
		}
		check_tail(want, sizes, k);
		assert_int_equal(ek_top_units(k), cJSON_GetObjectItem(want, "top_clusters")->valueint);
		assert_int_equal(ek_datalab_flag(sizes, k), cJSON_IsTrue(cJSON_GetObjectItem(want, "datalab_flag")));
		free(sizes);
		done++;
	}
	assert_int_equal(done, 12);
	cJSON_Delete(golden);
}

static void equal_sizes_have_no_skew_at_all(void **state)
{
	uint64_t sizes[7];
	struct ek_inequality got;

	for (size_t i = 0; i < 7; i++)
		sizes[i] = 123456789012;
	assert_ok(ek_inequality_measure(&got, sizes, 7));
	assert_true(got.value[EK_GINI] == 0);
	assert_true(got.value[EK_IMBALANCE_RATIO] == 1);
	assert_true(got.value[EK_NORMALISED_ENTROPY] <= 1);
	assert_true(got.value[EK_TAIL_COUNT] == 0);
}

static void order_of_units_does_not_change_a_bit(void **state)
{
	uint64_t sizes[100], reversed[100];
	struct ek_inequality a, b;

	for (size_t i = 0; i < 100; i++)
		reversed[99 - i] = sizes[i] = (i * 7919) % 1009;
	assert_ok(ek_inequality_measure(&a, sizes, 100));
	assert_ok(ek_inequality_measure(&b, reversed, 100));
	assert_memory_equal(&a, &b, sizeof a);
}

static void thresholds_are_strict(void **state)
{
	static const uint64_t tenth[] = { 1, 10, 19 }, below[] = { 1, 10, 20 };

	assert_false(ek_in_tail(10, 60, 3)); /* exactly half of uniform */
	assert_true(ek_in_tail(9, 60, 3));
	assert_true(ek_in_tail(0, 1, 1 << 20));
	assert_false(ek_datalab_flag(tenth, 3)); /* exactly a tenth of uniform */
	assert_true(ek_datalab_flag(below, 3));
	assert_int_equal(ek_top_units(1), 1);
	assert_int_equal(ek_top_units(24), 2);
}

static void empty_units_are_refused_and_leave_the_result_alone(void **state)
{
	static const uint64_t sizes[2] = { 0, 0 };
	struct ek_inequality got = { { 42 } };

	assert_fails(ek_inequality_measure(&got, sizes, 2), EK_EDATA, "all 2 units are empty");
	assert_true(got.value[0] == 42);
}

EK_TEST_MAIN(cmocka_unit_test(measures_equal_the_reference), cmocka_unit_test(equal_sizes_have_no_skew_at_all),
             cmocka_unit_test(order_of_units_does_not_change_a_bit), cmocka_unit_test(thresholds_are_strict),
             cmocka_unit_test(empty_units_are_refused_and_leave_the_result_alone))
