/* What is said where a GPU cannot be used: cuda.c over a runtime of CUDA's that this file pretends. */
#include <dlfcn.h>
#include <sys/stat.h>

#include "tests/support/support.h"
#include "train/nn/cuda_internal.h"
#include "train/nn/device_internal.h"

const struct ek_device ek_device_cuda = { .name = "pretended" };

static struct {
	int driver, count, major;
	cudaError_t counting, working;
	size_t bytes, free;
} machine;

/* The runtime. */

cudaError_t cudaDriverGetVersion(int *version)
{
	*version = machine.driver;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
	*count = machine.count;
	return machine.counting;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int number)
{
	assert_in_range(number, 0, machine.count - 1);
	memset(p, 0, sizeof *p);
	(void)snprintf(p->name, sizeof p->name, "Pretended");
	p->major = machine.major;
	p->minor = 5;
	return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	*free_bytes = machine.free;
	*total = machine.bytes;
	return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
	*out = bytes <= machine.free ? &machine : NULL;
	return *out != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory)
{
	assert_ptr_equal(memory, &machine);
	return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
	assert_ptr_equal(memory, &machine);
	assert_int_equal(value, 0);
	return machine.working;
}

cudaError_t cudaSetDevice(int number)
{
	assert_in_range(number, 0, machine.count - 1);
	return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
	assert_int_equal(flags, cudaStreamNonBlocking);
	*stream = NULL;
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	return machine.working;
}

cudaError_t cudaGetLastError(void)
{
	return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error)
{
	return error == cudaErrorECCUncorrectable ? "uncorrectable" : "another";
}

/* The loader: it finds nothing. */

static char opened[4096]; /* what was looked for last */

void *dlopen(const char *file, int mode)
{
	(void)snprintf(opened, sizeof opened, "%s", file);
	return NULL;
}

/* Tests. */

static void there_is(int driver, int count, cudaError_t counting, int major)
{
	memset(&machine, 0, sizeof machine);
	machine.driver = driver;
	machine.count = count;
	machine.counting = counting;
	machine.major = major;
	machine.bytes = (size_t)16 << 30;
	machine.free = (size_t)3 << 30;
}

static void refused(int code, const char *text, int number)
{
	const struct ek_device *device = &ek_device_cuda;

	assert_fails(ek_cuda_choose(&device, number), code, text);
	assert_null(device);
}

static void drivers(void **state)
{
	there_is(0, 0, cudaErrorInsufficientDriver, 0);
	refused(EK_ENOTSUP, "no GPU can be used: no driver of NVIDIA's is installed (libcuda.so.1)", 0);
	assert_int_equal(ek_cuda_count(), EK_ENOTSUP);
	there_is(12040, 0, cudaErrorInsufficientDriver, 0);
	refused(EK_ENOTSUP, "no GPU can be used: the driver knows CUDA up to 12.4, and 1", 0);
	there_is(13000, 0, cudaErrorNoDevice, 0);
	refused(EK_ENOTSUP, "no GPU can be used: the driver sees none", 0);
	there_is(13000, 0, cudaSuccess, 0);
	refused(EK_ENOTSUP, "no GPU can be used: the driver sees none", 0);
	there_is(13000, 0, cudaErrorECCUncorrectable, 0);
	refused(EK_ENOTSUP, "no GPU can be used: uncorrectable", 0);
}

static void gpus(void **state)
{
	struct ek_cuda_gpu gpu;

	there_is(13000, 2, cudaSuccess, 9);
	refused(EK_EUSAGE, "there is no GPU 2: this machine has 2, numbered from 0", 2);
	assert_fails(ek_cuda_gpu(&gpu, -1), EK_EUSAGE, "there is no GPU -1");
	assert_ok(ek_cuda_gpu(&gpu, 1));
	assert_string_equal(gpu.name, "Pretended");
	assert_int_equal(gpu.bytes - gpu.free, (size_t)13 << 30);
	there_is(13000, 1, cudaSuccess, 7);
	refused(EK_ENOTSUP, "the GPU Pretended has compute capability 7.5, and 8.0 or more is needed", 0);
}

/* All places are looked at, in their order, and the message names them. */
static void libraries(void **state)
{
	const char *folder = ek_scratch();
	struct ek_cuda_library library;
	char file[32], text[256];
	const char *wheel;

	there_is(13000, 1, cudaSuccess, 9);
	(void)snprintf(file, sizeof file, "libcublasLt.so.%d", CUDART_VERSION / 1000);
	(void)snprintf(text, sizeof text, "the library cuBLASLt (%s) is missing: not in the system's paths, $CUDA_HOME",
	               file);
	for (const char *const *name = (const char *const[]){ "nvidia", "nvidia/cu13", "nvidia/cu13/lib", NULL };
	     *name != NULL; name++)
		assert_int_equal(mkdir(ek_join(folder, *name), 0700), 0);
	wheel = ek_join(folder, ek_join("nvidia/cu13/lib", file));
	ek_write_file(wheel, "", 0);
	assert_int_equal(setenv("CUDA_HOME", folder, 1), 0);
	assert_int_equal(setenv("XDG_CACHE_HOME", ek_join(folder, "none"), 1), 0);
	assert_fails(ek_cuda_library(&library), EK_ENOTSUP, text);
	assert_string_equal(opened, wheel);
	opened[0] = 0;
	refused(EK_ENOTSUP, text, 0);
	assert_string_equal(opened, wheel);
}

static void memory(void **state)
{
	void *got;

	there_is(13000, 1, cudaSuccess, 9);
	assert_fails(ek_cuda_alloc(&got, (size_t)4 << 30), EK_ENOMEM,
	             "the GPU's memory does not suffice: 4.00 GiB are wanted at once and 3.00 GiB are free");
	assert_null(got);
	assert_ok(ek_cuda_alloc(&got, (size_t)3 << 30));
	ek_cuda_release(got);
}

/* A fault of a kernel is told by a later call, and stays. */
static void faults(void **state)
{
	there_is(13000, 1, cudaSuccess, 9);
	assert_ok(ek_cuda_wait());
	machine.working = cudaErrorECCUncorrectable;
	assert_fails(ek_cuda_wait(), EK_ENOTSUP, "the GPU failed at waiting for its work: uncorrectable");
	machine.working = cudaSuccess;
	assert_fails(ek_cuda_launched("a kernel"), EK_ENOTSUP, "the GPU failed at a kernel: uncorrectable");
}

EK_TEST_MAIN(cmocka_unit_test(drivers), cmocka_unit_test(gpus), cmocka_unit_test(libraries), cmocka_unit_test(memory),
             cmocka_unit_test(faults))
