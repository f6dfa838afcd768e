/* The gradients of single images of SiT against PyTorch's, one image after another. */
#include "tests/support/support.h"
#include "tests/train/flow/gradient_cases.h"

static void of_a_small_model(void **state)
{
	gradients_are_pytorchs("small", 200);
}

static void of_the_first_of_s2(void **state)
{
	gradients_are_pytorchs("S/2", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_a_small_model), cmocka_unit_test(of_the_first_of_s2) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
