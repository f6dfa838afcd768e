#include "train/nn/cuda_internal.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/threads.h"

enum { LEAST_MAJOR = 8, WORKSPACE = 64 << 20 };

static struct {
	int number, open;
	char name[16]; /* "GPU 0" */
	cudaStream_t stream;
	struct cudaDeviceProp properties;
	cudaError_t noted;
} gpu = { .number = -1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int entered;

static void write_version(char out[16], int version)
{
	(void)snprintf(out, 16, "%d.%d", version / 1000, version % 1000 / 10);
}

int ek_cuda_versions(char built[16], char driver[16])
{
	int version = 0;

	write_version(built, CUDART_VERSION);
	if (cudaDriverGetVersion(&version) != cudaSuccess)
		version = 0;
	write_version(driver, version);
	return 0;
}

int ek_cuda_count(void)
{
	char built[16], driver[16];
	cudaError_t error;
	int count = 0, version = 0;

	(void)ek_cuda_versions(built, driver);
	(void)cudaDriverGetVersion(&version);
	error = cudaGetDeviceCount(&count);
	(void)cudaGetLastError();
	if (version == 0)
		return ek_fail(EK_ENOTSUP, "no GPU can be used: no driver of NVIDIA's is installed (libcuda.so.1)");
	if (error == cudaErrorInsufficientDriver)
		return ek_fail(EK_ENOTSUP, "no GPU can be used: the driver knows CUDA up to %s, and %s is needed",
		               driver, built);
	if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
		return ek_fail(EK_ENOTSUP, "no GPU can be used: the driver sees none");
	if (error != cudaSuccess)
		return ek_fail(EK_ENOTSUP, "no GPU can be used: %s", cudaGetErrorString(error));
	return count;
}

int ek_cuda_seen(void)
{
	glob_t found;
	const int seen = glob("/dev/nvidia[0-9]*", GLOB_NOSORT, NULL, &found) == 0;

	globfree(&found);
	return seen;
}

static int check_number(int number)
{
	const int count = ek_cuda_count();

	return count < 0 ? count
	       : number >= 0 && number < count
	               ? 0
	               : ek_fail(EK_EUSAGE, "there is no GPU %d: this machine has %d, numbered from 0", number, count);
}

int ek_cuda_gpu(struct ek_cuda_gpu *out, int number)
{
	struct cudaDeviceProp p;
	size_t total = 0, free_bytes = 0;
	int rc;

	*out = (struct ek_cuda_gpu){ .major = 0 };
	EK_TRY(check_number(number));
	EK_TRY(ek_cuda_check(cudaGetDeviceProperties(&p, number), "asking the GPU what it is"));
	EK_TRY(ek_cuda_check(cudaSetDevice(number), "taking the GPU"));
	EK_TRY(ek_cuda_check(cudaMemGetInfo(&free_bytes, &total), "asking the GPU for its memory"));
	(void)snprintf(out->name, sizeof out->name, "%s", p.name);
	out->major = p.major;
	out->minor = p.minor;
	out->bytes = total;
	out->free = free_bytes;
out:
	entered = 0;
	return rc;
}

static int load(void);

static int load_beside(void *unused)
{
	(void)unused;
	return load();
}

/* Loading cuBLASLt takes half as long as this; on another thread it takes no time. */
static int take_gpu(int number)
{
	struct ek_beside loading;
	cudaError_t error;

	(void)ek_beside_begin(&loading, load_beside, NULL);
	error = cudaSetDevice(number);
	(void)ek_beside_end(&loading); /* what it fails with is told when it is called again */
	return ek_cuda_check(error, "taking the GPU");
}

static int open_gpu(int number)
{
	int rc;

	EK_TRY(check_number(number));
	EK_TRY(ek_cuda_check(cudaGetDeviceProperties(&gpu.properties, number), "asking the GPU what it is"));
	if (gpu.properties.major < LEAST_MAJOR)
		return ek_fail(EK_ENOTSUP, "the GPU %s has compute capability %d.%d, and %d.0 or more is needed",
		               gpu.properties.name, gpu.properties.major, gpu.properties.minor, LEAST_MAJOR);
	EK_TRY(take_gpu(number));
	EK_TRY(ek_cuda_check(cudaStreamCreateWithFlags(&gpu.stream, cudaStreamNonBlocking), "making a stream"));
	(void)snprintf(gpu.name, sizeof gpu.name, "GPU %d", number);
	gpu.number = number;
	gpu.open = 1;
	entered = 1;
out:
	return rc;
}

int ek_cuda_choose(const struct ek_device **out, int number)
{
	const struct ek_cublaslt *lt;
	int rc = 0;

	*out = NULL;
	(void)pthread_mutex_lock(&lock);
	if (gpu.open && gpu.number != number)
		rc = ek_fail(EK_EUSAGE, "GPU %d is in use by this process: it cannot take GPU %d as well", gpu.number,
		             number);
	else if (!gpu.open)
		rc = open_gpu(number);
	(void)pthread_mutex_unlock(&lock);
	EK_TRY(rc);
	EK_TRY(ek_cuda_cublaslt(&lt));
	*out = &ek_device_cuda;
out:
	return rc;
}

cudaStream_t ek_cuda_stream(void)
{
	ek_progress_at(gpu.name);
	return gpu.stream;
}

int ek_cuda_processors(void)
{
	return gpu.properties.multiProcessorCount;
}

size_t ek_cuda_shared_memory(void)
{
	return gpu.properties.sharedMemPerBlockOptin;
}

int ek_cuda_is_hopper(void)
{
	return gpu.properties.major == 9 && gpu.properties.minor == 0;
}

void ek_cuda_enter(void)
{
	if (!entered)
		ek_cuda_note(cudaSetDevice(gpu.number));
	entered = 1;
}

int ek_cuda_check(cudaError_t error, const char *what)
{
	if (error == cudaSuccess)
		return 0;
	(void)cudaGetLastError();
	return ek_fail(error == cudaErrorMemoryAllocation ? EK_ENOMEM : EK_ENOTSUP, "the GPU failed at %s: %s", what,
	               cudaGetErrorString(error));
}

void ek_cuda_note(cudaError_t error)
{
	if (error != cudaSuccess && gpu.noted == cudaSuccess)
		gpu.noted = error;
}

int ek_cuda_launched(const char *what)
{
	ek_cuda_note(cudaGetLastError());
	return ek_cuda_check(gpu.noted, what);
}

int ek_cuda_wait(void)
{
	ek_cuda_enter();
	ek_cuda_note(cudaStreamSynchronize(gpu.stream));
	return ek_cuda_launched("waiting for its work");
}

int ek_cuda_alloc(void **out, size_t bytes)
{
	size_t total = 0, free_bytes = 0;
	cudaError_t error;

	*out = NULL;
	ek_cuda_enter();
	error = cudaMalloc(out, bytes > 0 ? bytes : 1);
	if (error == cudaErrorMemoryAllocation) {
		(void)cudaGetLastError();
		(void)cudaMemGetInfo(&free_bytes, &total);
		return ek_fail(EK_ENOMEM,
		               "the GPU's memory does not suffice: %.2f GiB are wanted at once and %.2f GiB are free",
		               (double)bytes / 0x1p30, (double)free_bytes / 0x1p30);
	}
	if (error == cudaSuccess)
		error = cudaMemsetAsync(*out, 0, bytes, gpu.stream);
	return ek_cuda_check(error, "taking memory");
}

void ek_cuda_release(void *memory)
{
	if (memory == NULL)
		return;
	ek_cuda_enter();
	ek_cuda_note(cudaFree(memory)); /* waits for what uses it */
}

/* Libraries. */

/* Tries the files that a pattern means. */
static void *open_pattern(const char *pattern, int flags)
{
	glob_t found;
	void *library = NULL;

	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && library == NULL; i++)
			library = dlopen(found.gl_pathv[i], flags);
	globfree(&found);
	return library;
}

void *ek_cuda_open_library(const char *file)
{
	static const char *const places[] = { "lib64", "lib", "nvidia/*/lib" };
	const char *home = getenv("CUDA_HOME"), *cache = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
	const int flags = RTLD_NOW | RTLD_GLOBAL;
	void *library = dlopen(file, flags);
	char pattern[4096];

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (library == NULL && home != NULL) {
			(void)snprintf(pattern, sizeof pattern, "%s/%s/%s", home, places[i], file);
			library = open_pattern(pattern, flags);
		}
		if (library == NULL && cache != NULL && cache[0] != 0) {
			(void)snprintf(pattern, sizeof pattern, "%s/evenkeel/cuda/%s/%s", cache, places[i], file);
			library = open_pattern(pattern, flags);
		} else if (library == NULL && user != NULL) {
			(void)snprintf(pattern, sizeof pattern, "%s/.cache/evenkeel/cuda/%s/%s", user, places[i], file);
			library = open_pattern(pattern, flags);
		}
	}
	return library;
}

/* cuBLASLt. */

static const char *const cublaslt_file = CUDART_VERSION >= 13000 ? "libcublasLt.so.13" : "libcublasLt.so.12";
static struct ek_cublaslt cublaslt;
static void *cublaslt_library;

/* *out = the function of this name. */
static int find_function(const char *name, void *out, int rc)
{
	void *function = dlsym(cublaslt_library, name);

	memcpy(out, &function, sizeof function);
	return function != NULL || rc < 0 ? rc : ek_fail(EK_ENOTSUP, "a library of CUDA lacks the function %s", name);
}

/* Under the lock. */
static int load(void)
{
	int rc = 0;

	if (cublaslt_library != NULL)
		return 0;
	cublaslt_library = ek_cuda_open_library(cublaslt_file);
	if (cublaslt_library == NULL)
		return ek_fail(EK_ENOTSUP,
		               "the library cuBLASLt (%s) is missing: not in the system's paths, $CUDA_HOME or "
		               "${XDG_CACHE_HOME:-~/.cache}/evenkeel/cuda",
		               cublaslt_file);
#define ROW(name) rc = find_function("cublasLt" #name, &cublaslt.name, rc);
	EK_CUBLASLT(ROW)
#undef ROW
	if (rc < 0)
		cublaslt_library = NULL;
	return rc;
}

static int make_handle(void)
{
	int rc;

	EK_TRY(load());
	if (cublaslt.handle != NULL)
		goto out;
	ek_cuda_enter();
	if (cublaslt.workspace == NULL)
		EK_TRY(ek_cuda_alloc(&cublaslt.workspace, WORKSPACE));
	cublaslt.workspace_bytes = WORKSPACE;
	EK_TRY(ek_cuda_cublaslt_check(cublaslt.Create(&cublaslt.handle), "starting"));
out:
	return rc;
}

/* One thread at a time. */
static int locked(int (*work)(void))
{
	int rc;

	(void)pthread_mutex_lock(&lock);
	rc = work();
	(void)pthread_mutex_unlock(&lock);
	return rc;
}

int ek_cuda_cublaslt(const struct ek_cublaslt **out)
{
	*out = &cublaslt;
	return locked(make_handle);
}

int ek_cuda_cublaslt_check(cublasStatus_t status, const char *what)
{
	return status == CUBLAS_STATUS_SUCCESS
	               ? 0
	               : ek_fail(EK_ENOTSUP, "cuBLASLt failed at %s: status %d", what, (int)status);
}

int ek_cuda_library(struct ek_cuda_library *out)
{
	size_t version;
	Dl_info place;
	int rc;

	*out = (struct ek_cuda_library){ .name = "cuBLASLt" };
	EK_TRY(locked(load));
	version = cublaslt.GetVersion();
	(void)snprintf(out->version, sizeof out->version, "%zu.%zu.%zu", version / 10000, version / 100 % 100,
	               version % 100);
	if (dladdr(dlsym(cublaslt_library, "cublasLtCreate"), &place) != 0)
		(void)snprintf(out->path, sizeof out->path, "%s", place.dli_fname);
out:
	return rc;
}
