/* The gradients of single images of a small SiT against PyTorch's, one image after another. */
#include "tests/support/support.h"
#include "tests/train/flow/gradient_cases.h"

static void of_a_small_model(void **state)
{
	(void)state;
	gradients_are_pytorchs("small", 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_a_small_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
