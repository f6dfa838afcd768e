#include "tests/support/support.h"

#include "rebalance/base/error.h"
#include "rebalance/base/library.h"

static void functions_are_found_or_what_is_missing_is_said(void **state)
{
	double (*cosine)(double) = NULL, (*nothing)(double) = NULL;
	const struct ek_library_function functions[] = { { "cos", &cosine }, { "no_such_function", &nothing } };

	assert_int_equal(ek_library_load("libm.so.6", functions, 1), 0);
	assert_close(cosine(0), 1, 0);
	assert_int_equal(ek_library_load("libm.so.6", functions, 2), EK_ENOTSUP);
	assert_string_equal(ek_error_message(), "the library libm.so.6 has no no_such_function");
	assert_int_equal(ek_library_load("libno-such.so.1", functions, 1), EK_ENOTSUP);
	assert_string_equal(ek_error_message(), "the library libno-such.so.1 is not there");
}

EK_TEST_MAIN(cmocka_unit_test(functions_are_found_or_what_is_missing_is_said))
