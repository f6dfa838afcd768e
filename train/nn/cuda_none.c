/* In place of cuda.c in a build without CUDA. */
#include "rebalance/base/error.h"
#include "train/nn/cuda.h"

static int none(void)
{
	return ek_fail(EK_ENOTSUP, "this program was built without CUDA: ./quickstart --cuda builds it with");
}

int ek_cuda_count(void)
{
	return none();
}

int ek_cuda_seen(void)
{
	return 0;
}

int ek_cuda_gpu(struct ek_cuda_gpu *out, int number)
{
	(void)out;
	(void)number;
	return none();
}

int ek_cuda_library(struct ek_cuda_library *out)
{
	(void)out;
	return none();
}

int ek_cuda_versions(char built[16], char driver[16])
{
	built[0] = driver[0] = 0;
	return none();
}

int ek_cuda_choose(const struct ek_device **out, int number)
{
	*out = NULL;
	(void)number;
	return none();
}

int ek_cuda_wait(void)
{
	return 0;
}
