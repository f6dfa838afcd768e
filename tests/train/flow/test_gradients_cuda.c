/* The gradients of single images on a GPU against PyTorch's, in float32 and bfloat16. Skipped where no GPU can be used.
 */
#include "tests/support/support.h"
#include "tests/train/flow/gradient_cases.h"
#include "tests/train/nn/on_device.h"

static void of_a_small_model(void **state)
{
	gradients_are_pytorchs("small", 200);
}

static void of_s2(void **state)
{
	gradients_are_pytorchs("S/2", 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_a_small_model), cmocka_unit_test(of_s2) };
	const int left = on_gpu();

	return left != 0 ? left : cmocka_run_group_tests(tests, NULL, NULL);
}
