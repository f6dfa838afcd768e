/* The larger vision transformers: up to 1.2 GB of weights each. */
#include "tests/analysis/embed/encoder_cases.h"
#include "tests/support/support.h"

static void larger_sizes_equal_the_reference(void **state)
{
	static const char *const encoders[] = { "dinov2-vitb14", "dinov2-vitb14-reg", "clip-vit-l14", "dinov2-vitl14",
		                                "dinov2-vitl14-reg" };

	for (size_t i = 0; i < (EK_WATCHED ? 1 : sizeof encoders / sizeof *encoders); i++)
		ek_check_encoder(encoders[i]);
}

EK_TEST_MAIN(cmocka_unit_test(larger_sizes_equal_the_reference))
