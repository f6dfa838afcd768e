/* The gradients of single images on a GPU against PyTorch's, in float32 and bfloat16. Skipped where no GPU can be used.
 */
#include "rebalance/base/error.h"
#include "tests/support/support.h"
#include "tests/train/flow/gradient_cases.h"
#include "train/nn/cuda.h"
#include "train/nn/device.h"

enum { SKIPPED = 77 };

static void of_a_small_model(void **state)
{
	(void)state;
	gradients_are_pytorchs("small", 200);
}

static void of_s2(void **state)
{
	(void)state;
	gradients_are_pytorchs("S/2", 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_a_small_model), cmocka_unit_test(of_s2) };
	const struct ek_device *gpu;

	if (ek_cuda_choose(&gpu, 0) < 0) {
		print_message("%s\n", ek_error_message());
		return SKIPPED;
	}
	ek_device_set(gpu);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
