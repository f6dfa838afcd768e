/* The gradients of single images of SiT-S/2 against PyTorch's: all that there are, also in bfloat16. */
#include "tests/support/support.h"
#include "tests/train/flow/gradient_cases.h"

static void of_s2(void **state)
{
	gradients_are_pytorchs("S/2", EK_WATCHED ? 32 : 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_s2) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
