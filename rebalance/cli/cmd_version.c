#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "rebalance/base/version.h"
#include "rebalance/cli/build.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/command.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/device.h"

/* Instruction sets that the libraries choose by, as this processor has them. */
static int add_instruction_sets(struct ek_buffer *text)
{
	const struct {
		const char *name;
		int has;
	} sets[] = {
#if defined(__x86_64__)
		{ "avx2", __builtin_cpu_supports("avx2") },
		{ "fma", __builtin_cpu_supports("fma") },
		{ "avx512f", __builtin_cpu_supports("avx512f") },
		{ "avx512_vnni", __builtin_cpu_supports("avx512vnni") },
#endif
		{ "bf16", ek_nn_cpu_has_bf16() },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof sets / sizeof *sets && rc == 0; i++)
		if (sets[i].has)
			rc = ek_buffer_printf(text, "%s%s", text->size > 0 ? ", " : "", sets[i].name);
	return rc;
}

/* "gpus": [{…}], "cuda_libraries": [{…}]; why there are none: "gpus_missing". */
static int add_gpus(cJSON *json)
{
	struct ek_cuda_library library;
	struct ek_cuda_gpu gpu;
	cJSON *list, *item;
	int count = ek_cuda_count(), rc;

	if (count < 0)
		EK_TRY(ek_json_add_string(json, "gpus_missing", ek_error_message()));
	EK_TRY(ek_json_add_array(&list, json, "gpus"));
	for (int i = 0; i < count; i++) {
		EK_TRY(ek_cuda_gpu(&gpu, i));
		EK_TRY(ek_json_add_object(&item, list, NULL));
		EK_TRY(ek_json_add_string(item, "name", gpu.name));
		EK_TRY(ek_json_add_double(item, "compute_capability", gpu.major + gpu.minor / 10.0));
		EK_TRY(ek_json_add_u64(item, "bytes", gpu.bytes));
		EK_TRY(ek_json_add_u64(item, "free", gpu.free));
	}
	EK_TRY(ek_json_add_array(&list, json, "cuda_libraries"));
	for (int i = 0; count > 0 && i < EK_CUDA_LIBRARIES; i++) {
		if (ek_cuda_library(&library, i) < 0)
			continue;
		EK_TRY(ek_json_add_object(&item, list, NULL));
		EK_TRY(ek_json_add_string(item, "name", library.name));
		EK_TRY(ek_json_add_string(item, "version", library.version));
		EK_TRY(ek_json_add_string(item, "file", library.path));
	}
out:
	return rc;
}

static int print_gpus(void)
{
	const int count = ek_cuda_count();
	struct ek_cuda_library library;
	char built[16], driver[16];
	struct ek_cuda_gpu gpu;
	int rc = 0;

	if (count < 0) {
		(void)printf("GPUs: none; %s\n", ek_error_message());
		return 0;
	}
	for (int i = 0; i < count; i++) {
		EK_TRY(ek_cuda_gpu(&gpu, i));
		(void)printf("GPU %d: %s, compute capability %d.%d, %.1f of %.1f GiB free\n", i, gpu.name, gpu.major,
		             gpu.minor, (double)gpu.free / 0x1p30, (double)gpu.bytes / 0x1p30);
	}
	EK_TRY(ek_cuda_versions(built, driver));
	(void)printf("CUDA: %s, driver up to %s\n", built, driver);
	for (int i = 0; i < EK_CUDA_LIBRARIES; i++) {
		if (ek_cuda_library(&library, i) == 0)
			(void)printf("%s: %s, %s\n", library.name, library.version, library.path);
		else
			(void)printf("%s\n", ek_error_message());
	}
out:
	return rc;
}

static int print_json(const char *sets)
{
	char built[16], driver[16];
	cJSON *json = cJSON_CreateObject();
	int rc = json != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for JSON");

	EK_TRY(rc);
	EK_TRY(ek_json_add_string(json, "version", EK_VERSION));
	EK_TRY(ek_json_add_string(json, "build", EK_BUILD_TYPE));
	EK_TRY(ek_json_add_string(json, "compiler", EK_BUILD_COMPILER));
	EK_TRY(ek_json_add_string(json, "sanitizers", EK_BUILD_SANITIZE));
	EK_TRY(ek_json_add_string(json, "libraries", EK_BUILD_LIBRARIES));
	EK_TRY(ek_json_add_string(json, "instruction_sets", sets));
	EK_TRY(ek_json_add_bool(json, "cuda", ek_cuda_versions(built, driver) == 0));
	EK_TRY(add_gpus(json));
	EK_TRY(ek_json_add_bool(json, "mpi", 0));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_cmd_version(struct ek_invocation *invocation)
{
	struct ek_buffer sets = { 0 };
	int rc;

	EK_TRY(ek_buffer_reserve(&sets, 1));
	EK_TRY(add_instruction_sets(&sets));
	if (invocation->settings.common.json) {
		EK_TRY(print_json(sets.data));
		goto out;
	}
	(void)printf("evenkeel %s (%s, %s%s%s)\n", EK_VERSION, EK_BUILD_TYPE, EK_BUILD_COMPILER,
	             EK_BUILD_SANITIZE[0] != 0 ? ", sanitizers " : "", EK_BUILD_SANITIZE);
	(void)printf("libraries: %s\n", EK_BUILD_LIBRARIES);
	(void)printf("processor: %s; %d threads\n", sets.data, ek_threads());
	EK_TRY(print_gpus());
	(void)printf("off in this build: %s\n", EK_BUILD_OFF);
out:
	ek_buffer_release(&sets);
	return rc;
}
