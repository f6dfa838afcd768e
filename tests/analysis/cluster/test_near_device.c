/* What duplicates ask of rows on a device, and what they make of it, on any machine. */
#include "tests/analysis/cluster/fake_rows.h"
#include "tests/analysis/cluster/near_cases.h"
#include "tests/support/support.h"

static void a_device_finds_what_the_processor_finds(void **state)
{
	const struct near_case c = { .name = "copies", .n = 9001, .d = 64, .same = 1500 };
	const uint64_t half = c.n * 9 / 10 / 2;

	near_case_check(&c);
	assert_true(fake_rows_measured() >= 2 * half * half);
}

static void so_it_does_where_all_are_alike(void **state)
{
	const struct near_case cases[] = {
		{ .name = "all alike", .n = 9001, .d = 64, .same = 900, .alike = 1 },
		{ .name = "all alike, near ones alone", .n = 9001, .d = 64, .same = 900, .alike = 1, .near_only = 1 },
	};

	near_case_check(&cases[0]);
	near_case_check(&cases[1]);
}

static void rows_of_zeros_stay_on_the_processor(void **state)
{
	const struct near_case c = { .name = "a row of zeros", .n = 9001, .d = 64, .same = 1500, .zero = 1 };
	const uint64_t before = fake_rows_measured();

	near_case_check(&c);
	assert_int_equal(fake_rows_measured(), before);
}

EK_TEST_MAIN(cmocka_unit_test(a_device_finds_what_the_processor_finds),
             cmocka_unit_test(so_it_does_where_all_are_alike), cmocka_unit_test(rows_of_zeros_stay_on_the_processor))
