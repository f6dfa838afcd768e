#include "tests/train/nn/on_device.h"

#include "tests/support/support.h"
#include "train/nn/cuda.h"
#include "train/nn/device.h"

int on_gpu(void)
{
	const struct ek_device *gpu;

	if (ek_cuda_choose(&gpu, 0) < 0) {
		print_message("skipped: %s\n", ek_error_message());
		return ON_DEVICE_SKIPPED;
	}
	ek_device_set(gpu);
	return 0;
}

int on_device(int argc, char **argv)
{
	if (argc < 2)
		return 0;
	if (strcmp(argv[1], "cuda") != 0) {
		print_error("\"%s\" is not cuda\n", argv[1]);
		return 2;
	}
	cmocka_set_test_filter(argc > 2 ? argv[2] : NULL);
	return on_gpu();
}
