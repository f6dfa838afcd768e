/*
 * The comparators' self-test: each must catch a wrong value, a NaN and a case that was skipped. A comparator ends its
 * test when it fails, so every case runs as a test program of its own, in a child process.
 */
#include "tests/support/support.h"

#include <sys/wait.h>

static const float right[3] = { 1, 2, 3 }, wrong[3] = { 1, 2, 3.5f }, broken[3] = { 1, (float)NAN, 3 };

static void close_values(void **state)
{
	assert_close(1.0, 1.0 + 1e-9, 1e-8);
	assert_close(1e9, 1e9 + 1, 1e-8); /* relative above 1 */
	assert_close(-(double)0, 0, 0);
}
static void a_wrong_value(void **state)
{
	assert_close(1.0, 1.0 + 1e-7, 1e-8);
}
static void a_wrong_small_value(void **state)
{
	assert_close(0.0, 2e-8, 1e-8);
}
static void a_nan(void **state)
{
	assert_close(NAN, 1, 1e30);
}
static void a_nan_expected(void **state)
{
	assert_close(1, NAN, 1e30);
}
static void a_nan_on_both_sides(void **state)
{
	assert_close(NAN, NAN, 1);
}
static void an_infinite_value(void **state)
{
	assert_close(INFINITY, 1, 1e-8);
}

static void equal_arrays(void **state)
{
	assert_true(ek_max_difference(right, right, 3) <= 0);
	assert_close(ek_max_difference(right, wrong, 3), 0.5, 0);
	assert_close(ek_cosine(right, right, 3), 1, 1e-15);
}
static void a_wrong_element(void **state)
{
	assert_true(ek_max_difference(wrong, right, 3) <= 0.4);
}
static void a_nan_element(void **state)
{
	assert_true(ek_max_difference(broken, right, 3) <= 1e30);
}
static void a_nan_element_expected(void **state)
{
	assert_true(ek_max_difference(right, broken, 3) <= 1e30);
}
static void no_elements(void **state)
{
	assert_true(ek_max_difference(right, wrong, 0) <= 1e30);
}
static void a_nan_in_a_cosine(void **state)
{
	assert_true(ek_cosine(broken, right, 3) >= -1);
}
static void a_cosine_of_nothing(void **state)
{
	assert_true(ek_cosine(right, right, 0) >= -1);
}

static void right_codes(void **state)
{
	assert_ok(0);
	assert_ok(1);
	assert_fails(ek_fail(EK_EDATA, "line 7 is short"), EK_EDATA, "line 7");
}
static void a_failed_call(void **state)
{
	assert_ok(ek_fail(EK_EIO, "no"));
}
static void a_success_where_failure_is_due(void **state)
{
	(void)ek_fail(EK_EDATA, "line 7");
	assert_fails(0, EK_EDATA, "line 7");
}
static void another_code(void **state)
{
	assert_fails(ek_fail(EK_EIO, "line 7"), EK_EDATA, "line 7");
}
static void another_message(void **state)
{
	assert_fails(ek_fail(EK_EDATA, "line 8"), EK_EDATA, "line 7");
}

static void scratch_folders(void **state)
{
	const char *a = ek_scratch(), *b = ek_scratch();

	assert_string_not_equal(a, b);
	ek_write_file(ek_join(a, "x"), "y", 1);
	assert_int_equal(access(ek_join(a, "x"), R_OK), 0);
	assert_int_not_equal(access(ek_join(b, "x"), R_OK), 0);
}
static void golden_data_that_is_not_there(void **state)
{
	cJSON_Delete(ek_golden("no-such-data"));
}
static void a_golden_member_that_is_not_there(void **state)
{
	cJSON *golden = cJSON_CreateObject();
	size_t count;

	free(ek_golden_doubles(golden, "gone", &count));
}
static void a_golden_member_that_is_no_number(void **state)
{
	cJSON *golden = cJSON_Parse("{\"a\": [1, null]}");
	size_t count;

	free(ek_golden_doubles(golden, "a", &count));
}

static const struct {
	struct CMUnitTest test;
	int must_fail;
} cases[] = {
	{ cmocka_unit_test(close_values), 0 },
	{ cmocka_unit_test(a_wrong_value), 1 },
	{ cmocka_unit_test(a_wrong_small_value), 1 },
	{ cmocka_unit_test(a_nan), 1 },
	{ cmocka_unit_test(a_nan_expected), 1 },
	{ cmocka_unit_test(a_nan_on_both_sides), 1 },
	{ cmocka_unit_test(an_infinite_value), 1 },
	{ cmocka_unit_test(equal_arrays), 0 },
	{ cmocka_unit_test(a_wrong_element), 1 },
	{ cmocka_unit_test(a_nan_element), 1 },
	{ cmocka_unit_test(a_nan_element_expected), 1 },
	{ cmocka_unit_test(no_elements), 1 },
	{ cmocka_unit_test(a_nan_in_a_cosine), 1 },
	{ cmocka_unit_test(a_cosine_of_nothing), 1 },
	{ cmocka_unit_test(right_codes), 0 },
	{ cmocka_unit_test(a_failed_call), 1 },
	{ cmocka_unit_test(a_success_where_failure_is_due), 1 },
	{ cmocka_unit_test(another_code), 1 },
	{ cmocka_unit_test(another_message), 1 },
	{ cmocka_unit_test(scratch_folders), 0 },
	{ cmocka_unit_test(golden_data_that_is_not_there), 1 },
	{ cmocka_unit_test(a_golden_member_that_is_not_there), 1 },
	{ cmocka_unit_test(a_golden_member_that_is_no_number), 1 },
};

/* The number of tests that failed (0 or 1) when this one runs alone, silently. */
static int run_alone(const struct CMUnitTest *test)
{
	int status;
	pid_t child;

	(void)fflush(stdout);
	if ((child = fork()) == 0) {
		const struct CMUnitTest tests[] = { *test };

		if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		exit(cmocka_run_group_tests(tests, NULL, NULL));
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int main(void)
{
	int wrong_outcomes = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int failed = run_alone(&cases[i].test);

		(void)printf("%s: %s\n", cases[i].test.name, failed == 0 ? "passes" : "is caught");
		if (failed != cases[i].must_fail) {
			(void)printf("  but it should not (%d)\n", failed);
			wrong_outcomes++;
		}
	}
	return wrong_outcomes > 0;
}
